#!/usr/bin/env python3
"""bench_relay_storm.py LOAD TEALE-RELAY: a relay with thousands of nodes, on loopback: idle, all at once, after its restart, by
TLS, beside floods and slow readers, with one thread and with two; two and four relays of a cluster. In turn beside another relay
of the same protocol where BENCH_ORIGINAL is the command that starts it at port $PORT, and beside another build of teale-relay
where BENCH_BESIDE_RELAY names it. NODES is how many (10000)."""
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import redisproc  # noqa: E402

NODES = int(os.environ.get("NODES", "10000"))


def number(pattern, text):
    found = re.search(pattern, text, re.M)
    assert found, f"no {pattern!r} in {text!r}"
    return float(found[1])


def kib(pid, field):
    return int(re.search(rf"^{field}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


class Relay:
    """A relay in a process of its own; `tls`: the certificate and its key."""

    def __init__(self, program, *args, tls=None, port=0):
        self.port = port or redisproc.free_port()
        self.url = f"wss://localhost:{self.port}" if tls else f"ws://127.0.0.1:{self.port}"
        listen = ["--listen", f"{'wss' if tls else 'ws'}://127.0.0.1:{self.port}", "--max-memory", "4G", "--drain-secs", "0"]
        if tls:
            listen += ["--tls-cert", tls[0], "--tls-key", tls[1], "--name", f"localhost:{self.port}"]
        self.process = subprocess.Popen([program, *listen, *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline().startswith("ready"), "the relay does not start"
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, load, relay, row):
        self.load, self.relay, self.row = load, relay, row
        self.dir = tempfile.TemporaryDirectory()
        self.tls = tuple(os.path.join(self.dir.name, n) for n in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", self.tls[1], "-out",
                        self.tls[0]], check=True, capture_output=True)

    def argv(self, relay, *args):
        ca = ["--ca", self.tls[0]] if relay.url.startswith("wss") else []
        return [self.load, "--relay", relay.url, *ca, "--pid", str(relay.pid), *args]

    def run(self, relay, *args):
        return subprocess.run(self.argv(relay, *args), check=True, capture_output=True, text=True).stdout

    def idle(self, tls):
        by = "TLS" if tls else "plain"
        with Relay(self.relay, tls=self.tls if tls else None) as relay:
            out = self.run(relay, "--idle", str(NODES), "--pairs", "0")
        memory = number(r"an idle node: ([\d.]+) KiB", out)
        self.row(f"memory of an idle node of {NODES}, {by}", f"{memory:.2f} KiB", f"<= {16 if tls else 2.5} KiB",
                 f"the program with one node {number(r'([0-9]+) KiB with 1,', out) / 1024:.1f} MB")
        self.row(f"{NODES} idle nodes, {by}", f"{number(r'idle nodes: ([0-9.]+)%', out):.2f}% of a core", "", "")

    def storm(self, tls, threads):
        """All join at once; the relay is killed; all join once more."""
        by, limit = ("TLS", 10) if tls else ("plain", 4)
        args = ["--threads", str(threads)] if threads > 1 else []
        how = {"tls": self.tls if tls else None}
        with Relay(self.relay, *args, **how) as relay:
            storm = subprocess.Popen(self.argv(relay, "--idle", "0", "--pairs", "0", "--storm", str(NODES), "--again", "60"),
                                     stdout=subprocess.PIPE, text=True)
            first = "".join(iter(lambda: storm.stdout.readline(), "waits for the end of the relay\n"))
            time.sleep(7)  # what the handshakes took goes back to the kernel
            steady = kib(relay.pid, "VmRSS")
            relay.process.send_signal(signal.SIGKILL)
            relay.process.wait()
            with Relay(self.relay, *args, port=relay.port, **how) as again:
                rest = storm.communicate(timeout=400)[0]
                peak = kib(again.pid, "VmHWM")
        assert storm.returncode == 0, rest
        told = max(number(r"the last after ([\d.]+) s", first), number(r"all after ([\d.]+) s", first))
        name = f"{by}, {threads} thread{'s' if threads > 1 else ''}"
        self.row(f"{NODES} nodes join at once and hear of each other, {name}", f"{told:.1f} s", f"<= {limit} s",
                 f"{number(r'processor time for one: ([0-9]+)', first):.0f} us of the relay for one")
        self.row(f"the relay is killed and started anew, {name}: 99% are back", f"{number(r'99% were in after ([0-9.]+)', rest):.1f} s",
                 "<= 60 s", f"all after {number(r'all after ([0-9.]+)', rest):.1f} s, "
                 f"{number(r'([0-9]+) tries failed', rest):.0f} tries failed")
        self.row(f"its memory at most meanwhile, {name}", f"{peak / steady:.2f} x", "<= 2 x", f"steady {steady / 1024:.0f} MB")

    def floods(self, name, program, *args):
        with Relay(program, *args) as relay:
            out = self.run(relay, "--idle", "0", "--pairs", "0", "--floods", "data,frames,discover,slow")
        for kind, median, late, longest, memory in re.findall(
                r"^(nothing|data|frames|discover|slow) +(\d+) +(\d+) +(\d+) +(\d+)", out, re.M):
            self.row(f"a message of 1200 B beside {kind}, {name}", f"{median} us", "",
                     f"99% in {late} us, longest {longest} us; the relay {int(memory) / 1024:.0f} MB")

    def messages(self, name, program, *args):
        with Relay(program, *args) as relay:
            self.messages_of(name, relay)

    def messages_of(self, name, relay, *args):
        out = self.run(relay, "--idle", "0", "--pairs", "4", *args)
        rows = re.findall(r"^(json|binary|udp) +(\d+) +(\d+) +\S+ +\d+ +(\d+) +(\S+) +\S+ +(\d+)$", out, re.M)
        for by, size, rate, lost, each, alone in rows:
            self.row(f"{by} of {size} B, {name}", f"{each} us of the first relay", "",
                     f"{int(rate) / 1000:.0f} k/s, one alone {alone} us" + (f", lost {lost}" if lost != "0" else ""))

    def cluster(self, count):
        """The senders are at the first relay, the receivers at the second."""
        with redisproc.Redis() as redis:
            more = ["--redis", redis.url(), "--udp", "127.0.0.1:0", "--relay-id"]
            relays = [Relay(self.relay, *more, f"r{i}") for i in range(count)]
            try:
                self.messages_of(f"{count} relays and Redis", relays[0], "--to", relays[1].url, "--carriers", "json,binary,udp")
            finally:
                for r in relays:
                    r.__exit__()

    def beside_original(self, command):
        nodes, took = 1000, {"original": [], "ours": []}
        for _ in range(3):
            port = redisproc.free_port()
            theirs = subprocess.Popen(command, shell=True, env=dict(os.environ, PORT=str(port)), stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, start_new_session=True)
            try:
                time.sleep(2)
                out = subprocess.run([self.load, "--relay", f"ws://127.0.0.1:{port}", "--idle", "0", "--pairs", "0", "--old-nodes",
                                      "--storm", str(nodes)], check=True, capture_output=True, text=True).stdout
            finally:
                os.killpg(theirs.pid, signal.SIGKILL)
                theirs.wait()
            took["original"].append(number(r"the last after ([\d.]+) s", out))
            with Relay(self.relay, "--legacy-clients") as relay:
                out = self.run(relay, "--idle", "0", "--pairs", "0", "--old-nodes", "--storm", str(nodes))
            took["ours"].append(number(r"the last after ([\d.]+) s", out))
        ratio = sorted(a / b for a, b in zip(took["original"], took["ours"]))[1]
        self.row(f"{nodes} nodes of the old protocol join at once and hear every name", f"{ratio:.0f} x faster than the original",
                 ">= 15 x", f"seconds, in turn: {took['ours']} and {took['original']}")


def measure(load, relay, row):
    """Calls row(what, value, goal, beside) for each measurement."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    bench = Bench(load, relay, row)
    beside = os.environ.get("BENCH_BESIDE_RELAY")
    for tls in (False, True):
        bench.idle(tls)
        for threads in (1, 2):
            bench.storm(tls, threads)
    for name, program, *args in ([("another build", beside)] if beside else []) + [
            ("1 thread", relay), ("2 threads", relay, "--threads", "2")]:
        bench.floods(name, program, *args)
        bench.messages(name, program, *args)
    if redisproc.BINARY:
        for count in (2, 4):
            bench.cluster(count)
    else:
        print("  redis-server is not installed: no cluster is measured")
    if os.environ.get("BENCH_ORIGINAL"):
        bench.beside_original(os.environ["BENCH_ORIGINAL"])


if __name__ == "__main__":
    measure(sys.argv[1], sys.argv[2], lambda *columns: print("   ".join(c for c in columns if c), flush=True))
