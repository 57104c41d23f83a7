#!/usr/bin/env python3
"""test_cli_together.py TEALE TEALE-RELAY PARROT: two nodes, a relay and a model server, driven by what a
user types: asking across, stopping while answers run, and what the logs must not hold."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
SECRET = "xylophone-marmalade-quicksilver"


class Together(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="teale-two-")
        self.processes = []
        relay = self.start([RELAY, "--listen", "127.0.0.1:0", "--drain-secs", "1"])
        self.relay = re.match(r"ready ws=([^,\s]+)", relay.stdout.readline())[1]

    def tearDown(self):
        for p in self.processes:
            if p.poll() is None:
                p.kill()
            p.communicate()
        shutil.rmtree(self.dir)

    def start(self, command, **more):
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
        self.processes.append(p)
        return p

    def parrot(self, *args):
        p = self.start([PARROT, "--listen", "127.0.0.1:0", "--model", "parrot", *args])
        return p.stdout.readline().split()[1]

    def node(self, name, *args):
        p = self.start([TEALE, "serve", "--relayed", "--home", os.path.join(self.dir, name), "--api", "127.0.0.1:0", "--relay",
                        self.relay, "--log-level", "debug", *args])
        p.node = re.match(r"ready api=\S+ node=(\S+)", p.stdout.readline())[1]
        return p

    def teale(self, name, *args, timeout=60):
        return subprocess.run([TEALE, "--home", os.path.join(self.dir, name), *args], capture_output=True,
                              text=True, timeout=timeout, stdin=subprocess.DEVNULL)

    def status(self, name):
        return json.loads(self.teale(name, "status", "--json").stdout)

    def wait(self, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)

    def two_nodes(self, *parrot_args):
        provider = self.node("provider", "--share", self.parrot(*parrot_args))
        asker = self.node("asker")
        self.wait(lambda: "parrot" in self.teale("asker", "models").stdout)
        return provider, asker

    def slow_chat(self, text):
        chat = self.start([TEALE, "--home", os.path.join(self.dir, "asker"), "chat", "-m", "parrot", text],
                          stdin=subprocess.DEVNULL)
        self.wait(lambda: self.status("provider")["requests"]["active"] == 1)
        return chat

    def test_a_question_crosses_the_relay_and_leaves_no_trace_in_the_logs(self):
        provider, asker = self.two_nodes()
        r = self.teale("asker", "chat", "-m", "parrot", SECRET)
        self.assertEqual((r.returncode, r.stdout), (0, SECRET + "\n"), r.stderr)
        r = self.teale("asker", "chat", "--peer", provider.node[:8], SECRET)  # asked a moment ago
        self.assertEqual(r.returncode, 0, r.stderr)
        peers = json.loads(self.teale("asker", "peers", "--json").stdout)["peers"]
        self.assertEqual([(p["node_id"], p["path"]) for p in peers], [(provider.node, "relayed")])
        self.assertEqual(self.teale("asker", "ping", "-c", "2", provider.node[:4]).returncode, 0)
        for p in (provider, asker):
            p.send_signal(signal.SIGTERM)
            out, err = p.communicate(timeout=20)
            self.assertEqual(p.returncode, 0)
            self.assertIn("stopped", err)
            self.assertNotIn("marmalade", out + err)

    def test_an_unknown_model_and_an_unreachable_peer_have_their_exit_codes(self):
        self.two_nodes()
        self.assertEqual(self.teale("asker", "chat", "-m", "no-such-model", "x").returncode, 1)
        # a key that verifies, and that nobody here has (RFC 8032 7.1, test 2)
        gone = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        self.assertEqual(self.teale("asker", "ping", "-c", "1", gone).returncode, 4)

    def test_peers_that_cannot_be_asked_have_their_exit_codes_and_remedies(self):
        provider, asker = self.two_nodes()
        gone = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"

        def fails(code, *words):
            r = self.teale("asker", *words[1:])
            self.assertEqual((r.returncode, r.stdout), (code, ""), f"{words}: {r.stderr}")
            self.assertIn(words[0], r.stderr)
            self.assertGreater(len(r.stderr.splitlines()), 1, "no remedy")
        none = "0123" if not (provider.node + asker.node).startswith("0123") else "4567"
        fails(2, "that is this node itself", "ping", asker.node)
        fails(2, "that is this node itself", "ping", asker.node[:8])
        fails(2, "mistyped", "ping", "f" * 64)
        fails(1, f"begins with {none}", "ping", none)
        fails(1, f"begins with {none}", "chat", "--peer", none, "x")
        fails(2, "mistyped", "chat", "--peer", "f" * 64, "x")
        fails(4, f"the peer {gone[:16]} is not at the relay", "chat", "--peer", gone, "x")
        name = json.loads(self.teale("asker", "status", "--json").stdout)["display_name"]
        for own in (asker.node, asker.node[:16]):
            fails(2, f'that is this node itself ("{name}"), and it has no model server', "chat", "--peer", own, "x")
            for wallet in (("settle", own, "1"), ("history", "--peer", own)):
                r = self.teale("asker", "wallet", *wallet)
                self.assertEqual((r.returncode, r.stdout), (2, ""), r.stderr)
                self.assertIn("that is this node itself", r.stderr)
        r = self.teale("asker", "chat", "--peer", provider.node, "x")
        self.assertEqual((r.returncode, r.stdout), (0, "x\n"), r.stderr)
        self.assertEqual(self.teale("provider", "chat", "--peer", provider.node, "x").stdout, "x\n")
        r = self.teale("provider", "chat", "--peer", provider.node, "-m", "nope", "x")
        self.assertEqual(r.returncode, 4)
        self.assertIn('this node itself does not serve "nope"', r.stderr)

    def test_chat_without_its_relay_is_unreachable_and_the_cause_is_whole(self):
        host = ".".join(["y" * 60] * 3) + ".invalid"
        home = os.path.join(self.dir, "alone")
        p = self.start([TEALE, "serve", "--home", home, "--api", "127.0.0.1:0", "--relay", f"wss://{host}/ws"])
        p.stdout.readline()
        r = self.teale("alone", "chat", "x")
        self.assertEqual((r.returncode, r.stdout), (4, ""), r.stderr)
        self.assertIn(host, r.stderr)
        self.assertRegex(r.stderr, f"{host}: \\S+")
        self.assertIn("teale doctor", r.stderr)
        p.terminate()
        p.communicate(timeout=20)
        p = self.start([TEALE, "serve", "--home", home, "--api", "127.0.0.1:0"])
        p.stdout.readline()
        r = self.teale("alone", "chat", "x")
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertIn("--relay URL", r.stderr)

    def test_a_node_that_dies_in_the_middle_of_its_answer_is_told_as_such(self):
        self.two_nodes("--token-ms", "300")
        chat = self.slow_chat("one two three four five six seven eight nine ten")
        asker = self.processes[-2]
        self.wait(lambda: self.status("asker")["requests"]["active"] == 1)
        time.sleep(0.7)
        asker.kill()
        out, err = chat.communicate(timeout=20)
        self.assertEqual(chat.returncode, 3, err)
        self.assertTrue(out.startswith("one"), out)
        self.assertIn("ended before its answer was complete", err)
        self.assertIn("teale up", err)

    def test_down_lets_what_runs_finish_and_refuses_what_is_new(self):
        provider, _ = self.two_nodes("--token-ms", "150")
        words = " ".join(f"w{i}" for i in range(16))
        chat = self.slow_chat(words)
        down = self.start([TEALE, "--home", os.path.join(self.dir, "provider"), "down"])
        self.wait(lambda: "waiting for 1 running request" in down.stderr.readline())
        refused = self.teale("asker", "chat", "-m", "parrot", "late")
        self.assertNotEqual(refused.returncode, 0)
        out, err = chat.communicate(timeout=30)
        self.assertEqual((chat.returncode, out), (0, words + "\n"), err)
        self.assertEqual(down.wait(timeout=30), 0)
        self.assertEqual(provider.wait(timeout=10), 0)

    def test_a_second_sigterm_ends_at_once(self):
        provider, _ = self.two_nodes("--token-ms", "1000")
        chat = self.slow_chat("one two three four five six seven eight nine ten")
        provider.send_signal(signal.SIGTERM)
        self.wait(lambda: "finishing what runs" in provider.stderr.readline())
        self.assertIsNone(provider.poll())
        began = time.monotonic()
        provider.send_signal(signal.SIGTERM)
        provider.wait(timeout=5)
        self.assertLess(time.monotonic() - began, 2)
        chat.communicate(timeout=30)
        self.assertNotEqual(chat.returncode, 0)

    def test_an_interrupted_chat_is_cancelled_at_the_provider(self):
        self.two_nodes("--token-ms", "1000")
        chat = self.slow_chat("one two three four five six seven eight nine ten")
        chat.send_signal(signal.SIGINT)
        chat.communicate(timeout=10)
        self.wait(lambda: self.status("provider")["requests"]["active"] == 0, seconds=2)

    def test_chat_reaches_its_timeout(self):
        self.two_nodes("--token-ms", "1000")
        r = self.teale("asker", "chat", "-m", "parrot", "--timeout", "2", "one two three four five")
        self.assertEqual(r.returncode, 6, r.stderr)
        self.assertIn("the answer is not complete after 2 s (--timeout)\nGive it longer", r.stderr)

    def test_a_relay_that_goes_away_and_comes_back_is_found_again(self):
        self.two_nodes()
        port = re.search(r":(\d+)/", self.relay)[1]
        self.processes[0].terminate()
        self.processes[0].communicate(timeout=20)
        self.wait(lambda: self.status("asker")["wan"]["state"] != "connected")
        self.assertNotIn("wan: connected", self.teale("asker", "status").stdout)
        relay = self.start([RELAY, "--listen", f"127.0.0.1:{port}"])
        relay.stdout.readline()
        self.wait(lambda: self.status("asker")["wan"]["state"] == "connected"
                  and self.status("provider")["wan"]["state"] == "connected", seconds=40)
        r = self.teale("asker", "chat", "-m", "parrot", "again")
        self.assertEqual(r.stdout, "again\n", r.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
