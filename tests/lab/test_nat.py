#!/usr/bin/env python3
"""The lab's NATs are what they are called, and break as they are told to; nothing of the product runs.
Exit 77 (skipped) where network namespaces cannot be made."""
import sys
import time

from nat import PORTS, TYPES, NatLab
from netns import udp_socket
from prober import (Observer, Probe, ProbeError, filtering, hairpins, mapping, prove, receive,
                    two_hosts_with_one_port_stay_apart, unasked_packets_do_not_move_the_port)
from suite import run_tests

CONES = ("fullCone", "restrictedCone", "portRestricted")


def every_type_maps_and_filters_as_it_is_called(lab):
    observer = Observer(lab)
    prove(observer, lab.host("open"), "public")
    for kind in TYPES + ("addressSymmetric",):
        for ports in PORTS:
            host = lab.home(f"{kind}-{ports}", kind, ports)
            prove(observer, host, kind, ports)
            if kind in CONES:
                assert unasked_packets_do_not_move_the_port(observer, host), (kind, ports)


def the_prober_rejects_a_nat_that_is_another(lab):
    observer = Observer(lab)
    host = lab.home("h", "restrictedCone", "random")
    prove(observer, host, "restrictedCone", "random")
    for kind, ports in (("portRestricted", "random"), ("fullCone", "random"), ("symmetric", "random"),
                        ("public", "preserved"), ("restrictedCone", "preserved")):
        try:
            prove(observer, host, kind, ports)
        except ProbeError:
            continue
        raise AssertionError(f"taken for {kind}, ports {ports}")


def hosts_of_one_lan_keep_a_port_each(lab):
    observer = Observer(lab)
    for kind in CONES:
        for ports in PORTS:
            router = lab.router(f"{kind}-{ports}", kind, ports)
            one, two = router.host(f"{kind}-{ports}-1"), router.host(f"{kind}-{ports}-2")
            assert two_hosts_with_one_port_stay_apart(observer, one, two), (kind, ports)


def a_router_hairpins_when_told_to(lab):
    observer = Observer(lab)
    for kind in TYPES:
        for hairpin in (False, True):
            router = lab.router(f"{kind}-{hairpin}", kind, hairpin=hairpin)
            one, two = router.host(f"{kind}-{hairpin}-1"), router.host(f"{kind}-{hairpin}-2")
            reached, outside_source = hairpins(observer, one, two)
            assert reached == hairpin, (kind, hairpin)
            assert outside_source == (hairpin and kind != "symmetric"), (kind, hairpin)
            prove(observer, one, kind)


def guests_reach_the_router_alone(lab):
    observer = Observer(lab)
    router = lab.router("hotel", "fullCone")
    one, two = router.host("one"), router.host("two")
    a, b = Probe(observer, one), Probe(observer, two)
    a.sock.sendto(b"neighbour", b.local)
    assert receive(b.sock)[0] == b"neighbour"
    router.isolate(one, two)
    a.sock.sendto(b"guest", b.local)
    a.seen(0, 0)
    outside = b.seen(0, 0)
    observer.sockets[0][0].sendto(b"fence", outside)
    assert receive(b.sock)[0] == b"fence"
    prove(observer, one, "fullCone")


def behind_a_carrier_the_stricter_of_two_nats_shows(lab):
    observer = Observer(lab)
    for outer, inner, expected in (
            ("fullCone", "portRestricted", "portRestricted"), ("portRestricted", "fullCone", "portRestricted"),
            ("restrictedCone", "fullCone", "restrictedCone"), ("symmetric", "fullCone", "symmetric")):
        carrier = lab.router(f"{outer}-{inner}", outer, "random", lan="100.64.0")
        homes = [lab.home(f"{outer}-{inner}-{n}", inner, "random", upstream=carrier) for n in (1, 2)]
        for home in homes:
            assert home.address.startswith("100.64.0."), home.address
            prove(observer, home, expected, "random")
        assert homes[0].private == homes[1].private == "192.168.1.2"


def subscribers_of_one_carrier_meet_where_it_hairpins(lab):
    observer = Observer(lab)
    for hairpin in (False, True):
        carrier = lab.router(f"carrier-{hairpin}", "fullCone", "random", lan="100.64.0", hairpin=hairpin)
        one, two = (lab.home(f"{hairpin}-{n}", "fullCone", "random", upstream=carrier) for n in (1, 2))
        assert hairpins(observer, one, two)[0] == hairpin


def a_home_may_have_ipv6_behind_a_firewall(lab):
    outside = lab.host("outside", v6=True)
    host = lab.home("h", "symmetric", v6=True)
    out = udp_socket(outside.ns, outside.address6, 7001)
    inside = udp_socket(host.ns, host.address6, 9000)
    other = udp_socket(outside.ns, outside.address6, 7002)
    inside.sendto(b"hello", (outside.address6, 7002))  # neighbours are known from here on
    assert receive(other)[0] == b"hello"
    other.sendto(b"welcome", (host.address6, 9000))
    assert receive(inside)[0] == b"welcome"
    out.sendto(b"unasked", (host.address6, 9000))
    inside.sendto(b"question", (outside.address6, 7001))
    text, source = receive(out)
    assert text == b"question" and source[:2] == (host.address6, 9000), source
    out.sendto(b"answer", source)
    heard = receive(inside)
    assert heard[0] == b"answer", heard
    third = udp_socket(outside.ns, outside.address6, 7003)
    third.sendto(b"from elsewhere", source)
    out.sendto(b"answer again", source)
    heard = receive(inside)
    assert heard[0] == b"answer again", heard
    host.router.block_udp()
    inside.sendto(b"blocked", (outside.address6, 7001))
    host.router.unblock_udp()
    inside.sendto(b"again", (outside.address6, 7001))
    assert receive(out)[0] == b"again"


