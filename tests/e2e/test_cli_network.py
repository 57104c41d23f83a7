#!/usr/bin/env python3
"""test_cli_network.py TEALE TEALE-RELAY PARROT: what a user is told of the network and of paths, by two
nodes that go direct. Runs in a network namespace of its own (so nothing leaves it), or not at all."""
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
from enter import enter  # noqa: E402

ADDRESS = "10.77.0.1"


def make_network():
    """lo is up; this adds one interface. Exit 77 where there can be no network of one's own."""
    reason = enter()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    for command in ("link add lan0 type veth peer name lan1", f"address add {ADDRESS}/24 dev lan0",
                    "link set lan1 up", "link set lan0 up"):
        subprocess.run(["ip", *command.split()], check=True)


TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="teale-net-")
        self.processes = []
        relay = self.start([RELAY, "--listen", "127.0.0.1:0", "--udp", f"{ADDRESS}:0"])
        line = relay.stdout.readline()
        self.relay = re.search(r"ws=([^,\s]+)", line)[1]
        self.stun = re.search(r"udp=([^,\s]+)", line)[1]
        self.relay_process = relay

    def tearDown(self):
        for p in reversed(self.processes):
            if p.poll() is None:
                p.kill()
            p.communicate()
        for name in os.listdir(self.dir):
            self.teale(name, "down")
        shutil.rmtree(self.dir)

    def start(self, command, env=None):
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
        self.processes.append(p)
        return p

    def teale(self, name, *args, timeout=60):
        return subprocess.run([TEALE, "--home", os.path.join(self.dir, name), *args], capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)

    def says(self, code, name, *args):
        r = self.teale(name, *args)
        self.assertEqual(r.returncode, code, f"{args}: {r.stdout} {r.stderr}")
        return r.stdout + r.stderr

    def json(self, name, *args, code=0):
        r = self.teale(name, *args, "--json")
        self.assertEqual(r.returncode, code, f"{args}: {r.stdout} {r.stderr}")
        self.assertEqual(len(r.stdout.splitlines()), 1)
        return json.loads(r.stdout)

    def node(self, name, *args, stun=None, connected=True, env=None):
        self.says(0, name, "config", "set", "display_name", name)
        self.says(0, name, "config", "set", "nat.stun_servers", json.dumps([self.stun] if stun is None else stun))
        self.says(0, name, "config", "set", "dht.bootstrap", "[]")  # a test asks nobody on the internet
        p = self.start([TEALE, "serve", "--home", os.path.join(self.dir, name), "--api", "127.0.0.1:0", "--relay",
                        self.relay, *args], env)
        p.node = re.search(r"node=(\S+)", p.stdout.readline())[1]
        if connected:
            self.wait(lambda: self.json(name, "status")["wan"]["state"] == "connected")
        return p

    def pair(self, *args):
        parrot = self.start([PARROT, "--listen", "127.0.0.1:0", "--model", "parrot"]).stdout.readline().split()[1]
        return self.node("gpu", "--share", parrot, *args), self.node("friend", *args)

    def wait(self, condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def checks(self, name, code):
        return {c["id"]: c for c in self.json(name, "doctor", code=code)["checks"]}


class Direct(Case):
    def test_a_direct_path_is_waited_for_and_told_of_everywhere(self):
        gpu, friend = self.pair()
        before = self.json("friend", "why", gpu.node)
        self.assertEqual((before["path"], before["reason"]), (None, "not_connected"))
        watch = self.start([TEALE, "--home", os.path.join(self.dir, "friend"), "watch", "--json"])
        time.sleep(0.3)  # nothing tells a watcher that it watches; what it misses it would wait for in vain
        waited = self.json("friend", "ping", "--until-direct", gpu.node)
        self.assertTrue(waited["direct"])
        self.assertGreater(waited["direct_after_ms"], 0)
        self.assertEqual(waited["results"][-1]["path"], "lan")
        self.assertEqual(waited["answered"], waited["sent"])
        self.assertTrue(all(r["rtt_ms"] > 0 for r in waited["results"]))

        why = self.json("friend", "why", gpu.node)
        self.assertEqual((why["path"], why["reason"], why["remedy"]), ("lan", "lan", ""))
        used = [p for p in why["pairs"] if p["used"]]
        self.assertEqual(len(used), 1)
        self.assertEqual(used[0]["state"], "valid")
        self.assertTrue(used[0]["remote"].startswith(ADDRESS + ":"))
        self.assertGreater(used[0]["answered"], 0)
        self.assertIn(used[0]["remote"], why["because"])
        self.assertTrue(why["rule"])
        text = self.says(0, "friend", "why", gpu.node[:8])
        for part in ("path: lan", "because: ", "rule: ", "valid, used"):
            self.assertIn(part, text)

        peer = self.json("friend", "peers")["peers"][0]
        self.assertEqual((peer["path"], peer["via"], peer["remote"]), ("lan", "udp", used[0]["remote"]))
        self.assertRegex(peer["since"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(self.json("friend", "peers", "--wan")["peers"], [])
        self.assertEqual(self.json("friend", "peers", "--cluster")["peers"][0]["node_id"], gpu.node)
        counts = self.json("friend", "status")["peers"]
        self.assertEqual((counts["direct"], counts["relayed"], counts["lan"]), (0, 0, 1))
        self.assertIn("lan", self.says(0, "friend", "ping", "-c", "1", gpu.node))

        events = {}
        while "PathChanged" not in events:
            event = json.loads(watch.stdout.readline())
            events.setdefault(event["event"], event)
        changed = events["PathChanged"]
        self.assertEqual((changed["node_id"], changed["name"]), (gpu.node, "gpu"))
        self.assertEqual((changed["from"], changed["path"]), ("relayed", "lan"))
        self.assertEqual(changed["remote"], used[0]["remote"])
        self.assertTrue(changed["why"])
        self.assertIn("rtt_ms", changed)
        self.assertIn("at", changed)
        joined = events["PeerJoined"]  # this side dialled, and QUIC began through the relay
        self.assertEqual((joined["path"], joined["why"]), ("relayed", "a connection begins through the relay"))

    def test_the_side_that_was_dialled_says_so(self):
        gpu, friend = self.pair()
        watch = self.start([TEALE, "--home", os.path.join(self.dir, "gpu"), "watch", "--json"])
        time.sleep(0.3)
        self.says(0, "friend", "ping", "-c", "1", gpu.node)
        while (event := json.loads(watch.stdout.readline()))["event"] != "PeerJoined":
            pass
        self.assertEqual(event["why"], "the peer dialled this connection, and chooses its path")

    def test_a_request_that_nobody_answered_has_no_peer(self):
        gpu, friend = self.pair()
        self.wait(lambda: self.json("friend", "models")["models"])
        watch = self.start([TEALE, "--home", os.path.join(self.dir, "friend"), "watch", "--json"])
        time.sleep(0.3)
        for model, peer, result in (("nothing", None, "model_not_loaded"), ("parrot", gpu.node, "ok")):
            self.teale("friend", "chat", "-m", model, "hello")
            while (event := json.loads(watch.stdout.readline()))["event"] != "Request":
                pass
            self.assertEqual((event["model"], event["peer"], event["result"]), (model, peer, result))

    def test_a_question_is_enough_for_a_direct_path(self):
        gpu, friend = self.pair()
        self.wait(lambda: self.json("friend", "models")["models"])
        self.says(0, "friend", "chat", "-m", "parrot", "hello")
        self.wait(lambda: self.json("friend", "peers")["peers"][0]["path"] == "lan")

    def test_the_side_that_did_not_choose_tells_of_the_path_too(self):
        gpu, friend = self.pair()
        self.json("friend", "ping", "--until-direct", gpu.node)
        self.wait(lambda: self.json("gpu", "status")["peers"]["lan"] == 1)
        self.assertEqual(self.json("gpu", "why", friend.node)["reason"], "lan")


class Relayed(Case):
    def test_direct_paths_switched_off_are_the_reason_and_no_direct_path_is_exit_6(self):
        gpu, friend = self.pair("--relayed")
        text = self.says(6, "friend", "ping", "--until-direct", "--timeout", "2", gpu.node)
        self.assertIn("relayed", text)
        self.assertIn("teale why", text)
        text = self.says(6, "friend", "ping", "--until-direct", "-c", "2", gpu.node)
        self.assertIn("2 of 2 answered", text)
        why = self.json("friend", "why", gpu.node)
        self.assertEqual((why["path"], why["reason"]), ("relayed", "switched_off"))
        self.assertEqual(why["pairs"], [])
        peer = self.json("friend", "peers")["peers"][0]
        self.assertEqual((peer["path"], peer["via"], peer["remote"]), ("relayed", "websocket", None))
        self.assertEqual(peer["relay"], self.relay)
        self.assertEqual(self.json("friend", "status")["nat"]["state"], "off")
        checks = self.checks("friend", 0)
        self.assertEqual(checks["direct"]["state"], "warning")
        self.assertIn("without --relayed", checks["direct"]["remedy"])

    def test_a_peer_that_goes_direct_with_nobody_tells_the_other_side_so(self):
        gpu = self.node("gpu", "--relayed")
        self.node("friend")
        self.says(0, "friend", "ping", "-c", "1", gpu.node)
        self.wait(lambda: self.json("friend", "why", gpu.node)["reason"] == "offers_unanswered")

    def test_a_peer_that_is_not_there_is_exit_4_and_why_says_so(self):
        self.node("friend")
        gone = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        self.says(4, "friend", "ping", gone)
        self.says(4, "friend", "ping", "--until-direct", gone)
        self.assertEqual(self.json("friend", "why", gone)["reason"], "not_present")
        self.says(1, "friend", "why", "abcd")
        self.says(1, "friend", "why", "xyz")

    def test_why_of_oneself_is_no_riddle(self):
        friend = self.node("friend")
        self.assertEqual(self.json("friend", "why", friend.node)["reason"], "self")


class Doctor(Case):
    def test_a_node_with_nothing_in_its_way_exits_0(self):
        self.node("friend")
        checks = self.checks("friend", 0)
        for name in ("wan", "relay", "udp_port", "direct", "backend", "api"):
            self.assertEqual(checks[name]["state"], "ok", checks[name])
        text = self.says(0, "friend", "doctor")
        self.assertIn(self.relay, text)
        manual = (pathlib.Path(__file__).resolve().parents[2] / "man/teale.1").read_text()
        lines = manual.split("\n.It Cm status\n")[1].split("\n.It Cm ")[0]
        keys = re.findall(r"^([a-z ]+):", self.says(0, "friend", "status"), re.M)
        self.assertGreater(len(keys), 12)
        for key in keys:
            self.assertRegex(lines, rf"(?m)^\.Cm {key}( [,.])?$")

    def test_blocked_udp_is_named_with_evidence_and_remedy(self):
        silent = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        for s in silent:
            s.bind((ADDRESS, 0))
            self.addCleanup(s.close)
        self.relay_process.kill()
        relay = self.start([RELAY, "--listen", "127.0.0.1:0", "--udp", f"{ADDRESS}:0"])
        self.relay = re.search(r"ws=([^,\s]+)", relay.stdout.readline())[1]
        subprocess.run(["nft", "-f", "-"], input="table ip noudp {\nchain i {\ntype filter hook input priority 0;\n"
                       "meta l4proto udp drop;\n}\n}\n", text=True, check=True)
        self.addCleanup(subprocess.run, ["nft", "delete", "table", "ip", "noudp"])
        self.node("friend", stun=["%s:%d" % s.getsockname() for s in silent])
        udp = self.checks("friend", 1)["udp"]
        self.assertEqual(udp["state"], "problem")
        port = self.relay.rsplit(":", 1)[1].split("/")[0]
        self.assertRegex(udp["evidence"], rf"^E_UDP_BLOCKED: 0 of [23] STUN servers answered; the relay works over TCP {port}$")
        self.assertEqual(udp["remedy"], "Allow outgoing UDP, or go on relayed.")
        check = self.json("friend", "netcheck")
        self.assertTrue(check["udp"]["blocked"])
        self.assertFalse(any(s["answered"] for s in check["stun"]))
        self.assertIn("no answer", self.says(0, "friend", "netcheck"))
        self.assertRegex(self.says(0, "friend", "netcheck"), r"(?m)^udp: port \d+, blocked: no STUN server answers$")
        self.assertIn("E_UDP_BLOCKED", self.says(0, "friend", "status"))
        begun = time.monotonic()
        said = self.says(0, "other", "up", "--api", "127.0.0.1:0", "--relay", self.relay)
        self.assertRegex(said, r"\[4/5\] network +(E_UDP_BLOCKED|UDP port \d+, no STUN server has answered yet)")
        self.assertLess(time.monotonic() - begun, 5)

    def test_a_relay_that_is_gone_is_a_problem(self):
        self.node("friend")
        self.relay_process.kill()
        self.wait(lambda: self.json("friend", "status")["wan"]["state"] != "connected")
        relay = self.checks("friend", 1)["relay"]
        self.assertIn(self.relay, relay["evidence"])
        self.assertIn("nothing listens there", relay["evidence"])
        self.assertIn("--relay", relay["remedy"])
        udp = self.checks("friend", 1)["udp"]  # the relay was the only STUN server
        self.assertEqual(udp["state"], "warning")
        self.assertIn("0 of 1 STUN servers answered, and no relay is connected", udp["evidence"])
        for command in ("status", "netcheck"):
            self.assertNotIn("E_UDP_BLOCKED", self.says(0, "friend", command))
        check = self.json("friend", "netcheck")
        self.assertEqual((check["udp"]["blocked"], check["nat"]["state"]), (False, "unanswered"))
        self.assertRegex(self.says(0, "friend", "netcheck"), r"(?m)^udp: port \d+, no STUN server answers$")

    def test_a_refused_registration_is_told_with_the_relays_reason(self):
        relay = self.start([RELAY, "--listen", "127.0.0.1:0", "--name", "relay.example.org"])
        self.relay = re.search(r"ws=([^,\s]+)", relay.stdout.readline())[1]
        self.node("friend", connected=False)
        reason = "refused us (unauthorized): no proof of this key for this relay"
        self.wait(lambda: reason in self.says(0, "friend", "status"))
        found = self.checks("friend", 1)["relay"]
        self.assertIn(reason, found["evidence"])
        self.assertIn("--name", found["remedy"])

    def test_each_of_two_relays_is_told_with_its_own_cause(self):
        refuses = self.start([RELAY, "--listen", "127.0.0.1:0", "--name", "relay.example.org"])
        first = re.search(r"ws=([^,\s]+)", refuses.stdout.readline())[1]
        with socket.create_server(("127.0.0.1", 0)) as s:
            second = "ws://127.0.0.1:%d/ws" % s.getsockname()[1]
        self.relay = first
        self.node("friend", "--relay", second, connected=False)
        told = lambda: self.checks("friend", 1)["relay"]["evidence"]
        self.wait(lambda: re.fullmatch(rf"none of 2 relays: {first}: refused us .*; {second}: cannot connect .*", told()))
        wan = self.json("friend", "status")["wan"]
        self.assertIn("refused us" if wan["relay"] == first else "nothing listens", wan["error"])

    def test_a_name_that_no_dns_knows_is_not_a_server_that_is_silent(self):
        self.node("friend", stun=["stun.invalid:3478", "stun.invalid:3479"])
        udp = self.checks("friend", 0)["udp"]
        self.assertIn("stun.invalid:3478: cannot look up stun.invalid", udp["evidence"])
        server = [s for s in self.json("friend", "netcheck")["stun"] if s["server"] == "stun.invalid:3478"][0]
        self.assertIn("cannot look up", server["error"])
        self.assertFalse(server["answered"])
        shown = self.says(0, "friend", "netcheck")
        self.assertRegex(shown, r"(?m)^stun\.invalid:3478 +- +no address +-$")
        self.assertRegex(shown, r"(?m)^no address: cannot look up stun\.invalid.*: stun\.invalid:3478, stun\.invalid:3479$")

    def test_the_side_whose_clock_is_wrong_is_told_so(self):
        offset = self.dir + ".offset"
        library = os.path.join(os.path.dirname(PARROT), "libwallclock.so")
        env = dict(os.environ, LD_PRELOAD=library, WALLCLOCK_OFFSET=offset, ASAN_OPTIONS="verify_asan_link_order=0")
        pathlib.Path(offset).write_text("-90\n")
        self.addCleanup(os.remove, offset)
        parrot = self.start([PARROT, "--listen", "127.0.0.1:0", "--model", "parrot"]).stdout.readline().split()[1]
        gpu, friend = self.node("gpu", "--share", parrot), self.node("friend", env=env)
        self.wait(lambda: self.json("gpu", "status")["backend"]["state"] == "up")
        self.says(6, "friend", "ping", "--until-direct", "--timeout", "3", gpu.node)
        wrong = r"this machine's clock is (89|9\d) s behind the relay's"
        self.assertRegex(self.checks("friend", 0)["clock"]["evidence"], wrong)
        self.wait(lambda: re.search(wrong, self.json("friend", "why", gpu.node)["because"]))
        self.assertIn("their clocks are over 30 s off; this machine's agrees with the relay's",
                      self.checks("gpu", 0)["clock"]["evidence"])

    def test_a_model_server_that_wants_a_key_is_not_to_be_started(self):
        class Wants(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Wants)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.node("friend", "--share", "http://127.0.0.1:%d" % server.server_address[1])
        self.wait(lambda: "wants a key" in self.checks("friend", 1)["backend"]["evidence"])
        self.assertIn("backend_key_file", self.checks("friend", 1)["backend"]["remedy"])

    def test_a_person_sees_that_something_is_done_and_a_pipe_does_not(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind((ADDRESS, 0))
        self.node("friend", stun=["%s:%d" % silent.getsockname()])
        command = [TEALE, "--home", os.path.join(self.dir, "friend"), "doctor"]
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        p = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
                             env=dict(os.environ, TERM="xterm"))
        os.close(theirs)
        begun = time.monotonic()
        seen = b""
        while b"asking every STUN server" not in seen:
            seen += os.read(ours, 1000)
        self.assertLess(time.monotonic() - begun, 1)
        self.assertIsNone(p.poll())
        self.assertIn(b"relay", p.communicate(timeout=20)[0])
        for more in ([], ["--json"]):
            self.assertEqual(subprocess.run(command + more, capture_output=True, stdin=subprocess.DEVNULL).stderr, b"")

    def test_a_udp_port_that_is_taken_is_named(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(("0.0.0.0", 0))
            port = taken.getsockname()[1]
            self.node("friend", "--udp", str(port))
            check = self.checks("friend", 1)["udp_port"]
        self.assertEqual(check["state"], "problem")
        self.assertIn(str(port), check["evidence"])

    def test_a_model_server_that_is_down_is_a_problem(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        self.node("friend", "--share", f"http://127.0.0.1:{port}")
        self.assertEqual(self.checks("friend", 1)["backend"]["state"], "problem")


class Netcheck(Case):
    def test_every_server_is_told_with_what_it_sees(self):
        self.node("friend")
        check = self.json("friend", "netcheck")
        self.assertEqual(set(check), {"udp", "nat", "stun", "port_mapping", "interfaces", "candidates", "relay",
                                      "offline"})
        answered = [s for s in check["stun"] if s["answered"]]
        self.assertTrue(answered, check)
        for server in answered:
            self.assertGreater(server["rtt_ms"], 0)
            self.assertEqual(server["mapped"], f"{ADDRESS}:{check['udp']['port']}")
        self.assertEqual(check["nat"]["public"], answered[0]["mapped"])
        self.assertIn({"name": "lan0", "address": ADDRESS, "prefix": 24}, check["interfaces"])
        self.assertIn(f"{ADDRESS}:{check['udp']['port']}", [c["address"] for c in check["candidates"]])
        self.assertIsNone(check["port_mapping"]["method"])
        self.assertTrue(check["port_mapping"]["error"])
        self.assertEqual(check["relay"]["state"], "connected")
        text = self.says(0, "friend", "netcheck")
        for key in ("nat", "mapping", "filtering", "public", "ipv6", "hairpin", "port preserved", "port mapping", "udp",
                    "relay", "interfaces", "candidates"):
            self.assertRegex(text, rf"(?m)^{key}: \S")

    def test_a_node_without_a_nat_is_called_so_everywhere(self):
        peer = self.node("peer").node
        self.node("friend")
        self.wait(lambda: self.json("friend", "netcheck")["nat"]["mapping"] == "none")
        self.wait(lambda: self.json("friend", "peers")["peers"])
        self.assertRegex(self.says(0, "friend", "netcheck"), r"(?m)^nat: no NAT \(Tesseras: Public\)$")
        self.assertRegex(self.says(0, "friend", "status"), r"(?m)^nat: no NAT, filtering ")
        self.assertIn("no NAT: " + ADDRESS, self.says(0, "friend", "doctor"))
        why = self.json("friend", "why", peer)
        self.assertEqual((why["ours"]["nat"], why["ours"]["mapping"]), ("fullCone", "none"))
        self.assertRegex(self.says(0, "friend", "why", peer), r"(?m)^nat: here no NAT " + ADDRESS)

    def test_a_port_that_is_closed_while_it_asks_harms_nothing(self):
        silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(silent.close)
        silent.bind((ADDRESS, 0))
        node = self.node("friend", stun=["%s:%d" % silent.getsockname()])
        asking = [self.start([TEALE, "--home", os.path.join(self.dir, "friend"), *command]) for command in
                  (["netcheck", "--json"], ["doctor", "--json"], ["netcheck"])]
        silent.recv(100)
        asking[2].kill()
        self.says(0, "friend", "config", "set", "nat.direct", "false")
        self.assertEqual(json.loads(asking[0].stdout.readline())["nat"]["state"], "off")
        self.assertEqual(asking[1].wait(20), 0)
        node.send_signal(signal.SIGTERM)
        self.assertEqual(node.wait(20), 0)

    def test_the_metrics_tell_of_stun(self):
        self.node("friend")
        self.json("friend", "netcheck")
        env = dict(l.split("=", 1) for l in self.says(0, "friend", "env").replace("export ", "").splitlines())
        url = env["OPENAI_BASE_URL"].removesuffix("/v1") + "/metrics"
        text = subprocess.run(["curl", "-sS", url], capture_output=True, text=True, check=True).stdout
        self.assertGreater(int(re.search(r"(?m)^tesseras_stun_requests_total (\d+)$", text)[1]), 0)
        types = re.findall(r'(?m)^tesseras_nat_type\{type="\w+"\} (\d)$', text)
        self.assertEqual(sorted(types), ["0", "0", "0", "1"])
        kinds = ("Public", "Cone", "Symmetric", "Unknown")
        for name in ("tesseras_punch_attempts_total", "teale_punch_successes_total"):
            pairs = re.findall(rf'(?m)^{name}\{{initiator_nat="(\w+)",target_nat="(\w+)"\}} 0$', text)
            self.assertEqual(pairs, [(a, b) for a in kinds for b in kinds])
        for name in ("tesseras_stun_failures_total", "tesseras_relay_sessions_active", "tesseras_relay_bytes_forwarded",
                     "tesseras_network_change_total"):
            self.assertRegex(text, rf"(?m)^{name} \d+$")


class Bugreport(Case):
    def test_it_says_enough_and_not_too_much(self):
        friend = self.node("friend")
        keys = []
        for file in ("api-key", "owner-key"):
            with open(os.path.join(self.dir, "friend", file), encoding="ascii") as f:
                keys.append(f.read().strip())
        text = self.says(0, "friend", "bugreport")
        for part in ("--- settings ---", '"nat.direct":true', "--- status ---", '"state":"connected"', "--- doctor ---",
                     '"id":"udp_port"', "--- netcheck ---", "10.77.x.x:", "--- end of the log ---"):
            self.assertIn(part, text)
        for secret in (friend.node, *keys, ADDRESS, "friend"):
            self.assertNotIn(secret, text)
        self.assertIn("no daemon", self.says(0, "nobody", "bugreport"))


class Watch(Case):
    def watch(self, *args):
        p = self.start([TEALE, "--home", os.path.join(self.dir, "friend"), "watch", *args])
        time.sleep(0.3)
        return p

    def test_it_ends_as_it_is_told_to(self):
        friend = self.node("friend")
        interrupted, until_end = self.watch(), self.watch("--json")
        self.says(6, "friend", "watch", "--timeout", "1")
        interrupted.send_signal(signal.SIGINT)
        self.assertEqual(interrupted.wait(10), 0)
        friend.send_signal(signal.SIGTERM)
        self.assertEqual(until_end.wait(20), 3)
        self.assertEqual(friend.wait(20), 0)
        self.says(3, "friend", "watch")

    def test_an_address_that_comes_is_a_change_of_network(self):
        self.node("friend")
        watch, shown = self.watch("--json"), self.watch()
        subprocess.run(["ip", "address", "add", "10.78.0.1/24", "dev", "lan0"], check=True)
        self.addCleanup(subprocess.run, ["ip", "address", "del", "10.78.0.1/24", "dev", "lan0"])
        while True:
            event = json.loads(watch.stdout.readline())
            if event["event"] == "NetworkChanged" and event["moved"]:
                break
        self.assertIn("type", event["nat"])
        self.assertFalse(event["slept"])
        phases = []
        while len(phases) < 6:
            event = json.loads(watch.stdout.readline())
            if event["event"] == "NetworkChanged" and "phase" in event:
                self.assertFalse(event["moved"])
                self.assertIn("type", event["nat"])
                phases.append(event)
        self.assertEqual([(e["phase"], e["state"]) for e in phases],
                         [(phase, state) for phase in ("migration", "stun", "reestablish") for state in ("begins", "done")])
        self.assertEqual([phases[1][key] for key in ("connections", "carry", "answers")], [0, 0, 0])
        self.assertTrue(phases[3]["address_known"])
        self.assertEqual([phases[5][key] for key in ("wanted", "back")], [0, 0])
        times = [e["after_ms"] for e in phases]
        self.assertEqual(times, sorted(times))
        text = ""
        while "reestablish done" not in text:
            line = shown.stdout.readline()
            self.assertTrue(line, text)
            text += line
        for words in (r"NetworkChanged: moved; ", r"NetworkChanged: migration begins: 0 connections\n",
                      r"migration done after \d\.\d s: 0 of 0 connections carry on\n", r"stun begins\n",
                      r"stun done after \d\.\d s: public address known\n", r"reestablish begins\n",
                      r"reestablish done after \d\.\d s: 0 of 0 back\n"):
            self.assertRegex(text, words)


if __name__ == "__main__":
    make_network()
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
