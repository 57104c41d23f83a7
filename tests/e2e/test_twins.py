#!/usr/bin/env python3
"""test_twins.py TEALE TEALE-RELAY PARROT: two machines that are one node, since one of them was restored from the other's
backup: one of them stays, the other stands aside, both say so, and no question is lost or charged twice. And a
backup that is withdrawn."""
import json
import os
import pathlib
import shutil
import sys
import threading
import time
import unittest

from netscene import MODEL, ask
from scenery import wait_for
from test_backup import FAMILY, Case, files_below, free_ports

PRICE = 1000


class Asking(threading.Thread):
    """A friend that asks the owner one question after the other."""

    def __init__(self, friend):
        super().__init__(daemon=True)
        self.friend, self.answers, self.failures, self.over = friend, 0, [], threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                status, _, body = ask(self.friend, model=f"{MODEL}@{FAMILY}")
            except OSError as e:
                status, body = 0, str(e)
            if status == 200:
                self.answers += 1
            else:
                self.failures.append((status, body))
            time.sleep(0.2)

    def end(self):
        self.over.set()
        self.join(60)


class Twins(Case):
    def start(self, home, connected=True):
        """Each machine has its own port; on two machines both could have the same."""
        self.scenery.config(home, udp_port=str(free_ports(1)[0]))
        args = self.owner.popen.args
        share = args[args.index("--share"):args.index("--share") + 2]
        return self.scenery.node(self.at, *share, "--private", home=home, relayed=False, connected=connected)

    def backup_state(self, node):
        return node.json("backup", "status")["state"]

    def is_told(self, node):
        """By the log, by `backup status` and by the doctor, with the remedy."""
        self.assertTrue([l for l in node.log if "stands aside" in l and "teale backup takeover" in l], node.log)
        shown = node.command("backup", "status").stdout
        self.assertIn("stands aside", shown)
        check = next(c for c in node.json("doctor", code=1)["checks"] if c["id"] == "backup")
        self.assertEqual(check["state"], "problem")
        self.assertIn("teale backup takeover", check["remedy"])

    def knows_of_the_other(self, node):
        wait_for(lambda: node.json("backup", "status")["other_at"], 120)
        wait_for(lambda: [l for l in node.log if "another machine has this node's keys" in l])
        check = next(c for c in node.json("doctor", code=None)["checks"] if c["id"] == "backup")
        self.assertEqual(check["state"], "warning")
        self.assertIn("Erase this node there", check["remedy"])

    def is_pointed_at(self, node, above):
        wait_for(lambda: (node.json("backup", "status")["pointer"] or {"sequence": 0})["sequence"] > above, 120)
        wait_for(lambda: node.json("backup", "status")["pointer"]["nodes"] > 0, 60)

    def answers(self, friend, *others):
        """Until a question of this friend is answered."""
        deadline = time.monotonic() + 40
        while (answer := ask(friend, model=f"{MODEL}@{FAMILY}"))[0] != 200:
            self.assertLess(time.monotonic(), deadline,
                            [answer, friend.json("peers"), *[(n.status()["sharing"], n.log[-15:]) for n in others]])
            time.sleep(0.2)

    def questions(self, node):
        """What each question cost that this node has answered, or asked, of which both have signed."""
        entries = node.json("wallet", "history")["entries"]
        requests = [e["request"] for e in entries]
        self.assertEqual(len(requests), len(set(requests)))
        return {e["request"]: e["amount_micro"] for e in entries if "consumerSignature" in json.dumps(e)}

    def test_the_old_laptop_that_comes_back_shows_itself_to_nobody_and_may_take_over(self):
        self.family()
        words = self.backed_up()["words"]
        self.owner.end()
        home, done = self.restore(words)
        fresh = self.start(home)
        self.is_pointed_at(fresh, done["sequence"])
        friend = self.friends[0]
        self.answers(friend, fresh)
        asking = Asking(friend)
        old = self.start(self.owner.home, connected=False)
        wait_for(lambda: old.status()["wan"]["state"] == "aside", 30)
        time.sleep(2)
        asking.end()
        self.assertEqual(asking.failures, [])
        self.assertGreater(asking.answers, 2)
        self.assertEqual([l for l in old.log if "relay: connected" in l], [])
        self.assertEqual([l for l in fresh.log if "another process" in l], [])
        self.assertEqual(self.backup_state(old), "elsewhere")
        self.is_told(old)
        self.assertEqual(fresh.status()["wan"]["state"], "connected")
        self.assertIn("E_ELSEWHERE", old.command("backup", "create", "--new", code=1).stderr)
        self.assertIn("E_ELSEWHERE", old.command("backup", "drop", code=1).stderr)
        self.assertIn("E_EXISTS", fresh.command("backup", "takeover", code=1).stderr)
        # it knows it at its next start, too, before it asks anybody; and the restored one hears of it
        old.end()
        old = self.start(old.home, connected=False)
        self.assertEqual(old.status()["wan"]["state"], "aside")
        fresh.end()
        fresh = self.start(home)
        self.knows_of_the_other(fresh)
        # the person wants the old one
        self.is_pointed_at(fresh, done["sequence"])
        sequence = fresh.json("backup", "status")["pointer"]["sequence"]
        old.command("backup", "takeover")
        wait_for(lambda: old.status()["wan"]["state"] == "connected", 30)
        self.is_pointed_at(old, sequence)
        wait_for(lambda: fresh.status()["wan"]["state"] == "aside", 60)
        self.is_told(fresh)
        wait_for(lambda: old.status()["wan"]["state"] == "connected", 60)
        self.answers(friend, old, fresh)
        again, _ = self.restore(words)  # the paper is as good as before

    def test_an_old_laptop_that_still_runs_gives_way_and_each_question_is_charged_once(self):
        self.family()
        words = self.backed_up()["words"]
        old, friend = self.owner, self.friends[0]
        asking = Asking(friend)
        wait_for(lambda: asking.answers > 1, 30)
        home, done = self.restore(words)
        fresh = self.start(home, connected=False)
        wait_for(lambda: old.status()["wan"]["state"] == "aside", 90)
        wait_for(lambda: fresh.status()["wan"]["state"] == "connected", 90)
        self.is_pointed_at(fresh, done["sequence"])
        answers = asking.answers
        wait_for(lambda: asking.answers > answers + 2, 60)
        asking.end()
        print(f"{asking.answers} questions answered, {len(asking.failures)} failed while the node moved")
        self.is_told(old)
        self.knows_of_the_other(fresh)
        # what the friend paid, one of the two has earned, each question once. (The backup may be of a time in between: then
        # both know what was before it.)
        earned = lambda: {**self.questions(old), **self.questions(fresh)}
        deadline = time.monotonic() + 30
        while earned() != self.questions(friend):
            self.assertLess(time.monotonic(), deadline,
                            set(earned().items()) ^ set(self.questions(friend).items()))
            time.sleep(0.5)
        self.assertGreaterEqual(len(self.questions(friend)), asking.answers)
        self.assertTrue(all(node.json("wallet", "audit")["ok"] for node in (old, fresh, friend)))
        self.assertEqual([l for l in fresh.log + old.log if "disputed" in l], [])


