#!/usr/bin/env python3
"""Machines on one switch, and nothing else: no relay, no internet, wan_enabled false (docs/protocol.md "On the local
network"). They find each other, by UDP and by TCP alone; with a relay beside them answers move there and back.

    test_switch.py BUILD [NAME]"""
import re
import sys
import time

from direct import Peer, Stream, tell
from lab import LabError
from scene import Programs, Relay
from suite import run_tests
from switch import ENV, SwitchLab

FOUND_S = 10
LAN = {"log_level": "debug", "lan_enabled": "true", "wan_enabled": "false", "nat.port_mapping": "false"}
SIZE, RATE = 24_000_000, 6_000_000


def _machine(lab, programs, name, v4=True, settings=None, relay=None, **more):
    return Peer(lab, programs, lab.machine(name, v4), name, relay, env=ENV, settings={**LAN, **(settings or {})}, **more)


def _start(*peers):
    for p in peers:
        p.start()


def _wait_found(one, two):
    """Until `one` knows that `two` is announced."""
    one.node.wait(f"finding {two.name}", lambda: re.search(f"lan: {two.id[:16]} is announced\n", one.log()), FOUND_S)


def _carrier(one, two):
    entry = one.peer_entry(two)
    return entry and f"{entry['path']} {entry['via']}"


def _assert_answer(one, two, by):
    """A question of `one` for the model of `two`, of which nobody has told it: the seconds to its first byte."""
    first, path, whole = one.ask(two)
    if path != "lan" or not whole:
        raise LabError(f"by {path}: {tell([one, two])}")
    one.node.wait(f"connected by {by}", lambda: _carrier(one, two) == f"lan {by}", 5)
    return first


def strangers_meet_by_need_without_a_relay(lab, programs):
    one, two, three = [_machine(lab, programs, name) for name in ("one", "two", "three")]
    _start(one, two, three)
    _wait_found(one, two)
    _wait_found(one, three)
    assert one.peer_entry(two) is None, "a stranger was connected to unasked"
    first = _assert_answer(one, two, "udp")
    lab.say(f"first answer of a stranger: {first * 1000:.0f} ms after the question")
    _assert_answer(one, three, "udp")
    _assert_answer(three, one, "udp")
    # who was dealt with comes back by itself
    two.stop()
    two.start()
    two.node.wait("connected again", lambda: one.path_to(two) == "lan", FOUND_S)


def only_tcp_passes(lab, programs):
    one, two = _machine(lab, programs, "one"), _machine(lab, programs, "two")
    for p in (one, two):
        lab.udp_blocked(p.host)
    _start(one, two)
    _wait_found(one, two)
    _assert_answer(one, two, "tcp")
    assert "It goes by TCP" in one.why(two), one.why(two)
    shown = one.node.command("peers").stdout
    assert "lan (tcp)" in shown, shown
    for p in (one, two):
        lab.udp_open(p.host)


def a_link_without_addresses_is_enough(lab, programs):
    one, two = _machine(lab, programs, "one", v4=False), _machine(lab, programs, "two", v4=False)
    _start(one, two)
    _wait_found(one, two)
    _assert_answer(one, two, "udp")
    assert one.peer_entry(two)["remote"].startswith(f"[{lab.link_local(two.host)}"), one.peer_entry(two)


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], SwitchLab, Programs(sys.argv[1])))
