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

    def __init__(self, lab, asker, provider, backend):
        directory = lab.dir
        lab.run(None, ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "2", "-subj", "/CN=beside",
                       "-keyout", f"{directory}/nginx.key", "-out", f"{directory}/nginx.crt"])
        there = provider.address + ":9443"
        self.url = "http://127.0.0.1:9080"
        self.processes = [
            self.start(lab, provider, "provider", listen=f"{there} ssl", upstream=backend, scheme="http"),
            self.start(lab, asker, "asker", listen="127.0.0.1:9080", upstream=there, scheme="https")]
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

    was = used_since()
    speed = {}
    for _ in range(3):
        speed.setdefault("through Teale", []).append(fetch(friend, long_answer))
        if proxies:
            speed.setdefault("through two nginx", []).append(fetch(friend, long_answer, proxies.url + "/v1"))
    mid = {name: statistics.median(v) for name, v in speed.items()}
    row(f"an answer of {ANSWER // 1_000_000} MB, direct, median of three", f"{mid['through Teale']:.0f} MB/s", "",
        f"{tell(mid, 'MB/s', 0)}; processor seconds for {3 * ANSWER / 1e9:.1f} GB: {tell(used_since(was), 's', 1)}")
    if friend.path_to(gpu) != "direct":
        raise SystemExit("bench: the path did not stay direct")
