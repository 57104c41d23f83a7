#!/usr/bin/env python3
"""test_proxies.py TEALE TEALE-RELAY PARROT: a node whose way to the relay leads through a proxy, named by its settings
or its environment; what it tells of proxies that refuse and lie; and who never sees the proxy's password."""
import json
import os
import subprocess
import sys
import time
import unittest

import proxyscene
from ports import free_port
from scenery import Scenery, chat, wait_for, words_of

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
PASSWORD = "pa55word-of-the-proxy"
LOGIN = "anne:" + PASSWORD
NONE = {name: "" for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")}


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)

    def proxy(self, *args, **named):
        p = proxyscene.Proxy(*args, **named)
        self.addCleanup(p.close)
        return p

    def program(self, p, name):
        if p is None:
            self.skipTest(f"{name} is not installed")
        self.addCleanup(p.close)
        return p

    def node(self, relay, *args, proxy="", ca=None, env=None, **more):
        home = self.scenery.new_home()
        settings = {"wan_proxy": proxy, **({"wan_relay_ca_file": ca} if ca else {})}
        self.scenery.config(home, **{k: v for k, v in settings.items() if v})
        return self.scenery.node(relay, *args, home=home, env={**NONE, **(env or {})}, **more)

    def asks(self, consumer):
        wait_for(lambda: "parrot" in [m["id"] for m in consumer.get_json("/v1/models")["data"]])
        status, headers, body = consumer.post(chat("parrot", "through the proxy"))
        self.assertEqual((status, headers["X-Teale-Path"]), (200, "relayed"))
        self.assertIn("through the proxy", words_of(body))

    def provider(self, relay):
        return self.node(relay, "--share", self.scenery.parrot("--model", "parrot").url)

    def tls_relay(self, name):
        """(relay, its CA)."""
        cert, port = self.scenery.certificate(name), free_port()
        relay = self.scenery.relay("--tls-cert", cert[0], "--tls-key", cert[1], "--name", f"{name}:{port}", scheme="wss",
                                   port=port)
        return relay, cert[0]

    def finding(self, node, name):
        done = subprocess.run([TEALE, "--home", node.home, "doctor", "--json"], capture_output=True, text=True)
        self.assertIn(done.returncode, (0, 1))
        return done.returncode, next(c for c in json.loads(done.stdout)["checks"] if c["id"] == name)


