#!/usr/bin/env python3
"""test_fragments.py TEALE TEALE-RELAY PARROT: what nodes hold of a fellow member's backup: deleted or altered after the receipt it
is noticed and made again elsewhere; what a node holds counts for it, outlives its restart, and ends with its quota."""
import json
import os
import re
import sys
import unittest

from scenery import wait_for
from test_backup import FRIENDS, Case, files_below

HOLDERS = 4


class Fragments(Case):
    def person(self, port, *args):
        home = self.scenery.new_home()
        doors = [d for d in self.doors if not d.endswith(f":{port}")]
        self.scenery.config(home, **{"nat.stun_servers": "[]", "nat.port_mapping": "false", "udp_port": str(port),
                                     "dht.serve": "on", "dht.bootstrap": json.dumps(doors), "backup.challenge_secs": "3"})
        return self.scenery.node(self.at, *args, home=home, relayed=False)

    def setUp(self):
        super().setUp()
        self.family()

    def holders(self):
        """The friends that hold something, as the owner knows it."""
        held = {h["node_id"] for h in self.owner.json("backup", "status")["holders"] if h["state"] == "held"}
        return [f for f in self.friends if f.id in held]

    def is_whole(self, without=()):
        holders = self.holders()
        return len(holders) == HOLDERS and not [f for f in holders if f in without]

    def counted(self, friend):
        return self.owner.json("why", friend.id)["reciprocity"]["own"]["fragments_held"]

    def metric(self, node, name):
        c, r = node.request("GET", "/metrics")
        text = r.read().decode()
        c.close()
        return float(re.search(rf"(?m)^{re.escape(name)} (\S+)$", text)[1])

    def files(self, friend):
        return [p for p in files_below(os.path.join(friend.home, "fragments")) if not p.name.startswith("own-")]

    def test_what_is_deleted_or_altered_after_the_receipt_is_noticed_and_made_again(self):
        self.backed_up("--holders", str(HOLDERS))
        deletes, alters, *others = self.holders()
        self.assertEqual([self.counted(f) for f in (deletes, alters)], [1, 1])
        for path in self.files(deletes):
            path.unlink()
        for path in self.files(alters):
            path.write_bytes(bytes(path.stat().st_size))
        wait_for(lambda: self.is_whole(without=(deletes, alters)), 90)
        self.assertEqual([self.counted(f) for f in (deletes, alters)], [0, 0])
        for friend in self.holders():
            self.assertEqual(self.counted(friend), 1)
        self.assertGreaterEqual(self.metric(self.owner, 'teale_fragments_challenges_total{result="failed"}'), 2)
        self.assertGreaterEqual(self.metric(self.owner, "teale_fragments_repaired_total"), 2)

    def test_a_holder_has_them_after_its_restart_and_none_with_a_quota_of_none(self):
        self.backed_up("--holders", str(HOLDERS))
        first = self.holders()[0]
        before = [p.name for p in self.files(first)]
        self.assertEqual(len(before), 1)
        self.assertEqual(first.status()["fragments"]["held"], 1)
        home = first.home
        first.end()
        again = self.scenery.node(self.at, home=home, relayed=False)
        self.friends[self.friends.index(first)] = again
        self.assertEqual([p.name for p in self.files(again)], before)
        self.assertEqual(again.status()["fragments"]["held"], 1)
        proven = self.metric(again, 'teale_fragments_held_total{what="proven"}')
        wait_for(lambda: self.metric(again, 'teale_fragments_held_total{what="proven"}') > proven, 60)
        again.command("config", "set", "store_quota", "0")
        wait_for(lambda: self.files(again) == [], 30)
        wait_for(lambda: self.is_whole(without=(again,)), 90)
        self.assertEqual(again.status()["fragments"]["quota_bytes"], 0)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
