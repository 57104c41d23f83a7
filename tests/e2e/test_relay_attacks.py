#!/usr/bin/env python3
"""test_relay_attacks.py TEALE-RELAY: strangers with a valid registration against the real program (registrants.py)."""
import contextlib
import json
import resource
import socket
import subprocess
import sys
import time
import unittest

import relayproc
from relayproc import Node, Relay, session
from registrants import Cost, Crowd, Flood, Honest, Reader, Stranger, is_sanitized, report, stranger_address
from wsraw import CONTINUATION, PING, PONG, TEXT, as_text, frame


def core_limit(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        return next(l for l in f if l.startswith("Max core file size")).split()[4:6]


MIB = 1 << 20
# An honest message beside a filled downlink: 0.3 s on a quiet machine, and 9.5 s before there were turns.
SLOWEST_S = 6


class Memory(unittest.TestCase):
    """Of 64 MiB one address may take 16; without a bound these took 832 and 379."""

    def test_those_that_ask_and_hardly_read_cost_their_addresss_share(self):
        with Relay("--max-memory", "64M") as relay, Honest(relay) as honest:
            shown = Crowd(relay, 40, models=[f"{i:0100}" for i in range(256)])
            crowd = Crowd(relay, 30 if is_sanitized() else 150, rcvbuf=4096)
            with Cost(relay, honest) as cost:
                for _ in range(10):
                    for n in crowd:
                        n.try_message("discover", {"requestingNodeID": n.id, "limit": 500})
                time.sleep(1)
            cost.check(self, cpu=4, peak=48)
            self.assertGreater(len(honest.discover(limit=500)), 30)  # a page of 1 MiB
            self.assertEqual(shown.alive(), 40)

    def test_messages_without_an_end_cost_their_addresss_share(self):
        with Relay("--max-memory", "64M") as relay, Honest(relay) as honest:
            crowd = Crowd(relay, 100)
            with Cost(relay, honest) as cost:
                for n in crowd:
                    for i in range(39):
                        n.try_send(b"x" * 100000, TEXT if i == 0 else CONTINUATION, fin=False)
            cost.check(self, cpu=2, peak=48)
            self.assertLessEqual(crowd.alive(), 5)
            relay.wait_log("event=memory_exceeded ")

    def test_so_do_frames_that_are_announced_and_do_not_come(self):
        with Relay("--max-memory", "64M") as relay, Honest(relay) as honest:
            crowd = Crowd(relay, 100)
            with Cost(relay, honest) as cost:
                for n in crowd:
                    n.try_send(b"x" * 3900000, length=4 * MIB)
            cost.check(self, peak=48)
            self.assertLessEqual(crowd.alive(), 5)

    def test_few_messages_of_the_largest_size_pass_beside_them(self):
        with Relay("--max-memory", "64M") as relay, Honest(relay) as honest:
            data = "A" * (4 * MIB - 400)
            honest.a.to(honest.b, "relayData", "honest", data=data)
            self.assertEqual(honest.b.expect("relayData")["data"], data)

    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, "core files are off for everybody here")
    def test_the_relay_leaves_no_core_file_where_others_would(self):
        with Relay() as relay, subprocess.Popen(["sleep", "60"]) as other:
            self.assertEqual(core_limit(relay.process.pid), ["0", "0"])
            self.assertNotEqual(core_limit(other.pid)[1], "0")
            other.kill()


class Discover(unittest.TestCase):
    def test_many_names_and_a_long_unknown_one_do_not_hold_the_relay_up(self):
        with Relay() as relay, Honest(relay) as honest:
            crowd = Crowd(relay, 300, models=["a"] * 15000)
            self.assertEqual([a.get("modelsKept") for a in crowd.acks], [256] * 300)
            with Cost(relay, honest) as cost:
                for i in range(400):
                    n = crowd.nodes[i % 300]
                    n.send_message("discover", {"requestingNodeID": n.id, "filter": {"modelID": "x" * 59000}})
                crowd.drain(20)
            cost.check(self, cpu=2)
            self.assertEqual(crowd.alive(), 300)
            self.assertEqual(len(honest.discover(modelID="a")), 100)

    def test_four_hundred_long_lists_are_shown_in_pages_of_a_mebibyte(self):
        with Relay() as relay, Honest(relay) as honest:
            Crowd(relay, 400, models=[f"{i:0233}" for i in range(250)])  # 60 KB each
            seen, cursor = set(), {}
            while cursor is not None:
                honest.a.send_message("discover", {"requestingNodeID": honest.a.id, "limit": 500, **cursor})
                _, text = honest.a.frame()
                self.assertLessEqual(len(text), MIB)
                page = json.loads(text)["discoverResponse"]
                seen.update(p["nodeID"] for p in page["peers"])
                cursor = {"cursor": page["cursor"]} if "cursor" in page else None
            self.assertEqual(len(seen), 401)


