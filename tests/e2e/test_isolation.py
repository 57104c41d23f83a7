#!/usr/bin/env python3
"""test_isolation.py TEALE TEALE-RELAY PARROT: who may ask whom, for which network: members and an outsider at one relay."""
import json
import os
import sys
import time
import unittest
import unittest.mock

from relayproc import Node as Registrant
from scenery import Scenery, chat, parrot_stats, wait_for, words_of

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]


class Isolation(unittest.TestCase):
    def setUp(self):
        self.s = self.enterContext(Scenery(*PROGRAMS))
        self.relay = self.s.relay()

    def lab(self, *parrot, hide=False):
        """A provider, which made the network and serves its members alone; a consumer of it; an outsider."""
        self.parrot = self.s.parrot("--model", "m", *parrot)
        homes = [self.s.new_home() for _ in range(3)]
        for home in homes[:2] if hide else []:
            self.s.config(home, **{"ptn.hide": "true"})
        self.s.config(homes[0], share_with="networks")
        self.provider = self.s.node(self.relay, "--share", self.parrot.url, home=homes[0])
        self.consumer = self.s.node(self.relay, home=homes[1])
        self.outsider = self.s.node(self.relay, home=homes[2])
        self.ptn = self.provider.json("ptn", "create", "lab")["ptn_id"]
        code = self.provider.command("ptn", "invite", "lab", "--role", "consumer").stdout.strip()
        self.assertEqual(self.consumer.json("join", code)["state"], "joined")
        wait_for(lambda: any("ptns" in m and m["ptns"] for m in self.consumer.json("models")["models"]))

    def asked(self, node, model="m", words="hello", **headers):
        """(status, headers, error code or words) of a question."""
        status, got, body = node.post(chat(model, words), {k.replace("_", "-"): v for k, v in headers.items()})
        if status == 200:
            return status, got, words_of(body)
        return status, got, json.loads(body)["error"]

    def test_a_member_is_served_however_it_names_the_network(self):
        self.lab()
        key = self.consumer.json("ptn", "key", "lab")["key"]
        for model, headers in (("m", {"X_Teale_PTN": "lab"}), ("m", {"X_Teale_PTN": self.ptn}), ("m@lab", {}),
                               (f"m@{self.ptn}", {}), ("m", {"Authorization": f"Bearer {key}"}), ("m", {})):
            status, got, words = self.asked(self.consumer, model, f"to {model}", **headers)
            self.assertEqual((status, words), (200, f"to {model}"), (model, headers))
            self.assertEqual(got["X-Teale-PTN"], self.ptn)
            self.assertEqual(got["X-Teale-Peer"], self.provider.id)
        models = {m["id"] for m in self.consumer.get_json("/v1/models")["data"]}
        self.assertLessEqual({"m", "m@lab"}, models)
        self.assertEqual(self.consumer.json("peers")["peers"][0]["ptns"], [self.ptn])

    def test_an_outsider_is_refused_at_every_door(self):
        self.lab()
        status, _, error = self.asked(self.outsider)
        self.assertEqual((status, error["code"]), (404, "model_not_found"))
        status, _, error = self.asked(self.outsider, X_Teale_Ask_Peer=self.provider.id)
        self.assertEqual((status, error["code"]), (403, "forbidden"))
        for model, headers in (("m", {"X_Teale_PTN": "lab"}), ("m", {"X_Teale_PTN": self.ptn}), (f"m@{self.ptn}", {})):
            status, _, error = self.asked(self.outsider, model, **headers)
            self.assertEqual((status, error["code"]), (403, "forbidden"), model)
        self.assertNotIn("m", {m["id"] for m in self.outsider.get_json("/v1/models")["data"]})
        self.assertEqual(parrot_stats(self.parrot)["served"], 0)
        self.assertEqual(self.asked(self.consumer)[0], 200)  # the member beside it

    def test_scoped_questions_never_fall_back_to_the_public(self):
        self.lab()
        other = self.s.parrot("--model", "m", "--model", "public")
        public = self.s.node(self.relay, "--share", other.url)
        wait_for(lambda: self.asked(self.consumer, "public")[0] == 200)
        status, _, error = self.asked(self.consumer, "public@lab")
        self.assertEqual((status, error["code"]), (404, "model_not_found"))
        self.assertIn("network lab", error["message"])
        self.provider.end()
        self.s.running.remove(self.provider)
        status, _, error = self.asked(self.consumer, "m@lab")
        self.assertIn(status, (404, 502, 503))
        self.assertEqual(self.asked(self.consumer, "m")[1]["X-Teale-Peer"], public.id)  # not scoped: the public may

    def test_a_revoked_member_is_out_in_the_middle_of_an_answer(self):
        self.lab("--token-ms", "100")
        c, r = self.consumer.request("POST", "/v1/chat/completions",
                                     json.dumps(chat("m@lab", "word " * 300)), {"Content-Type": "application/json"})
        self.assertEqual(r.status, 200)
        self.assertTrue(r.read(200))
        begun = time.monotonic()
        self.provider.command("ptn", "revoke", "lab", self.consumer.id)
        rest = r.read().decode()
        c.close()
        self.assertLess(time.monotonic() - begun, 5)
        self.assertIn("event: error", rest)
        self.assertIn("forbidden", rest)
        wait_for(lambda: self.asked(self.consumer, "m@lab")[0] == 403, 5)

    def test_hidden_members_find_each_other_and_the_relay_sees_tags(self):
        self.lab(hide=True)
        status, got, _ = self.asked(self.consumer, "m@lab")
        self.assertEqual((status, got["X-Teale-PTN"]), (200, self.ptn))
        self.assertEqual(self.asked(self.outsider)[0], 404)
        seen = self.seen_by_a_stranger()
        shown = [seen[n.id] for n in (self.provider, self.consumer)]
        self.assertTrue(all(len(ptns) == 1 and len(ptns[0]) == 64 for ptns in shown), shown)
        self.assertNotEqual(*shown)
        self.assertNotIn(self.ptn, json.dumps(seen))

    def test_a_hidden_member_that_was_away_while_the_key_changed_is_a_member_still(self):
        self.lab(hide=True)
        code = self.provider.command("ptn", "invite", "lab").stdout.strip()
        self.assertEqual(self.outsider.json("join", code)["state"], "joined")
        self.consumer.end()
        self.s.running.remove(self.consumer)
        self.assertEqual(self.provider.json("ptn", "revoke", "lab", self.outsider.id)["sequence"], 1)
        self.consumer = self.s.node(self.relay, home=self.consumer.home)
        wait_for(lambda: self.asked(self.consumer, "m@lab")[0] == 200, 15)
        self.assertEqual(self.asked(self.outsider, "m@lab")[0], 403)

    def test_of_two_members_one_may_hide(self):
        for hides in ("provider", "consumer"):
            self.lab()
            node = getattr(self, hides)
            node.command("ptn", "hide", "on")
            node.end()
            self.s.running.remove(node)
            args = ("--share", self.parrot.url) if hides == "provider" else ()
            setattr(self, hides, self.s.node(self.relay, *args, home=node.home))
            wait_for(lambda: self.asked(self.consumer, "m@lab")[0] == 200, 15)

    def test_the_tag_changes_with_the_hour(self):
        offset = os.path.join(self.s.directory, "offset")
        half_past = 1800 - int(time.time()) % 3600
        with open(offset, "w", encoding="utf-8") as f:
            f.write(str(half_past))
        clock = {"LD_PRELOAD": os.path.join(os.path.dirname(PROGRAMS[2]), "libwallclock.so"), "WALLCLOCK_OFFSET": offset,
                 "ASAN_OPTIONS": "verify_asan_link_order=0"}
        with unittest.mock.patch.dict(os.environ, clock):
            self.lab(hide=True)
        before = self.seen_by_a_stranger()[self.provider.id]
        self.assertEqual(self.asked(self.consumer, "m@lab")[0], 200)
        self.assertEqual(self.seen_by_a_stranger()[self.provider.id], before)
        with open(offset, "w", encoding="utf-8") as f:
            f.write(str(half_past + 3600))
        self.assertEqual(self.asked(self.consumer, "m@lab")[0], 200)
        wait_for(lambda: self.seen_by_a_stranger()[self.provider.id] != before)
        self.assertEqual(len(self.seen_by_a_stranger()[self.provider.id]), 1)
        self.assertEqual(self.asked(self.consumer, "m@lab")[0], 200)

    def test_without_hiding_the_relay_lists_the_network(self):
        self.lab()
        seen = self.seen_by_a_stranger()
        self.assertEqual([seen[n.id] for n in (self.provider, self.consumer, self.outsider)], [[self.ptn], [self.ptn], []])

    def seen_by_a_stranger(self):
        """ptnIDs of each node, as the relay lists them to one with a key of its own."""
        self.relay.address, self.relay.nodes = ("127.0.0.1", self.relay.port), []
        stranger = Registrant(self.relay)
        stranger.register()
        stranger.send_message("discover", {"requestingNodeID": stranger.id, "filter": {}})
        peers = stranger.expect("discoverResponse")["peers"]
        stranger.close()
        return {p["nodeID"]: p["capabilities"]["ptnIDs"] for p in peers}


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
