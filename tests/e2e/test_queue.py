#!/usr/bin/env python3
"""test_queue.py TEALE TEALE-RELAY PARROT: the queue before the model server, as askers and its owner meet it: a
place that is told, a full queue, another provider beside, the owner's own questions, pause and resume."""
import json
import os
import re
import sys
import threading
import time
import unittest

from scenery import Scenery, chat, parrot_stats, wait_for, words_of

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
MODEL = "parrot"


class Asking(threading.Thread):
    """A question under way in a thread of its own: status, headers and bytes as they come."""

    def __init__(self, node, words="one two", stream=True):
        super().__init__(daemon=True)
        self.node, self.question = node, chat(MODEL, words, stream)
        self.status, self.headers, self.bytes, self.over = None, {}, b"", False
        self.start()

    def run(self):
        c, r = self.node.request("POST", "/v1/chat/completions", json.dumps(self.question).encode(),
                                 {"Content-Type": "application/json"}, timeout=60)
        self.status, self.headers = r.status, dict(r.getheaders())
        while piece := r.read1(65536):
            self.bytes += piece
        c.close()
        self.over = True

    def places(self):
        return re.findall(rb": queue position=(\d+) wait_s=(\d+)\n", self.bytes)

    def words(self):
        return words_of(self.bytes)

    def wait(self):
        wait_for(lambda: self.over, 60)
        return self


