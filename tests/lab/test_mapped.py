#!/usr/bin/env python3
"""What a port mapping is worth to a user: two nodes behind symmetric NATs, which nothing else brings
together. Real binaries, a real miniupnpd. Exit 77 (skipped) where network namespaces cannot be made."""
import sys
import time

from direct import Peer, Rendezvous, tell
from igd import Gateway, installed
from lab import LabError
from nat import NatLab
from scene import Programs
from suite import run_tests


def _pair(net, programs, gateways):
    """Two nodes behind symmetric NATs, and the port mapping daemons of their routers: keywords of a Gateway, or
    None for none."""
    relay = Rendezvous(net, programs)
    peers, boxes = [], []
    for name, gateway in zip(("gpu", "friend"), gateways):
        host = net.home(name, "symmetric", "random")
        boxes.append(None if gateway is None else Gateway(net, host.router, **gateway))
        peers.append(Peer(net, programs, host, name, relay.url, settings={"nat.port_mapping": "true"}))
        peers[-1].start()
    for p, box in zip(peers, boxes):
        p.node.wait_connected()
        if box:
            p.node.wait("given a mapping", box.mappings)
    peers[1].node.wait_model(peers[0].model)
    return peers, boxes


def _ask(gpu, friend):
    """Seconds to the answer's first byte, and from then until the path was direct (None: 6 s, and it was not)."""
    first, _, whole = friend.ask(gpu)
    assert whole
    try:
        return first, friend.wait_path(gpu, "direct", timeout=6)
    except LabError:
        return first, None


def two_symmetric_nats_stay_relayed_without_a_mapping(lab, programs):
    (gpu, friend), _ = _pair(lab, programs, (None, None))
    _, took = _ask(gpu, friend)
    assert took is None and friend.path_to(gpu) == "relayed", tell([gpu, friend])


def a_mapping_on_one_side_makes_them_direct(lab, programs):
    for gateway in ({"upnp": False}, {"udp": False}):
        with NatLab("mapped1") as inner:
            (gpu, friend), (box, _) = _pair(inner, programs, (gateway, None))
            first, took = _ask(gpu, friend)
            assert took is not None, tell([gpu, friend])
            assert friend.ask(gpu)[1:] == ("direct", True)
            port = next(iter(box.mappings()))
            assert box.mappings()[port][0] == gpu.host.private
            print(f"    {'PCP' if 'upnp' in gateway else 'UPnP'}: first byte after {first * 1000:.0f} ms, "
                  f"direct within {took * 1000:.0f} ms of it")


def the_mapping_is_told_and_gone_after_the_exit(lab, programs):
    (gpu, friend), (box, _) = _pair(lab, programs, ({}, None))
    nat = gpu.node.json("status")["nat"]
    assert nat["mapped_by"] == "PCP", nat
    assert friend.node.json("status")["nat"]["mapped_by"] is None
    told = gpu.node.json("netcheck")["port_mapping"]
    assert told["method"] == "PCP" and told["address"].startswith(box.address + ":"), told
    friend.node.wait("told that nobody maps", lambda: "answered neither PCP, NAT-PMP nor UPnP" in
                     friend.node.json("netcheck")["port_mapping"]["error"])
    assert box.mappings()
    assert _seconds_to_end(gpu) < 3 and box.mappings() == {}, box.mappings()
    gpu.start()
    gpu.node.wait("given a mapping", box.mappings)
    box.deaf_to("meta l4proto { tcp, udp }")
    took = _seconds_to_end(gpu)
    assert took < 4, f"a silent gateway held the exit up: {took:.1f} s"


def _seconds_to_end(peer):
    started = time.monotonic()
    assert peer.node.process.stop() == 0
    return time.monotonic() - started


def switched_off_nothing_is_asked(lab, programs):
    relay = Rendezvous(lab, programs)
    host = lab.home("gpu", "symmetric", "random")
    box = Gateway(lab, host.router)
    gpu = Peer(lab, programs, host, "gpu", relay.url, settings={"nat.port_mapping": "false"})
    gpu.start()
    gpu.node.wait_connected()
    time.sleep(1)
    assert box.mappings() == {} and "request received" not in box.said()
    assert gpu.node.json("status")["nat"]["mapped_by"] is None


if __name__ == "__main__":
    if not installed():
        print("skipped: no miniupnpd")
        sys.exit(77)
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1])))
