#!/usr/bin/env python3
"""A real node that relays for others (docs/protocol.md "A node that relays"), driven by nodes that are written here from the
text alone. They sit behind NATs, and the relaying node has a public address, or a firewall.

    test_relay_node.py BUILD [NAME]"""
import json
import os
import pathlib
import re
import select
import sys
import time
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
import controlmsg
import ed25519
import relayproc
from direct import Peer, Rendezvous
from lab import LabError
from nat import NatLab
from netns import inside, udp_socket
from scene import Node, Programs, question
from suite import run_tests

PATIENCE_S = 10  # for what comes in a millisecond
SILENCE_S = 0.5  # for what must not come
OPENED = 0x41  # what a payload begins with here


class Helper:
    """The relaying node."""

    def __init__(self, lab, programs, wait="serving", firewall="", **settings):
        self.lab = lab
        self.rendezvous = Rendezvous(lab, programs)
        self.host = lab.host("helper")
        if firewall:
            lab.nft(self.host.ns, firewall)
        every = {"nat.relay_enabled": "true", "nat.stun_servers": "[]", "nat.port_mapping": "false",
                 "nat.introduce": "off",  # who introduces lets anybody attach
                 **{"nat." + k: str(v) for k, v in settings.items()}}
        self.node = Node(lab, programs, self.host, "helper", self.rendezvous.url, settings=every)
        self.key = bytes.fromhex(self.node.id)
        self.node.wait_connected()
        self.node.wait(f"relaying: {wait}", lambda: self.status()["state"] == wait, 60)

    def status(self):
        return self.node.json("relay", "status")

    def address(self):
        host, port = self.status()["addresses"][0].rsplit(":", 1)
        return host, int(port)

    def told(self):
        """`relay` of its capabilities, as the relay lists them to somebody who asks; None: it has none."""
        relay = types.SimpleNamespace(address=(self.rendezvous.host.address, 8080), nodes=[])
        with inside(self.rendezvous.host.ns):
            stranger = relayproc.Node(relay)
        stranger.register()
        stranger.send_message("discover", {"requestingNodeID": stranger.id, "filter": {}})
        listed = stranger.expect("discoverResponse")["peers"]
        stranger.close()
        return next(p for p in listed if p["nodeID"] == self.node.id)["capabilities"].get("relay")

    def metric(self, name, labels=""):
        text = self.lab.run(self.host, ["curl", "-s", self.node.api.removesuffix("/v1") + "/metrics"]).stdout
        found = re.search(rf"(?m)^{re.escape(name + labels)} (\S+)$", text)
        if not found:
            raise LabError(f"no metric {name}{labels} in\n{text}")
        return float(found[1])


class Client:
    """A node at a socket of its own."""

    def __init__(self, helper, ns, address, seed):
        self.helper, self.at = helper, helper.address()
        self.key = ed25519.Key(bytes([seed]) * 32)
        self.socket = udp_socket(ns, address)

    def send(self, raw):
        self.socket.sendto(raw, self.at)

    def take(self, patience=PATIENCE_S):
        """The next datagram from the relaying node, or None."""
        end = time.monotonic() + patience
        while select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
            raw, source = self.socket.recvfrom(65536)
            if source == self.at:
                return raw
        return None

    def expect(self, kind, patience=PATIENCE_S):
        raw = self.take(patience)
        assert raw, f"no {kind}: {self.helper.status()}"
        name, members = controlmsg.read(raw)
        assert name == kind, (name, members)
        return members

    def expect_nothing(self):
        raw = self.take(SILENCE_S)
        assert raw is None, raw

    def attach(self, **other):
        members = dict(addr="%s:%d" % self.at, introducer=self.helper.key, node=self.key.public, nonce=os.urandom(16),
                       timestamp=int(time.time()))
        raw = controlmsg.datagram("Attach", self.key, **{**members, **other})
        self.send(raw)
        return raw, members["nonce"]

    def attached(self):
        raw, nonce = self.attach()
        reply = self.expect("Attached")
        assert reply["nonce"][:13] == nonce[:13]  # then the mark
        return reply["addr"]

    def request(self, target, signer=None, **other):
        members = dict(initiator=self.key.public, nonce=os.urandom(16), pad=bytes(600), relay=self.helper.key,
                       target=target.key.public, timestamp=int(time.time()))
        raw = controlmsg.datagram("RelayRequest", signer or self.key, **{**members, **other})
        self.send(raw)
        return raw, members["nonce"]


def verify(offer, helper):
    """Is it signed by the relaying node?"""
    members = {k: v for k, v in offer.items() if k != "sig"}
    return ed25519.verify(helper.key, b"teale/v1/relay-offer\0" + controlmsg.pack(members), offer["sig"])


