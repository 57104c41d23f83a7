#!/usr/bin/env python3
"""test_relay.py TEALE-RELAY: the real program on loopback, spoken to in raw frames (docs/protocol.md)."""
import base64
import json
import os
import pathlib
import re
import resource
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import relayproc
import wsraw
from relayproc import Node, Relay, new_key, session
from wsraw import Ended, frame


class WithRelay(unittest.TestCase):
    """One relay for all tests of a class; each uses keys of its own."""
    args = ()

    @classmethod
    def setUpClass(cls):
        cls.relay = Relay(*cls.args)

    @classmethod
    def tearDownClass(cls):
        cls.relay.__exit__(None, None, None)

    def node(self, **kw):
        n = Node(self.relay, **kw)
        self.addCleanup(n.close)
        return n

    def registered(self, **kw):
        n = self.node(**kw)
        n.register()
        return n

    def pair(self, name):
        a, b = self.registered(), self.registered()
        session(a, b, name)
        return a, b


class Registering(WithRelay):
    def refused(self, node, code, **changes):
        node.send_message("register", node.registration(**changes))
        node.expect_error(code)
        self.assertEqual(node.close_code(), 1008)

    def test_a_right_proof_is_acknowledged_and_counted(self):
        before = self.relay.peer_count()
        ack = self.registered().register()  # twice is allowed: new capabilities
        self.assertEqual(ack["ttlSeconds"], 300)
        self.assertLess(abs(ack["registeredAt"] + 978307200 - time.time()), 5)
        self.assertEqual(self.relay.peer_count(), before + 1)

    def test_the_proof_for_another_relay_is_refused(self):
        self.refused(self.node(authority="relay.example"), "unauthorized")

    def test_localhost_and_the_ip_dialled_are_accepted_names(self):
        self.registered(authority=f"localhost:{self.relay.address[1]}")
        self.registered(authority=f"127.0.0.1:{self.relay.address[1]}")

    def test_a_proof_seen_on_another_connection_is_refused(self):
        first = self.registered()
        second = self.node(key=first.key)
        replay = first.registration()["challengeSignature"]
        self.refused(second, "unauthorized", challengeSignature=replay)

    def test_a_proof_by_another_key_is_refused(self):
        n = self.node()
        wrong = n.registration()["challengeSignature"]
        flipped = f"{int(wrong[0], 16) ^ 1:x}{wrong[1:]}"
        self.refused(n, "unauthorized", challengeSignature=flipped)

    def test_without_proof_a_legacy_client_is_refused(self):
        self.refused(self.node(), "unauthorized", challengeSignature=...)

    def test_a_malformed_registration_is_refused(self):
        for changes in ({"nodeID": "00"}, {"publicKey": new_key().public.hex()}, {"capabilities": ...},
                        {"displayName": 7}):
            with self.subTest(changes=changes):
                self.refused(self.node(), "invalid_register", **changes)

    def test_small_order_and_non_canonical_keys_are_refused(self):
        small = ["00" * 32, "01" + "00" * 31, "ec" + "ff" * 30 + "7f", "ed" + "ff" * 30 + "7f",
                 "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"]
        for key in small:
            with self.subTest(key=key):
                n = self.node()
                n.send_message("register", n.registration(nodeID=key, publicKey=key))
                self.assertIn(n.expect("error")["code"], ("invalid_register", "unauthorized"))
                self.assertEqual(n.close_code(), 1008)

    def test_a_second_identity_on_one_socket_is_forbidden(self):
        n, other = self.registered(), self.node()
        n.send_message("register", other.registration())
        n.expect_error("forbidden")

    def test_a_second_socket_of_a_node_replaces_the_first(self):
        first = self.registered()
        self.registered(key=first.key)
        first.expect_error("replaced")
        self.assertEqual(first.close_code(), 1012)

    def test_before_registering_nothing_else_is_served(self):
        n = self.node()
        n.send_message("discover", {"requestingNodeID": n.id, "filter": None})
        n.expect_error("not_registered")

    def test_swift_wrapping_is_understood(self):
        n = self.node()
        n.send_message("register", {"_0": n.registration()})
        n.expect("registerAck")


