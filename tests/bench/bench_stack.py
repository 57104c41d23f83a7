"""What `make bench` measures of the whole stack over a direct path: client, asking node, providing node, model
server, each the real program, on two machines of the lab. Beside it, in turn, the model server asked on its own
machine without any of them, and through two nginx with TLS between them, where nginx is there. Needs root."""
import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import time

from direct import Peer, Rendezvous
from netns import inside
from scene import question

from bench_direct import cpu_seconds

# One nginx: what it listens on, and where it sends. It passes bytes on as they come, as an answer in pieces needs.
NGINX = """
daemon off; user root; worker_processes 1; pid {dir}/nginx-{name}.pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {dir}/nginx-{name}; proxy_temp_path {dir}/nginx-{name}; client_max_body_size 0;
    ssl_certificate {dir}/nginx.crt; ssl_certificate_key {dir}/nginx.key; ssl_protocols TLSv1.3; keepalive_requests 100000;
    upstream next {{ server {upstream}; keepalive 16; }}
    server {{
        listen {listen};
        location / {{
            proxy_pass {scheme}://next; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
            proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_ssl_verify off; proxy_ssl_protocols TLSv1.3; proxy_read_timeout 600s;
        }}
    }}
}}
"""
WORDS = 2000
SIZES = (10_000_000, 100_000_000, 1_000_000_000)
SLOW_WORDS, SLOW_MS = 200, 20  # one answer as a model of fifty tokens a second gives it


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
        begin = response.read1(65536)
        first = time.perf_counter() - started
        rest = begin[-300:] + response.read()
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


class Proxies:
    """Two nginx, one on the machine that asks and one beside the model server, with TLS between them."""

    def __init__(self, lab, asker, provider, backend, port=9080):
        directory = lab.dir
        lab.run(None, ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=beside",
                       "-keyout", f"{directory}/nginx.key", "-out", f"{directory}/nginx.crt"])
        there = provider.address + ":9443"
        self.url = f"http://127.0.0.1:{port}"
        self.processes = [
            self.start(lab, provider, f"provider-{port}", listen=f"{there} ssl", upstream=backend, scheme="http"),
            self.start(lab, asker, f"asker-{port}", listen=f"127.0.0.1:{port}", upstream=there, scheme="https")]
        time.sleep(0.5)

    @staticmethod
    def start(lab, host, name, **places):
        os.makedirs(os.path.join(lab.dir, f"nginx-{name}"))
        config = pathlib.Path(lab.dir, f"nginx-{name}.conf")
        config.write_text(NGINX.format(dir=lab.dir, name=name, **places))
        return lab.start(host, ["nginx", "-e", "stderr", "-c", str(config)])