def join(a, b):
    """(offer of a, offer of b) of a relay session where both have come."""
    _, nonce = a.request(b)
    first, second = a.expect("RelayOffer"), b.expect("RelayOffer")
    assert first["nonce"] == second["nonce"] == nonce
    b.send(second["token"])
    a.send(first["token"])
    return first, second


def a_node_tells_where_it_relays_and_nothing_where_it_does_not(lab, programs, build):
    helper = Helper(lab, programs, wait="off", relay_enabled="false")
    assert helper.told() is None
    assert helper.status()["addresses"] == [] and helper.node.json("status")["relaying"]["enabled"] is False
    assert "relaying" not in helper.node.command("status").stdout
    assert "nat.relay_enabled true" in helper.node.command("relay", "status").stderr
    helper.node.command("config", "set", "nat.relay_enabled", "true")  # at once
    helper.node.wait("serving", lambda: helper.status()["state"] == "serving")
    at = "%s:%d" % helper.address()
    helper.node.wait("telling", lambda: helper.told() == {"addresses": [at], "for": "any", "free": 32})
    a = Client(helper, helper.rendezvous.host.ns, helper.rendezvous.addresses[0], 1)
    assert a.attached().startswith(helper.rendezvous.addresses[0] + ":")
    helper.node.command("config", "set", "nat.relay_enabled", "false")
    helper.node.wait("telling no more", lambda: helper.told() is None)
    a.attach()
    a.expect_nothing()


def _people(lab, helper, kind="symmetric"):
    a = lab.home("a", kind, "random")
    b = lab.home("b", kind, "random")
    return Client(helper, a.ns, a.private, 1), Client(helper, b.ns, b.private, 2), a, b


def two_nodes_behind_symmetric_nats_reach_each_other_through_a_third(lab, programs, build):
    helper = Helper(lab, programs)
    a, b, home_a, home_b = _people(lab, helper)
    at = helper.address()
    assert at[0] == helper.host.address, at
    addr = b.attached()
    assert addr.rsplit(":", 1)[0] == home_b.address, addr
    offers = join(a, b)
    for offer, to, peer in ((offers[0], a, b), (offers[1], b, a)):
        assert verify(offer, helper)
        assert offer["addr"] == "%s:%d" % at
        assert offer["to"] == to.key.public and offer["peer"] == peer.key.public
        assert offer["relay"] == helper.key and offer["limit"] == 64 * 1024
        assert 595 <= offer["expiresAt"] - time.time() <= 601, offer
        assert 0x80 <= offer["token"][0] <= 0xBF
    assert offers[0]["session"] == offers[1]["session"] and offers[0]["token"] != offers[1]["token"]
    for size in (1, 100, 1200):
        payload = bytes([OPENED]) * size
        a.send(offers[0]["token"] + payload)
        assert b.take() == payload
        b.send(offers[1]["token"] + payload)
        assert a.take() == payload
    # what is refused beside it
    a.send(bytes([0x9A]) * 16 + b"guessed")
    a.send(offers[0]["token"][:15])
    b.send(offers[0]["token"] + b"stolen")
    b.expect_nothing()
    a.expect_nothing()
    s = helper.status()
    assert s["sessions"] == 1 and s["attached"] == 1 and s["packets"] == 6, s
    assert s["bytes"] == 2 * 1301 and s["list"][0]["bytes"] == 2 * 1301, s
    assert {n["node_id"] for n in s["list"][0]["nodes"]} == {a.key.public.hex(), b.key.public.hex()}
    assert s["dropped"] == {"token": 1, "source": 1, "short": 1, "size": 0, "rate": 0, "slow": 0, "control": 0}, s
    assert s["requests"] == {"taken": 1} and s["attaches"] == {"taken": 1}, s
    whole = helper.node.json("status")["relaying"]
    assert whole["state"] == "serving" and whole["sessions"] == 1 and whole["enabled"], whole
    assert "for any, 1 of 50 sessions" in helper.node.command("status").stdout
    told = helper.node.command("relay", "status").stdout
    assert "bootstrap" in told and a.key.public.hex()[:16] in told, told
    assert helper.metric("teale_relaying") == 1
    assert helper.metric("tesseras_relay_sessions_active") == 1
    assert helper.metric("tesseras_relay_bytes_forwarded") == 2602
    assert helper.metric("teale_relay_packets_total", '{from="udp",to="udp"}') == 6
    assert helper.metric("teale_relay_packets_dropped_total", '{reason="source"}') == 1
    assert helper.metric("teale_relaying_requests_total", '{result="taken"}') == 1
    assert helper.metric("teale_relay_udp_sides") == 2


