#!/usr/bin/env python3
"""test_ptn.py TEALE TEALE-RELAY PARROT: the commands of private networks, and the HTTP routes beside them,
at real nodes on loopback: what each prints, and the exit code of each refusal."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

from scenery import Node, Scenery, wait_for

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
TEALE = PROGRAMS[0]


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(*PROGRAMS)
        self.addCleanup(lambda: self.scenery.__exit__(None, None, None))
        self.relay = self.scenery.relay()
        self.admin = self.node()

    def node(self, home=None, *args):
        node = Node(TEALE, home or self.scenery.new_home(), "--relay", self.relay.url, *args)
        self.scenery.running.append(node)
        return node

    def end(self, node):
        self.assertEqual(node.end(), 0)
        self.scenery.running.remove(node)

    def run_at(self, node, *args, code=0, stdin=""):
        home = node if isinstance(node, str) else node.home
        r = subprocess.run([TEALE, "--home", home, *args], input=stdin, capture_output=True, text=True, timeout=60)
        self.assertEqual(r.returncode, code, f"{args}: {r.stdout}{r.stderr}")
        return r

    def json_at(self, node, *args, code=0):
        return json.loads(self.run_at(node, *args, "--json", code=code).stdout)

    def refused(self, code, exit_code, node, *args):
        r = self.run_at(node, *args, code=exit_code)
        self.assertRegex(r.stderr, rf"\Ateale: {code}: [^\n]+\n\Z")
        self.assertEqual(r.stdout, "")

    def invite(self, *args, net="lab", admin=None):
        return self.run_at(admin or self.admin, "ptn", "invite", net, *args).stdout.strip()

    def create(self, name="lab"):
        return self.json_at(self.admin, "ptn", "create", name)["ptn_id"]

    def member(self, *args, net="lab"):
        node = self.node()
        self.run_at(node, "join", self.invite(*args, net=net))
        return node

    def state(self, node, net="lab"):
        found = [p["state"] for p in self.json_at(node, "ptn", "list")["ptns"] if p["name"] == net]
        return found[0] if found else None

    def seen(self, what, within=10):
        wait_for(what, within)


class Commands(Case):
    def test_the_life_of_a_member(self):
        ptn_id = self.create()
        node = self.node()
        made = self.json_at(self.admin, "ptn", "invite", "lab", "--role", "provider", "--expires", "2h", "--valid", "30d")
        self.assertEqual((made["ptn_id"], made["name"], made["role"], made["for"]), (ptn_id, "lab", "provider", None))
        joined = self.json_at(node, "join", made["invite"])
        self.assertRegex(joined.pop("expires_at"), r"^\d{4}-")
        self.assertEqual(joined, {"state": "joined", "ptn_id": ptn_id, "name": "lab", "role": "provider",
                                  "admin": self.admin.id, "name_taken": False})
        mine = self.json_at(node, "ptn", "list")["ptns"]
        self.assertEqual([(p["ptn_id"], p["role"], p["state"], p["issuer"], p["ca_key"], p["hide"]) for p in mine],
                         [(ptn_id, "provider", "valid", self.admin.id, False, False)])
        self.assertEqual(node.status()["ptns"], mine)
        members = {m["node_id"]: m for m in self.json_at(self.admin, "ptn", "members", ptn_id[:8])["members"]}
        self.assertEqual((members[node.id]["role"], members[node.id]["state"], members[node.id]["online"]),
                         ("provider", "valid", True))
        self.assertEqual(self.json_at(self.admin, "ptn", "invites", "lab")["invites"][0]["used_by"], node.id)
        self.assertEqual([p["ptns"] for p in self.json_at(node, "peers")["peers"] if p["node_id"] == self.admin.id], [[ptn_id]])
        why = self.json_at(self.admin, "why", node.id[:8])["networks"]
        self.assertEqual(why, [{"ptn_id": ptn_id, "name": "lab", "role": "provider", "asks": None, "answers": None}])
        self.assertIn("network: lab, admin; may ask this node; may answer it",
                      self.run_at(node, "why", self.admin.id[:8]).stdout)
        self.assertEqual(self.json_at(self.admin, "ptn", "renew", "lab", node.id[:8], "--valid", "90d")["node_id"], node.id)
        self.seen(lambda: self.json_at(node, "ptn", "show", "lab")["expires_at"] > mine[0]["expires_at"])
        self.assertEqual(self.json_at(self.admin, "ptn", "promote-admin", "lab", node.id[:8]),
                         {"ptn_id": ptn_id, "node_id": node.id, "role": "admin"})
        self.seen(lambda: self.json_at(node, "ptn", "show", "lab")["role"] == "admin")
        self.assertEqual(self.json_at(node, "ptn", "price", "lab", "1500")["price_micro"], 1500)
        self.seen(lambda: self.json_at(self.admin, "ptn", "price", "lab")["price_micro"] == 1500)
        done = self.json_at(self.admin, "ptn", "revoke", "lab", node.id[:8])
        self.assertEqual((done["node_id"], done["sequence"], done["told"]), (node.id, 1, 1))
        self.seen(lambda: self.state(node) == "revoked", 5)
        doctor = {c["id"]: c for c in self.json_at(node, "doctor")["checks"]}
        self.assertIn("an admin has revoked this node", doctor["networks"]["evidence"])
        self.refused("E_REVOKED", 5, node, "join", self.invite())
        self.run_at(node, "ptn", "leave", "lab")
        self.assertIsNone(self.state(node))

    def test_a_picture_of_the_invite_admits_the_node(self):
        self.create()
        node, picture = self.node(), os.path.join(self.admin.home, "code.png")
        self.invite("--png", picture)
        self.assertIn('joined "home"', self.run_at(node, "join", "--image", picture, "--as", "home").stdout)
        self.assertEqual(self.state(node, "home"), "valid")

    def test_refusals_of_invites_have_their_code(self):
        self.create()
        first, second = self.member(), self.node()
        used = self.json_at(self.admin, "ptn", "invites", "lab")["invites"][0]
        self.assertEqual(used["state"], "used")
        spent = self.invite()
        self.run_at(first, "join", spent)
        self.run_at(first, "join", spent)  # the same node gets its certificate again
        self.refused("E_INVITE_USED", 5, second, "join", spent)
        self.refused("E_INVITE_OTHER_NODE", 5, second, "join", self.invite("--for", first.id))
        self.run_at(second, "join", self.invite("--for", second.id))
        made = self.json_at(self.admin, "ptn", "invite", "lab")
        self.assertEqual(self.json_at(self.admin, "ptn", "revoke", "lab", "--invite", made["nonce"])["state"], "withdrawn")
        third = self.node()
        self.refused("E_INVITE_WITHDRAWN", 5, third, "join", made["invite"])
        short = self.invite("--expires", "1s")
        time.sleep(2.1)
        self.refused("E_INVITE_EXPIRED", 5, third, "join", short)
        self.run_at(third, "join", self.invite("--expires", "5s"))

    def test_what_only_admins_may_is_refused_to_others(self):
        self.create()
        member = self.member()
        for code, args in (("E_NOT_ADMIN", ("ptn", "invite", "lab")), ("E_NOT_ADMIN", ("ptn", "revoke", "lab", self.admin.id)),
                           ("E_NOT_ADMIN", ("ptn", "price", "lab", "5")), ("E_NOT_CA", ("ptn", "promote-admin", "lab", self.admin.id))):
            self.refused(code, 5, member, *args)
        self.run_at(self.admin, "ptn", "promote-admin", "lab", member.id)
        self.seen(lambda: self.json_at(member, "ptn", "show", "lab")["role"] == "admin")
        self.refused("E_NOT_CA", 5, member, "ptn", "promote-admin", "lab", self.member().id)
        self.refused("E_NOT_CA", 5, member, "ptn", "invite", "lab", "--role", "admin")
        self.invite("--role", "provider", admin=member)
        self.run_at(self.admin, "ptn", "price", "lab", "5")

    def test_names_that_are_unknown_or_ambiguous_have_their_exit_codes(self):
        first = self.create()
        self.refused("E_EXISTS", 1, self.admin, "ptn", "create", "lab")
        second = self.json_at(self.admin, "ptn", "create", "lab", "--again")["ptn_id"]
        self.refused("E_NOT_FOUND", 1, self.admin, "ptn", "show", "nothing")
        r = self.run_at(self.admin, "ptn", "show", "lab", code=2)
        self.assertIn(first, r.stderr)
        self.assertIn(second, r.stderr)
        self.assertEqual(self.json_at(self.admin, "ptn", "show", second[:12])["ptn_id"], second)
        self.refused("E_NOT_FOUND", 1, self.admin, "ptn", "revoke", first, "eeee")
        # nobody is stuck: one of them gets another name, which stays over a restart
        self.refused("E_AMBIGUOUS", 2, self.admin, "ptn", "rename", "lab", "other")
        self.assertEqual(self.json_at(self.admin, "ptn", "rename", second[:12], "other")["name"], "other")
        self.assertEqual(self.json_at(self.admin, "ptn", "show", "lab")["ptn_id"], first)
        self.refused("E_EXISTS", 1, self.admin, "ptn", "rename", "other", "lab")
        self.end(self.admin)
        self.admin = self.node(self.admin.home)
        self.assertEqual(self.json_at(self.admin, "ptn", "show", "other")["ptn_id"], second)
        self.run_at(self.admin, "ptn", "rename", "other", "other")

    def test_a_foreign_network_of_a_known_name_is_joined_and_told_apart(self):
        node = self.node()
        theirs, ours = self.create(), self.json_at(node, "ptn", "create", "lab")["ptn_id"]
        joined = self.json_at(node, "join", self.invite())
        self.assertEqual((joined["ptn_id"], joined["name_taken"]), (theirs, True))
        self.assertFalse(self.json_at(self.node(), "join", self.invite())["name_taken"])
        self.refused("E_AMBIGUOUS", 2, node, "ptn", "show", "lab")
        self.run_at(node, "ptn", "rename", ours[:8], "home")
        self.assertEqual(self.json_at(node, "ptn", "show", "lab")["ptn_id"], theirs)

    def test_a_certificate_that_ends_with_its_inviters_own_says_so(self):
        self.create()
        second = self.node()
        joined = self.json_at(second, "join", self.invite("--role", "admin", "--valid", "9d"))
        self.assertTrue(joined["expires_at"])
        self.assertIsNone(self.json_at(self.admin, "ptn", "invite", "lab")["certificate_until"])
        self.assertIsNone(self.json_at(second, "ptn", "invite", "lab", "--valid", "2d")["certificate_until"])
        r = self.run_at(second, "ptn", "invite", "lab")
        self.assertRegex(r.stderr, "The member's certificate ends with this admin's own at the latest, in [89] d")
        made = self.json_at(second, "ptn", "invite", "lab", "--valid", "30d")
        self.assertEqual(made["certificate_until"], joined["expires_at"])
        r = self.run_at(self.node(), "join", made["invite"])
        self.assertRegex(r.stderr, "the certificate of this node ends in [89] d")
        self.assertNotIn("ends", self.run_at(self.node(), "join", self.invite()).stderr)

    def test_where_the_ca_key_is_a_network_is_not_left_by_a_slip(self):
        self.create()
        self.assertIn("--delete", self.run_at(self.admin, "ptn", "leave", "lab", code=2).stderr)
        self.assertEqual(self.state(self.admin), "valid")
        self.run_at(self.admin, "ptn", "leave", "lab", "--delete")
        self.assertIsNone(self.state(self.admin))

    def test_a_join_outlives_its_command_and_finishes_when_the_inviter_is_back(self):
        self.create()
        code, node = self.invite(), self.node()
        home = self.admin.home
        self.end(self.admin)
        r = self.run_at(node, "join", code, "--timeout", "3s", code=6)
        self.assertIn("trying on", r.stderr)
        self.assertEqual(self.state(node), "joining")
        p = subprocess.Popen([TEALE, "--home", node.home, "join", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        self.assertEqual((p.wait(10), p.stdout.read()), (6, ""))
        p.stdout.close()
        p.stderr.close()
        self.assertEqual(self.state(node), "joining")
        self.admin = self.node(home)
        self.seen(lambda: self.state(node) == "valid", 60)

    def test_the_ca_key_moves_to_a_new_machine_in_a_sealed_file(self):
        ptn_id = self.create()
        file, word, wrong = (os.path.join(self.admin.home, n) for n in ("ca", "word", "wrong"))
        for path, text in ((word, "correct horse"), (wrong, "battery staple")):
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        self.run_at(self.admin, "ptn", "export-ca-key", "lab", file, "--passphrase-file", word)
        with open(file, "rb") as f:
            self.assertTrue(f.read().startswith(b"teale CA key\n"))
        heir = self.node()
        self.run_at(heir, "ptn", "import-ca-key", file, "--passphrase-file", wrong, code=5)
        self.run_at(heir, "ptn", "import-ca-key", file, "--passphrase-file", word)
        mine = self.json_at(heir, "ptn", "show", "lab")
        self.assertEqual((mine["ptn_id"], mine["role"], mine["ca_key"]), (ptn_id, "admin", True))
        self.invite("--role", "admin", admin=heir)
        member = self.member()
        self.refused("E_NOT_CA", 5, member, "ptn", "export-ca-key", "lab", file + "2")
        self.assertFalse(os.path.exists(file + "2"))

    def test_the_ca_key_comes_back_to_where_it_was_left_but_not_to_a_revoked_node(self):
        ptn_id = self.create()
        member = self.member()
        file, word = (os.path.join(self.admin.home, n) for n in ("ca", "word"))
        with open(word, "w", encoding="utf-8") as f:
            f.write("correct horse")
        self.run_at(self.admin, "ptn", "revoke", "lab", member.id)
        self.run_at(self.admin, "ptn", "export-ca-key", "lab", file, "--passphrase-file", word)
        self.run_at(self.admin, "ptn", "leave", "lab", "--delete")
        self.assertIsNone(self.state(self.admin))
        self.run_at(self.admin, "ptn", "import-ca-key", file, "--passphrase-file", word)
        mine = self.json_at(self.admin, "ptn", "show", "lab")
        self.assertEqual((mine["ptn_id"], mine["role"], mine["state"], mine["ca_key"]), (ptn_id, "admin", "valid", True))
        self.assertEqual(mine["revocation_sequence"], 1)
        self.seen(lambda: self.state(member) == "revoked")
        self.run_at(member, "ptn", "leave", "lab")
        r = self.run_at(member, "ptn", "import-ca-key", file, "--passphrase-file", word, code=5)
        self.assertRegex(r.stderr, r"\Ateale: E_REVOKED: .*on another node, or give this one a new identity\n\Z")
        self.assertIsNone(self.state(member))

    def test_keys_scope_and_a_new_one_ends_the_old(self):
        self.create()
        old = self.run_at(self.admin, "ptn", "key", "lab").stdout
        self.assertRegex(old, r"\Atl-[A-Za-z0-9_-]+\n\Z")
        self.assertEqual(self.run_at(self.admin, "ptn", "key", "lab").stdout, old)
        self.assertIn(f"OPENAI_API_KEY={old}", self.run_at(self.admin, "env", "--ptn", "lab").stdout)
        self.assertNotEqual(self.run_at(self.admin, "ptn", "key", "lab", "--new").stdout, old)

    def test_networks_survive_a_restart_of_both_sides(self):
        self.create()
        member = self.member()
        for node in (self.admin, member):
            home = node.home
            self.end(node)
            again = self.node(home)
            self.assertEqual(self.state(again), "valid")


class Pages(Case):
    """The same over HTTP."""

    def ask(self, node, method, path, body=None, status=200, headers=None):
        c, r = node.request(method, path, json.dumps(body) if body is not None else None,
                            {"Content-Type": "application/json", **(headers or {})})
        raw = r.read()
        c.close()
        self.assertEqual(r.status, status, raw)
        return json.loads(raw)

    def test_the_life_of_a_member_over_http(self):
        made = self.ask(self.admin, "POST", "/v1/app/ptn", {"name": "lab"})
        where = "/v1/app/ptn/" + made["ptn_id"]
        node = self.node()
        invite = self.ask(self.admin, "POST", where + "/invites", {"role": "provider", "expires_s": 600, "valid_s": 86400})
        said = self.ask(node, "POST", "/v1/app/ptn/join/preview", {"invite": invite["invite"]})
        self.assertEqual((said["name"], said["role"], said["inviter"], said["member_as"]), ("lab", "provider", self.admin.id, None))
        self.ask(node, "POST", where + "/key", {}, 404)
        joined = self.ask(node, "POST", "/v1/app/ptn/join", {"invite": invite["invite"]})
        self.assertEqual((joined["state"], joined["role"]), ("joined", "provider"))
        said = self.ask(node, "POST", "/v1/app/ptn/join/preview", {"invite": invite["invite"]})
        self.assertEqual((said["member_as"], said["member_role"]), ("lab", "provider"))
        key = self.ask(node, "POST", where + "/key", {})["key"]
        self.assertEqual((self.ask(node, "POST", where + "/key", {})["key"], self.run_at(node, "ptn", "key", "lab").stdout.strip()),
                         (key, key))
        self.assertNotEqual(self.ask(node, "POST", where + "/key", {"new": True})["key"], key)
        self.assertEqual(self.ask(self.admin, "GET", "/v1/app/ptn"), self.json_at(self.admin, "ptn", "list"))
        self.assertEqual(len(self.ask(self.admin, "GET", where + "/members")["members"]), 2)
        self.assertEqual(self.ask(self.admin, "GET", where + "/invites")["invites"][0]["state"], "used")
        self.assertEqual(self.ask(self.admin, "PUT", where + "/price", {"price_micro": 7})["price_micro"], 7)
        self.assertEqual(self.ask(self.admin, "POST", where + "/renewals", {"node_id": node.id})["node_id"], node.id)
        self.assertEqual(self.ask(self.admin, "POST", where + "/admins", {"node_id": node.id})["role"], "admin")
        self.assertTrue(self.ask(self.admin, "GET", where)["certificate"])
        self.assertEqual(self.ask(self.admin, "PUT", where + "/name", {"name": "den"})["name"], "den")
        self.assertEqual(self.ask(self.admin, "PUT", where + "/name", {"name": "lab"})["ptn_id"], made["ptn_id"])
        other = self.ask(self.admin, "POST", where + "/invites", {})
        self.assertEqual(self.ask(self.admin, "DELETE", f"{where}/invites/{other['nonce']}")["state"], "withdrawn")
        self.assertEqual(self.ask(self.admin, "POST", where + "/revocations", {"node_id": node.id})["sequence"], 1)
        self.seen(lambda: self.state(node) == "revoked", 5)
        self.ask(node, "DELETE", where)
        self.assertEqual(self.ask(node, "GET", "/v1/app/ptn"), {"ptns": []})

    def test_refusals_have_their_status_and_code(self):
        made = self.ask(self.admin, "POST", "/v1/app/ptn", {"name": "lab"})
        where = "/v1/app/ptn/" + made["ptn_id"]
        first, second = self.node(), self.node()
        invite = self.ask(self.admin, "POST", where + "/invites", {})["invite"]
        self.ask(first, "POST", "/v1/app/ptn/join", {"invite": invite})
        for status, code, node, method, path, body in (
                (409, "invite_used", second, "POST", "/v1/app/ptn/join", {"invite": invite}),
                (409, "exists", self.admin, "POST", "/v1/app/ptn", {"name": "lab"}),
                (400, "invalid_value", self.admin, "POST", "/v1/app/ptn", {"name": "lab", "again": 1}),
                (400, "invite_malformed", second, "POST", "/v1/app/ptn/join", {"invite": invite[:-6]}),
                (403, "not_admin", first, "POST", where + "/invites", {}),
                (404, "not_found", second, "GET", where, None),
                (404, "not_found", self.admin, "GET", "/v1/app/ptn/" + second.id, None),
                (400, "invalid_value", self.admin, "POST", "/v1/app/ptn", {"nam": "x"})):
            error = self.ask(node, method, path, body, status)["error"]
            self.assertEqual(error["code"], code, (method, path))
            self.assertTrue(error["message"])

    def test_a_page_elsewhere_cannot_change_anything(self):
        made = self.ask(self.admin, "POST", "/v1/app/ptn", {"name": "lab"})
        for method, path, body in (("DELETE", "/v1/app/ptn/" + made["ptn_id"], None), ("POST", "/v1/app/ptn", {"name": "x"}),
                                   ("PUT", f"/v1/app/ptn/{made['ptn_id']}/price", {"price_micro": 1})):
            self.ask(self.admin, method, path, body, 403, {"Origin": "https://evil.example"})
        self.assertEqual([p["price_micro"] for p in self.ask(self.admin, "GET", "/v1/app/ptn")["ptns"]], [0])

    def test_what_happens_to_members_is_an_event(self):
        self.create()
        watch = subprocess.Popen([TEALE, "--home", self.admin.home, "watch", "--json"], stdout=subprocess.PIPE, text=True)
        time.sleep(0.5)
        node = self.member()
        self.run_at(self.admin, "ptn", "revoke", "lab", node.id)
        told = []
        while "revoked" not in told:
            event = json.loads(watch.stdout.readline())
            if event["event"] == "Membership":
                self.assertEqual(event["node_id"], node.id)
                told.append(event["what"])
        self.assertEqual(told, ["joined", "revoked"])
        watch.send_signal(signal.SIGINT)
        self.assertEqual(watch.wait(10), 0)
        watch.stdout.close()

    def test_metrics_count_members_by_number(self):
        self.create()
        self.member()
        c, r = self.admin.request("GET", "/metrics")
        text = r.read().decode()
        c.close()
        self.assertEqual(re.findall('teale_ptn_members{network="(.*)"} (.*)', text), [("1", "2")])
        self.assertIsNone(re.search(r"[0-9a-f]{64}", text))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
