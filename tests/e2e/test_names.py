#!/usr/bin/env python3
"""test_names.py TEALE TEALE-RELAY PARROT: peers by alias and display name, in commands and over HTTP, also where the names are
hostile; aliases last, and completion knows them."""
import json
import os
import subprocess
import sys
import time
import unittest
import urllib.parse

from netscene import NetScene, refusal
from scenery import chat, wait_for

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])


class Names(unittest.TestCase):
    """One world for all: `me`, and those whom it knows. Each scene leaves no alias behind."""

    @classmethod
    def setUpClass(cls):
        cls.scenery = s = NetScene(TEALE, RELAY, PARROT)
        cls.addClassCleanup(s.__exit__, None)
        s.at, s.settings = s.relay(), {}
        parrot = s.parrot().url
        cls.me = s.person(display_name="me")
        cls.anna = s.person("--share", parrot, display_name="anna")
        cls.bob = s.person("--share", parrot, display_name="bob")
        cls.twin = s.person(display_name="BOB")
        # a node that calls itself as another one's ID begins, and one with a Cyrillic letter
        cls.digits = s.person(display_name=cls.anna.id[:10])
        cls.marta = s.person(display_name="m\u0430rta")
        wait_for(lambda: len(cls.me.json("peers")["peers"]) == 5 and "parrot" in [m["id"] for m in cls.me.json("models")["models"]])

    def alias(self, *args, **more):
        return self.me.command("peers", "alias", *args, **more)

    def given(self, *args):
        self.alias(*args)
        self.addCleanup(self.alias, "--remove", args[1], code=None)

    def pinged(self, name):
        return self.me.json("ping", "-c", "1", name)["node_id"]

    def test_a_display_name_that_one_node_has_names_it(self):
        for name in ("anna", "Anna", self.anna.id[:16], self.anna.id[:16].upper(), self.anna.id.upper()):
            self.assertEqual(self.pinged(name), self.anna.id, name)
        self.assertEqual(self.me.json("why", "anna")["node_id"], self.anna.id)
        self.assertEqual(self.me.command("chat", "--peer", "anna", "hello").stdout, "hello\n")
        self.assertIn("did you mean anna?", refusal(self.me, "ping", "ana", code=1))

    def test_a_name_that_two_have_lists_them_and_an_alias_ends_it(self):
        line = refusal(self.me, "ping", "bob", code=2)
        self.assertIn("E_AMBIGUOUS", line)
        self.assertIn(self.bob.id[:16] + " (bob)", line)
        self.assertIn(self.twin.id[:16] + " (BOB)", line)
        self.given(self.bob.id[:16], "bob")
        self.assertEqual(self.pinged("bob"), self.bob.id)
        self.assertEqual(self.pinged("BOB"), self.bob.id)
        self.assertIn("looks so", refusal(self.me, "peers", "alias", "anna", "b0b", code=1))

    def test_a_hostile_name_wins_over_nothing(self):
        self.assertEqual(self.pinged(self.anna.id[:16]), self.anna.id)
        self.assertIn("made to look like something else", refusal(self.me, "ping", "m\u0430rta", code=1))
        self.given("anna", "marta")
        self.assertEqual(self.pinged("marta"), self.anna.id)
        line = refusal(self.me, "ping", "m\u0430rta", code=2)  # copied from the list of peers
        self.assertIn("E_AMBIGUOUS", line)
        self.assertIn(f"{self.anna.id[:16]} (anna, alias marta)", line)

    def test_few_digits_name_nobody_but_who_is_known_otherwise(self):
        line = refusal(self.me, "chat", "--peer", self.marta.id[:8], "hello", code=1)
        self.assertIn(f"{self.marta.id[:16]}", line)
        self.assertIn(f"anybody can make an ID that begins with {self.marta.id[:8]}. Give at least 16 digits", line)
        self.given(self.marta.id, "friend")
        self.assertEqual(self.pinged(self.marta.id[:8]), self.marta.id)

    def test_an_alias_has_a_form_and_one_owner(self):
        for wrong in ("", "a b", "-x", "cafe", "a/b", "b\u043eb", "x" * 65):
            self.alias("--", "anna", wrong, code=2)
        self.alias("anna", code=2)
        self.assertIn("this node itself", refusal(self.me, "peers", "alias", self.me.id, "self", code=2))
        self.assertIn("E_NOT_FOUND", refusal(self.me, "peers", "alias", "--remove", "anna", code=1))
        self.given("anna", "first")
        self.given("anna", "second")  # in place of the one before
        self.assertEqual([a["alias"] for a in self.me.json("peers", "alias")["aliases"]], ["second"])
        self.assertEqual(self.me.json("peers", "alias", "--remove", "second"),
                         {"node_id": self.anna.id, "name": "anna", "alias": None})

    def test_aliases_are_shown_wherever_a_node_is(self):
        self.given("anna", "mother")
        row = next(p for p in self.me.json("peers")["peers"] if p["node_id"] == self.anna.id)
        self.assertEqual((row["name"], row["alias"]), ("anna", "mother"))
        self.assertRegex(self.me.command("peers").stdout, self.anna.id[:16] + r" +mother +anna ")
        offers = [o for m in self.me.json("models")["models"] for o in m["offers"]]
        self.assertIn("mother", [o["alias"] for o in offers if o["node_id"] == self.anna.id])
        self.assertIn("peer: " + self.anna.id[:16] + " [mother] \"anna\"\n", self.me.command("why", "mother").stdout)
        self.assertEqual(self.me.json("why", "mother")["alias"], "mother")
        self.pinged("mother")
        watched = subprocess.Popen([TEALE, "--home", self.me.home, "watch", "--timeout", "20"], stdout=subprocess.PIPE, text=True)
        try:
            line = next(l for l in watched.stdout if self.anna.id[:16] in l)
        finally:
            watched.kill()
            watched.wait()
            watched.stdout.close()
        self.assertIn(f"{self.anna.id[:16]} [mother] \"anna\"", line)

    def test_a_name_that_is_only_this_nodes_own_is_said_to_be_so(self):
        for what in (("ping", "me"), ("wallet", "settle", "me", "1")):
            self.assertIn("that is this node itself: no other node that is known is called so", refusal(self.me, *what, code=2))
        self.assertIn('that is this node itself ("me"), and it has no model server', refusal(self.me, "chat", "--peer", "me", "x", code=2))
        self.assertIn("this node itself", self.me.command("why", "me").stdout)

    def test_http_takes_names_too(self):
        def asked(name):
            status, head, body = self.me.post(chat("parrot", "hi", stream=False), {"X-Teale-Ask-Peer": name})
            return status, head.get("X-Teale-Peer"), json.loads(body).get("error", {}).get("code")
        self.assertEqual(asked("anna"), (200, self.anna.id, None))
        self.assertEqual(asked("bob")[::2], (400, "ambiguous_peer"))
        self.assertEqual(asked("nobody")[::2], (404, "peer_not_found"))
        self.assertEqual(asked("me")[::2], (400, "own_node"))
        self.assertEqual(asked("f" * 64)[::2], (400, "invalid_node_id"))

        def call(method, path, body=None):
            c, r = self.me.request(method, "/v1/app/aliases" + path, json.dumps(body) if body else None)
            value = json.loads(r.read())
            c.close()
            return r.status, value
        anna = {"node_id": self.anna.id, "name": "anna", "alias": "ann"}
        self.assertEqual(call("PUT", "/" + self.anna.id, {"alias": "ann"}), (200, anna))
        self.assertEqual(call("GET", ""), (200, {"aliases": [anna]}))
        self.assertEqual(asked("ann"), (200, self.anna.id, None))
        self.assertEqual(call("PUT", "/ann", {"alias": "a b"})[1]["error"]["code"], "invalid")
        self.assertEqual(call("PUT", "/bob", {"alias": "x"})[1]["error"]["code"], "ambiguous")
        self.assertEqual(call("PUT", "/" + self.bob.id, {"alias": "ANN"})[0], 409)
        self.assertEqual(call("PUT", "/" + urllib.parse.quote("ann"), {"alias": "\u0410\u043d\u043d\u0430"})[0], 200)
        self.assertEqual(call("DELETE", "/" + urllib.parse.quote("\u0410\u043d\u043d\u0430"))[1]["alias"], None)
        self.assertEqual(call("GET", ""), (200, {"aliases": []}))

    def test_completion_offers_what_names_a_node_and_nothing_else(self):
        def words(*typed):
            out = self.me.command("completion", "words", "--", "--home", self.me.home, *typed).stdout
            return [l.split("\t")[0] for l in out.splitlines()]
        self.given(self.bob.id, "robert")
        found = words("ping", "")
        for name in ("anna", "robert", self.twin.id[:16]):
            self.assertIn(name, found)
        for name in ("bob", "BOB", self.anna.id[:10], "m\u0430rta", "me"):
            self.assertNotIn(name, found)
        self.assertEqual(words("chat", "--peer", "ro"), ["robert"])
        self.assertIn("parrot", words("chat", "-m", ""))

    def test_members_are_named_before_others_and_also_while_they_are_away(self):
        s = self.scenery
        self.me.command("ptn", "create", "family")
        away = s.person(display_name="bob")  # the third of that name, and the only member
        away.command("join", self.me.command("ptn", "invite", "family").stdout.strip())
        wait_for(lambda: "bob" in [m["name"] for m in self.me.json("ptn", "members", "family")["members"]])
        away.end()
        s.running.remove(away)
        self.me.end()
        s.running.remove(self.me)
        type(self).me = s.again(self.me)
        wait_for(lambda: len(self.me.json("peers")["peers"]) == 5)
        self.assertEqual(self.me.json("ptn", "renew", "family", "bob")["node_id"], away.id)
        self.assertIn("E_AMBIGUOUS", refusal(self.me, "ping", "bob", code=2))
        self.given(away.id, "brother")
        self.assertEqual(self.me.json("ptn", "revoke", "family", "brother")["node_id"], away.id)

    def test_an_alias_survives_a_restart(self):
        self.given("anna", "lasting")
        self.me.end()
        self.scenery.running.remove(self.me)
        type(self).me = self.scenery.again(self.me)
        wait_for(lambda: len(self.me.json("peers")["peers"]) == 5)
        self.assertEqual(self.pinged("lasting"), self.anna.id)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