def udp_is_blocked_at_the_router_and_comes_back(lab):
    observer = Observer(lab)
    host = lab.home("h")
    probe = Probe(observer, host)
    outside = probe.seen(0, 0)
    host.router.block_udp()
    probe.sock.sendto(b"blocked", observer.at(0, 0))
    observer.sockets[0][0].sendto(b"blocked too", outside)
    host.router.unblock_udp()
    assert probe.seen(0, 0) == outside
    assert probe.hears(outside, [], fence=(0, 0)) == set()


def a_router_that_forgets_makes_new_mappings(lab):
    observer = Observer(lab)
    for ports in PORTS:
        host = lab.home(ports, "portRestricted", ports)
        probe = Probe(observer, host)
        before = probe.seen(0, 0)
        assert probe.seen(1, 0) == before
        host.router.forget()
        after = probe.seen(1, 0)
        assert (after == before) == (ports == "preserved"), (before, after)
        assert probe.hears(after, [(0, 0)], fence=(1, 0)) == set(), "the old flow still passes"
        host.router.rebind()
        moved = probe.seen(1, 0)
        assert moved != after and probe.seen(0, 1) == moved, (after, moved)


def a_public_address_changes_under_way(lab):
    observer = Observer(lab)
    for kind in TYPES:
        host = lab.home(kind, kind)
        probe = Probe(observer, host)
        old = probe.seen(0, 0)
        new = host.router.new_address()
        assert new != old[0] and probe.seen(0, 0)[0] == new
        prove(observer, host, kind)


def a_host_moves_to_another_network(lab):
    observer = Observer(lab)
    first, second = lab.router("first", "fullCone"), lab.router("second", "portRestricted", "random", lan="10.7.3")
    host = first.host("h")
    prove(observer, host, "fullCone")
    lab.move(host, second)
    assert host.private == "10.7.3.2" and lab.addresses(host.ns).count("10.7.3.2") == 1
    prove(observer, host, "portRestricted", "random")


def loss_takes_its_share(lab):
    observer = Observer(lab)
    host = lab.home("h", "fullCone")
    probe = Probe(observer, host)
    outside = probe.seen(0, 0)
    arrived = 0
    for _ in range(20):  # few enough at a time for the receive buffer
        host.router.lose(20)
        for _ in range(100):
            observer.sockets[0][0].sendto(b"x", outside)
        host.router.lose(0)
        observer.sockets[0][0].sendto(b"fence", outside)
        while (got := receive(probe.sock)) and got[0] != b"fence":
            arrived += 1
        assert got, "the fence did not arrive"
    assert 1500 < arrived < 1700, arrived  # 1600 with a standard deviation of 18


def large_packets_vanish_in_a_black_hole(lab):
    observer = Observer(lab)
    host = lab.home("h", "fullCone")
    lab.plain(host)
    probe = Probe(observer, host)
    probe.seen(0, 0)
    host.router.swallow_larger_than(1300)
    probe.sock.sendto(b"l" * 1273, observer.at(0, 0))  # 1301 with IP and UDP headers
    probe.sock.sendto(b"s" * 1272, observer.at(0, 0))
    assert receive(observer.sockets[0][0])[0] == b"s" * 1272
    host.router.swallow_larger_than(None)
    probe.sock.sendto(b"l" * 1273, observer.at(0, 0))
    assert receive(observer.sockets[0][0])[0] == b"l" * 1273


def one_path_is_a_black_hole_and_others_are_not(lab):
    observer = Observer(lab)
    host = lab.home("h", "fullCone")
    probe = Probe(observer, host)
    outside = probe.seen(0, 0)
    host.router.drop_between(observer.at(1, 0)[0])
    probe.sock.sendto(b"lost", observer.at(1, 0))
    assert probe.hears(outside, [(1, 0), (1, 1)], fence=(0, 0)) == set()
    host.router.undrop_between()
    assert probe.seen(1, 0) == outside
    assert probe.hears(outside, [(1, 1)], fence=(0, 0)) == {(1, 1)}


def mapping_and_filtering_can_be_told_apart_in_words(lab):
    observer = Observer(lab)
    host = lab.home("h", "addressSymmetric")
    assert mapping(observer, host) == ("address-dependent", True)
    assert filtering(observer, host) == "address-and-port-dependent"


def the_internet_may_be_slow(lab, build):
    observer = Observer(lab)
    host = lab.home("h", "portRestricted", "random")
    lab.delay(build, 20)
    probe = Probe(observer, host)
    started = time.monotonic()
    outside = probe.seen(0, 0)
    there = time.monotonic()
    assert probe.hears(outside, [(0, 1)], fence=(0, 0)) == set()
    back = time.monotonic() - there
    assert 0.02 <= there - started < 0.2 and 0.02 <= back < 0.2, (there - started, back)
    prove(observer, host, "portRestricted", "random")


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, sys.argv[1]))
