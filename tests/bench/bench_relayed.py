"""What `make bench` measures of answers that only the relay can carry (part `relayed`): two nodes behind symmetric
NATs, by UDP over the relay and by its WebSocket, in the same run; a build that speaks texts alone beside them with
BENCH_BESIDE=BUILD. Throughput of one answer, processor time of each program for a megabyte, and the round trip."""
import json
import os
import statistics
import time

from direct import Peer, Rendezvous
from nat import NatLab
from scene import Programs, question

ROUNDS = 5
PINGS = 20
ANSWER = 200_000_000
HZ = os.sysconf("SC_CLK_TCK")


def processor_s(pid):
    """Seconds that the process and its threads have run."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / HZ


class Stack:
    """Two nodes of one build, each behind a symmetric NAT; `udp`: they may reach the relay by it."""

    def __init__(self, lab, build, rendezvous, name, udp):
        programs = Programs(build)
        self.model, self.udp, self.rendezvous = f"bytes:{ANSWER}", udp, rendezvous
        hosts = [lab.home(side + name, "symmetric", "random") for side in ("gpu", "friend")]
        if not udp:
            for h in hosts:
                h.router.block_udp()
        self.gpu = Peer(lab, programs, hosts[0], "gpu" + name, rendezvous.url, parrot=["--model", self.model])
        self.friend = Peer(lab, programs, hosts[1], "friend" + name, rendezvous.url)
        for p in (self.gpu, self.friend):
            p.start()
        for p in (self.gpu, self.friend):
            p.node.wait_connected()
        self.friend.node.wait_model(self.gpu.model)
        self.friend.ask(self.gpu)
        time.sleep(4)  # until UDP is proven, or given up
        self.via = self.friend.peer_entry(self.gpu)["via"]

    def pids(self):
        return {"asker": self.friend.node.process.popen.pid, "provider": self.gpu.node.process.popen.pid,
                "relay": self.rendezvous.relay.process.popen.pid}

    def measure(self):
        """MB/s of one answer, and milliseconds of processor time for a megabyte, of each program."""
        before = {k: processor_s(p) for k, p in self.pids().items()}
        speed = self.fetch()
        mb = ANSWER / 1e6
        return speed, {k: (processor_s(p) - before[k]) * 1000 / mb for k, p in self.pids().items()}

    def fetch(self):
        """MB/s of one long answer."""
        started = time.perf_counter()
        done = self.friend.lab.run(
            self.friend.host, ["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}", "-m", "120",
                               self.friend.node.api + "/chat/completions", "-H", "Content-Type: application/json",
                               "-H", "X-Teale-Ask-Peer: " + self.gpu.id, "-d", json.dumps(question(self.model, "x"))],
            timeout=130)
        if int(done.stdout) < ANSWER:
            raise SystemExit(f"bench: only {done.stdout} bytes came")
        return int(done.stdout) / (time.perf_counter() - started) / 1e6

    def round_trips(self):
        """Milliseconds, of an idle connection."""
        results = self.friend.node.json("ping", "-c", str(PINGS), self.gpu.id)["results"]
        return [r["rtt_ms"] for r in results if "rtt_ms" in r]

    def stop(self):
        for p in (self.friend, self.gpu):
            p.stop()
            p.parrot.popen.kill()


def kinds_of(build):
    beside = os.environ.get("BENCH_BESIDE")
    kinds = [("udp", os.path.abspath(build), True), ("websocket, binary", os.path.abspath(build), False)]
    return kinds + ([("websocket, texts", os.path.abspath(beside), False)] if beside else [])


def measure(build, row):
    """`row(what, value, goal, beside)` takes the results."""
    kinds = kinds_of(build)
    with NatLab("relayed") as lab:
        rendezvous = Rendezvous(lab, Programs(os.path.abspath(build)))
        stacks = {name: Stack(lab, one, rendezvous, str(i), udp) for i, (name, one, udp) in enumerate(kinds)}
        assert stacks["udp"].via == "udp" and stacks["websocket, binary"].via == "websocket", \
            {k: s.via for k, s in stacks.items()}
        found = {name: [] for name in stacks}
        for n in range(ROUNDS + 1):  # in turn; the first warms up
            for name, stack in stacks.items():
                result = stack.measure()
                if n:
                    found[name].append(result)
        trips = {name: stack.round_trips() for name, stack in stacks.items()}
        for stack in stacks.values():
            stack.stop()
    slowest = list(stacks)[-1]
    base = statistics.median(speed for speed, _ in found[slowest])
    for name in stacks:
        speed = statistics.median(s for s, _ in found[name])
        cost = {k: statistics.median(c[k] for _, c in found[name]) for k in found[name][0][1]}
        times = f"; {speed / base:.1f} x {slowest}" if name != slowest else ""
        row(f"relayed ({name}), one answer", f"{speed:.0f} MB/s", "",
            "ms of processor time a MB: " + ", ".join(f"{k} {v:.1f}" for k, v in cost.items()) + times)
        row(f"relayed ({name}), round trip of a ping", f"{statistics.median(trips[name]) * 1000:.0f} µs", "",
            f"lower quartile {sorted(trips[name])[len(trips[name]) // 4] * 1000:.0f} µs")
