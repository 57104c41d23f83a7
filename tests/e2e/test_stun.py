#!/usr/bin/env python3
"""test_stun.py TEALE-RELAY: the STUN server of the real program, asked over loopback."""
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import relayproc
import stunmsg
from relayproc import Node, Relay
from stunmsg import CHANGE_IP, CHANGE_PORT, ERROR, INDICATION, SUCCESS, Client, attribute, change, message

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
from enter import enter  # noqa: E402


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_ports(*distances):
    """A port such that it and those at the distances are free on two loopback addresses."""
    for port in random.sample(range(10000, 32000), 200):
        try:
            for host in ("127.0.0.2", "127.0.0.3"):
                for d in (0, *distances):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                        s.bind((host, port + d))
            return port
        except OSError:
            continue
    raise AssertionError("no free ports")


def flipped(datagram):
    """With another last byte, whatever it is."""
    return datagram[:-1] + bytes([datagram[-1] ^ 1])


def udp_of(relay):
    """Every socket of the ready line."""
    text = re.search(r" udp=(\S+)", relay.ready)[1]
    return [(host.strip("[]"), int(port)) for host, _, port in (a.rpartition(":") for a in text.split(","))]


def metric(relay, name):
    return int(re.search(rf"^teale_relay_stun_{re.escape(name)} (\d+)$", relay.get("/metrics")[2], re.M)[1])


def dropped(relay, reason):
    return metric(relay, f'dropped_total{{reason="{reason}"}}')


class WithRelay(unittest.TestCase):
    args = ()

    @classmethod
    def setUpClass(cls):
        cls.relay = Relay(*cls.args)
        cls.udp = udp_of(cls.relay)

    @classmethod
    def tearDownClass(cls):
        cls.relay.__exit__(None, None, None)

    def client(self, *args, **kw):
        c = Client(*args, **kw)
        self.addCleanup(c.sock.close)
        return c


class OneAddress(WithRelay):
    args = ("--udp", "127.0.0.2:0")

    def test_a_client_learns_its_address_and_who_told_it(self):
        c = self.client()
        answer, source, _ = c.ask(self.udp[0])
        self.assertEqual((answer.kind, answer.mapped, answer.origin), (SUCCESS, c.address, self.udp[0]))
        self.assertEqual(source, self.udp[0])
        self.assertEqual(answer.types, [stunmsg.XOR_MAPPED, stunmsg.ORIGIN])

    def test_a_fingerprint_is_answered_with_a_right_one(self):
        self.assertTrue(self.client().ask(self.udp[0], message(fingerprint=True))[0].fingerprint)
        self.assertFalse(self.client().ask(self.udp[0])[0].fingerprint)

    def test_what_is_not_understood_is_named_in_error_420(self):
        for types in ([0x0002], [stunmsg.PADDING, stunmsg.RESPONSE_PORT], [0x0002, 0x7F00, 0x7FFF]):
            answer, _, _ = self.client().ask(self.udp[0], message(attributes=b"".join(map(attribute, types))))
            self.assertEqual((answer.kind, answer.error, answer.unknown), (ERROR, 420, types))
        optional = attribute(stunmsg.SOFTWARE, b"test") + attribute(0xFFFF)
        self.assertEqual(self.client().ask(self.udp[0], message(attributes=optional))[0].kind, SUCCESS)

    def test_there_is_no_other_address_to_answer_from(self):
        for flags in (CHANGE_IP, CHANGE_PORT, CHANGE_IP | CHANGE_PORT):
            answer, source, _ = self.client().ask(self.udp[0], change(flags))
            self.assertEqual((answer.error, answer.unknown, source), (420, [stunmsg.CHANGE_REQUEST], self.udp[0]))
        self.assertEqual(self.client().ask(self.udp[0], change(0))[0].kind, SUCCESS)

    def test_everything_else_is_met_with_silence(self):
        c = self.client(timeout=5)
        for datagram in (b"", b"\0", b"hello", message(INDICATION), message(SUCCESS), message(ERROR), message(0x0003),
                         message()[:19], message() + b"\0", flipped(message(fingerprint=True)), bytes(1472),
                         b"\x40" + message()[1:], message(attributes=attribute(stunmsg.MAPPED, b"\0\1")), bytes(9000)):
            self.assertTrue(c.silent(self.udp[0], datagram), datagram[:40])

    def test_drops_are_counted_by_reason(self):
        c = self.client(timeout=5)
        before = [dropped(self.relay, r) for r in ("malformed", "not_a_request")]
        requests, answers = metric(self.relay, "requests_total"), metric(self.relay, "answers_total")
        self.assertTrue(c.silent(self.udp[0], b"hello"))
        self.assertTrue(c.silent(self.udp[0], message(INDICATION)))
        self.assertEqual([dropped(self.relay, r) for r in ("malformed", "not_a_request")], [n + 1 for n in before])
        self.assertEqual(metric(self.relay, "requests_total"), requests + 2)
        self.assertEqual(metric(self.relay, "answers_total"), answers + 2)

    def test_nodes_are_told_where_to_ask(self):
        n = Node(self.relay)
        ack = n.register()
        self.assertEqual(ack["udp"], "127.0.0.2:%d" % self.udp[0][1])
        self.assertEqual(ack["observed"], "%s:%d" % n.sock.getsockname()[:2])

    def test_nothing_is_sent_to_port_0(self):
        if NO_NAMESPACE:
            self.skipTest(f"raw sockets are root's: {NO_NAMESPACE}")
        before = dropped(self.relay, "address")
        request = message()
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
            raw.bind(("127.0.0.1", 0))
            raw.sendto(struct.pack("!HHHH", 0, self.udp[0][1], 8 + len(request), 0) + request, ("127.0.0.2", 0))
        self.assertIsNotNone(self.client().ask(self.udp[0]))
        self.assertEqual(dropped(self.relay, "address"), before + 1)


