#!/usr/bin/env python3
"""Nodes that know nothing of each other but the ID, and no relay: they find each other in a DHT of a few public nodes. One
is reached at its public address, one is introduced, and one only through a node that relays. With the real binaries.

    test_dht.py BUILD [NAME]"""
import json
import signal
import sys
import time

from direct import Peer, Rendezvous, tell
from lab import LabError
from nat import NatLab
from scene import Programs
from suite import run_tests

PORT = 4100  # of the public nodes
MS = 10      # one way, between any two hosts
PUBLIC = 4


class Scene:
    """`p0` to `p3` are public; `gpu` and `friend` are behind NATs. One more host answers STUN. Only gpu is told of a node
    that introduces it: p0. Who is named in `shares_nothing` has no model for anybody."""

    def __init__(self, lab, programs, build, kinds, p0=None, shares_nothing=()):
        self.lab = lab
        self.stun = Rendezvous(lab, programs, name="stun")
        publics = [lab.host(f"p{i}") for i in range(PUBLIC)]
        homes = {name: lab.home(name, kind, "random") for name, kind in zip(("gpu", "friend"), kinds)}
        lab.delay(build, MS // 2)
        self.settings = {"nat.stun_servers": '["%s:3478"]' % self.stun.addresses[0]}
        doors = [f"{h.address}:{PORT}" for h in publics]
        self.public = []
        for i, host in enumerate(publics):
            more = {"udp_port": str(PORT), "dht.bootstrap": json.dumps([d for d in doors[:2] if d != doors[i]])}
            self.public.append(Peer(lab, programs, host, f"p{i}", None,
                                    settings={**self.settings, **more, **((p0 or {}) if i == 0 else {})}))
            self.public[-1].start()
        for p in self.public:
            p.node.wait("public", lambda p=p: not self.dht(p)["read_only"], 30)
        behind = {**self.settings, "dht.bootstrap": json.dumps(doors[:2])}
        known = {"nat.introducers": json.dumps([f"{self.public[0].id}@{doors[0]}"])}
        self.gpu = Peer(lab, programs, homes["gpu"], "gpu", None, settings={**behind, **known})
        self.friend = Peer(lab, programs, homes["friend"], "friend", None, settings=behind)
        self.all = [*self.public, self.gpu, self.friend]
        for p, kind in zip((self.gpu, self.friend), kinds):
            if p.name in shares_nothing:
                p.node.argv = p.node.argv[:p.node.argv.index("--share")]
            p.start()
            p.node.wait("sure of its NAT", lambda p=p, k=kind: p.node.json("status")["nat"]["type"] == k, 30)
        for p in self.all:
            p.node.wait("in the DHT", lambda p=p: self.dht(p)["state"] == "ready", 60)
            p.node.wait("published", lambda p=p: (self.dht(p)["published"] or {"holders": 0})["holders"] >= 1, 60)

    @staticmethod
    def dht(peer):
        return peer.node.json("status")["dht"]

    def record(self, of):
        return self.friend.node.json("dht", "get", of.id)["record"]

    def ping(self, to, path):
        begun = time.monotonic()
        answer = self.friend.node.json("ping", "--count", "1", to.id)
        took = time.monotonic() - begun
        if answer["results"][0].get("path") != path:
            raise LabError(f"{answer}, in place of {path}\n{tell(self.all)}")
        return took


def a_peer_is_reached_by_its_id_alone(lab, programs, build):
    scene = Scene(lab, programs, build, ("portRestricted", "portRestricted"))
    far = scene.public[-1]
    record = scene.record(far)
    assert record["nat"] == "Public", record
    assert record["addresses"] == [f"{far.host.address}:{PORT}"], record
    took = scene.ping(far, "direct")
    lab.say(f"a public node after {took * 1000:.0f} ms")
    gpu = scene.record(scene.gpu)
    assert gpu["nat"] == "Cone" and gpu["addresses"] == [], gpu  # nothing at which no stranger gets through is told
    introducers = [i["node_id"] for i in gpu["introducers"]]  # the one that it was told of, and found ones
    assert scene.public[0].id in introducers and set(introducers) <= {p.id for p in scene.public}, gpu
    assert gpu["relays"] == [], gpu
    took = scene.ping(scene.gpu, "direct")
    lab.say(f"a node behind a NAT, introduced, after {took * 1000:.0f} ms")
    assert scene.dht(scene.friend)["read_only"]
    _, path, whole = scene.friend.ask(scene.gpu)
    assert (path, whole) == ("direct", True), (path, whole)
    friend = scene.friend.node.command("ping", "--count", "1", "0" * 62 + "58", check=False)
    assert friend.returncode in (2, 4), friend  # no key, or nobody's


def a_network_is_joined_without_any_relay(lab, programs, build):
    scene = Scene(lab, programs, build, ("portRestricted", "portRestricted"))
    scene.gpu.node.command("ptn", "create", "family")
    invite = scene.gpu.node.command("ptn", "invite", "family").stdout.strip()
    scene.friend.node.command("join", invite)
    members = [m["node_id"] for m in scene.friend.node.json("ptn", "members", "family")["members"]]
    assert scene.gpu.id in members and scene.friend.id in members, members


def who_shares_nothing_is_reached_and_joined_by_nodes_that_it_does_not_know(lab, programs, build):
    scene = Scene(lab, programs, build, ("portRestricted", "portRestricted"), shares_nothing=("gpu", "friend"))
    gpu, friend = scene.gpu.node, scene.friend.node
    gpu.command("ptn", "create", "family")
    invite = gpu.command("ptn", "invite", "family").stdout.strip()
    begun = time.monotonic()
    joined = friend.json("join", invite)
    if joined["state"] != "joined":
        raise LabError(f"{joined}\n{tell(scene.all)}")
    lab.say(f"joined after {(time.monotonic() - begun) * 1000:.0f} ms")
    scene.ping(scene.gpu, "direct")


def who_publishes_nothing_is_joined_while_an_invite_is_open(lab, programs, build):
    scene = Scene(lab, programs, build, ("portRestricted", "portRestricted"), shares_nothing=("gpu", "friend"))
    gpu, friend = scene.gpu.node, scene.friend.node
    name = f"{scene.public[0].id}@{scene.public[0].host.address}:{PORT}"
    for node in (gpu, friend):  # the DHT tells nothing of gpu: both know the node that introduces them
        node.command("config", "set", "dht.publish", "off")
        node.command("config", "set", "nat.introducers", json.dumps([name]))
    gpu.command("ptn", "create", "family")
    strange = friend.command("ping", "--count", "1", "--timeout", "5", scene.gpu.id, check=False)
    assert strange.returncode != 0, strange
    invite = gpu.command("ptn", "invite", "family").stdout.strip()
    joined = friend.json("join", invite)
    if joined["state"] != "joined":
        raise LabError(f"{joined}\n{tell(scene.all)}")


def _end(peer, how):
    peer.node.process.popen.send_signal(how)
    peer.node.process.wait()


def _back(lab, scene, what, a, b):
    """Both see each other again, and nobody typed anything."""
    begun = time.monotonic()
    a.node.wait(f"connected to {b.name}", lambda: a.path_to(b) == "direct", BACK)
    b.node.wait(f"connected to {a.name}", lambda: b.path_to(a) == "direct", BACK)
    lab.say(f"{what}: connected after {time.monotonic() - begun:.1f} s")


BACK = 40  # seconds, with both processes up


def who_was_asked_is_found_again_without_a_word(lab, programs, build):
    scene = Scene(lab, programs, build, ("portRestricted", "portRestricted"), shares_nothing=("friend",))
    gpu, friend = scene.gpu, scene.friend
    answer = friend.node.command("chat", "--peer", gpu.id.upper(), "one two three")  # nothing was connected
    assert "three" in answer.stdout, answer
    nothing = gpu.node.command("chat", "--peer", friend.id[:16], "hello", check=False)
    assert nothing.returncode == 4 and "shares no model" in nothing.stderr, nothing
    for who, how in ((gpu, signal.SIGTERM), (gpu, signal.SIGKILL), (friend, signal.SIGTERM), (friend, signal.SIGKILL)):
        _end(who, how)
        who.start()
        begun = time.monotonic()
        answer = friend.ask(gpu)  # at once: it is looked for
        lab.say(f"{who.name} after {how.name}: an answer after {time.monotonic() - begun:.1f} s")
        if answer[1:] != ("direct", True):
            raise LabError(f"{answer}\n{tell(scene.all)}")
        _back(lab, scene, f"{who.name} after {how.name}", friend, gpu)
        assert [m["id"] for m in friend.node.json("models")["models"]] == [gpu.model]


def members_find_each_other_again_without_a_word(lab, programs, build):
    scene = Scene(lab, programs, build, ("portRestricted", "portRestricted"), shares_nothing=("gpu",))
    gpu, friend = scene.gpu, scene.friend
    gpu.node.command("ptn", "create", "family")
    friend.node.command("join", gpu.node.command("ptn", "invite", "family").stdout.strip())
    for who, how in ((friend, signal.SIGTERM), (friend, signal.SIGKILL), (gpu, signal.SIGTERM)):
        _end(who, how)
        who.start()
        _back(lab, scene, f"{who.name} after {how.name}", gpu, friend)
    _end(friend, signal.SIGKILL)
    gpu.node.wait("without friend", lambda: gpu.path_to(friend) is None, 60)
    away = gpu.node.json("models")["away"]
    assert [a["node_id"] for a in away] == [friend.id] and away[0]["models"] == [friend.model], away
    told = gpu.node.command("models")
    assert f'{friend.id[:16]} "{friend.name}"' in told.stdout + told.stderr, told
    friend.start()
    _back(lab, scene, "friend after a while", gpu, friend)


def where_no_nat_opens_a_node_that_relays_carries_it(lab, programs, build):
    scene = Scene(lab, programs, build, ("symmetric", "symmetric"), p0={"nat.relay_enabled": "true"})
    assert scene.record(scene.gpu)["nat"] == "Symmetric"
    took = scene.ping(scene.gpu, "relayed")
    lab.say(f"two symmetric NATs, through a node that relays, after {took * 1000:.0f} ms")
    peer = next(p for p in scene.friend.node.json("peers")["peers"] if p["node_id"] == scene.gpu.id)
    assert peer["relay"] == "node:" + scene.public[0].id, peer


if __name__ == "__main__":
    build = sys.argv[1]
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(build), build))
