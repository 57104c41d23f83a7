#!/usr/bin/env python3
"""test_networks_asking.py TEALE TEALE-RELAY PARROT: who is asked and who is served, in a private network and
beside it, with the real binaries: scope, isolation, revocation under an answer, and what a relay can learn."""
import json
import os
import sys
import threading
import time
import unittest

from hostile import Hostile
from modelserver import ModelServer
from netscene import LAB, MODEL, NetScene, ask, error_of, network, open_stream, refusal
from registrants import capabilities
from relayproc import Node as Scripted
from scenery import chat, parrot_stats, wait_for, words_of

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
SCOPED = f"{MODEL}@{LAB}"


def answered(node, words, model=SCOPED, headers=None):
    status, got, body = ask(node, words, model, headers)
    assert status == 200, (status, body)
    assert words_of(body) == words, body
    return got


class Base(unittest.TestCase):
    def setUp(self):
        self.scene = NetScene(*PROGRAMS)
        self.addCleanup(self.scene.__exit__, None, None, None)

    def stand(self, **more):
        self.scene.people(**more)
        self.scene.found()
        self.scene.knows_model(self.scene.consumer)

    def refused(self, answer, status, code, *words):
        got = error_of(answer)
        self.assertEqual(got[:2], (status, code), got)
        for w in words:
            self.assertIn(w, got[2])


