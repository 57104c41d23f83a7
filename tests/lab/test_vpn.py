#!/usr/bin/env python3
"""Two nodes that share a VPN beside their direct path: a tunnel is never taken for the local network, the faster way
carries the answer, and a VPN whose packets go over the same cable moves nobody to and fro.

    test_vpn.py BUILD [NAME]"""
import re
import sys
import time

from direct import Peer, Rendezvous, Stream, tell
from lab import LabError
from nat import NatLab
from scene import Programs
from suite import run_tests
from tunnel import Tunnel

SIZE = 60_000_000
RATE = 6_000_000


class _Scene:
    def __init__(self, lab, programs, rate=RATE, alone=False, **tunnel):
        self.lab, self.programs = lab, programs
        rendezvous = Rendezvous(lab, programs)
        self.hosts = [lab.host("asker"), lab.host("gpu")]
        self.tunnel = Tunnel(lab, self.hosts, **tunnel)
        if alone:
            self.tunnel.alone()
        parrot = ["--model", f"bytes:{SIZE}", "--bytes-per-s", str(rate)]
        self.asker = Peer(lab, programs, self.hosts[0], "asker", rendezvous.url)
        self.gpu = Peer(lab, programs, self.hosts[1], "gpu", rendezvous.url, parrot=parrot)
        for p in (self.asker, self.gpu):
            p.start()
        for p in (self.asker, self.gpu):
            p.node.wait_connected()
        self.asker.node.wait_model(self.gpu.model)

    def settle(self):
        """Until the connection is direct and has chosen among its ways; its entry in `peers`."""
        ok, text = self.asker.ping_until_direct(self.gpu, 10)
        if not ok:
            self.fail(f"not direct: {text}")
        last, since = None, time.monotonic()
        while time.monotonic() < since + 3:
            entry = self.asker.peer_entry(self.gpu)
            if last != (entry["path"], entry["remote"]):
                last, since = (entry["path"], entry["remote"]), time.monotonic()
            time.sleep(0.1)
        return last

    def expect(self, path, remote):
        found = self.settle()
        if found[0] != path or not found[1].startswith(remote + ":"):
            self.fail(f"not {path} to {remote}, but {found}")
        _, by, whole = self.asker.ask(self.gpu)
        if not whole or by != path:
            self.fail(f"answered by {by}, whole: {whole}")

    def moves(self):
        text = self.asker.node.curl("/../metrics").stdout
        kinds = re.findall(r"(?m)^teale_path_moves_total\{.*\} (\d+)", text)
        assert len(kinds) == 4, text
        return sum(map(int, kinds))

    def fail(self, what):
        raise LabError(f"{what}\n{tell([self.asker, self.gpu])}")


def a_tunnel_that_both_share_is_left_for_the_faster_direct_path(lab, programs):
    scene = _Scene(lab, programs, mode="tun", delay_ms=20)
    scene.expect("direct", scene.gpu.host.address)


def a_tunnel_that_looks_like_ethernet_is_left_too(lab, programs):
    scene = _Scene(lab, programs, mode="tap", delay_ms=20)
    scene.expect("direct", scene.gpu.host.address)
    assert "local network" not in scene.asker.why(scene.gpu), scene.asker.why(scene.gpu)


def what_looks_local_and_is_clearly_slower_is_left_too(lab, programs):
    scene = _Scene(lab, programs, mode="tap", delay_ms=20, bridged=True)
    scene.expect("direct", scene.gpu.host.address)
    why = scene.asker.why(scene.gpu)
    assert "it is clearly faster than the local network" in why, why


def the_tunnel_is_used_where_it_is_the_only_way_and_is_not_called_lan(lab, programs):
    scene = _Scene(lab, programs, mode="tun", delay_ms=5, alone=True)
    scene.expect("direct", Tunnel.ADDRESSES[1])


def a_bridge_without_a_better_way_is_the_local_network(lab, programs):
    scene = _Scene(lab, programs, mode="tap", bridged=True, alone=True)
    scene.expect("lan", Tunnel.ADDRESSES[1])


def a_vpn_over_the_same_cable_never_flaps(lab, programs):
    _never_flaps(lab, programs, bridged=False)


def nor_does_one_that_looks_local(lab, programs):
    _never_flaps(lab, programs, bridged=True)


def _never_flaps(lab, programs, bridged):
    # a cable of 100 Mbit/s with a long queue: the answer fills it, and the VPN's packets wait in the same queue
    scene = _Scene(lab, programs, rate=50_000_000, mode="tap", bridged=bridged)
    lab.run(None, ["tc", "-n", scene.hosts[1].ns, "qdisc", "add", "dev", "wan", "root", "tbf", "rate", "100mbit",
                   "burst", "20kb", "latency", "100ms"])
    scene.settle()
    before = scene.moves()
    stream = Stream(lab, scene.asker, scene.gpu, SIZE)
    stall = stream.finish(scene.programs)
    time.sleep(3)  # the queue drains, and round trips are short again
    moves = scene.moves() - before
    lab.say(f"{'bridged' if bridged else 'tunnel'}: {moves} moves under an answer that fills the cable, "
            f"longest silence {stall * 1000:.0f} ms")
    if moves > 1:
        scene.fail(f"{moves} moves")


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1]), workers=2))
