#!/usr/bin/env python3
"""Machines on one switch, and nothing else: no relay, no internet, wan_enabled false (docs/protocol.md "On the local
network"). They find each other, by UDP and by TCP alone; with a relay beside them answers move there and back.

    test_switch.py BUILD [NAME]"""
import json
import random
import re
import select
import socket
import subprocess
import sys
import threading
import time

from direct import Peer, Stream, tell
from lab import LabError
from mdnsnet import Forger, service
from netns import inside
from scene import Node, Programs, Relay, question
from suite import run_tests
from switch import ENV, SwitchLab

FOUND_S = 10
LAN = {"log_level": "debug", "lan_enabled": "true", "wan_enabled": "false", "nat.port_mapping": "false"}
A_KEYS = ["ee0f1d36fe61e9a0d86b092119e1bace30c9ab6b827fce2f1ba4be4db7c41801",  # of nobody here
          "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]
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


def a_neighbour_that_was_never_asked_is_shown_and_named_by_16_digits(lab, programs):
    """Nothing of it is known but what it announces: its ID."""
    one, two = _machine(lab, programs, "one"), _machine(lab, programs, "two")
    _start(one, two)
    _wait_found(one, two)
    shown, few = one.node.json("peers"), two.id[:16]
    assert not shown["peers"] and [n["node_id"] for n in shown["announced"]] == [two.id], shown
    assert re.search(rf"^{few} +announced  ", one.node.command("peers").stdout, re.M), one.node.command("peers").stdout
    assert few not in one.node.command("peers", "--wan").stdout and few in one.node.command("peers", "--cluster").stdout
    offered = one.node.command("completion", "words", "--", "--home", one.node.home, "ping", "").stdout
    assert offered == f"{few}\tannounced on the local network\n", offered
    refused = one.node.command("ping", two.id[:8], check=False).stderr
    assert "at least 16 digits" in refused, refused
    assert "2 of 2 answered" in one.node.command("ping", "-c", "2", few).stdout
    shown = one.node.json("peers")
    assert not shown["announced"] and [p["path"] for p in shown["peers"]] == ["lan"], shown


def up_listens_for_neighbours_before_it_counts_them(lab, programs):
    two = _machine(lab, programs, "two")
    one = Node(lab, programs, lab.machine("one"), "one", None, None, start=False, env=ENV, settings={"nat.stun_servers": "[]", **LAN})
    words = "nobody is announced there yet"
    try:
        for neighbour in (False, True):
            if neighbour:
                two.start()
                two.node.wait("announced", lambda: two.node.json("status")["lan"]["name"])
                words = "1 node is announced there"
            up = lab.run(one.host, [one.teale, "--home", one.home, "up"], env=ENV)
            said = up.stdout + up.stderr
            assert f"the local network alone; {words}" in said and f"{words}. A question asks all: teale chat" in said, said
            one.command("down")
    finally:
        one.command("down", check=False)


def a_chat_whose_own_machine_loses_its_network_says_so_at_once(lab, programs):
    """In the middle of an answer, at the next question, and until the network is back."""
    one, two = _machine(lab, programs, "one"), _machine(lab, programs, "two", parrot=("--token-ms", "200", "--tokens", "100"))
    _start(one, two)
    _wait_found(one, two)
    none = "his machine has no network"
    chat = subprocess.Popen(["ip", "netns", "exec", one.host.ns, programs.teale, "--home", one.node.home, "chat", "-m", two.model,
                             "hi"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert chat.stdout.read(1)
        lab.ip(one.host.ns, "link set eth0 down")
        pulled = time.monotonic()
        first = chat.stderr.readline()
        lab.say(f"said {time.monotonic() - pulled:.1f} s after the network was gone: {first.strip()}")
        assert none in first, (first, chat.communicate(timeout=60))
        rest = chat.communicate(timeout=60)[1]
        assert chat.returncode == 4 and none in rest and "ry again" not in rest, rest
    finally:
        chat.kill()
        chat.communicate()
    begun = time.monotonic()
    done = one.node.command("chat", "-m", two.model, "hi", check=False)
    lab.say(f"the next question: {time.monotonic() - begun:.1f} s")
    assert done.returncode == 4 and none in done.stderr, done.stderr
    lab.ip(one.host.ns, "address replace 10.7.0.1/24 dev eth0")
    lab.ip(one.host.ns, "link set eth0 up")
    one.node.wait("a network again", lambda: not one.node.json("status")["offline"], 10)
    _assert_answer(one, two, "udp")


def the_first_question_after_a_start_waits_for_the_neighbour(lab, programs):
    """The peer is known from before, and dialled before anybody has announced anything."""
    two = _machine(lab, programs, "two")
    one = Node(lab, programs, lab.machine("one"), "one", None, None, start=False, env=ENV, settings={"nat.stun_servers": "[]", **LAN})
    two.start()
    for _ in range(4):
        one.start()
        done = one.command("chat", "hi", check=False)
        assert done.returncode == 0, done.stderr
        one.process.stop()


def an_answer_whose_peer_is_unplugged_says_so_until_it_is_back_or_given_up(lab, programs):
    """Read as `teale chat` reads it: line by line, with what the node says in the middle (docs/http-api.md, Errors)."""
    one, two = _machine(lab, programs, "one"), _machine(lab, programs, "two", parrot=("--token-ms", "200", "--tokens", "60"))
    _start(one, two)
    _wait_found(one, two)
    _assert_answer(one, two, "udp")
    for back in (True, False):
        read = subprocess.Popen(["ip", "netns", "exec", one.host.ns, "curl", "-sSN", "-m", "60", one.node.api + "/chat/completions",
                                 "-H", "Content-Type: application/json", "-d", json.dumps(question(two.model, "x"))],
                                stdout=subprocess.PIPE, text=True)
        try:
            assert next(read.stdout).startswith("data: ")
            lab.unplug(two.host)
            unplugged = time.monotonic()
            told = next(line for line in read.stdout if line.startswith(":"))
            took = time.monotonic() - unplugged
            lab.say(f"told {took:.1f} s after the plug was pulled: {told.strip()[:32]}")
            assert re.fullmatch(rf": waiting for=path seconds=\d+ peer={two.id}\n", told), told
            assert 2 < took < 6, took
            if back:
                lab.plug(two.host)
            rest = list(read.stdout)
            lab.say(f"{'whole' if back else 'given up'} {time.monotonic() - unplugged:.1f} s after it")
            assert ("data: [DONE]\n" in rest) == back, rest[-5:]
            assert any(line.startswith("event: error") for line in rest) != back, rest[-5:]
        finally:
            read.kill()
            read.communicate()


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


def the_local_network_switched_off_under_a_connection_is_told_at_once(lab, programs):
    two = _machine(lab, programs, "two")
    one = Node(lab, programs, lab.machine("one"), "one", None, None, env=ENV, settings={"nat.stun_servers": "[]", **LAN})
    two.start()
    one.command("chat", "hi")
    assert one.json("status")["peers"]["lan"] == 1
    one.command("config", "set", "lan_enabled", "false")
    for what in (("chat", "hi"), ("chat", "--peer", two.id, "hi"), ("ping", two.id)):
        started = time.monotonic()
        done = one.command(*what, check=False)
        took = time.monotonic() - started
        assert done.returncode != 0 and "lan_enabled and wan_enabled are false" in done.stderr, done.stdout + done.stderr
        assert "config set lan_enabled true" in done.stderr, done.stderr
        assert took < 3, f"{what}: {took:.1f} s"
    assert not any(one.json("status")["peers"].values()), one.json("status")["peers"]
    doctor = one.command("doctor", check=False).stdout
    assert "config set lan_enabled true" in doctor, doctor
    models = one.command("models").stderr
    assert "config set lan_enabled true" in models and "Ask all the same" not in models, models
    two.node.wait("told of the end", lambda: not any(two.node.json("status")["peers"].values()), 5)
    one.command("config", "set", "lan_enabled", "true")
    one.wait("answered again", lambda: one.command("chat", "hi"), FOUND_S)


def a_running_answer_walks_from_tcp_to_the_relay_and_back(lab, programs):
    host = lab.machine("relay")
    relay = Relay(lab, programs, host)
    one, two = [_machine(lab, programs, name, relay=relay.url, settings={"wan_enabled": "true"},
                         parrot=["--model", f"bytes:{SIZE}", "--bytes-per-s", str(RATE)]) for name in ("one", "two")]
    for p in (one, two):
        lab.udp_blocked(p.host)
    _start(one, two)
    _wait_found(one, two)
    stream = Stream(lab, one, two, SIZE)
    stream.reach(0.1)
    if stream.headers["X-Teale-Path"] != "lan" or _carrier(one, two) != "lan tcp":
        raise LabError(tell([one, two]))
    for p, other in ((one, two), (two, one)):
        lab.apart(p.host, other.host)
    away = one.wait_path(two, "relayed", 10)
    stream.reach(0.5, forget=False)
    lab.say(f"the Wi-Fi between them went: on the relay {away:.1f} s later, the longest silence {stream.stall:.1f} s")
    for p in (one, two):
        lab.together(p.host)
    back = one.wait_path(two, "lan", 20)
    lab.say(f"it came back: on the local network {back:.1f} s later")
    stall = stream.finish(programs)
    assert stall < 5, f"silent for {stall:.1f} s"
    # the relay is nobody's need on the local network
    relay.process.popen.kill()
    _assert_answer(one, two, "tcp")


def udp_goes_under_a_running_answer_and_tcp_carries_on_without_a_relay(lab, programs):
    one, two = [_machine(lab, programs, name, parrot=["--model", f"bytes:{SIZE}", "--bytes-per-s", str(RATE)])
                for name in ("one", "two")]
    _start(one, two)
    _wait_found(one, two)
    one.node.command("ping", two.id)
    stream = Stream(lab, one, two, SIZE)
    stream.reach(0.1)
    assert _carrier(one, two) == "lan udp", tell([one, two])
    for p in (one, two):
        lab.udp_blocked(p.host)
    one.node.wait("on TCP", lambda: _carrier(one, two) == "lan tcp", 10)
    stall = stream.finish(programs)
    lab.say(f"UDP was blocked: the longest silence {stall:.1f} s")
    assert stall < 5, f"silent for {stall:.1f} s"


def a_member_needs_no_configuration(lab, programs):
    """Not even the join does: the invite is read aloud, and the two find each other."""
    admin, friend = _machine(lab, programs, "admin"), _machine(lab, programs, "friend")
    _start(admin, friend)
    _wait_found(friend, admin)
    admin.node.command("ptn", "create", "family")
    code = admin.node.command("ptn", "invite", "family", "--role", "provider").stdout.strip()
    assert friend.node.json("join", code)["role"] == "provider"
    for p in (admin, friend):
        p.stop()
    _start(admin, friend)
    admin.node.wait("connected to the member unasked", lambda: admin.path_to(friend) == "lan", FOUND_S)
    assert admin.peer_entry(friend)["ptns"], admin.peer_entry(friend)


class Flood(threading.Thread):
    """Announces so many nodes that are none, again and again, until it is ended."""

    def __init__(self, host, names):
        super().__init__(daemon=True)
        host.private = host.address
        self.forger, self.ends, rng = Forger(host), threading.Event(), random.Random(7)
        # half of all numbers are keys
        ids = [rng.randbytes(32).hex() for _ in range(2 * names)]
        self.packets = [service(f"teale-{i[:16]}", 20000 + n, host.address, [f"id={i}"], f"h{n % 8}.local", 4500)
                        for n, i in enumerate(ids)]
        self.start()

    def run(self):
        while not self.ends.wait(0.3):
            for n, packet in enumerate(self.packets):
                self.forger.send(packet)
                if n % 5 == 4 and self.ends.wait(0.004):
                    return

    def end(self):
        self.ends.set()
        self.join()


def _dropped(peer, reason):
    name = f'teale_lan_dropped_total{{reason="{reason}"}} '
    return next(float(l.removeprefix(name)) for l in peer.metrics() if l.startswith(name))


def a_join_finds_its_inviter_in_a_flood_of_announcements(lab, programs):
    """The one who joins hears the flood first, and of the inviter when no place is left for what is announced."""
    admin, friend = _machine(lab, programs, "admin"), _machine(lab, programs, "friend")
    _start(friend)
    flood = Flood(lab.machine("rude"), 1000)
    try:
        friend.node.wait("full of announcements", lambda: _dropped(friend, "full"), 30)
        _start(admin)
        admin.node.command("ptn", "create", "family")
        code = admin.node.command("ptn", "invite", "family").stdout.strip()
        started = time.monotonic()
        assert friend.node.json("join", code)["role"] == "consumer"
        took = time.monotonic() - started
    finally:
        flood.end()
    lab.say(f"joined {took:.1f} s after the command, in {flood.forger.sent} announcements")
    assert took < 5, f"{took:.1f} s"


class Sink(threading.Thread):
    """Listens for TCP and UDP at one port of a machine, answers nothing, and counts."""

    def __init__(self, host, port):
        super().__init__(daemon=True)
        with inside(host.ns):
            self.tcp = socket.create_server((host.address, port))
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((host.address, port))
        self.bytes, self.datagrams, self.connections = 0, 0, 0
        self.start()

    def run(self):
        open_ones = [self.tcp, self.udp]
        while True:
            for s in select.select(open_ones, [], [])[0]:
                if s is self.tcp:
                    open_ones.append(s.accept()[0])
                    self.connections += 1
                elif s is self.udp:
                    self.datagrams += len(s.recv(4096)) > 0
                else:
                    try:
                        data = s.recv(65536)
                    except OSError:
                        data = b""
                    self.bytes += len(data)
                    if not data:
                        open_ones.remove(s)


def whoever_announces_anothers_id_gets_nothing(lab, programs):
    one, two, liar = _machine(lab, programs, "one"), _machine(lab, programs, "two"), lab.machine("liar")
    liar.private = liar.address
    _start(two)
    two.stop()  # its ID is known now
    sink, forger = Sink(liar, 4242), Forger(liar)
    _start(one)
    claim = service(f"teale-{two.id[:16]}", 4242, liar.address, [f"id={two.id}"])

    def claimed():
        forger.send(claim)
        return f"lan: {two.id[:16]} is announced\n" in one.log()

    one.node.wait("told of the false claim", claimed, FOUND_S)
    started = time.monotonic()
    done = one.node.command("ping", two.id, check=False)
    took = time.monotonic() - started
    assert done.returncode != 0 and one.peer_entry(two) is None, done.stdout
    assert took < 12, f"ping took {took:.1f} s"
    assert sink.connections >= 1, "the liar was never asked: nothing is shown"
    assert sink.connections <= 6 and sink.bytes < 10_000 and sink.datagrams < 12, vars(sink)
    assert "announced on the local network" in done.stderr, done.stdout + done.stderr
    lab.say(f"a false claim cost {sink.connections} connections, {sink.bytes} bytes and {sink.datagrams} datagrams, "
            f"and {took:.1f} s of a ping")
    _start(two)  # and the node itself is found beside the liar
    one.node.wait("answered by the node itself", lambda: one.ask(two)[1:] == ("lan", True), 20)


def _knocks(host, device, address):
    """Counts the packets that the host would send there; returns what reads the count."""
    table = f"knocks_{device}"
    host.lab.nft(host.ns, f"table ip {table} {{ chain o {{ type filter hook output priority 0; oifname {device} ip daddr {address} "
                          "meta l4proto { tcp, udp } counter\n}\n}")
    return lambda: int(re.search(r"packets (\d+)", host.lab.run(host, ["nft", "list", "table", "ip", table]).stdout)[1])


def a_claim_that_one_link_hears_knocks_at_nobody_of_another(lab, programs):
    """The machine has a second link, as to containers; whoever shares the first one tells of nodes there."""
    liar, host = lab.machine("liar"), lab.machine("one")
    liar.private, host.lab = liar.address, lab
    lab.ip(host.ns, "link add eth1 type veth peer name inside")
    lab.ip(host.ns, "address add 172.31.7.1/24 dev eth1")
    for device in ("eth1", "inside"):
        lab.ip(host.ns, f"link set {device} up")
    behind, beside = _knocks(host, "eth1", "172.31.7.2"), _knocks(host, "eth0", liar.address)
    one = Node(lab, programs, host, "one", None, None, env=ENV, settings={"nat.stun_servers": "[]", **LAN})
    forger = Forger(liar)
    log = lambda: one.process.errors()

    def claim(digit, address):
        forger.send(service(f"teale-{A_KEYS[digit][:16]}", 6379, address, [f"id={A_KEYS[digit]}"]))

    def claimed():
        claim(0, "172.31.7.2")
        claim(1, liar.address)  # its twin, on the link that hears it
        return f"lan: {A_KEYS[1][:16]} is announced\n" in log()

    one.wait("told of the claims", claimed, FOUND_S)
    one.command("chat", "hi", check=False)
    assert beside() > 0, "nobody was knocked at: nothing is shown"
    assert behind() == 0 and f"lan: {A_KEYS[0][:16]} is announced" not in log(), behind()


def _closed(s, within):
    """After so many seconds the other side closed it; None: it did not."""
    started = time.monotonic()
    s.settimeout(within)
    try:
        while s.recv(4096):
            pass
    except TimeoutError:
        return None
    except OSError:
        pass
    return time.monotonic() - started


def garbage_and_slow_senders_at_the_port_cost_nobody_else(lab, programs):
    one, two, rude = _machine(lab, programs, "one"), _machine(lab, programs, "two"), lab.machine("rude")
    _start(one, two)
    _wait_found(one, two)
    _assert_answer(one, two, "udp")
    address, port = one.peer_entry(two)["remote"].rsplit(":", 1)

    def connect():
        with inside(rude.ns):
            return socket.create_connection((two.host.address, int(port)), 5)

    rss = two.node.process.pid
    slow = connect()
    slow.sendall(b"\x01\x00half of a frame")
    garbage = connect()
    garbage.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)  # "GE" is a length of 18245
    assert _closed(garbage, 2) is not None, "HTTP was listened to"
    nothing = connect()
    nothing.sendall(b"\x00\x03xyz" * 10)
    assert _closed(nothing, 2) is not None, "datagrams of no kind were listened to"
    crowd = [connect() for _ in range(12)]
    _assert_answer(one, two, "udp")
    for p in (one, two):
        lab.udp_blocked(p.host)  # TCP works beside all those
    one.node.wait("on TCP", lambda: one.ask(two)[2] and _carrier(one, two) == "lan tcp", 30)
    _assert_answer(one, two, "tcp")
    took = _closed(slow, 8)
    assert took is not None, "half a frame was waited for"
    for s in crowd:
        s.close()
    assert two.node.process.alive() and rss


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], SwitchLab, Programs(sys.argv[1])))
