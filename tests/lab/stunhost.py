"""A public STUN server (RFC 5780) for a lab in which there is no relay: two addresses, two ports."""
import os
import select
import socket
import struct
import sys
import threading

from netns import udp_socket

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import stunmsg  # noqa: E402

PORTS = (3478, 3479)


def _address(ip, port, txid=None):
    raw = socket.inet_aton(ip)
    if txid is not None:
        port ^= stunmsg.COOKIE >> 16
        raw = bytes(a ^ b for a, b in zip(raw, struct.pack("!I", stunmsg.COOKIE)))
    return struct.pack("!BBH", 0, 1, port) + raw


def _change(data):
    """The flags of CHANGE-REQUEST."""
    at = 20
    while at + 4 <= len(data):
        kind, n = struct.unpack_from("!HH", data, at)
        if kind == stunmsg.CHANGE_REQUEST and n == 4:
            return struct.unpack_from("!I", data, at + 4)[0]
        at += 4 + n + -n % 4
    return 0


class StunHost(threading.Thread):
    """On a host of its own. `server` is what a node's settings name."""

    def __init__(self, lab, name="stun"):
        super().__init__(daemon=True)
        self.host = lab.host(name)
        second = self.host.address.rsplit(".", 1)[0] + ".9"
        lab.ip(self.host.ns, f"address add {second}/24 dev wan")
        self.ips = (self.host.address, second)
        self.sockets = {(i, p): udp_socket(self.host.ns, self.ips[i], PORTS[p]) for i in (0, 1) for p in (0, 1)}
        self.server = f"{self.ips[0]}:{PORTS[0]}"
        self.start()

    def run(self):
        while True:
            for s in select.select(list(self.sockets.values()), [], [])[0]:
                data, source = s.recvfrom(2048)
                if len(data) >= 20 and struct.unpack_from("!HHI", data)[::2] == (stunmsg.REQUEST, stunmsg.COOKIE):
                    self._answer(next(at for at, of in self.sockets.items() if of is s), data, source)

    def _answer(self, at, data, source):
        flags = _change(data)
        via = (at[0] ^ bool(flags & stunmsg.CHANGE_IP), at[1] ^ bool(flags & stunmsg.CHANGE_PORT))
        txid = data[8:20]
        attributes = (stunmsg.attribute(stunmsg.XOR_MAPPED, _address(*source, txid))
                      + stunmsg.attribute(stunmsg.ORIGIN, _address(self.ips[via[0]], PORTS[via[1]]))
                      + stunmsg.attribute(stunmsg.OTHER, _address(self.ips[1 - at[0]], PORTS[1 - at[1]])))
        self.sockets[via].sendto(stunmsg.message(stunmsg.SUCCESS, attributes, True, txid), source)