class Downlink(unittest.TestCase):
    """A node with a line of 1 MB/s, an honest peer, and strangers who want all of the line."""
    speed = 1_000_000

    def slowest_beside(self, attack):
        """`attack(relay, victim)` begins floods; how long the honest messages of three seconds took, and how many
        bytes a second came to the victim of each type."""
        with Relay() as relay:
            victim, honest = Node(relay, source=stranger_address(), rcvbuf=65536, timeout=20), Node(relay, timeout=20)
            victim.register(), honest.register()
            session(honest, victim, "honest")
            floods = attack(relay, victim)
            reader = Reader(victim, self.speed, '"honest"')
            time.sleep(2)  # the queue fills
            sent, slowest = [], 0
            before, began = dict(reader.bytes), time.monotonic()
            for _ in range(30):
                sent.append(time.monotonic())
                honest.to(victim, "relayData", "honest", data="AA==")
                time.sleep(0.1)
            end = time.monotonic() + 10
            while len(reader.times) < len(sent) and time.monotonic() < end:
                time.sleep(0.02)
            span = time.monotonic() - began
            rates = {k: (n - before.get(k, 0)) / span for k, n in reader.bytes.items()}
            for n in relay.nodes:
                with contextlib.suppress(OSError):  # the relay may have ended it
                    n.sock.shutdown(socket.SHUT_RDWR)  # ends floods that wait to send
            for f in floods:
                f.stop()
            reader.stop()
            self.assertEqual(len(reader.times), len(sent))
            for begin, came in zip(sent, reader.times):
                slowest = max(slowest, came - begin)
            return slowest, rates

    @staticmethod
    def accepted(relay, victim, n, size):
        """Strangers with whom the victim agreed to a session each, from one address."""
        crowd = Crowd(relay, n, timeout=20)
        for i, p in enumerate(crowd):
            session(p, victim, f"flood{i}")
        data = "A" * size
        texts = [frame(as_text("relayData", {"fromNodeID": p.id, "toNodeID": victim.id, "sessionID": f"flood{i}",
                                             "data": data})) for i, p in enumerate(crowd)]
        return [Flood(lambda _, p=p, t=t: p.sock.sendall(t)) for p, t in zip(crowd, texts)]

    def test_one_with_a_session_makes_nobody_wait(self):
        slowest, _ = self.slowest_beside(lambda relay, victim: self.accepted(relay, victim, 1, 60000))
        report("downlink of 1 MB/s, one stranger with a session: the slowest honest message", f"{slowest:.2f} s")
        self.assertLess(slowest, SLOWEST_S)

    def test_nor_do_ten_of_one_address(self):
        slowest, _ = self.slowest_beside(lambda relay, victim: self.accepted(relay, victim, 10, 60000))
        report("the same, ten strangers of one address", f"{slowest:.2f} s")
        self.assertLess(slowest, SLOWEST_S)

    def test_candidates_of_strangers_have_a_rate(self):
        def attack(relay, victim):
            def candidate(p, size):
                return frame(as_text("iceCandidate", {"fromNodeID": p.id, "toNodeID": victim.id, "sessionID": "x",
                                                      "candidate": {"x": "A" * size}}))

            def once(p, texts):
                for t in texts:
                    p.sock.sendall(t)
                time.sleep(0.01)  # 200 messages a second are allowed
            crowd = Crowd(relay, 10, timeout=20)
            return [Flood(lambda _, p=p, t=(candidate(p, 15000), candidate(p, 59000)): once(p, t)) for p in crowd]
        slowest, rates = self.slowest_beside(attack)
        rate = rates.get("iceCandidate", 0)
        report("candidates of ten strangers of one address, bytes a second that reach the victim", f"{rate:.0f}")
        report("the slowest honest message beside them", f"{slowest:.2f} s")
        self.assertLess(rate, 100_000)
        self.assertLess(slowest, SLOWEST_S)


class Presence(unittest.TestCase):
    def test_coming_and_going_is_no_amplifier(self):
        with Relay() as relay, Honest(relay) as honest:
            watchers = Crowd(relay, 50, source="127.0.0.1", register=False)
            for w in watchers:
                w.register(features=[])
            time.sleep(1)
            readers = [Reader(w, 10_000_000, "none") for w in watchers]
            source, sent = stranger_address(), 0

            def once(_):
                nonlocal sent
                p = Stranger(relay, source=source)
                p.send_message("register", p.registration())
                p.expect("registerAck")
                time.sleep(0.03)
                p.close()
                relay.nodes.remove(p)
                sent += 1
            with Cost(relay, honest) as cost:
                floods = [Flood(once) for _ in range(16)]
                time.sleep(5)
                for f in floods:
                    f.stop()
            cost.check(self)
            told = max(sum(r.kinds.get(k, 0) for k in ("peerJoined", "peerLeft")) for r in readers)
            bytes_out = sum(sum(r.bytes.get(k, 0) for k in ("peerJoined", "peerLeft")) for r in readers)
            for r in readers:
                r.stop()
            report(f"one address registers and leaves {sent} times in 5 s: events told to each of 50 watchers",
                   f"{told}, {bytes_out / max(sent, 1):.0f} bytes out for each registration")
            # the burst and the rate of one address, and the watchers themselves
            self.assertLess(told, 2 * (200 + 2 * 20) + 60)
            late = Node(relay, source=stranger_address())
            late.register()
            seen = Reader(watchers.nodes[0], 10_000_000, late.id)
            time.sleep(3)
            seen.stop()
            self.assertEqual(len(seen.times), 1)


