#!/usr/bin/env python3
"""test_dht_attacks.py TEALE TEALE-RELAY PARROT: what strangers of the DHT try on a live node. Each thing that is refused
has a twin that differs in one point and is taken. A stranger has a network of its own (127.A.B.0/24), for shares are by
address and by network."""
import os
import select
import socket
import subprocess
import sys
import threading
import time
import unittest

from dhtscene import SALT, Stranger, bdecode, bencode, dht, metric, new_key, record, signed, start, target_of
from ed25519 import L
from ports import free_ports
from scenery import Scenery, wait_for

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
HEADERS = 28  # bytes of IPv4 and UDP
BURST, RATE = 16 * 1024, 8 * 1024
ID = b"abcdefghij0123456789"
PING = b"d1:ad2:id20:" + ID + b"e1:q4:ping1:t2:aa1:y1:qe"
NOBODY = [1]  # a door behind which nothing is; that it is on loopback says that the DHT is
networks = iter(range(1, 60000))


def address():
    """One in a network that nothing has come from."""
    n = next(networks)
    return f"127.{10 + n // 250}.{1 + n % 250}.1"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scenery = Scenery(TEALE, RELAY, PARROT)
        cls.addClassCleanup(cls.scenery.__exit__, None)
        cls.port = free_ports(1)[0]
        cls.node = start(cls.scenery, cls.port, NOBODY, **{"dht.publish": "off"})

    def stranger(self, at=None):
        s = Stranger(at or address())
        self.addCleanup(s.close)
        return s

    def dropped(self, reason):
        return metric(self.node, f'teale_dht_dropped_total{{reason="{reason}"}}')

    def alive(self):
        self.assertIsNone(self.node.popen.poll())
        self.assertTrue(self.stranger().ask(self.port, "ping"))


class Datagrams(Case):
    def test_what_is_no_message_is_dropped_in_silence_and_counted(self):
        a = b"d1:ad2:id20:" + ID
        wrong = [
            b"d1:e", b"d0:e", b"d1:a" + b"e" * 1400, b"d" + b"0:" * 600 + b"e",
            b"d1:a" + b"l" * 700 + b"e" * 701, (b"d1:a" * 300) + b"e" * 300, b"d1:a" + b"l" * 1400 + b"e",
            b"d1:ai" + b"9" * 1000 + b"ee", b"d1:ai9223372036854775808ee", b"d1:ai-0ee", b"d1:ai03ee",
            b"d99999999999999999999:e", b"d18446744073709551615:e", b"d4294967296:ae", b"d1:a1400:xe", b"d01:ai1ee",
            PING[:-1] + b"1:y1:qe", PING + b"e", a + b"e1:q4:ping1:y1:qe", a + b"e1:q4:ping1:t0:1:y1:qe",
            a + b"e1:q4:ping1:t17:0123456789abcdefg1:y1:qe", a + b"e1:q4:ping1:t2:aa1:y1:xe", a + b"e1:qi4e1:t2:aa1:y1:qe",
            b"d1:rd2:id20:" + ID + b"5:nodes25:" + b"n" * 25 + b"e1:t2:aa1:y1:re",
            b"d" + b"".join(b"2:%02di1e" % ((i * 7) % 40) for i in range(40)) + b"e",
            *(PING[:n] + b"e" for n in range(3, len(PING) - 1, 5)),
        ]
        before, s = self.dropped("form"), self.stranger()
        for datagram in wrong:
            s.send(self.port, datagram)
        wait_for(lambda: self.dropped("form") >= before + len(wrong))
        self.assertEqual(self.dropped("form"), before + len(wrong))
        self.assertIsNone(s.wait(lambda m: True, 0.5))
        s.send(self.port, PING)  # from the same address
        self.assertEqual(s.wait(lambda m: m["t"] == b"aa" and m["y"] == b"r", 5)["r"]["nat"], b"Unknown")

    def test_random_bytes_harm_nobody(self):
        s = self.stranger()
        for n in range(400):
            raw = bytearray(os.urandom(4 * n % 1400 + 3))
            if n % 2:
                raw[0], raw[1], raw[-1] = ord("d"), ord("0") + n % 10, ord("e")
            s.send(self.port, bytes(raw))
        altered = bytearray(PING)
        for i in range(len(PING)):
            altered[i] ^= 1 << i % 8
            s.send(self.port, bytes(altered))
            altered[i] = PING[i]
        self.alive()

    def test_keys_out_of_order_are_a_message_all_the_same(self):
        s = self.stranger()
        s.send(self.port, b"d1:y1:q1:t2:aa1:q4:ping1:ad1:zli1ee2:id20:" + ID + b"ee")
        self.assertTrue(s.wait(lambda m: m["t"] == b"aa" and m["y"] == b"r", 5))

    def test_a_query_that_lacks_something_is_told_so(self):
        s = self.stranger()
        whole = {"find_node": {"target": ID}, "get": {"target": ID}, "get_peers": {"info_hash": ID}}
        for method, args in whole.items():
            self.assertEqual(s.error(self.port, method), 203)
            self.assertEqual(s.error(self.port, method, **{k: v[:-1] for k, v in args.items()}), 203)
            self.assertIn("nodes", s.ask(self.port, method, **args)["r"])
        self.assertEqual(s.error(self.port, "sample_infohashes", target=ID), 204)
        self.assertEqual(s.error(self.port, "announce_peer", info_hash=ID, implied_port=1, token=b"12345678"), 204)

    def test_answers_to_no_question_are_dropped(self):
        s, before = self.stranger(), self.dropped("stranger")
        for _ in range(10):
            s.send(self.port, bencode({"t": os.urandom(4), "y": "r", "r": {"id": ID, "nodes": (ID + b"\x7f\0\0\1\0\1") * 8}}))
        wait_for(lambda: self.dropped("stranger") >= before + 10)
        self.assertIsNone(s.wait(lambda m: True, 0.3))


