#!/usr/bin/env python3
"""bench_datagrams.py BENCH_DATAGRAMS TEALE-RELAY [TURNSERVER]: what a relayed datagram costs teale-relay, by UDP with tokens,
beside coturn with ChannelData in the same run, on loopback. Figures are datagrams that the server passes on in a second of
its own processor time, which other load on the machine does not change; and the way of one datagram alone."""
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import relayproc  # noqa: E402
import stunmsg  # noqa: E402

SECS = 3
BENCH = None  # the program that sends


def udp_socket():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 0))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.settimeout(2)
    return s


def run(out, into, to, prefix, size, train, pid):
    for s in (out, into):
        s.setblocking(True)
    argv = [BENCH, "--out", str(out.fileno()), "--in", str(into.fileno()), "--to", "%s:%d" % to, "--prefix", prefix.hex(),
            "--size", str(size), "--train", str(train), "--pid", str(pid), "--secs", str(SECS)]
    return json.loads(subprocess.run(argv, pass_fds=(out.fileno(), into.fileno()), stdout=subprocess.PIPE, check=True,
                                     text=True).stdout)


class Teale:
    """Two nodes with a session, and a UDP socket each."""

    def __init__(self, program):
        relayproc.BINARY_PATH = program
        self.relay = relayproc.Relay("--udp", "127.0.0.1:0")
        a, b = relayproc.Node(self.relay), relayproc.Node(self.relay)
        for n in (a, b):
            n.register(features=["quiet", "relay-token"])
        relayproc.session(a, b, "s")
        token = [bytes.fromhex(n.expect("relayOffer")["token"]) for n in (a, b)]
        host, port = self.relay.ready.split(" udp=")[1].split()[0].rsplit(":", 1)
        self.to, self.pid, self.prefix = (host, int(port)), self.relay.process.pid, token[0]
        self.out, self.into = udp_socket(), udp_socket()
        self.into.sendto(token[1], self.to)

    def measure(self, size, train):
        return run(self.out, self.into, self.to, self.prefix, size, train, self.pid)

    def close(self):
        self.relay.__exit__(None, None, None)


class Coturn:
    """A client with an allocation and a channel to a peer."""

    def __init__(self, program):
        self.dir = tempfile.TemporaryDirectory()
        self.out, self.into, free = udp_socket(), udp_socket(), udp_socket()
        self.to = free.getsockname()
        free.close()
        config = os.path.join(self.dir.name, "conf")
        open(config, "w").close()
        self.process = subprocess.Popen(
            [program, "-c", config, "--no-auth", "--no-cli", "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay",
             "--listening-port", str(self.to[1]), "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1",
             "--allow-loopback-peers", "--relay-threads", "1", "--log-file", "stdout", "--pidfile",
             os.path.join(self.dir.name, "pid"), "--userdb", os.path.join(self.dir.name, "db")],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.dir.name)
        self.pid = self.process.pid
        for _ in range(100):
            try:
                self.ask(stunmsg.REQUEST, b"", 0.1)  # Binding: is it there?
                break
            except (TimeoutError, ConnectionError):
                time.sleep(0.05)
        self.ask(0x0003, stunmsg.attribute(0x0019, bytes([17, 0, 0, 0])))  # Allocate, by UDP
        host, port = self.into.getsockname()
        peer = struct.pack("!BBH", 0, 1, port ^ stunmsg.COOKIE >> 16)
        peer += struct.pack("!I", struct.unpack("!I", socket.inet_aton(host))[0] ^ stunmsg.COOKIE)
        self.ask(0x0009, stunmsg.attribute(0x000C, struct.pack("!HH", 0x4000, 0)) + stunmsg.attribute(0x0012, peer))

    def ask(self, method, attributes, timeout=5):
        self.out.settimeout(timeout)
        question = stunmsg.message(method, attributes)
        self.out.sendto(question, self.to)
        while (answer := self.out.recv(2000))[8:20] != question[8:20]:
            pass  # of an earlier question
        kind = struct.unpack("!H", answer[:2])[0]
        assert kind == method | 0x0100, hex(kind)

    def measure(self, size, train):
        return run(self.out, self.into, self.to, struct.pack("!HH", 0x4000, size), size, train, self.pid)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()


class Direct:
    """Without a relay between: what loopback itself takes."""

    def __init__(self):
        self.out, self.into = udp_socket(), udp_socket()

    def latency(self, size):
        return run(self.out, self.into, self.into.getsockname(), b"", size, 1, os.getpid())["latency_us"]


def measure(bench, relay, turnserver, row):
    """Calls row(what, value, goal, beside) for each measurement."""
    global BENCH
    BENCH = bench
    ours, theirs = Teale(relay), Coturn(turnserver) if turnserver else None
    try:
        for size, train, goal in ((200, 1, 1.15), (1200, 1, 1.15), (200, 16, 6), (1200, 16, 6)):
            mine = ours.measure(size, train)
            other = theirs.measure(size, train) if theirs else None
            what = f"relayed datagrams of {size} B, {'one by one' if train == 1 else f'trains of {train}'}"
            beside = f"lost {mine['lost']:.1%}"
            if other:
                beside += (f"; coturn's ChannelData {other['per_cpu_second'] / 1e6:.3f} M: "
                           f"{mine['per_cpu_second'] / other['per_cpu_second']:.1f} x")
            row(what, f"{mine['per_cpu_second'] / 1e6:.3f} M a processor second", f">= {goal} x coturn", beside)
            if train == 1:
                alone = Direct().latency(size)
                beside = f"loopback alone {alone:.1f} us" + (f", coturn {other['latency_us']:.1f} us" if other else "")
                row(f"added to the way of one datagram of {size} B", f"{mine['latency_us'] - alone:.1f} us", "<= 30 us", beside)
        if not theirs:
            print("  turnserver (Debian: coturn) is not installed: no relay to stand beside")
    finally:
        ours.close()
        if theirs:
            theirs.close()


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else shutil.which("turnserver"),
            lambda *columns: print("   ".join(columns), flush=True))
