#!/usr/bin/env python3
"""test_fragments_hostile.py TEALE TEALE-RELAY PARROT RAWSTREAM: nodes that send a holder whatever bytes they like on streams about
fragments (rawstream.c): nonsense, halves, too much, others' fragments. It stays up, counts, takes no more than its
bounds say, and serves the honest ones."""
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import unittest

from scenery import Scenery, wait_for

TEALE, RELAY, PARROT, RAWSTREAM = map(os.path.abspath, sys.argv[1:5])
BLOCK = 16 << 10
MIB = 1 << 20


def frame(kind, data):
    return (len(data) + 1).to_bytes(4, "big") + bytes([kind]) + data


def message(name, payload):
    return frame(0, json.dumps({name: payload}).encode())


def address(content):
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def body(content):
    return b"".join(frame(1, content[i:i + 60000]) for i in range(0, len(content), 60000))


class Attackers:
    """Many nodes in one process. `send` returns at once; `answer` waits for what became of a stream."""

    def __init__(self, relay, target, first, count):
        self.popen = subprocess.Popen([RAWSTREAM, relay, target, str(first), str(count)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.ids = self.popen.stdout.readline().split()[1:]
        self.answers, self.names = {}, 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            name, what, *rest = line.rstrip("\n").split(" ", 2)
            self.answers[name] = (what, rest[0] if rest else "")

    def send(self, data, node=0, how="fin", zeros=0):
        self.names += 1
        name = f"s{self.names}"
        more = f" zeros:{zeros}" if zeros else ""
        self.popen.stdin.write(f"{name} {node} {how} {data.hex()}{more}\n")
        self.popen.stdin.flush()
        return name

    def answer(self, name):
        """(what, messages and bytes that came)"""
        wait_for(lambda: name in self.answers, 60)
        what, text = self.answers[name]
        return what, bytes.fromhex(text) if what != "failed" else text.encode()

    def ask(self, data, node=0, how="fin"):
        """The one message that answers; None: no message."""
        what, came = self.answer(self.send(data, node, how))
        if len(came) < 5 or what == "failed":
            return None
        n = int.from_bytes(came[:4], "big")
        return json.loads(came[5:4 + n])

    def put(self, content, node=0):
        return self.ask(self.put_bytes(content, node), node)

    def put_bytes(self, content, node=0):
        return message("fragmentPut", {"fragment": address(content), "size": len(content),
                                       "recovery": self.ids[node]}) + body(content)

    def end(self):
        self.popen.kill()
        self.popen.wait()
        self.popen.stdin.close()
        self.popen.stdout.close()


class Case(unittest.TestCase):
    quota = 4  # MiB

    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)
        self.at = self.scenery.relay()
        home = self.scenery.new_home()
        self.scenery.config(home, store_quota=str(self.quota), **{"dht.enabled": "false"})
        model = self.scenery.parrot()
        self.holder = self.scenery.node(self.at, "--share", model.url, home=home)

    def attackers(self, count, first=1):
        a = Attackers(self.at.url, self.holder.id, first, count)
        self.addCleanup(a.end)
        return a

    def metric(self, name):
        c, r = self.holder.request("GET", "/metrics")
        text = r.read().decode()
        c.close()
        return float(re.search(rf"(?m)^{re.escape(name)} (\S+)$", text)[1])

    def refused(self, reason):
        return self.metric(f'teale_fragments_refused_total{{reason="{reason}"}}')

    def held(self):
        return self.metric('teale_fragments_held_bytes{owner="stranger"}')

    def on_disk(self):
        folder = pathlib.Path(self.holder.home, "fragments")
        return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())

    def memory(self):
        with open(f"/proc/{self.holder.popen.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1]) << 10

    def is_up(self):
        self.assertIsNone(self.holder.popen.poll())
        self.assertEqual(self.holder.status()["wan"]["state"], "connected")


class Nonsense(Case):
    def test_garbage_halves_and_too_much_are_refused_and_counted_and_the_honest_go_on(self):
        a = self.attackers(3)
        honest = os.urandom(5000)
        self.assertIn("fragmentReceipt", a.put(honest))
        before = self.memory()
        held, disk = self.held(), self.on_disk()
        content = os.urandom(3000)
        good = {"fragment": address(content), "size": len(content), "recovery": a.ids[1]}
        put = message("fragmentPut", good)
        spoiled = [
            # no frames, or none that may be
            b"", b"\0", os.urandom(1), os.urandom(4), os.urandom(300), os.urandom(70000), bytes(5),
            (0).to_bytes(4, "big") + b"\0", (2).to_bytes(4, "big") + b"\7x", b"\xff\xff\xff\xff\0" + b"{" * 9000,
            frame(0, b""), frame(0, b"{"), frame(0, b"[" * 5000), frame(0, b"nonsense"), frame(0, b"\0" * 50),
            # messages that are none, or lack something
            message("fragmentBogus", {}), message("fragmentReceipt", good), message("fragmentDone", {}),
            message("fragmentContent", {"size": 5}), message("fragmentPut", {}), message("fragmentPut", []),
            frame(0, json.dumps({"fragmentPut": good, "fragmentGet": good}).encode()),
            *[message("fragmentPut", {**good, "size": size}) + body(content)
              for size in (0, -1, 8 * MIB + 1, 1 << 40, 1 << 70, 1.5, "3000", None, True, [3000])],
            *[message("fragmentPut", {**good, "fragment": f}) + body(content)
              for f in ("", "00", address(content)[:-2], address(content).upper() + "0", address(content) + "00", 7, None)],
            *[message("fragmentPut", {**good, "recovery": r}) + body(content)
              for r in ("", "00" * 31, "g" * 64, a.ids[1][:-1], 5, {})],
            *[message("fragmentGet", {"fragment": f}) for f in ("", "0" * 31, "g" * 32, 5, None, ["0" * 32])],
            *[message("fragmentProve", {"nonce": n, "fragments": f}) for n, f in (
                ("00" * 32, []), ("00" * 32, ["00" * 32] * 17), ("00" * 31, ["00" * 32]), ("00" * 32, "00" * 32),
                (None, ["00" * 32]), ("00" * 32, [5]))],
            *[message("fragmentDelete", {"fragments": f}) for f in ([], ["00" * 32] * 17, None, [["00" * 32]])],
            *[message("fragmentPointer", {"recovery": a.ids[1], "item": i}) for i in ("", "00" * 1401, "0", 5, None)],
            # right ones in the wrong order, or with other bytes than they say
            body(content), body(content) + put, put + put, put + put + body(content),
            put + body(content) + put, put + body(content[:-1]), put + body(content + b"x"),
            put + body(content[:-1] + bytes([content[-1] ^ 1])), put, put + b"".join(frame(1, b"") for _ in range(2000)),
            put[:-1], put[:len(put) // 2], put[:3], put + body(content)[:-10],
            message("fragmentGet", {"fragment": "00" * 16}) + body(content),
        ]
        names = [a.send(data, 1) for data in spoiled]
        names += [a.send(data, 2, "reset") for data in spoiled]
        names += [a.send(data, 2, "open") for data in spoiled[-12:]]
        for name in names:
            what, came = a.answer(name)
            self.assertNotIn(b"fragmentReceipt", came)
            self.assertNotIn(b"fragmentContent", came)
        self.is_up()
        self.assertGreater(self.refused("malformed"), 40)
        self.assertGreater(self.refused("other"), 0)
        self.assertEqual((self.on_disk(), self.metric("teale_fragments_held")), (disk, 1))
        self.assertLess(self.memory() - before, 24 * MIB)
        # the honest one has what it had, and may have more
        got = a.answer(a.send(message("fragmentGet", {"fragment": address(honest)[:32]})))
        self.assertIn(honest, got[1])
        self.assertIn("fragmentReceipt", a.put(content, 1))
        a.end()  # what was left open is given back
        wait_for(lambda: self.held() == held + BLOCK, 30)

    def test_fragments_of_others_are_not_there_for_who_asks(self):
        a = self.attackers(2)
        mine = os.urandom(4000)
        self.assertIn("fragmentReceipt", a.put(mine))
        whole, tag = address(mine), address(mine)[:32]
        prove = message("fragmentProve", {"nonce": "07" * 32, "fragments": [whole]})
        delete = message("fragmentDelete", {"fragments": [whole]})
        stolen = a.ask(message("fragmentGet", {"fragment": tag}), 1)
        self.assertEqual(stolen["fragmentError"]["code"], "not_found")
        self.assertEqual(a.ask(prove, 1)["fragmentProof"]["proofs"], [None])
        self.assertIn("fragmentDone", a.ask(delete, 1))  # of its own, of which there is none
        pointed = a.ask(message("fragmentPointer", {"recovery": a.ids[0], "item": "00" * 1104}), 1)
        self.assertEqual(pointed["fragmentError"]["code"], "forbidden")
        forged = a.ask(message("fragmentPointer", {"recovery": a.ids[0], "item": "00" * 1104}), 0)
        self.assertEqual(forged["fragmentError"]["code"], "invalid")
        self.assertEqual(self.metric('teale_fragments_held_total{what="deleted"}'), 0)
        # the same bytes, put by another: each has its own
        self.assertIn("fragmentReceipt", a.put(mine, 1))
        self.assertIn("fragmentDone", a.ask(delete, 1))
        proof = a.ask(prove)["fragmentProof"]["proofs"][0]
        key = bytes([7]) * 32 + bytes.fromhex(self.holder.id)
        self.assertEqual(proof, hashlib.blake2b(mine, digest_size=32, key=key).hexdigest())
        self.assertIn("fragmentDone", a.ask(delete))
        self.assertEqual(a.ask(message("fragmentGet", {"fragment": tag}))["fragmentError"]["code"], "not_found")
        self.assertEqual(self.metric("teale_fragments_held"), 0)
        self.is_up()


class Quotas(Case):
    def test_many_identities_together_get_a_quarter_and_each_a_sixty_fourth(self):
        a = self.attackers(20)
        got, full = 0, 0
        for node in range(20):
            names = [a.send(a.put_bytes(os.urandom(BLOCK), node), node) for _ in range(6)]
            came = [a.answer(name)[1] for name in names]
            receipts = sum(b"fragmentReceipt" in c for c in came)
            self.assertLessEqual(receipts, 4)  # 64 KiB of 4 MiB
            got += receipts
            full += sum(b'"full"' in c for c in came)
        self.assertEqual(got, 64)  # 1 MiB of 4
        self.assertGreater(full, 30)
        self.assertEqual(self.held(), MIB)
        self.assertLessEqual(self.on_disk(), MIB)
        self.assertGreaterEqual(self.refused("full"), full)
        self.is_up()
        # one that deletes has room again
        mine = os.urandom(100)
        self.assertEqual(a.put(mine, 0)["fragmentError"]["code"], "full")
        self.assertEqual(self.metric("teale_fragments_owners"), 16)

    def test_what_comes_late_or_by_halves_is_in_memory_within_its_bounds(self):
        self.holder.command("config", "set", "store_quota", "1024")
        a = self.attackers(24)
        before = self.memory()
        size = 2 * MIB
        put = lambda node: message("fragmentPut", {"fragment": "11" * 32, "size": size, "recovery": a.ids[node]})
        head = (60001).to_bytes(4, "big") + b"\1"  # of a frame of the body, that never ends
        names = [a.send(put(node) + head, node, "open", zeros=50000) for node in range(24) for _ in range(4)]
        came = [a.answer(name) for name in names]
        waiting = sum(what == "open" and not data for what, data in came)
        busy = sum(b"unavailable" in data for _, data in came)
        print(f"{waiting} of {len(names)} puts wait for their bytes, {busy} were refused")
        self.assertLessEqual(waiting * size, 16 * MIB)
        self.assertGreater(busy, 50)
        self.assertLess(self.memory() - before, 48 * MIB)
        self.assertGreater(self.refused("busy"), 50)
        self.is_up()
        a.end()
        wait_for(lambda: self.held() == 0, 60)
        b = self.attackers(1, first=100)
        self.assertIn("fragmentReceipt", b.put(os.urandom(1000)))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[5:], verbosity=2)
