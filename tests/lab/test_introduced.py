#!/usr/bin/env python3
"""Nodes that no relay knows reach each other: a third node with a public address introduces them (nat.introducers), or
one of them has a public address itself. With the real binaries; also what strangers try at an introducer and at a node
that lets itself be introduced, each beside its accepted twin. Prints how long an introduction takes.

    test_introduced.py BUILD [NAME]"""
import os
import select
import socket
import sys
import time

from direct import Peer, Rendezvous, Stream, tell
from lab import LabError
from nat import NatLab
from netns import inside
from scene import Programs
from suite import run_tests

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import controlmsg  # noqa: E402
import ed25519  # noqa: E402

MS = 20  # one way, between any two hosts


class Public(Peer):
    """A node with a public address, which introduces others."""

    def introducing(self):
        self.node.wait("introduces", lambda: self.node.json("status")["introducing"]["state"] == "serving", 30)
        return self.node.json("status")["introducing"]["addresses"][0]

    @property
    def name_at(self):
        return f"{self.id}@{self.introducing()}"


class Scene:
    """`carol` is public; `gpu` and `friend` are behind NATs, and know carol. No node has a relay; one more host
    answers STUN."""

    def __init__(self, lab, programs, build, kinds=("portRestricted", "portRestricted"), known=("gpu", "friend"),
                 parrot=()):
        self.lab, self.programs = lab, programs
        self.stun = Rendezvous(lab, programs, name="stun")
        self.servers = {"nat.stun_servers": '["%s:3478"]' % self.stun.addresses[0], "dht.enabled": "false"}
        self.carol_host = lab.host("carol")
        hosts = {name: lab.home(name, kind, "random") for name, kind in zip(("gpu", "friend"), kinds)}
        lab.delay(build, MS // 2)
        self.carol = Public(lab, programs, self.carol_host, "carol", None, settings=self.servers)
        self.carol.start()
        given = {"nat.introducers": '["%s"]' % self.carol.name_at}
        self.gpu, self.friend = (
            Peer(lab, programs, hosts[name], name, None, parrot=parrot if name == "gpu" else (),
                 settings={**self.servers, **(given if name in known else {})}) for name in ("gpu", "friend"))
        self.all = [self.carol, self.gpu, self.friend]
        for p, kind in zip((self.gpu, self.friend), kinds):
            p.start()
            p.node.wait("sure of its NAT", lambda p=p, k=kind: p.node.json("status")["nat"]["type"] == k, 30)
        for name in known:
            p = getattr(self, name)
            p.node.wait("attached", lambda p=p: [b["node_id"] for b in p.node.json("status")["introducing"]["by"]]
                        == [self.carol.id], 30)

    def ping(self, a=None, b=None, timeout=10):
        ok, text = (a or self.friend).ping_until_direct(b or self.gpu, timeout)
        if not ok:
            raise LabError(f"not direct: {text}\n{tell(self.all)}")

    def took_ms(self, a=None, b=None):
        """From the PunchIntro to the first answer of a check."""
        why = (a or self.friend).node.json("why", (b or self.gpu).id)
        return why["attempt"]["first_answer_ms"]

    def metric(self, peer, name):
        for line in peer.node.curl("/metrics".replace("/v1", "")).stdout.splitlines() if False else metrics(peer):
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return 0.0


def metrics(peer):
    api = peer.node.api.removesuffix("/v1")
    return peer.lab.run(peer.host, ["curl", "-sS", "-m", "10", api + "/metrics"]).stdout.splitlines()


def two_nodes_behind_nats_are_introduced_and_ask(lab, programs, build):
    scene = Scene(lab, programs, build)
    scene.ping()
    took = scene.took_ms()
    bound = 1.5 * 2 * 2 * MS + 100  # a round trip by way of carol is twice that to her
    lab.say(f"introduced in {took:.0f} ms, at most {bound:.0f} ms are allowed (links of {MS} ms)")
    if took > bound:
        raise LabError(f"{took} ms, {bound} ms are allowed\n{tell(scene.all)}")
    first, path, whole = scene.friend.ask(scene.gpu)
    if path != "direct" or not whole:
        raise LabError(f"{path} {whole}\n{tell(scene.all)}")
    assert scene.metric(scene.carol, 'teale_introductions_total{result="taken"}') >= 1
    assert scene.metric(scene.carol, 'teale_introductions_total{result="answered"}') >= 1
    assert sum(float(line.split()[-1]) for line in metrics(scene.friend)
               if line.startswith("tesseras_punch_attempts_total{")) >= 1
    assert "introduced" in scene.friend.why(scene.gpu), scene.friend.why(scene.gpu)
    assert "introduc" in scene.gpu.node.command("status").stdout


if __name__ == "__main__":
    build = sys.argv[1]
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(build), build))
