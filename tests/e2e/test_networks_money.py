#!/usr/bin/env python3
"""test_networks_money.py TEALE TEALE-RELAY PARROT: what questions cost, in a private network and beside it, with the
real binaries: prices, limits, receipts that independent code checks, settlements, and sums that stay right
when programs die."""
import csv
import io
import json
import os
import sys
import threading
import time
import unittest

import ptnobjects
from netscene import LAB, MODEL, NetScene, ask, error_of, open_stream, refusal
from scenery import chat, parrot_stats, wait_for

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
SCOPED = f"{MODEL}@{LAB}"
PRICE = 500_000  # micro-credits for 1000 tokens: half a credit


class Base(unittest.TestCase):
    def setUp(self):
        self.scene = NetScene(*PROGRAMS)
        self.addCleanup(self.scene.__exit__, None, None, None)

    def stand(self, price=PRICE, **more):
        s = self.scene
        s.people(**more)
        s.found()
        if price is not None:
            s.admin.json("ptn", "price", LAB, str(price))
            for node in (s.provider, s.consumer):
                wait_for(lambda n=node: n.json("ptn", "price", LAB)["price_micro"] == price)
        s.knows_model(s.consumer)

    def entries(self, node, *args):
        return node.json("wallet", "history", *args)["entries"]

    def settled(self, node, n):
        """The entries, once `n` of them are posted with both signatures."""
        def done():
            found = [e for e in self.entries(node) if e["state"] == "posted" and e["receipt"]]
            return len(found) >= n and node.json("wallet")["held_micro"] == 0 and \
                sum(p["unsigned"] for p in node.json("wallet")["peers"]) == 0
        wait_for(done)
        return self.entries(node)

    def audit(self, node):
        audit = node.json("wallet", "audit")
        self.assertEqual((audit["ok"], audit["unsigned"], audit["problems"]), (True, 0, []))
        return audit

    def peer(self, node, other):
        return next(p for p in node.json("wallet")["peers"] if p["node_id"] == other.id)


