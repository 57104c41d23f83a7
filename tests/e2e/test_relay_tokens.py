#!/usr/bin/env python3
"""test_relay_tokens.py TEALE-RELAY: relayed datagrams of the real program, by raw UDP sockets and WebSockets."""
import os
import re
import socket
import struct
import sys
import threading
import time
import unittest

import controlmsg
import relayproc
import stunmsg
import wsraw
from relayproc import Node, Relay, session

UDP_SEGMENT, UDP_GRO, SOL_UDP = 103, 104, 17
FEATURES = ["quiet", "relay-token"]


def udp_of(relay):
    """Every socket of the ready line."""
    text = re.search(r" udp=(\S+)", relay.ready)[1]
    return [(host.strip("[]"), int(port)) for host, _, port in (a.rpartition(":") for a in text.split(","))]


def metric(relay, name):
    return int(re.search(rf"^teale_relay_{re.escape(name)} (\d+)$", relay.get("/metrics")[2], re.M)[1])


def dropped(relay, reason):
    return metric(relay, f'packets_dropped_total{{reason="{reason}"}}')


def udp_socket(host="127.0.0.1"):
    s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((host, 0))
    s.settimeout(5)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return s


def hears(s, within=0.3):
    """What comes to the socket; None: nothing."""
    s.settimeout(within)
    try:
        return s.recv(1 << 16)
    except TimeoutError:
        return None
    finally:
        s.settimeout(5)


class Side:
    """A node of a session, with its token and a UDP socket."""

    def __init__(self, node, offer, relay):
        self.node, self.offer = node, offer
        self.token = bytes.fromhex(offer["token"])
        self.at = udp_of(relay)[0]
        self.udp = udp_socket()

    def send(self, payload=b"", by=None):
        (by or self.udp).sendto(self.token + payload, self.at)

    def ws(self, payload=b""):
        self.node.send(self.token + payload, wsraw.BINARY)

    def ws_frame(self):
        opcode, payload = self.node.frame()
        assert opcode == wsraw.BINARY, (opcode, payload)
        return payload


class WithTokens(unittest.TestCase):
    ARGS = ["--udp", "127.0.0.1:0"]

    def setUp(self):
        self.relay = Relay(*self.ARGS)
        self.addCleanup(self.relay.__exit__, None, None, None)

    def node(self, features=FEATURES):
        n = Node(self.relay)
        n.ack = n.register(features=features)
        return n

    def pair(self, name="s-1", nodes=None):
        a, b = nodes or (self.node(), self.node())
        session(a, b, name)
        sides = [Side(n, n.expect("relayOffer"), self.relay) for n in (a, b)]
        for s in sides:
            self.addCleanup(s.udp.close)
        return sides

    def bound(self, **kw):
        a, b = self.pair(**kw)
        a.send()
        b.send()
        a.send(b"hello")  # it comes when both are bound
        self.assertEqual(b.udp.recv(100), b"hello")
        return a, b


class Offers(WithTokens):
    def test_both_members_get_their_own_token_and_the_relays_address(self):
        a, b = self.pair()
        for s in (a, b):
            self.assertEqual(s.offer["sessionID"], "s-1")
            self.assertEqual(s.offer["udp"], "%s:%d" % udp_of(self.relay)[0])
            self.assertEqual(s.offer["udp"], s.node.ack["udp"])
            self.assertEqual(s.offer["expiresAt"], 0)
            self.assertNotIn("limitBytesPerSecond", s.offer)
            self.assertTrue(0x80 <= s.token[0] <= 0xBF and len(s.token) == 16)
        self.assertNotEqual(a.token, b.token)

    def test_the_challenge_names_the_feature(self):
        n = wsraw.WebSocket(self.relay.address)
        self.addCleanup(n.close)
        self.assertIn("relay-token", n.message()[1]["features"])

    def test_a_session_with_a_node_without_the_feature_is_as_before(self):
        a, b = self.node(), self.node(features=["quiet"])
        session(a, b, "s-1")
        a.to(b, "relayData", "s-1", data="QUJD")
        self.assertEqual(b.expect("relayData")["data"], "QUJD")
        b.to(a, "relayData", "s-1", data="QUJD")
        self.assertEqual(a.message()[0], "relayData")  # and no relayOffer before it


