"""dhtscene.py - the DHT (BEP 5, 44) on loopback: KRPC by code that is not ours, and nodes of ours that use it."""
import hashlib
import json
import os
import re
import socket
import time

from ed25519 import Key

SALT = b"teale"
READ = 2048


def bencode(v):
    if isinstance(v, int):
        return b"i%de" % v
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return b"%d:%s" % (len(v), v)
    if isinstance(v, list):
        return b"l" + b"".join(map(bencode, v)) + b"e"
    keys = sorted((k.encode() if isinstance(k, str) else k, k) for k in v)
    return b"d" + b"".join(bencode(raw) + bencode(v[k]) for raw, k in keys) + b"e"


def _decode(data, at):
    first = data[at:at + 1]
    if first == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if first in (b"l", b"d"):
        values, at = [], at + 1
        while data[at:at + 1] != b"e":
            value, at = _decode(data, at)
            values.append(value)
        if first == b"l":
            return values, at + 1
        return {k.decode("latin-1"): v for k, v in zip(values[::2], values[1::2])}, at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end], end


def bdecode(data):
    value, end = _decode(data, 0)
    assert end == len(data), data
    return value


def target_of(public, salt=SALT):
    return hashlib.sha1(public + salt).digest()


def signed(key, seq, value, salt=SALT):
    """The arguments of a `put`. `value` is not encoded yet."""
    message = (b"4:salt" + bencode(salt) if salt else b"") + b"3:seq" + bencode(seq) + b"1:v" + bencode(value)
    return {"k": key.public, **({"salt": salt} if salt else {}), "seq": seq, "sig": key.sign(message), "v": value}


def record(nat="Public", addresses=(), introducers=(), relays=(), version=1):
    """The text that a node publishes: addresses as (IPv4, port), introducers as (id, IPv4, port)."""
    compact = lambda ip, port: socket.inet_aton(ip) + port.to_bytes(2, "big")
    return bencode({"i": [who + compact(*at) for who, *at in introducers], "n": nat, "p": [compact(*a) for a in addresses],
                    "r": list(relays), "v": version})


class Stranger:
    """Somebody who speaks KRPC. It answers nothing, unless a test does."""

    def __init__(self, address="127.0.0.1"):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.at = self.socket.getsockname()
        self.id = os.urandom(20)
        self.tid = 0
        self.sent = self.received = 0  # bytes of datagrams, without headers

    def close(self):
        self.socket.close()

    def send(self, port, datagram):
        self.sent += len(datagram)
        self.socket.sendto(datagram, ("127.0.0.1", port))

    def query(self, method, tid=None, **args):
        self.tid += 1
        return {"t": tid or b"%04d" % self.tid, "y": "q", "q": method, "a": {"id": self.id, **args}}

    def wait(self, is_it, seconds):
        """The first datagram that `is_it`; None: none came."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                datagram = self.socket.recv(READ)
            except TimeoutError:
                break
            self.received += len(datagram)
            message = bdecode(datagram)
            if is_it(message):
                return message
        return None

    def ask(self, port, method, seconds=5, **args):
        """The answer to a query, or None. The one who is asked may lose a datagram when the machine is busy."""
        query = self.query(method, **args)
        self.send(port, bencode(query))
        return self.wait(lambda m: m.get("t") == query["t"] and m["y"] in (b"r", b"e"), seconds)

    def error(self, port, method, **args):
        answer = self.ask(port, method, **args)
        assert answer and answer["y"] == b"e", answer
        return answer["e"][0]

    def token(self, port, target=None):
        return self.ask(port, "get", target=target or os.urandom(20))["r"]["token"]

    def put(self, port, item, **more):
        """None: it was taken. Else the error's code."""
        answer = self.ask(port, "put", **{"token": self.token(port), **item, **more})
        assert answer, "a put was not answered"
        return None if answer["y"] == b"r" else answer["e"][0]


def start(scenery, port, doors, **settings):
    """A node of ours in the DHT, without any relay."""
    home = scenery.new_home()
    scenery.config(home, **{"wan_enabled": "true", "wan_relay_url": "[]", "nat.stun_servers": "[]",
                            "nat.port_mapping": "false", "udp_port": str(port), "dht.serve": "on",
                            "dht.bootstrap": json.dumps([f"127.0.0.1:{p}" for p in doors]), **settings})
    n = scenery.node(None, home=home, connected=False, relayed=False)
    n.udp = port
    return n


def dht(node):
    return node.status()["dht"]


def metric(node, name):
    c, r = node.request("GET", "/metrics")
    text = r.read().decode()
    c.close()
    return float(re.search(rf"(?m)^{re.escape(name)} (\S+)$", text)[1])


def new_key():
    return Key(os.urandom(32))
