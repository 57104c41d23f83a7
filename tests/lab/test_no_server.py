#!/usr/bin/env python3
"""No server of anybody's: two nodes behind NATs, no relay anywhere, and twenty public nodes, of which some are other
people's DHT programs. All that one of the two is told of the other is its node ID. They find each other and go direct; an
answer goes on while the asker changes its network; the asker's machine is destroyed, and comes back on another one from 24
words. Prints how long each took.

    test_no_server.py BUILD [NAME]"""
import json
import os
import shutil
import signal
import subprocess
import sys
import time

from direct import Peer, Stream, tell
from lab import LabError
from nat import NatLab
from scene import Node, Programs
from stunhost import StunHost
from suite import run_tests

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import dhtothers  # noqa: E402

PUBLIC = 20
DOORS = 3      # of ours, which the others are told of
STRANGERS = (("libtorrent", dhtothers.libtorrent, 4), ("bittorrent-dht", dhtothers.bittorrent_dht, 2),
             ("mainline", dhtothers.mainline, 2))
UDP = 6881
SIZE = 40_000_000
RATE = 8_000_000
WORD_COUNT = 24
FRIENDS = 4     # whose machines hold fragments of the laptop's backup, beside gpu


class Stranger(dhtothers.Other):
    """A DHT node that is not ours, on a public host."""

    def __init__(self, lab, name, argv, host, doors):
        self.name = name
        super().__init__(["ip", "netns", "exec", host.ns, *argv], f"{host.address}:{UDP}", doors,
                         os.path.join(lab.dir, f"{host.ns}.log"))


def _strangers(lab, build, hosts, doors):
    """As many of other people's programs as this machine can have."""
    work, found = os.path.join(os.path.abspath(build), "tests/e2e/dht"), []
    for name, program, count in STRANGERS:
        try:
            argv = program(work)
        except dhtothers.Missing as why:
            lab.say(f"without {name}: {why}")
            continue
        found += [Stranger(lab, name, argv, hosts[len(found) + i], doors) for i in range(count)]
    kinds = sorted({s.name for s in found})
    lab.say(f"{PUBLIC} public nodes, {len(found)} of them not ours" + (f" ({', '.join(kinds)})" if kinds else
            ": no other program could be had here"))
    return found


class World:
    """The public nodes, `gpu` with a model and `laptop`, each behind a NAT."""

    def __init__(self, lab, programs, build):
        self.lab, self.programs = lab, programs
        self.stun = StunHost(lab)
        hosts = [lab.host(f"p{i}") for i in range(PUBLIC)]
        lab.delay(build, 10)
        self.doors = [f"{h.address}:{UDP}" for h in hosts[:DOORS]]
        first = [self.public(h, i) for i, h in enumerate(hosts[:DOORS])]
        self.strangers = _strangers(lab, build, hosts[DOORS:], self.doors)
        more = [self.public(h, DOORS + i) for i, h in enumerate(hosts[DOORS + len(self.strangers):])]
        self.ours = first + more
        self.gpu = Peer(lab, programs, lab.home("gpu", "portRestricted", "random"), "gpu", None,
                        parrot=["--model", f"bytes:{SIZE}", "--bytes-per-s", str(RATE)], settings=self.settings())
        self.laptop = Peer(lab, programs, lab.home("laptop", "portRestricted", "random"), "laptop", None,
                           settings=self.settings())

    def settings(self, **more):
        return {"nat.stun_servers": json.dumps([self.stun.server]), "nat.port_mapping": "false",
                "dht.bootstrap": json.dumps(self.doors), **more}

    def public(self, host, i):
        """One of our own that nobody asks: it is in the DHT, introduces others, and holds their fragments."""
        return Node(self.lab, self.programs, host, f"public{i}", None,
                    settings=self.settings(udp_port=str(UDP)))

    def dht(self, node):
        return node.json("status")["dht"]

    def wait_published(self, peer):
        peer.node.wait("published", lambda: (self.dht(peer.node)["published"] or {"holders": 0})["holders"] >= 1, 40)

    def found(self, peer):
        """How others are told to reach it."""
        return json.loads(self.ours[-1].command("dht", "get", peer.id, "--json").stdout)["record"]

    def end(self):
        for s in self.strangers:
            s.end()


def _timed(lab, what, started):
    lab.say(f"{what}: {time.monotonic() - started:.1f} s")