class Refusals(WithRelay):
    def test_a_refused_registration_is_logged_with_its_cause_and_counted(self):
        self.registered()
        self.assertFalse([l for l in self.relay.log if "refused" in l])
        for _ in range(3):
            n = self.node(authority="relay.example")
            n.send_message("register", n.registration())
            n.expect_error("unauthorized")
        self.relay.wait_log("event=registrations_refused count=1 last_from=127.0.0.1")
        self.relay.wait_log("no proof of its key for this relay")
        self.assertEqual(len([l for l in self.relay.log if "refused" in l]), 1)  # once a minute
        self.assertIn('teale_relay_registrations_refused_total{reason="proof"} 3', self.relay.get("/metrics")[2])


class LegacyClients(WithRelay):
    args = ("--legacy-clients",)

    def test_a_node_without_challenge_answer_is_admitted_by_its_signature(self):
        n = self.node()
        n.register(challengeSignature=...)

    def test_and_refused_when_that_signature_is_wrong(self):
        n = self.node()
        n.send_message("register", n.registration(challengeSignature=..., signature="00" * 64))
        n.expect_error("unauthorized")
        self.assertEqual(n.close_code(), 1008)

    def test_the_challenge_is_answered_as_before(self):
        self.registered()


class Names(unittest.TestCase):
    def test_a_configured_name_is_the_only_one(self):
        with Relay("--name", "Relay.Example:444") as relay:
            Node(relay, authority="relay.example:444").register()
            n = Node(relay)
            n.send_message("register", n.registration())
            n.expect_error("unauthorized")


class Messages(WithRelay):
    def test_who_speaks_for_another_is_refused(self):
        a, b = self.registered(), self.registered()
        a.send_message("offer", {"fromNodeID": b.id, "toNodeID": a.id, "sessionID": "s",
                                 "connectionInfo": {}, "signature": "00"})
        a.expect_error("forbidden")

    def test_names_spelled_with_escapes_hide_no_other_sender(self):
        a, b, victim = self.registered(), self.registered(), self.registered()
        ids = {"fromNodeID": a.id, "toNodeID": b.id, "sessionID": "s", "connectionInfo": {}, "signature": "00"}
        hidden = {**ids, "fromNodeID": victim.id}
        for spelled, text in (
                ('"\\u005f0"', {**ids, "@": hidden}), ('"_\\u0030"', {"@": hidden, **ids}),
                ('"\\u0066romNodeID"', {**ids, "@": victim.id})):
            with self.subTest(spelled=spelled):
                a.send(json.dumps({"offer": text}).replace('"@"', spelled).encode())
                self.assertIn(a.expect("error")["code"], ("invalid_message", "invalid_json"))
        a.send_message("offer", {**ids, "_1": hidden})
        self.assertEqual(b.expect("offer")["fromNodeID"], a.id)

    def test_discover_pages_through_everybody(self):
        nodes = [self.registered() for _ in range(5)]
        seen, cursor = set(), None
        while True:
            ask = {"requestingNodeID": nodes[0].id, "filter": None, "limit": 2}
            if cursor:
                ask["cursor"] = cursor
            nodes[0].send_message("discover", ask)
            answer = nodes[0].expect("discoverResponse")
            self.assertLessEqual(len(answer["peers"]), 2)
            seen |= {p["nodeID"] for p in answer["peers"]}
            cursor = answer.get("cursor")
            if not cursor:
                break
        self.assertLessEqual({n.id for n in nodes[1:]}, seen)

    def test_presence_reaches_those_who_want_it(self):
        watcher = self.node()
        watcher.register(features=[])
        other = self.registered()
        self.assertEqual(watcher.expect("peerJoined")["nodeID"], other.id)
        other.close()
        self.assertEqual(watcher.expect("peerLeft")["nodeID"], other.id)

    def test_bad_json_is_named_and_the_socket_lives(self):
        n = self.registered()
        cases = [("not json", "invalid_json"), ("{} x", "invalid_json"), ('{"a":1,"a":2}', "invalid_json"),
                 ('{"discover":' + "[" * 16 + "]" * 16 + "}", "invalid_json"),
                 ('{"discover":{"x":"\\ud800"}}', "invalid_json"), ("[]", "invalid_message"),
                 ('{"discover":{},"offer":{}}', "invalid_message"), ('{"nonsense":{}}', "unsupported_message"),
                 ('{"relayOpen":{"fromNodeID":7}}', "invalid_message")]
        for text, code in cases:
            with self.subTest(text=text):
                n.send(text.encode())
                n.expect_error(code)

    def test_a_large_control_message_is_refused(self):
        n = self.registered()
        n.send_message("offer", {"fromNodeID": n.id, "toNodeID": n.id, "sessionID": "s", "pad": "x" * 70000})
        n.expect_error("too_large")


