#!/usr/bin/env python3
"""What a node finds out about its network (net/network, run alone by `natlook`) is what the prober finds
without STUN; and what it does when the network changes under it."""
import json
import os
import pathlib
import signal
import sys
import time

from direct import Rendezvous
from lab import LabError
from nat import PORTS, TYPES, NatLab
from netns import sysctl
from prober import EXPECTED, Observer, prove
from scene import Programs
from suite import run_tests

TYPE_OF = {"public": "fullCone", "addressSymmetric": "symmetric"}  # the others are called what they are


class Look:
    def __init__(self, lab, programs, host, *servers):
        program = str(pathlib.Path(programs.parrot).with_name("natlook"))
        self.process = lab.start(host, [program, *servers])
        self.seen = 0

    def lines(self):
        whole = self.process.output().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def wait(self, what, right, timeout=15):
        """The next line for which right(line) holds."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            lines = self.lines()
            for i, line in enumerate(lines[self.seen:], self.seen + 1):
                if right(line):
                    self.seen = i
                    return line
            if not self.process.alive():
                break
            time.sleep(0.01)
        raise LabError(f"not {what} within {timeout} s: {self.lines()[-3:]} {self.process.errors()}")

    def first(self):
        return self.wait("done with the first round", lambda l: l["event"] == "look")

    def again(self):
        self.process.popen.send_signal(signal.SIGUSR1)
        return self.wait("done with another round", lambda l: l["event"] == "look")

    def stop(self):
        status = self.process.stop()
        assert status == 0, (status, self.process.errors())


def _servers(rendezvous):
    return [f"{rendezvous.addresses[0]}:3478"]


def _ip(text):
    return text.rpartition(":")[0]


def every_nat_is_found_to_be_what_it_is(lab, programs):
    rendezvous, observer = Rendezvous(lab, programs), Observer(lab)
    hosts = [(lab.host("open"), "public", "preserved")]
    hosts += [(lab.home(f"{k}-{p}", k, p), k, p) for k in TYPES + ("addressSymmetric",) for p in PORTS]
    for host, kind, ports in hosts:
        prove(observer, host, kind, ports)
        look = Look(lab, programs, host, *_servers(rendezvous))
        for found in (look.first(), look.again()):  # the second round is not fooled by the first's traces
            assert (found["mapping"], found["filtering"]) == EXPECTED[kind], (kind, ports, found)
            assert found["type"] == TYPE_OF.get(kind, kind), (kind, ports, found)
            assert _ip(found["public4"]) == host.address and not found["blocked"], found
            assert found["preserved"] == (kind == "public" or ports == "preserved"), (kind, ports, found)
        look.stop()


def hairpinning_is_found_where_it_is(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    for hairpin in (True, False):
        host = lab.home(f"hair{hairpin}", "portRestricted", "random", hairpin=hairpin)
        look = Look(lab, programs, host, *_servers(rendezvous))
        found = look.first()
        assert found["hairpin"] == ("yes" if hairpin else "no"), (hairpin, found)
        look.stop()


def behind_two_nats_the_stricter_is_what_is_found(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    carrier = lab.router("carrier", "symmetric", "random", lan="100.64.0")
    host = lab.home("twice", "fullCone", upstream=carrier)
    found = Look(lab, programs, host, *_servers(rendezvous)).first()
    assert found["type"] == "symmetric" and _ip(found["public4"]) == carrier.address, found


def both_families_are_found(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host = lab.home("six", "portRestricted", v6=True)
    found = Look(lab, programs, host, *_servers(rendezvous)).first()
    assert any(host.address6 in c for c in found["candidates"]), found
    assert any(f"serverReflexive {host.address}:" in c for c in found["candidates"]), found


def a_network_that_carries_no_udp_is_said_to(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host = lab.home("mute")
    host.router.block_udp()
    look = Look(lab, programs, host, *_servers(rendezvous))
    found = look.first()
    assert found["blocked"] and found["type"] == "unknown" and not found["public4"], found
    host.router.unblock_udp()
    look.wait("open again", lambda l: not l["blocked"] and l["type"] == "portRestricted", timeout=30)
    look.stop()


def without_a_route_nobody_is_waited_for(lab, programs):
    host = lab.host("alone")
    lab.ip(host.ns, "route flush table main")
    look = Look(lab, programs, host, "198.51.100.1:3478")
    began = time.monotonic()
    found = look.first()
    assert found["blocked"] and time.monotonic() - began < 2, found
    look.stop()


def another_network_is_noticed_at_once(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host = lab.home("laptop", "portRestricted")
    look = Look(lab, programs, host, *_servers(rendezvous))
    assert look.first()["type"] == "portRestricted"
    cafe = lab.router("cafe", "symmetric", "random", lan="192.168.7")
    began = time.monotonic()
    lab.move(host, cafe)
    moved = look.wait("told", lambda l: l["moved"])
    found = look.wait("at home there", lambda l: l["type"] == "symmetric" and _ip(l["public4"]) == cafe.address)
    took = time.monotonic() - began
    assert took < 3, took
    assert any("192.168.7." in c for c in found["candidates"]), found
    assert not any("192.168.1." in c for c in found["candidates"]), found
    print(f"        told {moved['type']}; found the new network after {took:.2f} s")
    look.stop()


def a_cable_pulled_and_put_back_is_noticed(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host = lab.home("desk", "restrictedCone")
    look = Look(lab, programs, host, *_servers(rendezvous))
    assert look.first()["type"] == "restrictedCone"
    lab.unplug(host)
    look.wait("told of it", lambda l: l["moved"] and l["blocked"] or not l["candidates"])
    lab.plug(host)
    look.wait("back", lambda l: l["type"] == "restrictedCone" and l["candidates"] and not l["blocked"])
    look.stop()


def a_suspicion_finds_a_new_public_address(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host = lab.home("dsl", "portRestricted", "random")
    look = Look(lab, programs, host, *_servers(rendezvous))
    before = look.first()["public4"]
    for change in (host.router.new_address, host.router.rebind):
        change()
        began = time.monotonic()
        look.process.popen.send_signal(signal.SIGUSR2)
        after = look.wait("told", lambda l: l["moved"] and l["public4"] not in ("", before))["public4"]
        assert time.monotonic() - began < 2
        assert _ip(after) == host.router.address, (before, after)
        before = after
        time.sleep(1.1)  # at most one suspicion a second is followed up
    look.stop()


def a_mapping_that_dies_early_is_kept_more_often(lab, programs):
    """The router forgets after 8 s; the node, which asks every 25 s at first, learns to keep it open."""
    rendezvous = Rendezvous(lab, programs)
    host = lab.home("hasty", "portRestricted", "random")
    sysctl(host.router.ns, {"net/netfilter/nf_conntrack_udp_timeout": 8,
                            "net/netfilter/nf_conntrack_udp_timeout_stream": 8})
    look = Look(lab, programs, host, *_servers(rendezvous))
    look.first()
    began, seen = time.monotonic(), look.lines()
    while time.monotonic() < began + 60 and seen[-1]["keepalive_s"] == 25:
        time.sleep(1)
        # the lab's rules remember a flow's port longer than the flow lives: have them forget, too
        lab.nft(host.router.ns, "flush map ip home mapped")
        seen = look.lines()
    assert seen[-1]["keepalive_s"] < 25, seen[-1]
    look.stop()


def after_a_long_sleep_it_looks_where_it_is(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host = lab.home("sleeper", "portRestricted", "random")
    look = Look(lab, programs, host, *_servers(rendezvous))
    before = look.first()["public4"]
    os.kill(look.process.pid, signal.SIGSTOP)
    host.router.new_address()
    time.sleep(40)
    os.kill(look.process.pid, signal.SIGCONT)
    began = time.monotonic()
    after = look.wait("awake", lambda l: l["moved"] and l["public4"] not in ("", before))
    assert time.monotonic() - began < 2 and _ip(after["public4"]) == host.router.address, after
    look.stop()


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1]), workers=4))
