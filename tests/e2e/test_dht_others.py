#!/usr/bin/env python3
"""test_dht_others.py TEALE TEALE-RELAY PARROT WORKDIR: one DHT on loopback of nodes of ours and of three programs that are
not: libtorrent (PyPI), bittorrent-dht (npm) and mainline (crates.io). They are installed once into WORKDIR. Where a
registry cannot be reached, or a machine has no npm or cargo, the tests of that program are skipped and say why."""
import os
import sys
import unittest

from ed25519 import Key
from dhtothers import Missing, Other, bittorrent_dht, install_all, libtorrent, mainline
from dhtscene import Stranger, bdecode, dht, new_key, record, start, target_of
from ports import free_ports
from scenery import Scenery, wait_for

TEALE, RELAY, PARROT, WORK = map(os.path.abspath, sys.argv[1:5])
OURS = 4


def at(port, ports):
    """Where another program is, and the doors that it knows."""
    return f"127.0.0.1:{port}", [f"127.0.0.1:{p}" for p in ports[:2]]


def our_nodes(scenery, ports):
    """Nodes that know each other, and publish nothing yet."""
    nodes = [start(scenery, p, [q for q in ports[:2] if q != p], **{"dht.publish": "off"}) for p in ports[:OURS]]
    for n in nodes:
        wait_for(lambda: dht(n)["state"] == "ready" and dht(n)["nodes"] >= OURS - 1, 90)
    return nodes


def publish(nodes, others):
    """When they know `others`, too, they publish; then all have what each published."""
    for n in nodes:
        wait_for(lambda: dht(n)["nodes"] >= OURS - 1 + others, 90)
    for n in nodes:
        n.command("config", "set", "dht.publish", "on")
        wait_for(lambda: (dht(n)["published"] or {"holders": 0})["holders"] >= OURS - 1 + others, 90)


class Swarm(unittest.TestCase):
    """Four nodes of ours and one of another program, which knows two of ours and is known to none."""

    program = None

    @classmethod
    def setUpClass(cls):
        cls.scenery = Scenery(TEALE, RELAY, PARROT)
        cls.addClassCleanup(cls.scenery.__exit__, None)
        try:
            argv = cls.program(WORK)
        except Missing as why:
            raise unittest.SkipTest(f"skipped: {why}")
        ports = free_ports(OURS + 1)
        cls.nodes = our_nodes(cls.scenery, ports)
        cls.stranger = Stranger()
        cls.addClassCleanup(cls.stranger.close)
        cls.other = Other(argv, *at(ports[OURS], ports), os.path.join(cls.scenery.directory, "other.log"))
        cls.addClassCleanup(cls.other.end)
        publish(cls.nodes, 1)

    def kept_at(self, port, key):
        """What a node itself says when it is asked for an item."""
        answer = self.stranger.ask(port, "get", target=target_of(key))
        return answer and answer["y"] == b"r" and answer["r"].get("v")

    def test_it_reads_our_record(self):
        for n in self.nodes:
            key = bytes.fromhex(n.id)
            published = dht(n)["published"]["seq"]
            seq, text = self.other.get(key, published)
            self.assertEqual(seq, published)
            self.assertEqual(bdecode(text), {"i": [], "n": b"Unknown", "p": [], "r": [], "v": 1})

    def test_it_keeps_our_record(self):
        for n in self.nodes:
            self.assertEqual(bdecode(self.kept_at(self.other.udp, bytes.fromhex(n.id)))["v"], 1)

    def test_we_read_and_keep_its_record(self):
        seed = os.urandom(32)
        key = Key(seed).public
        relay = os.urandom(32)
        text = record("Cone", [("198.18.0.7", 4433)], [(relay, "198.18.0.9", 5)], ["wss://relay.example/ws"])
        self.assertTrue(self.other.put(seed, 1, text).startswith("put"))
        for n in self.nodes:
            got = n.json("dht", "get", key.hex())
            self.assertEqual(got["record"], {
                "nat": "Cone", "addresses": ["198.18.0.7:4433"], "relays": ["wss://relay.example/ws"],
                "introducers": [{"node_id": relay.hex(), "alias": None, "address": "198.18.0.9:5"}]})
            self.assertEqual(got["seq"], 1)
        wait_for(lambda: sum(self.kept_at(n.udp, key) == text for n in self.nodes) >= OURS - 1)

    def test_a_later_record_of_it_takes_the_place_of_the_first(self):
        seed = os.urandom(32)
        key = Key(seed).public
        for seq, nat in ((1, "Symmetric"), (2, "Public")):
            self.assertTrue(self.other.put(seed, seq, record(nat)).startswith("put"))
            got = self.nodes[2].json("dht", "get", key.hex())
            self.assertEqual((got["seq"], got["record"]["nat"]), (seq, nat))
            self.assertEqual(self.other.get(key, seq), (seq, record(nat)))

    def test_of_a_key_that_nobody_used_it_finds_nothing(self):
        self.assertIsNone(self.other.get(new_key().public))

    def test_it_is_in_our_tables(self):
        for n in self.nodes[:2]:
            answer = self.stranger.ask(n.udp, "find_node", target=os.urandom(20))
            ports = [int.from_bytes(answer["r"]["nodes"][at + 24:at + 26], "big")
                     for at in range(0, len(answer["r"]["nodes"]), 26)]
            self.assertIn(self.other.udp, ports)


class Libtorrent(Swarm):
    program = staticmethod(libtorrent)


class BittorrentDht(Swarm):
    program = staticmethod(bittorrent_dht)


class Mainline(Swarm):
    program = staticmethod(mainline)


class Together(unittest.TestCase):
    """All of them in one swarm: what one puts, each other reads."""

    def test_each_reads_what_each_put(self):
        scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(scenery.__exit__, None)
        ports = free_ports(OURS + 3)
        nodes = our_nodes(scenery, ports)
        others, why = [], []
        for program in (libtorrent, bittorrent_dht, mainline):
            try:
                argv = program(WORK)
            except Missing as missing:
                why.append(str(missing))
                continue
            one = Other(argv, *at(ports[OURS + len(others)], ports),
                        os.path.join(scenery.directory, program.__name__ + ".log"))
            self.addCleanup(one.end)
            others.append(one)
        if not others:
            self.skipTest("skipped: " + "; ".join(why))
        publish(nodes, len(others))
        for one in others:
            for n in nodes:
                seq = dht(n)["published"]["seq"]
                self.assertEqual(one.get(bytes.fromhex(n.id), seq)[0], seq)
        for writer in others:
            seed, text = os.urandom(32), record(addresses=[("198.18.0.7", writer.udp)])
            self.assertTrue(writer.put(seed, 1, text).startswith("put"))
            for n in nodes:
                self.assertEqual(n.json("dht", "get", Key(seed).public.hex())["record"]["addresses"],
                                 [f"198.18.0.7:{writer.udp}"])
            for reader in others:
                self.assertEqual(reader.get(Key(seed).public, 1), (1, text))
        if why:
            print("without: " + "; ".join(why), file=sys.stderr)


def load_tests(loader, tests, pattern):
    classes = [Libtorrent, BittorrentDht, Mainline, Together]
    return unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in classes)


if __name__ == "__main__":
    install_all(WORK)
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[5:]])
