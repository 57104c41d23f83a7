"""What `make bench` measures of the first byte (part `first`): between two homes, 20 ms from the relay each, by a new
process at every try."""
import os
import statistics

import firstbyte
from nat import NatLab
from scene import Programs

TRIES = int(os.environ.get("BENCH_TRIES", "100"))


def measure(build, row):
    """`row(what, value, goal, beside)` takes the results."""
    with NatLab("first") as lab:
        scene = firstbyte.Scene(lab, Programs(build), os.path.abspath(build))
        for _ in range(TRIES):
            scene.once()
        scene.relayed(TRIES)
        for what, goal in firstbyte.goals().items():
            found = scene.found[what]
            row(f"first byte, {what}", f"{statistics.median(found):.1f} ms, p95 {firstbyte.p95(found):.1f} of {len(found)}",
                f"p95 ≤ {goal} ms", f"{firstbyte.BETWEEN} ms there and back between the nodes, {firstbyte.DIRECT} straight")
