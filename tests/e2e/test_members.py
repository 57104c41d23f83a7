#!/usr/bin/env python3
"""test_members.py TEALE TEALE-RELAY PARROT: private networks between real nodes at one relay: joining, roles, restarts,
revoking, renewing, leaving, and the key of the authority on another machine."""
import json
import os
import subprocess
import sys
import threading
import time
import unittest

from scenery import Scenery, chat, parrot_stats, wait_for, words_of

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]


def ptn(node, name="lab"):
    return next((p for p in node.json("ptn", "list")["ptns"] if p["name"] == name), None)


def members(node):
    return {m["node_id"]: m for m in node.json("ptn", "members", "lab")["members"]}


def invite(node, *how):
    return node.command("ptn", "invite", "lab", *how).stdout.strip()


def refused(node, code, *args, exit=5):
    done = node.command(*args, code=exit)
    assert done.stderr.startswith(f"teale: {code}: "), done.stderr
    return done


class Members(unittest.TestCase):
    def setUp(self):
        self.s = self.enterContext(Scenery(*PROGRAMS))
        self.relay = self.s.relay()

    def network(self, *roles):
        """An admin, and a node for each role."""
        nodes = [self.s.node(self.relay) for _ in range(len(roles) + 1)]
        self.made = nodes[0].json("ptn", "create", "lab")
        for node, role in zip(nodes[1:], roles):
            joined = node.json("join", invite(nodes[0], "--role", role))
            self.assertEqual((joined["state"], joined["role"], joined["ptn_id"], joined["admin"]),
                             ("joined", role, self.made["ptn_id"], nodes[0].id))
        return nodes

    def test_a_node_joins_by_invite_and_keeps_it_over_a_restart(self):
        admin, member = self.network("consumer")
        self.assertEqual(ptn(admin)["role"], "admin")
        self.assertTrue(ptn(admin)["ca_key"])
        self.assertEqual(ptn(member)["state"], "valid")
        self.assertEqual(members(admin)[member.id]["role"], "consumer")
        for node in (admin, member):
            node.end()
            self.s.running.remove(node)
        admin, member = (self.s.node(self.relay, home=n.home) for n in (admin, member))
        self.assertEqual(ptn(admin)["role"], "admin")
        self.assertEqual(ptn(member)["role"], "consumer")
        self.assertEqual(members(admin)[member.id]["role"], "consumer")

    def test_invites_are_used_once_and_say_what_they_are(self):
        admin, member = self.network("consumer")
        stranger = self.s.node(self.relay)
        code = invite(admin)
        refused(stranger, "E_INVITE_MALFORMED", "join", code[:-20], exit=2)
        altered = code[:40] + ("A" if code[40] != "A" else "B") + code[41:]
        done = subprocess.run([PROGRAMS[0], "--home", stranger.home, "join", altered], capture_output=True, text=True,
                              check=False)
        self.assertRegex(done.stderr, "^teale: E_INVITE_(ALTERED|MALFORMED): ")
        self.assertIn(done.returncode, (2, 5))
        self.assertEqual(member.json("join", code)["state"], "joined")
        self.assertEqual(member.json("join", code)["state"], "joined")
        refused(stranger, "E_INVITE_USED", "join", code)
        refused(stranger, "E_INVITE_OTHER_NODE", "join", invite(admin, "--for", member.id))
        withdrawn = admin.json("ptn", "invite", "lab")
        admin.command("ptn", "revoke", "lab", "--invite", withdrawn["nonce"])
        refused(stranger, "E_INVITE_WITHDRAWN", "join", withdrawn["invite"])
        short = invite(admin, "--expires", "1s")
        time.sleep(2.1)
        refused(stranger, "E_INVITE_EXPIRED", "join", short)
        refused(member, "E_NOT_ADMIN", "ptn", "invite", "lab")
        states = {i["state"] for i in admin.json("ptn", "invites", "lab")["invites"]}
        self.assertEqual(states, {"open", "used", "withdrawn", "expired"})

    def test_a_join_waits_for_the_inviter_and_finishes_by_itself(self):
        admin = self.s.node(self.relay)
        admin.json("ptn", "create", "lab")
        code = invite(admin)
        admin.end()
        self.s.running.remove(admin)
        joiner = self.s.node(self.relay)
        joiner.command("join", code, "--timeout", "2s", code=6)
        self.assertEqual(ptn(joiner)["state"], "joining")
        self.s.node(self.relay, home=admin.home)
        wait_for(lambda: ptn(joiner)["state"] == "valid", 30)

    def test_a_revoked_node_is_out_within_five_seconds_everywhere(self):
        admin, provider, consumer = self.network("provider", "consumer")
        wait_for(lambda: consumer.id in members(provider))
        done = admin.json("ptn", "revoke", "lab", consumer.id)
        self.assertEqual((done["sequence"], done["node_id"]), (1, consumer.id))
        begun = time.monotonic()
        wait_for(lambda: ptn(provider)["revocation_sequence"] == 1, 5)
        wait_for(lambda: ptn(consumer)["state"] == "revoked", 5)
        print("revoked everywhere after", round(time.monotonic() - begun, 3), "s", file=sys.stderr)
        refused(consumer, "E_REVOKED", "join", invite(admin))
        self.assertEqual(members(provider)[consumer.id]["state"], "revoked")
        self.assertTrue(members(admin)[consumer.id]["revoked_at"])

    def test_an_answer_ends_with_the_certificate(self):
        server = self.s.parrot("--token-ms", "50")
        admin, provider, consumer = self.s.node(self.relay), self.s.node(self.relay, "--share", server.url), self.s.node(self.relay)
        admin.json("ptn", "create", "lab")
        for node, role in ((provider, "provider"), (consumer, "consumer")):
            node.json("join", invite(admin, "--role", role))
        answer, ended = [], []

        def ask():
            words = " ".join(f"word{i}" for i in range(400))
            answer.append(consumer.post(chat("parrot", words), {"X-Teale-PTN": "lab"}, timeout=60))
            ended.append(time.monotonic())

        asking = threading.Thread(target=ask)
        asking.start()
        time.sleep(2)
        admin.json("ptn", "revoke", "lab", consumer.id)
        begun = time.monotonic()
        asking.join(30)
        status, _, events = answer[0]
        self.assertEqual(status, 200)
        self.assertIn("word3", words_of(events))
        self.assertIn(b"revoked", events)
        self.assertNotIn(b"word399", events)
        self.assertLess(ended[0] - begun, 5)
        self.assertEqual(consumer.post(chat("parrot", "x"), {"X-Teale-PTN": "lab"})[0], 403)

    def test_an_answer_and_a_waiting_question_end_when_the_certificate_has_expired(self):
        server = self.s.parrot("--token-ms", "50")
        admin, provider, lasting = self.s.node(self.relay), self.s.node(self.relay, "--share", server.url), self.s.node(self.relay)
        admin.json("ptn", "create", "lab")
        provider.json("join", invite(admin, "--role", "provider"))
        provider.command("config", "set", "share_slots", "2")
        short = self.s.node(self.relay)
        lasting.json("join", invite(admin))
        short.json("join", invite(admin, "--valid", "14s"))
        expires = ptn(short)["expires_at"]
        for node in (lasting, short):
            wait_for(lambda: node.id in members(provider))
            wait_for(lambda: provider.id in members(node))
        admin.end()  # nobody renews
        self.s.running.remove(admin)
        answers = {}

        def ask(name, node, n):
            words = " ".join(f"word{i}" for i in range(n))
            answers[name] = (*node.post(chat("parrot", words), {"X-Teale-PTN": "lab"}, timeout=60), time.time())

        # Of one certificate, or the slot of the answer that ends would go to a question that may have it.
        asking = [threading.Thread(target=ask, args=args)
                  for args in (("lasting", lasting, 400), ("running", short, 400), ("waiting", short, 5))]
        for thread in asking[:2]:
            thread.start()
        wait_for(lambda: parrot_stats(server)["active"] == 2)
        asking[2].start()
        for thread in asking:
            thread.join(40)
        self.assertIn("word399", words_of(answers["lasting"][2]))  # its certificate has no end
        status, _, events, ended = answers["running"]
        self.assertEqual(status, 200)
        self.assertTrue(b"expired" in events, events[-300:])
        self.assertFalse(b"word399" in events)
        end = time.mktime(time.strptime(expires, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
        self.assertTrue(-1 < ended - end < 4, ended - end)
        _, _, events, ended = answers["waiting"]  # it waited for one of the two slots
        self.assertTrue(b"expired" in events and b"word" not in events, events[-300:])
        self.assertTrue(-1 < ended - end < 6, ended - end)
        stats = parrot_stats(server)
        self.assertEqual((stats["served"], stats["cancelled"]), (1, 1), stats)  # the waiting one never came there

    def test_admins_list_the_members_of_each_other(self):
        admin, second, member = self.network("admin", "consumer")
        wait_for(lambda: set(members(second)) == {admin.id, second.id, member.id})
        other = self.s.node(self.relay)
        other.json("join", invite(second))
        wait_for(lambda: other.id in members(admin))

    def test_a_revoked_admin_takes_its_members_with_it_unless_they_are_kept(self):
        admin, second, third = self.network("admin", "admin")
        ours = []
        for signer in (second, third):
            member = self.s.node(self.relay)
            member.json("join", invite(signer, "--role", "provider"))
            wait_for(lambda: member.id in members(admin))
            wait_for(lambda: admin.id in members(member), 20)
            ours.append(member)
        out, kept = ours
        done = admin.command("ptn", "revoke", "lab", second.id)
        self.assertIn("1 member that it admitted or renewed is out, too. To take one in again: teale ptn renew lab NODE", done.stderr)
        self.assertIn(out.id, done.stderr)
        wait_for(lambda: ptn(out)["state"] == "revoked", 5)
        self.assertTrue(ptn(out)["issuer_revoked"])
        ask = ptn(out)["admin"]
        self.assertIn(ask, (admin.id, third.id))
        said = out.command("ptn", "list").stderr
        self.assertRegex(said, f"the admin that signed this node's certificate was revoked; ask {ask[:4]}.* to renew")
        found = {c["id"]: c for c in out.json("doctor", code=1)["checks"]}
        self.assertRegex(found["networks"]["remedy"], f"Ask an admin, {ask[:4]}.*, to renew it")
        self.assertFalse(ptn(second)["issuer_revoked"])
        admin.command("ptn", "renew", "lab", out.id)
        wait_for(lambda: ptn(out)["state"] == "valid", 10)
        done = admin.json("ptn", "revoke", "lab", third.id, "--keep-members")
        self.assertEqual([(m["node_id"], m["state"]) for m in done["members"]], [(kept.id, "valid")])
        self.assertEqual((done["not_kept"], done["again"], done["never_met"]), (0, False, False))
        wait_for(lambda: ptn(kept)["revocation_sequence"] == 2, 5)
        self.assertEqual((ptn(kept)["state"], ptn(kept)["issuer"]), ("valid", admin.id))
        self.assertIn("it was revoked already", admin.command("ptn", "revoke", "lab", third.id).stdout)
        self.assertIn("knew of no member of that ID in lab", admin.command("ptn", "revoke", "lab", ptn(admin)["ptn_id"]).stderr)

    def test_promoted_renewed_priced_left(self):
        admin, second, member = self.network("provider", "consumer")
        refused(second, "E_NOT_CA", "ptn", "promote-admin", "lab", member.id)
        self.assertEqual(admin.json("ptn", "promote-admin", "lab", second.id)["role"], "admin")
        wait_for(lambda: ptn(second)["role"] == "admin")
        refused(second, "E_NOT_CA", "ptn", "promote-admin", "lab", member.id)
        self.assertEqual(admin.json("ptn", "price", "lab", "1500")["version"], 1)
        wait_for(lambda: ptn(member)["price_micro"] == 1500)
        self.assertEqual(second.json("ptn", "price", "lab", "700")["version"], 2)
        wait_for(lambda: ptn(admin)["price_micro"] == 700)
        before = ptn(member)["issued_at"]
        time.sleep(1.1)
        self.assertGreater(member.json("ptn", "renew", "lab")["issued_at"], before)
        self.assertTrue(member.json("ptn", "key", "lab")["key"].startswith("tl-"))
        member.command("ptn", "leave", "lab")
        self.assertIsNone(ptn(member))
        wait_for(lambda: member.id not in members(admin))

    def test_the_authority_moves_to_another_machine(self):
        admin, member = self.network("consumer")
        other = self.s.node(self.relay)
        sealed, passphrase = (os.path.join(self.s.directory, name) for name in ("ca.key", "pass"))
        with open(passphrase, "w", encoding="utf-8") as f:
            f.write("correct horse\n")
        refused(member, "E_NOT_CA", "ptn", "export-ca-key", "lab", sealed, "--passphrase-file", passphrase)
        admin.command("ptn", "export-ca-key", "lab", sealed, "--passphrase-file", passphrase)
        self.assertEqual(os.stat(sealed).st_mode & 0o777, 0o600)
        other.command("ptn", "import-ca-key", sealed, "--passphrase-file", passphrase)
        self.assertEqual((ptn(other)["role"], ptn(other)["ca_key"]), ("admin", True))
        wait_for(lambda: other.id in members(member), 20)
        self.assertEqual(other.json("ptn", "promote-admin", "lab", member.id)["role"], "admin")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