class Sessions(WithRelay):
    def test_data_flows_both_ways_between_open_and_close(self):
        a, b = self.pair("s-1")
        a.to(b, "relayData", "s-1", data="cXVlc3Rpb24=")
        self.assertEqual(b.expect("relayData"),
                         {"fromNodeID": a.id, "toNodeID": b.id, "sessionID": "s-1", "data": "cXVlc3Rpb24="})
        b.to(a, "relayData", "s-1", data="YW5zd2Vy")
        self.assertEqual(a.expect("relayData")["data"], "YW5zd2Vy")
        a.to(b, "relayClose", "s-1")
        b.expect("relayClose")
        a.to(b, "relayData", "s-1", data="AA==")
        a.expect_error("session_not_found")

    def test_no_data_before_the_other_is_ready(self):
        a, b = self.registered(), self.registered()
        a.to(b, "relayOpen", "early")
        b.expect("relayOpen")
        a.to(b, "relayData", "early", data="AA==")
        a.expect_error("session_not_found")

    def test_a_stranger_reaches_into_no_session(self):
        a, b = self.pair("private")
        mallory = self.registered()
        for kind, more in (("relayData", {"data": "AA=="}), ("relayClose", {}), ("relayReady", {})):
            mallory.to(b, kind, "private", **more)
            self.assertIn(mallory.expect("error")["code"], ("session_not_found", "forbidden"))
        mallory.to(b, "relayOpen", "private")
        mallory.expect_error("forbidden")
        a.to(b, "relayData", "private", data="c3RpbGwgb3Vycw==")
        self.assertEqual(b.expect("relayData")["data"], "c3RpbGwgb3Vycw==")

    def test_a_session_ends_with_the_socket_of_a_member(self):
        a, b = self.pair("torn")
        a.close()
        self.assertEqual(b.expect("relayClose")["sessionID"], "torn")

    def test_opening_to_nobody_is_an_error(self):
        a = self.registered()
        absent = new_key().public.hex()
        a.send_message("relayOpen", {"fromNodeID": a.id, "toNodeID": absent, "sessionID": "x"})
        # The gateway of the public network reads the node ID out of these words.
        self.assertEqual(a.expect_error("peer_not_found")["message"], f"Peer {absent} is not connected")
        a.send_message("relayOpen", {"fromNodeID": a.id, "toNodeID": "nobody", "sessionID": "x"})
        self.assertEqual(a.expect_error("peer_not_found")["message"], "no such node is connected")

    def test_every_size_arrives_whole_whether_in_one_piece_or_many(self):
        a, b = self.pair("sizes")
        for n in (0, 1, 90, 125, 300, 65000, 66000, 200_000, 300_000, 3_000_000):
            data = base64.b64encode(os.urandom(n)).decode()
            text = json.dumps({"relayData": {"fromNodeID": a.id, "toNodeID": b.id, "sessionID": "sizes",
                                             "data": data}}).encode()
            with self.subTest(n=n, how="one frame"):
                a.send(text)
                self.assertEqual(b.expect("relayData")["data"], data)
            with self.subTest(n=n, how="three frames with a ping between"):
                third = len(text) // 3
                a.send(text[:third], fin=False)
                a.send(b"?", wsraw.PING)
                a.send(text[third:2 * third], 0, fin=False)
                a.send(text[2 * third:], 0)
                self.assertEqual(b.expect("relayData")["data"], data)
                self.assertEqual(a.frame(), (wsraw.PONG, b"?"))

    def test_a_frame_that_comes_byte_by_byte_is_understood(self):
        a, b = self.pair("slow-motion")
        for byte in frame(json.dumps({"relayData": {"fromNodeID": a.id, "toNodeID": b.id,
                                                    "sessionID": "slow-motion", "data": "AQI="}}).encode()):
            a.sock.sendall(bytes([byte]))
        self.assertEqual(b.expect("relayData")["data"], "AQI=")

    def test_many_messages_in_one_write_arrive_in_order(self):
        a, b = self.pair("burst")
        texts = [base64.b64encode(b"%06d" % i).decode() for i in range(3000)]
        burst = b"".join(frame(json.dumps({"relayData": {"fromNodeID": a.id, "toNodeID": b.id, "sessionID": "burst",
                                                         "data": t}}).encode()) for t in texts)
        threading.Thread(target=a.sock.sendall, args=(burst,)).start()
        self.assertEqual([b.expect("relayData")["data"] for _ in texts], texts)


