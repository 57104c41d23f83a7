#!/usr/bin/env python3
"""Near and far with the real binaries: one LAN, the same private addresses at both ends, a carrier's NAT, two
NATs in a row, hairpin or none, IPv6, no UDP at all; and a peer that names addresses nobody may be sent to."""
import ipaddress
import select
import sys
import threading
import time

from direct import Peer, Rendezvous, tell
from lab import LabError
from liar import Liar, UdpWatch
from nat import NatLab
from netns import udp_socket
from prober import Observer, hairpins, prove
from scene import Programs
from suite import run_tests

UNTIL_DIRECT_S = 8
STAYS_RELAYED_S = 4


def _meet(lab, programs, rendezvous, hosts, **peer):
    """Two nodes on those hosts, connected to the relay and sure of their NATs."""
    peers = [Peer(lab, programs, host, f"p{i}", rendezvous.url, **peer) for i, host in enumerate(hosts)]
    for p in peers:
        p.start()
    for p in peers:
        p.ready()
    peers[0].node.wait_model(peers[1].model)
    return peers


def assert_path(one, two, path):
    """`one` comes to have that path to `two`, and questions work over it."""
    direct, text = one.ping_until_direct(two, STAYS_RELAYED_S if path == "relayed" else UNTIL_DIRECT_S)
    _, answered_by, whole = one.ask(two)
    if not whole or answered_by != path or direct != (path != "relayed"):
        raise LabError(f"not {path} but {answered_by}: {text}\n{tell([one, two])}")


def two_hosts_of_one_lan_meet_there(lab, programs):
    router = lab.router("home", "symmetric", "random")
    one, two = _meet(lab, programs, Rendezvous(lab, programs), [router.host("one"), router.host("two")])
    assert_path(one, two, "lan")
    entry = one.peer_entry(two)
    assert entry["remote"].startswith(two.host.private + ":"), entry
    router.block_udp()  # the LAN is not behind it
    assert one.ask(two)[1:] == ("lan", True)


def guests_kept_apart_meet_at_a_router_that_hairpins(lab, programs):
    rendezvous, observer = Rendezvous(lab, programs), Observer(lab)
    for hairpin in (True, False):
        router = lab.router(f"hotel{hairpin}", "portRestricted", "random", hairpin=hairpin)
        hosts = [router.host(f"guest{hairpin}{i}") for i in (1, 2)]
        router.isolate(*hosts)
        assert hairpins(observer, *hosts)[0] == hairpin
        one, two = _meet(lab, programs, rendezvous, hosts)
        assert_path(one, two, "direct" if hairpin else "relayed")
        if hairpin:
            assert one.peer_entry(two)["remote"].startswith(router.address + ":"), one.peer_entry(two)
        else:
            assert f"one NAT ({router.address})" in one.why(two), one.why(two)
        for p in (one, two):
            p.stop()


def the_same_private_addresses_never_reach_the_wrong_host(lab, programs):
    port = 41000
    rendezvous = Rendezvous(lab, programs)
    here, there = lab.router("here", "portRestricted"), lab.router("there", "portRestricted")
    hosts = [here.host("a", 2), there.host("b", 3)]
    wrong_node = Peer(lab, programs, here.host("c", 3), "wrong", rendezvous.url,
                      settings={"udp_port": str(port)})  # where the other end says that it is
    wrong_node.start()
    # one more host there answers everything on that very address: here, in the other home
    echo = Echo(there.host("d", 2), port)
    one, two = _meet(lab, programs, rendezvous, hosts, settings={"udp_port": str(port)})
    assert_path(one, two, "direct")
    entry = one.peer_entry(two)
    assert entry["remote"].startswith(there.address + ":"), entry
    assert_path(two, one, "direct")
    assert two.peer_entry(one)["remote"].startswith(here.address + ":")
    assert echo.heard > 0, "the host that answers everything was never asked: nothing is shown"
    assert_path(one, wrong_node, "lan")
    entry = one.peer_entry(wrong_node)
    assert entry["remote"] == f"192.168.1.3:{port}", entry


