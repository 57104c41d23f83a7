"""A WebSocket client that sends exactly the bytes a test asks for, legal or not."""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(payload=b"", opcode=TEXT, fin=True, rsv=0, mask=b"\x11\x22\x33\x44", length=None, wide=0):
    """One frame as a client writes it. `length`: what it announces instead of the truth; `wide`: 2 or 8
    bytes of length though fewer would do; `mask` None: unmasked."""
    n = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask is not None else 0
    if wide == 8 or n > 65535:
        head += bytes([bit | 127]) + struct.pack(">Q", n)
    elif wide == 2 or n > 125:
        head += bytes([bit | 126]) + struct.pack(">H", n)
    else:
        head += bytes([bit | n])
    if mask is None:
        return head + payload
    repeated = int.from_bytes((mask * (len(payload) // 4 + 1))[:len(payload)], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ repeated).to_bytes(len(payload), "big")


def as_text(kind, payload):
    return json.dumps({kind: payload}, separators=(",", ":")).encode()


class Ended(Exception):
    """The connection ended; `code` is the close frame's, None if there was none."""

    def __init__(self, code, reason=""):
        super().__init__(f"ended with close code {code} {reason}")
        self.code = code


class WebSocket:
    def __init__(self, address, tls=None, source=None, path="/ws", rcvbuf=None, timeout=5, headers="", first=b""):
        """`headers`: more lines of the request, each with its CRLF; `first`: bytes before TLS and the request."""
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.sock.settimeout(timeout)
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if source:
            self.sock.bind((source, 0))
        self.sock.connect(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(first)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=address[0])
        self.pending = b""
        key = base64.b64encode(os.urandom(16)).decode()
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.sock.sendall((f"GET {path} HTTP/1.1\r\nHost: {host}:{address[1]}\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                           "Sec-WebSocket-Version: 13\r\n" + headers + "\r\n").encode())
        head = self._until(b"\r\n\r\n").decode()
        guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1((key + guid).encode()).digest()).decode()
        if not (head.startswith("HTTP/1.1 101 ") and accept in head):
            self.sock.close()
            raise AssertionError(head)

    def _fill(self):
        try:
            more = self.sock.recv(1 << 18)
        except (ConnectionResetError, ssl.SSLEOFError):
            more = b""
        if not more:
            raise Ended(None)
        self.pending += more

    def _until(self, mark):
        while mark not in self.pending:
            self._fill()
        head, _, self.pending = self.pending.partition(mark)
        return head

    def _take(self, n):
        while len(self.pending) < n:
            self._fill()
        out, self.pending = self.pending[:n], self.pending[n:]
        return out

    def frame(self):
        """The next frame from the server: (opcode, payload)."""
        first, second = self._take(2)
        assert first & 0x70 == 0 and second & 0x80 == 0, "a server's frame has no RSV bits and no mask"
        n = second & 0x7F
        if n == 126:
            n = struct.unpack(">H", self._take(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self._take(8))[0]
        return first & 0x0F, self._take(n)

    def message(self):
        """The next JSON message as (type, payload). Raises Ended on a close frame or the end."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                raise Ended(code, payload[2:].decode())
            if opcode == PING:
                self.send(payload, PONG)
            elif opcode == TEXT:
                return next(iter(json.loads(payload).items()))

    def send(self, payload, opcode=TEXT, **kw):
        self.sock.sendall(frame(payload, opcode, **kw))

    def send_message(self, kind, payload):
        self.send(as_text(kind, payload))

    def close_code(self):
        """Reads to the end; the code of the close frame."""
        try:
            while True:
                self.message()
        except Ended as e:
            return e.code

    def close(self):
        self.sock.close()
