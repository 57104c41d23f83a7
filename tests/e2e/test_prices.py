#!/usr/bin/env python3
"""test_prices.py TEALE TEALE-RELAY PARROT: what providers ask of the public, who is asked for it, and how
that is told."""
import http.client
import json
import os
import socket
import sys
import time
import unittest

from scenery import Scenery, chat, parrot_stats, wait_for

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
MODEL = "parrot"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self.path)


def do(node, verb, **args):
    """(status, JSON) of a verb."""
    c = UnixConnection(os.path.join(node.home, "teale.sock"))
    c.request("POST", "/control/do", json.dumps({"verb": verb, "args": args}), {"Content-Type": "application/json"})
    r = c.getresponse()
    answer = r.status, json.loads(r.read())
    c.close()
    return answer


def offers(node, kind="offers"):
    return next((m[kind] for m in node.json("models")["models"] if m["id"] == MODEL), [])


def prices(node, kind="offers"):
    return [(o["node_id"], o["price_micro"]) for o in offers(node, kind)]


def ask(node, model=MODEL, headers=None):
    """(status, who answered, error, the price that was told)"""
    status, told, body = node.post(chat(model, "one two three", stream=False), headers)
    error = json.loads(body)["error"] if status != 200 else None
    return status, told.get("X-Teale-Peer"), error, told.get("X-Teale-Price")