def a_host_with_two_addresses_answers_from_the_one_that_was_asked(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    gpu, home = lab.host("gpu"), lab.home("asker", "portRestricted")
    second = gpu.address.rsplit(".", 1)[0] + ".9"
    lab.ip(gpu.ns, f"address add {second}/24 dev wan")
    home.router.drop_between(gpu.address)  # the one that the kernel would send from
    one, two = _meet(lab, programs, rendezvous, [home, gpu])
    assert_path(one, two, "direct")
    assert one.peer_entry(two)["remote"].startswith(second + ":"), one.peer_entry(two)
    assert_path(two, one, "direct")


class Echo(threading.Thread):
    """Sends every datagram back to where it came from."""

    def __init__(self, host, port):
        super().__init__(daemon=True)
        self.sock, self.heard = udp_socket(host.ns, host.private, port), 0
        self.start()

    def run(self):
        while True:
            select.select([self.sock], [], [])
            data, source = self.sock.recvfrom(2048)
            self.heard += 1
            self.sock.sendto(data, source)


def behind_a_carrier_as_far_as_its_nat_allows(lab, programs):
    rendezvous, observer = Rendezvous(lab, programs), Observer(lab)
    carrier = lab.router("carrier", "portRestricted", "random", lan="100.64.0")
    other = lab.router("other-carrier", "restrictedCone", "random", lan="100.64.0")
    hosts = [lab.home("a", "fullCone", "random", upstream=carrier), lab.home("b", "portRestricted", upstream=other)]
    prove(observer, hosts[0], "portRestricted", "random")
    one, two = _meet(lab, programs, rendezvous, hosts)
    assert_path(one, two, "direct")


def subscribers_of_one_carrier(lab, programs):
    rendezvous, observer = Rendezvous(lab, programs), Observer(lab)
    for hairpin in (True, False):
        carrier = lab.router(f"carrier{hairpin}", "portRestricted", "random", lan="100.64.0", hairpin=hairpin)
        hosts = [lab.home(f"{hairpin}{i}", "portRestricted", upstream=carrier) for i in (1, 2)]
        # homes that let everything in show what the carrier does
        open_homes = [lab.home(f"open{hairpin}{i}", "fullCone", upstream=carrier) for i in (1, 2)]
        assert hairpins(observer, *open_homes)[0] == hairpin
        one, two = _meet(lab, programs, rendezvous, hosts)
        assert_path(one, two, "direct" if hairpin else "relayed")
        if not hairpin:
            assert f"one NAT ({carrier.address})" in one.why(two), one.why(two)
        for p in (one, two):
            p.stop()


def ipv6_makes_symmetric_homes_direct(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    hosts = [lab.home(name, "symmetric", "random", v6=True) for name in ("a", "b")]
    one, two = _meet(lab, programs, rendezvous, hosts)
    assert_path(one, two, "direct")
    assert one.peer_entry(two)["remote"].startswith("[2001:db8:1:"), one.peer_entry(two)


def without_udp_it_stays_relayed_and_says_so(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    blocked, free = lab.home("blocked", "fullCone"), lab.home("free", "fullCone")
    blocked.router.block_udp()
    peers = [Peer(lab, programs, host, name, rendezvous.url) for host, name in ((blocked, "blocked"), (free, "free"))]
    for p in peers:
        p.start()
    for p in peers:
        p.node.wait_connected()
    one, two = peers
    one.node.wait_model(two.model)
    started = time.monotonic()
    first, path, whole = one.ask(two)
    assert whole and path == "relayed" and first < 1, (first, path)
    assert_path(one, two, "relayed")
    assert time.monotonic() - started < 30
    said = one.why(two)
    assert "UDP" in said, f"why does not tell the reason:\n{said}"


FORBIDDEN = [
    ("127.0.0.1", 9000), ("127.0.0.1", 11435), ("127.8.8.8", 53), ("0.0.0.0", 9000), ("0.1.2.3", 9000),
    ("169.254.169.254", 80), ("169.254.7.7", 9000), ("224.0.0.251", 5353), ("239.255.255.250", 1900),
    ("255.255.255.255", 67), ("240.0.0.1", 9000), ("192.168.1.255", 9000), ("100.100.100.200", 80),
    ("::1", 9000), ("::", 9000), ("::ffff:127.0.0.1", 9000), ("::ffff:169.254.169.254", 80), ("::127.0.0.1", 9000),
    ("fe80::1", 9000), ("ff02::1", 9000), ("64:ff9b::7f00:1", 9000), ("2002:7f00:1::1", 9000),
    ("fd00:ec2::254", 80), ("198.18.1.2", 0),
]
UNHEARD_MAX = 5


def nothing_is_sent_where_nobody_may_send(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host, elsewhere = lab.home("victim", "fullCone", v6=True), lab.host("liar", v6=True)
    victim = Peer(lab, programs, host, "victim", rendezvous.url)
    victim.start()
    victim.ready()
    watch = UdpWatch(lab, host)
    fine = (elsewhere.address, 5000)
    for i in range(0, len(FORBIDDEN), 12):  # at most 16 of a peer's candidates count
        liar = Liar(elsewhere, rendezvous.relay)  # and each is a stranger again
        lies = FORBIDDEN[i:i + 12]
        session = liar.offer(victim.id, public=lies[0], local=lies[1])
        liar.wait_answer(session)
        for address, port in lies:
            for kind in ("host", "serverReflexive"):
                liar.candidate(victim.id, session, address, port, kind)
        liar.candidate(victim.id, session, *fine)
    time.sleep(3)  # all that it would send to addresses that never answer
    sent = watch.finish()
    assert sent.count((ipaddress.ip_address(fine[0]), fine[1])) >= 1, "not even the permitted one was tried"
    # two sessions named it
    assert sent.count((ipaddress.ip_address(fine[0]), fine[1])) <= 2 * UNHEARD_MAX, "too often"
    named = {ipaddress.ip_address(a) for a, _ in FORBIDDEN}
    bad = [(str(a), p) for a, p in sent if a in named and str(a) != "198.18.1.2" or a.is_loopback or a.is_multicast
           or a.is_unspecified or a.is_link_local or p == 0]
    assert not bad, bad


def a_flood_of_candidates_costs_little(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host, elsewhere = lab.home("victim", "fullCone"), lab.host("liar")
    victim = Peer(lab, programs, host, "victim", rendezvous.url)
    victim.start()
    victim.ready()
    watch = UdpWatch(lab, host)
    liar = Liar(elsewhere, rendezvous.relay)
    session = liar.offer(victim.id, public=(elsewhere.address, 5000), local=(elsewhere.address, 5001))
    liar.wait_answer(session)
    for i in range(200):
        liar.candidate(victim.id, session, elsewhere.address, 6000 + i)
    time.sleep(3)
    there = [port for address, port in watch.finish() if str(address) == elsewhere.address]
    assert 1 <= len(there) <= 85, len(there)
    assert len(set(there)) <= 16, sorted(set(there))
    assert max(there.count(port) for port in there) <= UNHEARD_MAX
    assert victim.node.process.alive()


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1]), workers=4))
