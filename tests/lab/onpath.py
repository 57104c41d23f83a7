"""Whoever sits between two hosts: sees every packet that crosses the lab's internet, and puts packets there with
any source address. And STUN servers that are not what they say."""
import pathlib
import select
import socket
import struct
import sys
import threading
import time

from netns import inside, udp_socket

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import stunmsg  # noqa: E402

STUN_COOKIE = struct.pack("!I", stunmsg.COOKIE)
KEPT_MAX = 50000


def is_stun(payload):
    return len(payload) >= 20 and payload[0] < 4 and payload[4:8] == STUN_COOKIE


def is_quic(payload):
    return len(payload) >= 21 and payload[0] >= 0x40


def _sum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packet(source, to, payload):
    """An IPv4 packet with a UDP datagram between (address, port) pairs."""
    src, dst = socket.inet_aton(source[0]), socket.inet_aton(to[0])
    size = 8 + len(payload)
    udp = struct.pack(">HHHH", source[1], to[1], size, 0)
    check = _sum(src + dst + struct.pack(">BBH", 0, 17, size) + udp + payload) or 0xFFFF
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, 17, 0) + src + dst
    return head + udp[:6] + struct.pack(">H", check) + payload


class OnPath:
    """`datagrams` are [(source, destination, payload)] as they passed; `on` is called with each, on a thread of
    its own, if set."""

    def __init__(self, lab):
        self.lab, self.ns = lab, lab.internet
        with inside(self.ns):
            self.tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
            self.raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.tap.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 << 20)
        self.datagrams, self.on, self.over = [], None, False
        self.thread = threading.Thread(target=self._listen, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over = True
        self.thread.join()
        self.tap.close()
        self.raw.close()

    def send(self, source, to, payload):
        try:
            self.raw.sendto(packet(source, to, payload), (to[0], 0))
        except OSError:
            pass  # its queue is full: lost, as on any network

    def _listen(self):
        while not self.over:
            if not select.select([self.tap], [], [], 0.1)[0]:
                continue
            data, where = self.tap.recvfrom(65536)
            if where[2] == socket.PACKET_OUTGOING or len(data) < 28 or data[9] != 17:
                continue  # each comes by twice: in, and out
            head = (data[0] & 15) * 4
            sport, dport, size = struct.unpack_from(">HHH", data, head)
            seen = ((socket.inet_ntoa(data[12:16]), sport), (socket.inet_ntoa(data[16:20]), dport),
                    data[head + 8:head + size])
            if len(self.datagrams) < KEPT_MAX:
                self.datagrams.append(seen)
            if self.on:
                self.on(*seen)

    def wait(self, what, seconds=10):
        """The first datagram that `what(source, destination, payload)` is true of."""
        end, at = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            while at < len(self.datagrams):
                if what(*self.datagrams[at]):
                    return self.datagrams[at]
                at += 1
            time.sleep(0.005)
        raise AssertionError("no such datagram passed")

    def sent_to(self, address, sources=None):
        """Of what passed: the datagrams to that address (from those addresses alone)."""
        return [d for d in self.datagrams if d[1][0] == address and (sources is None or d[0][0] in sources)]


class StunServer:
    """A STUN server at an address of `host`, answering as `answers` says: a function of the request, its source
    and the server's socket, that gives [(seconds, socket or None, datagram)]."""

    def __init__(self, host, answers, port=3478):
        self.answers, self.asked, self.over = answers, 0, False
        self.sock = udp_socket(host.ns, host.address, port)
        self.other = udp_socket(host.ns, host.address, port + 1)
        self.name = f"{host.address}:{port}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def close(self):
        self.over = True
        self.thread.join()
        self.sock.close()
        self.other.close()

    def _serve(self):
        while not self.over:
            if not select.select([self.sock], [], [], 0.1)[0]:
                continue
            data, source = self.sock.recvfrom(2048)
            self.asked += 1
            for seconds, sock, answer in self.answers(data, source, self):
                if seconds:
                    threading.Timer(seconds, self._send, (sock or self.sock, answer, source)).start()
                else:
                    self._send(sock or self.sock, answer, source)

    def _send(self, sock, answer, to):
        try:
            sock.sendto(answer, to)
        except OSError:
            pass  # the lab is gone, or it is closed


def mapped(txid, address):
    """A success response that says so."""
    ip, port = address
    cookie = struct.unpack("!I", STUN_COOKIE)[0]
    value = struct.pack("!BBHI", 0, 1, port ^ cookie >> 16,
                        struct.unpack("!I", socket.inet_aton(ip))[0] ^ cookie)
    return stunmsg.message(stunmsg.SUCCESS, stunmsg.attribute(stunmsg.XOR_MAPPED, value), txid=txid)


def truthful(data, source, server):
    return [(0, None, mapped(data[8:20], source[:2]))]


def says(address):
    return lambda data, source, server: [(0, None, mapped(data[8:20], address))]


def forges(address):
    """Answers that must not count: another transaction, another port, a request turned round, too late."""
    def answers(data, source, server):
        txid = bytes([data[8] ^ 1]) + data[9:20]
        return [(0, None, mapped(txid, address)), (0, server.other, mapped(data[8:20], address)), (0, None, data),
                (0, None, data[:1] + b"\x11" + data[2:]), (0, None, mapped(data[8:20], address)[:-4])]
    return answers
