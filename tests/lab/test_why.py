#!/usr/bin/env python3
"""`teale why`, `doctor`, `netcheck` and `status` behind real NATs: the true reason in each case.

    test_why.py BUILD [NAME]"""
import json
import sys

from direct import Peer, Rendezvous
from lab import LabError
from nat import NatLab
from scene import Programs
from suite import run_tests

NAMES = {  # of the type: mapping, filtering, the Tesseras name
    "fullCone": ("endpoint-independent", "endpoint-independent", "Cone"),
    "restrictedCone": ("endpoint-independent", "address-dependent", "Cone"),
    "portRestricted": ("endpoint-independent", "address-and-port-dependent", "Cone"),
    "symmetric": ("address-and-port-dependent", "address-and-port-dependent", "Symmetric"),
}


class Two:
    """A provider and an asker behind routers of these types, connected with each other."""

    def __init__(self, lab, programs, provider="portRestricted", asker="portRestricted", *, blocked=None,
                 provider_extra=(), connect=True, **more):
        rendezvous = Rendezvous(lab, programs)
        self.url = rendezvous.url
        homes = {"gpu": lab.home("gpu", provider, **more), "friend": lab.home("friend", asker, **more)}
        if blocked:
            homes[blocked].router.block_udp()
        self.gpu = Peer(lab, programs, homes["gpu"], "gpu", self.url, extra=provider_extra)
        self.friend = Peer(lab, programs, homes["friend"], "friend", self.url)
        for peer in (self.gpu, self.friend):
            peer.start()
        for peer in (self.gpu, self.friend):
            peer.node.wait_connected()
            if peer is self.gpu and "--relayed" in provider_extra:
                continue
            if blocked != peer.name:
                peer.ready()
            else:
                peer.node.wait("sure that UDP is blocked", lambda p=peer: p.node.json("status")["nat"]["state"] == "blocked")
        if connect:
            self.friend.node.command("ping", "-c", "1", self.gpu.id)

    def why(self, asker="friend"):
        of, to = (self.friend, self.gpu) if asker == "friend" else (self.gpu, self.friend)
        return of.node.json("why", to.id)

    def wait_reason(self, reason, asker="friend", timeout=40):
        of = self.friend if asker == "friend" else self.gpu
        try:
            of.node.wait(f"told of {reason}", lambda: self.why(asker)["reason"] == reason, timeout)
        except LabError as e:
            raise LabError(f"{json.dumps(self.why(asker), indent=1)}\n{e}") from e
        return self.why(asker)


def doctor(peer, code):
    done = peer.node.command("doctor", "--json", check=False)
    assert done.returncode == code, (done.returncode, done.stdout)
    return {c["id"]: c for c in json.loads(done.stdout)["checks"]}


def a_direct_path_names_the_address_that_answered(lab, programs):
    two = Two(lab, programs)
    direct, printed = two.friend.ping_until_direct(two.gpu)
    assert direct, printed
    why = two.wait_reason("direct")
    assert (why["path"], why["remedy"]) == ("direct", ""), why
    used = [p for p in why["pairs"] if p["used"]]
    assert len(used) == 1 and used[0]["remote"].startswith(two.gpu.host.address + ":"), why
    assert used[0]["state"] == "valid" and used[0]["answered"] > 0 and used[0]["rtt_ms"] > 0, why
    assert used[0]["seen_as"].startswith(two.friend.host.address + ":"), why
    assert used[0]["remote"] in why["because"] and why["rule"], why
    # the private address of the other side is the same as ours: it was tried, and nobody answered as the peer
    assert (why["ours"]["nat"], why["theirs"]["nat"]) == ("portRestricted", "portRestricted"), why
    assert two.why("gpu")["reason"] == "direct"
    entry = two.friend.peer_entry(two.gpu)
    assert (entry["path"], entry["remote"], entry["nat_type"]) == ("direct", used[0]["remote"], "portRestricted"), entry
    assert two.friend.node.json("status")["peers"]["direct"] == 1
    doctor(two.friend, 0)


