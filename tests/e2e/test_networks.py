#!/usr/bin/env python3
"""test_networks.py TEALE TEALE-RELAY PARROT: who is in a private network, with the real binaries: invited,
joined, renewed, promoted, revoked; and who is not, and hears why."""
import calendar
import contextlib
import glob
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))

import ptnobjects  # noqa: E402
from enter import enter  # noqa: E402
from netscene import (LAB, NetScene, ask, database, database_files, error_of, network, put_back,  # noqa: E402
                      refusal, set_version, signer_of)
from scenery import wait_for, words_of  # noqa: E402

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
DAY = 86400
FAKETIME = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")


class Base(unittest.TestCase):
    def setUp(self):
        self.scene = NetScene(*PROGRAMS)
        self.scene.people()
        self.addCleanup(self.scene.__exit__, None, None, None)

    def refused(self, code, exit_code, node, *args):
        self.assertIn(f"teale: {code}: ", refusal(node, *args, code=exit_code))


class Joining(Base):
    def test_a_network_is_made_and_others_join_it(self):
        s = self.scene
        made = s.admin.json("ptn", "create", LAB)
        self.assertEqual((made["name"], made["role"]), (LAB, "admin"))
        code = s.invite("--role", "provider", "--valid", "30d")
        body = ptnobjects.check_invite(code)
        self.assertEqual((body["ptnID"], body["ptnName"], body["inviterNodeID"], body["role"], body["validSeconds"]),
                         (made["ptn_id"], LAB, s.admin.id, "provider", 30 * DAY))
        self.assertLess(abs(body["expiresAt"] - time.time() - DAY), 60)
        joined = s.provider.json("join", code)
        self.assertLess(abs(calendar.timegm(time.strptime(joined.pop("expires_at"), "%Y-%m-%dT%H:%M:%SZ")) - time.time()
                            - 30 * DAY), 60)
        self.assertEqual(joined, {"state": "joined", "ptn_id": made["ptn_id"], "name": LAB, "role": "provider",
                                  "admin": s.admin.id, "name_taken": False})
        joined = s.consumer.json("ptn", "join", s.invite(), "--as", "work")  # consumer where no role is said
        self.assertEqual((joined["name"], joined["role"]), ("work", "consumer"))
        # what they hold is what independent code takes for it
        for node, role in ((s.admin, "admin"), (s.provider, "provider"), (s.consumer, "consumer")):
            shown = node.json("ptn", "show", made["ptn_id"][:8])
            self.assertEqual((shown["state"], shown["role"]), ("valid", role))
            payload = ptnobjects.check_certificate(shown["certificate"])
            self.assertEqual((payload["ptnID"], payload["nodeID"], payload["role"], payload["issuerNodeID"]),
                             (made["ptn_id"], node.id, role, s.admin.id))
            self.assertEqual("expiresAt" in payload, role == "provider")
        members = {m["node_id"]: m for m in s.admin.json("ptn", "members", LAB)["members"]}
        self.assertEqual({i: m["role"] for i, m in members.items()},
                         {s.admin.id: "admin", s.provider.id: "provider", s.consumer.id: "consumer"})
        self.assertTrue(all(m["state"] == "valid" for m in members.values()), members)
        self.assertTrue(members[s.provider.id]["online"])
        self.assertIsNone(network(s.outsider))
        # the same node with the same invite has its certificate again; with a new one, its role
        self.assertEqual(s.provider.json("join", code)["role"], "provider")
        self.assertEqual(s.provider.json("join", s.invite("--role", "consumer"))["role"], "consumer")
        self.assertEqual(network(s.provider)["role"], "consumer")

    def test_an_invite_as_a_picture_is_read_back(self):
        s = self.scene
        s.admin.command("ptn", "create", LAB)
        picture = os.path.join(s.directory, "invite.png")
        done = s.admin.command("ptn", "invite", LAB, "--qr", "--png", picture)
        self.assertEqual(s.consumer.json("join", "--image", picture)["state"], "joined")
        self.assertTrue(done.stdout.startswith("teale:inv1:") and done.stdout.count("\n") == 1)
        self.assertGreater(len(done.stderr), 200)  # the picture for the terminal

    def test_every_invite_that_does_not_help_says_why(self):
        s = self.scene
        s.found()
        good = s.invite()
        fields = ptnobjects.invite_of(good)
        raw = good.split(":")[2]
        for bad in ("", "teale:inv1:", "teale:inv2:" + raw, good[:-5], good + "AAAA", "teale:inv1:!!!!",
                    ptnobjects.invite_text(b"{}"), ptnobjects.invite_text({**fields, "king": 1}),
                    ptnobjects.invite_text({**fields, "role": "king"}),
                    ptnobjects.invite_text({**fields, "expiresAt": str(fields["expiresAt"])})):
            with self.subTest(bad):
                self.refused("E_INVITE_MALFORMED", 2, s.outsider, "join", bad)
        for key, value in (("role", "provider"), ("expiresAt", fields["expiresAt"] + 1), ("ptnName", "other"),
                           ("nonce", "0" * 32), ("ptnID", s.outsider.id)):
            with self.subTest(key):
                self.refused("E_INVITE_ALTERED", 5, s.outsider, "join",
                             ptnobjects.invite_text({**fields, key: value}))
        self.refused("E_INVITE_OTHER_NODE", 5, s.outsider, "join", s.invite("--for", s.consumer.id))
        short = s.invite("--expires", "1s")
        withdrawn = s.invite()
        nonce = ptnobjects.invite_of(withdrawn)["nonce"]
        self.assertEqual(s.admin.json("ptn", "revoke", LAB, "--invite", nonce),
                         {"nonce": nonce, "state": "withdrawn"})
        self.refused("E_INVITE_WITHDRAWN", 5, s.outsider, "join", withdrawn)
        used = s.invite()
        s.consumer.command("join", used)
        self.refused("E_INVITE_USED", 5, s.outsider, "join", used)
        wait_for(lambda: time.time() > ptnobjects.invite_of(short)["expiresAt"] + 1)
        self.refused("E_INVITE_EXPIRED", 5, s.outsider, "join", short)
        states = {i["nonce"]: (i["state"], i["used_by"]) for i in s.admin.json("ptn", "invites", LAB)["invites"]}
        self.assertEqual(states[nonce][0], "withdrawn")
        self.assertEqual(states[ptnobjects.invite_of(used)["nonce"]], ("used", s.consumer.id))
        self.assertEqual(states[ptnobjects.invite_of(short)["nonce"]][0], "expired")
        self.assertEqual(states[fields["nonce"]][0], "open")
        self.assertIsNone(network(s.outsider))
        self.assertEqual(s.outsider.json("join", good)["state"], "joined")  # the twin

    def test_who_is_no_admin_invites_nobody(self):
        s = self.scene
        s.found()
        for node in (s.provider, s.consumer):
            for command in (("invite", LAB), ("revoke", LAB, s.admin.id), ("price", LAB, "5")):
                with self.subTest(command):
                    self.refused("E_NOT_ADMIN", 5, node, "ptn", *command)
            self.refused("E_NOT_CA", 5, node, "ptn", "promote-admin", LAB, s.consumer.id)
        # signed with their own keys all the same
        authority = ptnobjects.Node()
        for network_id, inviter in ((s.ptn, s.provider), (s.ptn, s.admin), (authority.id, s.admin)):
            forged = ptnobjects.invite_fields(authority, signer_of(inviter), "provider", int(time.time()) + 600,
                                              relay=s.at.url)
            body = {k: v for k, v in forged.items() if k != "signature"} | {"ptnID": network_id}
            code = ptnobjects.invite_text(body | {"signature": signer_of(inviter).key.sign(
                ptnobjects.purpose("invite", body)).hex()})
            with self.subTest(inviter=inviter.id):
                if (network_id, inviter) == (s.ptn, s.admin):  # as the admin's node would, but not by it
                    done = s.outsider.command("join", code, code=5)
                    self.assertRegex(done.stderr, "E_INVITE_(FOREIGN|WITHDRAWN|ALTERED)")
                else:
                    self.refused("E_INVITE_FOREIGN", 5, s.outsider, "join", code)
        self.assertIsNone(network(s.outsider))

    def test_of_fifty_that_join_on_one_invite_one_does(self):
        s = self.scene
        s.admin.command("ptn", "create", LAB)
        code = s.invite()
        with ThreadPoolExecutor(10) as pool:
            crowd = list(pool.map(lambda _: s.person(), range(50)))
            done = list(pool.map(lambda n: subprocess.run(
                [PROGRAMS[0], "--home", n.home, "join", code, "--json", "--timeout", "60s"], capture_output=True,
                text=True, timeout=90), crowd))
        inside = [n for n, d in zip(crowd, done) if d.returncode == 0]
        self.assertEqual(len(inside), 1, [d.returncode for d in done])
        for d in done:
            if d.returncode:
                self.assertEqual(d.returncode, 5, d)
                self.assertIn("E_INVITE_USED", d.stderr)
        members = [m["node_id"] for m in s.admin.json("ptn", "members", LAB)["members"]]
        self.assertEqual(sorted(members), sorted([s.admin.id, inside[0].id]))

    def test_while_the_inviter_is_away_joining_waits_and_ends_by_itself(self):
        s = self.scene
        s.admin.command("ptn", "create", LAB)
        code = s.invite()
        s.admin.end()
        done = s.consumer.command("join", code, "--timeout", "6s", code=6)
        self.assertIn(s.admin.id[:4], done.stderr)
        self.assertEqual(network(s.consumer)["state"], "joining")
        waiting = s.consumer.popen
        s.consumer.kill()
        waiting.wait()
        consumer = s.again(s.consumer)  # and is not forgotten by a node that dies meanwhile
        self.assertEqual(network(consumer)["state"], "joining")
        admin = s.again(s.admin)
        wait_for(lambda: network(consumer)["state"] == "valid", 60)
        self.assertEqual(len(admin.json("ptn", "members", LAB)["members"]), 2)
        consumer.end()
        admin.command("ptn", "invite", LAB)
        self.assertIn("teale up", consumer.command("join", code, code=3).stderr)


