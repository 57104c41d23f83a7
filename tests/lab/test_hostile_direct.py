#!/usr/bin/env python3
"""Direct paths between the real binaries while somebody means harm: a relay that lies, whoever sits on the path,
peers and STUN servers that are not what they say. At worst it stays relayed; no answer is wrong, nobody is sent
what they did not ask for. Exit 77 (skipped) where network namespaces cannot be made.

    test_hostile_direct.py BUILD [NAME]"""
import glob
import json
import os
import re
import struct
import sys
import threading
import time

import onpath
import signals
from direct import Peer, Rendezvous, Stream, tell
from lab import LabError
from liar import Liar, UdpWatch
from nat import NatLab
from netns import udp_socket
from scene import Node, Programs, question
from suite import run_tests

QUIET = {"nat.stun_servers": "[]", "nat.port_mapping": "false"}


def metrics(node):
    """name{labels} -> value"""
    text = node.lab.run(node.host, ["curl", "-sS", node.api.rsplit("/v1", 1)[0] + "/metrics"]).stdout
    return {m[1]: float(m[2]) for m in re.finditer(r"(?m)^([a-z_]+(?:\{.*\})?) ([0-9.e+-]+)$", text)}


def rss_kib(node):
    with open(f"/proc/{node.process.pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def sanitized(programs):
    """Such a build keeps what was freed for a while, and must be loaded before any other library."""
    with open(programs.teale, "rb") as f:
        return b"__asan_init" in f.read()


class Friend:
    """An asker, one of many on its host, with the relay's way for it."""

    def __init__(self, lab, programs, host, url, name):
        self.node = Node(lab, programs, host, name, url, settings=QUIET, extra=["--api", "127.0.0.1:0"], start=False)
        self.name = name

    def go(self, gpu, seconds):
        """Asks, and looks for a direct path meanwhile."""
        self.node.start()
        return threading.Thread(target=self._go, args=(gpu, seconds))

    def _go(self, gpu, seconds):
        self.error = None
        try:
            self.node.wait_connected()
            self.node.wait_model(gpu.model)
            self.first = self.ask(gpu)
            done = self.node.command("ping", gpu.id, "--until-direct", "--timeout", str(seconds), "--json", check=False)
            self.direct = done.returncode == 0
            self.why = self.node.command("why", gpu.id).stdout
            self.last = self.ask(gpu)
            if self.direct:  # a busy machine may put the connection back on the relay for a moment
                self.node.wait("a direct path", lambda: self.path_to(gpu) == "direct", 10)
            self.path = self.path_to(gpu)
        except Exception as e:
            self.error = e

    def path_to(self, gpu):
        return next(p["path"] for p in self.node.json("peers")["peers"] if p["node_id"] == gpu.id)

    def ask(self, gpu):
        words = f"every word for {self.name} arrives"
        out = self.node.curl("/chat/completions", question(gpu.model, words), "-H", f"X-Teale-Ask-Peer: {gpu.id}")
        return "data: [DONE]" in out.stdout and "arrives" in out.stdout


def a_lying_relay_keeps_nodes_relayed_at_worst(lab, programs):
    bait = lab.host("bait")
    host, gpu_host, friends_host = lab.host("relay"), lab.host("gpu"), lab.host("friends")
    stays, comes = "relayed", "direct"
    plans = {
        "honest": (signals.honest, comes),
        "names": (signals.names(bait.address), stays),
        "swaps": (signals.swaps_wireguard_key, stays),
        "nat": (signals.claims_another_nat, stays),
        "no-offers": (signals.drops("offer"), stays),
        "no-answers": (signals.drops("answer"), comes),
        "no-candidates": (signals.drops("iceCandidate"), comes),
        "alters-copies": (signals.alters_copies, comes),
        "repeats": (signals.repeats, comes),
        "delays": (signals.delays(2), comes),
        "candidates-first": (signals.candidates_first, comes),
        "reflects": (signals.reflects, comes),
        "invents": (signals.invents, comes),
        "nonsense": (signals.talks_nonsense, comes),
    }
    with signals.LyingRelay(lab, programs, host) as relay:
        gpu = Peer(lab, programs, gpu_host, "gpu", relay.url)
        gpu.start()
        way = relay.way = signals.PerNode(gpu.id)
        gpu.node.wait_connected()
        watches = [UdpWatch(lab, gpu_host), UdpWatch(lab, friends_host)]
        friends = {name: Friend(lab, programs, friends_host, relay.url, name) for name in plans}
        before = rss_kib(gpu.node)
        threads = []
        for name, friend in friends.items():
            threads.append(friend.go(gpu, 6))
            way.ways[friend.node.id] = plans[name][0]
            threads[-1].start()
        for t in threads:
            t.join()
        for name, f in friends.items():
            if f.error:
                raise LabError(f"{name}: {f.error}\n{f.node.process.errors()[-2000:]}")
            assert f.first and f.last, f"{name}: an answer is not whole"
            assert f.path == plans[name][1], f"{name}: {f.path}\n{f.why}\n{f.node.process.errors()[-1500:]}"
        told = metrics(gpu.node)
        for reason in ("malformed", "wrong key", "wrong signature", "replayed"):
            assert told[f'teale_offers_refused_total{{reason="{reason}"}}'] > 0, reason
        for name in ("no-offers", "names", "swaps", "nat"):
            assert "answers no offer" in friends[name].why, friends[name].why
        grown = rss_kib(gpu.node) - before
        assert grown < 20000, grown
        seen = {str(a) for w in watches for a, _ in w.finish()}
        assert bait.address not in seen and seen <= {gpu_host.address, friends_host.address}, seen
        for p in (gpu.node, *(f.node for f in friends.values())):
            assert p.process.alive(), p.process.errors()[-2000:]


FULL = bool(os.environ.get("LAB_FULL"))
SIZE = 20_000_000
RATE = 8_000_000
SLOW = 5_000_000  # where much is to happen under one answer
SEARCH_PER_S = 200  # of all birthday searches together that peers began
UNHEARD_MAX, ATTEMPT_MAX = 5, 85  # to an address:port, and of an attempt (docs/protocol.md "Direct paths")


class Two:
    """`gpu` answers `friend`, both at public addresses, so that everything an attacker sends arrives; `bait` is
    who must be left alone."""

    def __init__(self, lab, programs, direct=True, gpu_env=None, rate=RATE):
        self.lab, self.programs = lab, programs
        self.rendezvous = Rendezvous(lab, programs)
        self.gpu_host, self.friend_host, self.bait = lab.host("gpu"), lab.host("friend"), lab.host("bait")
        lab.plain(self.gpu_host, self.friend_host)
        self.gpu = Peer(lab, programs, self.gpu_host, "gpu", self.rendezvous.url,
                        parrot=["--model", f"bytes:{SIZE}", "--bytes-per-s", str(rate)])
        self.friend = Peer(lab, programs, self.friend_host, "friend", self.rendezvous.url)
        self.gpu.node.env = gpu_env
        self.peers = (self.gpu, self.friend)
        for p in self.peers:
            p.start()
        for p in self.peers:
            p.node.wait_connected()
        self.friend.node.wait_model(self.gpu.model)
        if direct:
            self.go_direct()

    def go_direct(self, timeout=15):
        ok, text = self.friend.ping_until_direct(self.gpu, timeout)
        if not ok:
            raise LabError(f"not direct: {text}\n{tell(self.peers)}")

    def restart(self, peer):
        peer.stop()
        peer.start()
        peer.node.wait_connected()
        if peer is self.friend:
            peer.node.wait_model(self.gpu.model)

    def stream(self):
        return Stream(self.lab, self.friend, self.gpu, SIZE)

    def finish(self, stream, what, at_most):
        try:
            silence = stream.finish(self.programs)
        except LabError as e:
            raise LabError(f"{what}: {e}\n{tell(self.peers)}") from e
        print(f"    {what}: longest silence {silence * 1000:.0f} ms", flush=True)
        assert silence <= at_most, f"{what}: {silence:.3f} s of silence\n{tell(self.peers)}"

    def on_the_way(self, rules):
        """Rules for what crosses the internet, in place of those before."""
        self.lab.nft(self.lab.internet, "table ip way\ndelete table ip way\ntable ip way {\n chain f {\n"
                     f"type filter hook forward priority -20;\n{rules}\n}}\n}}\n")

    def to_bait(self, watch, elapsed):
        """What the two sent to the bait keeps to the budget; how much it was."""
        ports = [port for address, port in watch.finish() if str(address) == self.bait.address]
        assert all(ports.count(p) <= UNHEARD_MAX for p in set(ports)), [(p, ports.count(p)) for p in set(ports)]
        assert len(ports) <= 2 * (ATTEMPT_MAX + elapsed), len(ports)
        return len(ports)


def junk(friend, gpu, cid):
    """Datagrams for gpu's port, as no friend of it sends them."""
    stun = b"\0\1\0\0" + onpath.STUN_COOKIE
    yield b""
    yield b"\0"
    for first in (0, 1, 3, 4, 0x0C, 0x3F, 0x40, 0x80, 0xC0, 0xFF):
        for n in (1, 19, 20, 21, 60, 1200, 1400):
            yield bytes([first]) + os.urandom(n - 1)
    for kind in (b"\0\1", b"\1\1", b"\1\x11", b"\0\x11"):
        for attributes in (b"", b"\0\6\0\x10" + b"0" * 16, b"\0\6\xff\xff", os.urandom(400)):
            yield kind + struct.pack(">H", len(attributes) & ~3) + onpath.STUN_COOKIE + os.urandom(12) + attributes
    yield stun + os.urandom(12)
    for first in (0x40, 0x5F, 0x7F):  # short headers: the right connection ID, and one that differs in a bit
        for n in (1, 20, 1200):
            yield bytes([first]) + cid + os.urandom(n)
            yield bytes([first]) + bytes([cid[0] ^ 1]) + cid[1:] + os.urandom(n)
    for version in (b"\0\0\0\1", b"\0\0\0\0", os.urandom(4)):  # long headers
        yield b"\xC3" + version + bytes([len(cid)]) + cid + b"\x08" + os.urandom(8) + os.urandom(1170)


def cpu_seconds(node):
    total = 0
    for task in os.listdir(f"/proc/{node.process.pid}/task"):
        with open(f"/proc/{node.process.pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def whoever_sits_on_the_path_harms_no_answer_and_no_third(lab, programs):
    two = Two(lab, programs, rate=SLOW)
    watches = [UdpWatch(lab, two.bait, "in")]
    began = time.monotonic()
    here, there = two.friend_host.address, two.gpu_host.address
    with onpath.OnPath(lab) as eve:
        stream = two.stream()
        stream.reach(0.05)
        is_check = lambda p: onpath.is_stun(p) and p[:2] == b"\0\1"
        friend, gpu, check = eve.wait(lambda s, d, p: s[0] == here and d[0] == there and is_check(p))
        _, _, answer = eve.wait(lambda s, d, p: s[0] == here and d[0] == there and onpath.is_stun(p) and p[0] == 1)
        _, _, back = eve.wait(lambda s, d, p: s[0] == there and d[0] == here and is_check(p))
        _, _, quic = eve.wait(lambda s, d, p: s[0] == here and d[0] == there and onpath.is_quic(p))
        bait = two.bait.address
        for port in range(2000, 2300):  # genuine ones from elsewhere; altered in every part; turned round
            at = port % len(check)
            forged = check[:at] + bytes([check[at] ^ 1 << port % 8]) + check[at + 1:]
            for payload in (check, forged, answer, check[:-8], back):
                eve.send((bait, port), gpu, payload)
                eve.send(friend, gpu, payload)
            eve.send((bait, port), friend, check)
            eve.send(gpu, friend, check)
        stream.reach(0.2, forget=False)
        assert two.to_bait(watches[0], 0) == 0, "a replay made it send"
        assert two.friend.path_to(two.gpu) == "direct", two.friend.why(two.gpu)
        # packets of the connection itself, from elsewhere: is it the friend who moved?
        watches.append(UdpWatch(lab, two.bait, "in"))
        for port in range(3000, 3100):
            eve.send((bait, port), gpu, quic)
            eve.send((bait, port), friend, quic)
        for _, _, payload in [d for d in eve.datagrams if d[0] == friend and onpath.is_quic(d[2])][-100:]:
            eve.send((bait, 3500), gpu, payload)
        stream.reach(0.3, forget=False)
        # checks held back and delivered in the name of others, each for the first time
        two.on_the_way(f"ip saddr {here} ip daddr {there} @th,64,16 0x0001 drop")
        ports = iter(range(4000, 5000))
        eve.on = lambda s, d, p: (s, d) == (friend, gpu) and is_check(p) and eve.send((bait, next(ports)), gpu, p)
        time.sleep(1.2)
        eve.on = None
        two.on_the_way("")
        stream.reach(0.4, forget=False)
        asked = two.to_bait(watches[1], time.monotonic() - began)
        print(f"    {asked} datagrams to the address that {next(ports) - 4000} held-back checks claimed to come from")
        # and a flood
        cid, cpu, rss = quic[1:9], cpu_seconds(two.gpu.node), rss_kib(two.gpu.node)
        kinds = list(junk(friend, gpu, cid))
        watches.append(UdpWatch(lab, two.bait, "in"))
        n, started = 100000 if FULL else 30000, time.monotonic()
        for i in range(n):
            eve.send(friend if i & 1 else (bait, 6000 + i % 50), gpu, kinds[i // 2 % len(kinds)])
        took = time.monotonic() - started
        two.finish(stream, "replays, forgeries, a flood", 3)
        assert metrics(two.gpu.node)["teale_udp_dropped_total{reason=\"short\"}"] > n / 20, "the flood did not arrive"
        cpu = cpu_seconds(two.gpu.node) - cpu
        grown = rss_kib(two.gpu.node) - rss
        print(f"    {n} junk datagrams in {took:.1f} s: {cpu:.2f} s of CPU with the answer, {grown} KiB more")
        assert grown < 20000 or sanitized(programs), grown
        assert two.to_bait(watches[2], 0) == 0, "junk made it send"
    for p in two.peers:
        assert p.node.process.alive(), p.log()[-2000:]
    assert two.friend.ask(two.gpu)[2]
    two.go_direct(30)


def paths_that_answer_checks_and_carry_nothing_are_left(lab, programs):
    two = Two(lab, programs, direct=False)
    here, there = two.friend_host.address, two.gpu_host.address
    # answers of the gpu come from another port: not from the address asked
    two.on_the_way(f"ip saddr {there} @th,64,16 0x0101 udp sport set 4444")
    watch = UdpWatch(lab, two.friend_host)
    ok, _ = two.friend.ping_until_direct(two.gpu, 3)
    assert not ok and two.friend.ask(two.gpu)[1:] == ("relayed", True), tell(two.peers)
    assert 4444 not in [port for _, port in watch.finish()]
    two.on_the_way("")
    two.restart(two.friend)
    # checks pass, QUIC does not: it must not cost the answer
    two.on_the_way(f"ip saddr {{ {here}, {there} }} ip daddr {{ {here}, {there} }} @th,64,8 >= 0x40 drop")
    stream = two.stream()
    two.finish(stream, "checks pass and QUIC never did", 2.3)
    two.on_the_way("")
    two.restart(two.friend)
    two.go_direct()
    for what, source in (("answers of QUIC vanish", there), ("questions of QUIC vanish", here)):
        stream = two.stream()
        stream.reach(0.1)
        assert two.friend.path_to(two.gpu) == "direct", tell(two.peers)
        two.on_the_way(f"ip saddr {source} ip daddr {{ {here}, {there} }} @th,64,8 >= 0x40 drop")
        two.finish(stream, what + ", checks pass", 2.3)
        two.on_the_way("")
        if source == there:
            two.friend.wait_path(two.gpu, "direct", 30)


class Acknowledges(signals.Honest):
    """registerAck tells each node, by its name, of a STUN server of its own."""

    def __init__(self, udp):
        self.udp, self.names = udp, {}

    def from_node(self, link, kind, payload, raw):
        if kind == "register":
            self.names[link] = payload["displayName"]
        return [raw]

    def from_relay(self, link, kind, payload, raw):
        if kind != "registerAck" or self.udp[self.names[link]] is None:
            return [raw]
        return [json.dumps({kind: {**payload, "udp": self.udp[self.names[link]]}}).encode()]


def stun_servers_that_lie_lead_nobody_astray(lab, programs):
    bait, host, nodes_host = lab.host("bait"), lab.host("relay"), lab.host("nodes")
    servers_at = [lab.host(f"stun{i}") for i in range(3)]
    watch = UdpWatch(lab, nodes_host)
    lie, dead, here = (bait.address, 9999), f"{bait.address}:5", nodes_host.address
    honest = [onpath.StunServer(h, onpath.truthful) for h in servers_at]
    loopback = [onpath.StunServer(h, onpath.says(("127.0.0.1", 9000)), 4000) for h in servers_at]
    forging = [onpath.StunServer(h, onpath.forges(lie), 5000) for h in servers_at]
    late = [onpath.StunServer(h, lambda d, s, _: [(6, None, onpath.mapped(d[8:20], lie))], 6000) for h in servers_at]
    lying = onpath.StunServer(servers_at[2], onpath.says(lie), 7000)
    names = lambda servers: [s.name for s in servers]
    plans = {  # the servers; what the relay says is its own; what the node then takes for its public address
        "honest": (names(honest), None, here),
        "one-liar": (names(honest[:2]) + [lying.name], None, here),
        "loopback": (names(loopback), None, None),
        "forging": (names(forging), None, None),
        "late": (names(late), None, None),
        "dead": ([], dead, None),
        "named-loopback": (names(honest), "127.0.0.1:9000", here),
        "named-metadata": (names(honest), "169.254.169.254:80", here),
        "named-broadcast": (names(honest), "255.255.255.255:67", here),
        "named-multicast": (names(honest), "224.0.0.251:5353", here),
        "named-mapped": (names(honest), "[::ffff:127.0.0.1]:9000", here),
        "named-nobody": (names(honest), "[::]:9000", here),
        "named-nonsense": (names(honest), "\u001b[31m" + "x" * 3000 + ":1", here),
        "named-port-0": (names(honest), bait.address + ":0", here),
        "named-number": (names(honest), 7, here),
    }
    with signals.LyingRelay(lab, programs, host) as relay:
        relay.way = Acknowledges({name: udp for name, (_, udp, _) in plans.items()})
        nodes, began = {}, time.monotonic()
        for name, (servers, _, _) in plans.items():
            nodes[name] = Node(lab, programs, nodes_host, name, relay.url, start=False, extra=["--api", "127.0.0.1:0"],
                               settings={**QUIET, "nat.stun_servers": json.dumps(servers)})
            nodes[name].start()
        started = time.monotonic()
        for name, n in nodes.items():
            if name != "named-number":
                n.wait_connected()
        time.sleep(max(0, started + 7 - time.monotonic()))  # until late answers came
        sent, lasted = watch.finish(), time.monotonic() - began
        for name, (_, _, public) in plans.items():
            nat = nodes[name].json("status")["nat"]
            address, port = (nat["public"] or "None:0").rsplit(":", 1)
            assert (address, port) == (public, str(nat["port"])) if public else nat["public"] is None, (name, nat)
        assert metrics(nodes["forging"])["teale_stun_strays_total"] > 0
        assert metrics(nodes["late"])["teale_stun_strays_total"] > 0
        assert metrics(nodes["honest"])["teale_stun_answers_total"] > 0
        for name in ("honest", "one-liar", "loopback"):
            candidates = nodes[name].json("netcheck")["candidates"]
            assert candidates and all(c["address"].startswith(here + ":") for c in candidates), (name, candidates)
        for n in nodes.values():
            assert n.process.alive(), n.process.errors()[-2000:]
    for s in (*honest, *loopback, *forging, *late, lying):
        s.close()
    servers = {h.address for h in servers_at}
    elsewhere = [(str(a), p) for a, p in sent if str(a) not in servers]
    to_bait = [e for e in elsewhere if e[0] == bait.address]
    wrong = [e for e in elsewhere if e[0] not in (bait.address, here)]
    assert not wrong, wrong
    # the only server of a node, and it never answers: asked four times in 4.5 s, and so again after 2, 4, 8 s and so on
    rounds = next(n for n in range(1, 20) if lasted < sum(4.5 + 2 ** i for i in range(1, n + 1)))
    assert {p for _, p in to_bait} == {5} and len(to_bait) <= 4 * rounds + 1, to_bait


def offers_count_within_thirty_seconds(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    victim = Peer(lab, programs, lab.host("victim"), "victim", rendezvous.url)
    elsewhere = lab.host("liar")
    victim.start()
    victim.node.wait_connected()
    victim.ready()
    at = (elsewhere.address, 5000)
    for skew in (29, -29):
        late, early = Liar(elsewhere, rendezvous.relay), Liar(elsewhere, rendezvous.relay)
        for liar in (late, early):
            liar.skew = skew // 29 * (32 if liar is late else 28)
            session = liar.offer(victim.id, public=at, local=at)
            if liar is early:
                liar.wait_answer(session)
    told = metrics(victim.node)
    assert told['teale_offers_refused_total{reason="late"}'] == 2, told
    assert told['teale_offers_total{direction="in"}'] == 2
    clock = [c for c in victim.node.json("doctor")["checks"] if c["id"] == "clock"]
    assert clock and "late: their clocks" in clock[0]["evidence"] and clock[0]["remedy"], clock


def strangers_do_not_make_a_node_flood_a_third(lab, programs):
    rendezvous = Rendezvous(lab, programs)
    host, elsewhere, bait = lab.home("victim"), lab.host("liar"), lab.host("bait")
    victim = Peer(lab, programs, host, "victim", rendezvous.url)
    victim.start()
    victim.ready("portRestricted")
    watch = UdpWatch(lab, host)
    liars = [Liar(elsewhere, rendezvous.relay) for _ in range(12)]
    for i, liar in enumerate(liars):  # each a symmetric NAT at the bait's address: the search's case
        liar.offer(victim.id, public=(bait.address, 9000 + i), local=("192.168.77.7", 9000), nat="symmetric")
    time.sleep(5)
    sent = [port for address, port in watch.finish() if str(address) == bait.address]
    print(f"    {len(liars)} strangers had {len(sent)} datagrams sent to a third in 5 s")
    assert len(sent) <= 5 * SEARCH_PER_S + len(liars) * UNHEARD_MAX, len(sent)


FAKETIME = "/usr/lib/*/faketime/libfaketimeMT.so.1"


def a_wall_clock_that_jumps_breaks_no_answer_and_is_told(lab, programs):
    library = glob.glob(FAKETIME)
    if not library or sanitized(programs):
        print("    skipped: no libfaketime here (Debian package faketime), or a sanitizer that bears none")
        return
    clock = os.path.join(lab.dir, "clock")

    def set_clock(text):
        with open(clock + ".new", "w", encoding="ascii") as f:
            f.write(text + "\n")
        os.rename(clock + ".new", clock)

    set_clock("+0")
    two = Two(lab, programs, gpu_env={"LD_PRELOAD": library[0], "FAKETIME_TIMESTAMP_FILE": clock, "FAKETIME_NO_CACHE": "1",
                                      "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_XRESET": "1"})
    stream = two.stream()
    stream.reach(0.1)
    set_clock("+3600")
    stream.reach(0.3, forget=False)
    set_clock("-3600")
    two.finish(stream, "the clock went an hour ahead, and two back", 1)
    assert two.friend.path_to(two.gpu) == "direct"
    two.restart(two.friend)
    ok, _ = two.friend.ping_until_direct(two.gpu, 6)
    assert not ok, "an offer of an hour ahead was taken: does the clock go wrong at all?"
    assert two.friend.ask(two.gpu)[1:] == ("relayed", True), tell(two.peers)
    # once its offers and its introductions have both come to nothing
    two.friend.node.wait("told of the clock", lambda: "clock" in two.friend.why(two.gpu), 20)
    found = [c["evidence"] for c in two.gpu.node.json("doctor")["checks"] if c["id"] == "clock"]
    assert found and re.match(r"this machine's clock is (3599|360\d) s behind the relay's", found[0]), found
    set_clock("+0")
    two.restart(two.friend)
    two.go_direct()


def port_of(node):
    return node.json("status")["nat"]["port"]


def a_peer_that_dies_on_a_direct_path_is_missed_in_time_and_comes_back(lab, programs):
    two = Two(lab, programs)
    stream = two.stream()
    stream.reach(0.2)
    port = port_of(two.gpu.node)
    two.gpu.stop()
    died = time.monotonic()
    stream.join(30)
    assert not stream.is_alive() and stream.error and not stream.digest, (stream.is_alive(), stream.error)
    print(f"    the asker knew {time.monotonic() - died:.1f} s after the kill")
    assert time.monotonic() - died < 15
    two.gpu.start()
    assert port_of(two.gpu.node) == port, "the port is another after a kill"
    two.friend.node.wait("answered", lambda: two.friend.ask(two.gpu, timeout=5)[2], 30)
    two.go_direct(45)  # the pause after the attempts that its death failed is twice 10 s
    kept = os.path.join(two.gpu.node.home, "udp-port")
    for content in (b"\xff" * 5000, b"99999\n", b"22\n", b"-1", b"0x1F90", b"")[:None if FULL else 2]:
        two.gpu.stop()
        with open(kept, "wb") as f:
            f.write(content)
        two.gpu.start()
        fresh = port_of(two.gpu.node)
        with open(kept, "rb") as f:
            assert f.read() == b"%d\n" % fresh and fresh > 1023, (content, fresh)
    two.gpu.stop()
    with udp_socket(two.gpu_host.ns, "0.0.0.0", fresh):
        two.gpu.start()
        assert port_of(two.gpu.node) not in (0, fresh)
        assert f"UDP port {fresh} of last time is not available" in two.gpu.log(), two.gpu.log()
        if FULL:
            two.friend.node.wait("answered", lambda: two.friend.ask(two.gpu, timeout=5)[2], 30)


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1])))
