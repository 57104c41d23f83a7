#!/usr/bin/env python3
"""test_relays_two.py TEALE TEALE-RELAY PARROT: nodes at two relays of a list. Each relay may die, hang or be restarted
under a running answer: the answer goes on, by the same stream, over the other one."""
import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest

from scenery import Scenery, chat, wait_for, words_of

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
WORDS = " ".join(f"word{i}" for i in range(400))
GAP = 3.0  # seconds that the death of a relay may hold an answer up


class Lateness(threading.Thread):
    """How much later than asked for this machine wakes a process up, at most: what others on it take is not the
    program's pause."""
    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.stop = 0.0, threading.Event()

    def run(self):
        while not self.stop.is_set():
            begun = time.monotonic()
            time.sleep(0.01)
            self.most = max(self.most, time.monotonic() - begun - 0.01)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)
        self.relays = [self.scenery.relay(), self.scenery.relay()]

    def node(self, *args, urls=None, **more):
        urls = urls or [r.url for r in self.relays]
        flags = [x for u in urls[1:] for x in ("--relay", u)]
        return self.scenery.node(urls[0], *flags, *args, **more)

    def at_both(self, node, timeout=60):
        wait_for(lambda: [r["state"] for r in node.status()["wan"]["relays"]] == ["connected"] * 2, timeout)

    def pair(self):
        """A provider and a consumer that know each other, both at both relays."""
        self.parrot = self.scenery.parrot("--model", "parrot", "--token-ms", "15")
        self.provider = self.node("--share", self.parrot.url)
        self.consumer = self.node()
        for node in (self.provider, self.consumer):
            self.at_both(node)
        wait_for(lambda: "parrot" in [m["id"] for m in self.consumer.get_json("/v1/models")["data"]])

    def via(self):
        """The relay by which the consumer reaches the provider."""
        peer = next(p for p in self.consumer.json("peers")["peers"] if p["node_id"] == self.provider.id)
        return next(r for r in self.relays if r.url == peer["relay"])

    def relay_again(self, relay):
        self.scenery.running.remove(relay)
        relay.popen.wait(10)
        again = self.scenery.relay(port=relay.port)
        self.scenery.running.insert(0, self.scenery.running.pop())  # relays end after the nodes
        self.relays[self.relays.index(relay)] = again
        return again


class Stream:
    """An answer that is read by a thread of its own, with the longest pause between two pieces of it."""

    def __init__(self, node):
        self.text, self.gap, self.error = b"", 0.0, None
        self.connection, self.response = node.request(
            "POST", "/v1/chat/completions", json.dumps(chat("parrot", WORDS)), {"Content-Type": "application/json"}, 60)
        assert self.response.status == 200
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        try:
            last = time.monotonic()
            while piece := self.response.read1(65536):
                now = time.monotonic()
                self.gap = max(self.gap, now - last)
                last = now
                self.text += piece
        except OSError as e:
            self.error = e

    def goes_on(self):
        n = len(self.text)
        wait_for(lambda: len(self.text) > n + 200)

    def end(self):
        self.thread.join(60)
        self.connection.close()
        assert self.error is None, self.error
        assert self.text.rstrip().endswith(b"data: [DONE]"), self.text[-300:]
        return words_of(self.text)