class Membership(Base):
    def test_an_admin_that_was_made_one_invites_renews_and_revokes(self):
        s = self.scene
        s.found()
        self.refused("E_NOT_ADMIN", 5, s.consumer, "ptn", "invite", LAB)
        self.assertEqual(s.admin.json("ptn", "promote-admin", LAB, s.consumer.id),
                         {"ptn_id": s.ptn, "node_id": s.consumer.id, "role": "admin"})
        wait_for(lambda: network(s.consumer)["role"] == "admin")
        self.refused("E_NOT_CA", 5, s.consumer, "ptn", "invite", LAB, "--role", "admin")
        code = s.invite("--role", "provider", "--valid", "1h", by=s.consumer)
        self.assertEqual(s.outsider.json("join", code)["admin"], s.consumer.id)
        whole = s.outsider.json("ptn", "show", LAB)["certificate"]
        self.assertEqual(len(whole["chain"]), 1)
        before = ptnobjects.check_certificate(whole)
        time.sleep(1.1)
        self.assertEqual(s.outsider.json("ptn", "renew", LAB, timeout=60)["node_id"], s.outsider.id)
        after = ptnobjects.check_certificate(s.outsider.json("ptn", "show", LAB)["certificate"])
        self.assertGreater(after["expiresAt"], before["expiresAt"])
        gone = s.consumer.json("ptn", "revoke", LAB, s.outsider.id)
        self.assertEqual((gone["node_id"], gone["sequence"]), (s.outsider.id, 1))
        ptnobjects.check_signed("revocation", s.consumer.json("ptn", "show", LAB)["revocations"])
        wait_for(lambda: s.admin.json("ptn", "show", LAB)["revocation_sequence"] == 1)
        wait_for(lambda: network(s.outsider)["state"] == "revoked")
        # for good: a new invite does not help
        self.refused("E_REVOKED", 5, s.outsider, "join", s.invite())

    def test_who_leaves_is_no_member_and_may_come_again(self):
        s = self.scene
        s.found()
        s.consumer.command("ptn", "leave", LAB)
        self.assertIsNone(network(s.consumer))
        wait_for(lambda: s.consumer.id not in [m["node_id"] for m in
                                               s.admin.json("ptn", "members", LAB)["members"]])
        self.assertEqual(error_of(ask(s.consumer))[:2], (403, "forbidden"))
        s.join(s.consumer)
        s.admin.command("ptn", "leave", LAB, code=2)  # the CA key would be lost
        s.admin.command("ptn", "leave", LAB, "--delete")
        self.assertIsNone(network(s.admin))

    def test_a_certificate_ends_to_the_second_and_is_renewed_before(self):
        s = self.scene
        s.found()
        s.join(s.outsider, "consumer", "--valid", "6s")
        first = ptnobjects.check_certificate(s.outsider.json("ptn", "show", LAB)["certificate"])
        wait_for(lambda: ptnobjects.check_certificate(
            s.outsider.json("ptn", "show", LAB)["certificate"])["expiresAt"] > first["expiresAt"], 20)
        s.admin.end()  # nobody renews it now
        wait_for(lambda: network(s.outsider)["state"] == "expired", 20)
        status, code, message = error_of(ask(s.outsider))
        self.assertEqual((status, code), (403, "forbidden"))
        self.assertIn("expired", message)
        s.admin = s.again(s.admin)
        # what has ended is for a person to renew
        renewed = s.admin.json("ptn", "renew", LAB, s.outsider.id, "--valid", "1h")
        self.assertEqual((renewed["ptn_id"], renewed["node_id"]), (s.ptn, s.outsider.id))
        wait_for(lambda: network(s.outsider)["state"] == "valid", 60)

    def test_the_authoritys_key_moves_in_a_sealed_file(self):
        s = self.scene
        s.found()
        sealed, phrase, wrong = (os.path.join(s.directory, n) for n in ("ca", "phrase", "wrong"))
        for path, words in ((phrase, "correct horse battery"), (wrong, "correct horse batterx")):
            with open(path, "w", encoding="ascii") as f:
                f.write(words + "\n")
        s.admin.command("ptn", "export-ca-key", LAB, sealed, "--passphrase-file", phrase)
        self.assertEqual(os.stat(sealed).st_mode & 0o777, 0o600)
        s.admin.command("ptn", "export-ca-key", LAB, sealed, "--passphrase-file", phrase, code=1)
        s.consumer.command("ptn", "export-ca-key", LAB, sealed + "2", "--passphrase-file", phrase, code=5)
        done = s.outsider.command("ptn", "import-ca-key", sealed, "--passphrase-file", wrong, code=5)
        self.assertIn("E_", done.stderr)
        s.outsider.command("ptn", "import-ca-key", sealed, "--passphrase-file", phrase)
        self.assertTrue(network(s.outsider)["ca_key"])
        self.assertEqual(network(s.outsider)["ptn_id"], s.ptn)
        self.assertEqual(s.invite("--role", "admin", by=s.outsider)[:11], "teale:inv1:")

    def test_a_member_that_joins_anew_while_the_admin_is_away_shows_so(self):
        s = self.scene
        s.found()
        code = s.invite("--role", "provider")
        s.admin.end()
        s.consumer.command("join", code, "--timeout", "1", code=6)
        got = network(s.consumer)
        self.assertEqual((got["role"], got["state"]), ("consumer", "valid"))
        self.assertIn("waiting", got)
        listed = s.consumer.command("ptn", "list")
        self.assertRegex(listed.stdout, r"consumer +valid, joining ")
        self.assertIn(f"{LAB}: joining; ", listed.stderr)
        s.again(s.admin)
        wait_for(lambda: network(s.consumer)["role"] == "provider", 30)
        self.assertNotIn("waiting", network(s.consumer))
        self.assertNotIn("joining", s.consumer.command("ptn", "list").stdout)

    def test_who_is_present_is_watched_from_the_start_and_a_way_over_a_dead_relay_is_not_counted(self):
        s = self.scene
        s.found()
        wait_for(lambda: s.consumer.status()["peers"]["relayed"] > 0)
        lines = s.consumer.command("watch", "--json", "--timeout", "1", code=6).stdout.splitlines()
        present = [e for e in map(json.loads, lines) if e["event"] == "present"]
        connected = [p for p in s.consumer.json("peers")["peers"] if p["path"]]
        self.assertEqual({e["node_id"] for e in present}, {p["node_id"] for p in connected})
        self.assertEqual(present[0]["path"], "relayed")
        s.at.kill(signal.SIGKILL)
        wait_for(lambda: s.consumer.status()["wan"]["state"] != "connected")
        self.assertEqual(s.consumer.status()["peers"]["relayed"], 0)

    def test_a_clock_that_is_an_hour_ahead_is_told_from_the_start(self):
        s, ahead = self.scene, None
        with open(s.programs["teale"], "rb") as f:
            sanitized = b"__asan_init" in f.read()  # it must be loaded before any other library
        if not FAKETIME or sanitized:
            self.skipTest("no libfaketime here (Debian package faketime), or a sanitizer that bears none")
        args = [s.programs["teale"], "--home", s.new_home()]
        serve = [*args, "serve", "--relay", s.at.url, "--api", "127.0.0.1:0", "--udp", "0"]
        for off in (True, False):
            env = {**os.environ, **({"LD_PRELOAD": FAKETIME[0], "FAKETIME": "+1h"} if off else {})}
            with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env) as node:
                try:
                    self.assertTrue(node.stdout.readline().startswith(b"ready "))
                    wait_for(lambda: json.loads(subprocess.run([*args, "status", "--json"], capture_output=True,
                                                               check=True).stdout)["wan"]["state"] == "connected")
                    told = subprocess.run([*args, "doctor", "--json"], capture_output=True, check=False).stdout
                    ahead = [c for c in json.loads(told)["checks"] if c["id"] == "clock"]
                finally:
                    node.terminate()
            self.assertEqual(len(ahead), off)
            if off:
                self.assertRegex(ahead[0]["evidence"], r"clock is 3(599|600|601) s ahead of the relay's")

    def test_all_of_them_start_again_and_go_on(self):
        s = self.scene
        s.found()
        s.admin.json("ptn", "price", LAB, "50")
        used = s.invite()
        s.consumer.command("join", used)
        for node in (s.admin, s.provider, s.consumer):
            node.end()
        admin, consumer = s.again(s.admin), s.again(s.consumer)
        s.again(s.provider, "--share", s.model_url, "--private")
        self.refused("E_INVITE_USED", 5, s.outsider, "join", used)
        self.assertEqual([network(n)["role"] for n in (admin, consumer)], ["admin", "consumer"])
        s.knows_model(consumer)
        status, headers, body = ask(consumer, "still here")
        self.assertEqual((status, words_of(body), headers["X-Teale-PTN"]), (200, "still here", s.ptn))


