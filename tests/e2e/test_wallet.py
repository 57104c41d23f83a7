#!/usr/bin/env python3
"""test_wallet.py TEALE TEALE-RELAY PARROT: what a question costs between two nodes, as their people see it in
`teale wallet`: charges, receipts, credit that ends, settlements, requests that are made twice, and restarts."""
import csv
import io
import json
import os
import sys
import threading
import time
import unittest

from scenery import Scenery, chat, parrot_stats, wait_for, words_of

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
PRICE = 1000  # micro-credits for 1000 tokens: a token is one


class Base(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(*PROGRAMS)
        self.scenery.__enter__()
        self.addCleanup(self._leave)

    def _leave(self):
        failed = any(error for _, error in self._outcome.errors) if hasattr(self._outcome, "errors") else False
        self.scenery.__exit__(Exception if failed else None, None, None)

    def scene(self, price=PRICE, parrot_args=(), **settings):
        self.parrot = self.scenery.parrot("--model", "parrot", *parrot_args)
        self.relay = self.scenery.relay()
        self.homes = {"server": self.scenery.new_home(), "asker": self.scenery.new_home()}
        self.scenery.config(self.homes["server"], **{"price.floor_micro": str(price), **settings})
        self.start("server")
        self.start("asker")

    def start(self, side):
        args = ["--share", self.parrot.url] if side == "server" else []
        setattr(self, side, self.scenery.node(self.relay, *args, home=self.homes[side]))
        if side == "server":
            wait_for(lambda: self.server.status()["backend"]["state"] == "up")

    def restart(self, side):
        node = getattr(self, side)
        node.end()
        self.scenery.running.remove(node)
        self.start(side)

    def ask(self, words="polly wants a cracker", name=None, **more):
        """(status, the code of the error or the words)"""
        status, headers, body = self.asker.post(chat("parrot", words, **more),
                                                {"X-Teale-Request": name} if name else {})
        self.headers = headers
        return status, words_of(body) if status == 200 else json.loads(body)["error"]["code"]

    def entries(self, node, *args):
        return node.json("wallet", "history", *args)["entries"]

    def posted(self, node):
        return [e for e in self.entries(node) if e["state"] == "posted"]

    def even(self, owed):
        """In the end both sides say the same."""
        wait_for(lambda: self.server.json("wallet", "audit")["unsigned"] == 0 and
                 self.server.json("wallet")["balance_micro"] == owed and
                 self.asker.json("wallet")["balance_micro"] == -owed)
        for node in (self.server, self.asker):
            audit = node.json("wallet", "audit")
            self.assertTrue(audit["ok"] and audit["problems"] == [], audit)


class Charges(Base):
    def test_a_question_is_charged_once_on_both_sides_with_a_receipt_that_both_signed(self):
        self.scene()
        self.assertEqual(self.ask(name="mine"), (200, "polly wants a cracker"))
        wait_for(lambda: len(self.posted(self.server)) == 1 and len(self.posted(self.asker)) == 1)
        served, asked = self.posted(self.server)[0], self.posted(self.asker)[0]
        self.assertEqual(served["role"], "served")
        self.assertEqual(asked["role"], "asked")
        self.assertEqual(served["peer"], self.asker.id)
        self.assertEqual(asked["peer"], self.server.id)
        for field in ("request", "kind", "model", "tokens_in", "tokens_out", "amount_micro", "receipt"):
            self.assertEqual(served[field], asked[field], field)
        self.assertEqual(served["request"], "mine")
        self.assertEqual(served["amount_micro"], -(-(served["tokens_in"] + served["tokens_out"]) *
                                                   served["price_micro"] // 1000))
        self.assertIn("consumerSignature", served["receipt"])
        self.assertIn("providerSignature", served["receipt"])
        self.even(served["amount_micro"])
        rows = list(csv.DictReader(io.StringIO(self.server.command("wallet", "history", "--csv").stdout)))
        self.assertEqual(rows[0]["request"], "mine")
        self.assertEqual(int(rows[0]["amount_micro"]), served["amount_micro"])
        # a page reads it from its newest end, a piece at a time
        self.assertEqual(self.ask()[0], 200)
        wait_for(lambda: len(self.posted(self.server)) == 2)
        where = "/v1/app/wallet/history?limit=1&order=newest"
        newest = self.server.get_json(where)
        oldest = self.server.get_json(f"{where}&after={newest['next']['at']}-{newest['next']['id']}")
        self.assertNotEqual(newest["entries"][0]["request"], "mine")
        self.assertEqual([e["request"] for e in oldest["entries"]], ["mine"])

    def test_a_free_question_has_an_entry_of_nothing_with_a_receipt(self):
        self.scene(price=0)
        self.assertEqual(self.ask()[0], 200)
        wait_for(lambda: len(self.posted(self.asker)) == 1)
        self.assertEqual(self.posted(self.asker)[0]["amount_micro"], 0)
        self.assertIsNotNone(self.posted(self.asker)[0]["receipt"])
        self.even(0)

    def test_the_owners_own_questions_have_no_entry(self):
        self.scene()
        status, _, _ = self.server.post(chat("parrot", "mine"))
        self.assertEqual(status, 200)
        self.assertEqual(self.entries(self.server), [])

    def test_an_answer_that_its_client_gives_up_is_charged_as_delivered(self):
        self.scene(parrot_args=("--token-ms", "20"))
        c, r = self.asker.request("POST", "/v1/chat/completions",
                                  json.dumps(chat("parrot", " ".join(["word"] * 200))),
                                  {"Content-Type": "application/json"})
        self.assertEqual(r.status, 200)
        r.read(1)
        time.sleep(0.3)
        c.close()
        wait_for(lambda: len(self.posted(self.server)) == 1)
        served = self.posted(self.server)[0]
        self.assertGreater(served["tokens_in"], 0)
        self.assertTrue(0 < served["tokens_out"] < 150, served)
        self.even(served["amount_micro"])


class Requests(Base):
    def test_the_same_request_again_is_neither_worked_nor_charged_also_after_a_restart(self):
        self.scene()
        self.assertEqual(self.ask(name="one-request")[0], 200)
        worked = parrot_stats(self.parrot)["served"]
        self.assertEqual(self.ask(name="one-request"), (409, "duplicate_request"))
        wait_for(lambda: len(self.posted(self.asker)) == 1)
        self.restart("asker")
        self.assertEqual(self.ask(name="one-request"), (409, "duplicate_request"))
        self.restart("server")
        self.assertEqual(self.ask(name="one-request"), (409, "duplicate_request"))
        self.assertEqual(parrot_stats(self.parrot)["served"], worked)
        self.assertEqual(self.ask(name="another")[0], 200)
        wait_for(lambda: len(self.posted(self.asker)) == 2)
        self.even(sum(e["amount_micro"] for e in self.posted(self.server)))

    def test_of_fifty_at_once_under_one_name_one_is_worked(self):
        self.scene()
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.asker.post(
            chat("parrot", "hello"), {"X-Teale-Request": "the-one"})[0])) for _ in range(50)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(sorted(results), [200] + [409] * 49)
        wait_for(lambda: len(self.posted(self.server)) == 1)

    def test_what_failed_may_be_asked_again_under_its_name(self):
        self.scene()
        status, _, _ = self.asker.post(chat("no-such-model", "x"), {"X-Teale-Request": "again"})
        self.assertIn(status, (404, 503))
        self.assertEqual(self.ask(name="again")[0], 200)

    def test_a_name_that_is_none_is_refused(self):
        self.scene()
        for name in ("a b", "a/b", "x" * 65, "\xe9"):
            self.assertEqual(self.ask(name=name), (400, "invalid_value"), name)
        self.assertEqual(self.ask(name="x" * 64)[0], 200)


class Credit(Base):
    def test_beyond_its_credit_a_stranger_is_refused_before_any_work_until_it_settles(self):
        self.scene(**{"credit.stranger_micro": "2000"})
        while True:
            status, what = self.ask(max_tokens=500)
            if status != 200:
                break
        worked = parrot_stats(self.parrot)["served"]
        self.assertEqual((status, what), (402, "payment_required"))
        self.assertEqual(self.ask(max_tokens=1500), (402, "payment_required"))
        self.assertEqual(parrot_stats(self.parrot)["served"], worked)
        owed = sum(e["amount_micro"] for e in self.posted(self.server))
        self.even(owed)
        done = self.server.json("wallet", "settle", self.asker.id, str(owed))
        self.assertEqual(done, {"peer": self.asker.id, "amount_micro": owed, "state": "settled", "balance_micro": 0})
        self.even(0)
        self.assertEqual(self.ask(max_tokens=500)[0], 200)

    def test_a_change_of_the_limit_takes_effect_at_once(self):
        self.scene(**{"credit.stranger_micro": "0"})
        self.assertEqual(self.ask(), (402, "payment_required"))
        self.server.command("config", "set", "credit.stranger_micro", "1000000")
        self.assertEqual(self.ask()[0], 200)


class Settlements(Base):
    def owing(self):
        self.scene()
        self.assertEqual(self.ask()[0], 200)
        wait_for(lambda: len(self.posted(self.asker)) == 1)
        owed = self.posted(self.asker)[0]["amount_micro"]
        self.even(owed)
        return owed

    def test_more_than_is_owed_is_refused_with_what_is_owed_and_by_whom(self):
        owed = self.owing()
        too_much = f"{owed + 1} micro-credits are more than is owed: "
        self.assertIn(too_much + f"this node owes {self.server.id[:8]} {owed}",
                      self.asker.command("wallet", "settle", self.server.id, str(owed + 1), code=1).stderr)
        self.assertIn(too_much + f"{self.asker.id[:8]} owes this node {owed}",
                      self.server.command("wallet", "settle", self.asker.id, str(owed + 1), code=1).stderr)
        gone = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        self.assertIn(f"nothing is owed between this node and {gone[:8]}",
                      self.asker.command("wallet", "settle", gone, "1", code=1).stderr)
        self.even(owed)

    def test_a_debtor_proposes_and_the_creditor_completes_it(self):
        owed = self.owing()
        done = self.asker.json("wallet", "settle", self.server.id, "3")
        self.assertEqual((done["state"], done["balance_micro"]), ("proposed", -owed))
        done = self.server.json("wallet", "settle", self.asker.id, "3")
        self.assertEqual((done["state"], done["balance_micro"]), ("settled", owed - 3))
        self.even(owed - 3)
        kinds = [(e["kind"], e["role"], e["amount_micro"], e["state"]) for e in self.entries(self.server)]
        self.assertIn(("settlement", "served", 3, "posted"), kinds)

    def test_more_than_is_owed_a_stranger_and_a_peer_that_is_away_are_told_apart(self):
        owed = self.owing()
        out = self.server.command("wallet", "settle", self.asker.id, str(owed + 1), code=1)
        self.assertIn("E_TOO_MUCH", out.stderr)
        for amount in ("0", "-1", "1.5", "1e3", str(2 ** 53), "x"):
            self.server.command("wallet", "settle", self.asker.id, "--", amount, code=2)
        self.asker.end()
        self.scenery.running.remove(self.asker)
        out = self.server.command("wallet", "settle", self.asker.id, str(owed), code=4)
        self.assertIn("the balance is as it was", out.stderr)
        self.assertEqual([e["state"] for e in self.entries(self.server)], ["posted", "held"])
        self.start("asker")
        self.assertEqual(self.server.json("wallet", "settle", self.asker.id, str(owed))["state"], "settled")
        self.even(0)

    def test_the_wallet_survives_restarts_of_both(self):
        owed = self.owing()
        self.restart("server")
        self.restart("asker")
        self.assertEqual(self.ask()[0], 200)
        wait_for(lambda: len(self.posted(self.asker)) == 2)
        self.even(sum(e["amount_micro"] for e in self.posted(self.server)))
        self.assertGreater(self.server.json("wallet")["balance_micro"], owed)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