class Carries(Case):
    def test_an_answer_comes_through_tinyproxy_with_a_login_and_tls(self):
        proxy = self.program(proxyscene.tinyproxy(self.scenery.directory, LOGIN), "tinyproxy")
        relay, ca = self.tls_relay("127.0.0.1")
        self.scenery.config(home := self.scenery.new_home(), wan_relay_ca_file=ca)
        self.scenery.node(relay, "--share", self.scenery.parrot("--model", "parrot").url, home=home)
        node = self.node(relay, proxy=f"http://{LOGIN}@127.0.0.1:{proxy.port}", ca=ca)
        self.asks(node)
        with open(proxy.log, encoding="utf-8") as f:
            self.assertIn(f"CONNECT 127.0.0.1:{relay.port}", f.read())

    def test_tinyproxy_refuses_a_wrong_password(self):
        proxy = self.program(proxyscene.tinyproxy(self.scenery.directory, LOGIN), "tinyproxy")
        relay = self.scenery.relay()
        for login, words in (("anne:wrong@", "refused the user or the password"), ("", "wants a login")):
            node = self.node(relay, proxy=f"http://{login}127.0.0.1:{proxy.port}", connected=False)
            wait_for(lambda: words in (node.status()["wan"]["error"] or ""))
        self.node(relay, proxy=f"http://{LOGIN}@127.0.0.1:{proxy.port}")

    def test_an_answer_comes_through_microsocks_with_a_login(self):
        proxy = self.program(proxyscene.microsocks(LOGIN), "microsocks")
        relay = self.scenery.relay()
        self.provider(relay)
        for scheme in ("socks5h", "socks5"):
            self.asks(self.node(relay, proxy=f"{scheme}://{LOGIN}@127.0.0.1:{proxy.port}"))
        wrong = self.node(relay, proxy=f"socks5h://anne:wrong@127.0.0.1:{proxy.port}", connected=False)
        wait_for(lambda: "refused the user or the password" in (wrong.status()["wan"]["error"] or ""))

    def test_a_relay_with_an_ipv6_address_is_reached_through_both_kinds(self):
        relay = self.scenery.relay("--listen", "ws://[::1]:0")
        url = next((u for u in relay.ready.replace(",", " ").replace("ws=", " ").split() if "[::1]" in u), None)
        if not url:
            self.skipTest("there is no IPv6 here")
        proxy = self.proxy()
        for scheme in ("http", "socks5", "socks5h"):
            self.node(url, proxy=f"{scheme}://127.0.0.1:{proxy.port}")
        self.assertEqual([a[0] for a in proxy.asked], ["::1"] * 3)

    def test_the_environment_names_a_proxy_that_looks_the_relay_up(self):
        proxy = self.proxy(names={"relay.example.org": "127.0.0.1"})
        relay, ca = self.tls_relay("relay.example.org")
        url = f"wss://relay.example.org:{relay.port}/ws"
        at = f"127.0.0.1:{proxy.port}"
        for variable, value in (("https_proxy", f"http://{LOGIN}@{at}"), ("ALL_PROXY", f"socks5h://{LOGIN}@{at}")):
            node = self.node(url, ca=ca, env={variable: value}, connected=False)
            wait_for(lambda: node.status()["wan"]["state"] == "connected")
            self.assertEqual(proxy.asked[-1], ("relay.example.org", relay.port, LOGIN))
            self.assertEqual(node.status()["wan"]["proxy"], value.replace(LOGIN + "@", ""))
            self.assertIn(variable, self.finding(node, "proxy")[1]["evidence"])
        before = len(proxy.asked)
        exempt = self.node(url, ca=ca, env={"https_proxy": f"http://{at}", "no_proxy": "localhost, .example.org"},
                           connected=False)
        wait_for(lambda: "cannot look up relay.example.org" in (exempt.status()["wan"]["error"] or ""))
        none = self.node(url, ca=ca, proxy="none", env={"https_proxy": f"http://{at}"}, connected=False)
        wait_for(lambda: "cannot look up relay.example.org" in (none.status()["wan"]["error"] or ""))
        self.assertEqual(len(proxy.asked), before)

    def test_a_relay_on_this_machine_takes_no_proxy_of_the_environment(self):
        relay = self.scenery.relay()
        node = self.node(relay, env={"all_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"})
        self.assertIsNone(node.status()["wan"]["proxy"])

    def test_a_change_of_the_setting_moves_the_running_node(self):
        relay, proxy = self.scenery.relay(), self.proxy()
        node = self.configured(relay)
        node.command("config", "set", "wan_proxy", f"http://127.0.0.1:{proxy.port}")
        wait_for(lambda: proxy.asked and node.status()["wan"]["state"] == "connected")
        node.command("config", "set", "wan_proxy", "none")
        wait_for(lambda: node.status()["wan"]["proxy"] is None and node.status()["wan"]["state"] == "connected")

    def configured(self, relay):
        self.scenery.config(home := self.scenery.new_home(), wan_relay_url=relay.url, wan_enabled="true")
        return self.scenery.node(None, home=home, env=NONE)

    def test_the_node_comes_back_when_the_proxy_does(self):
        relay, proxy = self.scenery.relay(), self.proxy()
        node = self.node(relay, proxy=f"http://127.0.0.1:{proxy.port}")
        proxy.close()
        wait_for(lambda: "the proxy http://127.0.0.1" in (node.status()["wan"]["error"] or ""))
        self.assertIn("nothing listens there", node.status()["wan"]["error"])
        self.proxy(port=proxy.port)
        wait_for(lambda: node.status()["wan"]["state"] == "connected", 30)

    def test_direct_paths_do_not_go_through_the_proxy(self):
        relay, proxy = self.scenery.relay("--udp", "127.0.0.1:0"), self.proxy()
        self.node(relay, "--share", self.scenery.parrot("--model", "parrot").url, relayed=False)
        node = self.node(relay, proxy=f"http://127.0.0.1:{proxy.port}", relayed=False)
        wait_for(lambda: "parrot" in [m["id"] for m in node.get_json("/v1/models")["data"]])

        def path():
            return node.post(chat("parrot", "hello"))[1]["X-Teale-Path"]
        wait_for(lambda: path() in ("lan", "direct"))
        proxy.close()
        self.assertIn(path(), ("lan", "direct"))
        self.assertIn("UDP goes through no proxy", self.finding(node, "proxy")[1]["evidence"])


