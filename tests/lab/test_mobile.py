#!/usr/bin/env python3
"""What a machine that is carried around does to an answer under way, with the real binaries: Wi-Fi to cellular
with another NAT type, suspend and resume, IPv6 gained and lost. Every byte arrives, and `teale watch` shows the
three phases of the reconnection (seed 004) in their order and in their time.

    test_mobile.py BUILD [NAME]"""
import json
import os
import pathlib
import signal
import sys
import time

from direct import Peer, Rendezvous, Stream, tell
from lab import LabError
from nat import NatLab
from scene import Programs
from suite import run_tests

SIZE = 50_000_000
RATE = 8_000_000
SLACK_S = 0.5  # the machine's, on top of each goal
WITHIN_MS = {"migration": 2000, "stun": 5000, "reestablish": 10000}
SLEEP_S = 5  # of a machine whose peers wait for it: they give up after 10
LONG_SLEEP_S = 16


class Watch:
    """`teale watch --json` beside a node."""

    def __init__(self, lab, peer):
        self.peer = peer
        self.process = lab.start(peer.host, [peer.node.teale, "--home", peer.node.home, "watch", "--json"],
                                 name=peer.name + "-watch")
        self.seen = 0
        # it prints the present connections first; the stream stands when the node says so
        peer.node.wait("watched", lambda: b"present" in pathlib.Path(self.process.log).read_bytes(), 5)
        time.sleep(0.2)

    def events(self):
        """NetworkChanged since the last `skip`."""
        lines = [line for line in self.process.output().splitlines(keepends=True) if line.endswith("\n")]
        events = [json.loads(line) for line in lines[self.seen:]]
        return [e for e in events if e["event"] == "NetworkChanged"]

    def skip(self):
        self.seen = self.process.output().count("\n")

    def phases(self):
        """Those of the last change: what came after its first phase had begun."""
        phases = [e for e in self.events() if "phase" in e]
        begins = [i for i, e in enumerate(phases) if (e["phase"], e["state"]) == ("migration", "begins")]
        return phases[begins[-1]:] if begins else []

    def course(self, timeout=14):
        """The phases of the last change, once the last of them has ended."""
        self.peer.node.wait("through its phases", lambda: self.phases()[-1:] and self.phases()[-1]["state"] != "begins"
                            and self.phases()[-1]["phase"] == "reestablish", timeout)
        return self.phases()

    def expect(self, lab, what, states, slept=False):
        """The course is one of six events, in order and in time, with those ends."""
        events = self.course()
        names = [(e["phase"], e["state"]) for e in events]
        want = [(phase, state) for phase in WITHIN_MS for state in ("begins", states.get(phase, "done"))]
        if names != want:
            raise LabError(f"{what}: the phases were {names}, and not {want}: {events}")
        for e in events:
            if e["after_ms"] > WITHIN_MS[e["phase"]] + SLACK_S * 1000:
                raise LabError(f"{what}: late: {e}")
        if not any(e["moved"] and e["slept"] == slept for e in self.events() if "phase" not in e):
            raise LabError(f"{what}: no change was told: {self.events()}")
        ends = {e["phase"]: e for e in events if e["state"] != "begins"}
        lab.say(f"{what}: " + ", ".join(f"{p} {e['state']} after {e['after_ms']} ms" for p, e in ends.items()))
        return ends


class Pair:
    """`gpu` answers `friend`, direct already, 20 ms apart. Both are watched."""

    def __init__(self, lab, programs, build, gpu, friend, path="direct", env=None):
        self.lab, self.programs = lab, programs
        self.rendezvous = Rendezvous(lab, programs)
        lab.delay(build, 10)
        parrot = ["--model", f"bytes:{SIZE}", "--bytes-per-s", str(RATE)]
        self.gpu = Peer(lab, programs, gpu, "gpu", self.rendezvous.url, parrot=parrot)
        self.friend = Peer(lab, programs, friend, "friend", self.rendezvous.url, env=env)
        for p in (self.gpu, self.friend):
            p.start()
        for p in (self.gpu, self.friend):
            p.ready()
        self.friend.node.wait_model(self.gpu.model)
        direct, text = self.friend.ping_until_direct(self.gpu, 15 if path == "direct" else 3)
        if direct != (path == "direct"):
            raise LabError(f"not {path} before the test begins: {text}\n{tell([self.friend, self.gpu])}")
        self.watches = {p: Watch(lab, p) for p in (self.gpu, self.friend)}

    def stream(self, reach=0.15):
        stream = Stream(self.lab, self.friend, self.gpu, SIZE)
        stream.reach(reach)
        for watch in self.watches.values():
            watch.skip()
        return stream

    def finish(self, stream, what, at_most):
        """The answer is whole, and nobody waited longer."""
        try:
            stall = stream.finish(self.programs)
        except LabError as e:
            raise LabError(f"{e}\n{tell([self.friend, self.gpu])}") from e
        self.lab.say(f"{what}: longest silence {stall * 1000:.0f} ms")
        if stall > at_most + SLACK_S:
            raise LabError(f"{what}: {stall:.3f} s of silence, {at_most} s are allowed")

    def nat(self, peer):
        return peer.node.json("status")["nat"]["type"]


