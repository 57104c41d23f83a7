#!/usr/bin/env python3
"""test_relay_attacks.py TEALE-RELAY: strangers with a valid registration against the real program (registrants.py)."""
import resource
import subprocess
import sys
import unittest

import relayproc
from relayproc import Relay
from registrants import Cost, Crowd, Honest


def core_limit(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        return next(l for l in f if l.startswith("Max core file size")).split()[4:6]


class Memory(unittest.TestCase):
    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, "core files are off for everybody here")
    def test_the_relay_leaves_no_core_file_where_others_would(self):
        with Relay() as relay, subprocess.Popen(["sleep", "60"]) as other:
            self.assertEqual(core_limit(relay.process.pid), ["0", "0"])
            self.assertNotEqual(core_limit(other.pid)[1], "0")
            other.kill()


class Discover(unittest.TestCase):
    def test_many_names_and_a_long_unknown_one_do_not_hold_the_relay_up(self):
        with Relay() as relay, Honest(relay) as honest:
            crowd = Crowd(relay, 300, models=["a"] * 15000)
            self.assertEqual([a.get("modelsKept") for a in crowd.acks], [256] * 300)
            with Cost(relay, honest) as cost:
                for i in range(400):
                    n = crowd.nodes[i % 300]
                    n.send_message("discover", {"requestingNodeID": n.id, "filter": {"modelID": "x" * 59000}})
                crowd.drain(20)
            cost.check(self, cpu=2)
            self.assertEqual(crowd.alive(), 300)
            self.assertEqual(len(honest.discover(modelID="a")), 100)


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    unittest.main()
