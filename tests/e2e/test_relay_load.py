#!/usr/bin/env python3
"""test_relay_load.py TEALE-RELAY TEALE-RELAY-LOAD: the load generator against a real relay, by every carrier."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

import redisproc
import relayproc
from ports import free_port
from relayproc import Relay

LOAD = sys.argv.pop()
ROW = re.compile(r"^(json|binary|udp|trains) +(\d+) +(\d+) +[\d.]+ +(\d+) +(\d+) +([\d.]+) +(\d+) +\d+$", re.M)


def load(url, *args):
    return subprocess.run([LOAD, "--relay", url, *args], capture_output=True, text=True, check=False, timeout=100)


def kib(pid, field):
    return int(re.search(rf"^{field}:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


class Load(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.addCleanup(self.dir.cleanup)

    def test_it_tells_what_a_node_and_a_message_cost_by_every_carrier(self):
        with Relay("--udp", "127.0.0.1:0") as relay:
            done = load(f"ws://127.0.0.1:{relay.address[1]}", "--pid", str(relay.process.pid), "--idle", "200", "--pairs", "2",
                        "--secs", "0.3", "--sizes", "256,1200", "--carriers", "json,binary,udp,trains")
            self.assertEqual(done.returncode, 0, done.stderr)
            passed = int(re.search(r"^teale_relay_messages_forwarded_total (\d+)", relay.get("/metrics")[2], re.M)[1])
        node = re.search(r"an idle node: ([\d.]+) KiB", done.stdout)
        self.assertTrue(0 < float(node[1]) < 40, done.stdout)
        rows = ROW.findall(done.stdout)
        self.assertEqual([(r[0], r[1]) for r in rows],
                         [(c, s) for c in ("json", "binary", "udp", "trains") for s in ("256", "1200")])
        for r in rows:
            self.assertGreater(int(r[2]), 0, r)
            self.assertGreater(int(r[3]), int(r[1]), "what is sent is longer than what it carries")
        self.assertGreater(passed, 0.3 * min(int(r[2]) for r in rows if r[0] == "json"))

    def test_a_rate_is_kept(self):
        with Relay() as relay:
            done = load(f"ws://127.0.0.1:{relay.address[1]}", "--idle", "0", "--pairs", "2", "--rate", "200", "--secs", "1",
                        "--sizes", "256")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(200 <= int(re.search(r"^json +256 +(\d+)", done.stdout, re.M)[1]) <= 440, done.stdout)

    def test_nodes_that_lose_their_relay_are_all_back_and_told_of_each_other_without_a_peak(self):
        port, nodes = free_port(), 300
        for threads in ("1", "2"):
            with self.subTest(threads=threads), Relay("--threads", threads, listen=f"127.0.0.1:{port}", expect_status=-9) as first:
                storm = subprocess.Popen([LOAD, "--relay", f"ws://127.0.0.1:{port}", "--idle", "0", "--pairs", "0", "--storm",
                                          str(nodes), "--again", "60"], stdout=subprocess.PIPE, text=True)
                self.addCleanup(storm.kill)
                said = [storm.stdout.readline() for _ in range(4)]
                self.assertEqual(said[-1], "waits for the end of the relay\n")
                self.assertEqual(first.peer_count(), nodes)
                steady = kib(first.process.pid, "VmRSS")
                first.signal(signal.SIGKILL)
                first.process.wait()
                with Relay("--threads", threads, listen=f"127.0.0.1:{port}") as second:
                    rest = storm.communicate(timeout=100)[0]
                    self.assertLess(kib(second.process.pid, "VmHWM"), 2 * steady)
                self.assertEqual(storm.returncode, 0, rest)
                back = re.search(r"^99% were in after ([\d.]+) s", rest, re.M)
                self.assertLess(float(back[1]), 60)
                self.assertIn(f"{nodes} connections ended", rest)
                self.assertIn(f"the list: {nodes - 1} nodes", rest)
                for text in (said[2], rest):
                    heard = int(re.search(r"^(\d+) heard that others came", text, re.M)[1])
                    self.assertGreater(heard, 0.9 * nodes, "the last to come may have nobody behind it")

    def test_nodes_of_the_old_protocol_hear_the_name_of_each_that_comes_behind_them(self):
        with Relay("--legacy-clients") as relay:
            done = load(f"ws://127.0.0.1:{relay.address[1]}", "--pid", str(relay.process.pid), "--idle", "0", "--pairs", "0",
                        "--old-nodes", "--storm", "300")
            self.assertEqual(done.returncode, 0, done.stderr)
            metrics = relay.get("/metrics")[2]
        heard = int(re.search(r"^(\d+) heard that others came", done.stdout, re.M)[1])
        self.assertGreater(heard, 270)
        told = int(re.search(r"^teale_relay_presence_events_total (\d+)", metrics, re.M)[1])
        self.assertTrue(300 <= told <= 600, "each join, and the leaves that were seen by now")
        self.assertRegex(metrics, r"(?m)^teale_relay_presence_summed_total 0$")

    def test_a_flood_of_one_node_and_slow_readers_do_not_hold_up_the_messages_of_others(self):
        for threads in ("1", "2"):
            with self.subTest(threads=threads), Relay("--threads", threads) as relay:
                done = load(f"ws://127.0.0.1:{relay.address[1]}", "--pid", str(relay.process.pid), "--idle", "0", "--pairs", "0",
                            "--floods", "data,frames,discover,slow")
                self.assertEqual(done.returncode, 0, done.stderr)
                rows = re.findall(r"^(nothing|data|frames|discover|slow) +(\d+) +(\d+) +(\d+) +(\d+)", done.stdout, re.M)
                self.assertEqual([r[0] for r in rows], ["nothing", "data", "frames", "discover", "slow"])
                for r in rows:  # a bound for a busy machine; `make bench` measures
                    self.assertLess(int(r[1]), 100_000, "half of the messages arrive within 100 ms")
                    self.assertLess(int(r[4]), 120_000, "KiB: eight readers that do not read have 1 MiB each, and as much between")

    @unittest.skipUnless(redisproc.BINARY, "no redis-server")
    def test_sender_and_receiver_may_be_at_two_relays_of_a_cluster(self):
        with redisproc.Redis() as redis:
            more = lambda i: ("--redis", redis.url(), "--relay-id", i, "--udp", "127.0.0.1:0")  # noqa: E731
            with Relay(*more("one")) as one, Relay(*more("two")) as two:
                done = load(f"ws://127.0.0.1:{one.address[1]}", "--to", f"ws://127.0.0.1:{two.address[1]}", "--pid",
                            str(one.process.pid), "--idle", "0",
                            "--pairs", "2", "--secs", "0.3", "--sizes", "1200", "--carriers", "json,binary,udp,trains")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual([r[0] for r in ROW.findall(done.stdout) if int(r[2]) > 0], ["json", "binary", "udp", "trains"])
                self.assertEqual([r[4] for r in ROW.findall(done.stdout)][:2], ["0", "0"])

    def test_by_tls_it_trusts_only_the_certificate_that_it_was_given(self):
        cert, key, other = (os.path.join(self.dir.name, n) for n in ("cert.pem", "key.pem", "other.pem"))
        for out in (other, cert):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                            "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", out],
                           check=True, capture_output=True)
        with Relay("--tls-cert", cert, "--tls-key", key, "--name", "localhost:0", listen="wss://127.0.0.1:0") as relay:
            pass
        port = relay.address[1]
        with Relay("--tls-cert", cert, "--tls-key", key, "--name", f"localhost:{port}", listen=f"wss://127.0.0.1:{port}"):
            args = ("--idle", "3", "--pairs", "1", "--secs", "0.2", "--sizes", "16384")
            done = load(f"wss://localhost:{port}", "--ca", cert, *args)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"\njson +16384 +[1-9]")
            done = load(f"wss://localhost:{port}", "--ca", other, *args)
            self.assertEqual(done.returncode, 1)
            self.assertIn("certificate", done.stderr)

    def test_what_it_does_not_know_is_told(self):
        for args in (("--carriers", "pigeon"), ("--floods", "tea"), ("--storm", "-1"), ("--sizes", "5"), ("--pid", "999999999"), ("--nonsense",)):
            self.assertEqual(load("ws://127.0.0.1:1", *args).returncode, 2)
        self.assertEqual(load("ws://127.0.0.1:1", "--idle", "1").returncode, 1)


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    unittest.main()