class Dropping(Case):
    def test_a_backup_that_is_withdrawn_is_deleted_by_its_holders_and_restored_no_more(self):
        self.family()
        made = self.backed_up()
        held = [f for f in self.friends if self.fragments_of(f)]
        away = held[-1]
        away.kill()
        away.popen.wait()
        done = self.owner.command("backup", "drop", "--json", code=4, timeout=90)
        dropped = json.loads(done.stdout)
        self.assertEqual(dropped["state"], "withdrawn")
        self.assertEqual(dropped["told"], len(held) - 1)
        self.assertEqual([l["node_id"] for l in dropped["left"]], [away.id])
        self.assertGreater(dropped["pointer"]["nodes"], 0)
        for friend in held[:-1]:
            self.assertEqual(self.fragments_of(friend), [])
        own = files_below(os.path.join(self.owner.home, "fragments"))
        self.assertEqual([p for p in own if p.name.startswith("own-")], [])
        _, why = self.restore(made["words"], code=4)
        self.assertIn("was withdrawn at", why)
        status = self.owner.command("backup", "status").stdout
        self.assertIn("withdrawn", status)
        self.assertIn(away.id[:8], status)
        # over a restart, and when the last holder is on again
        home = self.owner.home
        self.owner.end()
        self.owner = self.scenery.node(self.at, home=home, relayed=False)
        back = self.scenery.node(self.at, home=away.home, relayed=False)
        again = self.owner.json("backup", "drop", timeout=90)  # the hours until it is asked by itself are not waited for
        self.assertEqual((again["told"], again["left"]), (1, []))
        self.assertEqual(self.fragments_of(back), [])
        self.assertEqual(self.owner.json("backup", "status")["left"], [])
        _, why = self.restore(made["words"], code=4)
        self.assertIn("was withdrawn at", why)
        # and there may be another one
        new = self.backed_up()["words"]
        self.assertNotEqual(new, made["words"])
        self.assertIn(self.owner.json("backup", "status")["state"], ("kept", "at_risk"))

    def test_without_a_backup_there_is_nothing_to_withdraw(self):
        node = self.scenery.node(self.at)
        self.assertIn("E_NOT_FOUND", node.command("backup", "drop", code=1).stderr)
        self.assertIn("E_EXISTS", node.command("backup", "takeover", code=1).stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
