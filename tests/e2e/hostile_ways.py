"""hostile_ways.py - what a hostile relay (hostile.py) does: identities swapped, datagrams lost, repeated,
altered and invented, sessions forged, nonsense in every form."""
import base64
import json
import os
import random
import struct
import threading
import time

from hostile import BINARY, CLOSE, PING, PONG, TEXT, Honest, frame


def text(kind, payload):
    return json.dumps({kind: payload}).encode()


# --- identities

class SwapsWireguardKeyAtRegistration(Honest):
    def from_node(self, link, kind, payload, raw):
        if kind == "register":
            return [text(kind, {**payload, "wgPublicKey": os.urandom(32).hex()})]
        return [raw]


class ChangesPeers(Honest):
    """`change` turns one discovered peer into another."""

    def __init__(self, change):
        self.change = change

    def from_relay(self, link, kind, payload, raw):
        if kind == "discoverResponse":
            return [text(kind, {**payload, "peers": [self.change(dict(p)) for p in payload["peers"]]})]
        return [raw]


class LeadsElsewhere(Honest):
    """Whoever asks for `wanted` is led to `actual`, and told it was `wanted`; with `lists` the relay lists
    `actual` under what `wanted` says of itself."""

    def __init__(self, wanted, actual, lists=None):
        self.wanted, self.actual, self.lists = wanted, actual, lists

    def from_node(self, link, kind, payload, raw):
        if payload.get("toNodeID") == self.wanted and link.node_id != self.actual:
            return [text(kind, {**payload, "toNodeID": self.actual})]
        return [raw]

    def from_relay(self, link, kind, payload, raw):
        if payload.get("fromNodeID") == self.actual:
            return [text(kind, {**payload, "fromNodeID": self.wanted})]
        if kind == "discoverResponse" and self.lists:
            return [text(kind, {**payload, "peers": [self.lists(dict(p)) for p in payload["peers"]]})]
        return [raw]


class SaysItIsThePeer(Honest):
    """Answers relayOpen itself, and every datagram with random bytes."""

    def from_node(self, link, kind, payload, raw):
        if kind == "relayOpen":
            link.say("relayReady", {"fromNodeID": payload["toNodeID"], "toNodeID": link.node_id,
                                    "sessionID": payload["sessionID"]})
        elif kind == "relayData":
            theirs = base64.b64decode(payload["data"])
            for answer in (os.urandom(1200), theirs, theirs[:1] + os.urandom(len(theirs) - 1)):
                link.data(payload["toNodeID"], payload["sessionID"], answer)
        else:
            return [raw]
        return []


# --- datagrams

class Datagrams(Honest):
    """`change` says what becomes of a datagram on its way to a node: a list of datagrams."""

    def change(self, link, payload, datagram):
        raise NotImplementedError

    def from_relay(self, link, kind, payload, raw):
        if kind != "relayData":
            return [raw]
        return [text(kind, {**payload, "data": base64.b64encode(d).decode()})
                for d in self.change(link, payload, base64.b64decode(payload["data"]))]


class Drops(Datagrams):
    def __init__(self, share):
        self.share, self.random = share, random.Random(7)

    def change(self, link, payload, datagram):
        return [] if self.random.random() < self.share else [datagram]


class SendsTwice(Datagrams):
    def change(self, link, payload, datagram):
        return [datagram, datagram]


class Alters(Datagrams):
    """A share of the datagrams is altered: `how` takes and returns bytes."""

    def __init__(self, how, share):
        self.how, self.share, self.random = how, share, random.Random(11)

    def change(self, link, payload, datagram):
        return [self.how(self.random, datagram) if self.random.random() < self.share else datagram]