class TwoAddresses(WithRelay):
    args = ("--udp", "127.0.0.2:0", "--udp", "127.0.0.3:0")

    def test_two_addresses_share_two_ports(self):
        (a, p), (b, q), (c, r), (d, s) = self.udp
        self.assertEqual((a, b, c, d), ("127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3"))
        self.assertEqual((p, q), (r, s))
        self.assertNotEqual(p, q)

    def test_every_socket_answers_from_the_one_that_is_asked_for(self):
        for at in range(4):
            for flags in (0, CHANGE_IP, CHANGE_PORT, CHANGE_IP | CHANGE_PORT):
                with Client() as c:
                    answer, source, _ = c.ask(self.udp[at], change(flags))
                    wanted = self.udp[at ^ (2 if flags & CHANGE_IP else 0) ^ (1 if flags & CHANGE_PORT else 0)]
                    self.assertEqual((source, answer.origin), (wanted, wanted))
                    self.assertEqual(answer.other, self.udp[at ^ 3])
                    self.assertEqual(answer.mapped, c.address)

    def test_an_offer_of_another_address_comes_without_being_asked_for(self):
        answer, source, _ = self.client().ask(self.udp[0])
        self.assertEqual((answer.other, answer.origin, source), (self.udp[3], self.udp[0], self.udp[0]))

    def test_nodes_are_told_the_first(self):
        self.assertEqual(Node(self.relay).register()["udp"], "%s:%d" % self.udp[0])


class Measure(unittest.TestCase):
    """Nobody gets more than twice what was spent on them, IP and UDP headers counted."""

    def kinds(self):
        yield "plain", message()
        yield "fingerprint", message(fingerprint=True)
        for flags in range(0, 8, 2):
            yield f"change {flags}", change(flags)
            yield f"change {flags} with fingerprint", change(flags, fingerprint=True)
        for n in range(1, 25):
            yield f"{n} unknown attributes", message(attributes=b"".join(attribute(0x7F00 + i) for i in range(n)))
        yield "response port", message(attributes=attribute(stunmsg.RESPONSE_PORT, b"\0\x50\0\0"))
        yield "padding", message(attributes=attribute(stunmsg.PADDING, bytes(1200)))
        yield "username", message(attributes=attribute(stunmsg.USERNAME, b"a" * 500))
        yield "unknown and change", message(attributes=attribute(0x7F00) + attribute(stunmsg.CHANGE_REQUEST, b"\0\0\0\6"))

    def measure(self, local, headers, *args):
        worst = 0
        with Relay(*args) as relay, Client(local) as c:
            for server in udp_of(relay):
                for name, request in self.kinds():
                    got = c.ask(server, request)
                    self.assertIsNotNone(got, name)
                    factor = (headers + len(got[2])) / (headers + len(request))
                    self.assertLessEqual(factor, 2, name)
                    worst = max(worst, factor)
            self.assertEqual(metric(relay, 'dropped_total{reason="rate"}'), 0)
        print(f"worst answer over {args}: {worst:.2f} times its request")

    def test_over_ipv4_with_one_address(self):
        self.measure("127.0.0.1", 28, "--udp", "127.0.0.2:0")

    def test_over_ipv4_with_two_addresses(self):
        self.measure("127.0.0.1", 28, "--udp", "127.0.0.2:0", "--udp", "127.0.0.3:0")

    @unittest.skipUnless(has_ipv6(), "no IPv6 loopback here")
    def test_over_ipv6(self):
        self.measure("::1", 48, "--udp", "[::1]:0")

    def test_a_flood_from_one_address_gets_its_measure_and_hurts_no_other(self):
        with Relay("--udp", "127.0.0.2:0") as relay, Client("127.0.0.66") as flood, Client() as honest:
            server = udp_of(relay)[0]
            flood.sock.setblocking(False)
            began, sent, got = time.monotonic(), 0, 0
            while sent < 20000:
                for _ in range(100):
                    flood.sock.sendto(message(), server)
                    sent += 1
                try:
                    while True:
                        flood.sock.recv(2000)
                        got += 1
                except BlockingIOError:
                    pass
                if sent % 2000 == 0:
                    self.assertIsNotNone(honest.ask(server))
            time.sleep(0.1)  # what is under way
            try:
                while True:
                    flood.sock.recv(2000)
                    got += 1
            except BlockingIOError:
                pass
            elapsed = time.monotonic() - began
            self.assertGreaterEqual(got, 150)
            self.assertLessEqual(got, 200 + 50 * elapsed + 1)
            self.assertGreater(dropped(relay, "rate"), 0)


