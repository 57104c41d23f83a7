"""What `make bench` measures of the whole stack over a direct path: client, asking node, providing node, model
server, each the real program, on two machines of the lab. Beside it, in turn, the model server asked on its own
machine without any of them. Needs root."""
import http.client
import json
import re
import socket
import statistics
import time

from direct import Peer, Rendezvous
from netns import inside
from scene import question

from bench_direct import cpu_seconds

WORDS = 2000
ANSWER = 500_000_000


class Client:
    """One kept connection from inside a machine."""

    def __init__(self, host, url):
        address, port = re.match(r"(?:http://)?([0-9.]+):(\d+)", url).groups()
        self.connection = http.client.HTTPConnection(address, int(port))
        with inside(host.ns):
            self.connection.sock = socket.create_connection((address, int(port)))
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.sock.settimeout(60)

    def ask(self, body):
        """Seconds to the first bytes of the answer's body, and to its end."""
        started = time.perf_counter()
        self.connection.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        response.read1(65536)
        first = time.perf_counter() - started
        rest = response.read()
        took = time.perf_counter() - started
        if response.status != 200 or b"[DONE]" not in rest:
            raise SystemExit(f"bench: the answer is not whole: {response.status} {rest[-300:]!r}")
        return first, took


def medians(clients, body, count):
    """For each client, the medians of (first, whole) over `count` questions in turn."""
    for c in clients:
        for _ in range(10):
            c.ask(body)
    samples = [[c.ask(body) for c in clients] for _ in range(count)]
    return [[statistics.median(s[i][k] for s in samples) for k in (0, 1)] for i in range(len(clients))]


def fetch(peer, model):
    """MB/s of one long answer."""
    started = time.perf_counter()
    done = peer.lab.run(peer.host, ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", "-m", "120",
                                    peer.node.api + "/chat/completions", "-H", "Content-Type: application/json",
                                    "-d", json.dumps(question(model, "x"))], timeout=130)
    return int(done.stdout) / (time.perf_counter() - started) / 1e6


def measure(lab, programs, row):
    """`row(what, value, goal, beside)` takes the results."""
    rendezvous = Rendezvous(lab, programs)
    long_answer = f"bytes:{ANSWER}"
    gpu = Peer(lab, programs, lab.host("gpu"), "gpu", rendezvous.url, parrot=["--model", long_answer])
    friend = Peer(lab, programs, lab.host("friend"), "friend", rendezvous.url)
    for p in (gpu, friend):
        p.start()
    for p in (gpu, friend):
        p.node.wait_connected()
    friend.node.wait_model(gpu.model)
    ok, text = friend.ping_until_direct(gpu, 15)
    if not ok:
        raise SystemExit(f"bench: not direct: {text}")

    itself, through = Client(gpu.host, "127.0.0.1:9000"), Client(friend.host, friend.node.api)
    short = json.dumps(question(gpu.model, "one two three"))
    (d, _), (t, _) = medians((itself, through), short, 400)
    row("time to the first token added by two nodes, direct", f"{(t - d) * 1000:.2f} ms", "≤ 0.3 ms",
        f"the model server itself {d * 1000:.2f} ms, through Teale {t * 1000:.2f} ms, medians of 400 in turn")

    many = json.dumps(question(gpu.model, "word " * WORDS))
    used = [cpu_seconds(p.node.process) for p in (friend, gpu)]
    (_, d), (_, t) = medians((itself, through), many, 30)
    used = [(cpu_seconds(p.node.process) - was) / (40 * WORDS) * 1e6 for p, was in zip((friend, gpu), used)]
    row("time added to each token, direct", f"{(t - d) / WORDS * 1e6:.1f} µs", "≤ 50 µs",
        f"an answer of {WORDS} tokens as fast as it comes: the model server itself {d * 1000:.0f} ms, through Teale "
        f"{t * 1000:.0f} ms, medians of 30 in turn; processor time a token: asker {used[0]:.1f} µs, provider {used[1]:.1f} µs")

    used = [cpu_seconds(p.node.process) for p in (friend, gpu)]
    speed = [fetch(friend, long_answer) for _ in range(3)]
    used = [cpu_seconds(p.node.process) - was for p, was in zip((friend, gpu), used)]
    row(f"an answer of {ANSWER // 1_000_000} MB, direct, median of three", f"{statistics.median(speed):.0f} MB/s", "",
        f"processor seconds for {3 * ANSWER / 1e9:.1f} GB: asker {used[0]:.1f}, provider {used[1]:.1f}")
    if friend.path_to(gpu) != "direct":
        raise SystemExit("bench: the path did not stay direct")
