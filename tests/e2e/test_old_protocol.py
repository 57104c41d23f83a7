#!/usr/bin/env python3
"""test_old_protocol.py TEALE TEALE-RELAY PARROT: nodes of the public network's old protocol beside ours at one relay.
Their manners are oldpeers.py's."""
import json
import os
import subprocess
import sys
import threading
import time
import unittest

from oldpeers import OldAsker, OldProvider
from relayproc import CAPABILITIES
from scenery import Scenery, chat, parrot_stats, wait_for, words_of

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
SPEAKS = "legacy_plaintext"


class OldProtocol(unittest.TestCase):
    speaks = True

    def setUp(self):
        self.scene = Scenery(*PROGRAMS)
        self.addCleanup(self.scene.__exit__, None, None, None)
        self.relay = self.scene.relay("--legacy-clients")
        self.peers = []
        self.addCleanup(lambda: [p.close() for p in self.peers])

    def old(self, kind, *args, **kw):
        peer = kind(self.relay, *args, **kw)
        self.peers.append(peer)
        return peer

    def node(self, *args, speaks=None, **settings):
        home = self.scene.new_home()
        speaks = self.speaks if speaks is None else speaks
        if speaks:
            settings[SPEAKS] = "true"
        self.scene.config(home, **settings)
        return self.scene.node(self.relay, *args, home=home)

    def sharing(self, *parrot_args, speaks=None, **settings):
        parrot = self.scene.parrot("--model", "parrot", *parrot_args)
        node = self.node("--share", parrot.url, speaks=speaks, **settings)
        wait_for(lambda: node.status()["backend"]["state"] == "up")
        return node, parrot

    def teale(self, node, *args, code=0):
        done = subprocess.run([PROGRAMS[0], "--home", node.home, *args], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout + done.stderr


class Declined(OldProtocol):
    """The setting is off, as it is from the start."""
    speaks = False

    def test_a_question_in_clear_is_declined_at_once_and_told_once_in_the_log(self):
        node, _ = self.sharing()
        asker = self.old(OldAsker)
        for bare in (True, False, False):
            session = asker.open(node.id)
            begun = time.monotonic()
            question = asker.request(node.id, session, "parrot", "one two", bare=bare)
            kind, answer = asker.hear()
            self.assertLess(time.monotonic() - begun, 1)
            self.assertEqual((kind, answer["code"], answer["requestID"]), ("inferenceError", "unavailable", question))
            self.assertEqual(asker.hear()[0], "relayClose")
        told = [line for line in node.log if "old protocol" in line]
        self.assertEqual(len(told), 1, told)
        self.assertIn(asker.id[:16], told[0])
        # The twin: ours over Noise is answered by the same node.
        honest = self.node()
        status, headers, body = honest.post(chat("parrot", "one two"))
        self.assertEqual((status, words_of(body), headers["X-Teale-Path"]), (200, "one two", "relayed"))

    def test_any_other_message_in_clear_ends_the_session_too(self):
        node, _ = self.sharing()
        asker = self.old(OldAsker)
        session = asker.open(node.id)
        asker.say(node.id, session, asker.cluster("hello", {"deviceInfo": {}, "protocolVersion": 1, "loadedModels": []}))
        self.assertEqual(asker.hear()[0], "relayClose")

    def test_old_nodes_are_counted_and_a_question_that_only_they_serve_says_so(self):
        rust = self.old(OldProvider, "rust", ["theirs"])
        mac = self.old(OldProvider, "mac", ["theirs"])
        node = self.node()
        words = "2 nodes here speak only the old protocol, in clear through the relay"
        self.assertIn(words, self.teale(node, "peers"))
        self.assertIn(words, self.teale(node, "status"))
        self.assertIn(words, self.teale(node, "doctor"))
        self.assertEqual(json.loads(self.teale(node, "peers", "--json")), {"peers": [], "announced": [], "old_protocol": 2})
        self.assertIn("only the old protocol", self.teale(node, "why", rust.id))
        status, _, body = node.post(chat("theirs", "one"))
        self.assertEqual(status, 503, body)
        self.assertIn(b"served by 2 nodes of the old protocol alone", body)
        self.assertIn(b"legacy_plaintext", body)
        self.assertEqual((rust.opened, mac.opened), (0, 0))

    def test_nobody_is_counted_where_nobody_is(self):
        node, (other, _) = self.node(), self.sharing()
        wait_for(lambda: other.id[:16] in self.teale(node, "peers"))
        self.assertNotIn("old protocol", self.teale(node, "peers") + self.teale(node, "status") + self.teale(node, "doctor"))


class Asking(OldProtocol):
    def ask(self, node, model, words, stream=True, **more):
        status, headers, body = node.post(chat(model, words, stream, **more), timeout=60)
        self.assertEqual(status, 200, body)
        self.assertEqual(headers["X-Teale-Path"], "relayed-plaintext")
        return headers, body

    def test_a_streamed_answer_is_server_sent_events_of_both_manners(self):
        for manner in ("rust", "mac"):
            with self.subTest(manner):
                peer = self.old(OldProvider, manner, [f"of-{manner}"])
                node = self.node()
                headers, body = self.ask(node, f"of-{manner}", "one two three", stop="x", temperature=0.5)
                self.assertEqual(words_of(body), "one two three")
                self.assertTrue(body.endswith(b"\n\ndata: [DONE]\n\n"))
                self.assertEqual((headers["Content-Type"], headers["X-Teale-Peer"]), ("text/event-stream", peer.id))
                asked = peer.requests[-1]
                self.assertTrue(asked["wrapped"] and asked["streaming"])
                self.assertEqual(asked["request"], {**chat(f"of-{manner}", "one two three"), "stop": ["x"], "temperature": 0.5})
                self.assertEqual((peer.unread, peer.foreign), ([], 0))

    def test_a_whole_answer_is_put_together_from_the_chunks(self):
        peer = self.old(OldProvider, "rust", ["theirs"])
        node = self.node()
        headers, body = self.ask(node, "theirs", "one two three", stream=False)
        answer = json.loads(body)
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(answer["object"], "chat.completion")
        self.assertEqual(answer["choices"], [{"index": 0, "finish_reason": "stop",
                                              "message": {"role": "assistant", "content": "one two three"}}])
        self.assertEqual(answer["usage"], {"prompt_tokens": 0, "completion_tokens": 5, "total_tokens": 5})
        self.assertIs(peer.requests[-1]["request"]["stream"], True)

    def test_many_questions_share_the_one_session_that_a_mac_takes(self):
        mac = self.old(OldProvider, "mac", ["theirs"], pause=0.02)
        node = self.node()
        answers = {}

        def ask(i):
            answers[i] = words_of(node.post(chat("theirs", f"question number {i}"))[2])
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(30)
        self.assertEqual(answers, {i: f"question number {i}" for i in range(12)})
        self.assertEqual(mac.opened, 1)

    def test_errors_of_the_old_protocol_have_our_statuses(self):
        for code, status, name in (("model_not_loaded", 404, "model_not_loaded"), ("queue_full", 429, "queue_full"),
                                   ("timeout", 504, "timeout"), ("internal_error", 502, "internal_error"),
                                   ("", 502, "internal_error")):
            with self.subTest(code):
                self.old(OldProvider, "rust", [f"m-{code}"], way=f"error:{code}")
                got, _, body = self.node().post(chat(f"m-{code}", "one"), timeout=30)
                error = json.loads(body)["error"]
                self.assertEqual(got, status, body)
                self.assertIn(f"it is {code or 'odd'}", error["message"])

    def test_a_client_that_goes_ends_the_session_and_with_it_the_generation(self):
        peer = self.old(OldProvider, "rust", ["theirs"], pause=0.05)
        node = self.node()
        c, r = node.request("POST", "/v1/chat/completions", json.dumps(chat("theirs", "word " * 400)))
        r.read(100)
        c.sock.close()
        c.close()
        wait_for(lambda: peer.closed == [peer.requests[0]["session"]], 5)

    def test_a_provider_that_falls_silent_is_told_so_in_the_settings_time(self):
        self.old(OldProvider, "rust", ["theirs"], way="half")
        node = self.node(timeout_silence_secs="1")
        c, r = node.request("POST", "/v1/chat/completions", json.dumps(chat("theirs", "one two three four")))
        with self.assertRaises(Exception):
            if b"[DONE]" in r.read():
                return
            raise AssertionError("the answer was broken off, and nothing told it")
        c.close()

    def test_a_slow_provider_is_waited_for_while_it_answers_heartbeats(self):
        peer = self.old(OldProvider, "mac", ["theirs"], way="silent")
        node = self.node(timeout_first_byte_secs="8")
        status, _, body = node.post(chat("theirs", "one"), timeout=30)
        self.assertEqual(status, 504, body)
        self.assertGreaterEqual(peer.heartbeats, 2)

    def test_a_node_with_a_key_comes_first_and_an_old_one_when_it_is_gone(self):
        old = self.old(OldProvider, "rust", ["parrot"])
        ours, _ = self.sharing(speaks=False)
        node = self.node()
        for i in range(10):
            _, headers, body = node.post(chat("parrot", f"number {i}"))
            self.assertEqual((headers["X-Teale-Path"], headers["X-Teale-Peer"]), ("relayed", ours.id), body)
        self.assertEqual(old.opened, 0)
        ours.kill()
        _, body = self.ask(node, "parrot", "one two")
        self.assertEqual(words_of(body), "one two")

    def test_a_node_with_a_key_is_never_asked_in_clear_even_by_name(self):
        """Its QUIC is not answered; the old protocol would be."""
        self.old(OldProvider, "rust", ["theirs"])
        keyed = self.old(KeyedOldProvider, "rust", ["theirs-too"])
        node = self.node(timeout_connect_secs="1")
        status, _, body = node.post(chat("theirs-too", "one"), timeout=30)
        self.assertNotEqual(status, 200, body)
        status, _, body = node.post(chat("theirs-too", "one"), {"X-Teale-Ask-Peer": keyed.id}, timeout=30)
        self.assertNotEqual(status, 200, body)
        self.assertEqual(keyed.requests, [])
        self.assertGreater(keyed.foreign, 0)  # QUIC was tried
        self.ask(node, "theirs", "one")  # the twin

    def test_a_node_that_was_seen_with_its_key_is_not_asked_in_clear_when_the_relay_lists_none(self):
        changing = self.old(KeyedOldProvider, "rust", ["theirs"])
        node, late = self.node(timeout_connect_secs="1"), None
        self.assertIn(changing.id[:16], self.teale(node, "peers"))
        changing.keyed = False
        changing.send_message("register", changing.registration(
            capabilities={**CAPABILITIES, "loadedModels": ["theirs"]}))
        late = self.node()  # never saw the key
        wait_for(lambda: "1 node here speaks only" in self.teale(late, "peers"))
        self.assertNotIn("old protocol", self.teale(node, "peers"))
        status, _, body = node.post(chat("theirs", "one"), timeout=30)
        self.assertNotEqual(status, 200, body)
        self.assertEqual(changing.requests, [])
        self.ask(late, "theirs", "one")  # the twin

    def test_peers_and_why_name_it(self):
        peer = self.old(OldProvider, "rust", ["theirs"])
        node = self.node()
        listed = json.loads(self.teale(node, "peers", "--json"))["peers"]
        self.assertEqual([(p["node_id"], p["path"]) for p in listed], [(peer.id, "relayed-plaintext")])
        self.assertIn("relayed-plaintext", self.teale(node, "peers"))
        self.assertIn("relayed-plaintext", self.teale(node, "why", peer.id))
        self.assertIn("legacy_plaintext is true", self.teale(node, "doctor"))
        self.assertIn("theirs", self.teale(node, "models"))
        self.assertIn("old protocol", self.teale(node, "ping", peer.id, code=4))


class Up(OldProtocol):
    def test_up_says_what_the_setting_means_and_says_nothing_without_it(self):
        for value, said in (("true", True), ("false", False)):
            home = self.scene.new_home()
            self.scene.config(home, **{SPEAKS: value})
            up = subprocess.run([PROGRAMS[0], "--home", home, "up", "--relay", self.relay.url, "--api", "127.0.0.1:0"],
                                capture_output=True, text=True, timeout=60)
            subprocess.run([PROGRAMS[0], "--home", home, "down"], capture_output=True, timeout=60)
            self.assertEqual(up.returncode, 0, up.stderr)
            self.assertEqual("pass in clear; the relay can read and change them" in up.stderr, said, up.stderr)


class KeyedOldProvider(OldProvider):
    """Registers with the key that belongs to its ID, and speaks the old protocol all the same."""

    keyed = True

    def registration(self, **changes):
        key = self.key.noise_public.hex() if self.keyed else ...
        return super().registration(**{**changes, "wgPublicKey": key})


class Serving(OldProtocol):
    def test_the_gateways_question_is_answered_in_chunks(self):
        node, _ = self.sharing()
        for manner, bare in (("rust", True), ("rust", False), ("mac", False)):
            with self.subTest((manner, bare)):
                asker = self.old(OldAsker, manner)
                session = asker.open(node.id)
                question = asker.request(node.id, session, "parrot", "one two three", bare=bare,
                                         stream_options={"include_usage": True})
                words, chunks, (kind, last) = asker.answer(question)
                self.assertEqual((words, kind), ("one two three", "inferenceComplete"))
                self.assertEqual((last["tokensIn"], last["tokensOut"]), (3, 3))
                self.assertGreater(len(chunks), 3)
                asker.signal(node.id, "relayClose", session)
        self.assertEqual(node.status()["requests"]["served"], 3)

    def test_a_session_carries_one_question_after_another_and_several_at_once(self):
        node, _ = self.sharing("--token-ms", "20")
        mac = self.old(OldAsker, "mac")
        session = mac.open(node.id)
        questions = [mac.request(node.id, session, "parrot", f"number {i}") for i in range(3)]
        words, over = dict.fromkeys(questions, ""), set()
        while len(over) < 3:
            kind, p = mac.hear()
            if kind == "inferenceComplete":
                over.add(p["requestID"])
            else:
                words[p["requestID"]] += "".join(c["delta"].get("content") or "" for c in p["chunk"]["choices"])
        self.assertEqual(words, {q: f"number {i}" for i, q in enumerate(questions)})
        again = mac.request(node.id, session, "", "and again")  # a Mac may name no model
        self.assertEqual(mac.answer(again)[0], "and again")

    def test_hello_and_heartbeat_are_answered_so_that_swift_reads_it(self):
        node, _ = self.sharing()
        asker = self.old(OldAsker)
        session = asker.open(node.id)
        asker.say(node.id, session, asker.cluster("hello", {"deviceInfo": {}, "protocolVersion": 1, "loadedModels": []}))
        kind, p = asker.hear()
        self.assertEqual((kind, p["loadedModels"]), ("helloAck", ["parrot"]))
        asker.say(node.id, session, {"heartbeat": {"deviceID": "6e7af19c-216d-419c-bb24-9c5d28b19034"}})
        self.assertEqual(asker.hear()[0], "heartbeatAck")

    def test_a_model_that_is_not_served_is_an_error_and_the_session_stays(self):
        node, _ = self.sharing()
        asker = self.old(OldAsker)
        session = asker.open(node.id)
        question = asker.request(node.id, session, "nope", "one")
        _, _, (kind, p) = asker.answer(question)
        self.assertEqual((kind, p["code"]), ("inferenceError", "model_not_loaded"))
        question = asker.request(node.id, session, "parrot", "one")
        self.assertEqual(asker.answer(question)[0], "one")

    def test_a_model_server_that_fails_is_an_error(self):
        node, _ = self.sharing("--fail", "status-500")
        asker = self.old(OldAsker)
        question = asker.request(node.id, asker.open(node.id), "parrot", "one")
        self.assertEqual(asker.answer(question)[2][1]["code"], "internal_error")

    def test_relay_close_ends_the_generation(self):
        node, parrot = self.sharing("--token-ms", "50")
        asker = self.old(OldAsker)
        session = asker.open(node.id)
        asker.request(node.id, session, "parrot", "word " * 300)
        asker.hear()
        asker.signal(node.id, "relayClose", session)
        wait_for(lambda: parrot_stats(parrot)["cancelled"] == 1, 3)

    def test_members_only_stays_members_only(self):
        node, _ = self.sharing(share_with="networks")
        asker = self.old(OldAsker)
        question = asker.request(node.id, asker.open(node.id), "parrot", "one")
        self.assertEqual(asker.answer(question)[2][1]["code"], "unavailable")

    def test_a_stranger_in_clear_has_a_strangers_share_and_the_others_theirs(self):
        node, parrot = self.sharing("--token-ms", "100", requests_max="16")
        asker, honest = self.old(OldAsker), self.node(speaks=False)
        session = asker.open(node.id)
        for i in range(40):
            asker.request(node.id, session, "parrot", "word " * 100)
        refused = 0
        while refused < 36:
            kind, p = asker.hear()
            if kind == "inferenceError":
                self.assertEqual(p["code"], "queue_full")
                refused += 1
        self.assertEqual(parrot_stats(parrot)["active"], 4)
        status, _, body = honest.post(chat("parrot", "one two"))
        self.assertEqual((status, words_of(body)), (200, "one two"))
        status, headers, _ = node.post(chat("parrot", "one two"))
        self.assertEqual((status, headers["X-Teale-Path"]), (200, "local"))

    def test_switching_it_off_ends_what_was_begun(self):
        node, _ = self.sharing("--token-ms", "50")
        asker = self.old(OldAsker)
        session = asker.open(node.id)
        asker.request(node.id, session, "parrot", "word " * 300)
        asker.hear()
        self.teale(node, "config", "set", SPEAKS, "false")
        while asker.hear()[0] != "relayClose":
            pass
        question = asker.request(node.id, asker.open(node.id), "parrot", "one")
        self.assertEqual(asker.answer(question)[2][1]["code"], "unavailable")


if __name__ == "__main__":
    del sys.argv[1:4]
    unittest.main()