def _meet(world):
    """The laptop knows the ID of `gpu`, and nothing else."""
    lab, gpu, laptop = world.lab, world.gpu, world.laptop
    gpu.start()
    world.wait_published(gpu)
    gpu.node.wait("introduced by somebody", lambda: world.found(gpu)["introducers"], 40)
    record = world.found(gpu)
    assert not record["relays"] and not record["addresses"], record
    for name in sorted({s.name for s in world.strangers}):
        stranger = next(s for s in world.strangers if s.name == name)
        assert stranger.get(bytes.fromhex(gpu.id)), f"{name} does not find the record of gpu"
    laptop.start()
    started = time.monotonic()
    ok, text = laptop.ping_until_direct(gpu, 20)
    if not ok:
        raise LabError(f"not direct: {text}\n{tell([laptop, gpu])}")
    _timed(lab, "teale ping ID --until-direct, from the start of the process", started)
    assert laptop.ask(gpu)[1:] == ("direct", True)


def _move(world):
    """An answer under way, and the laptop goes to a cafe."""
    lab, gpu, laptop = world.lab, world.gpu, world.laptop
    cafe = lab.router("cafe", "portRestricted", "random", lan="10.20.30")
    stream = Stream(lab, laptop, gpu, SIZE)
    stream.reach(0.2)
    lab.move(laptop.host, cafe)
    try:
        stall = stream.finish(world.programs)
    except LabError as e:
        raise LabError(f"{e}\n{tell([laptop, gpu])}") from e
    lab.say(f"the laptop changed its network under an answer: longest silence {stall * 1000:.0f} ms")
    assert stall < 5, stall
    assert laptop.ask(gpu)[1:] == ("direct", True)


def _found_a_family(world):
    """The laptop makes a network, which `gpu` and friends with public machines join."""
    laptop = world.laptop.node
    laptop.command("ptn", "create", "family")
    started = time.monotonic()
    world.friends = world.ours[-FRIENDS:]
    for node in (world.gpu.node, *world.friends):
        code = laptop.command("ptn", "invite", "family", "--role", "provider").stdout.strip()
        joined = node.json("join", code)
        assert joined["state"] == "joined", joined
    _timed(world.lab, f"{1 + FRIENDS} nodes have joined the network of the laptop", started)


def _back_up(world):
    """The 24 words, and what the laptop was."""
    laptop = world.laptop.node
    started = time.monotonic()
    made = laptop.json("backup", "create")
    assert len(made["words"]) == WORD_COUNT and made["may_lose"] >= 1, made
    laptop.wait("in the DHT with its backup", lambda: laptop.json("backup", "status")["pointer"]["nodes"] > 0, 40)
    _timed(world.lab, f"a backup of {made['held']} fragments, of which any {made['k']} are enough", started)
    return made, _networks(laptop)


def _networks(node):
    return [{key: ptn.get(key) for key in ("ptn_id", "name", "role", "state", "ca_key")}
            for ptn in node.json("ptn", "list")["ptns"]]


def _destroy(world, made):
    """The laptop, and as many of the holders as may be lost."""
    for friend in world.friends[:made["may_lose"]]:
        friend.process.stop(signal.SIGKILL)
    world.laptop.stop()
    shutil.rmtree(world.laptop.node.home)
    assert not os.path.exists(world.laptop.node.home)


def _restore(world, made, knew):
    """Another machine in another home."""
    lab, laptop, gpu = world.lab, world.laptop, world.gpu
    new = lab.home("new-laptop", "portRestricted", "random")
    doors = [word for door in world.doors for word in ("--bootstrap", door)]
    started = time.monotonic()
    done = subprocess.run(["ip", "netns", "exec", new.ns, world.programs.teale, "--home", laptop.node.home, "backup", "restore",
                           *doors, "--json"], input=" ".join(made["words"]), capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise LabError(f"restore exited {done.returncode}: {done.stdout}{done.stderr}")
    _timed(lab, f"restored from the words alone, {made['may_lose']} holders gone", started)
    was = laptop.id
    laptop.host = laptop.node.host = new
    laptop.start()
    assert laptop.id == was, (laptop.id, was)
    assert _networks(laptop.node) == knew, (_networks(laptop.node), knew)
    ok, text = laptop.ping_until_direct(gpu, 20)
    if not ok:
        raise LabError(f"not direct after the restore: {text}\n{tell([laptop, gpu])}")
    assert laptop.ask(gpu)[1:] == ("direct", True)


def a_family_needs_no_server(lab, programs, build):
    started = time.monotonic()
    world = World(lab, programs, build)
    try:
        _timed(lab, "the public nodes are there", started)
        _meet(world)
        _move(world)
        _found_a_family(world)
        made, knew = _back_up(world)
        _destroy(world, made)
        _restore(world, made, knew)
    finally:
        world.end()


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1]), sys.argv[1]))
