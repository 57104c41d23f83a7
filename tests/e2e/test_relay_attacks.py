#!/usr/bin/env python3
"""test_relay_attacks.py TEALE-RELAY: strangers with a valid registration against the real program (registrants.py)."""
import json
import resource
import subprocess
import sys
import time
import unittest

import relayproc
from relayproc import Relay
from registrants import Cost, Crowd, Honest, is_sanitized
from wsraw import CONTINUATION, TEXT


def core_limit(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        return next(l for l in f if l.startswith("Max core file size")).split()[4:6]


MIB = 1 << 20


class Memory(unittest.TestCase):
    """Of 64 MiB one address may take 16; without a bound these took 832 and 379."""

    def test_those_that_ask_and_hardly_read_cost_their_addresss_share(self):
        with Relay("--max-memory", "64M") as relay, Honest(relay) as honest:
            shown = Crowd(relay, 40, models=[f"{i:0100}" for i in range(256)])
            crowd = Crowd(relay, 30 if is_sanitized() else 150, rcvbuf=4096)
            with Cost(relay, honest) as cost:
                for _ in range(10):
                    for n in crowd:
                        n.try_message("discover", {"requestingNodeID": n.id, "limit": 500})
                time.sleep(1)
            cost.check(self, cpu=4, peak=48)
            self.assertGreater(len(honest.discover(limit=500)), 30)  # a page of 1 MiB
            self.assertEqual(shown.alive(), 40)

    def test_messages_without_an_end_cost_their_addresss_share(self):
        with Relay("--max-memory", "64M") as relay, Honest(relay) as honest:
            crowd = Crowd(relay, 100)
            with Cost(relay, honest) as cost:
                for n in crowd:
                    for i in range(39):
                        n.try_send(b"x" * 100000, TEXT if i == 0 else CONTINUATION, fin=False)
            cost.check(self, cpu=2, peak=48)
            self.assertLessEqual(crowd.alive(), 5)
            relay.wait_log("connections took more memory than they may")

    def test_so_do_frames_that_are_announced_and_do_not_come(self):
        with Relay("--max-memory", "64M") as relay, Honest(relay) as honest:
            crowd = Crowd(relay, 100)
            with Cost(relay, honest) as cost:
                for n in crowd:
                    n.try_send(b"x" * 3900000, length=4 * MIB)
            cost.check(self, peak=48)
            self.assertLessEqual(crowd.alive(), 5)

    def test_few_messages_of_the_largest_size_pass_beside_them(self):
        with Relay("--max-memory", "64M") as relay, Honest(relay) as honest:
            data = "A" * (4 * MIB - 400)
            honest.a.to(honest.b, "relayData", "honest", data=data)
            self.assertEqual(honest.b.expect("relayData")["data"], data)

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

    def test_four_hundred_long_lists_are_shown_in_pages_of_a_mebibyte(self):
        with Relay() as relay, Honest(relay) as honest:
            Crowd(relay, 400, models=[f"{i:0233}" for i in range(250)])  # 60 KB each
            seen, cursor = set(), {}
            while cursor is not None:
                honest.a.send_message("discover", {"requestingNodeID": honest.a.id, "limit": 500, **cursor})
                _, text = honest.a.frame()
                self.assertLessEqual(len(text), MIB)
                page = json.loads(text)["discoverResponse"]
                seen.update(p["nodeID"] for p in page["peers"])
                cursor = {"cursor": page["cursor"]} if "cursor" in page else None
            self.assertEqual(len(seen), 401)


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
    unittest.main()