class Frames(WithRelay):
    def test_each_illegal_frame_ends_with_its_code(self):
        text = b'{"discover":{}}'
        cases = {
            "unmasked": (frame(text, mask=None), 1002),
            "first reserved bit": (frame(text, rsv=4), 1002),
            "last reserved bit": (frame(text, rsv=1), 1002),
            "reserved data opcode": (frame(text, 3), 1002),
            "reserved control opcode": (frame(b"", 11), 1002),
            "length in 2 bytes though 1 would do": (frame(text, wide=2), 1002),
            "length in 8 bytes though 2 would do": (frame(b" " * 200, wide=8), 1002),
            "length with the top bit set": (frame(b"", length=1 << 63, wide=8), 1002),
            "fragmented ping": (frame(b"", wsraw.PING, fin=False), 1002),
            "ping of 126 bytes": (frame(b"x" * 126, wsraw.PING), 1002),
            "continuation of nothing": (frame(text, 0), 1002),
            "new message inside a fragmented one": (frame(text, fin=False) + frame(text), 1002),
            "close with one byte": (frame(b"\x03", wsraw.CLOSE), 1002),
            "close with code 1005": (frame(struct.pack(">H", 1005), wsraw.CLOSE), 1002),
            "close with a reason that is no UTF-8": (frame(struct.pack(">H", 1000) + b"\xff", wsraw.CLOSE), 1007),
            "text that is no UTF-8": (frame(b'{"\xc0\xaf":1}'), 1007),
            "surrogate in UTF-8": (frame(b'{"\xed\xa0\x80":1}'), 1007),
            "announces more than 4 MiB": (frame(b"", length=(4 << 20) + 1), 1009),
        }
        for name, (bytes_, code) in cases.items():
            with self.subTest(name):
                n = self.registered()
                n.sock.sendall(bytes_)
                self.assertEqual(n.close_code(), code)

    def test_fragments_that_add_up_to_too_much_are_refused(self):
        n = self.registered()
        n.send(b"x" * (3 << 20), fin=False)
        n.send(b"x" * (3 << 20), 0)
        self.assertEqual(n.close_code(), 1009)

    def test_binary_frames_have_no_meaning_here(self):
        n = self.registered()
        n.send(b"\x40" * 16 + b"payload", wsraw.BINARY)
        n.expect_error("unsupported_message")

    def test_a_ping_is_answered_with_its_bytes(self):
        n = self.registered()
        n.send(b"are you there", wsraw.PING)
        self.assertEqual(n.frame(), (wsraw.PONG, b"are you there"))

    def test_a_close_is_answered_with_its_code_and_the_end(self):
        n = self.registered()
        n.send(struct.pack(">H", 1000), wsraw.CLOSE)
        self.assertEqual(n.frame(), (wsraw.CLOSE, struct.pack(">H", 1000)))
        with self.assertRaises(Ended):
            n.frame()