class Packets(WithTokens):
    def test_udp_and_websocket_reach_each_other_in_all_four_ways(self):
        a, b = self.pair()
        a.ws(b"1")
        self.assertEqual(b.ws_frame(), b"1")
        a.send(b"2")
        self.assertEqual(b.ws_frame(), b"2")
        b.ws(b"3")
        self.assertEqual(a.udp.recv(100), b"3")
        b.send(b"4")
        self.assertEqual(a.udp.recv(100), b"4")
        a.send(b"5")
        self.assertEqual(b.udp.recv(100), b"5")
        b.ws()  # a token alone: b is at its WebSocket again
        a.ws(b"6")
        self.assertEqual(b.ws_frame(), b"6")
        for way in ("udp", "websocket"):
            for to in ("udp", "websocket"):
                self.assertGreaterEqual(metric(self.relay, f'packets_total{{from="{way}",to="{to}"}}'), 1)
        self.assertEqual(metric(self.relay, "udp_sides"), 2)
        forwarded = re.search(r"^tesseras_relay_bytes_forwarded (\d+)$", self.relay.get("/metrics")[2], re.M)[1]
        self.assertEqual(int(forwarded), 6)

    def test_a_train_arrives_whole_and_in_order(self):
        a, b = self.bound()
        b.udp.setsockopt(SOL_UDP, UDP_GRO, 1)
        train = b"".join(a.token + bytes([i]) * 1200 for i in range(40)) + a.token + b"the end"
        a.udp.sendmsg([train], [(SOL_UDP, UDP_SEGMENT, struct.pack("H", 1216))], 0, a.at)
        got, calls = b"", 0
        while not got.endswith(b"the end"):
            got += b.udp.recvmsg(1 << 16, 100)[0]
            calls += 1
        self.assertEqual(got, b"".join(bytes([i]) * 1200 for i in range(40)) + b"the end")
        self.assertLessEqual(calls, 3)  # it left as a train, too

    def test_a_train_that_mixes_sessions_is_taken_apart(self):
        a, b = self.bound(name="s-1")
        c, d = self.pair(name="s-2")
        c.udp = a.udp  # both of one socket: the kernel may join what it sends
        c.send()
        d.send()
        c.send(b"hello")
        self.assertEqual(d.udp.recv(100), b"hello")
        junk = bytes([0x80]) + os.urandom(15)
        parts = [a.token + b"a1", c.token + b"c1", junk + b"xx", a.token + b"a2", c.token + b"c2"]
        a.udp.sendmsg([b"".join(parts) + a.token[:9]], [(SOL_UDP, UDP_SEGMENT, struct.pack("H", 18))], 0, a.at)
        self.assertEqual([b.udp.recv(9), b.udp.recv(9), d.udp.recv(9), d.udp.recv(9)], [b"a1", b"a2", b"c1", b"c2"])
        self.assertEqual((dropped(self.relay, "token"), dropped(self.relay, "short")), (1, 1))

    def test_lengths_at_the_edges(self):
        a, b = self.bound()
        a.udp.sendto(b"", a.at)
        a.udp.sendto(a.token[:15], a.at)
        a.send()  # 16 bytes: a keep-alive
        a.send(b"x")
        self.assertEqual(b.udp.recv(100), b"x")
        self.assertEqual(dropped(self.relay, "short"), 1)
        longest = os.urandom(65507 - 16)
        a.send(longest)
        self.assertEqual(b.udp.recv(1 << 16), longest)
        a.ws(longest + bytes(16))  # 65507 bytes of payload: the longest datagram
        self.assertEqual(len(b.udp.recv(1 << 16)), 65507)
        a.ws(longest + bytes(17))
        a.ws(b"y")
        self.assertEqual(b.udp.recv(100), b"y")
        self.assertEqual(dropped(self.relay, "size"), 1)

    def test_stun_is_answered_beside_tokens(self):
        a, b = self.bound()
        with udp_socket() as s:
            s.sendto(stunmsg.message(), a.at)
            self.assertEqual(s.recv(1000)[:2], struct.pack("!H", stunmsg.SUCCESS))

    def test_json_data_flows_beside_them_and_does_not_move_the_side(self):
        a, b = self.bound()
        b.node.to(a.node, "relayData", "s-1", data="QUJD")
        self.assertEqual(a.node.expect("relayData")["data"], "QUJD")
        a.send(b"still by udp")
        self.assertEqual(b.udp.recv(100), b"still by udp")

    def test_tokens_are_dead_at_once_after_relay_close(self):
        a, b = self.bound()
        b.node.to(a.node, "relayClose", "s-1")
        a.node.expect("relayClose")
        a.send(b"late")
        self.assertIsNone(hears(b.udp))
        self.assertEqual(dropped(self.relay, "token"), 1)
        self.assertEqual(metric(self.relay, "udp_sides"), 0)
        a, b = self.bound(nodes=(a.node, b.node), name="s-2")

    def test_a_member_that_goes_takes_the_tokens_with_it(self):
        a, b = self.bound()
        b.node.close()
        a.node.expect("relayClose")
        a.send(b"late")
        b.send(b"late")
        self.assertIsNone(hears(a.udp))
        self.assertEqual(dropped(self.relay, "token"), 2)


