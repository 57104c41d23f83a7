"""STUN messages (RFC 8489, RFC 5780) as a client writes and reads them, made from the RFCs alone."""
import ipaddress
import os
import socket
import struct
import zlib

COOKIE = 0x2112A442
REQUEST, INDICATION, SUCCESS, ERROR = 0x0001, 0x0011, 0x0101, 0x0111
MAPPED, CHANGE_REQUEST, USERNAME, ERROR_CODE, UNKNOWN, XOR_MAPPED = 0x0001, 0x0003, 0x0006, 0x0009, 0x000A, 0x0020
PADDING, RESPONSE_PORT, SOFTWARE, FINGERPRINT, ORIGIN, OTHER = 0x0026, 0x0027, 0x8022, 0x8028, 0x802B, 0x802C
CHANGE_IP, CHANGE_PORT = 4, 2


def attribute(kind, value=b""):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(kind=REQUEST, attributes=b"", fingerprint=False, txid=None):
    txid = txid or os.urandom(12)
    header = lambda n: struct.pack("!HHI", kind, n, COOKIE) + txid
    if fingerprint:
        crc = zlib.crc32(header(len(attributes) + 8) + attributes) ^ 0x5354554E
        attributes += attribute(FINGERPRINT, struct.pack("!I", crc))
    return header(len(attributes)) + attributes


def change(flags, **kw):
    return message(attributes=attribute(CHANGE_REQUEST, struct.pack("!I", flags)), **kw)


def _address(value, xor):
    _, family, port = struct.unpack_from("!BBH", value)
    ip = value[4:]
    assert (family, len(ip)) in ((1, 4), (2, 16)), value
    if xor:
        port ^= xor[0] << 8 | xor[1]
        ip = bytes(a ^ b for a, b in zip(ip, xor))
    return str(ipaddress.ip_address(ip)), port


class Answer:
    """Raises AssertionError unless every byte is as the RFCs have it."""

    def __init__(self, data):
        self.kind, n, cookie = struct.unpack_from("!HHI", data)
        self.txid = data[8:20]
        assert cookie == COOKIE and n == len(data) - 20 and n % 4 == 0, data
        self.types = []
        self.fingerprint = False
        at = 20
        while at < len(data):
            kind, n = struct.unpack_from("!HH", data, at)
            value = data[at + 4:at + 4 + n]
            assert len(value) == n and not self.fingerprint, data
            if kind == FINGERPRINT:
                assert struct.unpack("!I", value)[0] == zlib.crc32(data[:at]) ^ 0x5354554E, data
                self.fingerprint = True
            self.types.append(kind)
            self._take(kind, value, data[4:20])
            at += 4 + n + -n % 4
        assert at == len(data), data
        assert len(set(self.types)) == len(self.types), data

    def _take(self, kind, value, mask):
        if kind == XOR_MAPPED:
            self.mapped = _address(value, mask)
        elif kind == ORIGIN:
            self.origin = _address(value, None)
        elif kind == OTHER:
            self.other = _address(value, None)
        elif kind == ERROR_CODE:
            self.error = (value[2] & 7) * 100 + value[3]
        elif kind == UNKNOWN:
            self.unknown = list(struct.unpack(f"!{len(value) // 2}H", value))


class Client:
    """One socket. `ask` takes an answer from any address and tells which."""

    def __init__(self, local="127.0.0.1", timeout=0.5):
        self.sock = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((local, 0))
        self.sock.settimeout(timeout)
        self.address = self.sock.getsockname()[:2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def ask(self, server, request=None, tries=4):
        """(Answer, from, bytes) or None. The request is repeated as RFC 8489 has it."""
        request = message() if request is None else request
        for _ in range(tries):
            self.sock.sendto(request, server)
            try:
                while True:
                    data, source = self.sock.recvfrom(65536)
                    if data[8:20] == request[8:20]:
                        return Answer(data), source[:2], data
            except TimeoutError:
                continue
        return None

    def silent(self, server, datagram):
        """True if nothing comes back before an honest request, sent behind it, is answered."""
        self.sock.sendto(datagram, server)
        honest = message()
        self.sock.sendto(honest, server)
        data, _ = self.sock.recvfrom(65536)
        return data[8:20] == honest[8:20]
