"""What `make bench` measures of long ways (part `far`): one stream at several round trips, of Noise-QUIC alone and of
the whole stack, direct and relayed, beside TCP on the same way. BENCH_BESIDE=BUILD measures a second build in turn."""
import os
import re
import statistics
import time

from direct import Peer, Rendezvous
from nat import NatLab
from scene import Programs

from bench_direct import PLAIN, Side, iperf
from bench_stack import fetch

ROUND_TRIPS = (0, 20, 100)  # ms
ROUNDS = 3
SECONDS = "6"
ANSWER = 200_000_000


def alone(lab, build, a, b):
    """MB/s of one stream of Noise-QUIC, AES-128-GCM, after half a second to warm up."""
    program = os.path.join(build, "tests/bench/bench_quic")
    out = lab.run(None, [program, "aes", SECONDS, f"{a.host.ns}/{a.host.address}", f"{b.host.ns}/{b.host.address}"]).stdout
    return float(re.search(r"(\d+) MB/s", out)[1])


class Stack:
    """Two nodes of one build, direct or relayed; the one asks the other for long answers."""

    def __init__(self, lab, build, rendezvous, name, direct):
        programs = Programs(build)
        settings = {} if direct else {"wan_enabled": "false"}
        self.direct, self.model = direct, f"bytes:{ANSWER}"
        self.gpu = Peer(lab, programs, lab.host("gpu" + name), "gpu" + name, rendezvous.url, parrot=["--model", self.model],
                        settings=settings)
        self.friend = Peer(lab, programs, lab.host("friend" + name), "friend" + name, rendezvous.url, settings=settings)
        for p in (self.gpu, self.friend):
            p.start()
        for p in (self.gpu, self.friend):
            p.node.wait_connected()
        self.friend.node.wait_model(self.gpu.model)

    def speed(self):
        """MB/s of one answer, its beginning included."""
        if self.direct:
            ok, text = self.friend.ping_until_direct(self.gpu, 15)
            if not ok:
                raise SystemExit(f"bench: not direct: {text}")
        return fetch(self.friend, self.model)

    def stop(self):
        for p in (self.friend, self.gpu):
            p.stop()
            p.parrot.popen.kill()


def measure_one(build, builds, ms, row):
    with NatLab(f"far{ms}") as lab:
        a, b = Side(lab.host("a"), 0, 1), Side(lab.host("b"), 1, 2)
        rendezvous = Rendezvous(lab, Programs(builds[-1]))
        if ms:
            lab.delay(build, ms / 2)
        found = {}
        for _ in range(ROUNDS):
            found.setdefault("TCP", []).append(iperf(lab, a, b, PLAIN)[0])
            for one in builds:
                found.setdefault(("alone", one), []).append(alone(lab, one, a, b))
        for direct in (True, False):
            for i, one in enumerate(builds):
                stack = Stack(lab, one, rendezvous, f"{i}{'d' if direct else 'r'}", direct)
                stack.speed()  # the peers know each other after one answer
                found["direct" if direct else "relayed", one] = [stack.speed() for _ in range(ROUNDS)]
                stack.stop()
        mid = {k: statistics.median(v) for k, v in found.items()}
        for what in ("alone", "direct", "relayed"):
            others = "".join(f"; {one}: {mid[what, one]:.0f} MB/s" for one in builds[:-1])
            row(f"{ms} ms there and back, one stream, {'Noise-QUIC' if what == 'alone' else 'whole stack, ' + what}",
                f"{mid[what, builds[-1]]:.0f} MB/s", "", f"TCP {mid['TCP']:.0f} MB/s; medians of {ROUNDS}{others}")


def measure(build, row):
    """`row(what, value, goal, beside)` takes the results."""
    beside = os.environ.get("BENCH_BESIDE")
    builds = [os.path.abspath(b) for b in ([beside] if beside else []) + [build]]
    for ms in ROUND_TRIPS:
        measure_one(os.path.abspath(build), builds, ms, row)
        time.sleep(1)
