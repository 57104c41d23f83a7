"""A teale-relay under test, and a node that speaks to it in raw frames."""
import itertools
import json
import re
import signal
import socket
import subprocess
import threading

import ed25519
import wsraw

BINARY_PATH = None
_seeds = itertools.count(1)

CAPABILITIES = {
    "hardware": {"chipFamily": "unknown", "chipName": "test", "totalRAMGB": 8, "gpuCoreCount": 0,
                 "memoryBandwidthGBs": 10, "tier": 2},
    "loadedModels": [], "maxModelSizeGB": 4, "isAvailable": True, "ptnIDs": [],
}


def new_key():
    return ed25519.Key(next(_seeds).to_bytes(32, "big"))


class Relay:
    """Use as a context manager: ended by SIGTERM, and then must have ended well."""

    def __init__(self, *args, listen="127.0.0.1:0", expect_status=0):
        listening = [] if listen is None else ["--listen", listen]
        self.process = subprocess.Popen([BINARY_PATH, *listening, *args], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.expect_status = expect_status
        self.nodes = []
        self.log = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read_log)
        self._reader.start()
        self.ready = self.process.stdout.readline()
        urls = re.findall(r"(wss?)://(\S+?):(\d+)/ws", self.ready)
        assert urls, f"no ready line: {self.ready!r}"
        self.addresses = [(host.strip("[]"), int(port)) for _, host, port in urls]
        self.schemes = [scheme for scheme, _, _ in urls]
        self.address = self.addresses[0]

    def _read_log(self):
        for line in self.process.stderr:
            with self._changed:
                self.log.append(line)
                self._changed.notify_all()

    def wait_log(self, words, timeout=5):
        with self._changed:
            assert self._changed.wait_for(lambda: any(words in l for l in self.log), timeout), self.log

    def signal(self, signo):
        self.process.send_signal(signo)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for node in self.nodes:
            node.close()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the relay did not end within 10 s of SIGTERM")
        finally:
            self._reader.join()
            self.process.stdout.close()
            self.process.stderr.close()
        if error == (None, None, None):
            assert status == self.expect_status, f"exit status {status}: {self.log}"

    def http(self, request, address=None):
        """Sends the bytes, returns (status, head, body)."""
        with socket.create_connection(address or self.address, timeout=20) as s:
            s.sendall(request if isinstance(request, bytes) else request.encode())
            got = b""
            while more := s.recv(65536):
                got += more
        head, _, body = got.partition(b"\r\n\r\n")
        return int(head.split()[1]), head.decode(), body.decode()

    def get(self, path, *headers):
        return self.http("".join([f"GET {path} HTTP/1.1\r\nHost: x\r\n", *(h + "\r\n" for h in headers), "\r\n"]))

    def peer_count(self):
        return json.loads(self.get("/health")[2])["peers"]


class Node(wsraw.WebSocket):
    """Connects; `register` makes it somebody."""

    def __init__(self, relay, key=None, address=None, authority=None, **kw):
        address = address or relay.address
        super().__init__(address, **kw)
        relay.nodes.append(self)
        self.key = key or new_key()
        self.id = self.key.public.hex()
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        self.authority = authority or f"{host}:{address[1]}"
        kind, challenge = self.message()
        assert kind == "challenge" and len(challenge["nonce"]) == 64, (kind, challenge)
        self.nonce = challenge["nonce"]

    def registration(self, **changes):
        body = f"{self.nonce}:{self.authority}:{self.id}".encode()
        fields = {
            "nodeID": self.id, "publicKey": self.id, "wgPublicKey": None, "displayName": "test",
            "capabilities": CAPABILITIES, "signature": self.key.sign(self.id.encode()).hex(),
            "challengeSignature": self.key.sign(b"teale/v1/register\0" + body).hex(), "features": ["quiet"],
        }
        fields.update(changes)
        return {k: v for k, v in fields.items() if v is not ...}

    def register(self, **changes):
        self.send_message("register", self.registration(**changes))
        kind, payload = self.message()
        assert kind == "registerAck", (kind, payload)
        return payload

    def expect(self, wanted):
        kind, payload = self.message()
        assert kind == wanted, (kind, payload)
        return payload

    def expect_error(self, code):
        error = self.expect("error")
        assert error["code"] == code, error
        return error

    def to(self, other, kind, session, **more):
        self.send_message(kind, {"fromNodeID": self.id, "toNodeID": other.id, "sessionID": session, **more})


def session(a, b, name):
    """Opens a session between two registered nodes."""
    a.to(b, "relayOpen", name)
    b.expect("relayOpen")
    b.to(a, "relayReady", name)
    a.expect("relayReady")