def _cellular(lab):
    """A phone network: a symmetric NAT at the carrier, and the phone's own."""
    carrier = lab.router("carrier", "symmetric", "random", lan="100.64.0")
    return lab.router("phone", "symmetric", "random", lan="10.20.30", upstream=carrier)


def an_asker_goes_from_wifi_to_cellular(lab, programs, build):
    pair = Pair(lab, programs, build, lab.home("gpu", "fullCone"), lab.home("friend", "portRestricted"))
    cellular, stream = _cellular(lab), pair.stream()
    assert pair.nat(pair.friend) == "portRestricted", pair.nat(pair.friend)
    lab.move(pair.friend.host, cellular)
    ends = pair.watches[pair.friend].expect(lab, "the asker went to cellular", {})
    assert ends["migration"]["carry"] == ends["migration"]["connections"] >= 1, ends
    assert ends["migration"]["answers"] == 1, ends
    pair.friend.node.wait("sure of its NAT", lambda: pair.nat(pair.friend) == "symmetric", 10)
    pair.friend.wait_path(pair.gpu, "direct", 10)
    pair.finish(stream, "the asker went from Wi-Fi to cellular", 2)
    assert pair.friend.ask(pair.gpu)[1:] == ("direct", True)


def a_provider_goes_from_wifi_to_cellular_and_back(lab, programs, build):
    pair = Pair(lab, programs, build, lab.home("gpu", "portRestricted"), lab.home("friend", "fullCone"))
    wifi, cellular, stream = pair.gpu.host.router, _cellular(lab), pair.stream()
    lab.move(pair.gpu.host, cellular)
    ends = pair.watches[pair.gpu].expect(lab, "the provider went to cellular", {})
    assert ends["migration"]["answers"] == 1, ends
    stream.reach(0.6, forget=False)
    pair.watches[pair.gpu].skip()
    lab.move(pair.gpu.host, wifi)
    pair.watches[pair.gpu].expect(lab, "and back", {})
    pair.finish(stream, "the provider went from Wi-Fi to cellular and back", 2)
    pair.friend.wait_path(pair.gpu, "direct", 10)


def cellular_is_there_before_wifi_goes(lab, programs, build):
    """As phones do it: both for a while, and the better one's route goes first."""
    pair = Pair(lab, programs, build, lab.home("gpu", "fullCone"), lab.home("friend", "portRestricted"))
    cellular, stream = _cellular(lab), pair.stream()
    host = pair.friend.host
    was = host.device
    lab.ip(host.ns, f"route del default via {host.router.lan}.1",
           f"route add default via {host.router.lan}.1 dev {was} metric 5")
    host.private = cellular.attach_second(host.ns, "cell0", metric=50)
    stream.reach(0.5, forget=False)
    lab.ip(host.ns, f"link del {was}")
    host.router, host.address, host.device = cellular, cellular.address, "cell0"
    pair.watches[pair.friend].expect(lab, "cellular took over", {})
    pair.finish(stream, "cellular was there before Wi-Fi went", 2)


def _suspend(pair, peer, seconds, meanwhile):
    """The machine sleeps: nothing of it runs, and the clock that counts sleep says eight hours. Returns how long it
    slept, and when it woke."""
    process = peer.node.process.popen  # `ip netns exec` became the node itself
    process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    meanwhile()
    pair.boot.write_text(str(8 * 3600))
    time.sleep(max(0, stopped + seconds - time.monotonic()))  # what is tested is this time
    process.send_signal(signal.SIGCONT)
    woke = time.monotonic()
    return woke - stopped, woke


def _sleeper(lab, programs, build, gpu="fullCone"):
    """A pair whose asker's clocks can be set."""
    boot = pathlib.Path(lab.dir, "boottime-offset")
    boot.write_text("0")
    library = os.path.abspath(os.path.join(build, "tests/programs/libwallclock.so"))
    pair = Pair(lab, programs, build, lab.home("gpu", gpu), lab.home("friend", "portRestricted"),
                env={"LD_PRELOAD": library, "BOOTTIME_OFFSET": str(boot)})
    pair.boot = boot
    assert library in pathlib.Path(f"/proc/{pair.friend.node.process.pid}/maps").read_text()
    return pair


def a_machine_that_slept_wakes_in_another_network(lab, programs, build):
    pair = _sleeper(lab, programs, build)
    cafe, stream = lab.router("cafe", "portRestricted", "random", lan="10.20.30"), pair.stream()
    asleep, _ = _suspend(pair, pair.friend, SLEEP_S, lambda: lab.move(pair.friend.host, cafe))
    pair.watches[pair.friend].expect(lab, f"it slept {SLEEP_S} s and woke elsewhere", {}, slept=True)
    pair.finish(stream, "the asker slept and woke in another network", asleep + 2)
    assert pair.friend.ask(pair.gpu)[1:] == ("direct", True)


