#!/usr/bin/env python3
"""test_providers.py TEALE TEALE-RELAY PARROT: providers that claim a model and do not serve it, beside one that does.
Every question is answered, and soon. The bad ones are registrants that never answer, nodes whose model server fails
at once, and nodes whose model server sends a head and then nothing."""
import http.server
import json
import os
import sys
import threading
import time
import unittest

from relayproc import CAPABILITIES, Node as Registrant
from scenery import Scenery, chat, wait_for, words_of

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
MODEL, WITHIN = "parrot", 3


class BadModelServer(http.server.ThreadingHTTPServer):
    """Lists the model. `way`: "fails" or "head"; how often it was asked."""
    daemon_threads = True

    def __init__(self, way):
        super().__init__(("127.0.0.1", 0), Handler)
        self.way, self.asked, self.over = way, 0, threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.over.set()
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps({"object": "list", "data": [{"id": MODEL, "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked += 1
        if self.server.way == "fails":
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        self.server.over.wait(120)
        self.close_connection = True


class Silent:
    """A registrant that claims the model and answers nothing."""

    def __init__(self, relay):
        self.address, self.nodes = ("127.0.0.1", relay.port), []
        self.node = Registrant(self)
        self.node.register(capabilities={**CAPABILITIES, "loadedModels": [MODEL]}, signature=...,
                           wgPublicKey=self.node.key.noise_public.hex())

    def close(self):
        self.node.close()


class Providers(unittest.TestCase):
    def ask(self, asker, words):
        begin = time.monotonic()
        status, headers, body = asker.post(chat(MODEL, words), timeout=60)
        took = time.monotonic() - begin
        self.assertEqual((status, words_of(body)), (200, words), body[-300:])
        return took, headers.get("X-Teale-Peer")  # none: the head went out while the question waited

    def scene(self, scenery, silent, ways):
        relay = scenery.relay()
        bad = [BadModelServer(way) for way in ways]
        for b in bad:
            self.addCleanup(b.close)
            node = scenery.node(relay, "--share", b.url)
            wait_for(lambda: node.status()["backend"]["state"] == "up")
        for _ in range(silent):
            self.addCleanup(Silent(relay).close)
        honest = scenery.node(relay, "--share", scenery.parrot("--model", MODEL).url)
        wait_for(lambda: honest.status()["backend"]["state"] == "up")
        asker = scenery.node(relay)
        wait_for(lambda: len([p for p in asker.get_json("/v1/app")["peers"] if MODEL in p["models"]])
                 == silent + len(bad) + 1)
        return bad, honest, asker

    def check(self, silent, ways, first, later=WITHIN):
        with Scenery(*PROGRAMS) as scenery:
            bad, honest, asker = self.scene(scenery, silent, ways)
            took = []
            for i in range(8):
                seconds, peer = self.ask(asker, f"question {i} is answered")
                self.assertEqual(peer, honest.id)
                took.append(seconds)
            print(f"{silent} silent, {ways}: {' '.join(f'{t:.2f}' for t in took)} s; "
                  f"the bad model servers were asked {[b.asked for b in bad]}", flush=True)
            self.assertLess(took[0], first)
            self.assertLess(max(took[1:]), later)
            return bad

    def test_two_that_never_answer_cost_two_seconds_once(self):
        self.check(2, [], first=WITHIN, later=1)

    def test_one_that_fails_at_once_is_not_noticed(self):
        self.check(0, ["fails"], first=1, later=1)

    def test_one_that_sends_a_head_and_then_nothing_costs_its_patience_once(self):
        self.check(0, ["head"], first=WITHIN + 0.5, later=1)

    def test_all_of_them_together_stop_no_question(self):
        # The worst order: 1 s each for the silent, 2.5 s for the head.
        self.check(2, ["fails", "head"], first=6, later=1)

    def test_many_questions_at_once_are_all_answered(self):
        with Scenery(*PROGRAMS) as scenery:
            _, honest, asker = self.scene(scenery, 2, ["fails", "head"])
            answers, lock = [], threading.Lock()

            def one(i):
                try:
                    answer = self.ask(asker, f"question {i} of many")
                except AssertionError as e:
                    answer = e
                with lock:
                    answers.append(answer)

            threads = [threading.Thread(target=one, args=(i,)) for i in range(12)]
            for t in threads:
                t.start()
            for t in threads:
                t.join(90)
            self.assertEqual(len(answers), 12)
            self.assertEqual([a for a in answers if isinstance(a, AssertionError)], [])
            slowest = max(a[0] for a in answers)
            print(f"12 at once: the slowest took {slowest:.2f} s", flush=True)
            self.assertLess(slowest, 8)

    def test_where_nobody_serves_it_the_question_fails_in_time(self):
        with Scenery(*PROGRAMS) as scenery:
            relay = scenery.relay()
            for _ in range(2):
                self.addCleanup(Silent(relay).close)
            asker = scenery.node(relay)
            begin = time.monotonic()
            status, headers, body = asker.post(chat(MODEL, "x"), timeout=60)
            took = time.monotonic() - begin
            print(f"two silent ones alone: {status} after {took:.1f} s", flush=True)
            self.assertGreaterEqual(status, 500, body)
            self.assertLess(took, 16)


if __name__ == "__main__":
    sys.argv[1:] = []
    unittest.main(verbosity=2)
