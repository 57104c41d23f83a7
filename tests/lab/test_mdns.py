#!/usr/bin/env python3
"""Nodes announce and find each other on a LAN: by avahi's core, beside a real avahi-daemon, and with python3-zeroconf at
the other end; and what floods and forgers cost them."""
import pathlib
import random
import signal
import sys
import time

from mdnsnet import Avahi, Forger, MdnsNode, Zeroconf, service
from nat import NatLab
from suite import run_tests

LATE_MAX_US = 5_000_000  # of the loop, on a busy machine; a call of D-Bus that waits for a daemon takes 25 s
A_KEY = "ee0f1d36fe61e9a0d86b092119e1bace30c9ab6b827fce2f1ba4be4db7c41801"  # of seed 2, which no test here starts
SMALL_ORDER = "01" + "00" * 31


def _lan(lab, n):
    router = lab.router("home", "fullCone")
    return router, [router.host(f"h{i}") for i in range(n)]


def two_nodes_find_each_other_by_ipv4_and_link_local_ipv6(lab, build):
    _, (h1, h2) = _lan(lab, 2)
    one, two = MdnsNode(lab, h1, build, 101, 4001), MdnsNode(lab, h2, build, 102, 4002)
    one.wait_found(two.id, f"{h2.private}:4002", "[fe80::", f"%{_index(lab, h1)}]:4002")
    two.wait_found(one.id, f"{h1.private}:4001", "[fe80::")
    assert one.state()[0] == "embedded" and one.report()["name"] == one.name, one.lines()
    assert one.id not in one.found()
    two.popen.kill()  # without a goodbye; then it comes again at another port
    again = MdnsNode(lab, h2, build, 102, 4003)
    one.wait_found(two.id, f"{h2.private}:4003")
    again.end()  # it says goodbye
    one.wait_gone(two.id, 5)


def _index(lab, host):
    return lab.run(host, ["cat", f"/sys/class/net/{host.device}/ifindex"]).stdout.strip()


def a_node_uses_avahi_daemon_while_it_runs_and_its_core_else(lab, build):
    _, (h1, h2) = _lan(lab, 2)
    avahi = Avahi(lab, h1, "alices-laptop")
    one = MdnsNode(lab, h1, build, 101, 4001, env=avahi.env)
    two = MdnsNode(lab, h2, build, 102, 4002)
    one.wait_state("avahi-daemon")
    one.wait_found(two.id, h2.private, "[fe80::")
    two.wait_found(one.id, h1.private, "[fe80::")
    services = {(f[3], f[7], f[8], f[9]) for f in avahi.browse() if f[1] == "eth0" and f[2] == "IPv4"}
    assert (one.name, h1.private, "4001", f'"id={one.id}"') in services, services
    assert (two.name, h2.private, "4002", f'"id={two.id}"') in services, services
    assert len(services) == 2, services
    assert {f[6] for f in avahi.browse() if f[3] == one.name} == {"alices-laptop.local"}
    avahi.stop()
    one.wait_state("embedded")
    assert one.state()[1].startswith("avahi-daemon"), one.state()
    two.wait_found(one.id, h1.private)
    one.wait_found(two.id, h2.private)
    avahi.start()
    one.wait_state("avahi-daemon")
    one.wait_found(two.id, h2.private)
    two.wait_found(one.id, h1.private)
    # the core, which was there when the daemon came, claimed nothing of the daemon's
    assert {f[6] for f in avahi.browse() if f[3] == one.name} == {"alices-laptop.local"}
    _hangs(one, avahi)


def _hangs(one, avahi):
    """The daemon answers nobody any more: the loop does not notice, and the end does not wait for it."""
    one.report()
    avahi.daemon.popen.send_signal(signal.SIGSTOP)
    time.sleep(1.5)
    assert one.report()["late"] < LATE_MAX_US, one.lines()[-1]
    assert one.end() < 2
    avahi.daemon.popen.send_signal(signal.SIGCONT)


