#!/usr/bin/env python3
"""`teale-relay --udp` against packets with forged addresses, written as frames past the kernel of whoever
sends them, towards a kernel that lets through as much as it can be told to. Exit 77 (skipped) where
network namespaces cannot be made."""
import ipaddress
import json
import os
import re
import select
import socket
import struct
import sys
import time

from lab import Lab
from netns import inside, sysctl, udp_socket
from scene import Programs
from suite import run_tests

RELAY, OTHER, ATTACKER, HONEST = "192.0.2.1", "192.0.2.2", "192.0.2.66", "203.0.113.5"
RELAY6, OTHER6, ATTACKER6, HONEST6 = "2001:db8:7::1", "2001:db8:7::2", "2001:db8:7::66", "2001:db8:9::5"
PORT = 3478
COOKIE = 0x2112A442
PATIENCE_S = 1  # an answer takes well under a millisecond here
TRIES = 10  # a request may be lost where thousands fill the socket


def request(kind=1):
    return struct.pack(">HHI", kind, 0, COOKIE) + os.urandom(12)


def _sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packet(source, sport, destination, payload):
    """An IP packet with a UDP datagram, whatever its source says."""
    src, dst = (ipaddress.ip_address(a).packed for a in (source, destination))
    size = 8 + len(payload)
    if len(src) == 4:
        pseudo = src + dst + struct.pack(">BBH", 0, 17, size)
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 7, 0, 64, 17, 0) + src + dst
        head = head[:10] + struct.pack(">H", _sum(head)) + head[12:]
    else:
        pseudo = src + dst + struct.pack(">IHBB", size, 0, 0, 17)
        head = struct.pack(">IHBB", 6 << 28, size, 17, 64) + src + dst
    udp = struct.pack(">HHHH", sport, PORT, size, 0)
    check = _sum(pseudo + udp + payload) or 0xFFFF
    return head + udp[:6] + struct.pack(">H", check) + payload


class Wire:
    """The attacker's end of a cable to the relay."""

    def __init__(self, lab, programs, *udp):
        self.lab = lab
        self.ns, victim = lab._namespace("attacker"), lab._namespace("relay")
        lab._link(victim, "eth0", f"{RELAY}/24", self.ns, "eth0", f"{ATTACKER}/24")
        lab._exec(victim, "ip", "address", "add", f"{OTHER}/24", "dev", "eth0")
        for address in (RELAY6, OTHER6):
            lab._exec(victim, "ip", "address", "add", f"{address}/64", "dev", "eth0", "nodad")
        lab._exec(self.ns, "ip", "address", "add", f"{ATTACKER6}/64", "dev", "eth0", "nodad")
        lab._exec(victim, "ip", "route", "add", "default", "via", ATTACKER)
        lab._exec(victim, "ip", "-6", "route", "add", "default", "via", ATTACKER6)
        for where in ("all", "eth0"):
            sysctl(victim, {f"net/ipv4/conf/{where}/{name}": value for name, value in
                            (("rp_filter", 0), ("accept_local", 1), ("route_localnet", 1))})
        sysctl(victim, {"net/ipv4/icmp_echo_ignore_broadcasts": 0})
        self.macs = [self._mac(victim), self._mac(self.ns)]
        with inside(self.ns):
            self.raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.raw.bind(("eth0", 3))
        self.raw.setblocking(False)
        self.victim = victim
        self.relay = lab.start(type("There", (), {"ns": victim})(), [
            programs.relay, "--listen", f"ws://{RELAY}:8080", "--name", "relay.example",
            *(a for u in udp for a in ("--udp", u))])
        self.relay.wait_line("ready ")

    def _mac(self, ns):
        link = json.loads(self.lab._exec(ns, "ip", "-j", "link", "show", "eth0"))[0]
        return bytes.fromhex(link["address"].replace(":", ""))

    def send(self, source, payload, sport=40000, to=RELAY, broadcast=False):
        data = packet(source, sport, to, payload)
        kind = 0x0800 if data[0] >> 4 == 4 else 0x86DD
        to_mac = b"\xff" * 6 if broadcast else self.macs[0]
        self.raw.send(to_mac + self.macs[1] + struct.pack(">H", kind) + data)

    def datagrams(self):
        """Of what comes from the relay and is UDP: (destination, port, payload)."""
        end = time.monotonic() + PATIENCE_S
        while (left := end - time.monotonic()) > 0 and select.select([self.raw], [], [], left)[0]:
            frame, where = self.raw.recvfrom(65536)
            if where[2] == socket.PACKET_OUTGOING:
                continue
            kind, ip = frame[12:14], frame[14:]
            if kind == b"\x08\0" and ip[9] == 17:
                header, to = (ip[0] & 15) * 4, ip[16:20]
            elif kind == b"\x86\xdd" and ip[6] == 17:
                header, to = 40, ip[24:40]
            else:
                continue
            udp = ip[header:]
            yield str(ipaddress.ip_address(to)), struct.unpack_from(">H", udp, 2)[0], udp[8:]

    def answers(self, to=RELAY):
        """What the relay sent in consequence of all before, beside the answer to an honest request now."""
        honest, seen = request(), []
        for _ in range(TRIES):
            self.send(HONEST if ":" not in to else HONEST6, honest, to=to)
            for destination, port, payload in self.datagrams():
                if payload[8:20] == honest[8:20]:
                    return seen
                seen.append((destination, port))
        raise AssertionError("the honest request was not answered: " + self.relay.errors())

    def metric(self, name):
        with inside(self.victim), socket.create_connection((RELAY, 8080), timeout=5) as s:
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            text = b""
            while more := s.recv(65536):
                text += more
        return int(re.search(rf"^teale_relay_stun_{re.escape(name)} (\d+)", text.decode(), re.M)[1])