class Hostile(unittest.TestCase):
    def junk(self, rng):
        """One datagram that must not be answered."""
        kind = rng.randrange(6)
        if kind == 0:
            return rng.randbytes(rng.randrange(0, 200))
        if kind == 1:
            return message(rng.choice((INDICATION, SUCCESS, ERROR, 0x0003, 0x0009, 0x3FFF)), rng.randbytes(8))
        whole = bytearray(message(attributes=attribute(stunmsg.SOFTWARE, rng.randbytes(rng.randrange(40))), fingerprint=True))
        if kind == 2:
            return bytes(whole[:rng.randrange(len(whole))])
        if kind == 3:
            # not in SOFTWARE's length, which might then just swallow the FINGERPRINT
            whole[rng.choice([i for i in range(len(whole) - 8) if i not in (22, 23)])] ^= 1 << rng.randrange(8)
            return bytes(whole)
        if kind == 4:
            return bytes(whole) + rng.randbytes(rng.randrange(1, 9))
        whole[2:4] = rng.choice((0, 3, 0xFFFC, len(whole))).to_bytes(2, "big")
        return bytes(whole)

    def memory(self, relay):
        with open(f"/proc/{relay.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def test_a_hundred_thousand_datagrams_of_junk_change_nothing_for_the_honest(self):
        seed = random.randrange(1 << 32)
        rng = random.Random(seed)
        total, unanswered = 100_000, 0
        with Relay("--udp", "127.0.0.2:0", "--udp", "127.0.0.3:0") as relay, Client("127.0.0.66") as hostile, \
                Client() as honest:
            servers = udp_of(relay)
            batch = [self.junk(rng) for _ in range(5000)]
            hostile.sock.setblocking(False)
            before = None
            for i in range(total):
                hostile.sock.sendto(batch[i % len(batch)], servers[i % 4])
                if i % 1000 == 999:
                    unanswered += honest.ask(servers[i % 4]) is None
                if i == total // 10:
                    before = self.memory(relay)
            self.assertEqual(unanswered, 0, f"seed {seed}")
            with self.assertRaises(BlockingIOError, msg=f"seed {seed}: junk was answered"):
                hostile.sock.recv(2000)
            self.assertLess(self.memory(relay) - before, 1 << 20)
            seen = dropped(relay, "malformed") + dropped(relay, "not_a_request")
            self.assertLessEqual(seen, total)
            self.assertGreater(seen, total // 2)  # the kernel's buffer may have overflowed now and then
            self.assertEqual(Node(relay).register()["udp"], "%s:%d" % servers[0])

    def test_an_answer_sent_back_is_not_answered(self):
        with Relay("--udp", "127.0.0.2:0", "--udp", "127.0.0.3:0") as relay, Client(timeout=5) as c:
            servers = udp_of(relay)
            _, _, data = c.ask(servers[0])
            for server in servers:
                self.assertTrue(c.silent(server, data))


class Wildcard(unittest.TestCase):
    def test_every_address_of_the_machine_answers_for_itself(self):
        with Relay("--udp", "0.0.0.0:0", "--name", "relay.example") as relay, Client() as c:
            port = udp_of(relay)[0][1]
            for host in ("127.0.0.1", "127.0.0.2", "127.9.8.7"):
                answer, source, _ = c.ask((host, port))
                self.assertEqual((source, answer.origin), ((host, port), (host, port)))
            self.assertEqual(Node(relay, authority="relay.example").register()["udp"], f"relay.example:{port}")

    @unittest.skipUnless(has_ipv6(), "no IPv6 loopback here")
    def test_ipv6_beside_ipv4(self):
        with Relay("--udp", "[::]:0", "--udp", "0.0.0.0:0", "--udp-announce", "stun.example:99") as relay:
            six, four = udp_of(relay)
            with Client("::1") as c:
                answer, source, _ = c.ask(("::1", six[1]))
                self.assertEqual((answer.mapped, answer.origin, source), (c.address, ("::1", six[1]), ("::1", six[1])))
            with Client() as c:
                self.assertEqual(c.ask(("127.0.0.2", four[1]))[0].mapped, c.address)
                self.assertIsNone(c.ask(("127.0.0.1", six[1]), tries=1) if six[1] != four[1] else None)
            self.assertEqual(Node(relay).register()["udp"], "stun.example:99")

    def test_a_name_alone_is_announced_with_the_real_port(self):
        with Relay("--udp", "127.0.0.2:0", "--udp-announce", "stun.example") as relay:
            self.assertEqual(Node(relay).register()["udp"], "stun.example:%d" % udp_of(relay)[0][1])


class Life(unittest.TestCase):
    def fails(self, status, words, *args):
        done = subprocess.run([relayproc.BINARY_PATH, "--listen", "127.0.0.1:0", *args], capture_output=True, text=True,
                              timeout=20)
        self.assertEqual(done.returncode, status, done.stderr)
        for w in words:
            self.assertIn(w, done.stderr)

    def taken(self, host):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.bind((host, 0))
        return s.getsockname()[1]

    def test_a_port_in_use_is_status_1_and_named(self):
        port = self.taken("127.0.0.2")
        self.fails(1, [f"UDP 127.0.0.2:{port}", "another program uses that port", "ss -lunp"], "--udp", f"127.0.0.2:{port}")
        port = self.taken("127.0.0.3")
        self.fails(1, [f"UDP 127.0.0.3:{port}", "another program"], "--udp", f"127.0.0.2:{port}", "--udp",
                   f"127.0.0.3:{port}")

    def test_an_address_that_is_not_ours(self):
        self.fails(1, ["UDP 192.0.2.1:3478", "does not have that address"], "--udp", "192.0.2.1")

    def test_two_relays_do_not_share_a_port(self):
        with Relay("--udp", "127.0.0.2:0") as first:
            self.fails(1, ["another program"], "--udp", "127.0.0.2:%d" % udp_of(first)[0][1])

    def test_without_the_option_there_is_no_udp(self):
        with Relay() as relay:
            self.assertNotIn("udp", relay.ready)
            self.assertNotIn("udp", Node(relay).register())
            self.assertNotIn("teale_relay_stun", relay.get("/metrics")[2])

    def test_the_configuration_file_says_the_same(self):
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
            f.write('listen = "127.0.0.1:0"\nudp = ["127.0.0.2:0", "127.0.0.3:0"]\nudp_announce = "stun.example:5"\n')
            f.flush()
            with Relay("--config", f.name, listen=None) as relay, Client() as c:
                servers = udp_of(relay)
                self.assertEqual(len(servers), 4)
                self.assertEqual(c.ask(servers[0], change(CHANGE_IP))[1], servers[2])
                self.assertEqual(Node(relay).register()["udp"], "stun.example:5")

    def test_with_one_port_for_both_the_next_is_the_other(self):
        port = free_ports(1)
        with Relay("--udp", f"127.0.0.2:{port}", "--udp", f"127.0.0.3:{port}") as relay:
            self.assertEqual([p for _, p in udp_of(relay)], [port, port + 1, port, port + 1])

    def test_two_ports_are_opened_on_both(self):
        a = free_ports(7)
        b = a + 7
        with Relay("--udp", f"127.0.0.2:{a}", "--udp", f"127.0.0.3:{b}") as relay:
            self.assertEqual(udp_of(relay), [("127.0.0.2", a), ("127.0.0.2", b), ("127.0.0.3", a), ("127.0.0.3", b)])

    def test_it_ends_orderly_under_load(self):
        with Relay("--udp", "127.0.0.2:0") as relay, Client() as c:
            server = udp_of(relay)[0]
            for i in range(3000):
                c.sock.sendto(message(), server)
                if i == 1500:
                    relay.signal(signal.SIGTERM)

    def wakeups(self, relay):
        with open(f"/proc/{relay.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", f.read(), re.M)[1])

    def test_it_sleeps_while_nobody_asks(self):
        with Relay("--udp", "127.0.0.2:0", "--udp", "127.0.0.3:0") as relay, Client() as c:
            self.assertIsNotNone(c.ask(udp_of(relay)[0]))
            before = self.wakeups(relay)
            time.sleep(2)
            self.assertLessEqual(self.wakeups(relay) - before, 1)


if __name__ == "__main__":
    NO_NAMESPACE = enter()
    relayproc.BINARY_PATH = sys.argv.pop(1)
    unittest.main(verbosity=2)
