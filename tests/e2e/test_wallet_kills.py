#!/usr/bin/env python3
"""test_wallet_kills.py TEALE TEALE-RELAY PARROT [KILLS]: two nodes under load, one asks and one answers, and
both are killed (SIGKILL) at random moments. No charge that a wallet has shown is lost, none counts twice, both
audits are clean, and in the end each side's balance is minus the other's. `make kills` kills 1000 times."""
import json
import os
import random
import sys
import threading
import time

from scenery import Scenery, chat, wait_for

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
KILLS = int(sys.argv[4]) if len(sys.argv) > 4 else 12
ASKERS = 4    # questions at one time
PRICE = 1000  # micro-credits for 1000 tokens: a token is one


class Load:
    """Asks without end; a question that a kill ends is not asked again."""

    def __init__(self, asker_of):
        self.asker_of, self.running = asker_of, True
        self.answered = []  # IDs of answers that came whole
        self.asked = 0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self._ask, args=(n,), daemon=True) for n in range(ASKERS)]
        for t in self.threads:
            t.start()

    def _ask(self, n):
        dice = random.Random(n)
        for i in range(1 << 30):
            if not self.running:
                return
            name = f"q-{n}-{i}"
            words = " ".join("word" for _ in range(dice.randint(1, 60)))
            with self.lock:
                self.asked += 1
            try:
                status, _, body = self.asker_of().post(chat("parrot", words), {"X-Teale-Request": name}, timeout=30)
                if status == 200 and body.endswith(b"data: [DONE]\n\n"):
                    with self.lock:
                        self.answered.append(name)
                elif status != 200:
                    time.sleep(0.02)
            except (OSError, AttributeError, __import__("http.client").client.HTTPException):
                time.sleep(0.02)  # killed in the middle, or not up yet

    def end(self):
        self.running = False
        for t in self.threads:
            t.join(60)
            assert not t.is_alive(), "a question never ended"


def entries(node, state="posted"):
    return [e for e in node.json("wallet", "history")["entries"] if e["state"] == state]


def note(seen, node):
    """What the wallet shows as posted is acknowledged."""
    for e in entries(node):
        key = e["request"], e["role"]
        assert seen.setdefault(key, e["amount_micro"]) == e["amount_micro"], f"{key} changed"


def main():
    dice = random.Random(8)
    with Scenery(*PROGRAMS) as scenery:
        parrot, relay = scenery.parrot("--model", "parrot", "--token-ms", "3"), scenery.relay()
        homes = {"asker": scenery.new_home(), "server": scenery.new_home()}
        scenery.config(homes["server"], **{"price.floor_micro": str(PRICE), "credit.stranger_micro": "100000000000"})
        nodes, seen = {}, {"asker": {}, "server": {}}

        def start(side):
            args = ["--share", parrot.url] if side == "server" else []
            nodes[side] = scenery.node(relay, *args, home=homes[side], connected=False)

        start("server")
        wait_for(lambda: nodes["server"].status()["backend"]["state"] == "up")
        start("asker")
        load = Load(lambda: nodes["asker"])
        begun, both = time.monotonic(), 0
        for n in range(KILLS):
            time.sleep(dice.uniform(0.05, 0.6))
            sides = dice.choice((["asker"], ["server"], ["asker", "server"]))
            if n % 50 == 0:
                for side in nodes:
                    note(seen[side], nodes[side])
            both += len(sides) == 2
            for side in sides:
                nodes[side].kill()
            for side in sides:
                nodes[side].popen.wait(10)
                scenery.running.remove(nodes[side])
                start(side)
        load.end()
        took = time.monotonic() - begun
        # one more question, so that the two are connected; then all that is missing is told
        wait_for(lambda: nodes["asker"].post(chat("parrot", "bye"))[0] == 200, timeout=60)
        # told again after 5, 10, 20, 40 s (TL_CREDIT_AGAIN_FIRST, doubling)
        wait_for(lambda: nodes["server"].json("wallet", "audit")["unsigned"] == 0, timeout=90)

        def balance(side):
            return nodes[side].json("wallet")["balance_micro"]

        wait_for(lambda: balance("server") == -balance("asker"), timeout=30)
        posted = {}
        for side in nodes:
            audit = nodes[side].json("wallet", "audit")
            assert audit["ok"] and not audit["problems"], (side, audit)
            ids = [e["request"] for e in entries(nodes[side])]
            assert len(ids) == len(set(ids)), f"{side}: one request is charged twice"
            posted[side] = {e["request"]: e["amount_micro"] for e in entries(nodes[side])}
            note(seen[side], nodes[side])
            lost = [k for k in seen[side] if k[0] not in posted[side]]
            assert not lost, f"{side} has lost {lost}"
        assert posted["asker"] == posted["server"]
        total = sum(posted["server"].values())
        assert balance("server") == total > 0, (balance("server"), total)
        # An answer that came whole in the milliseconds before both were killed is on no disk.
        free = [name for name in load.answered if name not in posted["server"]]
        assert len(free) <= both * ASKERS, (len(free), both)
        print(f"{KILLS} kills in {took:.0f} s; {load.asked} questions, {len(load.answered)} answered whole, "
              f"{len(posted['server'])} charged on both sides, {total} micro-credits; {len(free)} "
              f"whole answers were lost to both; audits clean")


if __name__ == "__main__":
    main()
