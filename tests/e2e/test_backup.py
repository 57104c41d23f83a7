#!/usr/bin/env python3
"""test_backup.py TEALE TEALE-RELAY PARROT: a node whose home is lost comes back from 24 words, out of what the members of
its network hold, through a DHT of theirs; and what does not come back, with the reason."""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import sys
import time
import unittest

from netscene import MODEL, ask, network
from ports import free_ports
from scenery import Scenery, wait_for

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
FAMILY = "family"
FRIENDS = 6


def files_below(folder):
    return sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file())


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)
        self.at = self.scenery.relay()
        self.ports = free_ports(FRIENDS + 2)
        self.doors = [f"127.0.0.1:{p}" for p in self.ports[1:4]]

    def person(self, port, *args):
        home = self.scenery.new_home()
        doors = [d for d in self.doors if not d.endswith(f":{port}")]
        self.scenery.config(home, **{"nat.stun_servers": "[]", "nat.port_mapping": "false", "udp_port": str(port),
                                     "dht.serve": "on", "dht.bootstrap": json.dumps(doors)})
        return self.scenery.node(self.at, *args, home=home, relayed=False)

    def family(self):
        """The owner, who made the network and answers for money, and its friends."""
        model = self.scenery.parrot("--model", MODEL)
        self.owner = self.person(self.ports[0], "--share", model.url, "--private")
        self.owner.command("ptn", "create", FAMILY)
        self.owner.command("ptn", "price", FAMILY, "1000")
        self.friends = [self.person(p) for p in self.ports[1:FRIENDS + 1]]
        for friend in self.friends:
            code = self.owner.command("ptn", "invite", FAMILY, "--role", "provider").stdout.strip()
            assert friend.json("join", code)["state"] == "joined"
        self.owner.command("peers", "alias", self.friends[0].id, "neighbour")
        for node in (self.owner, *self.friends):
            wait_for(lambda: node.status()["dht"]["state"] == "ready", 60)
        asker = self.friends[0]
        wait_for(lambda: f"{MODEL}@{FAMILY}" in [m["id"] for m in asker.get_json("/v1/models")["data"]], 30)
        assert ask(asker, model=f"{MODEL}@{FAMILY}")[0] == 200
        # the receipt is whole: both have signed
        wait_for(lambda: "consumerSignature" in json.dumps(self.owner.json("wallet", "history")))

    def backed_up(self, *args):
        made = self.owner.json("backup", "create", *args, timeout=150)
        self.assertEqual(len(made["words"]), 24)
        wait_for(lambda: self.owner.json("backup", "status")["pointer"]["nodes"] > 0, 60)
        return made

    def lose_the_laptop(self):
        """Its home with all in it; what it knew."""
        knew = {"aliases": self.owner.json("peers", "alias"), "networks": self.owner.json("ptn", "list")["ptns"], "wallet": self.owner.json("wallet"),
                "history": self.owner.json("wallet", "history"), "id": self.owner.id}
        self.owner.kill()
        self.owner.popen.wait()
        shutil.rmtree(self.owner.home)
        return knew

    def restore_command(self, home, *args):
        doors = [w for d in self.doors for w in ("--bootstrap", d)]
        return [TEALE, "--home", home, "backup", "restore", *doors, "--relay", self.at.url, *args]

    def restore(self, words, home=None, code=0):
        """(home, what it printed: JSON, or stderr where it fails)."""
        home = home or self.scenery.new_home()
        done = subprocess.run(self.restore_command(home, "--json"), input=" ".join(words), capture_output=True,
                              text=True, timeout=240)
        self.assertEqual(done.returncode, code, done.stderr)
        if code:
            self.assertEqual(done.stdout, "")
            for name in ("wan-identity.key", "teale.db", "teale.toml", "restore", "restore.new"):
                self.assertFalse(os.path.exists(os.path.join(home, name)), name)
            return home, done.stderr
        return home, json.loads(done.stdout)

    def fragments_of(self, friend):
        return [p for p in files_below(os.path.join(friend.home, "fragments")) if p.stat().st_size > 100]

    def same_as_before(self, home, knew):
        back = self.scenery.node(self.at, home=home, relayed=False)
        self.assertEqual(back.id, knew["id"])
        for of, now in zip(knew["networks"], back.json("ptn", "list")["ptns"]):
            for key in ("ptn_id", "name", "role", "state", "ca_key"):
                self.assertEqual(of.get(key), now.get(key), key)
        wallet = back.json("wallet")
        for key in ("balance_micro", "earned_micro", "spent_micro"):
            self.assertEqual(wallet[key], knew["wallet"][key])
        self.assertEqual(back.json("wallet", "history")["entries"], knew["history"]["entries"])
        self.assertTrue(back.json("wallet", "audit")["ok"])
        self.assertEqual({a["node_id"]: a["alias"] for a in back.json("peers", "alias")["aliases"]},
                         {a["node_id"]: a["alias"] for a in knew["aliases"]["aliases"]})
        return back


