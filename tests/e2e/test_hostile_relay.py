#!/usr/bin/env python3
"""test_hostile_relay.py TEALE TEALE-RELAY PARROT (or a build directory): two nodes behind a relay that lies,
loses, repeats, alters and invents. It may deny service; no answer is ever wrong by a byte, no prompt is ever
seen, nobody crashes, hangs or grows, and once the relay is honest the same processes serve again."""
import hashlib
import http.client
import json
import os
import random
import re
import struct
import subprocess
import sys
import threading
import time
import unittest

import ed25519
import hostile_ways as ways
from hostile import CLOSE, Honest, Hostile, frame
from scenery import Scenery, chat, parrot_stats, wait_for

PROGRAMS = []
MODEL, ENDLESS = "bytes:300000", "bytes:4000000000"
PROMPT = "the cat sleeps under the third stair"
# A question that the relay cannot or will not carry fails within 10 s; the rest is for a busy machine.
FAILS_WITHIN = 15
ANSWERS_WITHIN = 60


def pattern_sha256(n):
    """What the parrot answers for model `bytes:n`, by its description in parrot.h."""
    state, out = 0x9E3779B97F4A7C15, []
    for _ in range((n + 7) // 8):
        state ^= state << 13 & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 7
        state ^= state << 17 & 0xFFFFFFFFFFFFFFFF
        out.append(state)
    return hashlib.sha256(struct.pack(f"<{len(out)}Q", *out)[:n]).hexdigest()


WHOLE = pattern_sha256(300000)


def rss_kib(process):
    with open(f"/proc/{process.popen.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))


class Behind(unittest.TestCase):
    """One server and one asker behind one hostile relay, anew for every test."""

    def setUp(self):
        self.scenery = Scenery(*PROGRAMS)
        self.hostile = Hostile()
        self.addCleanup(self._leave)
        self.parrot = self.scenery.parrot("--model", MODEL, "--model", ENDLESS)
        self.relay = self.scenery.relay("--name", self.hostile.authority)
        self.hostile.upstream = self.relay.port
        self.server = self.node("--share", self.parrot.url)
        wait_for(lambda: self.server.status()["backend"]["state"] == "up")
        self.asker = self.node(connected=False)

    def node(self, *args, **kw):
        return self.scenery.node(self.hostile, *args, **kw)

    def restart(self, node, *args, way=None, home=None, **kw):
        """The node again, in its own or another home; with `way` from the first word it hears."""
        node.end()
        self.scenery.running.remove(node)
        if way:
            self.hostile.way = way
        return self.node(*args, home=home or node.home, **kw)

    def stranger(self, way):
        """Another asker, who knows nobody and meets a relay of this `way`."""
        self.asker = self.restart(self.asker, way=way, home=self.scenery.new_home())

    def _leave(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", []))
        running = list(self.scenery.running)
        self.hostile.close()
        self.scenery.__exit__(Exception if failed else None, None, None)
        for p in running:
            found = [l for l in p.log if re.search("Sanitizer|runtime error", l)]
            self.assertEqual(found, [], p.popen.args)
        self.assertFalse(self.hostile.saw(PROMPT), "the relay saw the prompt")

    def connected(self):
        wait_for(lambda: self.asker.status()["wan"]["state"] == "connected", 20)

    def ask(self, timeout=ANSWERS_WITHIN, peer=None):
        """(status, body, how long it took)."""
        begun = time.monotonic()
        headers = {"X-Teale-Ask-Peer": peer} if peer else {}
        status, _, body = self.asker.post(chat(MODEL, PROMPT), headers, timeout)
        return status, body, time.monotonic() - begun

    def answers(self, **kw):
        """The answer is whole and right."""
        status, body, took = self.ask(**kw)
        self.assertEqual(status, 200, body[:300])
        self.assertEqual(hashlib.sha256(body).hexdigest(), WHOLE, f"{len(body)} bytes, {body[-200:]}")
        return took

    def fails(self, *words, within=FAILS_WITHIN, **kw):
        """The question fails in time, with a message for people in OpenAI's shape."""
        status, body, took = self.ask(timeout=within + 30, **kw)
        self.assertIn(status, (404, 502, 503, 504), body[:300])
        error = json.loads(body)["error"]
        self.assertTrue(error["message"] and error["code"], error)
        self.assertRegex(error["message"], "|".join(words) if words else ".")
        self.assertLess(took, within, error)
        return error

    def answers_or_fails(self):
        """Right to the last byte, or an error; nothing else. True: answered."""
        try:
            status, body, _ = self.ask()
        except http.client.IncompleteRead:
            return False  # broken off, and nobody can take it for whole
        if status == 200 and b"event: error" not in body:
            self.assertEqual(hashlib.sha256(body).hexdigest(), WHOLE)
            return True
        self.assertNotIn(b"[DONE]", body)
        return False

    def recovers(self, within=20):
        """The relay is honest again: so are the answers of these very processes."""
        self.hostile.way = Honest()
        deadline = time.monotonic() + within
        while True:
            status, body, _ = self.ask()
            if status == 200 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        self.assertEqual(status, 200, body[:300])
        self.assertEqual(hashlib.sha256(body).hexdigest(), WHOLE)
        self.assertIsNone(self.server.popen.poll())
        self.assertIsNone(self.asker.popen.poll())

    def sanitized(self):
        with open(self.server.popen.args[0], "rb") as f:
            return b"__asan_init" in f.read()

    def grown(self, act):
        """KiB by which the nodes grew while `act` ran; 0 under the address sanitizer, which keeps what is freed."""
        if self.sanitized():
            act()
            return [0, 0]
        before = [rss_kib(n) for n in (self.server, self.asker)]
        act()
        return [rss_kib(n) - b for n, b in zip((self.server, self.asker), before)]


class ItIsHonest(Behind):
    def test_the_answer_comes_and_the_relay_sees_who_and_not_what(self):
        self.connected()
        self.answers()
        self.assertTrue(self.hostile.saw(self.asker.id))  # so the search for the prompt would find it, too
        self.assertGreater(len(self.hostile.datagrams), 200)


class ItLiesAboutWhoIsWho(Behind):
    def attacker(self):
        parrot = self.scenery.parrot("--model", MODEL)
        node = self.node("--share", parrot.url)
        wait_for(lambda: node.status()["backend"]["state"] == "up")
        return node, parrot

    def test_a_node_whose_wireguard_key_it_swapped_at_registration_is_not_asked(self):
        way = ways.SwapsWireguardKeyAtRegistration()
        self.server = self.restart(self.server, "--share", self.parrot.url, way=way)
        wait_for(lambda: self.server.status()["backend"]["state"] == "up")
        self.stranger(way)
        self.fails("serves", "of the old protocol alone, in clear")
        self.hostile.link_of(self.server).cut()  # it registers again, through an honest relay
        self.recovers()

    def test_swapped_keys_in_a_list_make_the_node_disappear(self):
        other = os.urandom(32).hex()
        for field, value in (("wgPublicKey", other), ("wgPublicKey", None), ("wgPublicKey", "00" * 32),
                             ("publicKey", other), ("nodeID", other), ("nodeID", "00" * 32), ("nodeID", None)):
            with self.subTest(field=field, value=value):
                self.stranger(ways.ChangesPeers(lambda p, f=field, v=value: {**p, f: v}))
                self.fails("serves", "of the old protocol alone, in clear")
        self.recovers()

    def test_whoever_it_leads_to_in_place_of_the_node_asked_for_gets_no_question(self):
        attacker, parrot = self.attacker()
        self.connected()
        self.hostile.way = ways.LeadsElsewhere(self.server.id, attacker.id)
        self.fails(peer=self.server.id)
        self.assertEqual(parrot_stats(parrot)["served"], 0)
        self.assertEqual(attacker.status()["requests"]["served"], 0)
        self.recovers()

    def test_a_node_listed_under_anothers_keys_cannot_answer_for_it(self):
        attacker, _ = self.attacker()
        keys = {}

        def take_keys(peer):
            keys[peer["nodeID"]] = {k: peer[k] for k in ("nodeID", "publicKey", "wgPublicKey")}
            return peer

        self.stranger(ways.ChangesPeers(take_keys))
        wait_for(lambda: attacker.id in keys)
        # The server's words under the attacker's keys; whoever dials the attacker reaches the server.
        self.stranger(ways.LeadsElsewhere(
            attacker.id, self.server.id, lambda p: {**p, **keys[attacker.id]} if p["nodeID"] == self.server.id else p))
        self.fails(peer=attacker.id)
        self.recovers()

    def test_a_relay_that_plays_the_peer_gets_nothing_but_a_first_packet(self):
        self.connected()
        self.hostile.way = ways.SaysItIsThePeer()
        self.fails("handshake")
        self.recovers()


class ItHandlesDatagramsBadly(Behind):
    def arrives_whole(self, way, cold=True):
        """With a connection made under these conditions, and with one that stood before."""
        if not cold:
            self.connected()
            self.answers()
        self.hostile.way = way
        self.connected()
        took = [self.answers() for _ in range(2)]
        self.recovers()
        return took

    def test_one_in_five_is_lost(self):
        self.arrives_whole(ways.Drops(0.2))

    def test_one_in_five_is_lost_on_a_connection_that_stands(self):
        self.arrives_whole(ways.Drops(0.2), cold=False)

    def test_all_come_twice(self):
        self.arrives_whole(ways.SendsTwice())

    def test_all_come_again_later(self):
        self.arrives_whole(ways.RepeatsLate())

    def test_they_come_in_any_order(self):
        self.arrives_whole(ways.Reorders())

    def test_one_in_ten_has_a_bit_flipped(self):
        self.arrives_whole(ways.Alters(ways.flip_a_bit, 0.1))

    def test_one_in_ten_is_cut_short_or_made_longer_or_emptied(self):
        for how in (ways.cut_short, ways.make_longer, ways.empty):
            with self.subTest(how=how.__name__):
                self.hostile.way = ways.Alters(how, 0.1)
                self.connected()
                self.answers()
        self.recovers()

    def test_random_ones_and_bad_base64_come_between(self):
        self.arrives_whole(ways.Interleaves(ways.random_datagrams))
        self.arrives_whole(ways.Interleaves(ways.bad_base64))

    def test_when_every_one_is_altered_the_question_fails_in_time(self):
        self.connected()
        for how in (ways.flip_a_bit, ways.cut_short, ways.empty):
            with self.subTest(how=how.__name__):
                self.hostile.way = ways.Alters(how, 1)
                self.fails()
        self.recovers()

    def test_when_none_passes_any_more_an_answer_under_way_ends_in_an_error(self):
        self.connected()
        c, r = self.asker.request("POST", "/v1/chat/completions", json.dumps(chat(ENDLESS, PROMPT)),
                                  {"Content-Type": "application/json"}, timeout=90)
        self.assertEqual((r.status, len(r.read(100000))), (200, 100000))
        self.hostile.way = ways.Drops(1)
        begun = time.monotonic()
        with self.assertRaises(http.client.IncompleteRead):
            while r.read(1 << 20):
                pass
        self.assertLess(time.monotonic() - begun, FAILS_WITHIN)
        c.close()
        # The provider may learn of it by the asker's leave, and then awaits its return for ten seconds.
        wait_for(lambda: parrot_stats(self.parrot)["active"] == 0, timeout=FAILS_WITHIN)
        self.recovers()


class ItReplays(Behind):
    def test_an_old_sessions_datagrams_do_nothing_in_a_new_one(self):
        self.connected()
        self.answers()
        old = list(self.hostile.datagrams)
        self.asker = self.restart(self.asker)
        served = parrot_stats(self.parrot)["served"]

        def with_old_ones(link, payload):
            for sender, to, _, datagram in random.sample(old, 20):
                if to == link.node_id:
                    link.data(sender, payload["sessionID"], datagram)
        self.hostile.way = ways.Interleaves(with_old_ones)
        self.answers()
        self.assertEqual(parrot_stats(self.parrot)["served"], served + 1)
        self.recovers()

    def test_recorded_first_datagrams_ask_nothing_again(self):
        self.connected()
        self.answers()
        served, link = parrot_stats(self.parrot)["served"], self.hostile.link_of(self.server)
        old = [d for d in self.hostile.datagrams if d[1] == self.server.id]

        def replay():
            for n in range(300):
                session = f"again-{n}"
                link.say("relayOpen", {"fromNodeID": self.asker.id, "toNodeID": self.server.id, "sessionID": session})
                for _, _, _, datagram in old[:40]:
                    link.data(self.asker.id, session, datagram)
            time.sleep(1)
        self.assertLess(self.grown(replay)[0], 20 << 10)
        self.assertEqual(parrot_stats(self.parrot)["served"], served)
        self.assertEqual(self.server.status()["requests"]["served"], served)
        self.recovers()

    def test_a_recorded_question_asks_nothing_of_a_server_that_was_restarted(self):
        self.connected()
        self.answers()
        old = [d for d in self.hostile.datagrams if d[1] == self.server.id]
        self.server = self.restart(self.server, "--share", self.parrot.url)
        wait_for(lambda: self.server.status()["backend"]["state"] == "up")
        link, served = self.hostile.link_of(self.server), parrot_stats(self.parrot)["served"]
        link.say("relayOpen", {"fromNodeID": self.asker.id, "toNodeID": self.server.id, "sessionID": "again"})
        for _, _, _, datagram in old:
            link.data(self.asker.id, "again", datagram)
        time.sleep(1)
        self.assertEqual(parrot_stats(self.parrot)["served"], served)
        self.assertEqual(self.server.status()["peers"]["relayed"], 0)
        self.recovers()


class ItFloods(Behind):
    def test_sessions_of_strangers_by_the_thousand_cost_little_and_end(self):
        self.connected()
        self.answers()
        first = next(d for _, to, _, d in self.hostile.datagrams if to == self.server.id)
        for datagram in (None, first):
            way = ways.InventsSessions(self.server, datagram)
            self.hostile.way = way

            def flood():
                wait_for(lambda: way.count >= 20000, 60)
                time.sleep(1)
            self.assertLess(self.grown(flood)[0], 30 << 10)
        self.recovers(within=60)

    def test_a_question_gets_through_a_flood_of_strangers(self):
        way = ways.InventsSessions(self.server, at_once=20)
        self.stranger(way)
        wait_for(lambda: way.count >= 6000, 60)  # more than a node holds
        self.answers()
        self.recovers()

    def test_a_list_without_end_is_cut_and_the_question_fails(self):
        hardware = {"hardware": {"tier": 1}, "loadedModels": ["other"], "isAvailable": True}

        def many(link):
            return [{"nodeID": os.urandom(32).hex(), "publicKey": None, "wgPublicKey": os.urandom(32).hex(),
                     "displayName": "x" * 3000, "capabilities": hardware} for _ in range(500)]
        self.stranger(ways.Lists(many))
        self.assertLess(self.grown(lambda: self.fails("serves"))[1], 30 << 10)
        self.recovers()

    def test_inventions_of_peers_that_are_not_there_cost_one_bounded_wait(self):
        # Nodes with right keys, made by the attacker: all of them claim to serve the model.
        claims = {"hardware": {"tier": 1}, "loadedModels": [MODEL], "isAvailable": True}
        keys = [ed25519.Key(n.to_bytes(32, "big")) for n in range(60)]
        fakes = [{"nodeID": k.public.hex(), "publicKey": k.public.hex(), "wgPublicKey": k.noise_public.hex(),
                  "displayName": "fake", "capabilities": claims} for k in keys]
        self.stranger(ways.Lists(lambda link: fakes))
        self.fails()
        self.recovers()


class ItTalksNonsense(Behind):
    def test_messages_that_mean_nothing_are_passed_over(self):
        self.hostile.way = ways.Interleaves(ways.nonsense)
        self.connected()
        self.answers()
        self.recovers()
        for n in (self.server, self.asker):
            self.assertFalse(any("\x1b" in l or "\x07" in l for l in n.log), "a terminal would obey it")

    def test_giants_are_refused_without_a_trace(self):
        self.connected()
        self.answers()

        def send():
            for n in (self.server, self.asker):
                link = self.hostile.link_of(n)
                for _ in range(10):
                    ways.giants(link, {"fromNodeID": self.server.id, "toNodeID": n.id, "sessionID": "x"})
            self.answers()
        self.assertLess(max(self.grown(send)), 40 << 10)
        self.recovers()

    def test_legal_frames_that_no_relay_sends_do_no_harm(self):
        self.hostile.way = ways.Interleaves(ways.odd_frames)
        self.connected()
        self.answers()
        self.recovers()


class ItBreaksFrames(Behind):
    def test_after_each_illegal_frame_the_node_comes_back_and_the_answer_is_right(self):
        for name, raw in ways.ILLEGAL_FRAMES.items():
            with self.subTest(name):
                self.stranger(Honest())
                self.hostile.way = ways.OnceThen(lambda link, raw=raw: link.raw_to_node(raw), self.asker)
                self.answers_or_fails()
                self.assertTrue(self.hostile.way.done)
                self.recovers(within=40)


class ItRefuses(Behind):
    def test_errors_of_every_code_end_a_question_clearly_and_no_node(self):
        for code in ("forbidden", "busy", "rate_limited", "not_registered", "peer_not_found", "nonsense"):
            for kind in ("relayOpen", "discover"):
                with self.subTest(code=code, kind=kind):
                    self.stranger(ways.Refuses(kind, code))
                    self.fails()
        self.recovers(within=40)


class ItSaysNothing(Behind):
    def test_unanswered_messages_end_in_a_clear_error_in_time(self):
        for kind in ("discover", "discoverResponse", "relayOpen", "relayReady", "relayData"):
            with self.subTest(kind=kind):
                self.stranger(ways.Swallows(kind))
                self.fails()
        self.recovers()

    def test_a_registration_never_acknowledged_is_no_connection(self):
        self.asker = self.restart(self.asker, way=ways.Swallows("registerAck"), connected=False)
        self.fails("relay")
        self.assertEqual(self.asker.status()["wan"]["state"], "connecting")
        self.recovers(within=40)


class ItEndsThings(Behind):
    def test_connections_cut_in_the_middle_are_made_again(self):
        acts = {"cut": lambda link: link.cut(), "close": lambda link: link.to_node(struct.pack(">H", 1001), CLOSE),
                "half a frame": lambda link: (link.raw_to_node(frame(b"x" * 1000)[:500]), link.cut()),
                "half a message": lambda link: (link.raw_to_node(frame(b"x", first=1)), link.cut())}
        for name, act in acts.items():
            with self.subTest(name):
                self.stranger(Honest())
                self.hostile.way = ways.OnceThen(act, self.asker, nth=50)
                self.answers_or_fails()
                self.assertTrue(self.hostile.way.done)
                self.recovers(within=40)

    def test_sessions_closed_again_and_again_delay_an_answer_at_most(self):
        def close(link, payload, odds=random.Random(2)):
            if odds.random() < 0.02:
                link.say("relayClose", {k: payload[k] for k in ("fromNodeID", "toNodeID", "sessionID")})
        self.connected()
        self.hostile.way = ways.Interleaves(close)
        self.answers_or_fails()
        self.recovers()

    def test_who_is_told_that_another_took_its_place_comes_back(self):
        self.connected()
        self.answers()
        link = self.hostile.link_of(self.asker)
        link.say("error", {"code": "replaced", "message": "this node registered elsewhere"})
        link.to_node(struct.pack(">H", 1012), CLOSE)
        wait_for(lambda: "another process" in self.asker.status()["wan"]["error"])
        self.assertEqual(self.asker.status()["wan"]["state"], "offline")
        self.fails("another process|connection through the relay was lost")
        self.recovers(within=60)  # it comes back after 15 to 30 s

    def test_who_is_told_that_it_is_not_registered_comes_back(self):
        self.connected()
        for about in ("relayData", "register", None):
            link = self.hostile.link_of(self.asker)
            link.say("error", {"code": "not_registered", "message": "who are you?", "about": about})
            self.recovers(within=40)


class ItGreetsOddly(Behind):
    def comes_back_after(self, way):
        self.asker = self.restart(self.asker, way=way, connected=False)
        wait_for(lambda: self.asker.status()["wan"]["error"], 12)
        self.assertEqual(self.asker.status()["wan"]["state"], "connecting")
        self.recovers(within=40)

    def test_upgrades_that_are_none_are_refused(self):
        for name, change in {
            "another accept": lambda a: a.replace(b"Accept: ", b"Accept: x"),
            "an extension": lambda a: a[:-2] + b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
            "a subprotocol": lambda a: a[:-2] + b"Sec-WebSocket-Protocol: x\r\n\r\n",
            "status 200": lambda a: a.replace(b"101", b"200"),
            "a head without end": lambda a: a[:-2] + b"X: " + b"y" * (1 << 20),
            "no HTTP": lambda a: b"\x16\x03\x01" * 100 + b"\r\n\r\n",
            "nothing": lambda a: b"",
        }.items():
            with self.subTest(name):
                self.comes_back_after(ways.Upgrades(change))

    def test_acknowledgements_with_odd_fields_harm_nobody(self):
        for fields in ({"ttlSeconds": 0}, {"ttlSeconds": -5}, {"ttlSeconds": 1e300}, {"ttlSeconds": "x"},
                       {"ttlSeconds": 1}, {"nodeID": "00" * 32}, {"registeredAt": None}):
            with self.subTest(fields=fields):
                way = ways.Acknowledges(**fields)
                self.asker = self.restart(self.asker, way=way, connected=False)
                self.answers_or_fails()
                self.recovers(within=40)


def programs(args):
    """The three programs, or where they are in a build directory; the rest is unittest's."""
    if args and os.path.isdir(args[0]):
        names = ("src/teale", "src/teale-relay", "tests/programs/parrot")
        return [os.path.abspath(os.path.join(args[0], n)) for n in names], args[1:]
    return [os.path.abspath(p) for p in args[:3]], args[3:]


def all_classes_at_once():
    """They mostly wait: for the times that the protocol grants a relay."""
    classes = [c.__name__ for c in vars(sys.modules[__name__]).values()
               if isinstance(c, type) and issubclass(c, Behind) and c is not Behind]
    begun = [subprocess.Popen([sys.executable, __file__, *PROGRAMS, c], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT) for c in classes]
    outputs = [None] * len(begun)
    readers = [threading.Thread(target=lambda i=i, p=p: outputs.__setitem__(i, p.communicate()[0]))
               for i, p in enumerate(begun)]
    for r in readers:
        r.start()
    for r in readers:
        r.join()
    for out in outputs:
        sys.stdout.buffer.write(out)
    return 1 if any(p.returncode for p in begun) else 0


if __name__ == "__main__":
    PROGRAMS, rest = programs(sys.argv[1:])
    if not rest:
        sys.exit(all_classes_at_once())
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
