#!/usr/bin/env python3
"""test_dht.py TEALE TEALE-RELAY PARROT: a DHT of a few nodes on loopback, without a relay: what they publish, who finds
it, what a restart keeps, and how a peer is reached of which nothing but the ID is known."""
import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import time
import unittest

from ports import free_ports
from scenery import Scenery, wait_for

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
STRANGER = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
SWARM = 5


def bencode(v):
    if isinstance(v, int):
        return b"i%de" % v
    if isinstance(v, str):
        v = v.encode()
    if isinstance(v, bytes):
        return b"%d:%s" % (len(v), v)
    if isinstance(v, list):
        return b"l" + b"".join(map(bencode, v)) + b"e"
    return b"d" + b"".join(bencode(k) + bencode(v[k]) for k in sorted(v)) + b"e"


def string_after(key, datagram):
    """The string that follows this key in a bencoded dictionary."""
    at = datagram.index(bencode(key)) + len(bencode(key))
    length, rest = datagram[at:].split(b":", 1)
    return rest[:int(length)]


class Stranger:
    """A node of the DHT that is no program of ours."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.id = os.urandom(20)

    def ask(self, port, method, **args):
        query = {"t": "aa", "y": "q", "q": method, "a": {"id": self.id, **args}}
        self.socket.sendto(bencode(query), ("127.0.0.1", port))
        deadline = time.monotonic() + (self.socket.gettimeout() or 0)
        while True:  # it asks this one, too
            datagram = self.socket.recv(2000)
            if b"1:t2:aa" in datagram and b"1:y1:q" not in datagram:
                return datagram
            if time.monotonic() > deadline:
                raise TimeoutError

    def close(self):
        self.socket.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)
        self.ports = free_ports(SWARM + 4)

    def home(self, port, **settings):
        home = self.scenery.new_home()
        doors = [f"127.0.0.1:{p}" for p in self.ports[:2] if p != port]
        every = {"wan_enabled": "true", "wan_relay_url": "[]", "nat.stun_servers": "[]", "nat.port_mapping": "false",
                 "udp_port": str(port), "dht.serve": "on", "dht.bootstrap": json.dumps(doors), **settings}
        self.scenery.config(home, **every)
        return home

    def node(self, i, home=None, **settings):
        """A node that may be without a relay."""
        n = self.scenery.node(None, home=home or self.home(self.ports[i], **settings), connected=False, relayed=False)
        n.dht = lambda: n.status()["dht"]
        return n

    def swarm(self):
        nodes = [self.node(i) for i in range(SWARM)]
        for n in nodes:
            wait_for(lambda: n.dht()["state"] == "ready", 60)
        return nodes

    def published(self, nodes):
        for n in nodes:
            wait_for(lambda: (n.dht()["published"] or {"holders": 0})["holders"] >= SWARM - 2, 60)

    def fails(self, node, code, *args):
        done = subprocess.run([TEALE, "--home", node.home, *args], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, code, f"{args}: {done.stdout}{done.stderr}")
        return done.stderr

    def metric(self, node, name):
        c, r = node.request("GET", "/metrics")
        text = r.read().decode()
        c.close()
        return float(re.search(rf"(?m)^{re.escape(name)} (\S+)$", text)[1])


class Dht(Case):
    def test_what_a_node_publishes_is_read_by_all_others(self):
        nodes = self.swarm()
        self.published(nodes)
        for reader, writer in ((nodes[0], nodes[-1]), (nodes[-1], nodes[1])):
            got = reader.json("dht", "get", writer.id)
            self.assertEqual(set(got), {"node_id", "target", "seq", "record"})
            self.assertEqual(got["node_id"], writer.id)
            self.assertEqual(got["target"], hashlib.sha1(bytes.fromhex(writer.id) + b"teale").hexdigest())
            self.assertEqual(got["seq"], writer.dht()["published"]["seq"])
            self.assertLess(abs(got["seq"] - time.time()), 120)
            self.assertEqual(got["record"], {"nat": "Unknown", "addresses": [], "introducers": [], "relays": []})
        dht = nodes[0].dht()
        self.assertEqual((dht["state"], dht["read_only"], dht["publishes"]), ("ready", False, True))
        self.assertEqual(len(dht["id"]), 40)
        self.assertGreaterEqual(dht["nodes"], SWARM - 2)
        self.assertGreaterEqual(dht["stored"], SWARM - 2)
        said = nodes[0].command("status").stdout
        self.assertRegex(said, r"dht: ready, \d nodes, serves it, \d items kept, this node's record is at \d of them\n")
        self.assertIn("node: " + nodes[1].id, nodes[0].command("dht", "get", nodes[1].id).stdout)
        self.assertIn("node: " + nodes[0].id, nodes[0].command("dht", "get", nodes[0].id[:12]).stdout)
        found = {c["id"]: c for c in nodes[0].json("doctor")["checks"]}
        self.assertEqual((found["relay"]["state"], found["dht"]["state"]), ("ok", "ok"))
        self.assertEqual(self.metric(nodes[0], "teale_dht_ready"), 1)
        self.assertEqual(self.metric(nodes[0], "teale_dht_published"), 1)
        self.assertGreaterEqual(self.metric(nodes[0], 'teale_dht_nodes{family="ipv4"}'), SWARM - 2)
        for direction in ("in", "out"):
            self.assertGreater(self.metric(nodes[0], f'teale_dht_bytes_total{{direction="{direction}"}}'), 500)
        self.assertEqual(self.metric(nodes[0], 'tesseras_nat_type{type="Unknown"}'), 1)

    def test_of_an_id_that_nobody_published_nothing_is_reached(self):
        nodes = self.swarm()
        said = self.fails(nodes[0], 4, "dht", "get", STRANGER)
        self.assertIn("E_AWAY: the DHT has no record of " + STRANGER[:16], said)
        self.assertIn("dht.publish", said)
        self.assertIn("the DHT has no record of it", self.fails(nodes[0], 4, "ping", STRANGER))
        self.published(nodes[1:2])
        said = self.fails(nodes[0], 4, "ping", nodes[1].id)  # it has no address that others may be told
        self.assertIn("names no way to reach it", said)
        self.fails(nodes[0], 1, "dht", "get", STRANGER[:-1] + "x")

    def test_a_peer_is_reached_through_the_relay_that_its_record_names(self):
        """Of the one nothing but the ID is known, and the other has no relay."""
        nodes = self.swarm()
        relay = self.scenery.relay()
        writer = self.node(SWARM, **{"wan_relay_url": json.dumps([relay.url]), "dht.publish": "on"})
        wait_for(lambda: writer.status()["wan"]["state"] == "connected")
        self.published([writer])
        self.assertEqual(nodes[0].json("dht", "get", writer.id)["record"]["relays"], [relay.url])
        pinged = nodes[0].json("ping", "--count", "2", writer.id)
        self.assertEqual((pinged["sent"], pinged["answered"]), (2, 2))
        self.assertEqual({r["path"] for r in pinged["results"]}, {"relayed"})
        self.assertEqual(nodes[0].status()["wan"]["state"], "none")  # it visits that relay; it has none of its own
        peer = next(p for p in nodes[0].json("peers")["peers"] if p["node_id"] == writer.id)
        self.assertEqual(peer["relay"], relay.url)
        silent = self.node(SWARM + 1, **{"wan_relay_url": json.dumps([relay.url])})
        wait_for(lambda: silent.status()["wan"]["state"] == "connected")
        self.assertFalse(silent.dht()["publishes"])  # a node that has a relay tells the DHT nothing
        self.assertIn("no record of it", self.fails(nodes[1], 4, "ping", silent.id))

    def test_a_change_is_published_at_once(self):
        nodes = self.swarm()
        self.published(nodes[:1])
        before = nodes[0].dht()["published"]["seq"]
        nodes[0].command("config", "set", "dht.publish", "on")
        relay = self.scenery.relay()
        nodes[0].command("config", "set", "wan_relay_url", relay.url)
        wait_for(lambda: nodes[1].json("dht", "get", nodes[0].id)["record"]["relays"] == [relay.url], 30)
        self.assertGreater(nodes[1].json("dht", "get", nodes[0].id)["seq"], before)
        nodes[0].command("config", "set", "dht.publish", "off")
        self.assertEqual((nodes[0].dht()["publishes"], nodes[0].dht()["published"]), (False, None))

    def test_a_restart_keeps_the_table_and_never_signs_an_older_record(self):
        nodes = self.swarm()
        self.published(nodes[-1:])
        last, home = nodes[-1], nodes[-1].home
        seq = last.dht()["published"]["seq"]
        self.assertEqual(last.end(), 0)
        self.assertEqual(os.stat(os.path.join(home, "dht")).st_mode & 0o777, 0o600)
        self.scenery.config(home, **{"dht.bootstrap": '["127.0.0.1:1"]'})  # nobody is there
        again = self.node(SWARM - 1, home=home)
        wait_for(lambda: again.dht()["nodes"] >= SWARM - 2, 30)
        self.published([again])
        self.assertGreaterEqual(again.dht()["published"]["seq"], seq)
        self.assertEqual(nodes[0].json("dht", "get", again.id)["seq"], again.dht()["published"]["seq"])

        self.assertEqual(again.end(), 0)
        with open(os.path.join(home, "dht"), "r+b") as f:
            f.seek(20)
            f.write(b"\xff" * 40)
        third = self.node(SWARM - 1, home=home)  # it lost its way, and says so
        third.wait_line(r"DHT: .*/dht is not understood")
        self.assertEqual(third.dht()["nodes"], 0)

    def test_a_number_in_the_file_that_cannot_be_ends_no_publishing(self):
        nodes = self.swarm()
        self.published(nodes[-1:])
        last, home = nodes[-1], nodes[-1].home
        self.assertEqual(last.end(), 0)
        with open(os.path.join(home, "dht"), "r+b") as f:
            whole = f.read()
            rest = (2**63 - 1).to_bytes(8, "big") + whole[20:]
            f.seek(8)
            f.write(hashlib.blake2s(rest).digest()[:4] + rest)  # the sum is right, so a fault of a program
        again = self.node(SWARM - 1, home=home)
        again.wait_line(r"DHT: the number of the last record in the file dht cannot be")
        wait_for(lambda: again.dht()["nodes"] >= SWARM - 2, 30)  # the table is taken
        self.published([again])
        self.assertLess(abs(again.dht()["published"]["seq"] - time.time()), 3600)

    def test_what_is_no_message_of_the_dht_is_dropped_and_harms_nobody(self):
        nodes = self.swarm()
        stranger = Stranger()
        self.addCleanup(stranger.close)
        pong = stranger.ask(self.ports[0], "ping")
        self.assertEqual(string_after("nat", pong), b"Unknown")
        for n in (4, 40, 400, 1400):
            stranger.socket.sendto(b"d1:" + b"a" * n + b"e", ("127.0.0.1", self.ports[0]))
        stranger.socket.sendto(b"d1:ad2:id20:" + b"e" * 40, ("127.0.0.1", self.ports[0]))
        wait_for(lambda: self.metric(nodes[0], 'teale_dht_dropped_total{reason="form"}') >= 5)
        self.assertTrue(stranger.ask(self.ports[0], "ping"))

    def test_what_is_signed_and_no_record_is_told_apart_from_none(self):
        nodes = self.swarm()
        stranger = Stranger()
        self.addCleanup(stranger.close)
        key = os.path.join(self.scenery.directory, "key.pem")
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
        public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True,
                                capture_output=True).stdout[-32:]
        value = bencode("something else")
        signed = os.path.join(self.scenery.directory, "signed")
        with open(signed, "wb") as f:
            f.write(b"4:salt5:teale3:seqi7e1:v" + value)
        sig = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", signed], check=True,
                             capture_output=True).stdout
        target = hashlib.sha1(public + b"teale").digest()
        for port in self.ports[:SWARM]:
            token = string_after("token", stranger.ask(port, "get", target=target))
            answer = stranger.ask(port, "put", token=token, k=public, salt=b"teale", seq=7, sig=sig, v=b"something else")
            self.assertNotIn(b"1:y1:e", answer)
        said = self.fails(nodes[0], 1, "dht", "get", public.hex())
        self.assertIn("E_RECORD", said)

    def test_the_settings_decide(self):
        node = self.node(0, **{"dht.enabled": "false"})
        self.assertEqual(node.dht(), {"state": "off", "id": None, "nodes": 0, "read_only": True, "stored": 0,
                                      "publishes": False, "published": None})
        self.assertIn("E_SETTING: dht.enabled is false", self.fails(node, 1, "dht", "get", STRANGER))
        stranger = Stranger()
        self.addCleanup(stranger.close)
        stranger.socket.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            stranger.ask(self.ports[0], "ping")
        node.command("config", "set", "dht.enabled", "true")
        stranger.socket.settimeout(5)
        self.assertTrue(stranger.ask(self.ports[0], "ping"))
        self.assertTrue(stranger.ask(self.ports[0], "find_node", target=os.urandom(20)))
        node.command("config", "set", "dht.serve", "off")
        self.assertTrue(node.dht()["read_only"])
        stranger.socket.settimeout(0.5)
        with self.assertRaises(TimeoutError):
            stranger.ask(self.ports[0], "find_node", target=os.urandom(20))
        self.assertTrue(stranger.ask(self.ports[0], "ping"))  # with our NAT's type: BEP 43 would have it silent
        for key, value, says in (("dht.publish", "yes", '"auto", "on" or "off"'), ("dht.republish_secs", "5", "from 60"),
                                 ("dht.bootstrap", '["a b"]', "HOST"), ("nat.introducers", '["a@b"]', "NODE_ID@")):
            self.assertIn(says, self.fails(node, 2, "config", "set", key, value))

    def test_up_says_what_is_published(self):
        home = self.home(self.ports[0], api_listen="127.0.0.1:0")
        self.addCleanup(subprocess.run, [TEALE, "--home", home, "down"], capture_output=True, timeout=60)
        done = subprocess.run([TEALE, "--home", home, "up"], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = done.stdout + done.stderr
        self.assertIn("none is set; peers are found through the DHT", said)
        self.assertIn("ublished in the public DHT", said)
        self.assertIn("dht.publish off", said)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
