"""registrants.py - strangers with keys of their own, registered at a real relay, who do what they please; honest nodes
beside them; and what the attack cost the relay. An attack is ten lines:

    with Relay() as relay, Honest(relay) as honest:
        crowd = Crowd(relay, 300, models=["a"] * 15000)
        with Cost(relay, honest) as cost:
            for n in crowd:
                n.send_message("discover", {"requestingNodeID": n.id, "filter": {"modelID": "x" * 59000}})
            crowd.drain(5)
        cost.check(self, cpu=1)
"""
import itertools
import os
import socket
import sys
import threading
import time

import relayproc
from relayproc import CAPABILITIES, Node, session
from wsraw import TEXT, Ended, as_text

TICKS = os.sysconf("SC_CLK_TCK")
_addresses = itertools.count(2)


def stranger_address():
    """An address of loopback that nobody else in this run has."""
    n = next(_addresses)
    return f"127.0.{n >> 8}.{n & 255}"


def capabilities(**changes):
    return {k: v for k, v in {**CAPABILITIES, **changes}.items() if v is not ...}


class Stranger(Node):
    """Goes on when the relay has ended the connection."""

    def try_send(self, payload, opcode=TEXT, **kw):
        try:
            self.send(payload, opcode, **kw)
        except OSError:
            pass

    def try_message(self, kind, payload):
        self.try_send(as_text(kind, payload))


class Crowd:
    """`n` registered nodes that come from `source`. Nobody reads what comes to them but drain()."""

    def __init__(self, relay, n, models=(), source=None, register=True, **kw):
        self.relay = relay
        self.source = source or stranger_address()
        self.nodes, self.acks = [], []
        offered = capabilities(loadedModels=list(models))
        for _ in range(n):
            self.nodes.append(Stranger(relay, source=self.source, **kw))
            if register:
                self.acks.append(self.nodes[-1].register(capabilities=offered, signature=...,
                                                         wgPublicKey=self.nodes[-1].key.noise_public.hex()))

    def __iter__(self):
        return iter(self.nodes)

    def __len__(self):
        return len(self.nodes)

    def drain(self, seconds):
        """Reads and throws away what comes to all of them, until nothing has come for half a second."""
        for n in self.nodes:
            n.sock.setblocking(False)
        end, quiet = time.monotonic() + seconds, 0
        while time.monotonic() < end and quiet < 10:
            got = 0
            for n in self.nodes:
                try:
                    got += len(n.sock.recv(1 << 20))
                except (BlockingIOError, ConnectionError):
                    pass
            quiet = 0 if got else quiet + 1
            time.sleep(0.05 if not got else 0)
        for n in self.nodes:
            n.sock.settimeout(5)

    def alive(self):
        """How many of them the relay still serves."""
        return sum(1 for n in self.nodes if is_served(n))

    def close(self):
        for n in self.nodes:
            n.close()


def is_served(node):
    try:
        node.sock.settimeout(5)
        node.send(b"still", 9)
        while node.frame() != (10, b"still"):
            pass
        return True
    except (OSError, Ended, AssertionError):
        return False


class Honest:
    """Two nodes in a session, from the address that users of this test have; they must not notice the attack."""

    def __init__(self, relay, source="127.0.0.1"):
        self.a, self.b = (Node(relay, source=source, timeout=20) for _ in range(2))
        for n in (self.a, self.b):
            n.register()
        session(self.a, self.b, "honest")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.a.close()
        self.b.close()

    def exchange(self):
        self.a.to(self.b, "relayData", "honest", data="AA==")
        self.b.expect("relayData")

    def discover(self, limit=100, **filters):
        self.a.send_message("discover", {"requestingNodeID": self.a.id, "limit": limit, "filter": filters})
        return self.a.expect("discoverResponse")["peers"]


class Reader(threading.Thread):
    """Reads for a node, `speed` bytes a second at most, as behind a slow line; counts what comes by type, and tells
    when each message came whose session is `session`."""

    def __init__(self, node, speed, session):
        super().__init__(daemon=True)
        self.node, self.speed, self.session = node, speed, session
        self.bytes, self.kinds, self.times = {}, {}, []
        self._over = threading.Event()
        self.start()

    def run(self):
        piece = max(self.speed // 50, 1000)
        node, began, got = self.node, time.monotonic(), 0
        fill = node._fill

        def slowly():
            nonlocal got
            wait = began + got / self.speed - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            if self._over.is_set():
                raise Ended(None)
            more = node.sock.recv(piece)
            if not more:
                raise Ended(None)
            node.pending += more
            got += len(more)

        node._fill = slowly
        try:
            while not self._over.is_set():
                opcode, text = node.frame()
                if opcode != TEXT:
                    continue
                kind = text[2:text.index(b'"', 2)].decode()
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
                self.bytes[kind] = self.bytes.get(kind, 0) + len(text)
                if self.session.encode() in text[:400]:
                    self.times.append(time.monotonic())
        except (OSError, Ended):
            pass
        node._fill = fill

    def stop(self):
        self._over.set()
        self.join(5)


class Flood(threading.Thread):
    """Calls `once(i)` again and again, as fast as the relay takes it, until stop()."""

    def __init__(self, once):
        super().__init__(daemon=True)
        self.once, self.count, self._over = once, 0, threading.Event()
        self.start()

    def run(self):
        try:
            while not self._over.is_set():
                self.once(self.count)
                self.count += 1
        except (OSError, Ended, AssertionError):
            pass

    def stop(self):
        self._over.set()
        self.join(10)


def report(what, figure):
    """A line for the table of docs/security.md."""
    print(f"{what}: {figure}", file=sys.stderr)


class Cost:
    """What the relay spent while the block ran: `cpu` seconds, `peak` bytes of memory beyond what it began with;
    `slowest` seconds that an honest datagram or GET /health took, all the while."""

    def __init__(self, relay, honest):
        self.relay, self.honest = relay, honest
        self.slowest, self.peak, self.error = 0, 0, None
        self._over = threading.Event()

    def _stat(self):
        with open(f"/proc/{self.relay.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * os.sysconf("SC_PAGE_SIZE")

    def _watch(self):
        try:
            while not self._over.is_set():
                began = time.monotonic()
                self.honest.exchange()
                self.relay.get("/health")
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.peak = max(self.peak, self._stat()[1] - self._memory)
                time.sleep(0.01)
        except (OSError, Ended, AssertionError, socket.timeout) as e:
            self.error = e

    def __enter__(self):
        self._cpu, self._memory = self._stat()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._watcher.join()
        cpu, memory = self._stat()
        self.cpu, self.left = cpu - self._cpu, memory - self._memory
        print(f"{self}", file=sys.stderr)

    def check(self, test, cpu=None, peak=None, slowest=15):
        """The honest were served all the while, within `slowest` seconds; `cpu` seconds and `peak` MiB held."""
        test.assertIsNone(self.error)
        test.assertLess(self.slowest, slowest)
        if cpu is not None:
            test.assertLess(self.cpu, cpu * (5 if is_sanitized() else 1))
        if peak is not None and not is_sanitized():
            test.assertLess(self.peak >> 20, peak)

    def __str__(self):
        return (f"relay: {self.cpu:.2f} s of processor, {self.peak >> 20} MiB more at most, {self.left >> 20} after; "
                f"the slowest honest answer {self.slowest * 1000:.0f} ms{f'; {self.error!r}' if self.error else ''}")


def is_sanitized():
    """AddressSanitizer keeps what is freed: memory then says nothing."""
    with open(relayproc.BINARY_PATH, "rb") as f:
        return b"__asan_init" in f.read()
