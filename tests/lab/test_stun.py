#!/usr/bin/env python3
"""What `teale-relay --udp` tells of each NAT (RFC 8489, RFC 5780), asked by a client that shares nothing with
ours, is what the prober finds without STUN."""
import os
import select
import socket
import struct
import sys
import time

from direct import Rendezvous
from nat import PORTS, TYPES, NatLab
from netns import udp_socket
from prober import EXPECTED, Observer, prove
from scene import Programs
from suite import run_tests

COOKIE = 0x2112A442
BINDING, SUCCESS = 0x0001, 0x0101
CHANGE_REQUEST, XOR_MAPPED, OTHER_ADDRESS = 0x0003, 0x0020, 0x802C
CHANGE_ADDRESS, CHANGE_PORT = 4, 2
PATIENCE_S = 5  # an answer takes well under a millisecond here


def _address(value, mask=0):
    port, ip = struct.unpack_from(">HI", value, 2)
    return socket.inet_ntoa(struct.pack(">I", ip ^ mask)), port ^ mask >> 16


class Client:
    def __init__(self, host):
        self.sock = udp_socket(host.ns, host.private)

    def ask(self, server, change=0):
        """(our address as the server sees it, its other address, who answered). None: a question without
        `change` that was asked later has been answered, and this one has not."""
        wanted = self._send(server, change)
        fence = self._send(server, 0) if change else None
        end = time.monotonic() + PATIENCE_S
        while (left := end - time.monotonic()) > 0 and select.select([self.sock], [], [], left)[0]:
            data, source = self.sock.recvfrom(2048)
            kind, length, cookie = struct.unpack_from(">HHI", data)
            assert (kind, cookie) == (SUCCESS, COOKIE), data
            if data[8:20] == fence:
                return None
            if data[8:20] != wanted:
                continue
            found, at = {}, 20
            while at < 20 + length:
                name, size = struct.unpack_from(">HH", data, at)
                found[name] = data[at + 4:at + 4 + size]
                at += 4 + size + -size % 4
            other = _address(found[OTHER_ADDRESS]) if OTHER_ADDRESS in found else None
            return _address(found[XOR_MAPPED], COOKIE), other, source
        raise AssertionError(f"{server} answers nothing")

    def _send(self, server, change):
        txid = os.urandom(12)
        attribute = struct.pack(">HHI", CHANGE_REQUEST, 4, change) if change else b""
        self.sock.sendto(struct.pack(">HHI", BINDING, len(attribute), COOKIE) + txid + attribute, server)
        return txid

    def mapping(self, server):
        """RFC 5780 section 4.3."""
        first, other, _ = self.ask(server)
        if first == self.sock.getsockname():
            return "none"
        second, _, _ = self.ask((other[0], server[1]))
        if second == first:
            return "endpoint-independent"
        third, _, _ = self.ask(other)
        return "address-dependent" if third == second else "address-and-port-dependent"

    def filtering(self, server):
        """RFC 5780 section 4.4."""
        _, other, _ = self.ask(server)
        both = self.ask(server, CHANGE_ADDRESS | CHANGE_PORT)
        if both:
            assert both[2] == other, (both, other)
            return "endpoint-independent"
        port = self.ask(server, CHANGE_PORT)
        if port:
            assert port[2] == (server[0], other[1]), port
            return "address-dependent"
        return "address-and-port-dependent"


def the_relay_tells_every_nat_as_it_is(lab, programs):
    rendezvous, observer = Rendezvous(lab, programs), Observer(lab)
    server = (rendezvous.addresses[0], 3478)
    hosts = [(lab.host("open"), "public", "preserved")]
    hosts += [(lab.home(f"{k}-{p}", k, p), k, p) for k in TYPES + ("addressSymmetric",) for p in PORTS]
    for host, kind, ports in hosts:
        prove(observer, host, kind, ports)
        found = Client(host).mapping(server), Client(host).filtering(server)
        assert found == EXPECTED[kind], (kind, ports, found)


def a_relay_with_one_address_tells_the_public_address_alone(lab, programs):
    rendezvous = Rendezvous(lab, programs, udp=1)
    host = lab.home("h", "portRestricted", "random")
    mapped, other, source = Client(host).ask((rendezvous.addresses[0], 3478))
    assert mapped[0] == host.address and other is None and source == (rendezvous.addresses[0], 3478)


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1])))