def paid(node):
    """[(who, price, state)] of what the node asked, once all is charged."""
    # what was refused before any work, since the price had risen a moment before, is voided
    entries = lambda: [e for e in node.json("wallet", "history")["entries"]
                       if e["role"] == "asked" and e["state"] != "voided"]
    wait_for(lambda: all(e["state"] == "posted" for e in entries()))
    for e in entries():
        assert e["amount_micro"] == -(-(e["tokens_in"] + e["tokens_out"]) * e["price_micro"] // 1000) > 0, e
    return [(e["peer"], e["price_micro"]) for e in entries()]


class Prices(unittest.TestCase):
    def setUp(self):
        self.scene = Scenery(*PROGRAMS)
        self.addCleanup(self.scene.__exit__, None, None, None)
        self.at = self.scene.relay()

    def shop(self, *args, **settings):
        home = self.scene.new_home()
        self.scene.config(home, **{k.replace("__", "."): v for k, v in settings.items()})
        parrot = self.scene.parrot("--model", MODEL, *args)
        node = self.scene.node(self.at, "--share", parrot.url, home=home)
        node.parrot = parrot
        return node

    def test_the_cheaper_one_is_asked_until_its_price_rises(self):
        dear = self.shop(price__floor_micro="120")
        cheap = self.shop(price__floor_micro="100")
        asker = self.scene.node(self.at)
        wait_for(lambda: prices(asker) == [(cheap.id, 100), (dear.id, 120)], 20)  # nobody is connected
        self.assertEqual([(o["path"], o["slots_free"], o["ptn_id"]) for o in offers(asker)], [(None, None, None)] * 2)
        status, who, _, price = ask(asker)
        self.assertEqual((status, who, price), (200, cheap.id, "100"))
        wait_for(lambda: offers(asker)[0]["slots_free"] == 4)
        self.assertEqual(offers(asker)[0]["path"], "relayed")

        cheap.command("config", "set", "price.floor_micro", "150")
        self.assertEqual(ask(asker)[:2], (200, dear.id))  # it heard, or was refused and went on
        wait_for(lambda: prices(asker) == [(dear.id, 120), (cheap.id, 150)])  # no minute's look at the list is needed
        self.assertEqual([parrot_stats(s.parrot)["served"] for s in (cheap, dear)], [1, 1])
        self.assertEqual(paid(asker), [(cheap.id, 100), (dear.id, 120)])

        dear.command("config", "set", "price.floor_micro", "130")  # still the cheaper one
        status, who, _, price = ask(asker)
        self.assertEqual((status, who, price), (200, dear.id, "130"))
        self.assertEqual(paid(asker)[2:], [(dear.id, 130)])
        wait_for(lambda: prices(asker)[0] == (dear.id, 130))

        status, ranking = do(asker, "why.model", model=MODEL)
        self.assertEqual((status, ranking["model"], ranking["ptn_id"]), (200, MODEL, None))
        self.assertEqual([(r["node_id"], r["rank"], r["may"], r["price_micro"], r["reason"]) for r in ranking["ranking"]],
                         [(dear.id, 1, True, 130, "its price is lower: 130 against 150"),
                          (cheap.id, 2, True, 150, "its price is higher: 150 against 130")])

    def test_nobody_is_asked_beyond_the_maximum(self):
        shop = self.shop(price__floor_micro="100")
        asker = self.scene.node(self.at)
        wait_for(lambda: prices(asker) == [(shop.id, 100)], 20)
        asker.command("config", "set", "price.max_micro", "99")
        status, _, error, _ = ask(asker)
        self.assertEqual((status, error["code"]), (402, "payment_required"))
        self.assertIn("the lowest price is 100 micro-credits", error["message"])
        self.assertEqual((prices(asker), prices(asker, "too_dear")), ([], [(shop.id, 100)]))
        self.assertEqual(do(asker, "why.model", model=MODEL)[1]["ranking"][0]["reason"],
                         "not asked: its price, 100, is above the maximum, 99")
        self.assertEqual(parrot_stats(shop.parrot)["served"], 0)
        asker.command("config", "set", "price.max_micro", "100")
        self.assertEqual(ask(asker)[:2], (200, shop.id))
        own = lambda maximum: ask(asker, headers={"X-Teale-Max-Price": maximum})[0]  # a question's own word
        self.assertEqual([own("99"), own("0")], [402, 402])
        # A heartbeat during the answer told of 125, where one was due; the next comes a second later.
        wait_for(lambda: own("100") == 200, 20)

    def test_power_and_the_measured_speed_make_a_price(self):
        shop = self.shop("--token-ms", "4", price__kwh_micro="300000", price__watts="3600")
        asker = self.scene.node(self.at)
        wait_for(lambda: prices(asker) == [(shop.id, None)], 20)  # not measured yet, so free
        slow = chat(MODEL, "w " * 60)
        self.assertEqual(asker.post(slow)[0], 200)
        wait_for(lambda: (offers(asker)[0]["price_micro"] or 0) > 0)
        self.assertEqual(ask(asker)[:2], (200, shop.id))

    def test_a_bid_that_fell_a_moment_ago_is_paid_as_it_was_seen(self):
        shop = self.shop("--token-ms", "20", price__floor_micro="100000")
        asker = self.scene.node(self.at)
        wait_for(lambda: prices(asker) == [(shop.id, 100000)], 20)
        self.assertEqual(ask(asker)[0], 200)
        told = []
        while "125000" not in told and len(told) < 20:  # a heartbeat comes a second after the last at the earliest
            told.append(asker.post(chat(MODEL, "w " * 28, stream=False))[1]["X-Teale-Price"])
        self.assertIn("125000", told)
        self.assertEqual([str(price) for _, price in paid(asker)][1:], told)
        for node in (asker, shop):
            node.command("wallet", "audit")

    def test_what_verbs_of_prices_refuse(self):
        asker = self.scene.node(self.at)
        for args, code in (({}, "E_INVALID"), ({"model": ""}, "E_INVALID"), ({"model": "m" * 300}, "E_INVALID"),
                           ({"model": MODEL, "net": "nowhere"}, "E_NOT_FOUND")):
            status, answer = do(asker, "why.model", **args)
            self.assertEqual((status, answer["error"]["code"]), (400 if code == "E_INVALID" else 404, code), answer)
        self.assertEqual(do(asker, "why.model", model=MODEL), (200, {"model": MODEL, "ptn_id": None, "ranking": []}))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
