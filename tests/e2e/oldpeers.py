"""oldpeers.py - nodes of the public network's old protocol, as their own programs behave: "rust" is its node and its
gateway, "mac" its app. They decode as strictly as these do, and drop what they cannot read without a word."""
import base64
import json
import socket
import threading
import time
import uuid

from relayproc import CAPABILITIES, Node
from wsraw import Ended


class At:
    """A relay of scenery.py, as relayproc.Node wants it."""

    def __init__(self, relay):
        self.address, self.nodes = ("127.0.0.1", relay.port), []


def is_uuid(text):
    try:
        return isinstance(text, str) and len(text) == 36 and bool(uuid.UUID(text))
    except ValueError:
        return False


def is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_names(value):
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def swift_decodes(kind, p):
    """Would Swift's Codable take the payload? Every field that it does not mark as optional must be there."""
    if kind in ("heartbeat", "heartbeatAck"):
        return (is_uuid(p["deviceID"]) and isinstance(p["timestamp"], (int, float)) and p["thermalLevel"] == "nominal"
                and is_int(p["throttleLevel"]) and is_names(p["loadedModels"]) and isinstance(p["isGenerating"], bool)
                and is_int(p["queueDepth"]))
    if kind in ("hello", "helloAck"):
        d, h = p["deviceInfo"], p["deviceInfo"]["hardware"]
        return (is_int(p["protocolVersion"]) and is_names(p["loadedModels"]) and is_uuid(d["id"])
                and isinstance(d["name"], str) and all(isinstance(d[k], (int, float)) for k in ("registeredAt", "lastSeenAt"))
                and isinstance(d["isCurrentDevice"], bool) and is_names(d["loadedModels"])
                and all(isinstance(h[k], str) for k in ("chipFamily", "chipName")) and is_int(h["gpuCoreCount"])
                and all(isinstance(h[k], (int, float)) for k in ("totalRAMGB", "memoryBandwidthGBs")))
    if not is_uuid(p["requestID"]):
        return False
    if kind == "inferenceRequest":
        return isinstance(p["streaming"], bool) and rust_decodes_request(p["request"])
    if kind == "inferenceChunk":
        c, u = p["chunk"], p["chunk"].get("usage")
        return (isinstance(c["id"], str) and isinstance(c["object"], str) and is_int(c["created"])
                and isinstance(c["model"], str)
                and all(is_int(x["index"]) and isinstance(x["delta"], dict) for x in c["choices"])
                and (u is None or all(is_int(u[k]) for k in ("prompt_tokens", "completion_tokens", "total_tokens"))))
    return kind == "inferenceComplete" or isinstance(p["errorMessage"], str)


def rust_decodes_request(r):
    stop = r.get("stop")
    return (isinstance(r["messages"], list) and all("role" in m and "content" in m for m in r["messages"])
            and (stop is None or is_names(stop)) and isinstance(r.get("stream", False), bool))


class OldPeer(Node):
    """Registered, without a key for Noise ("rust"), or with one that does not belong to its ID ("mac")."""

    def __init__(self, relay, manner, models=()):
        super().__init__(At(relay), timeout=10)
        self.manner = manner
        self.sending = threading.Lock()
        key = {"wgPublicKey": "5b" * 32} if manner == "mac" else {"wgPublicKey": ...}
        self.register(capabilities={**CAPABILITIES, "loadedModels": list(models)}, **key)

    def say(self, to, session, message):
        data = base64.b64encode(json.dumps(message).encode()).decode()
        self.signal(to, "relayData", session, data=data)

    def signal(self, to, kind, session, **more):
        with self.sending:
            self.send_message(kind, {"fromNodeID": self.id, "toNodeID": to, "sessionID": session, **more})

    def cluster(self, kind, payload):
        """What the programs write: both wrap; a bare payload is read by all."""
        return {kind: {"_0": payload}}


def decoded(payload):
    """(kind, payload, wrapped) of relayData."""
    kind, body = next(iter(json.loads(base64.b64decode(payload["data"])).items()))
    return kind, body.get("_0", body), "_0" in body