def what_is_not_exactly_right_gets_no_answer(lab, programs, build):
    helper = Helper(lab, programs)
    a, b, *_ = _people(lab, helper)
    now = int(time.time())
    a.attach(timestamp=now - 60)
    a.attach(introducer=b.key.public)
    a.attach(node=helper.key)
    raw, _ = a.request(b)
    a.expect_nothing()  # b is not attached
    b.attached()
    a.send(raw[:799])
    a.send(raw[:-1])
    a.send(raw + b"\0")
    a.request(b, timestamp=now - 40)
    a.request(b, relay=a.key.public)
    a.request(b, signer=b.key)
    a.request(a)
    a.send(b"\x0c\x04" + bytes(1000))
    a.expect_nothing()
    b.expect_nothing()
    raw, _ = a.request(b)
    a.expect("RelayOffer")
    b.expect("RelayOffer")
    a.send(raw)  # again, and by a thief
    b.send(raw)
    a.expect_nothing()
    b.expect_nothing()
    s = helper.status()
    assert s["sessions"] == 1, s
    assert s["requests"] == {"absent": 1, "malformed": 4, "late": 1, "elsewhere": 1, "forged": 1, "loop": 1, "replayed": 2,
                             "taken": 1}, s
    assert s["attaches"] == {"late": 1, "elsewhere": 1, "loop": 1, "taken": 1}, s


def a_side_moves_with_its_nat(lab, programs, build):
    helper = Helper(lab, programs)
    a, b, home_a, _ = _people(lab, helper)
    b.attached()
    offers = join(a, b)
    moved = Client(helper, home_a.ns, home_a.private, 1)  # another socket: another mapping
    addr = moved.attached()
    moved.send(offers[0]["token"] + b"early")
    b.expect_nothing()
    thief = controlmsg.datagram("RelayMigrate", b.key, newAddr=addr, sequence=1, timestamp=int(time.time()),
                                token=offers[0]["token"])
    b.send(thief)
    moved.expect_nothing()
    moved.send(controlmsg.datagram("RelayMigrate", a.key, newAddr=addr, sequence=1, timestamp=int(time.time()),
                                   token=offers[0]["token"]))
    path = moved.expect("RelayPath")
    moved.send(controlmsg.datagram("RelayPathReply", nonce=path["nonce"], token=offers[0]["token"]))
    assert moved.expect("RelayMigrated")["sequence"] == 1
    b.send(offers[1]["token"] + bytes([OPENED]))
    assert moved.take() == bytes([OPENED])
    assert helper.metric("teale_relay_migrations_total", '{result="moved"}') == 1
    assert helper.metric("teale_relay_migrations_total", '{result="refused"}') == 1


