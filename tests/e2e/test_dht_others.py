#!/usr/bin/env python3
"""test_dht_others.py TEALE TEALE-RELAY PARROT WORKDIR: one DHT on loopback of nodes of ours and of three programs that are
not: libtorrent (PyPI), bittorrent-dht (npm) and mainline (crates.io). They are installed once into WORKDIR. Where a
registry cannot be reached, or a machine has no npm or cargo, the tests of that program are skipped and say why."""
import hashlib
import os
import queue
import shutil
import subprocess
import sys
import threading
import unittest

from ed25519 import Key
from dhtscene import SALT, Stranger, bdecode, dht, free_ports, new_key, record, start, target_of
from scenery import Scenery, wait_for

TEALE, RELAY, PARROT, WORK = map(os.path.abspath, sys.argv[1:5])
HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dht")
OURS = 4


class Missing(Exception):
    """The program cannot be had here; the text says why."""


def install(registry, argv, folder, env=None):
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})
    if done.returncode == 0:
        return
    reached = subprocess.run(["curl", "-sS", "-o", os.devnull, "--max-time", "20", registry], capture_output=True)
    if reached.returncode:
        raise Missing(f"{registry} cannot be reached from here")
    raise AssertionError(f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def prepared(name, files, make):
    """The folder WORKDIR/name with these files; `make` is called when they are new."""
    folder = os.path.join(WORK, name)
    mark = hashlib.sha256(b"".join(read(os.path.join(HERE, f)) for f in files)).hexdigest().encode()
    stamp = os.path.join(folder, "installed")
    if not os.path.exists(stamp) or read(stamp) != mark:
        shutil.rmtree(folder, ignore_errors=True)
        for f in files:
            at = os.path.join(folder, f)
            os.makedirs(os.path.dirname(at), exist_ok=True)
            shutil.copy(os.path.join(HERE, f), at)
        make(folder)
        with open(stamp, "wb") as f:
            f.write(mark)
    return folder


def libtorrent():
    def make(folder):
        venv = os.path.join(folder, "venv")
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install("https://pypi.org/simple/", [os.path.join(venv, "bin/pip"), "install", "-q", "-r", "requirements.txt"],
                folder)
    folder = prepared("libtorrent", ["requirements.txt"], make)
    return [os.path.join(folder, "venv/bin/python"), os.path.join(HERE, "libtorrent_node.py")]


def bittorrent_dht():
    if not shutil.which("npm"):
        raise Missing("this machine has no npm")
    folder = prepared("npm", ["package.json", "package-lock.json", "bittorrent_dht_node.mjs"], lambda folder: install(
        "https://registry.npmjs.org/", ["npm", "ci", "--no-audit", "--no-fund"], folder))
    return ["node", os.path.join(folder, "bittorrent_dht_node.mjs")]


def mainline():
    if not shutil.which("cargo"):
        raise Missing("this machine has no cargo")
    files = ["mainline/Cargo.toml", "mainline/Cargo.lock", "mainline/src/main.rs"]
    folder = prepared("cargo", files, lambda folder: install(
        "https://index.crates.io/config.json", ["cargo", "build", "--locked", "--quiet"],
        os.path.join(folder, "mainline")))
    return [os.path.join(folder, "mainline/target/debug/mainline-node")]


class Other:
    """Another program's node: it takes lines and answers each with one."""

    def __init__(self, argv, port, doors, log):
        self.udp, self.log = port, log
        with open(log, "w") as f:
            self.popen = subprocess.Popen([*argv, str(port), *(f"127.0.0.1:{p}" for p in doors)], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=f, text=True, bufsize=1)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.expect("ready")

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line.strip())

    def expect(self, *words, timeout=60):
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            line = ""
        assert line.split(" ")[0] in words, line + read(self.log).decode()[-2000:]
        return line

    def tell(self, *words):
        self.popen.stdin.write(" ".join(words) + "\n")

    def get(self, key):
        """(seq, text), or None."""
        self.tell("get", key.hex(), SALT.decode())
        verb, *rest = self.expect("item", "none").split(" ")
        return (int(rest[0]), bytes.fromhex(rest[1])) if verb == "item" else None

    def put(self, seed, seq, text):
        self.tell("put", seed.hex(), SALT.decode(), str(seq), text.hex())
        return self.expect("put", "failed")

    def end(self):
        try:
            self.popen.stdin.close()
            self.popen.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.popen.kill()
            self.popen.wait()
        self.reader.join(5)
        self.popen.stdout.close()


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
            argv = cls.program()
        except Missing as why:
            raise unittest.SkipTest(f"skipped: {why}")
        ports = free_ports(OURS + 1)
        cls.nodes = our_nodes(cls.scenery, ports)
        cls.stranger = Stranger()
        cls.addClassCleanup(cls.stranger.close)
        cls.other = Other(argv, ports[OURS], ports[:2], os.path.join(cls.scenery.directory, "other.log"))
        cls.addClassCleanup(cls.other.end)
        publish(cls.nodes, 1)

    def kept_at(self, port, key):
        """What a node itself says when it is asked for an item."""
        answer = self.stranger.ask(port, "get", target=target_of(key))
        return answer and answer["y"] == b"r" and answer["r"].get("v")

    def test_it_reads_our_record(self):
        for n in self.nodes:
            key = bytes.fromhex(n.id)
            seq, text = self.other.get(key)
            self.assertEqual(seq, dht(n)["published"]["seq"])
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
                "introducers": [{"node_id": relay.hex(), "address": "198.18.0.9:5"}]})
            self.assertEqual(got["seq"], 1)
        wait_for(lambda: sum(self.kept_at(n.udp, key) == text for n in self.nodes) >= OURS - 1)

    def test_a_later_record_of_it_takes_the_place_of_the_first(self):
        seed = os.urandom(32)
        key = Key(seed).public
        for seq, nat in ((1, "Symmetric"), (2, "Public")):
            self.assertTrue(self.other.put(seed, seq, record(nat)).startswith("put"))
            got = self.nodes[2].json("dht", "get", key.hex())
            self.assertEqual((got["seq"], got["record"]["nat"]), (seq, nat))
            self.assertEqual(self.other.get(key), (seq, record(nat)))

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
                argv = program()
            except Missing as missing:
                why.append(str(missing))
                continue
            one = Other(argv, ports[OURS + len(others)], ports[:2],
                        os.path.join(scenery.directory, program.__name__ + ".log"))
            self.addCleanup(one.end)
            others.append(one)
        if not others:
            self.skipTest("skipped: " + "; ".join(why))
        publish(nodes, len(others))
        for one in others:
            for n in nodes:
                self.assertEqual(one.get(bytes.fromhex(n.id))[0], dht(n)["published"]["seq"])
        for writer in others:
            seed, text = os.urandom(32), record(addresses=[("198.18.0.7", writer.udp)])
            self.assertTrue(writer.put(seed, 1, text).startswith("put"))
            for n in nodes:
                self.assertEqual(n.json("dht", "get", Key(seed).public.hex())["record"]["addresses"],
                                 [f"198.18.0.7:{writer.udp}"])
            for reader in others:
                self.assertEqual(reader.get(Key(seed).public), (1, text))
        if why:
            print("without: " + "; ".join(why), file=sys.stderr)


def load_tests(loader, tests, pattern):
    classes = [Libtorrent, BittorrentDht, Mainline, Together]
    return unittest.TestSuite(loader.loadTestsFromTestCase(c) for c in classes)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[5:]])
