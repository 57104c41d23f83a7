"""A relay in the lab that treats the offers, answers and candidates of each node in a way of its own, and
leaves everything else as it is: the relay of tests/e2e/hostile.py, on a host of the lab."""
import copy
import json
import os
import pathlib
import sys
import threading
import time
import uuid

from netns import inside
from scene import Relay

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import ed25519  # noqa: E402
from hostile import Honest, Hostile  # noqa: E402

SIGNALS = ("offer", "answer", "iceCandidate")


class LyingRelay(Hostile):
    """On `host`, in front of a real relay there; `udp`: the STUN addresses of that one."""

    def __init__(self, lab, programs, host, udp=()):
        self.host = host
        with inside(host.ns):
            super().__init__(host.address)
        extra = [word for a in udp for word in ("--udp", f"{a}:3478")]
        self.relay = Relay(lab, programs, host, "ws://127.0.0.1:8081", ["--name", self.authority, *extra])
        self.upstream = 8081

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def dial(self):
        with inside(self.host.ns):
            return super().dial()

    def link_of_id(self, node_id):
        return next((l for l in reversed(self.links) if l.open and l.node_id == node_id), None)


class PerNode(Honest):
    """What `centre` and another node signal to each other goes the way of the other one."""

    def __init__(self, centre):
        self.centre, self.ways, self.later, self.lock = centre, {}, [], threading.Lock()

    def from_relay(self, link, kind, payload, raw):
        other = payload.get("fromNodeID")
        other = link.node_id if other == self.centre else other
        if kind not in SIGNALS or other not in self.ways:
            return [raw]
        return [m if isinstance(m, bytes) else json.dumps({m[0]: m[1]}).encode()
                for m in self.ways[other](self, link, kind, payload)]

    def send_later(self, seconds, link, kind, payload):
        with self.lock:
            self.later.append((time.monotonic() + seconds, link, kind, payload))

    def tick(self, now):
        with self.lock:
            due = [d for d in self.later if d[0] <= now]
            self.later = [d for d in self.later if d[0] > now]
        for _, link, kind, payload in due:
            link.say(kind, payload)


def altered(payload):
    """The payload with one thing changed, for every thing in it."""
    for path in _leaves(payload):
        for change in (_other, lambda v: None, lambda v: [v], lambda v: ""):
            out = copy.deepcopy(payload)
            holder = out
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = change(holder[path[-1]])
            yield out
        out = copy.deepcopy(payload)
        holder = out
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]
        yield out
    yield {**payload, "more": "of it"}


def _leaves(value, at=()):
    for key, v in value.items():
        if isinstance(v, dict):
            yield from _leaves(v, at + (key,))
        else:
            yield at + (key,)


def _other(value):
    if isinstance(value, (int, float)):
        return value + 1
    if not value:
        return "0"
    first = {"0": "1", "1": "2"}.get(value[0], "0")
    return first + value[1:]


# --- ways: what to deliver in place of one message

def honest(way, link, kind, payload):
    return [(kind, payload)]


def drops(*kinds):
    return lambda way, link, kind, payload: [] if kind in kinds else [(kind, payload)]


def names(address):
    """That address in place of every one."""
    def change(way, link, kind, payload):
        out = copy.deepcopy(payload)
        if kind == "iceCandidate":
            out["candidate"]["ip"] = address
        else:
            out["connectionInfo"].update(publicIP=address, localIP=address)
        return [(kind, out)]
    return change


def swaps_wireguard_key(way, link, kind, payload):
    if kind == "iceCandidate":
        return [(kind, payload)]
    out = copy.deepcopy(payload)
    out["connectionInfo"]["wgPublicKey"] = ed25519.Key(os.urandom(32)).noise_public.hex()
    return [(kind, out)]


def claims_another_nat(way, link, kind, payload):
    if kind == "iceCandidate":
        return [(kind, payload)]
    out = copy.deepcopy(payload)
    out["connectionInfo"]["natType"] = "symmetric"
    return [(kind, out)]


def alters_copies(way, link, kind, payload):
    """Every alteration first, then what was said. Of offers three: a node's are answered four times in 10 s."""
    copies = list(altered(payload))
    if kind == "offer":
        copies = [c for c in copies if c.get("fromNodeID") == payload["fromNodeID"]][::len(copies) // 3 + 1]
    return [(kind, c) for c in copies] + [(kind, payload)]


def repeats(way, link, kind, payload):
    for seconds in (0.2, 1.0, 2.5):
        way.send_later(seconds, link, kind, payload)
    return [(kind, payload)] * 2


def delays(seconds):
    def change(way, link, kind, payload):
        way.send_later(seconds, link, kind, payload)
        return []
    return change


def candidates_first(way, link, kind, payload):
    if kind == "iceCandidate":
        return [(kind, payload)]
    way.send_later(0.3, link, kind, payload)
    return []


def reflects(way, link, kind, payload):
    """Back to who said it, too: as it is, and turned round."""
    back = way.hostile.link_of_id(payload["fromNodeID"])
    if back:
        turned = {**payload, "fromNodeID": payload["toNodeID"], "toNodeID": payload["fromNodeID"]}
        for said in (payload, turned):
            for k in SIGNALS:
                back.say(k, said)
    return [(kind, payload)]


def invents(way, link, kind, payload):
    """The same in the name of others, whose keys the relay made itself or has not."""
    key = ed25519.Key(os.urandom(32))
    out = []
    for sender in (key.public.hex(), "00" * 32, "ff" * 32, "01" + "00" * 31, link.node_id, payload["fromNodeID"]):
        said = copy.deepcopy(payload)
        said["fromNodeID"] = sender
        said["sessionID"] = str(uuid.uuid4())
        if "connectionInfo" in said:
            said["connectionInfo"]["wgPublicKey"] = key.noise_public.hex()
            said["info"]["nonce"] = os.urandom(16).hex()
        said["signature"] = key.sign(f"{sender}:{link.node_id}:{said['sessionID']}".encode()).hex()
        if sender != payload["fromNodeID"] or kind != "offer":
            out.append((kind, said))
    return out + [(kind, payload)]


def talks_nonsense(way, link, kind, payload):
    ids = {k: payload[k] for k in ("fromNodeID", "toNodeID", "sessionID")}
    values = [7, None, "x", [], {}, {**ids}, {**ids, "connectionInfo": 7}, {**ids, "connectionInfo": {}, "info": []},
              {**ids, "candidate": []}, {**ids, "candidate": {"ip": "x" * 60000}}, {**ids, "sessionID": "x" * 60000}]
    return [(k, v) for k in ("answer", "iceCandidate") for v in values] + [(kind, payload)]
