"""A peer that lies about where it is: registers at a relay as any node does, and sends offers and candidates of
its choice, rightly signed. And what the victim sent because of it, from a capture."""
import ipaddress
import json
import os
import pathlib
import signal
import struct
import sys
import time
import uuid

from lab import LabError
from netns import inside

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import ed25519  # noqa: E402
import relayproc  # noqa: E402


class _RelayAt:
    """What relayproc.Node wants to know of a relay."""

    def __init__(self, host, port):
        self.address, self.nodes = (host, port), []


def _canonical(o):
    """RFC 8785, for objects of text and whole numbers."""
    return json.dumps(o, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Liar(relayproc.Node):
    def __init__(self, host, relay):
        with inside(host.ns):
            super().__init__(_RelayAt(relay.host.address, relay.port))
        self.address = host.address
        self.skew = 0  # of its clock, in seconds
        y = int.from_bytes(self.key.public, "little") & (1 << 255) - 1
        u = (1 + y) * pow(1 - y, ed25519.P - 2, ed25519.P) % ed25519.P  # the key's image on Curve25519
        self.wg = u.to_bytes(32, "little").hex()
        self.register(wgPublicKey=self.wg)

    def _sign(self, purpose, payload):
        return self.key.sign(b"teale/v1/" + purpose + b"\0" + _canonical(payload)).hex()

    def offer(self, to, public, local, nat="fullCone"):
        """An offer to that node ID; the session's ID."""
        session = str(uuid.uuid4())
        payload = {
            "fromNodeID": self.id, "toNodeID": to, "sessionID": session,
            "connectionInfo": {"publicIP": public[0], "publicPort": public[1], "localIP": local[0],
                               "localPort": local[1], "natType": nat, "wgPublicKey": self.wg},
            "info": {"nonce": os.urandom(16).hex(), "issuedAt": int(time.time()) + self.skew},
        }
        payload["info"]["signature"] = self._sign(b"offer", payload)
        payload["signature"] = self.key.sign(f"{self.id}:{to}:{session}".encode()).hex()
        self.send_message("offer", payload)
        return session

    def candidate(self, to, session, address, port, kind="host", priority=2130706431):
        payload = {
            "fromNodeID": self.id, "toNodeID": to, "sessionID": session,
            "candidate": {"ip": address, "port": port, "type": kind, "priority": priority},
            "nonce": os.urandom(16).hex(), "issuedAt": int(time.time()) + self.skew,
        }
        payload["signature"] = self._sign(b"candidate", payload)
        self.send_message("iceCandidate", payload)

    def wait_answer(self, session, timeout=10):
        """The victim's answer to that offer."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            kind, payload = self.message()
            if kind == "error":
                raise LabError(f"the relay says {payload}")
            if kind == "answer" and payload["sessionID"] == session:
                return payload
        raise LabError("no answer")


class UdpWatch:
    """Every UDP datagram a host sends (or gets, `direction` "in") from now on, on any device, loopback too."""

    def __init__(self, lab, host, direction="out"):
        self.outgoing = direction == "out"
        self.path = os.path.join(lab.dir, f"udp-{direction}-{host.ns}.pcap")
        self.process = lab.start(host, ["tcpdump", "-i", "any", "-s", "128", "-U", "--immediate-mode", "-B", "16384",
                                        "-w", self.path, "udp or icmp or icmp6"])
        end = time.monotonic() + 10
        while "listening on" not in self.process.errors():
            if time.monotonic() > end or not self.process.alive():
                raise LabError("tcpdump did not start: " + self.process.errors())
            time.sleep(0.02)

    def finish(self):
        """[(destination address, port)] of each."""
        self.process.stop(signal.SIGINT, 10)
        return list(_udp_destinations(pathlib.Path(self.path).read_bytes(), self.outgoing))


_OUTGOING, _LOOPBACK = 4, 772  # PACKET_OUTGOING; ARPHRD_LOOPBACK, where a packet is seen as it comes in alone


def _passes(frame, version, outgoing):
    kind, hardware = (frame[10], struct.unpack_from(">H", frame, 8)[0]) if version == 276 else \
        struct.unpack_from(">HH", frame)
    return (kind == _OUTGOING) == outgoing or hardware == _LOOPBACK


def _udp_destinations(pcap, outgoing):
    version = struct.unpack_from("<I", pcap, 20)[0]
    offset = {113: 16, 276: 20}[version]  # Linux cooked v1 and v2
    at = 24
    while at + 16 <= len(pcap):
        size = struct.unpack_from("<I", pcap, at + 8)[0]
        passes = _passes(pcap[at + 16:at + 16 + offset], version, outgoing)
        packet = pcap[at + 16 + offset:at + 16 + size]
        at += 16 + size
        if not passes:
            continue
        if len(packet) >= 28 and packet[0] >> 4 == 4 and packet[9] == 17:
            where, payload = packet[16:20], packet[(packet[0] & 15) * 4:]
        elif len(packet) >= 48 and packet[0] >> 4 == 6 and packet[6] == 17:
            where, payload = packet[24:40], packet[40:]
        else:
            continue
        yield ipaddress.ip_address(where), struct.unpack_from(">H", payload, 2)[0]