class Restoring(Case):
    def test_a_lost_laptop_comes_back_from_the_words_and_is_the_networks_authority_again(self):
        self.family()
        words = self.backed_up()["words"]
        status = self.owner.json("backup", "status")
        self.assertIn(status["state"], ("kept", "at_risk"))
        self.assertGreaterEqual(status["may_lose"], 1)
        self.assertEqual(status["held"], len({h["node_id"] for h in status["holders"] if h["state"] == "held"}))
        self.assertNotIn(" ".join(words), "\n".join(self.owner.log))
        for friend in self.friends:  # noise alone
            for path in self.fragments_of(friend):
                self.assertNotIn(b"SQLite", path.read_bytes())
        knew = self.lose_the_laptop()
        begun = time.monotonic()
        home, done = self.restore(words)
        self.assertLess(time.monotonic() - begun, 60)
        self.assertEqual(done["node_id"], knew["id"])
        self.assertTrue(done["settings"])
        for name in ("wan-identity.key", "teale.db", "teale.toml"):
            self.assertEqual(os.stat(os.path.join(home, name)).st_mode & 0o777, 0o600, name)
        back = self.same_as_before(home, knew)
        # it admits members, and its backup goes on, under the same words
        newcomer = self.person(self.ports[FRIENDS + 1])
        code = back.command("ptn", "invite", FAMILY).stdout.strip()
        self.assertEqual(newcomer.json("join", code)["state"], "joined")
        wait_for(lambda: back.json("backup", "status")["state"] in ("kept", "at_risk"), 90)
        wait_for(lambda: (back.json("backup", "status")["pointer"] or {"sequence": 0})["sequence"] > done["sequence"],
                 120)
        home2, again = self.restore(words)
        self.assertGreater(again["sequence"], done["sequence"])

    def test_as_many_holders_may_be_gone_as_status_says_and_no_more(self):
        self.family()
        made = self.backed_up()
        words, holders = made["words"], [h["node_id"] for h in made["holders"] if h["state"] == "held"]
        knew = self.lose_the_laptop()
        gone = [f for f in reversed(self.friends) if f.id in holders][:made["may_lose"] + 1]
        for friend in gone[:-1]:
            friend.kill()
        begun = time.monotonic()
        home, done = self.restore(words)
        print(f"restored in {time.monotonic() - begun:.1f} s with {len(gone) - 1} of {len(holders)} holders gone")
        self.assertEqual(done["node_id"], knew["id"])
        gone[-1].kill()
        _, why = self.restore(words, code=4)
        self.assertIn("cannot be put together", why)

    def test_what_was_earned_since_the_last_copy_comes_back_from_those_who_signed_it(self):
        self.family()
        words = self.backed_up()["words"]
        asker = self.friends[0]
        copied = self.owner.json("wallet")["balance_micro"]
        for _ in range(2):
            assert ask(asker, model=f"{MODEL}@{FAMILY}")[0] == 200
        wait_for(lambda: self.owner.json("wallet")["balance_micro"] > 2 * copied)  # each asks the same
        earned = self.owner.json("wallet")["balance_micro"]
        wait_for(lambda: self.owner.json("wallet", "audit")["unsigned"] == 0)
        wait_for(lambda: asker.json("wallet")["balance_micro"] == -earned)
        self.lose_the_laptop()
        home, _ = self.restore(words)
        back = self.scenery.node(self.at, home=home, relayed=False)

        def regained():  # the asker's connection to the lost machine may stand for a while, and take its answers
            back.command("ping", asker.id, code=None)
            return back.json("wallet")["balance_micro"] == earned
        wait_for(regained, 120)
        self.assertEqual(asker.json("wallet")["balance_micro"], -earned)
        for node in (back, asker):
            self.assertTrue(node.json("wallet", "audit")["ok"])

    def test_altered_fragments_are_refused_and_others_taken(self):
        self.family()
        made = self.backed_up()
        words, holders = made["words"], [h["node_id"] for h in made["holders"] if h["state"] == "held"]
        knew = self.lose_the_laptop()
        bad = [f for f in self.friends if f.id in holders][:made["may_lose"] + 1]
        for i, friend in enumerate(bad):
            if i == made["may_lose"]:
                home, done = self.restore(words)
                self.assertEqual(done["node_id"], knew["id"])
            changed = self.fragments_of(friend)
            self.assertTrue(changed)
            for path in changed:
                raw = bytearray(path.read_bytes())
                raw[len(raw) // 2] ^= 1
                path.write_bytes(raw)
        _, why = self.restore(words, code=4)
        self.assertIn("cannot be put together", why)

    def test_words_are_typed_on_a_terminal_which_does_not_show_them(self):
        self.family()
        words = self.backed_up()["words"]
        knew = self.lose_the_laptop()
        home = self.scenery.new_home()
        shown = self.type_words(home, [words[0][:4], "abandom", *words[1:3], " ".join(words[3:])])
        self.assertIn("restored: node " + knew["id"], shown)
        self.assertIn('Is it "abandon"', shown)
        # Some of the 2048 words are words of the program's own, so only what follows a prompt tells.
        echoed = re.findall(r"Word \d+ of 24: ([^\r\n]*)", shown)
        self.assertEqual(echoed, [""] * 5)
        self.assertNotIn(" ".join(words[3:5]), shown)
        self.same_as_before(home, knew)

    def type_words(self, home, lines):
        pid, fd = pty.fork()
        if pid == 0:
            command = self.restore_command(home)
            os.execv(command[0], command)
        shown, deadline = "", time.monotonic() + 240
        try:
            while time.monotonic() < deadline:
                if not select.select([fd], [], [], 1)[0]:
                    continue
                try:
                    piece = os.read(fd, 4096).decode(errors="replace")
                except OSError:
                    break
                if not piece:
                    break
                shown += piece
                if lines and re.search(r"Word \d+ of 24: $", shown):
                    os.write(fd, lines.pop(0).encode() + b"\n")
                    shown += "\n"
        finally:
            os.close(fd)
            _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, shown)
        return shown


