#!/usr/bin/env python3
"""test_api.py TEALE PARROT: the local API of the real daemon over raw sockets: what a hostile page or hand
sends never reaches the model server, bytes pass unchanged, clients that leave or stall cost nothing."""
import concurrent.futures
import hashlib
import json
import os
import random
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

TEALE, PARROT = map(os.path.abspath, sys.argv[1:3])
MODELS = ["parrot", "echo-body", "fail:hang", "fail:stall", "bytes:50000000", "bytes:400000000"]


def started(*args, **more):
    process = subprocess.Popen(args, stdout=subprocess.PIPE, text=True, **more)
    return process, process.stdout.readline()


def fetch(request):
    with urllib.request.urlopen(request, timeout=10) as answered:
        return answered.read()


def read(*path):
    with open(os.path.join(*path)) as f:
        return f.read()


class Daemon:
    def __init__(self, parrot_url, *args, **more):
        self.directory = tempfile.TemporaryDirectory(prefix="teale-api-")
        self.home = self.directory.name
        self.log = open(os.path.join(self.home, "log"), "w")
        self.process, line = started(TEALE, "--home", self.home, "serve", "--relayed", "--share", parrot_url,
                                     *(args or ("--api", "127.0.0.1:0")), stderr=self.log, **more)
        assert line.startswith("ready "), read(self.log.name)
        self.port = int(re.search(r"api=http://[^ ]*:(\d+)/v1", line)[1])
        self.key = read(self.home, "api-key").strip()
        end = time.time() + 10
        while b'"parrot"' not in self.get("/v1/models"):
            assert time.time() < end, "the parrot's models never came"
            time.sleep(0.02)

    def get(self, path):
        return fetch(urllib.request.Request(f"http://127.0.0.1:{self.port}{path}",
                                            headers={"Authorization": "Bearer " + self.key}))

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def rss(self):
        text = read(f"/proc/{self.process.pid}/status")
        return int(re.search(r"VmRSS:\s+(\d+) kB", text)[1]) * 1024

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self):
        code = self.process.wait(40)
        self.process.stdout.close()
        self.log.close()
        self.directory.cleanup()
        return code