class OverHttp(WithRelay):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        token = os.path.join(cls.dir.name, "token")
        with open(token, "w", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write("correct-horse\n")
        cls.args = ("--admin-token-file", token)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.dir.cleanup()

    def test_health(self):
        status, head, body = self.relay.get("/health?x=1")
        self.assertEqual((status, json.loads(body)["ok"]), (200, True))
        self.assertIn("application/json", head)

    def test_metrics_name_no_node(self):
        n = self.registered()
        status, head, body = self.relay.get("/metrics")
        self.assertEqual(status, 200)
        self.assertIn("text/plain; version=0.0.4", head)
        self.assertIn("# TYPE teale_relay_", body)
        self.assertNotIn(n.id, body)

    def test_peers_only_for_the_operator(self):
        n = self.registered()
        self.assertEqual(self.relay.get("/peers")[0], 401)
        for wrong in ("Bearer correct-hors", "Bearer correct-horsee", "Bearer ", "Basic correct-horse", "Bearer"):
            self.assertEqual(self.relay.get("/peers", f"Authorization: {wrong}")[0], 403, wrong)
        twice = self.relay.get("/peers", "Authorization: Bearer correct-horse", "Authorization: Bearer x")
        self.assertEqual(twice[0], 403)
        status, _, body = self.relay.get("/peers", "Authorization: Bearer correct-horse")
        self.assertEqual(status, 200)
        self.assertIn(n.id, [p["nodeID"] for p in json.loads(body)["peers"]])

    def test_where_no_token_is_configured_there_is_no_peers(self):
        with Relay() as relay:
            self.assertEqual(relay.get("/peers", "Authorization: Bearer x")[0], 404)

    def test_everything_else_is_refused_by_its_own_status(self):
        upgrade = ("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: {}\r\nSec-WebSocket-Key: {}\r\n\r\n")
        cases = {
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n": 404,
            "GET /wsx HTTP/1.1\r\nHost: x\r\n\r\n": 404,
            "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n": 405,
            "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n": 426,
            upgrade.format(12, "AAAAAAAAAAAAAAAAAAAAAA=="): 426,
            upgrade.format(13, "short"): 400,
            "GET /health HTTP/1.1\r\n\r\n": 400,
            "GET /health HTTP/1.1\nHost: x\n\n": 400,
            "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": 400,
            "GET /health HTTP/3.0\r\nHost: x\r\n\r\n": 505,
            "GET /health HTTP/1.1\r\nHost: x\r\nX: " + "y" * 17000 + "\r\n\r\n": 431,
        }
        for request, status in cases.items():
            with self.subTest(request=request[:80]):
                self.assertEqual(self.relay.http(request)[0], status)

    def test_a_request_that_comes_byte_by_byte_is_understood(self):
        with socket.create_connection(self.relay.address, timeout=5) as s:
            for byte in b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n":
                s.sendall(bytes([byte]))
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200"))

    def test_the_first_frame_may_come_with_the_upgrade(self):
        with socket.create_connection(self.relay.address, timeout=5) as s:
            s.sendall(b"GET /ws?node=abc HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
                      b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                      + frame(b"hi", wsraw.PING))
            got = b""
            while b"\x8a\x02hi" not in got:
                more = s.recv(4096)
                self.assertTrue(more, got)
                got += more
            self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", got)  # RFC 6455 1.3


class Patience(WithRelay):
    def test_who_does_not_register_or_not_even_ask_is_cut_after_ten_seconds(self):
        began = time.monotonic()
        silent = socket.create_connection(self.relay.address, timeout=15)
        half = socket.create_connection(self.relay.address, timeout=15)
        half.sendall(b"GET /ws HTTP/1.1\r\nHost:")
        upgraded = self.node(timeout=15)
        registered = self.registered(timeout=15)
        for s in (silent, half):
            try:
                while s.recv(1000):
                    pass
            except ConnectionResetError:
                pass
            self.assertTrue(8 < time.monotonic() - began < 13)
            s.close()
        upgraded.close_code()
        self.assertTrue(8 < time.monotonic() - began < 13)
        registered.send(b"still", wsraw.PING)
        self.assertEqual(registered.frame(), (wsraw.PONG, b"still"))

    def test_a_reader_that_stops_ends_its_session_and_hurts_nobody_else(self):
        a, b = self.registered(timeout=20), self.registered(rcvbuf=4096, timeout=20)
        session(a, b, "stuck")
        c, d = self.pair("fine")
        chunk = base64.b64encode(bytes(48 << 10)).decode()
        text = frame(json.dumps({"relayData": {"fromNodeID": a.id, "toNodeID": b.id, "sessionID": "stuck",
                                               "data": chunk}}).encode())
        stop = threading.Event()

        def flood():
            try:
                while not stop.is_set():
                    a.sock.sendall(text)
            except OSError:
                pass

        thread = threading.Thread(target=flood)
        thread.start()
        began = time.monotonic()
        slowest = 0
        while time.monotonic() - began < 3:
            t = time.monotonic()
            c.to(d, "relayData", "fine", data="AA==")
            d.expect("relayData")
            slowest = max(slowest, time.monotonic() - t)
        stop.set()
        kinds = []
        while "error" not in kinds:
            kind, payload = a.message()
            kinds.append(kind)
            if kind == "error":
                self.assertIn(payload["code"], ("busy", "session_not_found"))
        thread.join()
        self.assertLess(slowest, 0.5)

    def test_half_sent_giants_do_not_fill_the_memory(self):
        giant = frame(b"x" * (31 << 17), length=4 << 20, wide=8)  # the last 128 KiB never come
        nodes = [self.registered(timeout=10) for _ in range(70)]
        for n in nodes:
            try:
                n.sock.sendall(giant)
            except OSError:
                pass  # it was ended while it sent
        self.relay.wait_log("event=memory_exceeded ")
        with open(f"/proc/{self.relay.process.pid}/status", encoding="ascii") as f:
            rss = int(next(l for l in f if l.startswith("VmRSS")).split()[1])
        with open(f"/proc/{self.relay.process.pid}/maps", encoding="ascii", errors="replace") as f:
            if "libasan" not in f.read():  # which keeps what is freed
                self.assertLess(rss, 170 << 10)
        self.registered()

    def test_half_open_sockets_by_the_hundred_keep_no_honest_node_out(self):
        flood = []
        for _ in range(500):
            s = socket.socket()
            s.bind(("127.0.0.2", 0))
            try:
                s.connect(self.relay.address)
            except OSError:
                pass
            flood.append(s)
        began = time.monotonic()
        self.registered()
        self.assertLess(time.monotonic() - began, 2)
        refused = 0
        for s in flood:
            s.setblocking(False)
            try:
                refused += s.recv(1) == b""
            except BlockingIOError:
                pass
            except OSError:
                refused += 1
            s.close()
        self.assertGreaterEqual(refused, 400)  # 100 unregistered of one address (PROTOCOL 2)


class Ending(unittest.TestCase):
    def test_sigterm_tells_the_nodes_and_ends_well(self):
        with Relay() as relay:
            nodes = [Node(relay) for _ in range(3)]
            for n in nodes[:2]:
                n.register()
            began = time.monotonic()
            relay.signal(signal.SIGTERM)
            codes = []
            for n in nodes:
                codes.append(n.close_code())
                n.close()  # its way of leaving
            self.assertEqual(codes, [1001] * 3)
            self.assertEqual(relay.process.wait(timeout=5), 0)
            self.assertLess(time.monotonic() - began, 2)

    def test_a_node_that_does_not_leave_delays_the_end_only_so_long(self):
        with Relay() as relay:
            stubborn = Node(relay)
            stubborn.register()
            relay.signal(signal.SIGTERM)
            began = time.monotonic()
            self.assertEqual(relay.process.wait(timeout=8), 0)
            self.assertLess(time.monotonic() - began, 5)

    def test_a_second_signal_ends_it_at_once(self):
        with Relay() as relay:
            Node(relay)  # and stays
            relay.signal(signal.SIGINT)
            relay.wait_log("event=stopping signal=SIGINT")
            relay.signal(signal.SIGTERM)
            self.assertEqual(relay.process.wait(timeout=2), 0)


def run(*args):
    return subprocess.run([relayproc.BINARY_PATH, *args], capture_output=True, text=True, timeout=10, check=False)


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def file(self, name, text):
        path = os.path.join(self.dir.name, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def fails(self, status, words, *args):
        done = run(*args)
        self.assertEqual(done.returncode, status, done.stderr)
        self.assertEqual(done.stdout, "")
        for w in words:
            self.assertIn(w, done.stderr)

    def test_help_and_version_go_to_stdout(self):
        done = run("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for option in ("--listen", "--name", "--tls-cert", "--tls-key", "--legacy-clients", "--admin-token-file",
                       "--config", "--max-message", "--log-level"):
            self.assertIn(option, done.stdout)
        self.assertRegex(run("--version").stdout, r"^teale-relay \d+\.\d+")

    def test_wrong_usage_is_status_2_with_what_would_be_right(self):
        self.fails(2, ["--nonsense"], "--nonsense")
        self.fails(2, ["extra"], "extra")
        self.fails(2, ["--listen", "value"], "--listen")
        self.fails(2, ["HOST:PORT"], "--listen", "127.0.0.1:99999")
        self.fails(2, ["HOST:PORT"], "--listen", "http://127.0.0.1:80")
        self.fails(2, ["tls-key"], "--tls-cert", "x.pem")
        self.fails(2, ["certificate"], "--listen", "wss://127.0.0.1:0")
        self.fails(2, ["bytes"], "--max-message", "4T")
        self.fails(2, ["bytes"], "--max-message", "65535")
        self.fails(2, ["debug"], "--log-level", "loud")
        self.fails(2, ["HOST"], "--name", "http://x")
        self.fails(2, ["udp-announce"], "--udp", "0.0.0.0:3478")
        self.fails(2, ["IP address"], "--udp", "localhost:3478")

    def test_manual_and_completions_know_every_option(self):
        known = set(re.findall(r"--([a-z-]+)", run("--help").stdout))
        self.assertIn("udp-announce", known)
        root = pathlib.Path(__file__).resolve().parents[2]
        read = lambda name: (root / name).read_text(encoding="utf-8")
        self.assertEqual(set(re.findall(r"--([a-z-]+)", read("completion/teale-relay.bash"))), known)
        self.assertEqual(set(re.findall(r"--([a-z-]+)\[", read("completion/_teale-relay"))), known)
        self.assertEqual(set(re.findall(r" -l ([a-z-]+)", read("completion/teale-relay.fish"))), known)
        self.assertEqual(set(re.findall(r"Fl -([a-z-]+)", read("man/teale-relay.8"))), known)

    def test_a_port_in_use_is_status_1_and_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.fails(1, [f"127.0.0.1:{port}", "another program uses that port"], "--listen", f"127.0.0.1:{port}")

    def test_a_name_that_is_none_and_an_address_that_is_not_ours(self):
        self.fails(1, ["no..such..name"], "--listen", "no..such..name:0")
        self.fails(1, ["does not have that address"], "--listen", "192.0.2.1:0")

    def test_files_that_cannot_be_used_are_named(self):
        self.fails(1, ["none.pem", "cannot read"], "--listen", "127.0.0.1:0", "--tls-cert", "none.pem", "--tls-key", "k")
        empty = self.file("empty", "\n")
        self.fails(1, ["is not a token"], "--listen", "127.0.0.1:0", "--admin-token-file", empty)
        self.fails(2, ["cannot read the configuration"], "--config", os.path.join(self.dir.name, "none"))
        self.fails(2, ["/dev/zero", "larger than"], "--config", "/dev/zero")
        self.fails(1, ["/dev/zero", "plain file"], "--listen", "127.0.0.1:0", "--tls-cert", "/dev/zero", "--tls-key",
                   "/dev/zero")

    def test_several_addresses_are_all_served(self):
        with Relay("--listen", "ws://127.0.0.3:0") as relay:
            self.assertEqual([a[0] for a in relay.addresses], ["127.0.0.1", "127.0.0.3"])
            for address in relay.addresses:
                Node(relay, address=address).register()

    def test_the_configuration_file_says_the_same_as_options(self):
        token = self.file("token", "secret\n")
        config = self.file("relay.conf", f"""
            # a comment
            listen = ["127.0.0.1:0", "ws://127.0.0.2:0"]   # behind a value too
            name = "relay.example"
            legacy_clients = true
            max_message = 65536
            admin_token_file = "{token}"
            log_level = "debug"
            """)
        with Relay("--config", config, listen=None) as relay:
            self.assertEqual([a[0] for a in relay.addresses], ["127.0.0.1", "127.0.0.2"])
            Node(relay, authority="relay.example").register()
            n = Node(relay)
            n.register(challengeSignature=...)
            n.sock.sendall(frame(b"", length=65537, wide=8))
            self.assertEqual(n.close_code(), 1009)
            self.assertEqual(relay.get("/peers", "Authorization: Bearer secret")[0], 200)

    def test_the_command_line_wins_over_the_file(self):
        config = self.file("relay.conf", 'listen = "127.0.0.2:0"\nmax_message = 65536\n')
        with Relay("--config", config, "--max-message", "70000", listen="127.0.0.4:0") as relay:
            self.assertEqual([a[0] for a in relay.addresses], ["127.0.0.4"])

    def test_a_mistake_in_the_file_is_named_with_its_line(self):
        for text, words in (("lisen = 1\n", ["relay.conf:1", "lisen", "listen"]),
                            ("\nlisten = 127.0.0.1:0\n", ["relay.conf:2", "text goes in quotes"]),
                            ("legacy_clients = 1\n", ["relay.conf:1", "true"]),
                            ('max_message = [1]\n', ["whole number"]),
                            ("listen\n", ["relay.conf:1", "name = value"]),
                            ('name = "a" "b"\n', ["unexpected text"]),
                            ('udp = ["127.0.0.1", "127.0.0.1"]\n', ["relay.conf:1", "another IP"]),
                            ('udp_announce = 7\n', ["relay.conf:1", "text in quotes"]),
                            ("[relay]\n", ["relay.conf:1"])):
            with self.subTest(text=text):
                self.fails(2, words, "--config", self.file("relay.conf", text))


class Tls(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)
        self.cert, self.key = (os.path.join(self.dir.name, n) for n in ("cert.pem", "key.pem"))

    def make_cert(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.key, "-out", self.cert, "-days", "2", "-subj", f"/CN={name}",
                        "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"], check=True, capture_output=True)

    def context(self):
        return ssl.create_default_context(cafile=self.cert)

    def relay(self, *args, **kw):
        return Relay("--tls-cert", self.cert, "--tls-key", self.key, *args, **kw)

    def common_name(self, relay):
        with socket.create_connection(relay.address, timeout=5) as s, self.context().wrap_socket(
                s, server_hostname="127.0.0.1") as t:
            return dict(x[0] for x in t.getpeercert()["subject"])["commonName"]

    def test_nodes_speak_through_tls_to_each_other_and_to_plain_ones(self):
        self.make_cert("first")
        with self.relay("--listen", "ws://127.0.0.1:0") as relay:
            self.assertEqual(relay.schemes, ["wss", "ws"])
            a = Node(relay, tls=self.context())
            a.register()
            b = Node(relay, address=relay.addresses[1])
            b.register()
            session(a, b, "mixed")
            for n in (10, 70_000, 400_000):
                data = base64.b64encode(os.urandom(n)).decode()
                a.to(b, "relayData", "mixed", data=data)
                self.assertEqual(b.expect("relayData")["data"], data)
                b.to(a, "relayData", "mixed", data=data)
                self.assertEqual(a.expect("relayData")["data"], data)
            a.send(struct.pack(">H", 1000), wsraw.CLOSE)
            self.assertEqual(a.close_code(), 1000)

    def test_an_idle_node_counts_for_what_it_takes_and_a_record_under_way_for_its_buffer(self):
        self.make_cert("first")
        with self.relay("--listen", "ws://127.0.0.1:0") as relay:
            plain = relay.addresses[1]

            def memory():
                text = relay.http("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", plain)[2]
                return int(re.search(r"^teale_relay_memory_bytes (\d+)", text, re.M)[1])

            def memory_becomes(condition):
                until = time.monotonic() + 20
                while not condition(memory()):
                    self.assertLess(time.monotonic(), until, memory())
                    time.sleep(0.05)
            before, n = memory(), 20
            nodes = [Node(relay, tls=self.context(), timeout=20) for _ in range(n)]
            for node in nodes:
                node.register()
            memory_becomes(lambda m: 16 << 10 <= (m - before) / n <= 23 << 10)
            idle = memory()
            for node in nodes:  # the beginning of a record of 16 KiB
                socket.socket.send(node.sock, b"\x17\x03\x03\x40\x11" + bytes(100))
            memory_becomes(lambda m: (m - idle) / n >= 16 << 10)
            for node in nodes:
                node.close()
            memory_becomes(lambda m: m <= before)

    def test_plain_http_at_the_tls_port_is_refused(self):
        self.make_cert("first")
        with self.relay() as relay, socket.create_connection(relay.address, timeout=5) as s:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            try:
                self.assertNotIn(b"200", s.recv(1000))
            except ConnectionResetError:
                pass  # refused as well: it closed with the request unread

    def test_sighup_takes_the_new_certificate_and_keeps_the_old_when_it_is_bad(self):
        self.make_cert("first")
        with self.relay() as relay:
            old = Node(relay, tls=self.context())
            old.register()
            self.make_cert("second")
            relay.signal(signal.SIGHUP)
            relay.wait_log("certificate")
            self.assertEqual(self.common_name(relay), "second")
            with open(self.cert, encoding="ascii") as f:
                good = f.read()
            with open(self.cert, "w", encoding="ascii") as f:
                f.write("rubbish")
            relay.signal(signal.SIGHUP)
            relay.wait_log("event=reload_failed what=certificate")
            with open(self.cert, "w", encoding="ascii") as f:
                f.write(good)
            self.assertEqual(self.common_name(relay), "second")
            old.send(b"?", wsraw.PING)  # connections live through it all
            self.assertEqual(old.frame(), (wsraw.PONG, b"?"))

    def test_a_key_that_does_not_fit_is_told(self):
        self.make_cert("first")
        other = self.cert
        self.cert = os.path.join(self.dir.name, "other.pem")
        self.make_cert("second")
        done = run("--listen", "127.0.0.1:0", "--tls-cert", other, "--tls-key", self.key)
        self.assertEqual(done.returncode, 1)
        self.assertIn("does not belong", done.stderr)


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    unittest.main()
