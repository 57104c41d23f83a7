#!/usr/bin/env python3
"""test_reciprocity.py TEALE TEALE-RELAY PARROT: who helped whom, as nodes tell it: from receipts that they signed
themselves, and from what a fellow member of their network has signed. Ben serves Anna, who is in a network with Dora; Carl serves
nobody."""
import os
import sqlite3
import sys
import unittest

import ptnobjects
from modelserver import ModelServer
from netscene import NetScene, database
from scenery import chat, wait_for

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
TOKENS = 12_500  # the mark is 10,000


def answer(handler, body):
    handler.whole({"id": "x", "object": "chat.completion", "created": 1, "model": "big", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "well"}}],
        "usage": {"prompt_tokens": TOKENS, "completion_tokens": 1, "total_tokens": TOKENS + 1}})


def statements(node):
    """As they were signed, out of the database of a node that has ended."""
    names = ("by", "node", "bytesRelayed", "tokensServed", "fragmentsHeld", "sequence", "issuedAt", "expiresAt", "signature")
    with sqlite3.connect(database(node)) as db:
        rows = db.execute("SELECT signer, node, relayed, served, held, sequence, issued_at, expires_at, signature "
                          "FROM statements").fetchall()
    db.close()
    return [dict(zip(names, (v.hex() if isinstance(v, bytes) else v for v in row))) for row in rows]


class Reciprocity(unittest.TestCase):
    def setUp(self):
        self.scene = s = NetScene(*PROGRAMS)
        self.addCleanup(s.__exit__, None, None, None)
        self.server = ModelServer("big", answer=answer)
        self.addCleanup(self.server.end)
        s.people()
        s.found()
        self.anna, self.dora, self.carl = s.consumer, s.admin, s.outsider
        self.ben = s.node(s.at, "--share", self.server.url)

    def why(self, node, other):
        return node.json("why", other.id)["reciprocity"]

    def served(self):
        """Ben has answered Anna, and Anna has signed for it."""
        wait_for(lambda: "big" in [m["id"] for m in self.anna.get_json("/v1/models")["data"]], timeout=30)
        status, headers, _ = self.anna.post(chat("big", "word " * 6000, stream=False))
        self.assertEqual((status, headers["X-Teale-Peer"]), (200, self.ben.id))
        wait_for(lambda: self.why(self.anna, self.ben)["own"]["tokens_served"] >= TOKENS, timeout=30)

    def test_who_serves_a_node_counts_there_and_at_its_fellow_members_alone(self):
        before = self.why(self.anna, self.ben)
        self.assertEqual((before["reciprocal"], before["worth"], before["told"]["members"]), (False, 0, 0))
        self.served()
        at_a = self.why(self.anna, self.ben)
        self.assertTrue(at_a["reciprocal"])
        self.assertGreater(at_a["worth"], 1.1)
        self.assertEqual(at_a["told"]["members"], 0)
        self.assertIn("reciprocal: 1.2", at_a["because"])
        self.assertIn(at_a["because"], " ".join(self.anna.command("why", self.ben.id).stdout.split()))
        self.assertFalse(self.why(self.anna, self.carl)["reciprocal"])
        self.assertFalse(self.why(self.ben, self.anna)["reciprocal"])  # it gave, and got nothing
        # Dora's node asks its fellow members, and hears it from Anna's.
        wait_for(lambda: self.why(self.dora, self.ben)["reciprocal"], timeout=30)
        at_d = self.why(self.dora, self.ben)
        self.assertEqual((at_d["own"]["tokens_served"], at_d["told"]["members"]), (0, 1))
        self.assertGreaterEqual(at_d["told"]["tokens_served"], TOKENS - 10)
        self.assertFalse(self.why(self.dora, self.carl)["reciprocal"])
        # Carl is in no network of theirs: nobody tells it.
        self.assertFalse(self.why(self.carl, self.ben)["reciprocal"])
        self.assertIsNone(self.why(self.anna, self.anna))

    def test_it_is_known_after_a_restart_and_what_a_revoked_member_said_is_not(self):
        s = self.scene
        self.served()
        wait_for(lambda: self.why(self.dora, self.ben)["reciprocal"], timeout=30)
        self.anna.end()
        self.dora.end()
        (said,) = [ptnobjects.check_deeds(d) for d in statements(self.dora)]  # by code that is not ours
        self.assertEqual((said["by"], said["node"]), (self.anna.id, self.ben.id))
        self.assertGreaterEqual(said["tokensServed"], TOKENS - 10)
        self.assertEqual((said["bytesRelayed"], said["fragmentsHeld"]), (0, 0))
        self.assertLessEqual(said["expiresAt"] - said["issuedAt"], 30 * 24 * 3600)
        self.dora = s.again(self.dora)
        s.admin = self.dora
        wait_for(lambda: self.ben.id in [p["node_id"] for p in self.dora.json("peers")["peers"]], timeout=30)
        self.assertEqual(self.why(self.dora, self.ben)["told"]["members"], 1)  # from its database: Anna is away
        before = self.anna
        self.anna = s.again(self.anna)
        self.assertEqual(before.id, self.anna.id)
        wait_for(lambda: self.ben.id in [p["node_id"] for p in self.anna.json("peers")["peers"]], timeout=30)
        self.assertTrue(self.why(self.anna, self.ben)["reciprocal"])
        self.dora.command("ptn", "revoke", "lab", self.anna.id, "--yes")
        wait_for(lambda: self.why(self.dora, self.ben)["told"]["members"] == 0, timeout=30)
        self.assertFalse(self.why(self.dora, self.ben)["reciprocal"])
        self.assertTrue(self.why(self.anna, self.ben)["reciprocal"])  # what it saw itself stays


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
