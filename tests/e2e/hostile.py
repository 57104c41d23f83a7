"""hostile.py - a relay that cannot be trusted, as a real process: it sits between nodes and a real
teale-relay, understands every message and treats it as its `way` says (hostile_ways.py). The relay is started
with `--name` of this one's authority, so that proofs of registration hold through it."""
import base64
import hashlib
import json
import socket
import struct
import threading
import time

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
KEPT_MAX = 64 << 20  # bytes of what passed that are kept, to look for what must not be in it
DATAGRAMS_KEPT_MAX = 20000


def frame(payload, opcode=TEXT, mask=None, first=None):
    """One frame; with `mask` as a client writes it. `first` replaces the first byte."""
    n = len(payload)
    head = bytes([0x80 | opcode if first is None else first])
    bit = 0x80 if mask else 0
    if n > 65535:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    elif n > 125:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | n])
    return head + (mask + masked(payload, mask) if mask else payload)


def masked(payload, mask):
    repeated = int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)], "big")
    return (int.from_bytes(payload, "big") ^ repeated).to_bytes(len(payload), "big")


class Reader:
    """Frames from a socket; whole messages, fragments joined. EOFError at the end."""

    def __init__(self, sock, pending=b""):
        self.sock, self.pending = sock, bytearray(pending)

    def take(self, n):
        while len(self.pending) < n:
            more = self.sock.recv(1 << 18)
            if not more:
                raise EOFError
            self.pending += more
        out = bytes(self.pending[:n])
        del self.pending[:n]
        return out

    def until(self, mark):
        while mark not in self.pending:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.pending += more
        return self.take(self.pending.index(mark) + len(mark))

    def one(self):
        first, second = self.take(2)
        n = second & 0x7F
        if n > 125:
            n = struct.unpack(">H", self.take(2))[0] if n == 126 else struct.unpack(">Q", self.take(8))[0]
        mask = self.take(4) if second & 0x80 else None
        payload = self.take(n)
        return first & 0x80, first & 0x0F, masked(payload, mask) if mask else payload

    def message(self):
        opcode, payload = None, b""
        while True:
            fin, code, piece = self.one()
            if code >= CLOSE:
                return code, piece
            opcode, payload = code or opcode, payload + piece
            if fin:
                return opcode, payload


class Link:
    """One node's connection and the one that stands for it at the relay."""

    def __init__(self, hostile, sock):
        self.hostile, self.node = hostile, sock
        self.node_id = None
        self.lock = {"node": threading.Lock(), "relay": threading.Lock()}
        self.relay = None
        self.open = True
        threading.Thread(target=self._serve, daemon=True).start()

    # --- what a way may do

    def to_node(self, payload, opcode=TEXT):
        self.raw_to_node(frame(payload, opcode))

    def raw_to_node(self, data):
        self._write("node", self.node, data)

    def to_relay(self, payload, opcode=TEXT):
        self._write("relay", self.relay, frame(payload, opcode, b"\x37\xfa\x21\x3d"))

    def say(self, kind, payload):
        self.to_node(json.dumps({kind: payload}).encode())

    def data(self, sender, session, datagram):
        """A datagram to the node, as if `sender` had sent it in `session`."""
        self.say("relayData", {"fromNodeID": sender, "toNodeID": self.node_id, "sessionID": session,
                               "data": base64.b64encode(datagram).decode()})

    def cut(self):
        self.open = False
        for s in (self.node, self.relay):
            if s:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    # --- what it does by itself

    def _write(self, name, sock, data):
        with self.lock[name]:
            try:
                sock.sendall(data)
            except OSError:
                pass  # its reader sees the end

    def _serve(self):
        try:
            reader = Reader(self.node)
            head = reader.until(b"\r\n\r\n").decode("latin-1")
            self.relay = self.hostile.dial()
            up = Reader(self.relay)
            up.until(b"\r\n\r\n")
            key = next(l for l in head.split("\r\n") if l.lower().startswith("sec-websocket-key:")).split(":")[1]
            guid = key.strip() + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(guid.encode()).digest()).decode()
            answer = (f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                      f"Sec-WebSocket-Accept: {accept}\r\n\r\n").encode()
            self.raw_to_node(self.hostile.way.upgrade(answer))
            threading.Thread(target=self._pump, args=(up, False), daemon=True).start()
            self._pump(reader, True)
        except (OSError, EOFError, StopIteration):
            self.cut()

    def _pump(self, reader, from_node):
        try:
            while True:
                opcode, payload = reader.message()
                if opcode == TEXT:
                    self._text(payload, from_node)
                elif from_node:
                    self.to_relay(payload, opcode)
                else:
                    self.to_node(payload, opcode)
                if opcode == CLOSE:
                    break
        except (OSError, EOFError):
            pass
        self.cut()

    def _text(self, raw, from_node):
        kind, payload = next(iter(json.loads(raw).items()))
        if kind == "register" and from_node:
            self.node_id = payload["nodeID"]
            # the ways below treat every datagram, so it has to come as a relayData text, as from older nodes
            payload["features"] = [f for f in payload.get("features", []) if f != "relay-token"]
            raw = json.dumps({kind: payload}).encode()
        self.hostile.keep(self, kind, payload, raw, from_node)
        way = self.hostile.way
        for out in (way.from_node if from_node else way.from_relay)(self, kind, payload, raw):
            (self.to_relay if from_node else self.to_node)(out)


class Hostile:
    """Listens as a relay would. `way` may be changed at any time; `url` and `port` are a relay's."""

    def __init__(self, address="127.0.0.1"):
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        self.authority = f"{address}:{self.port}"
        self.url = f"ws://{self.authority}/ws"
        self.upstream = None
        self.links = []
        self.lock = threading.Lock()
        self.kept = bytearray()  # what a relay gets to see
        self.datagrams = []      # (from, to, session, bytes) as they came from nodes
        self._way = Honest()
        self.over = threading.Event()
        for work in (self._accept, self._tick):
            threading.Thread(target=work, daemon=True).start()

    @property
    def way(self):
        return self._way

    @way.setter
    def way(self, way):
        way.hostile = self
        self._way = way

    def close(self):
        self.over.set()
        self.listener.close()
        for link in list(self.links):
            link.cut()

    def dial(self):
        s = socket.create_connection(("127.0.0.1", self.upstream), timeout=10)
        s.settimeout(None)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.sendall(f"GET /ws HTTP/1.1\r\nHost: {self.authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        return s

    def link_of(self, node):
        """The newest open connection of a node."""
        return next((l for l in reversed(self.links) if l.open and l.node_id == node.id), None)

    def keep(self, link, kind, payload, raw, from_node):
        if not from_node:
            return
        with self.lock:
            if len(self.kept) < KEPT_MAX:
                self.kept += raw
            if kind == "relayData" and len(self.datagrams) < DATAGRAMS_KEPT_MAX:
                datagram = base64.b64decode(payload["data"])
                self.kept += datagram
                self.datagrams.append((link.node_id, payload["toNodeID"], payload["sessionID"], datagram))

    def saw(self, words):
        """Whether the words passed in clear, in a message or in a datagram."""
        with self.lock:
            return words.encode() in self.kept

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.links.append(Link(self, sock))

    def _tick(self):
        while not self.over.wait(0.01):
            self.way.tick(time.monotonic())


class Honest:
    """Passes everything on as it is; what the hostile ways change. A method returns the messages to send in
    place of the one that came."""
    hostile = None

    def upgrade(self, answer):
        return answer

    def from_node(self, link, kind, payload, raw):
        return [raw]

    def from_relay(self, link, kind, payload, raw):
        return [raw]

    def tick(self, now):
        pass