def page(client):
    proxyscene.read_head(client)
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
    client.recv(100)


def late_page(client):
    proxyscene.read_head(client)
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    client.recv(1, 2)  # MSG_PEEK
    client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n<html>")
    client.recv(100)


def huge(client):
    proxyscene.read_head(client)
    client.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-Pad: 0123456789\r\n" * 10000)


def says(answer, head=True):
    def lie(client):
        if head:
            proxyscene.read_head(client)
        else:
            client.recv(100)
        client.sendall(answer)
        client.recv(100)
    return lie


def drips(client):
    proxyscene.read_head(client)
    for c in b"HTTP/1.1 200 OK\r\nX-Slow: 0123456789012345678901234567890123456789":
        client.sendall(bytes([c]))
        time.sleep(0.5)


BASIC = b"HTTP/1.1 407 no\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"
LIES = {
    "garbage": ("http", says(b"\xff\xfe\x00garbage\r\n"), "does not speak HTTP", "wan_proxy"),
    "page": ("http", page, "6 bytes of its own behind its answer", "wan_proxy"),
    "late page": ("http", late_page, "does not speak TLS on this port (through the proxy http://127.0.0.1", "wan_proxy"),
    "huge head": ("http", huge, "sent a head of more than 16 KiB", "wan_proxy"),
    "login": ("http", says(BASIC), "wants a login (HTTP 407)", "USER:PASSWORD"),
    "wrong login": (f"http://{LOGIN}", says(BASIC), "refused the user or the password", "Correct"),
    "NTLM": (f"http://{LOGIN}", says(b"HTTP/1.1 407 no\r\nProxy-Authenticate: NTLM\r\n\r\n"), "does not speak", "wan_proxy"),
    "forbidden": ("http", says(b"HTTP/1.1 403 no\r\n\r\n"), "does not allow a connection to 127.0.0.1", "wan_proxy"),
    "redirect": ("http", says(b"HTTP/1.1 302 no\r\nLocation: http://portal.example/\r\n\r\n"),
                 "answered HTTP 302 where a connection was expected", "wan_proxy"),
    "gateway": ("http", says(b"HTTP/1.1 504 no\r\n\r\n"), "HTTP 504", "wan_proxy"),
    "closes": ("http", lambda client: client.recv(100), "closed the connection", "wan_proxy"),
    "SOCKS as HTTP": ("http", says(b"\x05\xff", head=False), "speaks SOCKS5", "wan_proxy"),
    "HTTP as SOCKS": ("socks5h", says(b"HTTP/1.1 400 no\r\n\r\n", head=False), "speaks HTTP, not SOCKS5", "wan_proxy"),
    "SOCKS login": ("socks5h", says(b"\x05\xff", head=False), "wants a login", "USER:PASSWORD"),
    "SOCKS closes": ("socks5h", lambda client: client.recv(100), "closed the connection", "wan_proxy"),
    "SOCKS says too much": ("socks5h", says(b"\x05\x00\x05\x00\x00\x01", head=False), "4 bytes of its own", "wan_proxy"),
    "drips": ("http", drips, "did not connect to 127.0.0.1", "wan_proxy"),
    "silent": ("socks5h", lambda client: time.sleep(30), "within 10 s", "wan_proxy"),
}


