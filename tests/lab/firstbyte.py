"""The first byte of a question between two homes, measured: to a peer without a connection (cold), how soon that
connection is direct, and to a peer with a connection (warm), direct and relayed."""
import http.client
import json
import re
import socket
import threading
import time

from direct import Peer, Rendezvous
from netns import inside
from scene import question

ONE_WAY = 10  # ms that the lab adds on each way through the internet
BETWEEN = 4 * ONE_WAY  # there and back between the nodes, through the relay
DIRECT = 2 * ONE_WAY  # and straight


class Client:
    """One HTTP connection to a node's API, made before anything is measured."""

    def __init__(self, peer):
        host, port = re.match(r"http://([0-9.]+):(\d+)", peer.node.api).groups()
        self.http = http.client.HTTPConnection(host, int(port))
        with inside(peer.host.ns):
            self.http.sock = socket.create_connection((host, int(port)))
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.http.sock.settimeout(30)

    def ask(self, model):
        """(ms to the first byte of the body, the way it came)."""
        body = json.dumps(question(model, "one two three"))
        started = time.monotonic()
        self.http.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        answer = self.http.getresponse()
        first = answer.read1(1)
        took = (time.monotonic() - started) * 1000
        rest = answer.read()
        assert answer.status == 200 and (first + rest).rstrip().endswith(b"data: [DONE]"), (answer.status, rest[-200:])
        return took, answer.headers["X-Teale-Path"]


class Watcher(threading.Thread):
    """Notes when a node tells that the connection to a peer became direct."""

    def __init__(self, peer, other):
        super().__init__(daemon=True)
        self.other, self.at, self.told = other.id, None, threading.Event()
        self.http = Client(peer).http
        self.http.request("GET", "/v1/events")
        self.stream = self.http.getresponse()
        self.start()

    def run(self):
        try:
            for line in self.stream:
                now = time.monotonic()
                if line.startswith(b"data: ") and self.other.encode() in line and \
                        re.search(rb'"path": ?"(direct|lan)"', line):
                    self.at = now
                    self.told.set()
                    return
        except (OSError, ValueError):
            pass  # the node was stopped


class Scene:
    """A provider and an asker behind NATs. Both are new processes at every try: a provider answers few offers of one
    stranger."""

    def __init__(self, lab, programs, build, kinds=("restrictedCone", "portRestricted")):
        self.rendezvous = Rendezvous(lab, programs)
        self.gpu = Peer(lab, programs, lab.home("gpu", kinds[0]), "gpu", self.rendezvous.url)
        self.friend = Peer(lab, programs, lab.home("friend", kinds[1]), "friend", self.rendezvous.url)
        lab.delay(build, ONE_WAY)
        self.found = {"cold": [], "direct after": [], "warm, relayed": [], "warm, direct": []}

    def once(self):
        friend, gpu = self.friend, self.gpu
        for peer in (friend, gpu):
            peer.start()
        try:
            for peer in (friend, gpu):
                peer.ready()
            friend.node.wait_model(gpu.model)
            client, watcher = Client(friend), Watcher(friend, gpu)
            started = time.monotonic()
            cold, _ = client.ask(gpu.model)
            assert watcher.told.wait(10), "it did not become direct"
            self.found["cold"].append(cold)
            self.found["direct after"].append((watcher.at - started) * 1000)
            time.sleep(0.1)  # the move is over at both sides
            for _ in range(3):
                warm, way = client.ask(gpu.model)
                assert way == "direct", way
            self.found["warm, direct"].append(warm)
        finally:
            for peer in (friend, gpu):
                peer.stop()

    def relayed(self, tries):
        """Questions on a connection that stays at the relay."""
        friend, gpu = self.friend, self.gpu
        friend.host.router.block_udp()
        for peer in (friend, gpu):
            peer.start()
        try:
            for peer in (friend, gpu):
                peer.node.wait_connected()
            friend.node.wait_model(gpu.model)
            client = Client(friend)
            client.ask(gpu.model)
            for _ in range(tries):
                warm, way = client.ask(gpu.model)
                assert way == "relayed", way
                self.found["warm, relayed"].append(warm)
        finally:
            for peer in (friend, gpu):
                peer.stop()
            friend.host.router.unblock_udp()


def goals():
    """ms: 2 round trips between the nodes + 15, 1 + 5, and direct within 3 + 60."""
    return {"cold": 2 * BETWEEN + 15, "direct after": 3 * BETWEEN + 60, "warm, relayed": BETWEEN + 5,
            "warm, direct": DIRECT + 5}


def p95(values):
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]