class Refusing(Case):
    def test_too_few_holders_are_refused_with_the_reason_and_leave_nothing(self):
        self.family()
        done = self.owner.command("backup", "create", "--holders", "16", code=1, timeout=150)
        self.assertIn("E_TOO_FEW", done.stderr)
        self.assertIn(f"16 nodes cannot hold it: your networks have {FRIENDS} other members", done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(self.owner.json("backup", "status")["state"], "none")
        made = self.backed_up("--holders", str(FRIENDS))  # its twin
        self.assertEqual(made["held"], FRIENDS)
        again = self.owner.command("backup", "create", code=1)
        self.assertIn("E_EXISTS", again.stderr)

    def test_who_asks_with_nobody_to_hold_it_is_told_at_once_what_to_do(self):
        node = self.scenery.node(self.at)
        begun = time.monotonic()
        done = node.command("backup", "create", code=1)
        self.assertLess(time.monotonic() - begun, 20)
        self.assertIn("E_TOO_FEW: nobody is there to hold a backup", done.stderr)
        self.assertIn("ptn invite", done.stderr)
        self.assertIn("--strangers", done.stderr)
        self.assertEqual(node.json("backup", "status")["state"], "none")
        home = self.scenery.new_home()
        self.scenery.config(home, wan_enabled="false")
        off = self.scenery.node(None, home=home, connected=False, relayed=False)
        self.assertIn("wan_enabled", off.command("backup", "create", "--strangers", code=1).stderr)

    def test_a_backup_whose_asker_is_gone_before_the_words_is_taken_back(self):
        self.family()
        for friend in self.friends:
            friend.kill()
            friend.popen.wait()
        done = self.owner.command("backup", "create", "--timeout", "3", code=6)
        self.assertIn("taken back", done.stderr)
        self.assertIn("placing fragments", done.stderr)
        self.assertEqual(done.stdout, "")
        wait_for(lambda: self.owner.json("backup", "status")["state"] == "none", 30)

    def test_words_that_nobody_was_shown_are_told_of(self):
        self.family()
        with open("/dev/full", "w") as full:
            done = subprocess.run([TEALE, "--home", self.owner.home, "backup", "create"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, timeout=150)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("E_NOT_SHOWN", done.stderr)
        self.assertEqual(self.owner.json("backup", "status")["state"], "unshown")
        checks = {c["id"]: c for c in self.owner.json("doctor", code=None)["checks"]}
        self.assertIn("nobody was shown", checks["backup"]["evidence"])
        made = self.backed_up()  # no --new is asked for
        self.assertIn(self.owner.json("backup", "status")["state"], ("kept", "at_risk"))
        self.assertIn(made["state"], ("kept", "at_risk", "unlisted"))

    def test_new_words_take_the_place_of_the_old_ones(self):
        self.family()
        old = self.backed_up()["words"]
        new = self.backed_up("--new")["words"]
        self.assertNotEqual(old, new)
        knew = self.lose_the_laptop()
        _, done = self.restore(new)
        self.assertEqual(done["node_id"], knew["id"])

    def test_an_older_backup_than_one_that_was_seen_is_refused(self):
        self.family()
        words = self.backed_up()["words"]
        self.lose_the_laptop()
        home, done = self.restore(words)
        seen = pathlib.Path(home, "restore.seen").read_text().split()
        self.assertEqual(int(seen[1]), done["sequence"])
        other = self.scenery.new_home()
        os.makedirs(other, 0o700)
        pathlib.Path(other, "restore.seen").write_text(f"{seen[0]} {done['sequence'] + 1}\n")
        _, why = self.restore(words, other, code=5)
        self.assertIn("older", why)
        pathlib.Path(other, "restore.seen").write_text(f"{seen[0]} {done['sequence']}\n")
        self.restore(words, other)

    def test_wrong_words_and_a_home_in_use_are_refused_before_anything_is_asked(self):
        def restore(home, text):
            return subprocess.run([TEALE, "--home", home, "backup", "restore"], input=text, capture_output=True,
                                  text=True, timeout=30)
        home = self.scenery.new_home()
        right = ["abandon"] * 23 + ["art"]
        for text, words in ((" ".join(right[:22] + ["abandom", "art"]), 'word 23, "abandom"'),
                            (" ".join(right[:23]), "there are 23 words"),
                            (" ".join(right + ["art"]), "more than 24"),
                            (" ".join(right[:23] + ["abandon"]), "together they are no phrase")):
            done = restore(home, text)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(words, done.stderr)
            self.assertEqual(done.stdout, "")
        node = self.scenery.node(self.at)
        running = restore(node.home, " ".join(right))
        self.assertEqual(running.returncode, 1)
        self.assertIn("there is an identity here already", running.stderr)
        node.end()
        self.assertEqual(restore(node.home, " ".join(right)).returncode, 1)

    def test_a_restore_that_died_in_the_middle_is_finished_by_the_next_start(self):
        node = self.scenery.node(self.at)
        node.command("ptn", "create", FAMILY)
        node.end()
        home = self.scenery.new_home()
        waiting = os.path.join(home, "restore")
        os.makedirs(waiting, 0o700)
        shutil.copy(os.path.join(node.home, "teale.db"), os.path.join(waiting, "2"))
        shutil.copy(os.path.join(node.home, "wan-identity.key"), os.path.join(waiting, "3"))
        back = self.scenery.node(self.at, home=home)
        self.assertEqual(back.id, node.id)
        self.assertEqual(network(back, FAMILY)["role"], "admin")
        self.assertFalse(os.path.exists(waiting))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