class Two(Case):
    def whole(self, stream):
        self.whole_with_gap(stream, GAP)

    def whole_with_gap(self, stream, gap):
        said = stream.end()
        self.assertIn(WORDS, said)
        self.assertLessEqual(stream.gap, gap)
        print(f"longest pause {stream.gap:.2f} s", end=" ", flush=True)

    def test_a_node_is_at_both_and_tells_of_each(self):
        self.pair()
        wan = self.consumer.status()["wan"]
        self.assertEqual({r["url"] for r in wan["relays"]}, {r.url for r in self.relays})
        wait_for(lambda: all(r["rtt_ms"] for r in self.consumer.status()["wan"]["relays"]))
        text = self.consumer.command("status").stdout
        for r in self.relays:
            self.assertIn(r.url, text)

    def test_either_relay_may_be_killed_under_a_running_answer(self):
        self.pair()
        for _ in range(4):
            stream = Stream(self.consumer)
            stream.goes_on()
            victim = self.via()
            victim.kill()
            stream.goes_on()
            self.assertNotEqual(self.via(), victim)
            self.whole(stream)
            self.relay_again(victim)
            for node in (self.provider, self.consumer):
                self.at_both(node)
        facts = self.consumer.status()["requests"]
        self.assertEqual(facts["failed"], 0)

    def test_a_relay_that_hangs_under_a_running_answer_is_left(self):
        self.pair()
        for _ in range(2):
            stream = Stream(self.consumer)
            stream.goes_on()
            victim = self.via()
            victim.kill(signal.SIGSTOP)
            try:
                stream.goes_on()
                self.assertNotEqual(self.via(), victim)
                self.whole(stream)
            finally:
                victim.kill(signal.SIGCONT)
            for node in (self.provider, self.consumer):
                wait_for(lambda: [r["state"] for r in node.status()["wan"]["relays"]] == ["connected"] * 2, 60)

    def test_a_planned_restart_is_not_felt(self):
        self.pair()
        for _ in range(2):
            stream = Stream(self.consumer)
            with Lateness() as late:
                stream.goes_on()
                leaving = self.via()
                leaving.kill(signal.SIGTERM)
                wait_for(lambda: self.via() != leaving)
                stream.thread.join(60)
            # a word passes through five processes, each of which may be late
            self.whole_with_gap(stream, 0.3 + 5 * late.most)
            leaving.popen.wait(25)  # both nodes have left, so it need not wait for its time to be over
            self.relay_again(leaving)
            for node in (self.provider, self.consumer):
                self.at_both(node)
                self.assertFalse(any("another process" in l for l in node.log))

    def test_a_relay_alone_that_is_restarted_is_found_again(self):
        self.relays[1].end()
        self.scenery.running.remove(self.relays[1])
        del self.relays[1]
        node = self.node()
        relay = self.relays[0]
        relay.kill(signal.SIGTERM)
        wait_for(lambda: any("says goodbye" in l for l in node.log))
        relay.kill(signal.SIGTERM)
        self.relay_again(relay)
        took = wait_for(lambda: node.status()["wan"]["state"] == "connected", 20)
        print(f"back after {took:.1f} s", end=" ", flush=True)

    def test_an_empty_list_is_no_relay(self):
        for empty in ("[]", ""):
            self.scenery.config(home := self.scenery.new_home(), wan_enabled="true", wan_relay_url=empty)
            self.scenery.config(home, **{"nat.stun_servers": "[]", "dht.bootstrap": "[]"})
            node = self.scenery.node(None, home=home, connected=False, relayed=False)
            wan = node.status()["wan"]
            self.assertEqual((wan["state"], wan["relay"], wan["relays"], wan["error"]), ("none", "", [], None))
            found = {c["id"]: c for c in node.json("doctor")["checks"]}
            self.assertEqual(found["relay"]["state"], "ok")
            self.assertIn("found through the DHT", found["relay"]["evidence"])
            self.assertIn("wan: on, without a relay\n", node.command("status").stdout)
            self.assertIn("relay: none\n", node.command("status").stdout)
            self.assertNotEqual(node.status()["nat"]["port"], 0)
            node.command("config", "set", "dht.enabled", "false")
            found = {c["id"]: c for c in node.json("doctor")["checks"]}
            self.assertEqual(found["relay"]["state"], "warning")
            node.command("config", "set", "wan_relay_url", self.relays[0].url)
            wait_for(lambda: node.status()["wan"]["state"] == "connected")
            self.assertEqual(len(node.status()["wan"]["relays"]), 1)

    def test_up_waits_for_the_other_relay_where_one_is_dead(self):
        """The dead one refuses within a millisecond; the one that lives needs a few."""
        self.relays[0].kill()
        home = self.scenery.new_home()
        self.scenery.config(home, wan_enabled="true", api_listen="127.0.0.1:0",
                            wan_relay_url=json.dumps([r.url for r in self.relays]))
        self.addCleanup(subprocess.run, [TEALE, "--home", home, "down"], capture_output=True, timeout=60)
        done = subprocess.run([TEALE, "--home", home, "up", "--timeout", "60"], capture_output=True, text=True, timeout=90)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"relay      {self.relays[1].url} connected", done.stdout + done.stderr)

    def test_two_names_of_one_relay_are_not_a_missing_relay(self):
        url = self.relays[0].url
        node = self.node(urls=[url, url.replace("127.0.0.1", "localhost")])

        def second():
            return next((c for c in node.json("doctor")["checks"] if c["id"] == "second_relay"), {"evidence": ""})
        wait_for(lambda: "act as one" in second()["evidence"])
        self.assertEqual(second()["state"], "ok")
        self.assertFalse([line for line in node.log if "another process" in line], node.log)

    def test_a_relay_that_is_missing_is_a_warning(self):
        self.relays[1].kill()
        node = self.node()
        wait_for(lambda: any(r["error"] for r in node.status()["wan"]["relays"]))
        found = {c["id"]: c for c in node.json("doctor")["checks"]}
        self.assertEqual((found["relay"]["state"], found["second_relay"]["state"]), ("ok", "warning"))
        self.assertIn("nothing listens there", found["second_relay"]["remedy"])

    def test_a_question_finds_the_relay_that_is_left(self):
        self.pair()
        self.relays[0].kill()
        status, headers, body = self.consumer.post(chat("parrot", "one two three"))
        self.assertEqual((status, headers["X-Teale-Path"]), (200, "relayed"))
        wan = self.consumer.status()["wan"]
        self.assertEqual((wan["state"], wan["relay"], wan["error"]), ("connected", self.relays[1].url, None))

    def test_peers_that_share_but_one_relay_meet_there(self):
        third = self.scenery.relay()
        parrot = self.scenery.parrot("--model", "parrot")
        self.provider = self.node("--share", parrot.url, urls=[self.relays[0].url, third.url])
        consumer = self.node(urls=[self.relays[1].url, third.url])
        wait_for(lambda: "parrot" in [m["id"] for m in consumer.get_json("/v1/models")["data"]])
        self.assertEqual(consumer.post(chat("parrot", "one two three"))[0], 200)
        peer = next(p for p in consumer.json("peers")["peers"] if p["node_id"] == self.provider.id)
        self.assertEqual(peer["relay"], third.url)

    def test_a_spare_is_used_when_one_of_two_is_away(self):
        third = self.scenery.relay()
        node = self.node(urls=[r.url for r in self.relays] + [third.url])
        self.at_both(node)
        self.relays[1].kill()
        wait_for(lambda: {r["url"] for r in node.status()["wan"]["relays"] if r["state"] == "connected"} ==
                 {self.relays[0].url, third.url})

    def test_who_left_one_relay_is_still_listed_by_the_other(self):
        self.pair()
        self.relays[1].kill()
        time.sleep(1)
        self.assertIn("parrot", [m["id"] for m in self.consumer.get_json("/v1/models")["data"]])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
