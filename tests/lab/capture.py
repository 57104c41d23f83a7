#!/usr/bin/env python3
"""What passes a host's devices, recorded whole into a pcap file: as a program it records, as a module it starts
that program in a lab and reads the file. (tcpdump gives up being root first, which an ordinary user's
namespace does not allow; and it loses packets with exit code 0.)

    capture.py FILE SNAP PROTOCOL [PORT]     every packet of these PROTOCOLs (tcp,udp,icmp), SNAP bytes of each

It says "listening". On SIGTERM it writes all that came before, and nothing that came later, and ends. It fails
if the kernel lost any."""
import base64
import collections
import mmap
import os
import pathlib
import select
import signal
import socket
import struct
import sys
import time

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmp6": 58}
_LINUX_SLL2 = 276          # pcap's link type: a head of 20 bytes with device and direction, then the IP packet
_ETH_P_ALL, _OUTGOING = 3, 4  # PACKET_OUTGOING, of the kinds of packet
_LOOPBACK = 772            # ARPHRD_LOOPBACK, where each packet goes out and comes in: it is recorded once

Packet = collections.namedtuple("Packet", "outgoing loopback ip")


class Ring:
    """A packet socket for all devices of this namespace, with the kernel's ring buffer (TPACKET_V3): unlike a
    socket's buffer it may be large without privilege."""
    _SOL_PACKET, _RX_RING, _STATISTICS, _VERSION = 263, 5, 6, 10
    _BLOCK, _BLOCKS, _RETIRE_MS = 1 << 20, 64, 20

    def __init__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self.socket.setsockopt(self._SOL_PACKET, self._VERSION, 2)
        self.socket.setsockopt(self._SOL_PACKET, self._RX_RING, struct.pack(
            "7I", self._BLOCK, self._BLOCKS, 2048, self._BLOCK // 2048 * self._BLOCKS, self._RETIRE_MS, 0, 0))
        self.map = mmap.mmap(self.socket.fileno(), self._BLOCK * self._BLOCKS, mmap.MAP_SHARED)
        self.at = 0

    def read(self, ms):
        """The packets of the next block: (seconds, nanoseconds, length, head as in SLL2, bytes); nothing if none
        came within `ms`."""
        start = self.at * self._BLOCK
        if not struct.unpack_from("I", self.map, start + 8)[0] & 1:
            poll = select.poll()
            poll.register(self.socket, select.POLLIN)
            poll.poll(ms)
            if not struct.unpack_from("I", self.map, start + 8)[0] & 1:
                return
        count, first = struct.unpack_from("II", self.map, start + 12)
        offset = start + first
        for _ in range(count):
            following, sec, nsec, kept, length, _, mac, net = struct.unpack_from("6I2H", self.map, offset)
            protocol = struct.unpack_from(">H", self.map, offset + 50)[0]
            device, hardware, kind = struct.unpack_from("=iHB", self.map, offset + 52)
            head = struct.pack(">H2xIHBB8x", protocol, device, hardware, kind, 0)
            if hardware != _LOOPBACK or kind != _OUTGOING:
                yield sec, nsec, length, head, self.map[offset + net:offset + net + kept]
            offset += following
        struct.pack_into("I", self.map, start + 8, 0)  # the kernel's again
        self.at = (self.at + 1) % self._BLOCKS

    def lost(self):
        """Packets for which there was no room."""
        return struct.unpack("3I", self.socket.getsockopt(self._SOL_PACKET, self._STATISTICS, 12))[1]


def transport(ip):
    """(protocol, payload) of an IPv4 or IPv6 packet; None for what is neither, or cut off too early."""
    if len(ip) >= 20 and ip[0] >> 4 == 4:
        return ip[9], ip[(ip[0] & 15) * 4:]
    if len(ip) >= 40 and ip[0] >> 4 == 6:
        return ip[6], ip[40:]
    return None


def record(path, snap, protocols, port):
    over = []
    for signo in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signo, lambda *_: over.append(time.time()))
    ring = Ring()
    with open(path, "wb", buffering=1 << 20) as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 1 << 18, _LINUX_SLL2))
        print("listening", flush=True)
        done = False
        while not done:
            ending, came = over[:1], False
            for sec, nsec, length, head, ip in ring.read(5 * Ring._RETIRE_MS):
                came = True
                if ending and sec + nsec / 1e9 > ending[0]:
                    done = True
                    break
                protocol, payload = transport(ip) or (None, b"")
                if protocol in protocols and (not port or port in struct.unpack_from(">HH", payload)):
                    kept = ip[:snap]
                    out.write(struct.pack("<IIII", sec, nsec, len(head) + len(kept), len(head) + length) + head + kept)
            done = done or (ending and not came)
    if lost := ring.lost():
        sys.exit(f"the kernel lost {lost} packets of this capture")


