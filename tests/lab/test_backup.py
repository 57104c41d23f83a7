#!/usr/bin/env python3
"""A laptop behind a NAT backs up 1.5 MB to six members of its network, with no relay anywhere. It is destroyed, as many
holders as may be lost vanish from the network without a word, and a new machine behind another NAT gets all of it back from the
24 words within 10 s. With the real binaries.

    test_backup.py BUILD [NAME]"""
import json
import os
import shutil
import sqlite3
import sys
import time

from direct import Peer, Rendezvous
from lab import LabError
from nat import NatLab
from scene import Programs
from suite import run_tests

PORT = 4100
MS = 10  # one way, between any two hosts
FRIENDS = 6
ROWS = 6000  # of statements, which are noise: no compression makes them small


class Scene:
    """`laptop` is behind a NAT and has the network; `p1` to `p6` are public, members of it, and in the DHT. `p0` is neither
    friend nor member: it introduces."""

    def __init__(self, lab, programs, build):
        self.lab, self.programs = lab, programs
        self.stun = Rendezvous(lab, programs, name="stun")
        publics = [lab.host(f"p{i}") for i in range(1 + FRIENDS)]
        self.homes = {name: lab.home(name, "portRestricted", "random") for name in ("laptop", "fresh")}
        lab.delay(build, MS // 2)
        self.settings = {"nat.stun_servers": '["%s:3478"]' % self.stun.addresses[0]}
        self.doors = [f"{h.address}:{PORT}" for h in publics]
        self.public = []
        for i, host in enumerate(publics):
            more = {"udp_port": str(PORT), "dht.bootstrap": json.dumps([d for d in self.doors[:3] if d != self.doors[i]])}
            self.public.append(Peer(lab, programs, host, f"p{i}", None, settings={**self.settings, **more}))
            self.public[-1].start()
        self.friends = self.public[1:]
        known = {"nat.introducers": json.dumps([f"{self.public[0].id}@{self.doors[0]}"]),
                 "dht.bootstrap": json.dumps(self.doors[:3])}
        self.laptop = Peer(lab, programs, self.homes["laptop"], "laptop", None, settings={**self.settings, **known})
        self.fill()
        self.laptop.start()
        for p in (*self.public, self.laptop):
            p.node.wait("in the DHT", lambda p=p: p.node.json("status")["dht"]["state"] == "ready", 60)
        node = self.laptop.node
        node.wait("published", lambda: (node.json("status")["dht"]["published"] or {"holders": 0})["holders"] >= 1, 60)
        node.command("ptn", "create", "family")
        for friend in self.friends:
            friend.node.command("join", node.command("ptn", "invite", "family").stdout.strip())

    def fill(self):
        """More than a megabyte in the laptop's database."""
        self.laptop.start()
        self.laptop.node.process.stop()
        db = sqlite3.connect(os.path.join(self.laptop.node.home, "teale.db"))
        now = int(time.time())
        db.executemany("INSERT INTO statements VALUES (?, ?, 1, 2, 3, 1, ?, ?, ?)",
                       [(os.urandom(32), os.urandom(32), now, now + 2_000_000, os.urandom(64)) for _ in range(ROWS)])
        db.commit()
        db.close()

    def restore(self, words):
        """(how long it took, what it printed)"""
        home = os.path.join(self.lab.dir, "restored")
        path = os.path.join(self.lab.dir, "words")
        with open(path, "w", encoding="ascii") as f:
            f.write(" ".join(words))
        argv = [self.programs.teale, "--home", home, "backup", "restore", "--json", "--words-file", path]
        for door in self.doors[:3]:
            argv += ["--bootstrap", door]
        begun = time.monotonic()
        done = self.lab.run(self.homes["fresh"], argv, timeout=120)
        return time.monotonic() - begun, json.loads(done.stdout)


def a_megabyte_comes_back_within_ten_seconds_though_holders_have_vanished(lab, programs, build):
    s = Scene(lab, programs, build)
    made = json.loads(s.laptop.node.command("backup", "create", "--json", timeout=150).stdout)
    assert made["size"] > 1_000_000, made["size"]
    assert (made["n"], made["held"], made["may_lose"]) == (FRIENDS, FRIENDS, FRIENDS - made["k"]), made
    node = s.laptop.node
    node.wait("its pointer in the DHT", lambda: node.json("backup", "status")["pointer"]["nodes"] > 0, 60)
    knew = s.laptop.id
    node.process.stop(9)
    shutil.rmtree(node.home)
    for friend in s.friends[-made["may_lose"]:]:
        lab.unplug(friend.host)
    took, back = s.restore(made["words"])
    lab.say(f"{made['size']} bytes, {made['may_lose']} of {FRIENDS} holders gone: {took:.1f} s")
    assert back["node_id"] == knew, back
    if took > 10:
        raise LabError(f"the restore took {took:.1f} s")


if __name__ == "__main__":
    build = sys.argv[1]
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(build), build))