class Threads(WithTokens):
    """Sessions of several loops: what one socket sends goes to the loop of each token."""
    ARGS = ["--threads", "2", "--udp", "127.0.0.1:0"]

    def test_a_train_that_mixes_sessions_of_two_loops_is_taken_apart(self):
        socket_of_all, receivers, parts = udp_socket(), {}, []
        self.addCleanup(socket_of_all.close)
        while len(parts) < 6 or {p[1] % 2 for p in parts} != {0, 1}:  # until both loops have some
            i = len(parts)
            a, b = self.pair(name=f"s-{i}")
            a.udp = socket_of_all
            b.send()
            a.send()
            a.send(b"hello")
            self.assertEqual(b.udp.recv(100), b"hello")
            parts.append(a.token + b"%02d" % i)
            receivers[i] = b
        socket_of_all.sendmsg([b"".join(parts)], [(SOL_UDP, UDP_SEGMENT, struct.pack("H", 18))], 0,
                              udp_of(self.relay)[0])
        for i, b in receivers.items():
            self.assertEqual(b.udp.recv(100), b"%02d" % i)

    def test_a_side_moves_whatever_loop_its_word_comes_to(self):
        for i in range(4):
            a, b = self.bound(name=f"s-{i}")
            with udp_socket() as new:
                Moves.move(self, a, new, 1)
                b.send(b"x")
                self.assertEqual(new.recv(100), b"x")

    migrate = lambda self, *args, **kw: Moves.migrate(self, *args, **kw)  # noqa: E731


class Wildcard(WithTokens):
    ARGS = ["--udp", "0.0.0.0:0", "--name", "localhost", "--udp-announce", "127.0.0.1"]

    def node(self, features=FEATURES):
        n = Node(self.relay, authority="localhost")
        n.ack = n.register(features=features)
        return n

    def test_it_sends_from_the_address_at_which_each_side_came(self):
        a, b = self.pair()
        port = udp_of(self.relay)[0][1]
        a.at, b.at = ("127.0.0.5", port), ("127.0.0.6", port)
        a.send()
        b.send()
        a.send(b"x")
        self.assertEqual(b.udp.recvfrom(100), (b"x", b.at))
        b.ws(b"y")
        self.assertEqual(a.udp.recvfrom(100), (b"y", a.at))


class Attacks(WithTokens):
    def test_a_million_guessed_tokens_cost_honest_packets_nothing(self):
        a, b = self.bound()
        thief = udp_socket()
        self.addCleanup(thief.close)
        sent, lost, taken = 0, 0, 0
        size, per_call = 32, 60
        began = time.monotonic()
        while sent < 1_000_000:
            junk = bytearray(os.urandom(size * per_call))
            junk[::size] = bytes(0x80 | v & 0x3F for v in junk[::size])
            try:
                thief.sendmsg([junk], [(SOL_UDP, UDP_SEGMENT, struct.pack("H", size))], 0, a.at)
            except BlockingIOError:
                continue
            sent += per_call
            if sent % 12000 == 0:
                a.send(b"honest %d" % sent)
                if hears(b.udp, 0.5) == b"honest %d" % sent:
                    taken += 1
                else:
                    lost += 1
        seen = dropped(self.relay, "token")
        self.assertGreater(seen, 500_000)  # what the kernel did not drop for want of room
        self.assertGreaterEqual(taken, 0.9 * (taken + lost), f"{lost} lost, {time.monotonic() - began:.1f} s")
        self.assertEqual(metric(self.relay, "udp_sides"), 2)

    def test_a_stolen_token_is_worth_nothing_from_another_address(self):
        a, b = self.bound()
        thief = udp_socket()
        self.addCleanup(thief.close)
        a.send(b"stolen", by=thief)
        self.assertIsNone(hears(b.udp))
        b.send(b"for a")
        self.assertEqual(a.udp.recv(100), b"for a")
        self.assertIsNone(hears(thief, 0.1))
        self.assertEqual(dropped(self.relay, "source"), 1)
        other = self.node()
        other.send(a.token + b"stolen", wsraw.BINARY)  # on another node's WebSocket
        other.send(b"", wsraw.PING)
        self.assertEqual(other.frame()[0], wsraw.PONG)  # which stays open
        self.assertEqual(dropped(self.relay, "source"), 2)

    def test_control_datagrams_of_strangers_get_no_answer(self):
        a, b = self.bound()
        with udp_socket() as s:
            for name, raw in controlmsg.examples():
                s.sendto(raw, a.at)
            s.sendto(b"\x0c", a.at)
            s.sendto(b"\x0c" + bytes(1400), a.at)
            self.assertIsNone(hears(s))
        self.assertEqual(dropped(self.relay, "control"), len(list(controlmsg.examples())) + 2)


