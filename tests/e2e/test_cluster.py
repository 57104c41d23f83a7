#!/usr/bin/env python3
"""test_cluster.py TEALE-RELAY: relays that act as one through a real Redis, and everything that can go wrong with it. No
sentence here needs a node program: the nodes are sockets with keys."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

import relayproc
from redisproc import BINARY, Impostor, Redis, SentinelProcess
from relayproc import Node, Relay, new_key, session
from wsraw import BINARY as BINARY_FRAME, Ended

NAME = "relay.test"
TTL = 4


class ClusterRelay(Relay):
    def __init__(self, redis, *args, ttl=TTL, **kw):
        url = redis if isinstance(redis, str) else redis.url()
        super().__init__("--redis", url, "--cluster-ttl-secs", str(ttl), "--name", NAME, *args, **kw)

    def node(self, key=None, **changes):
        n = Node(self, key=key, authority=NAME, timeout=10)
        n.register(**changes)
        return n

    def health(self):
        status, _, body = self.get("/health")
        return status, json.loads(body)

    def metric(self, name):
        return float(re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics")[2], re.M)[1])

    def wait_redis(self, state="ok", timeout=20):
        wait(lambda: self.health()[1]["redis"] == state, timeout, f"redis {state}")

    def wait_nodes(self, n, timeout=20):
        """That many nodes of other relays are known here."""
        wait(lambda: self.metric("teale_relay_cluster_nodes") == n, timeout, f"{n} nodes of others")


def wait(condition, timeout, what):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, f"not within {timeout} s: {what}"
        time.sleep(0.02)


def exchange(a, b, name):
    a.to(b, "relayData", name, data="aGVsbG8=")
    assert b.expect("relayData")["data"] == "aGVsbG8="


def until(node, wanted):
    """The next message of that kind; what comes before it does not matter."""
    while True:
        kind, payload = node.message()
        if kind == wanted:
            return payload


def closed_with(node):
    try:
        while True:
            node.message()
    except Ended as e:
        return e.code


class Cluster(unittest.TestCase):
    def relays(self, n, redis, *args, **kw):
        made = []
        for _ in range(n):
            made.append(ClusterRelay(redis, *args, **kw))
            self.addCleanup(self.end, made[-1])
        for r in made:
            r.wait_redis()
        return made

    def end(self, relay):
        for n in relay.nodes:
            n.close()
        if relay.process.poll() is None:
            relay.signal(signal.SIGCONT)
            relay.process.kill()
        relay.process.wait()
        relay._reader.join()
        relay.process.stdout.close()
        relay.process.stderr.close()

    def redis(self, *args, **kw):
        r = Redis(*args, **kw)
        self.addCleanup(r.close)
        return r


class Together(Cluster):
    def test_nodes_of_four_relays_find_and_reach_each_other(self):
        relays = self.relays(4, self.redis())
        nodes = [r.node(features=[]) for r in relays]
        for r in relays:
            r.wait_nodes(3)
            self.assertEqual(r.health(), (200, {"ok": True, "peers": 1, "redis": "ok"}))
        for i, a in enumerate(nodes):
            a.send_message("discover", {"requestingNodeID": a.id, "filter": {}})
            found = {p["nodeID"] for p in until(a, "discoverResponse")["peers"]}
            self.assertEqual(found, {n.id for n in nodes if n is not a})
        for i, a in enumerate(nodes):
            b, name = nodes[(i + 1) % 4], f"s{i}"
            a.to(b, "relayOpen", name)
            self.assertEqual(until(b, "relayOpen")["fromNodeID"], a.id)
            b.to(a, "relayReady", name)
            until(a, "relayReady")
            for here, there in ((a, b), (b, a)):  # these nodes are told of others that join, at any time
                here.to(there, "relayData", name, data="aGVsbG8=")
                self.assertEqual(until(there, "relayData")["data"], "aGVsbG8=")
        self.assertGreaterEqual(relays[0].metric('teale_relay_cluster_forwarded_total{direction="out"}'), 4)
        self.assertGreaterEqual(relays[0].metric('teale_relay_cluster_forwarded_total{direction="in"}'), 4)
        self.assertEqual(relays[0].metric("teale_relay_redis_up"), 1)

    def test_joins_and_leaves_are_told_across_relays(self):
        a, b = self.relays(2, self.redis())
        watcher = a.node(features=[])
        other = b.node()
        self.assertEqual(watcher.expect("peerJoined")["nodeID"], other.id)
        other.close()
        self.assertEqual(watcher.expect("peerLeft")["nodeID"], other.id)

    def test_a_node_that_registers_elsewhere_is_replaced_and_closed_with_1012(self):
        a, b = self.relays(2, self.redis())
        key = new_key()
        old, friend = a.node(key), a.node()
        b.wait_nodes(2)
        new = b.node(key)
        old.expect_error("replaced")
        self.assertEqual(closed_with(old), 1012)
        session(friend, new, "s")
        exchange(friend, new, "s")

    def test_every_key_begins_with_teale_and_has_a_lifetime(self):
        redis = self.redis()
        a, b = self.relays(2, redis)
        a.node(), b.node()
        a.wait_nodes(1)
        time.sleep(TTL / 2)
        keys = redis.command("KEYS", "*")
        self.assertGreaterEqual(len(keys), 5)
        for key in keys:
            self.assertTrue(key.startswith(b"teale:"), key)
            self.assertTrue(0 < redis.command("TTL", key) <= 4 * TTL, key)

    def test_a_large_message_passes_whole(self):
        a, b = self.relays(2, self.redis())
        x, y = a.node(), b.node()
        a.wait_nodes(1)
        session(x, y, "s")
        data = "QUJD" * 900000
        x.to(y, "relayData", "s", data=data)
        self.assertEqual(y.expect("relayData")["data"], data)

    def test_tls_with_a_ca_file_and_a_password_file(self):
        with tempfile.TemporaryDirectory() as d:
            cert, key, password = f"{d}/cert.pem", f"{d}/key.pem", f"{d}/password"
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                            key, "-out", cert, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
                           check=True, capture_output=True)
            with open(password, "w") as f:
                os.chmod(password, 0o600)
                f.write("correct horse\n")
            redis = self.redis(password="correct horse", tls=(cert, key))
            secure = ["--redis-ca-file", cert, "--redis-password-file", password]
            a, b = self.relays(2, redis, *secure)
            x, y = a.node(), b.node()
            a.wait_nodes(1)
            session(x, y, "s")
            # without the CA the certificate is not trusted, and that is said
            stranger = ClusterRelay(redis, "--redis-password-file", password)
            self.addCleanup(self.end, stranger)
            stranger.wait_log("event=redis_away ")
            self.assertEqual(stranger.health()[1]["redis"], "down")


class Failing(Cluster):
    def test_a_relay_that_is_killed_is_peer_not_found_at_once_and_its_sessions_end(self):
        a, b = self.relays(2, self.redis())
        x, y, z = a.node(features=[]), b.node(), b.node()
        a.wait_nodes(2)
        x.to(y, "relayOpen", "s")
        y.expect("relayOpen")
        y.to(x, "relayReady", "s")
        until(x, "relayReady")
        b.process.kill()
        b.process.wait()
        began = time.monotonic()
        x.to(z, "relayOpen", "t")
        self.assertEqual(until(x, "error")["code"], "peer_not_found")
        self.assertLess(time.monotonic() - began, 1)
        self.assertEqual(until(x, "relayClose")["sessionID"], "s")
        a.wait_nodes(0)

    def test_a_killed_relay_that_nobody_asks_is_forgotten_within_two_lifetimes(self):
        a, b = self.relays(2, self.redis())
        x, y = a.node(), b.node()
        a.wait_nodes(1)
        session(x, y, "s")
        b.process.kill()
        b.process.wait()
        self.assertEqual(until(x, "relayClose")["sessionID"], "s")
        a.wait_nodes(0, timeout=2 * TTL + 1)

    def test_a_stopped_relay_that_goes_on_does_not_speak_for_a_node_that_moved(self):
        a, b, c = self.relays(3, self.redis())
        key = new_key()
        watcher, old, staying = a.node(), b.node(key), b.node()
        a.wait_nodes(2)
        b.signal(signal.SIGSTOP)
        time.sleep(TTL * 2.5)
        new = c.node(key)
        old.to(watcher, "relayOpen", "late")  # waits in the socket of the stopped relay
        a.wait_nodes(1)
        b.signal(signal.SIGCONT)
        self.assertEqual(closed_with(old), 1012)
        session(watcher, new, "s")  # nothing else has come to the watcher
        a.wait_nodes(2)
        session(watcher, staying, "t")

    def test_without_redis_local_nodes_go_on_others_are_busy_and_it_heals_within_five_seconds(self):
        redis = self.redis()
        a, b = self.relays(2, redis)
        x, x2, y = a.node(), a.node(), b.node()
        a.wait_nodes(1)
        session(x, x2, "local")
        redis.kill()
        a.wait_redis("down")
        self.assertEqual(a.metric("teale_relay_redis_up"), 0)
        self.assertEqual(a.health(), (200, {"ok": True, "peers": 2, "redis": "down"}))
        exchange(x, x2, "local")
        x.to(y, "relayOpen", "s")
        x.expect_error("busy")
        late = b.node()
        a.wait_log("event=redis_away server=127.0.0.1")
        redis.start()
        began = time.monotonic()
        a.wait_redis()
        a.wait_nodes(2)
        # a machine with more to do than it can needs so much longer for everything
        self.assertLess(time.monotonic() - began, 5 * max(1, os.getloadavg()[0] / os.cpu_count()))
        session(x, late, "t")
        exchange(x, late, "t")

    def test_a_redis_that_is_stopped_counts_as_away(self):
        redis = self.redis()
        a, = self.relays(1, redis)
        redis.stop()
        a.wait_redis("down", timeout=2 * TTL)
        redis.go_on()
        a.wait_redis()

    def test_a_relay_starts_without_redis(self):
        redis = self.redis()
        redis.kill()
        a = ClusterRelay(redis)
        self.addCleanup(self.end, a)
        self.assertEqual(a.health()[1]["redis"], "down")
        x, x2 = a.node(), a.node()
        session(x, x2, "s")
        redis.start()
        a.wait_redis()

    def test_a_wrong_password_is_told_and_the_right_one_is_taken(self):
        redis = self.redis(password="right")
        for url, words in ((redis.url("wrong"), "the password is wrong"), (redis.url(), "it wants a password")):
            a = ClusterRelay(url)
            self.addCleanup(self.end, a)
            a.wait_log(words)
            self.assertEqual(a.health()[1]["redis"], "down")
            self.assertFalse(any("wrong@" in line for line in a.log))
        a, = self.relays(1, redis.url("right"))

    def test_servers_that_are_no_redis_are_told_and_hurt_nobody(self):
        for answer, words in ((b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak as a Redis"),
                              (b"*1000000000\r\n" * 3, "event=redis_away "), (b"$2000000000\r\n" + b"x" * 4000000, "more than any answer"),
                              (b"\x00\xff" * 1000, "event=redis_away "), (b"+OK\r\n" * 100000, "event=redis_away ")):
            with self.subTest(answer=answer[:20]), Impostor(answer) as server:
                a = ClusterRelay(f"redis://127.0.0.1:{server.port}")
                self.addCleanup(self.end, a)
                a.wait_log(words)
                x, y = a.node(), a.node()
                session(x, y, "s")
                self.assertEqual(a.health()[1]["redis"], "down")
                with open(f"/proc/{a.process.pid}/status") as f:
                    self.assertLess(int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]), 64 << 10)
                a.signal(signal.SIGKILL)

    def test_a_server_that_says_nothing_is_told(self):
        with Impostor(None) as server:
            a = ClusterRelay(f"redis://127.0.0.1:{server.port}")
            self.addCleanup(self.end, a)
            a.wait_log("does not answer", timeout=8)

    def test_a_replica_is_told_and_its_primary_is_taken(self):
        primary = self.redis()
        replica = self.redis("--replicaof", f"127.0.0.1 {primary.port}")
        a = ClusterRelay(replica)
        self.addCleanup(self.end, a)
        a.wait_log("it is a replica")
        b, = self.relays(1, primary)
        # one that becomes a replica while it is used
        primary.command("REPLICAOF", "127.0.0.1", str(replica.port))
        b.wait_redis("down", timeout=2 * TTL)
        b.wait_log("replica")

    def test_garbage_in_the_channel_of_all_is_dropped(self):
        redis = self.redis()
        a, b = self.relays(2, redis)
        x, y = a.node(), b.node()
        a.wait_nodes(1)
        for garbage in (b"", b"\x01", b"\x01\x06" + b"\xff" * 200, os.urandom(5000)):
            redis.command("PUBLISH", "teale:all", garbage)
        wait(lambda: a.metric("teale_relay_cluster_malformed_total") >= 3, 5, "malformed")
        session(x, y, "s")


class Leaving(Cluster):
    def test_goodbye_is_said_sessions_go_on_and_the_relay_ends_when_its_nodes_have_moved(self):
        redis = self.redis()
        a, b = self.relays(2, redis)
        key = new_key()
        x, y = a.node(key, features=["quiet", "goodbye"]), a.node(features=["quiet", "goodbye"])
        session(x, y, "s")
        a.signal(signal.SIGTERM)
        for n in (x, y):
            self.assertEqual(n.expect("goodbye"), {"reason": "restart", "inSeconds": 30})
        exchange(x, y, "s")
        self.assertEqual(a.get("/health")[0], 503)
        self.assertIs(json.loads(a.get("/health")[2])["ok"], False)
        with self.assertRaises(AssertionError) as refused:
            Node(a, authority=NAME)
        self.assertIn("503", str(refused.exception))
        self.assertIsNone(a.process.poll())
        moved = b.node(key)
        x.expect_error("replaced")
        y.close()
        a.process.wait(timeout=5)
        self.assertEqual(a.process.returncode, 0)
        self.assertEqual(len(redis.command("KEYS", "teale:node:*")), 1)
        self.assertIsNotNone(moved)

    def test_after_drain_secs_the_rest_is_closed_with_1001(self):
        redis = self.redis()
        a, = self.relays(1, redis, "--drain-secs", "2")
        x = a.node(features=["quiet", "goodbye"])
        a.signal(signal.SIGTERM)
        began = time.monotonic()
        self.assertEqual(x.expect("goodbye")["inSeconds"], 2)
        self.assertEqual(closed_with(x), 1001)
        self.assertTrue(1.5 < time.monotonic() - began < 4)
        x.close()
        a.process.wait(timeout=5)
        self.assertEqual(redis.command("KEYS", "teale:node:*"), [])

    def test_a_second_sigterm_ends_it_at_once(self):
        a, = self.relays(1, self.redis())
        x = a.node(features=["goodbye"])
        a.signal(signal.SIGTERM)
        x.expect("goodbye")
        a.signal(signal.SIGTERM)
        a.process.wait(timeout=2)
        self.assertEqual(a.process.returncode, 0)


class Side:
    """A node of a session, with its token, the UDP address of its own relay, and a socket."""

    def __init__(self, node, offer):
        self.node, self.token = node, bytes.fromhex(offer["token"])
        host, _, port = offer["udp"].rpartition(":")
        self.at = (host, int(port))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.udp.settimeout(5)

    def send(self, payload=b""):
        self.udp.sendto(self.token + payload, self.at)


class Datagrams(Cluster):
    def sides(self, a, b, name):
        session(a, b, name)
        made = [Side(n, n.expect("relayOffer")) for n in (a, b)]
        for s in made:
            self.addCleanup(s.udp.close)
        return made

    def pass_all_ways(self, a, b):
        a.node.send(a.token + b"1", BINARY_FRAME)
        self.assertEqual(b.node.frame(), (BINARY_FRAME, b"1"))
        a.send(b"2")
        self.assertEqual(b.node.frame(), (BINARY_FRAME, b"2"))
        b.node.send(b.token + b"3", BINARY_FRAME)
        self.assertEqual(a.udp.recv(100), b"3")
        b.send(b"4")
        self.assertEqual(a.udp.recv(100), b"4")
        for i in range(200):
            a.send(b"%d" % i)
            self.assertEqual(b.udp.recv(100), b"%d" % i)

    def test_relayed_datagrams_cross_relays_each_side_by_the_udp_of_its_own(self):
        a, b = self.relays(2, self.redis(), "--udp", "127.0.0.1:0")
        x, y = (r.node(features=["quiet", "relay-token"]) for r in (a, b))
        a.wait_nodes(1)
        b.wait_nodes(1)
        s, t = self.sides(x, y, "s")
        self.assertNotEqual(s.at, t.at)
        self.pass_all_ways(s, t)
        x.to(y, "relayClose", "s")
        y.expect("relayClose")
        s.send(b"late")
        t.udp.settimeout(0.3)
        with self.assertRaises(TimeoutError):
            t.udp.recv(100)

    def test_datagrams_find_their_loop(self):
        with Relay("--threads", "4", "--udp", "127.0.0.1:0", "--drain-secs", "0") as relay:
            nodes = [Node(relay) for _ in range(16)]
            for n in nodes:
                n.register(features=["quiet", "relay-token"])
            wait(lambda: relay.peer_count() == 16, 5, "16 peers")
            loops = set()
            for i in range(0, 16, 2):
                s, t = self.sides(nodes[i], nodes[i + 1], f"s{i}")
                loops |= {s.token[1] % 4, t.token[1] % 4}
                self.pass_all_ways(s, t)
            self.assertGreater(len(loops), 1)
            self.assertIn('teale_relay_packets_dropped_total{reason="token"} 0', relay.get("/metrics")[2])


class Threads(Cluster):
    def test_loops_share_one_port_and_act_as_one(self):
        token = tempfile.NamedTemporaryFile("w")
        self.addCleanup(token.close)
        token.write("secret\n")
        token.flush()
        with Relay("--threads", "4", "--admin-token-file", token.name, "--drain-secs", "1") as relay:
            relay.signal(signal.SIGHUP)
            relay.wait_log("event=reloaded what=admin_token")
            with open(f"/proc/{relay.process.pid}/status") as f:
                self.assertGreaterEqual(int(re.search(r"Threads:\s+(\d+)", f.read())[1]), 4)
            nodes = [Node(relay) for _ in range(24)]
            for n in nodes:
                n.register()
            wait(lambda: relay.peer_count() == 24, 5, "24 peers")
            for n in nodes[:8]:
                n.send_message("discover", {"requestingNodeID": n.id, "filter": {}})
                self.assertEqual(len(n.expect("discoverResponse")["peers"]), 23)
            for i, a in enumerate(nodes):
                b = nodes[(i + 7) % 24]
                session(a, b, f"s{i}")
                for _ in range(20):
                    exchange(a, b, f"s{i}")
            text = relay.get("/metrics")[2]
            self.assertIn("teale_relay_sessions_active 24\n", text)
            self.assertIn(f"teale_relay_forwarded_bytes_total {24 * 20 * 6}\n", text)
            self.assertNotIn("redis", text)
            status, _, body = relay.get("/peers", "Authorization: Bearer secret")
            self.assertEqual((status, {p["nodeID"] for p in json.loads(body)["peers"]}), (200, {n.id for n in nodes}))
            self.assertEqual(relay.get("/peers", "Authorization: Bearer wrong")[0], 403)

    def test_the_bound_of_sessions_is_one_for_all_loops(self):
        most = 5
        with Relay("--threads", "4", "--drain-secs", "0", "--limits", "--relay-max-sessions", str(most)) as relay:
            nodes = [Node(relay) for _ in range(24)]
            for n in nodes:
                n.register()
            wait(lambda: relay.peer_count() == 24, 5, "24 peers")
            pairs = list(zip(nodes[:12], nodes[12:]))
            for i, (a, b) in enumerate(pairs[:most]):
                session(a, b, f"s{i}")
            for i, (a, b) in enumerate(pairs[most:], most):
                a.to(b, "relayOpen", f"s{i}")
                self.assertEqual(a.expect_error("busy")["sessionID"], f"s{i}")
            a, b = pairs[0]
            a.to(b, "relayClose", "s0")
            b.expect("relayClose")
            wait(lambda: f"teale_relay_sessions_active {most - 1}\n" in relay.get("/metrics")[2], 5, "its end")
            session(*pairs[most], "again")

    def test_the_watchdog_hears_of_all_loops(self):
        with tempfile.TemporaryDirectory() as d, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(f"{d}/notify")
            s.settimeout(20)
            environment = {"NOTIFY_SOCKET": f"{d}/notify", "WATCHDOG_USEC": "400000"}
            os.environ.update(environment)
            try:
                relay = Relay("--threads", "4", "--drain-secs", "0")
            finally:
                for name in environment:
                    del os.environ[name]
            with relay:
                self.assertEqual([s.recv(100) for _ in range(6)], [b"READY=1"] + [b"WATCHDOG=1"] * 5)

    def test_a_node_that_comes_again_at_another_loop_is_replaced(self):
        with Relay("--threads", "4", "--drain-secs", "0") as relay:
            key = new_key()
            old = Node(relay, key)
            old.register()
            for _ in range(12):
                new = Node(relay, key)
                new.register()
                old.expect_error("replaced")
                self.assertEqual(closed_with(old), 1012)
                old = new
            self.assertEqual(relay.peer_count(), 1)

    def test_a_second_relay_on_the_port_of_one_with_threads_is_told(self):
        with Relay("--threads", "2", "--udp", "127.0.0.1:0") as relay:
            port, udp = relay.address[1], re.search(r"udp=(\S+)", relay.ready)[1]
            for args in (["--threads", "2", "--listen", f"127.0.0.1:{port}"], ["--listen", f"127.0.0.1:{port}"],
                         ["--listen", "127.0.0.1:0", "--threads", "2", "--udp", udp]):
                done = subprocess.run([relayproc.BINARY_PATH, *args], capture_output=True, text=True, timeout=10)
                self.assertEqual(done.returncode, 1, args)
                self.assertIn("use", done.stderr)

    def test_loops_of_two_machines_are_one_cluster(self):
        redis = self.redis()
        a, b = self.relays(2, redis, "--threads", "2")
        nodes = [r.node() for r in (a, b) for _ in range(4)]
        a.wait_nodes(4)
        b.wait_nodes(4)
        for i, x in enumerate(nodes):
            y = nodes[(i + 3) % 8]
            session(x, y, f"s{i}")
            exchange(x, y, f"s{i}")
        redis.kill()
        a.wait_redis("down")
        for i in (0, 1, 2):
            session(nodes[i], nodes[i + 1], f"t{i}")


class Check(Cluster):
    def check(self, status, *args):
        done = subprocess.run([relayproc.BINARY_PATH, "check", *args], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        for line in done.stdout.splitlines():
            self.assertRegex(line, r"^(OK   |WARN |FAIL )\S")
        self.assertEqual("FAIL " in done.stdout, status == 1, done.stdout)
        return done.stdout

    def test_what_works_is_ok_and_exit_0(self):
        redis = self.redis(password="right")
        out = self.check(0, "--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--name", "localhost", "--redis",
                         redis.url("right"))
        self.assertIn("OK   redis 127.0.0.1", out)
        self.assertIn("OK   udp 127.0.0.1", out)
        self.assertIn("OK   name localhost", out)
        self.assertIn("OK   limits: none hold", out)
        out = self.check(0, "--listen", "127.0.0.1:0", "--limits", "--relay-max-sessions", "5")
        self.assertIn("OK   limits: 5 sessions at once", out)

    def test_it_may_run_beside_the_relay(self):
        with Relay("--udp", "127.0.0.1:0") as relay:
            udp = re.search(r"udp=(\S+)", relay.ready)[1]
            out = self.check(0, "--listen", f"127.0.0.1:{relay.address[1]}", "--udp", udp)
            self.assertIn("in use already", out)
            self.assertIn("where a relay answers now", out)

    def test_each_fault_is_named_with_its_remedy_and_exit_1(self):
        redis = self.redis(password="right")
        for args, words in ((["--redis", redis.url("wrong")], "the password is wrong; correct redis-password-file"),
                            (["--redis", redis.url()], "it wants a password; give redis-password-file"),
                            (["--redis", "redis://127.0.0.1:1"], "refused"),
                            (["--redis", redis.url(), "--redis-password-file", "/nowhere"], "/nowhere"),
                            (["--name", "no.such.name.invalid"], "make an A or AAAA record"),
                            (["--listen", "192.0.2.1:0"], "does not have that address"),
                            (["--udp", "192.0.2.1:0"], "give an address of this machine"),
                            (["--relay-max-sessions", "5"], "add --limits"),
                            (["--redis-password-file", "/nowhere"], "redis, which names it, is missing"),
                            (["--tls-cert", "/none.pem", "--tls-key", "/none.key"], "/none.pem"),
                            (["--nonsense"], "FAIL configuration: unknown option --nonsense"),
                            (["--redis", "http://x"], "redis://[[USER]:PASSWORD@]HOST")):
            with self.subTest(args=args):
                self.assertIn(words, self.check(1, "--listen", "127.0.0.1:0", *args))

    def test_a_name_that_lacks_the_port_nodes_dial_is_warned_of_unless_a_proxy_may_have_it(self):
        at = ["--listen", "ws://0.0.0.0:8081"]
        for name, right in (("localhost", "localhost:8081"), ("localhost:80", "localhost:8081"), ("[::1]", "[::1]:8081")):
            out = self.check(0, *at, "--name", name)
            self.assertIn(f"WARN name {name}: a node that dials ws://{right} signs that", out)
            self.assertIn(f"give --name {right}, unless", out)
            self.assertNotIn("WARN", self.check(0, *at, "--name", right))
        self.assertNotIn("WARN", self.check(0, *at, "--name", "localhost", "--trusted-proxy", "10.0.0.0/8"))
        self.assertNotIn("WARN", self.check(0, "--listen", "ws://127.0.0.1:8081", "--name", "localhost"))

    def test_a_name_needs_no_port_that_is_the_schemes_own_and_may_not_have_it(self):
        def check(name):  # whether this user may have the port does not matter
            return subprocess.run([relayproc.BINARY_PATH, "check", "--listen", "ws://0.0.0.0:80", "--name", name],
                                  capture_output=True, text=True, timeout=30, check=False).stdout
        self.assertIn("OK   name localhost\n", check("localhost"))
        self.assertIn("WARN name localhost:80: a node that dials ws://localhost signs that", check("localhost:80"))

    def test_a_udp_port_that_a_firewall_closes_is_told(self):
        out = self.check(1, "--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--udp-announce", "127.0.0.1:9")
        self.assertIn("open UDP port 9 in the firewall", out)


class Sentinel(Cluster):
    def test_the_server_that_a_sentinel_names_is_used_and_the_next_one_after_a_failover(self):
        primary = self.redis()
        replica = self.redis("--replicaof", f"127.0.0.1 {primary.port}")
        port = primary.port
        with tempfile.NamedTemporaryFile("w", suffix=".conf", delete=False) as f:
            self.addCleanup(os.unlink, f.name)
            f.write(f"sentinel monitor main 127.0.0.1 {port} 1\nsentinel down-after-milliseconds main 1000\n"
                    "sentinel failover-timeout main 3000\n")
        sentinel = SentinelProcess(f.name)
        self.addCleanup(sentinel.close)
        wait(lambda: sentinel.command("SENTINEL", "get-master-addr-by-name", "main"), 5, "the Sentinel")
        time.sleep(2)  # it must have seen the replica
        flags = ["--redis-sentinel", f"127.0.0.1:{sentinel.port}", "--redis-master", "main"]
        a, b = self.relays(2, "redis://sentinel", *flags)
        x, y = a.node(), b.node()
        a.wait_nodes(1)
        session(x, y, "s")
        primary.kill()
        a.wait_redis("down", timeout=10)
        a.wait_redis("ok", timeout=30)
        b.wait_redis("ok", timeout=30)
        a.wait_nodes(1)
        z = b.node()
        a.wait_nodes(2)
        session(x, z, "t")
        self.assertIn(str(replica.port), "".join(a.log))


if __name__ == "__main__":
    relayproc.BINARY_PATH = os.path.abspath(sys.argv.pop(1))
    if not BINARY:
        print("SKIP: neither redis-server nor valkey-server is installed (apt-get install redis-server)")
        sys.exit(77)
    unittest.main(verbosity=2)