class Items(Case):
    def kept(self, key, salt=SALT):
        """(seq, value) of the item, or None."""
        r = self.stranger().ask(self.port, "get", target=target_of(key.public, salt))["r"]
        return (r["seq"], r["v"]) if "v" in r else None

    def test_a_wrong_token_stores_nothing(self):
        key, s, other = new_key(), self.stranger(), self.stranger()
        item, right = signed(key, 1, record()), s.token(self.port)
        for token in (b"12345678", right[:-1], right + b"x", bytes(8), other.token(self.port)):
            self.assertEqual(s.put(self.port, item, token=token), 203, token)
        self.assertEqual(s.put(self.port, item, token=b""), 203)
        self.assertIsNone(self.kept(key))
        self.assertIsNone(s.put(self.port, item, token=right))
        self.assertEqual(self.kept(key), (1, record()))

    def test_a_wrong_signature_stores_nothing(self):
        key, s = new_key(), self.stranger()
        item = signed(key, 5, record())
        forged = bytearray(item["sig"])
        forged[0] ^= 1
        high = item["sig"][:32] + (int.from_bytes(item["sig"][32:], "little") + L).to_bytes(32, "little")
        small = {**item, "k": b"\1" + bytes(31), "sig": b"\1" + bytes(63)}  # good for any message, by some rules
        for wrong in ({**item, "sig": bytes(forged)}, {**item, "seq": 6}, {**item, "v": record("Cone")},
                      {**item, "salt": b"tealf"}, {**item, "k": new_key().public}, {**item, "sig": high}, small):
            self.assertEqual(s.put(self.port, wrong), 206)
        self.assertIsNone(self.kept(key))
        self.assertIsNone(s.put(self.port, item))
        self.assertEqual(self.kept(key), (5, record()))

    def test_what_is_too_long_is_refused(self):
        key, s = new_key(), self.stranger()
        self.assertEqual(s.put(self.port, signed(key, 1, b"x" * 997)), 205)  # 1001 bytes encoded
        self.assertEqual(s.put(self.port, signed(key, 1, b"x", b"s" * 65)), 207)
        self.assertIsNone(s.put(self.port, signed(key, 1, b"x" * 996)))
        self.assertIsNone(s.put(self.port, signed(key, 1, b"x", b"s" * 64)))
        self.assertEqual(self.kept(key), (1, b"x" * 996))
        self.assertEqual(self.kept(key, b"s" * 64), (1, b"x"))
        self.assertEqual(s.put(self.port, signed(key, -1, b"x", b"n")), 203)
        self.assertIsNone(s.put(self.port, signed(key, 0, b"x", b"n")))

    def test_a_value_that_two_programs_would_read_differently_is_refused(self):
        s = self.stranger()
        token = s.token(self.port)
        for value, code in ((b"d1:bi1e1:ai2ee", 203), (b"d1:ai1e1:bi2ee", None)):
            query = bencode(s.query("put", token=token, v=b"?")).replace(b"1:v1:?", b"1:v" + value)
            s.send(self.port, query)
            answer = s.wait(lambda m: m["t"] == b"%04d" % s.tid and m["y"] != b"q", 5)
            self.assertEqual(answer["e"][0] if answer["y"] == b"e" else None, code)

    def test_old_sequences_and_conflicts_change_nothing(self):
        key, s = new_key(), self.stranger()
        self.assertIsNone(s.put(self.port, signed(key, 7, b"seven")))
        self.assertEqual(s.put(self.port, signed(key, 6, b"six")), 302)
        self.assertEqual(s.put(self.port, signed(key, 7, b"other")), 302)
        self.assertIsNone(s.put(self.port, signed(key, 7, b"seven")))
        self.assertEqual(s.put(self.port, signed(key, 8, b"eight"), cas=6), 301)
        self.assertEqual(self.kept(key), (7, b"seven"))
        self.assertIsNone(s.put(self.port, signed(key, 8, b"eight"), cas=7))
        self.assertEqual(self.kept(key), (8, b"eight"))

    def test_an_address_fills_its_share_and_no_more(self):
        s, other = self.stranger(), self.stranger()
        token, codes = s.token(self.port), []
        for i in range(36):
            codes.append(s.put(self.port, {"v": i}, token=token))
            time.sleep(0.05)  # two queries for each would be too many
        self.assertEqual(codes, [None] * 32 + [202] * 4)
        self.assertIsNone(other.put(self.port, {"v": 1000}))


