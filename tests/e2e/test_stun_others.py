#!/usr/bin/env python3
"""test_stun_others.py TEALE-RELAY Coturn|Stund: other people's STUN clients ask our server over
loopback. Exit 77 with the reason where they are not installed. (Coturn's are in the same package as
its server, which a machine with systemd starts at once: it is nothing to install unasked.)"""
import re
import shutil
import socket
import subprocess
import sys
import unittest

import relayproc
from relayproc import Relay
from test_stun import dropped, udp_of

CLIENTS = {"Coturn": ("turnutils_stunclient", "turnutils_natdiscovery"), "Stund": ("stun",)}
PACKAGES = {"Coturn": "coturn", "Stund": "stun-client"}


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    return done.returncode, done.stdout


class Coturn(unittest.TestCase):
    def test_its_client_learns_its_address(self):
        with Relay("--udp", "127.0.0.2:0") as relay:
            status, text = run("turnutils_stunclient", "-p", str(udp_of(relay)[0][1]), "127.0.0.2")
            self.assertEqual(status, 0, text)
            self.assertRegex(text, r"UDP reflexive addr: 127\.0\.0\.1:\d+")
            self.assertNotIn("RFC 5780", text)  # one address: nothing is promised

    def discover(self, relay, *args):
        status, text = run("turnutils_natdiscovery", *args, "-p", str(udp_of(relay)[0][1]), "127.0.0.2")
        self.assertEqual(status, 0, text)
        return text

    def test_its_discovery_measures_mapping_and_filtering(self):
        with Relay("--udp", "127.0.0.2:0", "--udp", "127.0.0.3:0") as relay:
            servers = ["%s:%d" % s for s in udp_of(relay)]
            text = self.discover(relay, "-m", "-f", "-L", "127.0.0.1")
            origins = re.findall(r"Response origin: : (\S+)", text)
            # asked at the first; at the other address; and answered from the opposite when so asked
            for wanted in (servers[0], servers[2], servers[3]):
                self.assertIn(wanted, origins, text)
            self.assertIn(f"Other addr: : {servers[3]}", text)
            self.assertIn("No NAT! (Endpoint Independent Mapping)", text)
            self.assertIn("NAT with Endpoint Independent Filtering!", text)

    def test_its_discovery_is_told_where_there_is_none(self):
        with Relay("--udp", "127.0.0.2:0") as relay:
            _, text = run("turnutils_natdiscovery", "-f", "-p", str(udp_of(relay)[0][1]), "127.0.0.2")
            self.assertNotIn("Other addr", text)
            self.assertNotIn("Endpoint Independent Filtering", text)


class Stund(unittest.TestCase):
    """It speaks RFC 3489 alone: without the cookie nothing tells STUN from other traffic, and our
    server keeps silent rather than answer what anybody may have sent."""

    def first_datagram(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind(("127.0.0.2", 0))
            s.settimeout(20)
            client = subprocess.Popen(["stun", "127.0.0.2:%d" % s.getsockname()[1]], stdout=subprocess.DEVNULL)
            try:
                return s.recv(2000)
            finally:
                client.kill()
                client.wait()

    def test_it_has_no_cookie_and_gets_no_answer(self):
        self.assertNotEqual(self.first_datagram()[4:8], bytes.fromhex("2112a442"))
        with Relay("--udp", "127.0.0.2:0") as relay:
            _, text = run("stun", "127.0.0.2:%d" % udp_of(relay)[0][1])
            self.assertIn("could not reach STUN server", text)
            self.assertGreater(dropped(relay, "malformed"), 0)


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    wanted = sys.argv[1]
    missing = [c for c in CLIENTS[wanted] if not shutil.which(c)]
    if missing:
        print(f"skipped: no {' and no '.join(missing)} here (Debian package {PACKAGES[wanted]})")
        sys.exit(77)
    unittest.main()