def two_symmetric_nats_are_told_and_a_port_mapping_is_named_as_the_remedy(lab, programs):
    two = Two(lab, programs, "symmetric", "symmetric")
    why = two.wait_reason("both_symmetric")
    assert why["path"] == "relayed" and "port mapping" in why["remedy"], why
    assert why["pairs"] and not any(p["answered"] for p in why["pairs"]), why
    assert any(p["sent"] for p in why["pairs"]), why
    assert two.wait_reason("both_symmetric", "gpu")
    checks = doctor(two.friend, 0)
    assert checks["nat"]["state"] == "warning" and "symmetric" in checks["nat"]["evidence"], checks
    assert "forward UDP port" in checks["nat"]["remedy"], checks
    assert two.friend.ask(two.gpu)[1:] == ("relayed", True)


def udp_blocked_here_is_told_here_and_guessed_there(lab, programs):
    two = Two(lab, programs, blocked="friend")
    why = two.wait_reason("udp_blocked_here")
    assert "E_UDP_BLOCKED: 0 of 1" in why["because"] and "Allow outgoing UDP" in why["remedy"], why
    assert two.wait_reason("udp_blocked_there", "gpu")["remedy"].startswith("Allow outgoing UDP on the other side")
    udp = doctor(two.friend, 1)["udp"]
    assert udp["evidence"] == "E_UDP_BLOCKED: 0 of 1 STUN servers answered; the relay works over TCP 8080", udp
    assert two.friend.node.json("netcheck")["udp"]["blocked"]
    assert "E_UDP_BLOCKED" in two.friend.node.command("status").stdout
    assert two.friend.ask(two.gpu)[1:] == ("relayed", True)
    two.friend.host.router.unblock_udp()
    checks = doctor(two.friend, 0)  # it looks anew
    assert checks["udp"]["state"] == "ok", checks
    two.friend.wait_path(two.gpu, "direct", 40)


def a_peer_that_goes_direct_with_nobody_answers_no_offer(lab, programs):
    two = Two(lab, programs, provider_extra=["--relayed"])
    why = two.wait_reason("offers_unanswered")
    assert "nat.direct" in why["remedy"], why
    assert two.why("gpu")["reason"] == "switched_off"


def packets_that_vanish_between_the_two_are_no_nats_fault(lab, programs):
    two = Two(lab, programs, connect=False)
    two.gpu.host.router.drop_between(two.friend.host.address)
    two.friend.node.command("ping", "-c", "1", two.gpu.id)
    why = two.wait_reason("no_answer")
    assert "firewall" in why["because"], why
    two.gpu.host.router.undrop_between()
    two.friend.wait_path(two.gpu, "direct", 60)


def netcheck_tells_each_nat_by_all_its_names(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    for kind, (mapping, filtering, tesseras) in NAMES.items():
        for ports in ("preserved", "random"):
            name = kind[:6] + ports[0]
            peer = Peer(lab, programs, lab.home(name, kind, ports), name, rendezvous.url)
            peer.start()
            peer.ready(kind)
            check = peer.node.json("netcheck")
            nat = check["nat"]
            assert (nat["type"], nat["mapping"], nat["filtering"], nat["tesseras_type"]) == (
                kind, mapping, filtering, tesseras), (kind, ports, nat)
            assert nat["public"].startswith(peer.host.address + ":"), nat
            assert nat["port_preserved"] is (ports == "preserved") or kind == "symmetric", (kind, ports, nat)
            assert all(s["answered"] and s["rfc5780"] for s in check["stun"]) and len(check["stun"]) == 1, check
            text = peer.node.command("status").stdout
            assert f"\nnat: {kind}, mapping {mapping}, filtering {filtering}, public {peer.host.address}:" in text, text
            peer.stop()


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1]), workers=4))