def a_router_that_changed_while_the_machine_slept_is_noticed(lab, programs, build):
    """No interface changed: only the sleep itself tells that all may be otherwise."""
    pair = _sleeper(lab, programs, build)
    stream = pair.stream()
    asleep, _ = _suspend(pair, pair.friend, SLEEP_S, pair.friend.host.router.new_address)
    pair.watches[pair.friend].expect(lab, f"it slept {SLEEP_S} s and its router changed", {}, slept=True)
    pair.finish(stream, "the asker slept while its router changed", asleep + 2)
    assert pair.friend.ask(pair.gpu)[1:] == ("direct", True)


def a_machine_that_slept_too_long_is_back_in_ten_seconds(lab, programs, build):
    """Its peers have given its connections up. It finds that out when it wakes, ends the answer with an error, and
    is connected anew."""
    pair = _sleeper(lab, programs, build)
    cafe, stream = lab.router("cafe", "portRestricted", "random", lan="10.20.30"), pair.stream()
    asleep, woke = _suspend(pair, pair.friend, LONG_SLEEP_S, lambda: lab.move(pair.friend.host, cafe))
    events = pair.watches[pair.friend].course()
    ends = {e["phase"]: e for e in events if e["state"] != "begins"}
    assert list(ends) == list(WITHIN_MS), events
    assert ends["reestablish"]["wanted"] == ends["reestablish"]["back"] >= 1, ends  # the peer, and the DHT if there is one
    stream.join(20)
    assert not stream.is_alive() and stream.error, "the answer that was lost did not end"
    pair.friend.node.wait("answered", lambda: pair.friend.ask(pair.gpu, timeout=5)[2], 10)
    lab.say(f"answered {time.monotonic() - woke:.1f} s after {asleep:.0f} s of sleep: " +
            ", ".join(f"{p} {e['state']} after {e['after_ms']} ms" for p, e in ends.items()))
    pair.friend.wait_path(pair.gpu, "direct", 10)


def a_wall_clock_that_is_set_is_no_change_of_network(lab, programs, build):
    wall = pathlib.Path(lab.dir, "wallclock-offset")
    wall.write_text("0")
    library = os.path.abspath(os.path.join(build, "tests/programs/libwallclock.so"))
    pair = Pair(lab, programs, build, lab.home("gpu", "fullCone"), lab.home("friend", "portRestricted"),
                env={"LD_PRELOAD": library, "WALLCLOCK_OFFSET": str(wall)})
    stream = pair.stream()
    for share, seconds in ((0.4, 7200), (0.6, 0)):
        wall.write_text(str(seconds))
        stream.reach(share, forget=False)
    pair.finish(stream, "the wall clock was set ahead and back", 0.2)
    events = pair.watches[pair.friend].events()
    assert not any(e["moved"] or "phase" in e for e in events), events


def ipv6_is_gained_and_lost_under_an_answer(lab, programs, build):
    """Two symmetric NATs: relayed. With IPv6 at both the same answer goes direct, and back when it is gone."""
    gpu, friend = (lab.home(name, "symmetric", "random", v6=True) for name in ("gpu", "friend"))
    friend.router.lose6(friend)
    pair = Pair(lab, programs, build, gpu, friend, path="relayed")
    stream = pair.stream()
    friend.router.gain6(friend)
    gained = time.monotonic()
    pair.watches[pair.friend].expect(lab, "IPv6 was gained", {})
    pair.friend.wait_path(pair.gpu, "direct", 10)
    lab.say(f"direct {time.monotonic() - gained:.1f} s after IPv6 was gained")
    assert pair.friend.peer_entry(pair.gpu)["remote"].startswith("[2001:db8:1:"), pair.friend.peer_entry(pair.gpu)
    stream.reach(0.6, forget=False)
    pair.watches[pair.friend].skip()
    friend.router.lose6(friend)
    pair.friend.wait_path(pair.gpu, "relayed", 4)
    pair.watches[pair.friend].expect(lab, "IPv6 was lost", {})
    pair.finish(stream, "IPv6 was gained and lost", 2)


def a_node_without_any_network_for_a_while_is_back(lab, programs, build):
    """A flight: every connection breaks. When there is a network again, those who were lost are connected anew
    before anybody asks."""
    pair = Pair(lab, programs, build, lab.home("gpu", "fullCone"), lab.home("friend", "portRestricted"))
    watch = pair.watches[pair.friend]
    lab.unplug(pair.friend.host)
    pair.friend.node.wait("alone", lambda: not pair.friend.path_to(pair.gpu), 40)
    watch.course()
    watch.skip()
    lab.plug(pair.friend.host)
    ends = watch.expect(lab, "there is a network again", {})
    assert ends["reestablish"]["wanted"] >= 1 and ends["reestablish"]["back"] == ends["reestablish"]["wanted"], ends
    assert pair.friend.path_to(pair.gpu), "the peer that was lost is not connected"


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1]), sys.argv[1], workers=4))
