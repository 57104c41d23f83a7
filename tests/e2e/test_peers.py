#!/usr/bin/env python3
"""test_peers.py TEALE TEALE-RELAY PARROT: the list of peers, and names by their first digits, are right within about a
second of what changed: who joined, who left, who serves what."""
import json
import os
import subprocess
import sys
import time
import unittest

from scenery import Scenery, wait_for

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
SOON = 1.5  # seconds: one for a list that counts as fresh, and half a one for two cores that others use, too


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)
        self.relay = self.scenery.relay()
        self.looker = self.scenery.node(self.relay)

    def teale(self, node, *args):
        return subprocess.run([TEALE, "--home", node.home, *args], capture_output=True, text=True, timeout=60,
                              stdin=subprocess.DEVNULL)

    def peers(self, *args):
        r = self.teale(self.looker, "peers", "--json", *args)
        self.assertEqual(r.returncode, 0, r.stderr)
        return {p["node_id"]: p for p in json.loads(r.stdout)["peers"]}

    def models(self):
        return [m["id"] for m in json.loads(self.teale(self.looker, "models", "--json").stdout)["models"]]

    def soon(self, condition, within=SOON):
        begun = time.monotonic()
        while not condition():
            self.assertLess(time.monotonic() - begun, within)

    def provider(self, *args, **more):
        return self.scenery.node(self.relay, "--share", self.scenery.parrot().url, *args, **more)

    def ping(self, node):
        r = self.teale(self.looker, "ping", "-c", "1", node.id)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)


class Lists(Case):
    def test_who_joins_is_listed_and_answers_to_its_first_digits(self):
        self.assertEqual(self.peers(), {})
        node = self.provider()
        self.soon(lambda: node.id in self.peers())
        self.soon(lambda: self.peers()[node.id]["models"] == ["parrot"])
        r = self.teale(self.looker, "ping", "-c", "1", node.id[:16])
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_digits_of_a_peer_that_joins_are_known_though_the_list_was_just_asked_for(self):
        self.peers()
        node = self.scenery.node(self.relay)
        self.peers()
        r = self.teale(self.looker, "ping", "-c", "1", node.id[:16])
        self.assertEqual(r.returncode, 0, r.stderr)

    def test_who_leaves_is_not_listed_and_its_models_go_with_it(self):
        for connected in (False, True):
            for signo in ("end", "kill"):
                with self.subTest(connected=connected, how=signo):
                    node = self.provider()
                    self.soon(lambda: self.peers().get(node.id, {}).get("models") == ["parrot"])
                    self.assertEqual(self.models(), ["parrot"])
                    if connected:
                        self.ping(node)
                    getattr(node, signo)()
                    self.soon(lambda: node.id not in self.peers())
                    self.soon(lambda: self.models() == [])
                    r = self.teale(self.looker, "ping", "-c", "1", node.id[:16])
                    self.assertEqual(r.returncode, 1)
                    self.assertIn("teale peers", r.stderr)

    def test_models_that_come_and_go_do_so_in_the_list(self):
        node = self.provider()
        self.soon(lambda: self.peers().get(node.id, {}).get("models") == ["parrot"])
        for connected in (False, True):
            if connected:
                self.ping(node)
            for shown, models in (('["none"]', []), ("[]", ["parrot"])):
                with self.subTest(connected=connected, models=models):
                    self.scenery.config(node.home, share_models=shown)
                    self.soon(lambda: self.peers()[node.id]["models"] == models)
                    self.soon(lambda: self.models() == models)

    def test_a_relay_that_restarts_brings_back_who_is_there_and_no_other(self):
        stays, goes = self.provider(), self.provider()
        self.soon(lambda: {stays.id, goes.id} == set(self.peers()))
        port = self.relay.port
        self.relay.end()
        self.scenery.running.remove(self.relay)
        wait_for(lambda: self.looker.status()["wan"]["state"] != "connected")
        self.assertEqual(self.peers(), {})
        goes.kill()
        self.relay = self.scenery.relay(port=port)
        for node in (self.looker, stays):
            wait_for(lambda: node.status()["wan"]["state"] == "connected", 20)
        self.soon(lambda: {stays.id} == set(self.peers()))

    def test_why_knows_who_has_left(self):
        node = self.scenery.node(self.relay)
        why = lambda: json.loads(self.teale(self.looker, "why", node.id, "--json").stdout)["reason"]
        self.soon(lambda: why() == "not_connected")
        node.kill()
        self.soon(lambda: why() == "not_present")


class Wan(Case):
    """The way the seeds verify a connection."""

    def test_the_peers_beyond_the_local_network_are_listed_before_and_after_a_connection(self):
        node = self.scenery.node(self.relay)
        self.assertIn("wan: connected", self.teale(self.looker, "status").stdout)
        self.soon(lambda: list(self.peers("--wan")) == [node.id])
        self.ping(node)
        self.assertEqual(self.peers("--wan")[node.id]["path"], "relayed")
        self.assertEqual(self.peers("--cluster"), {})
        r = self.teale(self.looker, "peers", "--wan")
        self.assertIn(node.id[:16], r.stdout)
        r = self.teale(self.looker, "peers", "--cluster")
        self.assertEqual((r.returncode, r.stdout), (0, ""))
        self.assertIn("no peers on the local network; 1 beyond it: teale peers --wan", r.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