class Scope(Base):
    def test_a_question_is_scoped_by_header_by_suffix_and_by_key(self):
        s = self.scene
        seen = ModelServer("gpt")
        seen.answer = lambda handler, body: handler.whole({
            "id": "c", "object": "chat.completion", "created": 1, "model": json.loads(body)["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}})
        self.addCleanup(seen.end)
        s.people(model_server=seen.url)
        s.found()
        s.knows_model(s.consumer, "gpt")
        key = s.consumer.json("ptn", "key", LAB)["key"]
        self.assertEqual(s.consumer.json("ptn", "key", LAB)["key"], key)
        exports = s.consumer.command("env", "--ptn", LAB).stdout
        self.assertIn(key, exports)
        for model, headers in ((f"gpt@{LAB}", {}), (f"gpt@{s.ptn}", {}), (f"gpt@{s.ptn[:8]}", {}),
                               ("gpt", {"X-Teale-PTN": LAB}), ("gpt", {"X-Teale-PTN": s.ptn}),
                               ("gpt", {"Authorization": f"Bearer {key}"}),
                               (f"gpt@{LAB}", {"X-Teale-PTN": s.ptn, "Authorization": f"Bearer {key}"}),
                               ("gpt", {})):  # members first, where nothing is said
            with self.subTest(model=model, headers=headers):
                status, got, body = s.consumer.post(chat(model, "x", stream=False), headers)
                self.assertEqual(status, 200, body)
                self.assertEqual((got["X-Teale-PTN"], got["X-Teale-Peer"]), (s.ptn, s.provider.id))
                self.assertEqual(json.loads(seen.asked[-1][2])["model"], "gpt")  # without its suffix
        other = s.consumer.json("ptn", "create", "other")["ptn_id"]
        self.refused(s.consumer.post(chat(f"gpt@{LAB}", "x"), {"X-Teale-PTN": other}), 400, "invalid_value")
        self.refused(s.consumer.post(chat("gpt@other", "x"), {"Authorization": f"Bearer {key}"}), 400,
                     "invalid_value")
        listed = [m["id"] for m in s.consumer.get_json("/v1/models")["data"]]
        self.assertIn(f"gpt@{LAB}", listed)
        new = s.consumer.json("ptn", "key", LAB, "--new")["key"]
        self.assertNotEqual(new, key)
        self.assertIn(s.consumer.post(chat("gpt", "x"), {"Authorization": f"Bearer {key}"})[0], (401, 403))
        self.assertEqual(s.consumer.post(chat("gpt", "x", stream=False), {"Authorization": f"Bearer {new}"})[0], 200)

    def test_a_scoped_question_never_goes_to_the_public(self):
        s = self.scene
        self.stand()
        public = s.parrot("--model", MODEL, "--model", "only-public", "--model", "odd@name")
        stranger = s.person("--share", public.url)
        wait_for(lambda: "only-public" in [m["id"] for m in s.consumer.get_json("/v1/models")["data"]])
        self.assertEqual(answered(s.consumer, "public", "only-public")["X-Teale-Peer"], stranger.id)
        self.assertEqual(answered(s.consumer, "odd", "odd@name")["X-Teale-Peer"], stranger.id)
        self.refused(ask(s.consumer, model=f"only-public@{LAB}"), 404, "model_not_found", LAB)
        s.provider.end()
        before = parrot_stats(public)["served"]
        status, code, message = error_of(ask(s.consumer))
        self.assertIn((status, code), ((404, "model_not_found"), (503, "no_provider"), (502, "peer_failed")))
        self.assertIn(LAB, message)
        self.assertEqual(parrot_stats(public)["served"], before)
        # without scope the public serves it, and says that it is nobody's network
        wait_for(lambda: ask(s.consumer, model=MODEL)[0] == 200, 20)
        self.assertNotIn("X-Teale-PTN", answered(s.consumer, "anybody", MODEL))
        stranger.end()

    def test_an_old_name_of_a_network_is_asked_of_nobody_who_lists_it(self):
        s = self.scene
        self.stand()
        public = s.parrot("--model", SCOPED, "--model", "odd@name")  # whatever this stranger has in mind
        stranger = s.person("--share", public.url)
        listed = lambda: "odd@name" in [m["id"] for m in consumer.get_json("/v1/models")["data"]]  # noqa: E731
        consumer = s.consumer
        consumer.json("ptn", "rename", LAB, "den")
        self.assertEqual(consumer.json("ptn", "rename", "den", "home")["name"], "home")
        for again in range(2):
            wait_for(listed, 20)
            for model, headers in ((SCOPED, {}), (f"{MODEL}@den", {}), (MODEL, {"X-Teale-PTN": LAB})):
                self.refused(ask(consumer, model=model, headers=headers), 403, "forbidden", "is called home here now")
            self.assertIn("is called home here now", consumer.command("ptn", "show", LAB, code=1).stderr)
            self.assertIn("is called home here now", consumer.command("why", "--model", SCOPED, code=1).stderr)
            self.assertEqual(answered(consumer, "odd", "odd@name")["X-Teale-Peer"], stranger.id)
            s.knows_model(consumer, MODEL, "home")
            self.assertEqual(answered(consumer, "ours", f"{MODEL}@home")["X-Teale-PTN"], s.ptn)
            if not again:
                consumer = s.again(consumer)
        # who leaves, and comes back under another name
        consumer.json("ptn", "leave", "home")
        consumer.json("join", s.invite("--role", "consumer"), "--as", "nest")
        wait_for(listed, 20)
        for old in (LAB, "home"):
            self.refused(ask(consumer, model=f"{MODEL}@{old}"), 403, "forbidden", "is called nest here now")
        self.assertEqual(parrot_stats(public)["served"], 2)

    def test_a_network_that_is_not_ours_is_forbidden(self):
        s = self.scene
        self.stand()
        for model, headers in ((f"{MODEL}@{s.ptn}", {}), (MODEL, {"X-Teale-PTN": s.ptn}),
                               (MODEL, {"X-Teale-PTN": LAB})):
            with self.subTest(model=model, headers=headers):
                self.refused(ask(s.outsider, model=model, headers=headers), 403, "forbidden")
        self.refused(ask(s.outsider, model=SCOPED), 403, "forbidden")  # nobody lists a model of that whole name


class Isolation(Base):
    def test_an_outsider_cannot_ask_nor_serve_whatever_it_claims(self):
        s = self.scene
        self.stand()
        self.refused(s.outsider.post(chat(MODEL, "x"), {"X-Teale-Ask-Peer": s.provider.id}), 403, "forbidden")
        # one that lists the network in what it offers is dialled at most; it gets no question
        liar = Scripted(_Address(s.at))
        self.addCleanup(liar.close)
        liar.register(capabilities=capabilities(ptnIDs=[s.ptn], loadedModels=["bait", MODEL]),
                      wgPublicKey=liar.key.noise_public.hex(), signature=...)
        self.refused(ask(s.consumer, model=f"bait@{LAB}"), 503, "no_provider", LAB, "certificate")
        for _ in range(4):
            self.assertEqual(answered(s.consumer, "ours")["X-Teale-Peer"], s.provider.id)

    def test_a_consumer_serves_nobody_in_the_network(self):
        s = self.scene
        self.stand()
        mine = s.parrot("--model", "mine")
        s.join(s.outsider)
        consumer = s.again(s.consumer, "--share", mine.url, "--private")
        wait_for(lambda: consumer.status()["backend"]["state"] == "up")
        answered(consumer, "its own", "mine")  # the owner asks
        for node in (s.outsider, s.admin):
            self.refused(ask(node, model=f"mine@{LAB}"), 503, "no_provider", LAB, "consumer")
            self.refused(node.post(chat(f"mine@{LAB}", "x"), {"X-Teale-Ask-Peer": consumer.id}), 503, "no_provider", LAB)
        s.join(consumer, "provider")  # the twin
        wait_for(lambda: ask(s.outsider, model=f"mine@{LAB}")[0] == 200, 20)


class Revoked(Base):
    """Both sides of an answer that runs end within 5 s."""

    def under_an_answer(self, name):
        s = self.scene
        parrot = s.parrot("--model", MODEL, "--token-ms", "50", "--tokens", "100000")
        self.stand(model_server=parrot.url)
        s.join(s.outsider)
        s.knows_model(s.outsider)
        others = open_stream(s.outsider)  # somebody else's answer
        c, r = open_stream(s.consumer)
        wait_for(lambda: parrot_stats(parrot)["active"] == 2)
        got = {}

        def read():
            got["rest"], got["at"] = r.read(), time.monotonic()

        reader = threading.Thread(target=read)
        reader.start()
        began = time.monotonic()
        told = s.admin.json("ptn", "revoke", LAB, getattr(s, name).id)
        self.assertGreaterEqual(told["told"], 1)
        reader.join(10)
        self.assertFalse(reader.is_alive())
        took = got["at"] - began
        self.assertLess(took, 5)
        self.assertIn(b"event: error", got["rest"])
        self.assertNotIn(b"[DONE]", got["rest"])
        c.close()
        wait_for(lambda: parrot_stats(parrot)["active"] == (1 if name == "consumer" else 0), 5)
        print(f"\nended {took * 1000:.0f} ms after the revocation", file=sys.stderr)
        if name == "consumer":
            self.assertTrue(others[1].read(10))  # goes on
        others[0].close()
        wait_for(lambda: network(getattr(s, name))["state"] == "revoked", 5)

    def test_a_consumer_that_is_revoked_under_an_answer_gets_no_more_of_it(self):
        self.under_an_answer("consumer")
        self.refused(ask(self.scene.consumer), 403, "forbidden", "revoked")

    def test_a_provider_that_is_revoked_under_an_answer_sends_no_more_of_it(self):
        self.under_an_answer("provider")
        status, code, message = error_of(ask(self.scene.consumer))
        self.assertIn((status, code), ((404, "model_not_found"), (503, "no_provider")))
        self.assertIn(LAB, message)


class Hidden(Base):
    def test_a_relay_learns_neither_the_network_nor_who_belongs_together(self):
        s = self.scene
        token = os.path.join(s.directory, "token")
        with open(token, "w", encoding="ascii") as f:
            f.write("operator\n")
        os.chmod(token, 0o600)
        between = Hostile()
        self.addCleanup(between.close)
        real = s.relay("--name", between.authority, "--admin-token-file", token)
        between.upstream = real.port
        self.stand(relay=between.url, **{"ptn.hide": "true"})
        answered(s.consumer, "nobody sees whose")
        self.assertEqual(answered(s.consumer, "again")["X-Teale-PTN"], s.ptn)
        watcher = Scripted(_Address(real), authority=between.authority)
        self.addCleanup(watcher.close)
        watcher.register(wgPublicKey=watcher.key.noise_public.hex(), signature=...)
        watcher.send_message("discover", {"requestingNodeID": watcher.id, "filter": {}})
        found = {p["nodeID"]: p["capabilities"] for p in watcher.expect("discoverResponse")["peers"]}
        tags = {name: found[n.id]["ptnIDs"] for name, n in
                (("admin", s.admin), ("provider", s.provider), ("consumer", s.consumer))}
        self.assertEqual([len(t) for t in tags.values()], [1, 1, 1], tags)
        self.assertEqual(len({t[0] for t in tags.values()}), 3, tags)  # no two alike
        self.assertNotIn(s.ptn, json.dumps(found))
        watcher.send_message("discover", {"requestingNodeID": watcher.id, "filter": {"ptnID": s.ptn}})
        self.assertEqual(watcher.expect("discoverResponse")["peers"], [])
        _, _, listed = _Address(real).get("/peers", "Authorization: Bearer operator")
        self.assertIn(s.admin.id, listed)
        self.assertNotIn(s.ptn, listed)
        for words in (s.ptn, s.ptn[:16], LAB + '"', "nobody sees whose"):
            self.assertFalse(between.saw(words), words)
        self.assertTrue(between.saw(s.admin.id))  # the twin: it did look


class Busy(Base):
    def test_who_pauses_is_served_alone_and_takes_the_machine_back_at_once(self):
        s = self.scene
        parrot = s.parrot("--model", MODEL, "--token-ms", "30", "--tokens", "2000")
        self.stand(model_server=parrot.url)
        c, r = open_stream(s.consumer)
        self.assertEqual(s.provider.json("pause"), {"paused": True, "until": None})
        self.assertTrue(r.read(10))  # what runs goes on
        self.refused(ask(s.consumer, max_tokens=3), 503, "no_provider", "1 of 1 is paused by the owner")
        self.assertEqual([p["node_id"] for p in s.consumer.json("models")["paused"]], [s.provider.id])
        told = s.consumer.command("models").stderr
        self.assertIn(f"paused by its owner: {s.provider.id[:16]}", told)
        self.assertIn(MODEL, told)
        for model in MODEL, f"{MODEL}@lab":
            why = s.consumer.json("why", "--model", model)["ranking"]
            self.assertEqual([w["reason"] for w in why if w["node_id"] == s.provider.id],
                             ["not asked: its owner has paused it"])
        own = s.provider.post(chat(MODEL, "mine", max_tokens=2))
        self.assertEqual(own[0], 200)
        s.provider.json("pause", "--now")
        self.assertIn(b"event: error", r.read())
        c.close()
        wait_for(lambda: parrot_stats(parrot)["active"] == 0)
        self.assertTrue(s.provider.status()["share"]["paused"])
        self.assertEqual(s.provider.json("resume"), {"paused": False, "until": None})
        wait_for(lambda: ask(s.consumer, max_tokens=3)[0] == 200, 20)
        until = s.provider.json("pause", "--for", "2s")["until"]
        self.assertRegex(until, r"^20\d\d-")
        wait_for(lambda: not s.provider.status()["share"]["paused"], 10)

    def test_who_waits_sees_its_place_and_a_full_queue_says_when_to_come_again(self):
        s = self.scene
        s.people(model_server=s.parrot("--model", MODEL, "--token-ms", "20", "--tokens", "100000").url)
        provider_home = s.provider.home
        s.provider.end()
        s.config(provider_home, share_slots="1", share_queue_max="1")
        s.provider = s.again(s.provider, "--share", s.model_url, "--private")
        s.found()
        s.knows_model(s.consumer)
        running = open_stream(s.consumer)
        waiting = s.consumer.request("POST", "/v1/chat/completions", json.dumps(chat(SCOPED, "x")).encode(),
                                     {"Content-Type": "application/json"}, timeout=60)
        line = waiting[1].readline()
        self.assertRegex(line.decode(), r"^: queue position=1 wait_s=\d+")
        status = s.provider.status()["share"]
        self.assertEqual((status["slots"], status["running"], status["queued"]["private"]), (1, 1, 1))
        got, headers, body = ask(s.consumer)
        self.assertEqual((got, json.loads(body)["error"]["code"]), (429, "queue_full"))
        self.assertTrue(1 <= int(headers["Retry-After"]) <= 3600)
        running[0].close()  # its place is free at once, and the next begins
        while not line.startswith(b"data: {"):
            line = waiting[1].readline()
        waiting[0].close()


class _Address:
    """What relayproc's nodes want of a relay, over one of the scenery."""

    def __init__(self, relay):
        self.address, self.nodes = ("127.0.0.1", relay.port), []
        self.schemes = ["ws"]

    def get(self, path, *headers):
        from relayproc import Relay
        return Relay.http(self, "".join([f"GET {path} HTTP/1.1\r\nHost: x\r\n", *(h + "\r\n" for h in headers),
                                         "\r\n"]))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