def cpu_of_group(process):
    """Of a program and its children."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return cpu_seconds(process) + sum(
        int(pathlib.Path(f"/proc/{c}/schedstat").read_text().split()[0]) / 1e9 for c in children)


def fetch(peer, model, api=None):
    """MB/s of one long answer."""
    started = time.perf_counter()
    done = peer.lab.run(peer.host, ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", "-m", "120",
                                    (api or peer.node.api) + "/chat/completions", "-H", "Content-Type: application/json",
                                    "-d", json.dumps(question(model, "x"))], timeout=130)
    return int(done.stdout) / (time.perf_counter() - started) / 1e6


def measure(lab, programs, row):
    """`row(what, value, goal, beside)` takes the results."""
    rendezvous = Rendezvous(lab, programs)
    gpu = Peer(lab, programs, lab.host("gpu"), "gpu", rendezvous.url,
               parrot=[word for size in SIZES for word in ("--model", f"bytes:{size}")])
    friend = Peer(lab, programs, lab.host("friend"), "friend", rendezvous.url)
    for p in (gpu, friend):
        p.start()
    for p in (gpu, friend):
        p.node.wait_connected()
    friend.node.wait_model(gpu.model)
    ok, text = friend.ping_until_direct(gpu, 15)
    if not ok:
        raise SystemExit(f"bench: not direct: {text}")

    proxies = Proxies(lab, friend.host, gpu.host, "127.0.0.1:9000") if shutil.which("nginx") else None
    clients = {"the model server itself": Client(gpu.host, "127.0.0.1:9000"), "through Teale": Client(friend.host, friend.node.api)}
    processes = {"asker": friend.node.process, "provider": gpu.node.process}
    if proxies:
        clients["through two nginx"] = Client(friend.host, proxies.url)
        processes.update(zip(("provider's nginx", "asker's nginx"), proxies.processes))

    def used_since(was=None):
        now = {name: cpu_of_group(p) for name, p in processes.items()}
        return {name: now[name] - was[name] for name in now} if was else now

    def tell(values, unit, count):
        return ", ".join(f"{name} {v:.{count}f} {unit}" for name, v in values.items())

    found = medians(list(clients.values()), json.dumps(question(gpu.model, "one two three")), 400)
    first = {name: f[0] * 1000 for name, f in zip(clients, found)}
    row("time to the first token added by two nodes, direct", f"{first['through Teale'] - first['the model server itself']:.2f} ms",
        "≤ 0.3 ms", tell(first, "ms", 2) + ", medians of 400 in turn")

    was = used_since()
    found = medians(list(clients.values()), json.dumps(question(gpu.model, "word " * WORDS)), 30)
    each = {name: seconds / (40 * WORDS) * 1e6 for name, seconds in used_since(was).items()}
    whole = {name: f[1] * 1000 for name, f in zip(clients, found)}
    row("time added to each token, direct", f"{(whole['through Teale'] - whole['the model server itself']) / WORDS * 1e3:.1f} µs",
        "≤ 50 µs", f"an answer of {WORDS} tokens as fast as it comes: {tell(whole, 'ms', 0)}, medians of 30 in turn; processor "
        f"time a token: {tell(each, 'µs', 1)}")

    for size in SIZES:
        was = used_since()
        speed = {}
        tries = 3 if size > 100_000_000 else 9
        for _ in range(tries):
            speed.setdefault("through Teale", []).append(fetch(friend, f"bytes:{size}"))
            if proxies:
                speed.setdefault("through two nginx", []).append(fetch(friend, f"bytes:{size}", proxies.url + "/v1"))
        mid = {name: statistics.median(v) for name, v in speed.items()}
        each = {name: seconds / (tries * size) * 1e9 for name, seconds in used_since(was).items()}
        row(f"an answer of {size // 1_000_000} MB, direct, median of {tries}", f"{mid['through Teale']:.0f} MB/s", "≥ two nginx",
            f"{tell(mid, 'MB/s', 0)}; processor time a MB: {tell(each, 'ms', 2)}")
    if friend.path_to(gpu) != "direct":
        raise SystemExit("bench: the path did not stay direct")
    measure_slow(lab, programs, rendezvous, friend, row)


def measure_slow(lab, programs, rendezvous, friend, row):
    """The processor time of one answer whose tokens come slowly, each a wake-up of its own."""
    gpu = Peer(lab, programs, lab.host("slow"), "slow", rendezvous.url, parrot=["--token-ms", str(SLOW_MS)])
    gpu.start()
    gpu.node.wait_connected()
    friend.node.wait_model(gpu.model)
    ok, text = friend.ping_until_direct(gpu, 15)
    if not ok:
        raise SystemExit(f"bench: not direct: {text}")
    ways = {"through Teale": (Client(friend.host, friend.node.api), [friend.node.process, gpu.node.process])}
    if shutil.which("nginx"):
        proxies = Proxies(lab, friend.host, gpu.host, "127.0.0.1:9000", 9081)
        ways["through two nginx"] = (Client(friend.host, proxies.url), proxies.processes)
    body = json.dumps(question(gpu.model, "word " * SLOW_WORDS))
    found = {name: [] for name in ways}
    for _ in range(6):
        for name, (client, processes) in ways.items():
            was = sum(cpu_of_group(p) for p in processes)
            client.ask(body)
            found[name].append((sum(cpu_of_group(p) for p in processes) - was) / SLOW_WORDS * 1e6)
    mid = {name: statistics.median(v[1:]) for name, v in found.items()}  # the first warms up
    row(f"processor time a token at one stream of a token each {SLOW_MS} ms, both sides", f"{mid['through Teale']:.0f} µs",
        "≤ two nginx", ", ".join(f"{name} {v:.0f} µs" for name, v in mid.items()) + ", medians of 5 in turn")
