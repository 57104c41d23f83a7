#!/usr/bin/env python3
"""How fast an answer passes a third node that relays it by UDP, beside the relay's WebSocket in the same run, with the
real binaries.

    test_relaying_speed.py BUILD [NAME]"""
import sys
import time

from nat import NatLab
from scene import Programs
from suite import run_tests
from test_relaying_node import SIZE, Trio, node


def answers_go_at_the_speed_of_udp(lab, programs, build):
    trio = Trio(lab, programs, build, rate=None)
    speeds = {}
    for what in ("websocket", "udp"):
        if what == "udp":
            trio.kill_relay()
            trio.friend.ask(trio.gpu)
            trio.wait_relay(node(trio.thirds[0]))
        stream = trio.stream()
        started = time.monotonic()
        stream.reach(1.0, 120, forget=False)
        speeds[what] = SIZE / 1e6 / (time.monotonic() - started)
        stream.finish(trio.programs, 10)
        lab.say(f"{what}: {speeds[what]:.1f} MB/s")
    # The kernel of a busy machine may do either of the two a bad turn.
    assert speeds["udp"] >= 0.8 * speeds["websocket"], speeds


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1]), sys.argv[1]))
