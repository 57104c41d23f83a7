#!/usr/bin/env python3
"""Port mappings at a real miniupnpd behind a real NAT, kept by the very code the node uses, and at
gateways that lie. Exit 77 (skipped) where network namespaces cannot be made."""
import json
import os
import signal
import sys
import time

from igd import DENY, Gateway, HttpLiar, Liar, installed, pcp_answer
from lab import LabError
from nat import NatLab
from netns import udp_socket
from prober import receive
from suite import run_tests

PORT = 41820


class Mapped:
    """tests/programs/mapped on a host."""

    def __init__(self, lab, host, port=PORT):
        self.lab, self.host, self.port = lab, host, port
        self.start()

    def start(self):
        self.process = self.lab.start(self.host, [os.path.join(build, "tests/programs/mapped"), str(self.port)])

    def lines(self):
        return [json.loads(line) for line in self.process.output().splitlines(keepends=True) if line.endswith("\n")]

    def last(self):
        return self.lines()[-1]

    def wait(self, timeout=10, after=0, **wanted):
        """The first report behind `after` lines that says all of that."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for report in self.lines()[after:]:
                if all(report.get(key) == value for key, value in wanted.items()):
                    return report
            time.sleep(0.01)
        raise LabError(f"no report of {wanted} within {timeout} s: {self.lines()[after:]}\n{self.process.errors()}")

    def now(self):
        """The report as it is now."""
        before = len(self.lines())
        self.process.popen.send_signal(signal.SIGUSR1)
        end = time.monotonic() + 5
        while len(self.lines()) == before and time.monotonic() < end:
            time.sleep(0.005)
        return self.last()

    def network_changed(self):
        self.process.popen.send_signal(signal.SIGHUP)

    def stop(self):
        """Ends it; how long the removal took, in ms."""
        assert self.process.stop(timeout=5) == 0, self.process.errors()
        return self.last()["stopped_ms"]


def reaches(stranger, external, text=b"hello", timeout=2):
    """Whether a datagram of a stranger to that outside address comes back from that very address."""
    address, port = external.rsplit(":", 1)
    s = udp_socket(stranger.ns, stranger.address)
    try:
        s.sendto(text, (address, int(port)))
        got = receive(s, timeout=timeout)
        return got is not None and got[0] == text and got[1] == (address, int(port))
    finally:
        s.close()


def one_home(net, **gateway):
    stranger = net.host("stranger")
    home = net.home("home", "symmetric", "random")
    return stranger, home, Gateway(net, home.router, **gateway)


def each_protocol_maps_a_port_that_strangers_reach_and_removes_it_at_exit(lab):
    stranger = lab.host("stranger")
    for method, gateway, deaf in (
            ("PCP", {}, None),
            ("PCP", {"upnp": False}, None),
            ("NAT-PMP", {}, "udp dport 5351 @th,64,8 2"),
            ("UPnP", {"udp": False}, None),
            ("UPnP", {}, "udp dport 5351")):
        home = lab.home(f"h{method}{len(gateway)}{bool(deaf)}".replace("-", "").lower(), "symmetric", "random")
        gateway = Gateway(lab, home.router, **gateway)
        if deaf:
            gateway.deaf_to(deaf)
        started = time.monotonic()
        mapped = Mapped(lab, home)
        report = mapped.wait(state="mapped")
        took = time.monotonic() - started
        assert report["method"] == method and report["external"] == f"{gateway.address}:{PORT}", report
        assert report["reason"] == "" and report["lies"] == 0 and not report["second_nat"], report
        assert gateway.mappings() == {PORT: (home.private, PORT)}, gateway.mappings()
        assert reaches(stranger, report["external"])
        stopped = mapped.stop()
        assert stopped < 500, stopped
        assert gateway.mappings() == {}, gateway.mappings()
        assert not reaches(stranger, report["external"], timeout=0.3)
        print(f"    {method}{' (the rest in silence)' if deaf else ''}: mapped after {took * 1000:.0f} ms, "
              f"removed in {stopped} ms")


def a_refusal_is_told_with_its_reason(lab):
    home = lab.home("upnp")
    gateway = Gateway(lab, home.router, udp=False, rules=(DENY,))
    mapped = Mapped(lab, home)
    report = mapped.wait(state="failed")
    assert report["reason"].startswith("the gateway refused: ") and "UPnP error" in report["reason"], report
    assert gateway.mappings() == {} and report["refusals"] == 1, report
    assert mapped.stop() < 100
    print(f"    {report['reason']}")
    home = lab.home("pcp")
    liar = Liar(home.router, lambda q: [pcp_answer(q, result=2)] if q[0] == 2 else [])
    assert Mapped(lab, home).wait(state="failed")["reason"] == "the gateway refused: not authorized (PCP)"
    liar.close()


def a_daemon_that_is_long_busy_refusing_delays_nothing(lab):
    home = lab.home("home")
    Gateway(lab, home.router, rules=(DENY,))  # asked by PCP it tries every port there is, for minutes
    mapped = Mapped(lab, home)
    report = mapped.wait(state="failed")
    # found by UPnP or not, it is too busy to say anything
    assert report["reason"] in ("the gateway 192.168.1.1 answered neither PCP, NAT-PMP nor UPnP",
                                "the gateway's UPnP service did not answer"), report
    assert mapped.stop() < 100


def two_hosts_that_want_one_port_both_get_one(lab):
    stranger = lab.host("stranger")
    for udp in (True, False):
        router = lab.router(f"lan{udp}".lower(), "symmetric", "random")
        gateway = Gateway(lab, router, udp=udp, upnp=not udp)
        one, two = Mapped(lab, router.host(f"one{udp}".lower())), None
        first = one.wait(state="mapped")
        two = Mapped(lab, router.host(f"two{udp}".lower()))
        second = two.wait(state="mapped")
        assert first["external"] != second["external"], (first, second)
        assert set(gateway.mappings().values()) == {(one.host.private, PORT), (two.host.private, PORT)}
        assert reaches(stranger, first["external"]) and reaches(stranger, second["external"])
        two.stop()
        assert gateway.mappings() == {PORT: (one.host.private, PORT)}
        assert reaches(stranger, first["external"])


def a_short_lifetime_is_renewed_in_time(lab):
    home = lab.home("home", "symmetric", "random")
    asked = []  # miniupnpd 2.3.9 grants two minutes at least, so this gateway is made up

    def grant(request):
        asked.append((time.monotonic(), request[24:36]))
        return [pcp_answer(request, lifetime=4)]

    liar = Liar(home.router, lambda q: grant(q) if q[0] == 2 else [])
    mapped = Mapped(lab, home)
    report = mapped.wait(state="mapped")
    assert report["lifetime"] == 4, report
    time.sleep(9)
    report = mapped.now()
    assert report["state"] == "mapped" and report["renewals"] >= 3 and report["restarts"] == 0, report
    assert len({nonce for _, nonce in asked}) == 1, asked  # else it would be another mapping
    gaps = [after - before for (before, _), (after, _) in zip(asked, asked[1:])]
    assert max(gaps) < 4, gaps
    liar.close()


def a_restarted_daemon_is_noticed_by_its_announcement(lab):
    stranger, home, gateway = one_home(lab)
    mapped = Mapped(lab, home)
    external = mapped.wait(state="mapped")["external"]
    time.sleep(4)  # so that its epoch goes back by more than the protocol's slack
    gateway.kill()
    assert not reaches(stranger, external, timeout=0.3)
    gateway.start()
    started = time.monotonic()
    while not gateway.mappings() and time.monotonic() < started + 10:
        time.sleep(0.02)
    took = time.monotonic() - started
    assert gateway.mappings() == {PORT: (home.private, PORT)}, mapped.lines()
    assert reaches(stranger, external)
    report = mapped.now()
    assert report["state"] == "mapped" and report["restarts"] == 1, report
    print(f"    mapped anew {took * 1000:.0f} ms after the daemon was back")


def a_gone_daemon_is_told_and_its_return_is_found(lab):
    _, home, gateway = one_home(lab)
    mapped = Mapped(lab, home)
    mapped.wait(state="mapped")
    gateway.kill()
    before = len(mapped.lines())
    mapped.network_changed()  # the same gateway: confirmed, or not
    report = mapped.wait(state="failed", after=before)
    assert report["reason"] == "the gateway 192.168.1.1 answered neither PCP, NAT-PMP nor UPnP", report
    before = len(mapped.lines())
    gateway.start()
    mapped.wait(state="mapped", after=before)
    assert gateway.mappings() == {PORT: (home.private, PORT)}


def another_network_gets_a_mapping_of_its_own(lab):
    stranger = lab.host("stranger")
    first = lab.router("first", "symmetric", "random")
    second = lab.router("second", "symmetric", "random", lan="192.168.77")
    one, two = Gateway(lab, first), Gateway(lab, second)
    host = first.host("host")
    mapped = Mapped(lab, host)
    assert mapped.wait(state="mapped")["external"] == f"{one.address}:{PORT}"
    lab.move(host, second)
    before = len(mapped.lines())
    mapped.network_changed()
    report = mapped.wait(state="mapped", after=before)
    assert report["external"] == f"{two.address}:{PORT}" and report["gateway"] == "192.168.77.1", report
    assert reaches(stranger, report["external"])
    assert mapped.stop() < 500 and two.mappings() == {}


def no_network_is_told_and_its_return_is_used(lab):
    _, home, _ = one_home(lab)
    lab.ip(home.ns, "route del default")
    mapped = Mapped(lab, home)
    assert mapped.wait(state="failed")["reason"] == "this machine has no IPv4 gateway"
    before = len(mapped.lines())
    lab.ip(home.ns, "link add vpn type veth peer name far", "address add 10.8.0.2/32 dev vpn", "link set vpn up",
           "route add default dev vpn")
    mapped.network_changed()
    assert "a VPN?" in mapped.wait(state="failed", after=before)["reason"]
    lab.ip(home.ns, "route replace default via 192.168.1.1")
    mapped.network_changed()
    mapped.wait(state="mapped")


def a_killed_node_finds_its_mapping_again(lab):
    _, home, gateway = one_home(lab)
    mapped = Mapped(lab, home)
    mapped.wait(state="mapped")
    mapped.process.stop(signal.SIGKILL)
    assert gateway.mappings() == {PORT: (home.private, PORT)}
    mapped.start()
    report = mapped.wait(state="mapped")
    assert report["external"] == f"{gateway.address}:{PORT}", report
    mapped.stop()
    assert gateway.mappings() == {}


def lies_are_refused_and_counted(lab):
    flood = [os.urandom(60) for _ in range(500)]
    cases = {
        "loopback": lambda q: [pcp_answer(q, external="127.0.0.1")],
        "multicast": lambda q: [pcp_answer(q, external="224.0.0.1")],
        "metadata": lambda q: [pcp_answer(q, external="169.254.169.254")],
        "forever": lambda q: [pcp_answer(q, lifetime=0xffffffff)],
        "nothing": lambda q: [pcp_answer(q, lifetime=0)],
        "noport": lambda q: [pcp_answer(q, port=0)],
        "nonce": lambda q: [pcp_answer(q, nonce=bytes(12))],
        "short": lambda q: [pcp_answer(q)[:n] for n in range(60)],
        "flood": lambda q: flood,
    }
    started = []
    for name, answer in cases.items():
        home = lab.home(name)
        liar = Liar(home.router, lambda q, answer=answer: answer(q) if q[0] == 2 else [])
        started.append((name, liar, Mapped(lab, home)))
    for name, liar, mapped in started:
        report = mapped.wait(state="failed")
        assert report["lies"] >= 1 and report["external"] == "-:0", (name, report)
        assert mapped.stop() < 100
        liar.close()
    home = lab.home("honest")  # the same, with nothing changed
    liar = Liar(home.router, lambda q: [pcp_answer(q)] if q[0] == 2 else [])
    assert Mapped(lab, home).wait(state="mapped")["lies"] == 0
    liar.close()


def a_carriers_nat_is_told_and_the_mapping_kept(lab):
    home = lab.home("home")
    liar = Liar(home.router, lambda q: [pcp_answer(q, external="100.64.0.7")] if q[0] == 2 else [])
    report = Mapped(lab, home).wait(state="mapped")
    assert report["second_nat"] and report["external"] == f"100.64.0.7:{PORT}", report
    assert report["reason"] == "the external address 100.64.0.7 is private: a second NAT (the carrier's, CGN)", report
    liar.close()


def a_silent_gateway_delays_no_exit(lab):
    _, home, gateway = one_home(lab)
    mapped = Mapped(lab, home)
    mapped.wait(state="mapped")
    gateway.deaf_to("meta l4proto { tcp, udp }")
    stopped = mapped.stop()
    assert 1000 <= stopped <= 1700, stopped


def a_upnp_device_that_never_ends_costs_neither_memory_nor_the_exit(lab):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\n"

    def drip(connection):
        connection.sendall(head)
        while True:
            connection.sendall(b"<")
            time.sleep(0.2)

    def pour(connection):
        connection.sendall(head)
        while True:
            connection.sendall(b"<a>" * 20000)

    for name, body in (("drip", drip), ("pour", pour), ("mute", lambda c: time.sleep(60))):
        home = lab.home(name)
        device = HttpLiar(home.router, body)
        mapped = Mapped(lab, home)
        end = time.monotonic() + 10
        while not device.requests and time.monotonic() < end:
            time.sleep(0.02)
        assert device.requests == 1
        if name != "pour":  # in the middle of the request
            assert mapped.stop() < 100
            continue
        report = mapped.wait(state="failed", timeout=10)
        assert report["reason"] == "the gateway's UPnP service did not answer", report
        with open(f"/proc/{mapped.process.pid}/status", encoding="ascii") as f:
            peak = int(next(line for line in f if line.startswith("VmHWM")).split()[1])
        assert peak < 40000, f"{peak} KiB"
        assert mapped.stop() < 100


if __name__ == "__main__":
    build = sys.argv[1]
    if not installed():
        print("skipped: no miniupnpd")
        sys.exit(77)
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab))
