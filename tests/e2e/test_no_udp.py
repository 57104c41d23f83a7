#!/usr/bin/env python3
"""test_no_udp.py TEALE TEALE-RELAY PARROT: a node with nat.direct = false has no UDP port at all, not even for a relay that
carries datagrams by UDP, and answers come all the same."""
import os
import pathlib
import sys
import unittest

from scenery import Scenery, chat, wait_for, words_of

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])


def udp_sockets(node):
    """Inodes of the UDP sockets that the process has."""
    here = pathlib.Path("/proc", str(node.popen.pid))
    own = set()
    for fd in (here / "fd").iterdir():
        try:
            own.add(os.readlink(fd))
        except FileNotFoundError:
            pass
    all_udp = {f"socket:[{line.split()[9]}]" for table in ("udp", "udp6")
               for line in (here / "net" / table).read_text(encoding="ascii").splitlines()[1:]}
    return own & all_udp


class NoUdp(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None, None, None)
        self.relay = self.scenery.relay("--udp", "127.0.0.1:0")
        self.homes = [self.scenery.new_home() for _ in range(2)]

    def nodes(self, direct):
        parrot = self.scenery.parrot("--model", "parrot").url
        nodes = []
        for home, args in zip(self.homes, (["--share", parrot], [])):
            self.scenery.config(home, **{"nat.direct": direct, "nat.stun_servers": "[]", "nat.port_mapping": "false"})
            nodes.append(self.scenery.node(self.relay, *args, home=home, relayed=False))
        wait_for(lambda: "parrot" in [m["id"] for m in nodes[1].get_json("/v1/models")["data"]])
        return nodes

    def answer(self, node):
        words = " ".join(f"word{i}" for i in range(300))
        status, headers, body = node.post(chat("parrot", words))
        self.assertEqual(status, 200, body)
        self.assertIn(words, words_of(body))
        return headers["X-Teale-Path"]

    def test_nodes_that_go_by_the_relay_alone_open_no_udp_port(self):
        nodes = self.nodes("false")
        self.assertEqual([udp_sockets(n) for n in nodes], [set(), set()])
        self.assertEqual(self.answer(nodes[1]), "relayed")
        peer, = (p for p in nodes[1].json("peers")["peers"] if p.get("path"))
        self.assertEqual((peer["path"], peer["via"]), ("relayed", "websocket"))
        self.assertEqual([udp_sockets(n) for n in nodes], [set(), set()])

    def test_others_have_one_and_close_it_when_the_setting_changes(self):
        nodes = self.nodes("true")
        for n in nodes:
            self.assertTrue(udp_sockets(n))
        self.answer(nodes[1])
        for home, n in zip(self.homes, nodes):
            self.scenery.config(home, **{"nat.direct": "false"})
            wait_for(lambda n=n: not udp_sockets(n))
        self.assertEqual(self.answer(nodes[1]), "relayed")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