class Lies(Case):
    def test_each_lie_of_a_proxy_is_told_in_one_clear_line(self):
        relay, ca = self.tls_relay("127.0.0.1")
        nodes = {}
        for what, (scheme, lie, _, _) in LIES.items():
            scheme, _, login = scheme.partition("://")
            url = f"{scheme}://{login + '@' if login else ''}127.0.0.1:{self.proxy(lie).port}"
            nodes[what] = self.node(relay, proxy=url, ca=ca, connected=False)
        for what, (_, _, cause, remedy) in LIES.items():
            with self.subTest(what=what):
                node = nodes[what]
                wait_for(lambda: node.status()["wan"]["error"], 15)
                wan = node.status()["wan"]
                self.assertIn(cause, wan["error"])
                self.assertIn("the proxy ", wan["error"])
                code, found = self.finding(node, "relay")
                self.assertEqual((code, found["state"]), (1, "problem"))
                self.assertIn(cause, found["evidence"])
                self.assertIn(remedy, found["remedy"])
                told = [l for l in node.log if "warn: relay: " in l]
                self.assertEqual(len(told), 1, told)
                self.assertFalse(any(PASSWORD in l for l in node.log))


class Secret(Case):
    def test_the_password_is_shown_to_nobody(self):
        relay, proxy = self.scenery.relay(), self.proxy()
        url = f"http://{LOGIN}@127.0.0.1:{proxy.port}"
        node = self.node(relay, "--log-level", "debug", proxy=url)
        self.assertEqual(proxy.asked[0][2], LOGIN)
        seen = [node.command("status").stdout, json.dumps(node.status()), json.dumps(node.get_json("/v1/app")),
                node.command("doctor").stdout, node.command("config", "list").stdout,
                json.dumps(node.json("config", "list")), node.command("bugreport").stdout,
                node.command("netcheck").stdout, "\n".join(node.log)]
        c, metrics = node.request("GET", "/metrics")
        seen.append(metrics.read().decode())
        c.close()
        for text in seen:
            self.assertNotIn(PASSWORD, text)
        self.assertIn(f"http://127.0.0.1:{proxy.port}", seen[0])
        self.assertIn(f"through the proxy http://127.0.0.1:{proxy.port}", seen[0])
        self.assertEqual(node.command("config", "get", "wan_proxy").stdout.strip(), url)
        self.assertEqual(node.json("config", "get", "wan_proxy")["value"], url)
        mode = os.stat(os.path.join(node.home, "teale.toml")).st_mode & 0o777
        self.assertEqual(mode, 0o600)

    def test_a_wrong_proxy_is_refused_without_repeating_its_password(self):
        home = self.scenery.new_home()
        for wrong in (f"https://{LOGIN}@proxy:1", f"socks4://{LOGIN}@proxy:1", f"http://{LOGIN}@proxy:99999"):
            done = subprocess.run([TEALE, "--home", home, "config", "set", "wan_proxy", wrong], capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn("wan_proxy must be a proxy's URL", done.stderr)
            self.assertNotIn(PASSWORD, done.stdout + done.stderr)
        node = self.node("wss://relay.example.org/ws", env={"https_proxy": f"socks4://{LOGIN}@proxy:1"}, connected=False)
        wait_for(lambda: "https_proxy: SOCKS4 is not supported" in (node.status()["wan"]["error"] or ""))
        self.assertFalse(any(PASSWORD in l for l in node.log))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:], verbosity=2)
