"""A peer that lies about where it is: registers at a relay as any node does, and sends offers and candidates of
its choice, rightly signed. And what the victim sent because of it, from a capture."""
import ipaddress
import json
import os
import pathlib
import struct
import sys
import time
import uuid

from capture import PROTOCOLS, Capture, transport
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
    """Every UDP datagram and ICMP error a host sends (or gets, `direction` "in") from now on, on any device,
    loopback too."""

    def __init__(self, lab, host, direction="out"):
        self.outgoing = direction == "out"
        self.capture = Capture(lab, host, ["udp", "icmp", "icmp6"], snap=108)

    def finish(self):
        """[(destination address, port)] of each datagram."""
        self.capture.finish()
        return [_udp_destination(p.ip) for p in self.capture.packets
                if transport(p.ip)[0] == PROTOCOLS["udp"] and (p.loopback or p.outgoing == self.outgoing)]


def _udp_destination(ip):
    where = ip[16:20] if ip[0] >> 4 == 4 else ip[24:40]
    return ipaddress.ip_address(where), struct.unpack_from(">H", transport(ip)[1], 2)[0]