class Capture:
    """Records on that host from now on. After `finish`: `packets`, and `data`, the file itself."""

    def __init__(self, lab, host, protocols, port=0, snap=1 << 18):
        self.port = port
        self.path = os.path.join(lab.dir, f"{len(lab.processes)}.pcap")
        self._process = lab.start(host, [sys.executable, __file__, self.path, str(snap), ",".join(protocols), str(port)],
                                  name="capture")
        self._process.wait_line("listening")

    def finish(self):
        if self._process.stop():
            raise RuntimeError("the capture failed: " + self._process.errors())
        self.data = pathlib.Path(self.path).read_bytes()
        self.packets = list(_packets(self.data))

    def sent_by_port(self):
        """What the server on the port sent, one joined byte string per connection: WebSocket frames
        towards clients are not masked, so this is the relay's own view in the clear."""
        flows = {}
        for packet in self.packets:
            src, sport, dst, dport, seq, payload = _tcp_segment(packet.ip)
            if sport == self.port and payload:
                flows.setdefault((src, dst, dport), {}).setdefault(seq, payload)
        return [_join(segments) for segments in flows.values()]

    def contains(self, text):
        """Whether the text is anywhere in what was recorded."""
        return contains_text([self.data] + self.sent_by_port(), text)


def contains_text(streams, text):
    """Whether one of the byte strings holds the text: as it is, or inside base64 at any alignment."""
    needles = [text] + [_base64_core(text, shift) for shift in range(3)]
    return any(needle in stream for stream in streams for needle in needles)


def _base64_core(text, shift):
    """The characters of base64 that `text` fixes when it starts `shift` bytes into a group of three."""
    encoded = base64.b64encode(b"\0" * shift + text)
    first = [0, 2, 3][shift]
    last = len(encoded) - 4 if (len(text) + shift) % 3 else len(encoded)
    return encoded[first:last]


def _join(segments):
    first = min(segments)  # good for captures that begin with the connection and stay below 2 GiB
    out, at = bytearray(), first
    for seq in sorted(segments):
        payload = segments[seq]
        skip = at - seq
        if skip < len(payload):
            out += payload[max(skip, 0):]
            at = seq + len(payload)
    return bytes(out)


def _packets(pcap):
    at = 24
    while at + 36 <= len(pcap):
        size = struct.unpack_from("<I", pcap, at + 8)[0]
        hardware, kind = struct.unpack_from(">HB", pcap, at + 24)
        yield Packet(kind == _OUTGOING, hardware == _LOOPBACK, pcap[at + 36:at + 16 + size])
        at += 16 + size


def _tcp_segment(ip):
    """(source, port, destination, port, sequence, payload) of an IPv4 or IPv6 TCP segment."""
    _, segment = transport(ip)
    v6 = ip[0] >> 4 == 6
    source, destination = (ip[8:24], ip[24:40]) if v6 else (ip[12:16], ip[16:20])
    size = struct.unpack_from(">H", ip, 4)[0] + 40 if v6 else struct.unpack_from(">H", ip, 2)[0]
    sport, dport, seq = struct.unpack_from(">HHI", segment)
    end = len(segment) - (len(ip) - size if size not in (0, 40) else 0)  # 0: larger than an IP packet can be
    return source, sport, destination, dport, seq, segment[(segment[12] >> 4) * 4:end]


if __name__ == "__main__":
    record(sys.argv[1], int(sys.argv[2]), {PROTOCOLS[name] for name in sys.argv[3].split(",")},
           int(sys.argv[4]) if len(sys.argv) > 4 else 0)