class Doors(unittest.TestCase):
    def test_sockets_that_say_nothing_keep_no_honest_node_out(self):
        with Relay() as relay, Honest(relay) as honest:
            with Cost(relay, honest) as cost:
                silent = []
                for _ in range(20):
                    source = stranger_address()
                    for _ in range(100):
                        silent.append(socket.create_connection(relay.address, source_address=(source, 0)))
                begin = time.monotonic()
                Node(relay, source=stranger_address()).register()
                took = time.monotonic() - begin
            for s in silent:
                s.close()
            report("2000 silent sockets of 20 addresses: an honest registration takes", f"{took * 1000:.0f} ms")
            cost.check(self, cpu=2)
            self.assertLess(took, 2)

    def test_requests_of_one_address_have_a_share_of_the_processor(self):
        with Relay() as relay, Honest(relay) as honest:
            source = stranger_address()

            def once(_):
                with socket.create_connection(relay.address, 5, (source, 0)) as s:
                    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                    while s.recv(65536):
                        pass
            with Cost(relay, honest) as cost:
                floods = [Flood(once) for _ in range(8)]
                time.sleep(3)
                for f in floods:
                    f.stop()
            report("/metrics, asked by one address for 3 s", f"{sum(f.count for f in floods)} answers, {cost}")
            cost.check(self)

    def test_data_for_sessions_of_others_costs_only_its_sender(self):
        with Relay() as relay, Honest(relay) as honest:
            crowd = Crowd(relay, 4, timeout=20)
            texts = [frame(as_text("relayData", {"fromNodeID": p.id, "toNodeID": honest.a.id, "sessionID": "honest",
                                                 "data": "AA=="})) * 100 for p in crowd]
            with Cost(relay, honest) as cost:
                floods = [Flood(lambda _, p=p, t=t: p.sock.sendall(t)) for p, t in zip(crowd, texts)]
                time.sleep(3)
                for p in crowd:
                    p.close()
                for f in floods:
                    f.stop()
            report("relayData for a session of others, errors never read", f"{100 * sum(f.count for f in floods)} "
                   f"messages, {cost}")
            cost.check(self, peak=80)


class TinyFrames(unittest.TestCase):
    """300 registered nodes of one address send the shortest frames there are, as fast as they can. They used to be
    free of charge, and the relay took up to 174 000 of one connection before it looked at the next."""

    def slowest_beside(self, what, tiny, first=b""):
        with Relay() as relay, Honest(relay) as honest:
            crowd = Crowd(relay, 50 if is_sanitized() else 300)
            for n in crowd:
                n.sock.sendall(first)
                n.sock.setblocking(False)
            blob, sent = tiny * (65536 // len(tiny)), 0
            at = {n: 0 for n in crowd}
            with Cost(relay, honest) as cost:
                end = time.monotonic() + 3
                while time.monotonic() < end:
                    for n in crowd:
                        try:
                            k = n.sock.send(blob[at[n]:])
                            sent, at[n] = sent + k, (at[n] + k) % len(blob)
                        except OSError:
                            pass
            report(f"{what} of 300 nodes for 3 s", f"{sent // len(tiny)} sent, {cost}")
            cost.check(self, cpu=2, slowest=15)

    def test_empty_pings_keep_nobody_waiting(self):
        self.slowest_beside("empty pings", frame(b"", PING))

    def test_nor_do_pongs(self):
        self.slowest_beside("pongs", frame(b"", PONG))

    def test_nor_do_empty_fragments(self):
        self.slowest_beside("empty fragments", frame(b"", CONTINUATION, fin=False), frame(b"", TEXT, fin=False))

    def test_nor_do_messages_beyond_the_rate(self):
        self.slowest_beside("messages beyond the rate", frame(b"{}"))

    def test_a_neighbour_at_the_address_of_the_flood_is_served_too(self):
        with Relay() as relay:
            source = stranger_address()
            with Honest(relay, source=source) as neighbour:
                crowd = Crowd(relay, 20, source=source)
                pings = frame(b"", PING) * 10000
                floods = [Flood(lambda _, p=p: p.sock.sendall(pings)) for p in crowd]
                with Cost(relay, neighbour) as cost:
                    time.sleep(2)
                for n in crowd:
                    n.sock.shutdown(socket.SHUT_RDWR)
                for f in floods:
                    f.stop()
                self.assertIsNone(cost.error)
                self.assertLess(cost.slowest, 15)


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    unittest.main()
