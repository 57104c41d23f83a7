#!/usr/bin/env python3
"""test_behind.py TEALE TEALE-RELAY PARROT: a relay behind nginx, Caddy and HAProxy, each set up as docs/relay.md says: the
examples are taken from there. Nodes connect through it, an answer comes, and two clients behind it are two addresses to the relay. Skipped for each that is not installed."""
import json
import os
import pathlib
import re
import shutil
import ssl
import sys
import types
import unittest
import urllib.request

from ports import free_port
from proxyscene import Program
from relayproc import Node
from scenery import Scenery, chat, wait_for, words_of

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/relay.md"


def example(language, which=0):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S)[which]


class Behind(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)
        self.port = free_port()
        self.cert, self.key = self.scenery.certificate("127.0.0.1")
        self.behind(*self.options("With a web server in front"))

    def options(self, words):
        """What the page says behind these words to start the relay with, but for names and places."""
        page = PAGE.read_text(encoding="utf-8")
        self.assertIn(words, page)
        command = re.search(r"^```\nteale-relay (.*?)^```", page[page.index(words):], re.M | re.S)[1].replace("\\\n", " ").split()
        kept, skip = [], {"--listen", "--name", "--tls-cert", "--tls-key"}
        while command:
            option = command.pop(0)
            value = [command.pop(0)] if command and not command[0].startswith("--") else []
            kept += [] if option in skip else [option, *value]
        self.assertTrue(kept)
        return kept

    def behind(self, *args, **kw):
        token = self.path("token", "secret\n")
        self.relay = self.scenery.relay("--name", f"127.0.0.1:{self.port}", "--admin-token-file", token, *args, **kw)

    def path(self, name, text):
        file = os.path.join(self.scenery.directory, name)
        with open(file, "w", encoding="utf-8") as f:
            f.write(text)
        return file

    def of_page(self, language, which=0, **more):
        """The example, with the ports and files of this test. What is to be replaced must be there."""
        text = example(language, which)
        for this, to in {"127.0.0.1:8080": f"127.0.0.1:{self.relay.port}", **more}.items() if not which else more.items():
            self.assertIn(this, text)
            text = text.replace(this, to)
        return text

    def begins(self, name, args, env=None):
        program = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
        if not program:
            self.skipTest(f"{name} is not installed")
        os.environ.update(env or {})
        server = Program([program, *args], self.port)
        self.addCleanup(server.close)

    def two_clients_are_two_addresses(self, path="/teale/ws", scheme="http"):
        tls = ssl.create_default_context(cafile=self.cert)
        somewhere = types.SimpleNamespace(nodes=[])

        def client(source):
            # the second line is what a client would like to be: a proxy in front believes none of it
            node = Node(somewhere, address=("127.0.0.1", self.port), tls=tls, source=source, path=path,
                        headers="X-Forwarded-For: 192.0.2.1\r\n", timeout=20)
            self.addCleanup(node.close)
            return node
        nodes = {source: client(source) for source in ("127.0.0.2", "127.0.0.3")}
        for node in nodes.values():
            node.register()
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls))
        if scheme == "https":  # from an address that is trusted it would have to begin with the PROXY header
            with opener.open(f"https://127.0.0.1:{self.port}/metrics") as answer:
                self.assertIn(b'{result="told"} ', answer.read())
            request = urllib.request.Request(f"https://127.0.0.1:{self.port}/peers", headers={"Authorization": "Bearer secret"})
        else:
            request = urllib.request.Request(f"http://127.0.0.1:{self.relay.port}/peers", headers={"Authorization": "Bearer secret"})
        with opener.open(request) as answer:
            seen = {p["nodeID"]: p["observed"].partition(":")[0] for p in json.load(answer)["peers"]}
        self.assertEqual({source: seen[n.id] for source, n in nodes.items()}, {source: source for source in nodes})
        for _ in range(100):  # as many as one address may have that are not registered
            client("127.0.0.2")
        with self.assertRaises(Exception):
            client("127.0.0.2")
        client("127.0.0.3")

    def an_answer_comes(self, path="/teale/ws"):
        url = f"wss://127.0.0.1:{self.port}{path}"
        nodes = []
        for args in (["--share", self.scenery.parrot("--model", "parrot").url], []):
            self.scenery.config(home := self.scenery.new_home(), wan_relay_ca_file=self.cert)
            nodes.append(self.scenery.node(url, *args, home=home))
        wait_for(lambda: "parrot" in [m["id"] for m in nodes[1].get_json("/v1/models")["data"]])
        words = " ".join(f"word{i}" for i in range(500))
        status, headers, body = nodes[1].post(chat("parrot", words))
        self.assertEqual((status, headers["X-Teale-Path"]), (200, "relayed"))
        self.assertIn(words, words_of(body))
        other = self.scenery.node(url.replace(path, "/other"), connected=False)  # the twin: not that path
        wait_for(lambda: other.status()["wan"]["error"])

    def test_nginx(self):
        server = self.of_page("nginx", **{"listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl", "/etc/ssl/relay.pem": self.cert,
                                          "/etc/ssl/relay.key": self.key})
        d = self.scenery.directory
        temp = "".join(f"{k}_temp_path {d}/{k};\n" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.begins("nginx", ["-c", self.path("nginx.conf", f"daemon off;\npid {d}/nginx.pid;\nerror_log {d}/nginx.log;\n"
                                              f"events {{}}\nhttp {{\naccess_log off;\n{temp}{server}}}\n"), "-p", d])
        self.an_answer_comes()
        self.two_clients_are_two_addresses()

    def test_caddy(self):
        site = self.of_page("caddy", **{"relay.example.org": f"https://127.0.0.1:{self.port}", "/etc/ssl/relay.pem": self.cert,
                                        "/etc/ssl/relay.key": self.key})
        file = self.path("Caddyfile", "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n" + site)
        self.begins("caddy", ["run", "--config", file, "--adapter", "caddyfile"],
                    {"XDG_DATA_HOME": self.scenery.directory, "XDG_CONFIG_HOME": self.scenery.directory})
        self.an_answer_comes()
        self.two_clients_are_two_addresses()

    def test_haproxy(self):
        with open(self.cert, encoding="ascii") as c, open(self.key, encoding="ascii") as k:
            both = self.path("both.pem", c.read() + k.read())
        config = self.of_page("haproxy", **{"bind :443": f"bind 127.0.0.1:{self.port}", "/etc/ssl/relay-and-key.pem": both})
        self.begins("haproxy", ["-db", "-f", self.path("haproxy.cfg", config)])
        self.an_answer_comes()
        self.two_clients_are_two_addresses()

    def test_haproxy_that_leaves_tls_to_the_relay(self):
        place = free_port()
        self.behind("--tls-cert", self.cert, "--tls-key", self.key, *self.options("leave TLS to the relay"), scheme="wss", port=place)
        config = self.of_page("haproxy", 1, **{"bind :443": f"bind 127.0.0.1:{self.port}", "127.0.0.1:8443": f"127.0.0.1:{place}"})
        self.begins("haproxy", ["-db", "-f", self.path("haproxy.cfg", config)])
        self.an_answer_comes("/ws")
        self.two_clients_are_two_addresses("/ws", "https")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