def nobody_is_answered_who_is_nobody(lab, programs):
    wire = Wire(lab, programs, RELAY, OTHER, f"[{RELAY6}]", f"[{OTHER6}]")
    sources = ["0.0.0.0", "0.1.2.3", "127.0.0.1", "127.0.0.53", "169.254.169.254", "224.0.0.1", "239.255.255.250",
               "240.0.0.1", "255.255.255.255", "192.0.2.255", "192.0.2.0"]
    for source in sources:
        wire.send(source, request())
        assert wire.answers() == [], source
    wire.send(HONEST, request(), sport=0)
    assert wire.answers() == []
    for source in ("::", "::1", "ff02::1", "fe80::1", "::ffff:127.0.0.1", "::127.0.0.1"):
        wire.send(source, request(), to=RELAY6)
        assert wire.answers(RELAY6) == [], source
    for source in (HONEST, "8.8.8.8", "10.1.2.3"):  # twins: it is the address that decides
        wire.send(source, request(), sport=5)
        assert wire.answers() == [(source, 5)], source
    wire.send(HONEST6, request(), sport=5, to=RELAY6)
    assert wire.answers(RELAY6) == [(HONEST6, 5)]
    reason = 'dropped_total{reason="address"}'
    print(f"# dropped for their address by us, not by the kernel: {wire.metric(reason)}")


def change_requests_are_answered_from_the_other_address_over_ipv6_too(lab, programs):
    wire = Wire(lab, programs, f"[{RELAY6}]", f"[{OTHER6}]")
    with udp_socket(wire.ns, ATTACKER6) as s:
        for flags, source in ((0, (RELAY6, PORT)), (2, (RELAY6, PORT + 1)), (4, (OTHER6, PORT)), (6, (OTHER6, PORT + 1))):
            asked = struct.pack(">HHI", 1, 8, COOKIE) + os.urandom(12) + struct.pack(">HHI", 3, 4, flags)
            for _ in range(TRIES):
                s.sendto(asked, (RELAY6, PORT))
                if select.select([s], [], [], PATIENCE_S)[0]:
                    break
            data, whence = s.recvfrom(2048)
            assert (data[8:20], whence[:2]) == (asked[8:20], source), (flags, whence)


def a_broadcast_question_is_nobodys(lab, programs):
    wire = Wire(lab, programs, "0.0.0.0", "[::]")
    for to in ("192.0.2.255", "255.255.255.255", "224.0.0.1"):
        wire.send(HONEST, request(), to=to, broadcast=True)
        assert wire.answers() == [], to
    wire.send(HONEST6, request(), to="ff02::1", broadcast=True)
    assert wire.answers(RELAY6) == []
    for to in (RELAY, OTHER, RELAY6):
        wire.send(HONEST6 if ":" in to else HONEST, request(), sport=6, to=to)
        assert wire.answers(to) == [(HONEST6 if ":" in to else HONEST, 6)], to


def a_server_is_not_set_upon_itself(lab, programs):
    wire = Wire(lab, programs, RELAY, OTHER)
    change_both = struct.pack(">HHI", 1, 8, COOKIE) + os.urandom(12) + struct.pack(">HHI", 3, 4, 6)
    for source in (RELAY, OTHER):
        for sport in (PORT, PORT + 1):
            for payload in (request(), change_both, request(0x0101), request(0x0111)):
                wire.send(source, payload, sport=sport, to=OTHER if source == RELAY else RELAY)
    assert wire.answers() == []
    time.sleep(0.2)  # two that kept each other busy would be at it now
    before = wire.metric("datagrams_total")
    assert wire.answers() == []
    assert wire.metric("datagrams_total") == before + 1, "it talks to itself"
    assert before <= 2 * 16 + 1


def one_victim_is_sent_its_measure_alone(lab, programs):
    wire = Wire(lab, programs, RELAY)
    began = time.monotonic()
    for i in range(5000):
        wire.send("198.51.100.9", request(), sport=1 + i % 60000)
    seen = wire.answers()
    elapsed = time.monotonic() - began
    assert {a for a, _ in seen} == {"198.51.100.9"}
    assert len(seen) <= 200 + 50 * elapsed + 1, (len(seen), elapsed)
    print(f"# 5000 forged requests in {elapsed:.2f} s brought their victim {len(seen)} datagrams")


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], Lab, Programs(sys.argv[1])))