class TheDisk(Base):
    def test_a_full_disk_refuses_what_it_cannot_keep_and_nothing_is_half_done(self):
        if NO_NAMESPACE:
            self.skipTest(f"nothing can be mounted: {NO_NAMESPACE}")
        s = self.scene
        s.admin.command("ptn", "create", LAB)
        code, home = s.invite(), s.new_home()
        os.makedirs(home, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "none", home], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", home], check=True)
        fill = os.path.join(home, "fill")
        node = s.person(home=home)
        with open(fill, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(b"x" * 4096):
                pass
        self.refused("E_STORE", 1, node, "join", code)
        self.assertIn("the disk is full", refusal(node, "ptn", "create", "mine", code=1))
        self.assertEqual(node.json("ptn", "list")["ptns"], [])
        told = node.command("config", "set", "display_name", "new", code=1).stderr
        self.assertIn("No space left", told)
        self.assertTrue(node.json("wallet", "audit")["ok"])
        store = [c for c in json.loads(node.command("doctor", "--json", code=1).stdout)["checks"] if c["id"] == "store"]
        self.assertIn("the disk is full", store[0]["evidence"])
        self.assertIn("Free space", store[0]["remedy"])
        os.unlink(fill)
        self.assertEqual(node.json("join", code)["role"], "consumer")  # the invite was not used up
        node.command("config", "set", "display_name", "new")
        node.command("doctor")


class TheDatabase(Base):
    def starts_not(self, node, code):
        done = subprocess.run([PROGRAMS[0], "--home", node.home, "serve", "--api", "127.0.0.1:0"],
                              capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(code, done.stderr)

    def test_a_database_set_back_corrupt_or_newer_is_refused_and_not_touched(self):
        s = self.scene
        s.found()
        s.admin.end()
        old = database_files(s.admin)
        admin = s.again(s.admin)
        code = s.invite(by=admin)
        s.consumer.command("join", code)
        admin.end()
        new = database_files(admin)
        for name, version, damage, error in (
                ("set back", None, None, "E_STORE_SET_BACK"),
                ("corrupt", None, b"\xa5" * 64, "E_STORE_CORRUPT"), ("newer", 9999, None, "E_STORE_NEWER")):
            with self.subTest(name):
                if name == "set back":
                    put_back(admin, {**new, "teale.db": old["teale.db"]})
                else:
                    put_back(admin, new)
                if damage:
                    with open(database(admin), "r+b") as f:
                        f.seek(4096)  # the head of the second page
                        f.write(damage)
                if version:
                    set_version(admin, version)
                before = database_files(admin)
                self.starts_not(admin, error)
                self.assertEqual(database_files(admin), before)
        put_back(admin, new)
        admin = s.again(admin)  # the twin
        self.refused("E_INVITE_USED", 5, s.outsider, "join", code)


if __name__ == "__main__":
    NO_NAMESPACE = enter()
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