class Paid(Base):
    def test_both_sides_write_the_same_and_both_sign_it(self):
        s = self.scene
        self.stand()
        price = ptnobjects.check_signed("price", s.consumer.json("ptn", "show", LAB)["prices"])
        self.assertEqual((price["microPerKToken"], price["version"], price["ptnID"]), (PRICE, 1, s.ptn))
        total = 0
        for i, words in enumerate(("one two three four", "five six", "seven")):
            status, headers, _ = ask(s.consumer, words, stream_options={"include_usage": True})
            self.assertEqual((status, headers["X-Teale-Price"]), (200, str(PRICE)))
        served, asked = self.settled(s.provider, 3), self.settled(s.consumer, 3)
        self.assertEqual(len(served), 3)
        for a, b in zip(served, asked):
            self.assertEqual((a["role"], b["role"], a["peer"], b["peer"]),
                             ("served", "asked", s.consumer.id, s.provider.id))
            same = ("request", "kind", "ptn_id", "model", "tokens_in", "tokens_out", "price_micro", "amount_micro",
                    "receipt")
            self.assertEqual([a[k] for k in same], [b[k] for k in same])
            self.assertEqual(a["amount_micro"], -(-(a["tokens_in"] + a["tokens_out"]) * PRICE // 1000))
            body = ptnobjects.check_receipt(a["receipt"])
            self.assertEqual((body["consumer"], body["provider"], body["ptnID"], body["amount"], body["tokens_in"],
                              body["tokens_out"], body["requestID"]),
                             (s.consumer.id, s.provider.id, s.ptn, a["amount_micro"], a["tokens_in"],
                              a["tokens_out"], a["request"]))
            total += a["amount_micro"]
        self.assertGreater(total, 0)
        ours, theirs = s.provider.json("wallet"), s.consumer.json("wallet")
        self.assertEqual((ours["balance_micro"], ours["earned_micro"], ours["spent_micro"]), (total, total, 0))
        self.assertEqual((theirs["balance_micro"], theirs["earned_micro"], theirs["spent_micro"]),
                         (-total, 0, total))
        self.assertEqual([(n["ptn_id"], n["earned_micro"]) for n in ours["ptns"]], [(s.ptn, total)])
        for node in (s.provider, s.consumer):
            self.assertGreaterEqual(self.audit(node)["receipts"], 3)
        # the same as a table, and of a time and a network only
        table = list(csv.DictReader(io.StringIO(s.provider.command("wallet", "history", "--csv").stdout)))
        self.assertEqual([int(r["amount_micro"]) for r in table], [e["amount_micro"] for e in served])
        self.assertNotIn("receipt", table[0])
        self.assertEqual(len(self.entries(s.provider, "--since", "1h", "--ptn", LAB)), 3)
        self.assertEqual(self.entries(s.provider, "--peer", s.admin.id), [])

    def test_own_questions_cost_nothing_and_free_ones_leave_a_receipt(self):
        s = self.scene
        self.stand(price=None)
        self.assertEqual(s.provider.post(chat(MODEL, "mine"))[0], 200)
        self.assertEqual(self.entries(s.provider), [])
        self.assertEqual(ask(s.consumer, "free")[1]["X-Teale-Price"], "0")
        (entry,) = self.settled(s.consumer, 1)
        self.assertEqual((entry["amount_micro"], entry["price_micro"]), (0, 0))
        self.assertEqual(ptnobjects.check_receipt(entry["receipt"])["amount"], 0)

    def test_a_new_price_counts_for_all_at_once(self):
        s = self.scene
        self.stand()
        self.assertEqual(s.admin.json("ptn", "price", LAB, "7000")["version"], 2)
        status, headers, _ = ask(s.consumer)  # whoever has not heard of it is told by the refusal
        self.assertEqual((status, headers["X-Teale-Price"]), (200, "7000"))
        for bad in ("-1", "1.5", "NaN", "1e3", "9007199254740993", "9223372036854775808", ""):
            with self.subTest(bad):
                s.admin.command("ptn", "price", LAB, bad, code=2)
        self.assertEqual(s.admin.json("ptn", "price", LAB)["price_micro"], 7000)

    def test_an_answer_is_paid_as_far_as_it_was_delivered(self):
        s = self.scene
        parrot = s.parrot("--model", MODEL, "--token-ms", "20", "--tokens", "100000")
        self.stand(model_server=parrot.url)
        c, r = open_stream(s.consumer)
        r.read(2000)
        c.close()
        (entry,) = self.settled(s.consumer, 1)
        (other,) = self.settled(s.provider, 1)
        self.assertEqual(entry["amount_micro"], other["amount_micro"])
        self.assertTrue(0 < entry["tokens_out"] < 1000, entry)
        self.audit(s.consumer)


class Limits(Base):
    def test_a_maximum_below_the_price_is_402_before_any_work(self):
        s = self.scene
        parrot = s.parrot("--model", MODEL)
        self.stand(model_server=parrot.url)
        before = parrot_stats(parrot)["served"]
        status, code, message = error_of(ask(s.consumer, headers={"X-Teale-Max-Price": str(PRICE - 1)}))
        self.assertEqual((status, code), (402, "payment_required"))
        self.assertIn(str(PRICE), message)
        self.assertEqual(error_of(ask(s.consumer, headers={"X-Teale-Max-Price": "0"}))[0], 402)
        for bad in ("-1", "1.5", "x", "", "1e3", "9223372036854775808"):
            with self.subTest(bad):
                self.assertEqual(error_of(ask(s.consumer, headers={"X-Teale-Max-Price": bad}))[:2],
                                 (400, "invalid_value"))
        self.assertEqual(parrot_stats(parrot)["served"], before)
        self.assertEqual(ask(s.consumer, headers={"X-Teale-Max-Price": str(PRICE)})[0], 200)

    def test_credit_ends_and_a_settlement_that_both_sign_opens_it_again(self):
        s = self.scene
        self.stand(**{"credit.member_micro": "60000"})  # 120 tokens at this price
        paid = 0
        for _ in range(60):
            status, _, body = ask(s.consumer, "w " * 8, max_tokens=8)
            if status != 200:
                break
            paid += 1
        self.assertEqual((status, json.loads(body)["error"]["code"]), (402, "payment_required"))
        self.assertGreater(paid, 0)
        self.settled(s.provider, paid)
        owed = self.peer(s.provider, s.consumer)["balance_micro"]
        self.assertTrue(0 < owed <= 60000, owed)
        self.assertEqual(self.peer(s.consumer, s.provider)["balance_micro"], -owed)
        for bad in ("0", "-5", "1.5", "9007199254740992", "x"):
            with self.subTest(bad):
                s.provider.command("wallet", "settle", s.consumer.id, bad, code=2)
        self.assertIn("E_TOO_MUCH", refusal(s.provider, "wallet", "settle", s.consumer.id, str(owed + 1), code=1))
        proposal = s.consumer.json("wallet", "settle", s.provider.id, str(owed))  # by the debtor
        self.assertEqual((proposal["state"], proposal["balance_micro"]), ("proposed", -owed))
        done = s.provider.json("wallet", "settle", s.consumer.id, str(owed))
        self.assertEqual((done["state"], done["amount_micro"], done["balance_micro"]), ("settled", owed, 0))
        wait_for(lambda: self.peer(s.consumer, s.provider)["balance_micro"] == 0)
        self.assertIn("settlement", [e["kind"] for e in self.entries(s.consumer)])
        self.assertEqual(ask(s.consumer, "w " * 8, max_tokens=8)[0], 200)
        for node in (s.provider, s.consumer):
            self.settled(node, paid + 1)
            self.audit(node)
        s.consumer.end()
        s.provider.command("wallet", "settle", s.consumer.id, "1", code=4)

    def test_one_request_id_is_worked_and_charged_once(self):
        s = self.scene
        self.stand()
        headers = {"X-Teale-Request": "order-66.a_b"}
        self.assertEqual(ask(s.consumer, headers=headers)[0], 200)
        self.settled(s.provider, 1)
        status, code, _ = error_of(ask(s.consumer, headers=headers))
        self.assertEqual((status, code), (409, "duplicate_request"))
        consumer = s.consumer = s.again(s.consumer)
        s.knows_model(consumer)
        self.assertEqual(error_of(ask(consumer, headers=headers))[:2], (409, "duplicate_request"))
        self.assertEqual(len(self.entries(s.provider)), 1)
        self.assertEqual([e["request"] for e in self.entries(consumer)], ["order-66.a_b"])
        for bad in ("", "a b", "x" * 65, "ü", "a/b"):
            with self.subTest(bad):
                self.assertEqual(error_of(ask(consumer, headers={"X-Teale-Request": bad.encode()}))[:2],
                                 (400, "invalid_value"))
        self.assertEqual(ask(consumer, headers={"X-Teale-Request": "x" * 64})[0], 200)

    def test_strangers_pay_the_standing_bid(self):
        s = self.scene
        s.people()
        shop = s.person("--share", s.parrot("--model", "public").url, **{"price.floor_micro": "40000"})
        wait_for(lambda: any(o["price_micro"] == 40000 for m in s.outsider.json("models")["models"]
                             if m["id"] == "public" for o in m["offers"]), 20)
        status, headers, _ = ask(s.outsider, model="public")
        self.assertEqual((status, headers["X-Teale-Price"]), (200, "40000"))
        self.assertNotIn("X-Teale-PTN", headers)
        (entry,) = self.settled(shop, 1)
        self.assertEqual((entry["ptn_id"], entry["price_micro"], entry["peer"]), (None, 40000, s.outsider.id))
        self.assertEqual(error_of(ask(s.outsider, model="public", headers={"X-Teale-Max-Price": "39999"}))[0], 402)
        # a rise is told by a refusal, and paid within the maximum
        shop.command("config", "set", "price.floor_micro", "50000")
        status, headers, _ = ask(s.outsider, model="public", headers={"X-Teale-Max-Price": "60000"})
        self.assertEqual((status, headers["X-Teale-Price"]), (200, "50000"))
        ranking = s.outsider.json("why", "--model", "public")["ranking"]
        self.assertEqual([(r["node_id"], r["rank"], r["may"]) for r in ranking if r["may"]], [(shop.id, 1, True)])


class Killed(Base):
    def test_no_charge_is_lost_or_doubled_when_both_sides_are_killed(self):
        s = self.scene
        parrot = s.parrot("--model", MODEL, "--token-ms", "3")
        self.stand(model_server=parrot.url)
        answered, over = [], threading.Event()

        def load(k):
            n = 0
            while not over.is_set():
                n += 1
                name = f"load-{k}-{n}"
                try:
                    status, _, body = ask(s.consumer, "w " * 9, headers={"X-Teale-Request": name})
                    if status == 200 and body.endswith(b"data: [DONE]\n\n"):
                        answered.append(name)
                except (OSError, AssertionError, ValueError):
                    time.sleep(0.05)
                except Exception as e:  # http.client's own kinds
                    assert "http" in type(e).__module__, e
                    time.sleep(0.05)

        threads = [threading.Thread(target=load, args=(k,)) for k in range(3)]
        for t in threads:
            t.start()
        for i in range(6):
            time.sleep(0.7)
            name = ("provider", "consumer")[i % 2]
            old = getattr(s, name)
            old.kill()
            old.popen.wait()
            more = ("--share", s.model_url, "--private") if name == "provider" else ()
            setattr(s, name, s.again(old, *more))
        wait_for(lambda: ask(s.consumer)[0] == 200, 30)
        over.set()
        for t in threads:
            t.join(60)
        self.assertGreater(len(answered), 10)
        def unsigned():
            return sum(p["unsigned"] for n in (s.provider, s.consumer) for p in n.json("wallet")["peers"])

        wait_for(lambda: unsigned() == 0, 30)
        wait_for(lambda: s.provider.json("wallet")["held_micro"] == 0, 30)
        posted = {}
        for node in (s.provider, s.consumer):
            self.audit(node)
            entries = [e for e in self.entries(node) if e["state"] == "posted"]
            names = [e["request"] for e in entries]
            self.assertEqual(len(names), len(set(names)))
            posted[node.id] = {e["request"]: e["amount_micro"] for e in entries}
        # whatever was answered whole is charged, once, and both say the same
        self.assertLessEqual(set(answered), set(posted[s.provider.id]))
        self.assertEqual(posted[s.provider.id], posted[s.consumer.id])
        balance = self.peer(s.provider, s.consumer)["balance_micro"]
        self.assertEqual(balance, -self.peer(s.consumer, s.provider)["balance_micro"])
        self.assertEqual(balance, sum(posted[s.provider.id].values()))
        print(f"\n{len(answered)} answered whole, {len(posted[s.provider.id])} charged", file=sys.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
