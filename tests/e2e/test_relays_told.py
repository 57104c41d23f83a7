#!/usr/bin/env python3
"""test_relays_told.py TEALE TEALE-RELAY PARROT: a relay that cannot be used is told where a person looks (log, status,
doctor) with its cause, once in an outage; and a relay tells its own owner what is wrong with its certificate."""
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import unittest

from scenery import Scenery, wait_for

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
WALLCLOCK = os.path.join(os.path.dirname(PARROT), "libwallclock.so")
DAY = 86400


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)

    def certificate(self, *names, age=0):
        """Made `age` seconds ago; they are good for two days."""
        offset = os.path.join(self.scenery.directory, "offset")
        with open(offset, "w", encoding="ascii") as f:
            f.write(str(-age))
        cert, key = (os.path.join(self.scenery.directory, f"{kind}-{names[0]}-{age}.pem") for kind in ("cert", "key"))
        alternatives = ",".join(("IP:" if n[0].isdigit() else "DNS:") + n for n in names)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={alternatives}", "-keyout", key,
                        "-out", cert], check=True, stderr=subprocess.DEVNULL,
                       env=dict(os.environ, LD_PRELOAD=WALLCLOCK, WALLCLOCK_OFFSET=offset))
        return cert, key

    def tls_relay(self, *args, cert):
        return self.scenery.relay("--tls-cert", cert[0], "--tls-key", cert[1], *args, scheme="wss")


class Node(Case):
    def begin(self, url, ca=None):
        home = self.scenery.new_home()
        if ca:
            self.scenery.config(home, wan_relay_ca_file=ca)
        return self.scenery.node(url, "--log-level", "debug", home=home, connected=False)

    def told(self, node):
        return [l for l in node.log if "warn: relay: " in l]

    def tries(self, node):
        return sum("next try in" in l for l in node.log)

    def judge(self, node, url, cause, remedy):
        wait_for(lambda: self.tries(node) >= 3, 60)
        told = self.told(node)
        self.assertEqual(len(told), 1, told)
        self.assertIn(f"cannot use {url}: ", told[0])
        self.assertIn(cause, told[0])
        wan = node.status()["wan"]
        self.assertEqual((wan["state"], wan["relay"]), ("connecting", url))
        self.assertIn(cause, wan["error"])
        done = subprocess.run([TEALE, "--home", node.home, "doctor", "--json"], capture_output=True, text=True)
        found = {c["id"]: c for c in json.loads(done.stdout)["checks"]}["relay"]
        self.assertEqual((done.returncode, found["state"]), (1, "problem"))
        self.assertIn(cause, found["evidence"])
        self.assertIn(remedy, found["remedy"])

    def http_server(self):
        class NotFound(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_error(404)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), NotFound)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return "ws://127.0.0.1:%d/ws" % server.server_address[1]

    def test_each_cause_is_told_once_and_with_its_remedy(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            closed = "ws://127.0.0.1:%d/ws" % s.getsockname()[1]
        old, other, good = (self.certificate("127.0.0.1", age=9 * DAY), self.certificate("relay.example.org"),
                            self.certificate("127.0.0.1"))
        plain = self.scenery.relay()
        cases = {
            "refused": (closed, None, "nothing listens there", "Start teale-relay"),
            "look-up": ("wss://relay.invalid/ws", None, "cannot look up relay.invalid", "DNS"),
            "expired": (self.tls_relay(cert=old).url, old[0], "expired on 20", "clock"),
            "name": (self.tls_relay(cert=other).url, other[0], "it is for relay.example.org, not for 127.0.0.1", "name"),
            "authority": (self.tls_relay(cert=good).url, None, "self-signed", "wan_relay_ca_file"),
            "no TLS": (plain.url.replace("ws:", "wss:"), None, "does not speak TLS", "ws://"),
            "HTTP": (self.http_server(), None, "it answered HTTP 404", "path of "),
            "registration": (self.scenery.relay("--name", "relay.example.org").url, None,
                             "refused us (unauthorized): no proof of this key for this relay", "--name"),
        }
        nodes = {what: self.begin(url, ca) for what, (url, ca, _, _) in cases.items()}
        for what, (url, _, cause, remedy) in cases.items():
            with self.subTest(what=what):
                self.judge(nodes[what], url, cause, remedy)

    def test_a_server_that_says_nothing_is_told_too(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            node = self.begin("ws://127.0.0.1:%d/ws" % s.getsockname()[1])
            wait_for(lambda: self.told(node), 15)
            self.assertIn("no WebSocket answer within 10 s", self.told(node)[0])

    def test_the_end_of_an_outage_is_told_and_the_next_outage_again(self):
        relay = self.scenery.relay()
        node = self.begin(relay.url)
        wait_for(lambda: node.status()["wan"]["state"] == "connected")
        self.assertEqual(self.told(node), [])
        for outage in (1, 2):
            relay.kill()
            relay.popen.wait(10)
            self.scenery.running.remove(relay)
            wait_for(lambda: self.tries(node) >= 3 * outage, 30)
            told = self.told(node)
            self.assertEqual(len(told), 2 * outage, told)
            self.assertIn(f"lost {relay.url}", told[-2])
            self.assertIn("nothing listens there", told[-1])
            relay = self.scenery.relay(port=relay.port)
            wait_for(lambda: node.status()["wan"]["state"] == "connected", 60)
            # what the node logs is read by a thread of this test
            again = f"info: relay: connected to {relay.url}, after "
            wait_for(lambda: sum(again in l for l in node.log) >= outage)
            self.assertEqual(sum(again in l for l in node.log), outage)


class Own(Case):
    """What a relay tells its owner at its start and at SIGHUP."""

    def warnings(self, *args, cert):
        relay = self.tls_relay(*args, cert=cert)
        relay.end()  # so that its whole log is here
        return [l for l in relay.log if "warn" in l and "certificate" in l]

    def test_a_certificate_that_no_node_accepts_is_told_at_the_start(self):
        old, early = self.certificate("127.0.0.1", age=9 * DAY), self.certificate("127.0.0.1", age=-9 * DAY)
        self.assertRegex(self.warnings(cert=old)[0], r'event=certificate_unusable file=.* why="it expired on 20')
        self.assertRegex(self.warnings(cert=early)[0], r"it is not valid before 20")
        self.assertEqual(self.warnings(cert=self.certificate("127.0.0.1")), [])

    def test_a_certificate_for_another_name_than_nodes_dial_is_told_at_the_start(self):
        cert = self.certificate("relay.example.org", "127.0.0.1")
        self.assertEqual(self.warnings("--name", "relay.example.org:8443", cert=cert), [])
        told = self.warnings("--name", "relay.example.org", "--name", "relay.example.net", cert=cert)
        self.assertEqual(len(told), 1, told)
        self.assertRegex(told[0], r'event=certificate_not_for_name name=relay\.example\.net file=.* why="'
                                  r'it is for relay\.example\.org, 127\.0\.0\.1, not for relay\.example\.net')

    def test_a_certificate_that_is_renewed_too_late_is_told_at_sighup(self):
        good, old = self.certificate("127.0.0.1"), self.certificate("127.0.0.1", age=9 * DAY)
        relay = self.tls_relay(cert=good)
        for this, to in ((old[0], good[0]), (old[1], good[1])):
            os.replace(this, to)
        relay.kill(1)
        relay.wait_line(r'event=certificate_unusable file=.* why="it expired on 20')


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
