#!/usr/bin/env python3
"""test_relay_proxied.py TEALE-RELAY: who a relay takes a connection for that comes through a proxy: X-Forwarded-For and the
PROXY protocol, from trusted addresses and from others. 127.0.0.1 is the proxy here, 127.0.0.9 a stranger."""
import json
import pathlib
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

import relayproc
from relayproc import Node, Relay

STRANGER = "127.0.0.9"
V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client):
    return f"PROXY TCP{6 if ':' in client else 4} {client} {'::1' if ':' in client else '127.0.0.1'} 40000 443\r\n".encode()


def v2(client, command=1, tlvs=b""):
    family = socket.AF_INET6 if ":" in client else socket.AF_INET
    ips = socket.inet_pton(family, client) + socket.inet_pton(family, "::1" if family == socket.AF_INET6 else "127.0.0.1")
    body = ips + struct.pack(">HH", 40000, 443) + tlvs
    return V2 + bytes([0x20 | command, 0x21 if family == socket.AF_INET6 else 0x11]) + struct.pack(">H", len(body)) + body


def forwarded(value):
    return f"X-Forwarded-For: {value}\r\n"


class Proxied(unittest.TestCase):
    def setUp(self):
        self.token = tempfile.NamedTemporaryFile("w", suffix=".token", encoding="ascii")  # pylint: disable=consider-using-with
        self.addCleanup(self.token.close)
        self.token.write("secret\n")
        self.token.flush()

    def start(self, *args, **kw):
        self.relay = Relay("--admin-token-file", self.token.name, *args, **kw)
        self.addCleanup(self.relay.__exit__, None, None, None)
        self.tls = None
        return self.relay

    def with_tls(self, *args):
        directory = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(directory.cleanup)
        cert, key = (str(pathlib.Path(directory.name, f)) for f in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                        "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True,
                       stderr=subprocess.DEVNULL)
        self.start("--tls-cert", cert, "--tls-key", key, *args)
        self.tls = ssl.create_default_context(cafile=cert)

    def node(self, **kw):
        node = Node(self.relay, tls=self.tls, **kw)
        self.addCleanup(node.close)
        node.register()
        return node

    def get(self, path, source=STRANGER, headers="Authorization: Bearer secret\r\n", first=b""):
        """(status, body); status 0: it ended without an answer."""
        with socket.create_connection(self.relay.address, 10, source_address=(source, 0)) as s:
            got = b""
            s.sendall(first)
            if self.tls:
                s = self.tls.wrap_socket(s, server_hostname="127.0.0.1")
            try:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
                while more := s.recv(65536):
                    got += more
            except (ConnectionResetError, BrokenPipeError):
                pass
            s.close()
        return (int(got.split()[1]) if got else 0), got.partition(b"\r\n\r\n")[2].decode()

    def seen(self, node):
        """The address that the operator sees of it, without the port."""
        status, body = self.get("/peers")
        self.assertEqual(status, 200)
        observed, = (p["observed"] for p in json.loads(body)["peers"] if p["nodeID"] == node.id)
        return observed.rpartition(":")[0].strip("[]")

    def told(self):
        return {k: int(v) for k, v in re.findall(r'^teale_relay_client_addresses_total{result="(\w+)"} (\d+)',
                                                 self.get("/metrics")[1], re.M)}


