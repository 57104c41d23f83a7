#!/usr/bin/env python3
"""test_behind.py TEALE TEALE-RELAY PARROT: a relay behind nginx, Caddy and HAProxy, each set up as docs/relay.md says: the
examples are taken from there. Nodes connect through it, and an answer comes. Skipped for each that is not installed."""
import os
import pathlib
import re
import shutil
import sys
import unittest

from proxyscene import Program, free_port
from scenery import Scenery, chat, wait_for, words_of

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
PAGE = pathlib.Path(__file__).resolve().parent.parent.parent / "docs/relay.md"


def example(language):
    return re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S).group(1)


class Behind(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)
        self.port = free_port()
        self.cert, self.key = self.scenery.certificate("127.0.0.1")
        self.relay = self.scenery.relay("--name", f"127.0.0.1:{self.port}")

    def path(self, name, text):
        file = os.path.join(self.scenery.directory, name)
        with open(file, "w", encoding="utf-8") as f:
            f.write(text)
        return file

    def of_page(self, language, **more):
        """The example, with the ports and files of this test. What is to be replaced must be there."""
        text = example(language)
        for this, to in {"127.0.0.1:8080": f"127.0.0.1:{self.relay.port}", **more}.items():
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

    def an_answer_comes(self):
        url = f"wss://127.0.0.1:{self.port}/teale/ws"
        nodes = []
        for args in (["--share", self.scenery.parrot("--model", "parrot").url], []):
            self.scenery.config(home := self.scenery.new_home(), wan_relay_ca_file=self.cert)
            nodes.append(self.scenery.node(url, *args, home=home))
        wait_for(lambda: "parrot" in [m["id"] for m in nodes[1].get_json("/v1/models")["data"]])
        words = " ".join(f"word{i}" for i in range(500))
        status, headers, body = nodes[1].post(chat("parrot", words))
        self.assertEqual((status, headers["X-Teale-Path"]), (200, "relayed"))
        self.assertIn(words, words_of(body))
        other = self.scenery.node(url.replace("/teale/ws", "/ws"), connected=False)  # the twin: not that path
        wait_for(lambda: other.status()["wan"]["error"])

    def test_nginx(self):
        server = self.of_page("nginx", **{"listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl", "/etc/ssl/relay.pem": self.cert,
                                          "/etc/ssl/relay.key": self.key})
        d = self.scenery.directory
        temp = "".join(f"{k}_temp_path {d}/{k};\n" for k in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.begins("nginx", ["-c", self.path("nginx.conf", f"daemon off;\npid {d}/nginx.pid;\nerror_log {d}/nginx.log;\n"
                                              f"events {{}}\nhttp {{\naccess_log off;\n{temp}{server}}}\n"), "-p", d])
        self.an_answer_comes()

    def test_caddy(self):
        site = self.of_page("caddy", **{"relay.example.org": f"https://127.0.0.1:{self.port}", "/etc/ssl/relay.pem": self.cert,
                                        "/etc/ssl/relay.key": self.key})
        file = self.path("Caddyfile", "{\nadmin off\nauto_https disable_redirects\nskip_install_trust\n}\n" + site)
        self.begins("caddy", ["run", "--config", file, "--adapter", "caddyfile"],
                    {"XDG_DATA_HOME": self.scenery.directory, "XDG_CONFIG_HOME": self.scenery.directory})
        self.an_answer_comes()

    def test_haproxy(self):
        with open(self.cert, encoding="ascii") as c, open(self.key, encoding="ascii") as k:
            both = self.path("both.pem", c.read() + k.read())
        config = self.of_page("haproxy", **{"bind :443": f"bind 127.0.0.1:{self.port}", "/etc/ssl/relay-and-key.pem": both})
        self.begins("haproxy", ["-db", "-f", self.path("haproxy.cfg", config)])
        self.an_answer_comes()


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