class Amplification(Case):
    def test_no_answer_without_an_item_is_longer_than_three_queries(self):
        s, asked = self.stranger(), 0
        for want in ([], ["n4"], ["n6"], ["n4", "n6"]):
            for method, args in (("ping", {}), ("find_node", {"target": ID}), ("get", {"target": ID}),
                                 ("get_peers", {"info_hash": ID}), ("put", {"v": 1}), ("nothing", {})):
                before = s.sent, s.received
                self.assertTrue(s.ask(self.port, method, **args, **({"want": want} if want else {})))
                sent, got = s.sent - before[0], s.received - before[1]
                self.assertLessEqual(HEADERS + got, 3 * (HEADERS + sent) + 100, method)  # it may ping back once
                asked += 1
        self.assertLessEqual(HEADERS * asked + s.received, 3 * (HEADERS * asked + s.sent))

    def flood(self, strangers, query, seconds):
        """Bytes that all of them get, with headers, and how long it took until the last datagram had come."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            for s in strangers:
                s.socket.sendto(query, ("127.0.0.1", self.port))
            time.sleep(0.005)
        got, sockets = 0, [s.socket for s in strangers]
        while select.select(sockets, [], [], 0.5)[0]:
            for sock in select.select(sockets, [], [], 0)[0]:
                got += HEADERS + len(sock.recv(2048))
        return got, time.monotonic() - begun

    def expect_bounded(self, strangers, query):
        got, took = self.flood(strangers, query, 3)
        self.assertLessEqual(got, BURST + RATE * took)
        self.assertGreater(got, BURST // 2)
        return got

    def large_item(self):
        key, s = new_key(), self.stranger()
        self.assertIsNone(s.put(self.port, signed(key, 1, b"x" * 996)))
        return bencode({"t": "aa", "y": "q", "q": "get", "a": {"id": ID, "target": target_of(key.public)}})

    def test_a_victim_gets_16_kib_and_8_kib_a_second(self):
        query, victim = self.large_item(), self.stranger()
        self.expect_bounded([victim], query)
        # Others are answered meanwhile, and the victim itself later.
        self.alive()
        time.sleep(4.5)
        victim.send(self.port, PING)
        self.assertTrue(victim.wait(lambda m: m["t"] == b"aa", 5))

    def test_so_does_a_whole_network(self):
        query, base = self.large_item(), address().rsplit(".", 1)[0]
        self.expect_bounded([self.stranger(f"{base}.{i}") for i in range(1, 21)], query)

    def test_and_the_ports_of_an_address_together(self):
        query, at = self.large_item(), address()
        self.expect_bounded([self.stranger(at) for _ in range(20)], query)


class Liars:
    """Nodes that answer as a test says: `lie(query, index)` gives the `r` of an answer, or None."""

    def __init__(self, n, lie):
        self.sockets, self.lie = [], lie
        for _ in range(n):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address(), 0))
            self.sockets.append(s)
        self.ids = [os.urandom(20) for _ in range(n)]
        self.asked = 0
        self.going = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def compact(self, i):
        at = self.sockets[i].getsockname()
        return self.ids[i] + socket.inet_aton(at[0]) + at[1].to_bytes(2, "big")

    def _run(self):
        while self.going:
            for s in select.select(self.sockets, [], [], 0.1)[0]:
                datagram, at = s.recvfrom(2048)
                message, i = bdecode(datagram), self.sockets.index(s)
                if message["y"] == b"q":
                    self.asked += 1
                    r = {} if message["q"] == b"ping" else self.lie(message, i)
                    if r is not None:
                        s.sendto(bencode({"t": message["t"], "y": "r", "r": {"id": self.ids[i], **r}}), at)

    def introduce(self, port):
        """They ask the node, so it learns of them and asks whether they are there."""
        for i, s in enumerate(self.sockets):
            s.sendto(bencode({"t": "hi", "y": "q", "q": "ping", "a": {"id": self.ids[i]}}), ("127.0.0.1", port))
            time.sleep(0.02)

    def end(self):
        self.going = False
        self.thread.join()
        for s in self.sockets:
            s.close()


class Lies(Case):
    def liars(self, n, lie):
        liars = Liars(n, lie)
        self.addCleanup(liars.end)
        return liars

    def look_for(self, node, public, code):
        done = subprocess.run([TEALE, "--home", node.home, "dht", "get", public.hex(), "--json"], capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def known(self, node, n):
        wait_for(lambda: dht(node)["nodes"] >= n, 30)

    def test_a_victim_that_is_named_as_a_node_gets_few_small_datagrams(self):
        """Two of each search, those of the node's own for its neighbours among them; none when it was silent for 5 s twice."""
        node = start(self.scenery, free_ports(1)[0], NOBODY, **{"dht.publish": "off"})
        victim = self.stranger()
        at = socket.inet_aton(victim.at[0]) + victim.at[1].to_bytes(2, "big")

        def name_the_victim(message, i):
            near = message["a"].get("target", ID)
            return {"nodes": b"".join(near[:18] + os.urandom(2) + at for _ in range(8)), "token": b"t"}
        liars = self.liars(12, name_the_victim)
        liars.introduce(node.udp)
        self.known(node, 8)

        def datagrams(requests, seconds):
            got, end = 0, time.monotonic() + seconds
            for _ in range(requests):
                self.look_for(node, new_key().public, 4)
            while victim.wait(lambda m: True, max(end - time.monotonic(), 0.1)):
                got += 1
            return got
        told = [datagrams(1, 7) for _ in range(3)]
        self.assertTrue(told[0] <= 8 and sum(told[1:]) <= 2, told)
        self.assertEqual(datagrams(6, 2), 0)
        self.assertLessEqual(victim.received, 120 * sum(told))
        self.assertGreater(liars.asked, 24)

    def test_a_node_that_is_named_and_there_is_asked(self):
        node = start(self.scenery, free_ports(1)[0], NOBODY, **{"dht.publish": "off"})
        key = new_key()
        item = signed(key, 9, record("Cone"))
        del item["salt"]
        holder = self.liars(1, lambda message, i: {**item, "token": b"t"} if message["q"] == b"get" else {"nodes": b""})
        guides = self.liars(8, lambda message, i: {"nodes": holder.compact(0), "token": b"t"})
        guides.introduce(node.udp)
        self.known(node, 8)
        self.assertIn('"Cone"', self.look_for(node, key.public, 0))

    def test_forged_items_of_many_liars_are_not_believed(self):
        key, ports = new_key(), free_ports(4)
        nodes = [start(self.scenery, p, [q for q in ports[:2] if q != p], **{"dht.publish": "off"}) for p in ports]
        for n in nodes:
            self.known(n, 3)
        right = signed(key, 5, record("Cone"))
        forged = {"k": key.public, "seq": 2**62, "sig": os.urandom(64), "v": record("Public", [("198.18.0.1", 1)])}

        def forge(message, i):
            others = b"".join(liars.compact(j) for j in range(8))
            return {"nodes": others, "token": b"t", **(forged if message["q"] == b"get" else {})}
        liars = self.liars(16, forge)
        s = self.stranger()
        for n in nodes:
            self.assertIsNone(s.put(n.udp, right))
            liars.introduce(n.udp)
        self.known(nodes[0], 8)
        said = self.look_for(nodes[0], key.public, 0)
        self.assertIn('"Cone"', said)
        self.assertNotIn("198.18.0.1", said)
        # A key of which nobody but they speaks is not found: their word is no other error than silence.
        forged["k"] = new_key().public
        self.look_for(nodes[0], forged["k"], 4)

    def test_a_thousand_names_do_not_push_out_nodes_that_answer(self):
        ports = free_ports(4)
        nodes = [start(self.scenery, p, [q for q in ports[:2] if q != p], **{"dht.publish": "off"}) for p in ports]
        for n in nodes:
            self.known(n, 3)
        noise = [self.stranger() for _ in range(10)]
        for i in range(1000):  # each query comes from another node, and none is there
            s = noise[i % len(noise)]
            s.send(ports[0], bencode({"t": "aa", "y": "q", "q": "ping", "a": {"id": os.urandom(20)}}))
            time.sleep(0.002)
        answer = self.stranger().ask(ports[0], "find_node", target=os.urandom(20))
        told = {int.from_bytes(answer["r"]["nodes"][at + 24:at + 26], "big")
                for at in range(0, len(answer["r"]["nodes"]), 26)}
        self.assertTrue(set(ports[1:]) <= told, f"{ports} {told}")
        self.assertFalse(told & {s.at[1] for s in noise})


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