class ForwardedFor(Proxied):
    def test_a_trusted_proxy_tells_the_client_and_a_stranger_does_not(self):
        self.start("--trusted-proxy", "127.0.0.1", "--trusted-proxy", "10.0.0.0/8")
        self.assertEqual(self.seen(self.node(headers=forwarded("198.51.100.1, 192.0.2.7, 10.1.2.3"))), "192.0.2.7")
        self.assertEqual(self.seen(self.node(headers=forwarded("2001:db8::7"))), "2001:db8::7")
        self.assertEqual(self.seen(self.node(headers=forwarded("198.51.100.1") + forwarded("::ffff:192.0.2.8"))), "192.0.2.8")
        self.assertEqual(self.seen(self.node()), "127.0.0.1")
        self.assertEqual(self.seen(self.node(headers=forwarded("unknown"))), "127.0.0.1")
        self.assertEqual(self.seen(self.node(headers=forwarded("192.0.2.7"), source=STRANGER)), STRANGER)
        self.assertEqual(self.told(), {"told": 3, "nothing": 1, "malformed": 1, "untrusted": 1})
        self.relay.wait_log("event=client_address_unusable from=127.0.0.1:")

    def test_without_a_trusted_proxy_nobody_is_believed(self):
        self.start()
        self.assertEqual(self.seen(self.node(headers=forwarded("192.0.2.7"))), "127.0.0.1")
        self.assertEqual(self.told()["untrusted"], 1)

    def limits(self, *args, most):
        """One client behind the proxy meets the limit of an address; others behind it do not."""
        self.start("--trusted-proxy", "127.0.0.1", *args)
        refused = 0
        for _ in range(2 * most):
            try:
                self.addCleanup(Node(self.relay, headers=forwarded("192.0.2.7")).close)
            except AssertionError as e:
                self.assertIn("HTTP/1.1 503 ", str(e))
                refused += 1
        self.assertGreaterEqual(refused, most / 2)
        self.assertLess(refused, 2 * most)
        status, body = self.get("/health", source="127.0.0.1", headers=forwarded("192.0.2.7"))
        if not args:
            self.assertEqual((status, body), (503, "Too much comes from this address now.\n"))
        for other in ("192.0.2.8", "2001:db8::1"):
            self.node(headers=forwarded(other))
        self.node()
        self.node(source=STRANGER)

    def test_each_client_behind_it_has_the_limit_of_an_address_of_its_own(self):
        self.limits(most=100)

    def test_so_it_is_with_two_loops(self):
        self.limits("--threads", "2", most=126)

    def test_a_refused_registration_is_logged_with_the_clients_address(self):
        self.start("--trusted-proxy", "127.0.0.1")
        n = Node(self.relay, headers=forwarded("192.0.2.7"))
        n.send_message("register", n.registration(challengeSignature="0" * 128))
        self.relay.wait_log("event=registrations_refused count=1 last_from=192.0.2.7:0 ")

    def test_the_file_takes_the_list_and_the_check_tells_of_it(self):
        with tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="ascii") as f:
            f.write('trusted_proxies = ["127.0.0.1", "10.0.0.0/8"]\n')
            f.flush()
            self.start("--config", f.name)
            self.assertEqual(self.seen(self.node(headers=forwarded("192.0.2.7"))), "192.0.2.7")
            done = subprocess.run([relayproc.BINARY_PATH, "check", "--listen", "127.0.0.1:0", "--config", f.name], check=False,
                                  capture_output=True, text=True, timeout=20)
            self.assertIn("OK   trusted-proxy 127.0.0.1/32: tells its clients by X-Forwarded-For\n", done.stdout)
            self.assertIn("FAIL trusted-proxy 10.0.0.0/8: the relay listens on loopback alone", done.stdout)
            self.assertEqual(done.returncode, 1)
            done = subprocess.run([relayproc.BINARY_PATH, "check", "--listen", "0.0.0.0:0", "--config", f.name, "--proxy-protocol"],
                                  check=False, capture_output=True, text=True, timeout=20)
            self.assertIn("OK   trusted-proxy 10.0.0.0/8: begins with a PROXY header\n", done.stdout)
            self.assertEqual(done.returncode, 0, done.stdout)


