#!/usr/bin/env python3
"""test_slow_dns.py TEALE TEALE-RELAY PARROT: name servers that are dead or slow hold up nothing that has its name
already. Runs in network and mount namespaces of its own, with its own /etc/resolv.conf and /etc/hosts, or not at all."""
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
from enter import enter  # noqa: E402
from scenery import Scenery, chat, wait_for  # noqa: E402

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
DEAD, SLOW = "10.99.0.53", "127.0.0.53"  # nobody is at the first; the test answers at the second
DELAY = 3


def make_network():
    """A line to a router that is gone, and the files of the resolver. Exit 77 where that cannot be."""
    reason = enter()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    for command in ("link add line type veth peer name nowhere", "address add 10.99.0.2/24 dev line",
                    "link set line up", "link set nowhere up", "route add default via 10.99.0.1"):
        subprocess.run(["ip", *command.split()], check=True)
    for name, text in (("hosts", "127.0.0.1 localhost modelbox\n"), ("resolv.conf", "")):
        file = os.path.join(tempfile.mkdtemp(dir="/run"), name)
        pathlib.Path(file).write_text(text, encoding="ascii")
        subprocess.run(["mount", "--bind", file, f"/etc/{name}"], check=True)


def use_name_server(address):
    """In place: the file is a mount."""
    with open("/etc/resolv.conf", "w", encoding="ascii") as f:
        f.write(f"nameserver {address}\n")


class NameServer(threading.Thread):
    """Answers each question for an IPv4 address with 127.0.0.1, DELAY seconds late, each in its own time."""

    def __init__(self):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((SLOW, 53))
        self.asked = []

    def run(self):
        while True:
            question, asker = self.sock.recvfrom(1500)
            end = question.index(b"\0", 12) + 5
            self.asked.append(question[13:13 + question[12]].decode())
            is_a = question[end - 4:end] == b"\0\1\0\1"
            answer = question[:2] + struct.pack(">HHHHH", 0x8180, 1, is_a, 0, 0) + question[12:end]
            if is_a:
                answer += b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + bytes([127, 0, 0, 1])
            threading.Timer(DELAY, self.sock.sendto, (answer, asker)).start()


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)

    def sharing(self, relay, **more):
        """A node whose model server has its name in /etc/hosts."""
        port = re.search(r":(\d+)", self.scenery.parrot().url.split("//")[1])[1]
        return self.scenery.node(relay, "--share", f"http://modelbox:{port}", connected=False, **more)

    def ask_fast(self, node, times=5):
        for _ in range(times):
            begun = time.monotonic()
            status, _, body = node.post(chat("parrot", "one two", stream=False))
            took = time.monotonic() - begun
            self.assertEqual(status, 200, body)
            self.assertLess(took, 2)


class Dead(Case):
    def test_no_name_server_takes_down_no_model_server_that_is_in_the_hosts_file(self):
        use_name_server(DEAD)
        node = self.sharing("wss://relay.example.org/ws", relayed=False)  # STUN servers are looked up, too
        self.ask_fast(node)
        self.assertEqual(node.status()["backend"]["state"], "up")
        self.assertNotIn("connected", node.status()["wan"]["state"].replace("connecting", ""))

    def test_what_is_told_blames_the_dns_and_nothing_else(self):
        use_name_server(DEAD)
        node = self.sharing("wss://relay.example.org/ws")
        node.wait_line(r"warn: relay: cannot use wss://relay\.example\.org/ws: .*"
                       r"(cannot look up relay\.example\.org|no connection within 10 s)", 30)
        begun = time.monotonic()
        for command in ("status", "peers", "models"):
            done = subprocess.run([TEALE, "--home", node.home, command], capture_output=True, text=True, timeout=20)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual([l for l in node.log if "model server" in l and "warn" in l], [])
        self.ask_fast(node)


class Slow(Case):
    def test_names_that_come_late_are_used_and_hold_up_nobody(self):
        use_name_server(SLOW)
        server = NameServer()
        server.start()
        self.addCleanup(server.sock.close)
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        relay = self.scenery.relay("--name", f"relay.slow.test:{port}", port=port)
        begun = time.monotonic()
        node = self.sharing(f"ws://relay.slow.test:{relay.port}/ws", home=self.allowing())
        self.ask_fast(node, 3)
        self.assertLess(time.monotonic() - begun, DELAY + 2)
        wait_for(lambda: node.status()["wan"]["state"] == "connected", 30)
        self.assertIn("relay", server.asked)

    def allowing(self):
        """A home that allows a relay in the clear: its name is not known to be this machine's."""
        home = self.scenery.new_home()
        self.scenery.config(home, wan_allow_insecure_relay="true")
        return home


if __name__ == "__main__":
    make_network()
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