class Moves(WithTokens):
    def migrate(self, side, to, sequence, signer=None, timestamp=None, by=None):
        raw = controlmsg.datagram("RelayMigrate", signer or side.node.key, newAddr="%s:%d" % to, sequence=sequence,
                                  timestamp=int(time.time() if timestamp is None else timestamp), token=side.token)
        (by or side.udp).sendto(raw, side.at)
        return raw

    def move(self, side, new, sequence, by=None):
        """Moves the side to that socket."""
        self.migrate(side, new.getsockname(), sequence, by=by)
        name, path = controlmsg.read(new.recv(1000))
        self.assertEqual((name, path["sequence"]), ("RelayPath", sequence))
        new.sendto(controlmsg.datagram("RelayPathReply", nonce=path["nonce"], token=side.token), side.at)
        self.assertEqual(controlmsg.read(new.recv(1000)), ("RelayMigrated", {"sequence": sequence}))

    def test_a_side_moves_to_the_address_that_answers(self):
        a, b = self.bound()
        new = udp_socket()
        self.addCleanup(new.close)
        self.move(a, new, 1)
        b.send(b"x")
        self.assertEqual(new.recv(100), b"x")
        a.send(b"from the old one")
        a.send(b"y", by=new)
        self.assertEqual(b.udp.recv(100), b"y")
        self.assertEqual(metric(self.relay, 'migrations_total{result="moved"}'), 1)
        self.assertEqual(dropped(self.relay, "source"), 1)

    def test_a_thief_that_bound_first_is_displaced(self):
        a, b = self.pair()
        thief = udp_socket()
        self.addCleanup(thief.close)
        a.send(by=thief)
        a.send(b"in vain")
        b.send(b"to the thief")
        self.assertEqual(thief.recv(100), b"to the thief")  # sealed end to end, so worth nothing to it
        self.move(a, a.udp, 1)
        b.send(b"to a")
        self.assertEqual(a.udp.recv(100), b"to a")

    def test_it_may_be_asked_for_by_websocket(self):
        a, b = self.bound()
        new = udp_socket()
        self.addCleanup(new.close)
        raw = controlmsg.datagram("RelayMigrate", a.node.key, newAddr="%s:%d" % new.getsockname(), sequence=1,
                                  timestamp=int(time.time()), token=a.token)
        a.node.send(raw, wsraw.BINARY)
        self.assertEqual(controlmsg.read(new.recv(1000))[0], "RelayPath")

    def test_a_victim_gets_three_short_datagrams_and_then_nothing(self):
        a, b = self.bound()
        victim = udp_socket()
        self.addCleanup(victim.close)
        raw = self.migrate(a, victim.getsockname(), 1)
        began, got = time.monotonic(), []
        while (one := hears(victim, 1.5)) is not None:
            got.append(one)
        self.assertEqual(len(got), 3)
        self.assertLessEqual(sum(map(len, got)), len(raw))
        self.assertLess(time.monotonic() - began, 4)
        b.send(b"still to the old one")
        self.assertEqual(a.udp.recv(100), b"still to the old one")
        self.assertEqual(metric(self.relay, 'migrations_total{result="unanswered"}'), 1)

    def test_what_is_forged_replayed_old_or_leads_astray_is_refused(self):
        a, b = self.bound()
        new = udp_socket()
        self.addCleanup(new.close)
        at = new.getsockname()
        self.migrate(a, at, 1, signer=b.node.key)
        self.migrate(a, at, 1, timestamp=time.time() - 60)
        self.migrate(a, at, 0)
        self.migrate(a, a.at, 1)                    # the relay's own address
        self.migrate(a, ("224.0.0.1", 5), 1)
        self.migrate(a, ("198.51.100.1", 5), 1)     # not loopback, as its socket is
        self.assertIsNone(hears(new))
        self.assertEqual(metric(self.relay, 'migrations_total{result="refused"}'), 6)
        time.sleep(0.3)  # four signatures a second are looked at
        self.move(a, new, 5)
        raw = self.migrate(a, at, 5)                # an old sequence
        new.sendto(raw, a.at)
        self.migrate(a, at, 4)
        self.assertIsNone(hears(new))
        self.assertEqual(metric(self.relay, 'migrations_total{result="refused"}'), 9)

    def test_only_the_new_address_can_answer(self):
        a, b = self.bound()
        new, thief = udp_socket(), udp_socket()
        self.addCleanup(new.close)
        self.addCleanup(thief.close)
        self.migrate(a, new.getsockname(), 1)
        path = controlmsg.read(new.recv(1000))[1]
        reply = controlmsg.datagram("RelayPathReply", nonce=path["nonce"], token=a.token)
        thief.sendto(reply, a.at)
        new.sendto(controlmsg.datagram("RelayPathReply", nonce=bytes(16), token=a.token), a.at)
        self.assertIsNone(hears(thief))
        self.assertEqual(dropped(self.relay, "control"), 2)
        new.sendto(reply, a.at)
        while controlmsg.read(got := new.recv(1000))[0] == "RelayPath":
            pass
        self.assertEqual(controlmsg.read(got)[0], "RelayMigrated")