class ProxyProtocol(Proxied):
    ARGS = ("--trusted-proxy", "127.0.0.1", "--proxy-protocol")

    def taken(self):
        self.assertEqual(self.seen(self.node(first=v1("192.0.2.7"))), "192.0.2.7")
        self.assertEqual(self.seen(self.node(first=v1("2001:db8::7"))), "2001:db8::7")
        self.assertEqual(self.seen(self.node(first=v2("192.0.2.8"))), "192.0.2.8")
        self.assertEqual(self.seen(self.node(first=v2("2001:db8::8", tlvs=b"\4\0\3abc"))), "2001:db8::8")
        self.assertEqual(self.seen(self.node(first=v2("::ffff:192.0.2.9"))), "192.0.2.9")
        for own in (b"PROXY UNKNOWN\r\n", v2("192.0.2.7", command=0), V2 + b"\x21\x31\0\xd8" + bytes(216)):
            self.assertEqual(self.seen(self.node(first=own)), "127.0.0.1")
        self.assertEqual(self.seen(self.node(source=STRANGER)), STRANGER)
        self.assertEqual(self.told(), {"told": 5, "nothing": 3, "malformed": 0, "untrusted": 0})

    def test_the_header_comes_before_http(self):
        self.start(*self.ARGS)
        self.taken()

    def test_the_header_comes_before_tls(self):
        self.with_tls(*self.ARGS)
        self.taken()

    def test_it_works_with_two_loops(self):
        self.start(*self.ARGS, "--threads", "2")
        for i in range(1, 9):
            self.assertEqual(self.seen(self.node(first=v2(f"192.0.2.{i}"))), f"192.0.2.{i}")

    def test_a_header_may_come_byte_by_byte_and_whatever_follows_it_is_the_clients(self):
        self.start(*self.ARGS)
        for header in (v1("192.0.2.7"), v2("192.0.2.7")):
            with socket.create_connection(self.relay.address, 10) as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in header:
                    s.sendall(bytes([byte]))
                s.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertEqual(s.recv(15), b"HTTP/1.1 200 OK")
        self.assertEqual(self.get("/health", source="127.0.0.1", first=v1("192.0.2.7"))[0], 200)
        self.assertEqual(self.told()["told"], 3)

    def test_a_trusted_proxy_without_a_right_header_is_cut_and_told_in_the_log(self):
        self.start(*self.ARGS)
        wrong = (b"", b"PROXY TCP4 192.0.2.7 x 1 2\r\n", b"PROXY UNKNOWN " + b"x" * 120 + b"\r\n", V2 + b"\x21\x11\x10\x00",
                 V2 + b"\x31\x11\0\0", v2("192.0.2.7", tlvs=b"\4\0\xffabc"), v2("0.0.0.0"))
        for header in wrong:
            self.assertEqual(self.get("/health", source="127.0.0.1", first=header)[0], 0, header)
        self.assertEqual(self.told()["malformed"], len(wrong))
        self.relay.wait_log("event=client_address_unusable from=127.0.0.1:")
        self.assertEqual(self.get("/health", source="127.0.0.1", first=v1("192.0.2.7"))[0], 200)

    def test_from_a_stranger_the_header_is_no_protocol(self):
        self.start(*self.ARGS)
        for header in (v1("192.0.2.7"), v2("192.0.2.7")):
            self.assertEqual(self.get("/health", first=header)[0], 400)
        self.assertEqual(self.get("/health")[0], 200)
        self.assertEqual(self.told()["untrusted"], 2)
        self.relay.wait_log("why=\"it sends the PROXY protocol, and is not trusted\"")
        self.with_tls(*self.ARGS)
        with self.assertRaises(OSError):
            self.get("/health", first=v1("192.0.2.7"))
        self.assertEqual(self.get("/health")[0], 200)

    def test_a_trusted_proxy_that_sends_it_where_it_is_not_switched_on_is_refused(self):
        self.start("--trusted-proxy", "127.0.0.1")
        self.assertEqual(self.get("/health", source="127.0.0.1", first=v1("192.0.2.7"))[0], 400)
        self.relay.wait_log('remedy="--proxy-protocol"')

    def test_behind_it_a_second_proxy_tells_by_its_request(self):
        self.start(*self.ARGS, "--trusted-proxy", "10.0.0.0/8")
        self.assertEqual(self.seen(self.node(first=v2("10.0.0.1"), headers=forwarded("192.0.2.7"))), "192.0.2.7")
        self.assertEqual(self.seen(self.node(first=v2("192.0.2.8"), headers=forwarded("192.0.2.7"))), "192.0.2.8")

    def test_a_header_that_is_not_complete_in_time_ends_its_connection_and_costs_no_work(self):
        self.start(*self.ARGS)
        sockets = [socket.create_connection(self.relay.address, 60) for _ in range(3)]
        sockets[0].sendall(v1("192.0.2.7")[:-1])
        sockets[1].sendall(v2("192.0.2.7")[:-1])
        ended = []

        def wait(s):
            with s:
                ended.append(s.recv(1))
        threads = [threading.Thread(target=wait, args=(s,)) for s in sockets]
        for t in threads:
            t.start()
        before = self.processor_time()
        for t in threads:
            t.join(60)
        self.assertEqual(ended, [b""] * 3)
        self.assertLess(self.processor_time() - before, 1)  # it was not woken again and again
        self.assertIn('teale_relay_connections_ended_total{reason="upgrade_timeout"} 3\n', self.get("/metrics")[1])

    def processor_time(self):
        fields = pathlib.Path(f"/proc/{self.relay.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    unittest.main()