def ten_sessions_of_one_node_have_together_what_it_may(lab, programs, build):
    helper = Helper(lab, programs, relay_max_sessions=10)
    a, b, home_a, home_b = _people(lab, helper)
    peers = [Client(helper, home_b.ns, home_b.private, 10 + i) for i in range(10)]
    offers = []
    for p in peers:
        p.attached()
        offers.append(join(a, p))
    b.attached()
    a.request(b)  # the eleventh
    a.expect_nothing()
    b.expect_nothing()
    assert helper.status()["requests"]["full"] == 1
    a.request(peers[0])  # who has one may ask again
    a.expect("RelayOffer")
    peers[0].expect("RelayOffer")
    payload = bytes([OPENED]) * 1000

    def flood(seconds):
        """At 2 MB/s: (bytes sent, bytes passed, seconds)."""
        before, sent, started = helper.status()["bytes"], 0, time.monotonic()
        while (took := time.monotonic() - started) < seconds:
            while sent < took * 2_000_000:
                a.send(offers[sent // 1000 % 10][0]["token"] + payload)
                sent += 1000
            time.sleep(0.005)
        passed = helper.status()["bytes"] - before
        return sent, passed, time.monotonic() - started
    flood(2)  # the burst is spent
    sent, passed, took = flood(8)
    rate = passed / took
    lab.say(f"10 sessions at {sent / took / 1e6:.2f} MB/s together: {rate / 1024:.1f} KB/s passed, 64 are allowed")
    assert rate <= 64 * 1024 * 1.05, rate
    assert rate >= 64 * 1024 * 0.9, rate


def who_served_the_relaying_node_gets_the_better_tier_and_who_says_so_of_itself_does_not(lab, programs, build):
    helper = Helper(lab, programs)
    ben = Peer(lab, programs, lab.host("ben"), "ben", helper.rendezvous.url)
    ben.node.start()
    helper.node.wait_model(ben.model)
    why = lambda: helper.node.json("why", ben.node.id)["reciprocity"]
    assert why()["worth"] == 0
    helper.node.curl("/chat/completions", question(ben.model, "w " * 6000, stream=False))  # and as many words back
    helper.node.wait("counting what Ben did", lambda: why()["own"]["tokens_served"] >= 11900)  # of 12000, which fade
    assert why()["reciprocal"], why()
    ben.node.process.popen.terminate()
    assert ben.node.process.wait(20) == 0
    carl, dora, home, _ = _people(lab, helper)  # Carl did nothing for anybody
    friend = Client(helper, home.ns, home.private, 9)
    friend.key = ed25519.Key(pathlib.Path(ben.node.home, "wan-identity.key").read_bytes())
    assert friend.key.public.hex() == ben.node.id
    dora.attached()
    to_friend, to_dora = join(friend, dora)
    assert to_friend["limit"] == 256 * 1024 and to_dora["limit"] == 64 * 1024, (to_friend, to_dora)
    assert to_friend["expiresAt"] == to_dora["expiresAt"] == 0, to_friend
    to_carl, to_dora = join(carl, dora)
    assert to_carl["limit"] == to_dora["limit"] == 64 * 1024, (to_carl, to_dora)
    assert to_carl["expiresAt"] > time.time()
    nodes = {n["node_id"]: n for session in helper.status()["list"] for n in session["nodes"]}
    assert nodes[ben.node.id]["reciprocal"] and nodes[ben.node.id]["reciprocity"]["because"].startswith("reciprocal: 1.")
    for other in (carl, dora):
        entry = nodes[other.key.public.hex()]
        assert not entry["reciprocal"] and entry["reciprocity"]["worth"] == 0, entry


def two_nodes_have_their_time_are_warned_and_pause(lab, programs, build):
    helper = Helper(lab, programs, relay_session_max_secs=6, relay_session_warn_secs=4, relay_pause_secs=5)
    a, b, *_ = _people(lab, helper)
    b.attached()
    offers = join(a, b)
    for side in (a, b):
        for _ in range(3):
            warning = side.expect("RelayWarning")
            assert warning["session"] == offers[0]["session"] and warning["endsAt"] == offers[0]["expiresAt"]
            assert verify(warning, helper)
    helper.node.wait("rid of the session", lambda: helper.status()["sessions"] == 0)
    a.send(offers[0]["token"] + b"late")
    b.expect_nothing()
    a.request(b)
    a.expect_nothing()
    assert helper.status()["requests"]["paused"] == 1

    def begins_again():
        a.request(b)
        return a.take(SILENCE_S) is not None
    helper.node.wait("done with the pause", begins_again)


def strangers_get_nothing_where_networks_alone_are_served(lab, programs, build):
    helper = Helper(lab, programs, relay_for="networks")
    a, b, *_ = _people(lab, helper)
    a.attach()
    a.request(b)
    a.expect_nothing()
    s = helper.status()
    assert s["attaches"] == {"policy": 1} and s["requests"] == {"policy": 1}, s
    assert s["for"] == "networks", s
    assert s["state"] == "serving" and "this node is in none" in s["reason"], s
    helper.node.command("config", "set", "nat.relay_for", "any")  # at once
    helper.node.wait("serving again", lambda: helper.status()["state"] == "serving")
    assert helper.status()["reason"] is None, helper.status()
    a.attached()


def a_node_behind_a_firewall_says_why_it_does_not_relay(lab, programs, build):
    helper = Helper(lab, programs, wait="closed", firewall="""
        table ip wall {
            chain input {
                type filter hook input priority filter;
                iifname "wan" meta l4proto udp ct state != { established, related } drop;
            }
        }""")
    s = helper.status()
    assert "firewall" in s["reason"] and "through the firewall" in s["remedy"], s
    assert s["addresses"] == [], s
    assert "nat.relay_enabled, but strangers do not reach" in helper.node.command("status").stdout
    assert helper.metric("teale_relaying") == 0
    lab.run(helper.host, ["nft", "delete", "table", "ip", "wall"])
    helper.node.command("netcheck", "--json")  # asks anew
    helper.node.wait("serving", lambda: helper.status()["state"] == "serving", 60)


def both_sides_are_warned_when_the_relaying_node_shuts_down(lab, programs, build):
    helper = Helper(lab, programs)
    a, b, *_ = _people(lab, helper)
    b.attached()
    offers = join(a, b)
    helper.node.process.popen.terminate()
    for side in (a, b):
        warning = side.expect("RelayWarning")
        assert warning["session"] == offers[0]["session"], warning
        assert abs(warning["endsAt"] - time.time()) <= 5, warning
    a.send(offers[0]["token"] + bytes([OPENED]))  # it still carries what it can
    while (raw := b.take()) and raw[0] == 0x0C:
        pass
    assert raw == bytes([OPENED]), raw
    assert helper.node.process.wait(20) == 0


if __name__ == "__main__":
    programs = Programs(sys.argv[1])
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, programs, sys.argv[1]))