class Limits(WithTokens):
    ARGS = ["--udp", "127.0.0.1:0", "--limits", "--relay-idle-timeout-secs", "2", "--relay-session-max-secs", "6",
            "--relay-session-warn-secs", "2", "--relay-pause-secs", "2", "--relay-max-sessions", "12"]

    def test_ten_sessions_of_one_node_share_its_rate_however_much_it_sends(self):
        a = self.node()
        pairs = [self.pair(name=f"s-{i}", nodes=(a, self.node())) for i in range(10)]
        self.assertEqual(pairs[0][0].offer["limitBytesPerSecond"], 65536)
        for mine, other in pairs:
            mine.send()
            other.send()
            other.udp.setblocking(False)
        time.sleep(0.2)
        got, sent, payload = 0, 0, os.urandom(1000)
        began = time.monotonic()
        while (now := time.monotonic()) < began + 4:
            while sent < 2_000_000 * (now - began):  # 2 MB/s
                pairs[sent // 1000 % 10][0].send(payload)
                sent += 1000
            for _, other in pairs:
                try:
                    while True:
                        got += len(other.udp.recv(2000))
                except BlockingIOError:
                    pass
            time.sleep(0.002)
        took = time.monotonic() - began
        self.assertGreater(sent, 7_000_000)
        self.assertLessEqual(got, 65536 * (took + 0.5) * 1.05)
        self.assertGreaterEqual(got, 65536 * took * 0.8)
        self.assertGreater(dropped(self.relay, "rate"), 5000)

    def test_the_sender_of_relay_data_is_held_to_the_same_rate(self):
        a, b = self.node(["quiet"]), self.node(["quiet"])
        session(a, b, "s-1")
        data = "QUJD" * 1000
        text = wsraw.frame(wsraw.as_text("relayData", {"fromNodeID": a.id, "toNodeID": b.id, "sessionID": "s-1",
                                                       "data": data}))
        a.sock.setblocking(False)
        queue, got, began = b"", 0, time.monotonic()
        b.sock.settimeout(0.01)
        while time.monotonic() < began + 4:
            queue = queue or text * 20
            try:
                queue = queue[a.sock.send(queue):]
            except BlockingIOError:
                pass
            try:
                self.assertEqual(b.message()[0], "relayData")
                got += 3000
            except TimeoutError:
                pass
        took = time.monotonic() - began
        self.assertLessEqual(got, 65536 * (took + 0.5) * 1.05)
        self.assertGreaterEqual(got, 65536 * took * 0.7)

    def test_a_session_is_warned_of_its_end_and_cannot_be_reopened_at_once(self):
        a, b = self.bound()
        ends = a.offer["expiresAt"]
        self.assertAlmostEqual(ends, time.time() + 6, delta=2)
        began, kinds = time.monotonic(), []
        for side in (a, b):
            side.node.sock.settimeout(0.2)
        while "relayClose" not in kinds and time.monotonic() < began + 12:
            a.send()  # keep-alives: it is not idle
            try:
                kind, payload = a.node.message()
            except TimeoutError:
                continue
            kinds.append(kind)
            self.assertEqual(payload["sessionID"], "s-1")
            if kind == "relayWarning":
                self.assertEqual((payload["reason"], payload["endsAt"]), ("session_max", ends))
        self.assertEqual(kinds, ["relayWarning", "relayClose"])
        self.assertEqual(payload["reason"], "session_max")
        self.assertAlmostEqual(time.monotonic() - began, 6, delta=1)
        for side in (a, b):
            side.node.sock.settimeout(5)
        a.node.to(b.node, "relayOpen", "s-2")
        a.node.expect_error("rate_limited")
        self.pair(name="s-3", nodes=(a.node, self.node()))  # with another node it may
        time.sleep(2.2)
        self.assertEqual([b.node.message()[0] for _ in range(2)], ["relayWarning", "relayClose"])
        a.node.sock.settimeout(5)
        a.node.to(b.node, "relayOpen", "s-4")
        b.node.expect("relayOpen")

    def test_an_idle_session_ends(self):
        a, b = self.bound()
        closed = a.node.expect("relayClose")
        self.assertEqual(closed["reason"], "idle")
        self.assertEqual(b.node.expect("relayClose")["reason"], "idle")
        a.send(b"late")
        self.assertIsNone(hears(b.udp, 0.1))

    def test_one_session_too_many_is_busy(self):
        a = self.node(["quiet"])
        others = [self.node(["quiet"]) for _ in range(13)]
        for i, other in enumerate(others[:12]):
            session(a, other, f"s-{i}")
        a.to(others[12], "relayOpen", "s-12")
        error = a.expect_error("busy")
        self.assertEqual((error["about"], error["sessionID"]), ("relayOpen", "s-12"))
        a.to(others[0], "relayClose", "s-0")
        session(a, others[12], "s-12")


class LongMessages(WithTokens):
    ARGS = ["--limits", "--relay-bootstrap-kbps", "1024", "--relay-burst-ms", "100"]

    def test_a_message_longer_than_the_burst_and_the_relays_buffer_waits_and_comes_whole(self):
        a, b = self.node(["quiet"]), self.node(["quiet"])
        session(a, b, "s-1")
        data = ["%s%s" % (chr(65 + i) * 4, "QUJD" * 99_999) for i in range(8)]
        began = time.monotonic()

        def send():
            for text in data:
                a.to(b, "relayData", "s-1", data=text)
            a.send(b"behind it", wsraw.PING)

        sender = threading.Thread(target=send)
        sender.start()
        b.sock.settimeout(10)
        for text in data:
            self.assertEqual(b.expect("relayData")["data"], text)
        sender.join()
        self.assertEqual(a.frame(), (wsraw.PONG, b"behind it"))
        self.assertGreaterEqual(time.monotonic() - began, 7 * 300_000 / (1 << 20) - 0.2)


class Friends(WithTokens):
    def setUp(self):
        self.friend = relayproc.new_key()
        self.relay = Relay("--udp", "127.0.0.1:0", "--limits", "--reciprocal", self.friend.public.hex())
        self.addCleanup(self.relay.__exit__, None, None, None)

    def test_a_reciprocal_node_gets_more_and_no_end(self):
        friend = Node(self.relay, key=self.friend)
        friend.register(features=FEATURES)
        a, b = self.pair(nodes=(friend, self.node()))
        self.assertEqual((a.offer["limitBytesPerSecond"], a.offer["expiresAt"]), (256 * 1024, 0))
        self.assertEqual((b.offer["limitBytesPerSecond"], b.offer["expiresAt"]), (64 * 1024, 0))
        c, d = self.pair(name="s-2")
        self.assertEqual(c.offer["limitBytesPerSecond"], 64 * 1024)
        self.assertAlmostEqual(c.offer["expiresAt"], time.time() + 600, delta=3)


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    unittest.main(verbosity=2)