def question(model, stream=False, more=""):
    body = json.dumps({"model": model, "stream": stream, "messages": [{"role": "user", "content": "a b c d"}]})
    return (f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def answer(s):
    """Status, head and body of one answer; of a large binary one, the hash of the body."""
    with s.makefile("rb") as f:
        return answer_of(f)


def answer_of(f):
    status = int(f.readline().split()[1])
    head = {}
    while (line := f.readline().strip()):
        name, value = line.decode().split(": ", 1)
        head[name.lower()] = value
    if "content-length" in head:
        return status, head, f.read(int(head["content-length"]))
    body = hashlib.sha256() if status == 200 and "octet" in head.get("content-type", "") else bytearray()
    add = body.update if not isinstance(body, bytearray) else body.extend
    while (size := int(f.readline().split(b";")[0], 16)):
        add(f.read(size))
        f.readline()
    f.readline()
    return status, head, body


class LocalApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.parrot, line = started(PARROT, "--token-ms", "1", *(x for m in MODELS for x in ("--model", m)),
                                   stderr=subprocess.DEVNULL)
        cls.parrot_url = line.split()[1]
        cls.daemon = Daemon(cls.parrot_url)

    @classmethod
    def tearDownClass(cls):
        code = cls.daemon.stop()
        cls.parrot.terminate()
        cls.parrot.wait()
        cls.parrot.stdout.close()
        assert code == 0, code

    def stats(self):
        return json.loads(fetch(self.parrot_url + "/parrot/stats"))

    def ask(self, data):
        with self.daemon.connect() as s:
            s.sendall(data)
            return answer(s)

    def wait(self, condition, seconds=10):
        end = time.time() + seconds
        while not condition():
            self.assertLess(time.time(), end, "waited in vain")
            time.sleep(0.002)

    # --- what must not reach the model server ---

    def test_two_readings_never_reach_the_model_server(self):
        good = question("parrot")
        head, body = good.split(b"\r\n\r\n")
        chunked = head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
        chunks = b"\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        hostile = {
            "bare LF": good.replace(b"\r\n", b"\n"),
            "one bare LF": good.replace(b"localhost\r\n", b"localhost\n"),
            "two lengths": head + b"\r\nContent-Length: 1\r\n\r\n" + body,
            "two equal lengths": head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
            "length and chunked": head + b"\r\nTransfer-Encoding: chunked" + chunks,
            "odd coding": chunked.replace(b"chunked", b"chunked, identity") + chunks,
            "chunk with bare LF": chunked + chunks.replace(b"\r\n0", b"\n0"),
            "space before colon": good.replace(b"Content-Length:", b"Content-Length :"),
            "folded line": good.replace(b"Host:", b"X: a\r\n b\r\nHost:"),
            "two hosts": good.replace(b"Host:", b"Host: localhost\r\nHost:"),
        }
        self.assertEqual(self.ask(good)[0], 200)
        self.assertEqual(self.ask(chunked + chunks)[0], 200)
        while self.stats()["active"]:  # it counts an answer when the last byte of it has left
            time.sleep(0.01)
        before = self.stats()
        for what, data in hostile.items():
            self.assertIn(self.ask(data + good)[0], (400, 501), what)
        after = self.stats()
        self.assertEqual((after["served"], after["bad"]), (before["served"], before["bad"]))

    def test_hostile_pages_are_refused(self):
        for more, code in (("Origin: https://evil.example\r\n", b"origin_not_allowed"),
                           ("Origin: null\r\n", b"origin_not_allowed"),
                           ("Sec-Fetch-Site: cross-site\r\n", b"origin_not_allowed")):
            status, _, body = self.ask(question("parrot", more=more))
            self.assertEqual(status, 403, more)
            self.assertIn(code, body)
        rebound = question("parrot").replace(b"Host: localhost", b"Host: evil.example")
        self.assertIn(b"host_not_allowed", self.ask(rebound)[2])
        own = f"Origin: http://localhost:{self.daemon.port}\r\n"
        same = question("parrot", more=own).replace(b"Host: localhost", b"Host: localhost:%d" % self.daemon.port)
        self.assertEqual(self.ask(same)[0], 200)

    def test_junk_on_many_connections_harms_nobody(self):
        rng = random.Random(7)
        for _ in range(300):
            with self.daemon.connect() as s:
                try:
                    s.sendall(rng.choice([b"", b"POST ", b"\x16\x03\x01\x02\x00", b"GET /"]) + rng.randbytes(
                        rng.randrange(3000)))
                    if rng.random() < 0.5:
                        s.recv(1000)
                except (ConnectionError, socket.timeout):
                    pass
                s.shutdown(socket.SHUT_RDWR) if rng.random() < 0.3 else None
        self.assertEqual(json.loads(self.daemon.get("/health")), {"status": "ok"})

    def test_the_key_is_private_and_needed_beyond_loopback(self):
        mode = os.stat(os.path.join(self.daemon.home, "api-key")).st_mode
        self.assertEqual(stat.S_IMODE(mode), 0o600)
        other = Daemon(self.parrot_url, "--api", "0.0.0.0:0")
        try:
            for key, wanted in ((None, 401), ("tl-wrong", 401), (other.key, 200)):
                more = f"Authorization: Bearer {key}\r\n" if key else ""
                with other.connect() as s:
                    s.sendall(question("parrot", more=more))
                    self.assertEqual(answer(s)[0], wanted)
            self.assertIn("reachable beyond this machine", read(other.log.name))
            self.assertNotIn(other.key, read(other.log.name))
        finally:
            self.assertEqual(other.stop(), 0)

    # --- what must arrive ---

    def test_the_body_arrives_byte_for_byte_up_to_26_MiB(self):
        for size in (0, 1000, (26 << 20) - 64):
            body = b' {"model" : "echo-body",\t"x":1.0e+2,"y":"\\u00e9\xc3\xa9","z":"' + b"z" * size + b'"}\n'
            status, _, said = self.ask(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                                       b"Content-Type: application/json;a=b\r\nContent-Length: %d\r\n\r\n" % len(body)
                                       + body)
            self.assertEqual(status, 200)
            self.assertEqual(json.loads(said), {"sha256": hashlib.sha256(body).hexdigest(), "length": len(body),
                                                "content_type": "application/json;a=b"})
        self.assertEqual(self.ask(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                                  b"Content-Length: %d\r\n\r\n" % ((26 << 20) + 1))[0], 413)

    def test_a_large_answer_arrives_whole(self):
        wanted = subprocess.run([PARROT, "--pattern-sha256", "50000000"], capture_output=True, text=True, check=True)
        status, _, digest = self.ask(question("bytes:50000000", stream=True))
        self.assertEqual(status, 200)
        self.assertEqual(digest.hexdigest(), wanted.stdout.strip())

    # --- clients that leave, stall, or come in numbers ---

    def test_a_client_that_leaves_cancels_at_the_model_server(self):
        for model, stream in (("fail:hang", True), ("fail:hang", False), ("fail:stall", True)):
            before = self.stats()
            s = self.daemon.connect()
            s.sendall(question(model, stream))
            self.wait(lambda: self.stats()["active"] == before["active"] + 1)
            if model == "fail:stall":
                s.recv(1000)
            left = time.time() * 1000
            s.close()
            self.wait(lambda: self.stats()["cancelled"] == before["cancelled"] + 1)
            took = self.stats()["last_cancel_unix_ms"] - left
            self.assertLess(took, 1000, model)
            print(f"{model}: cancelled {max(took, 0):.0f} ms after the client left", file=sys.stderr)

    def test_a_client_that_stalls_is_bounded(self):
        before = self.daemon.rss()
        sockets = []
        for _ in range(10):
            s = self.daemon.connect()
            s.sendall(question("bytes:400000000", stream=True))
            sockets.append(s)
        time.sleep(1)  # it would take all 4 GB by then if nothing held it back
        grown = self.daemon.rss() - before
        print(f"ten stalled clients of 400 MB each: {grown / 1e6:.1f} MB more memory", file=sys.stderr)
        self.assertLess(grown, 10 * (4 << 20))
        started_at = time.time()
        self.assertEqual(self.ask(question("parrot"))[0], 200)
        self.assertLess(time.time() - started_at, 2)
        for s in sockets:
            s.close()
        self.wait(lambda: self.stats()["active"] == 0)

    def test_a_thousand_streams_at_once(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard < 4096:
            self.skipTest(f"the limit of descriptors is {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))

        def one(i):
            with self.daemon.connect() as s:
                s.sendall(question("parrot", stream=True))
                status, _, body = answer(s)
                return status == 200 and body.endswith(b"data: [DONE]\n\n") and body.count(b"data: ") >= 5
        with concurrent.futures.ThreadPoolExecutor(1000) as pool:
            self.assertEqual(sum(pool.map(one, range(1000))), 1000)

    def test_running_out_of_descriptors_is_a_rest_and_not_the_end(self):
        small = Daemon(self.parrot_url)
        try:
            resource.prlimit(small.process.pid, resource.RLIMIT_NOFILE, (64, 64))
            crowd = [small.connect() for _ in range(100)]
            time.sleep(0.3)
            for s in crowd:
                s.close()
            self.assertEqual(json.loads(small.get("/health")), {"status": "ok"})
        finally:
            self.assertEqual(small.stop(), 0)

    def test_ending_finishes_what_runs_and_refuses_what_comes(self):
        slow, line = started(PARROT, "--token-ms", "150", stderr=subprocess.DEVNULL)
        daemon = Daemon(line.split()[1])
        running = daemon.connect()
        running.sendall(question("parrot", stream=True))
        running.recv(1, socket.MSG_PEEK)
        daemon.process.send_signal(signal.SIGTERM)
        time.sleep(0.05)
        with daemon.connect() as s:
            s.sendall(question("parrot"))
            status, _, body = answer(s)
            self.assertEqual((status, json.loads(body)["error"]["code"]), (503, "unavailable"))
        self.assertTrue(answer(running)[2].endswith(b"data: [DONE]\n\n"))
        running.close()
        told = time.time()
        self.assertEqual(daemon.ended(), 0)
        self.assertLess(time.time() - told, 5)
        slow.terminate()
        slow.wait()
        slow.stdout.close()


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