class OldProvider(OldPeer):
    """Serves `models` in a thread. `way`: "answer"; "error:CODE"; "silent"; "half" (two chunks, then nothing)."""

    def __init__(self, relay, manner, models, way="answer", pause=0):
        super().__init__(relay, manner, models)
        self.way, self.pause = way, pause
        self.sessions, self.closed, self.requests, self.unread, self.heartbeats = {}, [], [], [], 0
        self.foreign = 0  # relayData that is no message: QUIC
        self.opened = 0
        self.sock.settimeout(0.2)
        self._over = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        self._over = True
        self._thread.join(5)
        super().close()

    def _serve(self):
        while not self._over:
            try:
                kind, payload = self.message()
            except socket.timeout:
                continue
            except (Ended, OSError):
                return
            if kind == "relayOpen":
                self._on_open(payload)
            elif kind == "relayClose":
                self.closed.append(payload["sessionID"])
                self.sessions.pop(payload["sessionID"], None)
            elif kind == "relayData" and payload["sessionID"] in self.sessions:
                self._on_data(payload)

    def _on_open(self, payload):
        if self.manner == "mac" and payload["fromNodeID"] in self.sessions.values():
            return  # a Mac keeps one connection a peer, and says nothing to the second
        self.opened += 1
        self.sessions[payload["sessionID"]] = payload["fromNodeID"]
        self.signal(payload["fromNodeID"], "relayReady", payload["sessionID"])

    def _on_data(self, payload):
        try:
            kind, body, wrapped = decoded(payload)
        except ValueError:
            self.foreign += 1
            return
        peer, session = payload["fromNodeID"], payload["sessionID"]
        if not swift_decodes(kind, body):
            self.unread.append(body)
        elif kind == "heartbeat":
            self.heartbeats += 1
            self.say(peer, session, self.cluster("heartbeatAck", body))
        elif kind == "inferenceRequest":
            self.requests.append({**body, "wrapped": wrapped, "session": session})
            threading.Thread(target=self._answer, args=(peer, session, body), daemon=True).start()

    def _answer(self, peer, session, q):
        request_id = q["requestID"].upper() if self.manner == "mac" else q["requestID"]
        request = q["request"]

        def chunk(delta, finish=None):
            self.say(peer, session, self.cluster("inferenceChunk", {"requestID": request_id, "chunk": {
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1795915117, "model": request["model"],
                "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}}))
            time.sleep(self.pause)
        if self.way == "silent":
            return
        if self.way.startswith("error:"):
            code = self.way[6:]
            self.say(peer, session, self.cluster("inferenceError", {
                "requestID": request_id, "errorMessage": f"it is {code or 'odd'}", **({"code": code} if code else {})}))
            return
        chunk({"role": "assistant", "content": ""})
        words = request["messages"][-1]["content"].split()
        for i, word in enumerate(words):
            chunk({"content": (" " if i else "") + word})
            if self.way == "half" and i == 1:
                return
            if session not in self.sessions:
                return
        chunk({}, "stop")
        self.say(peer, session, self.cluster("inferenceComplete", {
            "requestID": request_id, **({} if self.manner == "mac" else {"tokensOut": len(words) + 2})}))


class OldAsker(OldPeer):
    """Asks one of our nodes, as the gateway does: a session for each question."""

    def __init__(self, relay, manner="rust"):
        super().__init__(relay, manner)
        self.node = None

    def open(self, node_id, session=None):
        session = session or str(uuid.uuid4())
        self.signal(node_id, "relayOpen", session)
        kind, payload = self.message()
        assert kind == "relayReady" and payload["sessionID"] == session, (kind, payload)
        return session

    def request(self, node_id, session, model, words, bare=False, request_id=None, **more):
        request_id = request_id or str(uuid.uuid4())
        if self.manner == "mac":
            request_id = request_id.upper()
        payload = {"requestID": request_id, "streaming": True, "request": {
            **({"model": model} if model else {}), "messages": [{"role": "user", "content": words}], "stream": True, **more}}
        self.say(node_id, session, {"inferenceRequest": payload} if bare else self.cluster("inferenceRequest", payload))
        return request_id

    def hear(self):
        """The next message of the node: (kind, payload), ("relayClose", …) or ("error", …)."""
        kind, payload = self.message()
        if kind != "relayData":
            return kind, payload
        kind, body, wrapped = decoded(payload)
        assert wrapped, body
        assert swift_decodes(kind, body), (kind, body)
        return kind, body

    def answer(self, request_id):
        """(words, chunks, the last message) of one question."""
        text, chunks = "", []
        while True:
            kind, p = self.hear()
            if kind != "inferenceChunk":
                assert p.get("requestID", request_id) == request_id, p
                return text, chunks, (kind, p)
            assert p["requestID"] == request_id, p
            chunks.append(p["chunk"])
            for choice in p["chunk"]["choices"]:
                text += choice["delta"].get("content") or ""