def flip_a_bit(rng, datagram):
    at = rng.randrange(8 * len(datagram))
    out = bytearray(datagram)
    out[at // 8] ^= 1 << at % 8
    return bytes(out)


def cut_short(rng, datagram):
    return datagram[:rng.randrange(len(datagram))]


def make_longer(rng, datagram):
    return datagram + rng.randbytes(rng.randrange(1, 2000))


def empty(rng, datagram):
    return b""


class Reorders(Datagrams):
    """Holds datagrams back and lets them go in any order, all within 20 ms or so."""

    def __init__(self):
        self.held, self.lock, self.random = [], threading.Lock(), random.Random(3)

    def change(self, link, payload, datagram):
        with self.lock:
            self.held.append((link, payload["fromNodeID"], payload["sessionID"], datagram))
        return []

    def tick(self, now):
        if self.random.random() < 0.5:
            return
        with self.lock:
            held, self.held = self.held, []
        self.random.shuffle(held)
        for link, sender, session, datagram in held:
            link.data(sender, session, datagram)


class RepeatsLate(Datagrams):
    """Every datagram again after half a second, and some of them again and again."""

    def __init__(self):
        self.held, self.lock, self.random = [], threading.Lock(), random.Random(5)

    def change(self, link, payload, datagram):
        again = (link, payload["fromNodeID"], payload["sessionID"], datagram)
        with self.lock:
            self.held.append((time.monotonic() + 0.5, again))
        return [datagram]

    def tick(self, now):
        with self.lock:
            due = [d for at, d in self.held if at <= now]
            self.held = [h for h in self.held if h[0] > now]
        for d in due + self.random.sample(due, len(due) // 10):
            d[0].data(*d[1:])


class Interleaves(Honest):
    """Before each message to a node that `make` (called with link and message's payload) has something for,
    that something."""

    def __init__(self, make):
        self.make = make

    def from_relay(self, link, kind, payload, raw):
        if kind == "relayData":
            self.make(link, payload)
        return [raw]


def random_datagrams(link, payload):
    for n in (0, 1, 20, 21, 37, 1200, 60000):
        link.data(payload["fromNodeID"], payload["sessionID"], os.urandom(n))
    link.data(payload["fromNodeID"], payload["sessionID"], base64.b64decode(payload["data"])[:9] + os.urandom(40))


def bad_base64(link, payload):
    for data in ("", "=", "A", "AA", "AAA", "AAAA=", "====", "AA=A", "QUJD\n", "QU JD", "Q-_D", "\u00e4\u00e4", "AB==",
                 "A" * 4097, "\\/\\/" * 3):
        link.say("relayData", {**payload, "data": data})
    for escaped in (b'"\\u0041AAA"', b'"AAA\\n"', b'"\\/\\/\\/\\/"', b'7', b'null', b'["AAAA"]', b'{"a":"AAAA"}'):
        link.to_node(json.dumps({"relayData": {**payload, "data": "@"}}).encode().replace(b'"@"', escaped))


class InventsSessions(Honest):
    """relayOpen from unknown nodes by the thousand, and datagrams in those sessions."""

    def __init__(self, victim, datagram=None, at_once=100):
        self.victim, self.datagram, self.at_once, self.count = victim, datagram, at_once, 0

    def tick(self, now):
        link = self.hostile.link_of(self.victim)
        for _ in range(self.at_once if link else 0):
            self.count += 1
            stranger, session = os.urandom(32).hex(), f"flood-{self.count}"
            link.say("relayOpen", {"fromNodeID": stranger, "toNodeID": link.node_id, "sessionID": session})
            link.data(stranger, session, self.datagram or os.urandom(1200))


class Lists(Honest):
    """Answers discover with what `peers` gives for the asking node, and says there is more, without end."""

    def __init__(self, peers):
        self.peers, self.pages = peers, 0

    def from_node(self, link, kind, payload, raw):
        if kind != "discover":
            return [raw]
        self.pages += 1
        link.say("discoverResponse", {"peers": self.peers(link), "cursor": f"page-{self.pages}"})
        return []


# --- nonsense

def nonsense(link, payload):
    a, b, s = payload["fromNodeID"], payload["toNodeID"], payload["sessionID"]
    ids = {"fromNodeID": a, "toNodeID": b, "sessionID": s}
    for raw in (b"", b" ", b"{}", b"[]", b"null", b"7", b'"x"', b"{", b'{"relayData"', b"not json", b"\x00",
                b'{"a":1,"a":2}', b'{"relayData":{},"relayClose":{}}', b"\xef\xbb\xbf{}", b"{} {}", b"-", b"1e999"):
        link.to_node(raw)
    for kind in ("relayData", "relayOpen", "relayReady", "relayClose", "discoverResponse", "registerAck", "challenge",
                 "error", "offer", "answer", "iceCandidate", "peerJoined", "relayOffer", "register", "nonsense"):
        for value in (None, 7, "x", [], {}, {"_0": None}, {"_0": {}}, {"_0": {"_0": ids}}, {"_0": ids, "x": 1},
                      {"peers": 7}, {"peers": [7, None, {}, {"nodeID": 7}], "cursor": 9}, {"code": 7, "message": {}},
                      {"nonce": "zz"}, {"nodeID": "00" * 32, "ttlSeconds": -1}, {**ids, "data": 7}):
            link.say(kind, value)
    for wrong in ({**ids, "fromNodeID": b}, {**ids, "toNodeID": a}, {**ids, "sessionID": "x" * 65},
                  {**ids, "sessionID": "a b"}, {**ids, "sessionID": ""}, {**ids, "fromNodeID": a.upper()},
                  {**ids, "fromNodeID": a[:-1]}, {**ids, "sessionID": "another"}):
        for kind in ("relayOpen", "relayReady", "relayClose", "relayData"):
            link.say(kind, {**wrong, "data": "AAAA"})
    # A key twice, once escaped: whichever a parser takes, the other may have been checked.
    same = json.dumps({"relayData": {**ids, "data": "AAAA"}})
    link.to_node(same.replace('"data"', '"\\u0064ata": "AAAA", "data"').encode())
    link.to_node(same.replace('"fromNodeID"', f'"\\u0066romNodeID": "{"00" * 32}", "fromNodeID"').encode())
    for code in ("forbidden", "busy", "rate_limited", "session_not_found", "too_large", "invalid_json", "\x1b[31m", ""):
        link.say("error", {"code": code, "message": "\x1b]0;owned\x07" * 50, "about": "relayData"})


def giants(link, payload):
    """The largest that a relay may send, of each kind of trouble."""
    for raw in (b'{"relayData":' + b"[" * (1 << 20) + b"]" * (1 << 20) + b"}",
                b"[" * (3 << 20), b'{"a":' * (1 << 19), b'{"x":"' + b"y" * (3 << 20) + b'"}',
                json.dumps({"relayData": {**payload, "data": "A" * (3 << 20)}}).encode(),
                b'{"relayData":{' + b",".join(b'"k%d":0' % i for i in range(200000)) + b"}}",
                b'{"relayData":{' + b",".join(b'"\\u006b%d":0' % i for i in range(9000)) + b"}}",
                b'{"error":{"code":"busy","message":"' + b"m" * (1 << 20) + b'"}}'):
        link.to_node(raw)


def odd_frames(link, payload):
    """Frames that are legal, and that no relay sends."""
    link.to_node(os.urandom(300), BINARY)
    link.to_node(b"", BINARY)
    link.to_node(b"?" * 125, PING)
    link.to_node(b"unasked", PONG)
    link.raw_to_node(frame(b'{"nonsen', first=TEXT) + frame(b"!", PING) + frame(b'se":{}}', first=0x80))
    link.raw_to_node(frame(b"", first=TEXT) + frame(b"", first=0) * 500 + frame(b"", first=0x80))


ILLEGAL_FRAMES = {
    "text that is no UTF-8": frame(b'{"\xff\xfe":1}'),
    "a reserved bit": frame(b"{}", first=0xC1),
    "a reserved opcode": frame(b"{}", first=0x83),
    "a mask": frame(b"{}", mask=b"abcd"),
    "a fragmented ping": frame(b"", first=PING),
    "continuation of nothing": frame(b"x", first=0x80),
    "more than 4 MiB": bytes([0x81, 127]) + struct.pack(">Q", 5 << 20),
    "a negative length": bytes([0x81, 127]) + b"\xff" * 8,
    "a length in more bytes than it needs": bytes([0x81, 126, 0, 2]) + b"{}",
    "a close of one byte": frame(b"\x03", CLOSE),
    "a close with a code that none may send": frame(struct.pack(">H", 1006), CLOSE),
}


class OnceThen(Honest):
    """`act` with the link, at the n-th relayData to `node`, once; honest before and after."""

    def __init__(self, act, node, nth=3):
        self.act, self.node, self.nth, self.seen, self.done = act, node.id, nth, 0, False

    def from_relay(self, link, kind, payload, raw):
        if kind == "relayData" and link.node_id == self.node and not self.done:
            self.seen += 1
            if self.seen >= self.nth:
                self.done = True
                self.act(link)
                return []
        return [raw]


class Swallows(Honest):
    """Never passes on, or answers, messages of these kinds."""

    def __init__(self, *kinds):
        self.kinds = kinds

    def from_node(self, link, kind, payload, raw):
        return [] if kind in self.kinds else [raw]

    def from_relay(self, link, kind, payload, raw):
        return [] if kind in self.kinds else [raw]


class Refuses(Honest):
    """Answers messages of one kind with an error."""

    def __init__(self, kind, code, about=None):
        self.kind, self.code, self.about = kind, code, about or kind

    def from_node(self, link, kind, payload, raw):
        if kind != self.kind:
            return [raw]
        link.say("error", {"code": self.code, "message": "because I say so", "about": self.about})
        return []


class Upgrades(Honest):
    """Answers the upgrade in a way of its own; `change` takes and returns the response's bytes."""

    def __init__(self, change):
        self.change = change

    def upgrade(self, answer):
        return self.change(answer)


class Acknowledges(Honest):
    """registerAck with other fields."""

    def __init__(self, **fields):
        self.fields = fields

    def from_relay(self, link, kind, payload, raw):
        return [text(kind, {**payload, **self.fields}) if kind == "registerAck" else raw]
