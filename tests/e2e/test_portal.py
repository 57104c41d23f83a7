#!/usr/bin/env python3
"""test_portal.py TEALE TEALE-RELAY PARROT: a captive portal between a node and its relay is told as such, with the
address of its log-in, and the node goes on by itself when the portal lets it pass. Runs in a network of its own, where
the relay's ports 80 and 443 are free, or not at all."""
import http.server
import json
import os
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
from enter import enter  # noqa: E402
from scenery import Scenery, wait_for  # noqa: E402

TEALE, RELAY, PARROT = map(os.path.abspath, sys.argv[1:4])
NAME, AT = "relay.example.org", "198.18.0.9"  # the relay's, and the portal's while nobody has logged in
URL = f"wss://{NAME}/ws"
LOGIN = "http://login.hotel.example/in?to=relay"
STRANGER = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # RFC 8032 7.1
SAYS = "this network asks you to log in: open {} in a browser"


def make_network():
    reason = enter()
    if reason:
        print(f"skipped: {reason}")
        sys.exit(77)
    subprocess.run(["ip", "address", "add", AT + "/32", "dev", "lo"], check=True)
    for name, text in (("hosts", f"127.0.0.1 localhost\n{AT} {NAME}\n"), ("resolv.conf", "nameserver 127.0.0.53\n")):
        file = os.path.join(tempfile.mkdtemp(dir="/run"), name)
        pathlib.Path(file).write_text(text, encoding="ascii")
        subprocess.run(["mount", "--bind", file, f"/etc/{name}"], check=True)


class Server:
    """Answers every GET at AT:port with this status, these headers and a page; with TLS where there is a certificate."""

    def __init__(self, port, status, headers, cert=None):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                for header in headers.items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(b"<html><form>Room and name?</form></html>")

            def log_message(self, *args):
                pass

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.server = Quiet((AT, port), Handler)
        if cert:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*cert)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None


HTML = {"Content-Type": "text/html; charset=utf-8"}


class Case(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(TEALE, RELAY, PARROT)
        self.addCleanup(self.scenery.__exit__, None)
        self.cert = self.scenery.certificate(NAME)
        self.foreign = self.scenery.certificate("login.hotel.example")

    def server(self, *args, **named):
        s = Server(*args, **named)
        self.addCleanup(s.close)
        return s

    def node(self, url=URL):
        home = self.scenery.new_home()
        self.scenery.config(home, wan_relay_ca_file=self.cert[0], timeout_connect_secs="2")
        return self.scenery.node(url, "--insecure-relay", "--log-level", "debug", home=home, connected=False)

    def the_relay_stands(self):
        self.scenery.relay("--listen", f"wss://{AT}:443", "--tls-cert", self.cert[0], "--tls-key", self.cert[1],
                           "--name", NAME)

    def doctor(self, node):
        done = subprocess.run([TEALE, "--home", node.home, "doctor", "--json"], capture_output=True, text=True)
        return done.returncode, {c["id"]: c for c in json.loads(done.stdout)["checks"]}

    def is_told(self, node, login):
        wait_for(lambda: node.status()["wan"]["portal"])
        wan = node.status()["wan"]
        self.assertEqual((wan["portal"], wan["state"]), (login, "connecting"))
        self.assertEqual(wan["error"], "E_CAPTIVE_PORTAL: " + SAYS.format(login))
        self.assertIn(SAYS.format(login), node.command("status").stdout)
        code, found = self.doctor(node)
        self.assertEqual((code, found["portal"]["state"]), (1, "problem"))
        self.assertIn(f"Open {login} in a browser", found["portal"]["remedy"])
        self.assertIn("E_CAPTIVE_PORTAL", found["relay"]["evidence"])

    def is_not_told(self, node, cause):
        wait_for(lambda: cause in (node.status()["wan"]["error"] or ""))
        wait_for(lambda: sum("next try in" in l for l in node.log) >= 2)  # asked and answered after the first
        self.assertIsNone(node.status()["wan"]["portal"])
        self.assertNotIn("portal", self.doctor(node)[1])


class Portal(Case):
    def test_a_foreign_certificate_and_a_redirect_then_the_login_then_the_relay(self):
        portal = [self.server(443, 200, HTML, self.foreign), self.server(80, 302, {"Location": LOGIN})]
        node = self.node()
        self.is_told(node, LOGIN)
        said = node.command("ping", STRANGER, code=4)
        self.assertIn(SAYS.format(LOGIN), said.stderr)
        for p in portal:
            p.close()
        self.the_relay_stands()
        took = wait_for(lambda: node.status()["wan"]["state"] == "connected", 8)
        print(f"back {took:.1f} s after the log-in")
        wan = node.status()["wan"]
        self.assertEqual((wan["portal"], wan["error"]), (None, None))
        self.assertEqual(sum("warn: relay: E_CAPTIVE_PORTAL" in l for l in node.log), 1)
        self.assertNotIn("portal", self.doctor(node)[1])

    def test_a_page_in_place_of_tls_and_at_port_80(self):
        self.server(443, 200, HTML)
        self.server(80, 200, HTML)
        self.is_told(self.node(), f"http://{NAME}/")

    def test_a_page_in_place_of_a_relay_without_tls(self):
        self.server(8080, 200, HTML)
        self.is_told(self.node(f"ws://{NAME}:8080/ws"), f"http://{NAME}:8080/")

    def test_a_redirect_in_place_of_a_relay_without_tls(self):
        self.server(8080, 302, {"Location": LOGIN})
        self.is_told(self.node(f"ws://{NAME}:8080/ws"), LOGIN)

    def test_a_network_that_lets_nothing_but_port_80_through(self):
        self.server(80, 511, HTML)
        self.is_told(self.node(), f"http://{NAME}/")

    def test_the_port_80_watched_by_up(self):
        self.server(80, 302, {"Location": LOGIN})
        home = self.scenery.new_home()
        done = subprocess.run([TEALE, "--home", home, "up", "--relay", URL, "--api", "127.0.0.1:0"], capture_output=True,
                              text=True, timeout=60)
        self.addCleanup(subprocess.run, [TEALE, "--home", home, "down"], capture_output=True)
        status = subprocess.run([TEALE, "--home", home, "status"], capture_output=True, text=True)
        self.assertIn(SAYS.format(LOGIN), done.stdout + done.stderr + status.stdout)
        self.assertIn(SAYS.format(LOGIN), status.stdout)


class NoPortal(Case):
    """The twins: what is only a relay's own fault."""

    def test_a_wrong_certificate_of_a_server_that_is_one(self):
        self.server(443, 404, HTML, self.foreign)
        self.server(80, 301, {"Location": f"https://{NAME}/"})
        self.is_not_told(self.node(), "certificate")

    def test_a_wrong_path_at_the_right_certificate(self):
        self.server(443, 200, HTML, self.cert)
        self.server(80, 302, {"Location": LOGIN})
        self.is_not_told(self.node(), "answered HTTP 200")

    def test_a_relay_that_is_away_beside_a_server_of_pages(self):
        self.server(80, 200, HTML)
        self.is_not_told(self.node(), "nothing listens there")

    def test_a_wrong_path_without_tls(self):
        self.server(8080, 404, HTML)
        self.is_not_told(self.node(f"ws://{NAME}:8080/ws"), "answered HTTP 404")


if __name__ == "__main__":
    make_network()
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[4:]])
