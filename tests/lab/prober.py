"""What a NAT does, found out from outside the product: plain UDP sockets in the namespaces, an observer
with two public addresses and two ports on each. Says mapping, filtering, whether ports are preserved,
and whether the router hairpins, and waits for nothing: each silence is fenced by a datagram that was
sent later on the same way and did arrive."""
import select
import socket
import time

from netns import udp_socket

PATIENCE_S = 5  # for what must arrive; a working lab needs under a millisecond


class ProbeError(Exception):
    pass


class Observer:
    """Four public sockets: [address 0 or 1][port 0 or 1]."""

    def __init__(self, lab):
        hosts = [lab.host("observer0"), lab.host("observer1")]
        self.sockets = [[udp_socket(h.ns, h.address, port) for port in (7001, 7002)] for h in hosts]

    def at(self, a, p):
        return self.sockets[a][p].getsockname()


def receive(sock, wanted=None, timeout=PATIENCE_S):
    """The next (payload, source); with `wanted`, earlier other payloads are dropped. None: nothing came."""
    end = time.monotonic() + timeout
    while (left := end - time.monotonic()) > 0:
        if select.select([sock], [], [], left)[0]:
            data, source = sock.recvfrom(2048)
            if wanted is None or data == wanted:
                return data, source
    return None


class Probe:
    """One socket of a host under test."""

    _count = 0

    def __init__(self, observer, host, port=0):
        self.observer = observer
        self.sock = udp_socket(host.ns, host.private, port)
        self.local = self.sock.getsockname()

    def seen(self, a, p):
        """Sends to the observer there; the address it came from."""
        Probe._count += 1
        text = b"probe %d" % Probe._count
        self.sock.sendto(text, self.observer.at(a, p))
        got = receive(self.observer.sockets[a][p], text)
        if not got:
            raise ProbeError(f"{self.local} reached nobody at {self.observer.at(a, p)}")
        return got[1]

    def hears(self, target, senders, fence):
        """Each of `senders` (a, p) sends to `target`, then `fence`, which must be heard; those heard."""
        for a, p in senders + [fence]:
            Probe._count += 1
            self.observer.sockets[a][p].sendto(b"from %d %d" % (a, p), target)
        heard = set()
        while True:
            got = receive(self.sock)
            if not got:
                raise ProbeError(f"{self.local} does not even hear {self.observer.at(*fence)}")
            if not got[0].startswith(b"from "):
                continue
            a, p = (int(word) for word in got[0].split()[1:])
            if (a, p) == fence:
                return heard
            heard.add((a, p))

    def close(self):
        self.sock.close()


def mapping(observer, host):
    """(RFC 4787 mapping, whether the first port was preserved)."""
    probe = Probe(observer, host)
    seen = {(a, p): probe.seen(a, p) for a in (0, 1) for p in (0, 1)}
    probe.close()
    preserved = seen[0, 0][1] == probe.local[1]
    if set(seen.values()) == {probe.local}:
        return "none", preserved
    if len(set(seen.values())) == 1:
        return "endpoint-independent", preserved
    if seen[0, 0] == seen[0, 1] and seen[1, 0] == seen[1, 1]:
        return "address-dependent", preserved
    return "address-and-port-dependent", preserved


def filtering(observer, host):
    probe = Probe(observer, host)
    outside = probe.seen(0, 0)
    heard = probe.hears(outside, [(1, 1), (1, 0), (0, 1)], fence=(0, 0))
    probe.close()
    return {
        frozenset(): "address-and-port-dependent",
        frozenset({(0, 1)}): "address-dependent",
        frozenset({(0, 1), (1, 0), (1, 1)}): "endpoint-independent",
    }.get(frozenset(heard), f"odd: {sorted(heard)}")


def hairpins(observer, one, two):
    """Whether `two` reaches the outside address of `one`, both in the same LAN (or one host); from where."""
    a, b = Probe(observer, one), Probe(observer, two)
    outside_a, outside_b = a.seen(0, 0), b.seen(0, 0)
    b.sock.sendto(b"hairpin", outside_a)
    b.seen(0, 0)  # a fence for b's way to the router; the next one for the router's to a
    observer.sockets[0][0].sendto(b"fence", outside_a)
    got = receive(a.sock)
    a.close()
    b.close()
    if not got:
        raise ProbeError("the fence did not arrive")
    return got[0] == b"hairpin", got[0] == b"hairpin" and got[1] == outside_b


def unasked_packets_do_not_move_the_port(observer, host):
    """A packet from outside comes first; the flow that follows to that very place keeps its port."""
    probe = Probe(observer, host)
    outside = probe.seen(0, 0)
    observer.sockets[1][1].sendto(b"unasked", outside)
    probe.hears(outside, [], fence=(0, 0))
    kept = probe.seen(1, 1) == outside
    probe.close()
    return kept


def two_hosts_with_one_port_stay_apart(observer, one, two):
    """Both use the same inside port; each has one outside port of its own for all destinations."""
    a = Probe(observer, one)
    b = Probe(observer, two, a.local[1])
    seen = [[probe.seen(n, p) for n in (0, 1) for p in (0, 1)] for probe in (a, b)]
    a.close()
    b.close()
    return len(set(seen[0])) == len(set(seen[1])) == 1 and seen[0][0] != seen[1][0]


EXPECTED = {  # mapping and filtering of each type
    "public": ("none", "endpoint-independent"),
    "fullCone": ("endpoint-independent", "endpoint-independent"),
    "restrictedCone": ("endpoint-independent", "address-dependent"),
    "portRestricted": ("endpoint-independent", "address-and-port-dependent"),
    "addressSymmetric": ("address-dependent", "address-and-port-dependent"),
    "symmetric": ("address-and-port-dependent", "address-and-port-dependent"),
}


def prove(observer, host, kind, ports="preserved"):
    """Raises ProbeError unless the host's network is what it is called."""
    found, preserved = mapping(observer, host)
    behind = filtering(observer, host)
    if (found, behind) != EXPECTED[kind]:
        raise ProbeError(f"{kind}: mapping {found}, filtering {behind}, not {EXPECTED[kind]}")
    if kind != "public" and preserved != (ports == "preserved"):
        raise ProbeError(f"{kind}: ports are {'' if preserved else 'not '}preserved, not {ports}")