class Queue(unittest.TestCase):
    """One provider with one slot, whose model server says a word a second; an asker; a second asker."""

    def setUp(self):
        self.s = Scenery(*PROGRAMS)
        self.addCleanup(lambda: self.s.__exit__(*sys.exc_info()))
        self.relay = self.s.relay()

    def provider(self, parrot, **settings):
        home = self.s.new_home()
        self.s.config(home, **settings)
        return self.s.node(self.relay, "--share", parrot.url, home=home)

    def share(self, node):
        return node.json("status")["share"]

    def knows(self, asker, *providers):
        wait_for(lambda: len(asker.get_json("/v1/app")["peers"]) >= len(providers))

    def test_a_question_that_waits_is_told_its_place_and_is_answered_in_its_turn(self):
        # the first takes far longer than all that is looked at meanwhile, also beside load
        parrot = self.s.parrot("--model", MODEL, "--token-ms", "500", "--tokens", "20")
        provider = self.provider(parrot, share_slots="1")
        asker = self.s.node(self.relay)
        first = Asking(asker)
        wait_for(lambda: self.share(provider)["running"] == 1)
        second = Asking(asker)
        wait_for(lambda: self.share(provider)["queued"] == {"private": 0, "public": 1})
        wait_for(second.places)  # while the first is still answered:
        self.assertFalse(first.over)
        self.assertEqual(second.places()[0][0], b"1")
        self.assertTrue(1 <= int(second.places()[0][1]) <= 3600)
        self.assertFalse(first.places())
        self.assertTrue(first.wait().words())
        self.assertTrue(second.wait().words())
        self.assertEqual(second.status, 200)
        self.assertEqual(second.headers["Content-Type"], "text/event-stream")
        share = self.share(provider)
        self.assertEqual((share["slots"], share["running"], share["paused"], share["until"]), (1, 0, False, None))
        c, r = provider.request("GET", "/metrics")
        metrics = r.read().decode()
        c.close()
        self.assertRegex(metrics, r'teale_served_tokens_total\{class="public",kind="generated"\} 40\b')
        self.assertIn('teale_queue_length{class="private"} 0', metrics)

    def test_a_full_queue_is_429_with_the_seconds_to_wait(self):
        parrot = self.s.parrot("--model", MODEL, "--token-ms", "400", "--tokens", "20")
        provider = self.provider(parrot, share_slots="1", share_queue_max="1")
        asker = self.s.node(self.relay)
        askings = [Asking(asker)]
        wait_for(lambda: self.share(provider)["running"] == 1)
        askings.append(Asking(asker, stream=False))
        wait_for(lambda: self.share(provider)["queued"]["public"] == 1)
        status, headers, body = asker.post(chat(MODEL, "too many", False))
        self.assertEqual(status, 429, body)
        self.assertEqual(json.loads(body)["error"]["code"], "queue_full")
        self.assertTrue(1 <= int(headers["Retry-After"]) <= 3600)
        for asking in askings:
            self.assertEqual(asking.wait().status, 200)

    def test_nobody_waits_beyond_the_bound(self):
        parrot = self.s.parrot("--model", MODEL, "--token-ms", "400", "--tokens", "25")
        provider = self.provider(parrot, share_slots="1", share_queue_wait_secs="1")
        asker = self.s.node(self.relay)
        first = Asking(asker)
        wait_for(lambda: self.share(provider)["running"] == 1)
        begun = time.monotonic()
        status, headers, _ = asker.post(chat(MODEL, "late", False))
        self.assertEqual(status, 429)
        self.assertGreaterEqual(time.monotonic() - begun, 0.9)
        self.assertFalse(first.over)
        self.assertTrue(1 <= int(headers["Retry-After"]) <= 3600)
        first.wait()

    def test_who_waits_is_answered_by_another_provider_that_is_idle(self):
        slow = self.s.parrot("--model", MODEL, "--token-ms", "500", "--tokens", "100")
        busy = self.provider(slow, share_slots="1")
        asker = self.s.node(self.relay)
        first = Asking(asker)
        wait_for(lambda: self.share(busy)["running"] == 1)
        second = Asking(asker)
        wait_for(lambda: self.share(busy)["queued"]["public"] == 1)
        quick = self.s.parrot("--model", MODEL)
        idle = self.provider(quick)
        wait_for(lambda: second.over, 40)
        self.assertTrue(second.words())
        self.assertFalse(first.over)
        self.assertEqual(self.share(busy)["queued"]["public"], 0)
        self.assertEqual(parrot_stats(quick)["served"], 1)
        self.assertEqual(self.share(idle)["running"], 0)
        busy.json("pause", "--now")
        first.wait()

    def test_the_owners_own_question_passes_by_the_queue(self):
        parrot = self.s.parrot("--model", MODEL, "--token-ms", "300", "--tokens", "35")
        provider = self.provider(parrot, share_slots="1")
        asker = self.s.node(self.relay)
        first, second = Asking(asker), Asking(asker)
        wait_for(lambda: self.share(provider)["queued"]["public"] == 1)
        own = Asking(provider)
        wait_for(own.words)
        self.assertEqual(self.share(provider)["queued"]["public"], 1)
        for asking in (own, first, second):
            self.assertTrue(asking.wait().words())
        self.assertFalse(own.places())

    def test_pause_ends_what_waits_and_with_now_what_runs_and_the_owner_is_served(self):
        parrot = self.s.parrot("--model", MODEL, "--token-ms", "300", "--tokens", "45")
        provider = self.provider(parrot, share_slots="1")
        asker = self.s.node(self.relay)
        first = Asking(asker)
        wait_for(lambda: first.words())
        second = Asking(asker, stream=False)
        wait_for(lambda: self.share(provider)["queued"]["public"] == 1)
        self.assertEqual(provider.json("pause"), {"paused": True, "until": None})
        self.assertEqual(second.wait().status, 503, second.bytes)
        self.assertFalse(first.over)
        self.assertTrue(self.share(provider)["paused"])
        self.assertEqual(asker.post(chat(MODEL, "paused", False))[0], 503)
        paused = provider.json("pause", "--for", "2h", "--now")
        self.assertRegex(paused["until"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        wait_for(lambda: first.over)
        self.assertIn(b"unavailable", first.bytes)  # and not its end
        own = Asking(provider)
        wait_for(own.words)
        self.assertEqual(provider.json("resume"), {"paused": False, "until": None})
        wait_for(lambda: asker.post(chat(MODEL, "again", False))[0] == 200, 60)
        own.wait()

    def test_the_page_sees_who_is_served_and_takes_the_machine_back(self):
        def ask(method, path, body=None):
            c, r = provider.request(method, path, json.dumps(body) if body is not None else None)
            raw = r.read()
            c.close()
            self.assertEqual(r.status, 200, raw)
            return json.loads(raw)

        parrot = self.s.parrot("--model", MODEL, "--token-ms", "100", "--tokens", "400")
        provider = self.provider(parrot, share_slots="1")
        asker = self.s.node(self.relay)
        idle = ask("GET", "/v1/app/sharing")
        self.assertEqual((idle["questions"], idle["more"], idle["tokens_per_s"]), ([], 0, 0))
        first = Asking(asker)
        wait_for(lambda: len(first.words()) > 5)
        second = Asking(asker, stream=False)
        wait_for(lambda: len(ask("GET", "/v1/app/sharing")["questions"]) == 2)
        now = ask("GET", "/v1/app/sharing")
        served, waits = now["questions"]
        self.assertEqual((served["state"], served["model"], served["peer"], served["path"], served["ptn_id"]),
                         ("answering", MODEL, asker.id, self.path(provider, asker), None))
        self.assertGreater(served["tokens"], 0)
        self.assertGreater(served["tokens_per_s"], 0)
        self.assertEqual(now["tokens_per_s"], served["tokens_per_s"])
        self.assertGreaterEqual(now["totals"]["tokens_out"], served["tokens"])
        self.assertEqual((waits["state"], waits["position"], waits["tokens"], waits["tokens_per_s"]), ("waiting", 1, 0, None))
        self.assertEqual((now["sharing"]["models"], now["share"]["slots"]), ([MODEL], 1))
        paused = ask("POST", "/v1/app/pause", {"for_s": 900, "now": True})
        self.assertRegex(paused["until"], "^20")
        wait_for(lambda: first.over)
        self.assertEqual(second.wait().status, 503)
        self.assertEqual(ask("GET", "/v1/app/sharing")["questions"], [])
        self.assertTrue(ask("GET", "/v1/app/sharing")["share"]["paused"])
        self.assertEqual(ask("POST", "/v1/app/resume"), {"paused": False, "until": None})

    def path(self, node, peer):
        return next(p["path"] for p in node.json("peers")["peers"] if p["node_id"] == peer.id)

    def test_the_slots_are_those_that_llama_server_tells_unless_they_are_set(self):
        parrot = self.s.parrot("--model", MODEL, "--kind", "llama-server")
        provider = self.provider(parrot)
        wait_for(lambda: self.share(provider)["slots"] == 4)
        wait_for(lambda: any("answers 4 questions at once" in line for line in provider.log))
        self.assertEqual(self.share(self.provider(parrot, share_slots="2"))["slots"], 2)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