def another_programs_responder_and_browser_are_understood(lab, build):
    _, (h1, h2) = _lan(lab, 2)
    one, other = MdnsNode(lab, h1, build, 101, 4001), Zeroconf(lab, h2)
    assert other.wait_seen(one.name) == f"{h1.private} 4001 id={one.id}".split()
    other.register("some-name", 4002, h2.private, f"id={A_KEY}")
    assert one.wait_found(A_KEY, f"{h2.private}:4002") == [f"{h2.private}:4002"]
    other.unregister("some-name")
    one.wait_gone(A_KEY)
    other.register("other-name", 4003, h2.private, "a=b", f"ID={A_KEY}")
    one.wait_found(A_KEY, f"{h2.private}:4003")
    other.unregister("other-name")
    one.wait_gone(A_KEY)
    for name, *txt in (("none", "a=b"), ("empty", ""), ("short", f"id={A_KEY[:-1]}"), ("long", f"id={A_KEY}0"),
                       ("capital", f"id={A_KEY.upper()}"), ("order", f"id={SMALL_ORDER}"), ("bare", "id"),
                       ("second", "id=", f"id={A_KEY}")):
        other.register(name, 4004, h2.private, *txt)
    other.register("ours", 4004, h2.private, f"id={one.id}")
    other.register("last", 4004, h2.private, f"id={A_KEY}")
    one.wait_found(A_KEY, f"{h2.private}:4004")
    one.wait("eight that are malformed", lambda _: one.report()["malformed"] >= 8)
    assert one.found() == {A_KEY}, one.found()


def a_name_that_another_claims_is_not_fought_for(lab, build):
    _, (h1, h2, h3) = _lan(lab, 3)
    avahi, three = Avahi(lab, h2, "other"), MdnsNode(lab, h3, build, 103, 4003)
    one_name = MdnsNode(lab, h1, build, 101, 4001)
    one_name.end()
    lab.start(h2, ["avahi-publish", "-s", one_name.name, "_teale._tcp", "4002", f"id={A_KEY}"], env=avahi.env)
    three.wait("a claim of another's digits", lambda _: three.report()["malformed"] >= 1)
    one = MdnsNode(lab, h1, build, 101, 4001)
    three.wait_found(one.id, f"{h1.private}:4001")
    assert three.found() == {one.id}, three.found()
    assert len({f[3] for f in avahi.browse()}) == 3  # one of the two took another name


def an_interface_that_comes_later_counts(lab, build):
    _, (h1, h2) = _lan(lab, 2)
    lab.ip(h1.ns, "link set eth0 down")
    one, two = MdnsNode(lab, h1, build, 101, 4001), MdnsNode(lab, h2, build, 102, 4002)
    one.wait_state("embedded")
    two.wait("a name", lambda _: two.report()["name"] == two.name)
    assert not one.addresses(two.id)
    lab.ip(h1.ns, "link set eth0 up")
    one.wait_found(two.id, h2.private)
    two.wait_found(one.id, h1.private)
    lab.ip(h1.ns, "link set eth0 down")
    one.wait_gone(two.id)


def ten_thousand_services_hide_no_node_that_we_know(lab, build):
    _, (h1, h2, h3) = _lan(lab, 3)
    _flood(lab, build, MdnsNode(lab, h1, build, 101, 4001, [102]), h2, h3)


def ten_thousand_services_at_avahi_daemon(lab, build):
    _, (h1, h2, h3) = _lan(lab, 3)
    avahi = Avahi(lab, h1, "alices-laptop")
    one = MdnsNode(lab, h1, build, 101, 4001, [102], env=avahi.env)
    one.wait_state("avahi-daemon")
    _flood(lab, build, one, h2, h3)


def _flood(lab, build, one, h2, h3):
    forger, rng = Forger(h3), random.Random(5)
    one.wait("a name", lambda _: one.report()["name"] == one.name)
    before = _memory(one)
    begun = time.monotonic()
    for i in range(10_000):
        forger.send(service(f"s{i}", 4000 + i % 1000, h3.private, [f"id={rng.randbytes(32).hex()}"]))
        if i % 100 == 99:
            time.sleep(0.02)
    for i in range(2000):
        forger.send(rng.randbytes(rng.randrange(1, 900)))
        if i % 100 == 99:
            time.sleep(0.02)
    took = time.monotonic() - begun
    begun = time.monotonic()
    two = MdnsNode(lab, h2, build, 102, 4002)
    one.wait_found(two.id, h2.private, timeout=30)
    found_after = time.monotonic() - begun
    r, grown = one.report(), _memory(one) - before
    lab.say(f"12000 packets in {took:.1f} s; the node that is known was found {found_after:.1f} s after it came; "
            f"memory +{grown >> 10} MiB; {r}")
    assert r["services"] <= 1024 and r["nodes"] <= 512 and r["late"] < LATE_MAX_US, r
    assert r["state"] == "embedded" and grown < 64 << 10, (r, grown)


def _memory(node):
    """KiB, at most so far."""
    status = pathlib.Path(f"/proc/{node.popen.pid}/status").read_text()
    return int(next(l.split()[1] for l in status.splitlines() if l.startswith("VmHWM")))


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, sys.argv[1], workers=4))
