#!/usr/bin/env python3
"""test_store.py TEALE: the database of a node as its owner meets it: refused where it is damaged, newer or set
back, with the cause and the remedy, and untouched; put right, the node starts."""
import base64
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import unittest

TEALE = os.path.abspath(sys.argv[1])
FILES = ("teale.db", "teale.db-wal", "teale.db.mark")


class Store(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="teale-store-")

    def tearDown(self):
        subprocess.run([TEALE, "--home", self.home, "down"], capture_output=True, timeout=60)
        shutil.rmtree(self.home)

    def path(self, name):
        return os.path.join(self.home, name)

    def read(self, name):
        with contextlib.suppress(FileNotFoundError), open(self.path(name), "rb") as f:
            return f.read()
        return None

    def write(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)

    def sql(self, text):
        with contextlib.closing(sqlite3.connect(self.path("teale.db"))) as db:
            rows = db.execute(text).fetchall()
            db.commit()
            return rows

    def serve(self):
        p = subprocess.Popen([TEALE, "--home", self.home, "serve", "--api", "127.0.0.1:0"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        return p

    @contextlib.contextmanager
    def running(self, end=signal.SIGTERM):
        p = self.serve()
        line = p.stdout.readline()
        if not line.startswith("ready "):
            p.kill()
            self.fail(p.communicate()[1])
        try:
            yield p
        finally:
            p.send_signal(end)
            p.wait(60)

    def run_once(self, **how):
        with self.running(**how):
            pass

    def teale(self, *args):
        r = subprocess.run([TEALE, "--home", self.home, *args], capture_output=True, text=True, timeout=60)
        self.assertEqual(r.returncode, 0, r)
        return r.stdout

    def invites(self):
        """Nonce and state of each."""
        return {i["nonce"]: i["state"] for i in json.loads(self.teale("ptn", "invites", "lab", "--json"))["invites"]}

    def doctor(self):
        """It exits 1 as there is no relay here."""
        return subprocess.run([TEALE, "--home", self.home, "doctor"], capture_output=True, text=True,
                              timeout=60).stdout

    def refused(self, code, remedy):
        """`serve` and `up` both exit 1, say the cause and the remedy, and change nothing."""
        before = {name: self.read(name) for name in FILES}
        for command in (["serve", "--api", "127.0.0.1:0"], ["up"]):
            r = subprocess.run([TEALE, "--home", self.home, *command], capture_output=True, text=True, timeout=60)
            self.assertEqual(r.returncode, 1, r)
            self.assertEqual(r.stdout, "")
            self.assertRegex(r.stderr, rf"(?m)^(teale: )?{code}: ")
            self.assertIn(self.path("teale.db"), r.stderr)
            self.assertIn(remedy, r.stderr)
            self.assertEqual({name: self.read(name) for name in FILES}, before)

    def test_a_database_without_its_key_makes_no_new_node(self):
        with self.running():
            pass
        key, before = self.read("wan-identity.key"), self.read("teale.db")
        os.unlink(self.path("wan-identity.key"))
        p = self.serve()
        told = p.communicate(timeout=20)[1]
        self.assertEqual(p.returncode, 1)
        self.assertIn("put the key back", told)
        self.assertEqual((self.read("wan-identity.key"), self.read("teale.db")), (None, before))
        self.write("wan-identity.key", key)
        os.chmod(self.path("wan-identity.key"), 0o600)
        with self.running():  # the twin
            self.assertEqual(self.read("wan-identity.key"), key)

    def test_a_damaged_database_is_refused_until_it_is_put_right(self):
        self.run_once()
        good = self.read("teale.db")
        self.write("teale.db", good[:4096] + b"\xff" * 4096 + good[8192:])
        self.refused("E_STORE_CORRUPT", "Put a good copy in its place")
        self.write("teale.db", good)
        self.run_once()

    def test_a_damaged_database_may_be_moved_away(self):
        self.run_once()
        self.write("teale.db", b"no database")
        self.refused("E_STORE_CORRUPT", "move it away with its -wal and .mark")
        for name in FILES:
            with contextlib.suppress(FileNotFoundError):
                os.rename(self.path(name), self.path(name + ".bad"))
        self.run_once()
        self.assertEqual(self.read("teale.db.bad"), b"no database")

    def test_a_newer_database_is_refused(self):
        self.run_once()
        version = self.sql("PRAGMA user_version")[0][0]
        self.sql(f"PRAGMA user_version = {version + 1}")
        self.refused("E_STORE_NEWER", "use the newer teale")
        self.sql(f"PRAGMA user_version = {version}")
        self.run_once()

    def test_an_older_copy_is_refused_until_its_owner_removes_the_mark(self):
        with self.running():
            self.teale("ptn", "create", "lab")
            invite = json.loads(self.teale("ptn", "invite", "lab", "--json"))["nonce"]
            self.assertEqual(self.invites(), {invite: "open"})
        older = self.read("teale.db")
        with self.running():
            self.teale("ptn", "price", "lab", "7")
        self.write("teale.db", older)
        self.refused("E_STORE_SET_BACK", f"remove {self.path('teale.db.mark')}")
        os.remove(self.path("teale.db.mark"))
        with self.running():
            told = self.doctor()
            self.assertIn("put back from an older copy", told)
            self.assertIn("Make new invites", told)
            self.assertEqual(self.invites(), {invite: "withdrawn"})
            another = json.loads(self.teale("ptn", "invite", "lab", "--json"))["nonce"]
        with self.running():
            self.assertEqual(self.invites(), {invite: "withdrawn", another: "open"})
            self.assertNotIn("older copy", self.doctor())

    def test_a_lost_database_is_not_begun_anew_in_silence(self):
        self.run_once()
        os.rename(self.path("teale.db"), self.path("away"))
        self.refused("E_STORE_SET_BACK", "Put the newer file back")
        os.rename(self.path("away"), self.path("teale.db"))
        self.run_once()

    def test_a_killed_node_starts_again_and_nobody_else_reads_its_files(self):
        invites = {}
        with self.running(end=signal.SIGKILL):
            self.teale("ptn", "create", "lab")
        for _ in range(3):
            with self.running(end=signal.SIGKILL):
                self.assertEqual(self.invites(), invites)
                invites[json.loads(self.teale("ptn", "invite", "lab", "--json"))["nonce"]] = "open"
        with self.running():
            self.assertEqual(self.invites(), invites)  # what was printed was on the disk
            for name in FILES:
                with contextlib.suppress(FileNotFoundError):
                    self.assertEqual(os.stat(self.path(name)).st_mode & 0o7777, 0o600, name)
        self.assertEqual(self.sql("PRAGMA integrity_check"), [("ok",)])

    def test_another_program_that_holds_the_file_is_named_and_then_waited_for(self):
        self.run_once()
        holder = sqlite3.connect(self.path("teale.db"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        r = subprocess.run([TEALE, "--home", self.home, "serve", "--api", "127.0.0.1:0"], capture_output=True,
                           text=True, timeout=60)
        self.assertEqual(r.returncode, 1, r)
        self.assertIn("E_STORE_LOCKED: another process has", r.stderr)
        p = self.serve()  # within its 5 s the file is free
        holder.execute("ROLLBACK")
        holder.close()
        self.assertRegex(p.stdout.readline(), "^ready ")
        p.terminate()
        p.wait(60)

    def test_a_report_for_strangers_has_nothing_of_the_database(self):
        with self.running():
            network = json.loads(self.teale("ptn", "create", "grandmothers", "--json"))["ptn_id"]
            secrets = [network, "grandmothers", "SQLite format", self.teale("ptn", "key", "grandmothers").strip()]
            invite = json.loads(self.teale("ptn", "invite", "grandmothers", "--json"))
            report = self.teale("bugreport")
        seed = self.sql("SELECT ca_seed FROM networks")[0][0]
        secrets += [self.home, invite["invite"], invite["nonce"], seed.hex(), base64.b64encode(seed).decode()]
        self.assertIn('"id":"store"', report)
        for secret in secrets:
            self.assertNotIn(secret, report)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
