#!/usr/bin/env python3
"""Two homes behind NATs and a relay, with the real binaries: what a user relies on, and what happens
when parts of it die. Exit 77 (skipped) where network namespaces cannot be made."""
import hashlib
import json
import signal
import subprocess
import sys
import time

from lab import Lab
from scene import RELAY_AGAIN_S, Node, Programs, Relay, question, streamed_text
from suite import run_tests

PROMPT = "the quick brown fox jumps over the lazy dog and asks a model about it"


class World:
    """A relay, `gpu` sharing a parrot, and `friend`; both behind NATs with the same private range."""

    def __init__(self, lab, programs, relay_listen="ws://0.0.0.0:8080", before_nodes=None, parrot=()):
        """before_nodes(world) runs once the network stands; it may return options for the relay."""
        self.lab = lab
        self.relay_host, self.gpu_host, self.friend_host = lab.host("relay"), lab.home("gpu"), lab.home("friend")
        relay_extra = before_nodes and before_nodes(self) or ()
        self.relay = Relay(lab, programs, self.relay_host, relay_listen, relay_extra)
        self.parrot_argv = [programs.parrot, "--listen", "127.0.0.1:9000", "--model", "parrot", *parrot]
        self.parrot = lab.start(self.gpu_host, self.parrot_argv)
        self.parrot.wait_line("ready ")
        self.gpu = Node(lab, programs, self.gpu_host, "gpu", self.relay.url, "http://127.0.0.1:9000", ["--relayed"])
        self.friend = Node(lab, programs, self.friend_host, "friend", self.relay.url, None, ["--relayed"])
        self.gpu.wait_connected()
        self.friend.wait_connected()
        self.friend.wait_model("parrot")

    def ask(self, text=PROMPT, model="parrot", timeout=30):
        out = self.friend.curl("/chat/completions", question(model, text), timeout=timeout).stdout
        return streamed_text(out)

    def parrot_stats(self):
        return json.loads(self.lab.run(self.gpu_host, ["curl", "-s", "http://127.0.0.1:9000/parrot/stats"]).stdout)


def a_streamed_answer_comes_through_and_the_relay_cannot_read_it(lab, programs):
    holder = {}

    def record(w):
        holder["capture"] = lab.capture(w.relay_host, 8080)

    w = World(lab, programs, before_nodes=record)
    text, done, chunks = w.ask()
    assert done and PROMPT.split()[1] in text and chunks > 3, (text, done, chunks)
    peers = w.friend.json("peers")["peers"]
    assert [p["path"] for p in peers if p["node_id"] == w.gpu.id] == ["relayed"], peers
    capture = holder["capture"]
    capture.finish()
    assert capture.contains(b"relayData") and capture.contains(b"registerAck")
    assert not capture.contains(b"quick brown fox"), "the relay saw the prompt"
    assert not capture.contains(b"chat.completion"), "the relay saw the answer"


def a_network_without_udp_works(lab, programs):
    def block(w):
        lab.block_udp(w.gpu_host)
        lab.block_udp(w.friend_host)

    w = World(lab, programs, before_nodes=block)
    text, done, _ = w.ask()
    assert done and "fox" in text


def a_relay_with_tls_works_and_an_unknown_certificate_is_refused(lab, programs):
    def prepare(w):
        ca, cert, key = _make_certificates(lab, w.relay_host.address)
        for name in ("gpu", "friend"):
            lab.run(None, [programs.teale, "--home", f"{lab.dir}/{name}", "config", "set", "wan_relay_ca_file", ca])
        return ["--tls-cert", cert, "--tls-key", key]

    w = World(lab, programs, relay_listen="wss://0.0.0.0:443", before_nodes=prepare)
    assert w.relay.url.startswith("wss://")
    _, done, _ = w.ask()
    assert done
    stranger = Node(lab, programs, w.friend_host, "stranger", w.relay.url, None, ["--relayed", "--api", "127.0.0.1:0"])
    stranger.wait("told of the certificate", lambda: "certificate" in (stranger.json("status")["wan"]["error"] or ""))
    assert stranger.json("status")["wan"]["state"] != "connected"


def _make_certificates(lab, address):
    """(CA file, certificate, key) for an IP address, by the openssl command."""
    d = lab.dir
    lab.run(None, ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                   "-days", "2", "-subj", "/CN=lab CA", "-keyout", f"{d}/ca.key", "-out", f"{d}/ca.pem"])
    lab.run(None, ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                   "-days", "2", "-subj", "/CN=relay", "-addext", f"subjectAltName=IP:{address}",
                   "-addext", "basicConstraints=critical,CA:FALSE",
                   "-CA", f"{d}/ca.pem", "-CAkey", f"{d}/ca.key", "-keyout", f"{d}/relay.key",
                   "-out", f"{d}/relay.pem"])
    return f"{d}/ca.pem", f"{d}/relay.pem", f"{d}/relay.key"


def a_large_answer_arrives_whole(lab, programs):
    n = 20_000_000
    w = World(lab, programs, parrot=("--model", f"bytes:{n}"))
    body = json.dumps(question(f"bytes:{n}", "x"))
    out = f"{lab.dir}/answer"
    lab.run(w.friend_host, ["curl", "-sS", "-m", "60", "-o", out, w.friend.api + "/chat/completions",
                            "-H", "Content-Type: application/json", "-d", body], timeout=70)
    direct = f"{lab.dir}/direct"
    lab.run(w.gpu_host, ["curl", "-sS", "-m", "60", "-o", direct, "http://127.0.0.1:9000/v1/chat/completions",
                         "-H", "Content-Type: application/json", "-d", body], timeout=70)
    with open(out, "rb") as a, open(direct, "rb") as b:
        got, want = a.read(), b.read()
    assert len(got) == len(want) >= n, (len(got), len(want))
    assert hashlib.sha256(got).digest() == hashlib.sha256(want).digest()


def the_node_comes_back_after_a_relay_restart(lab, programs):
    w = World(lab, programs)
    assert w.relay.process.stop() == 0
    w.friend.wait("offline", lambda: w.friend.json("status")["wan"]["state"] != "connected")
    started = time.monotonic()
    failed = w.friend.curl("/chat/completions", question("parrot", "x"), timeout=15, check=False)
    assert time.monotonic() - started < 11 and '"error"' in failed.stdout, failed
    w.relay.start()
    w.gpu.wait_connected(RELAY_AGAIN_S)
    w.friend.wait_connected(RELAY_AGAIN_S)
    w.friend.wait_model("parrot")
    _, done, _ = w.ask()
    assert done


def a_relay_restart_under_a_streaming_answer_loses_nothing(lab, programs):
    w = World(lab, programs, parrot=("--token-ms", "100"))
    words = " ".join(f"word{i}" for i in range(80))
    curl = subprocess.Popen(
        ["ip", "netns", "exec", w.friend_host.ns, "curl", "-sS", "-N", "-m", "60", w.friend.api + "/chat/completions",
         "-H", "Content-Type: application/json", "-d", json.dumps(question("parrot", words))],
        stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    w.relay.process.stop()
    w.relay.start()
    out, _ = curl.communicate(timeout=60)
    text, done, _ = streamed_text(out)
    assert done and all(f"word{i}" in text for i in range(80)), out[-300:]


def a_killed_provider_ends_the_answer_with_an_error(lab, programs):
    w = World(lab, programs, parrot=("--token-ms", "100"))
    curl = subprocess.Popen(
        ["ip", "netns", "exec", w.friend_host.ns, "curl", "-sS", "-N", "-m", "120", w.friend.api + "/chat/completions",
         "-H", "Content-Type: application/json", "-d", json.dumps(question("parrot", PROMPT * 20))],
        stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    w.gpu.process.stop(signal.SIGKILL)
    out, _ = curl.communicate(timeout=90)
    assert "event: error" in out and "peer_failed" in out, out[-400:]
    assert "[DONE]" not in out


def a_dead_backend_is_an_error_and_its_return_is_noticed(lab, programs):
    w = World(lab, programs)
    w.parrot.stop(signal.SIGKILL)
    out = w.friend.curl("/chat/completions", question("parrot", "x"), "-w", "\n%{http_code}", timeout=20).stdout
    body, code = out.rsplit("\n", 1)
    assert code in ("503", "404"), out
    assert "error" in json.loads(body), out
    w.parrot = lab.start(w.gpu_host, w.parrot_argv)
    w.parrot.wait_line("ready ")
    w.friend.wait("answered again", lambda: w.ask(timeout=10)[1], timeout=40)


def a_client_that_goes_cancels_the_work_at_the_provider(lab, programs):
    w = World(lab, programs, parrot=("--token-ms", "100"))
    w.ask("warm up")
    before = w.parrot_stats()["cancelled"]
    curl = subprocess.Popen(
        ["ip", "netns", "exec", w.friend_host.ns, "curl", "-sS", "-N", w.friend.api + "/chat/completions",
         "-H", "Content-Type: application/json", "-d", json.dumps(question("parrot", PROMPT * 20))],
        stdout=subprocess.DEVNULL)
    time.sleep(1)
    curl.kill()
    killed = time.time() * 1000
    end = time.monotonic() + 3
    while w.parrot_stats()["cancelled"] == before and time.monotonic() < end:
        time.sleep(0.02)
    stats = w.parrot_stats()
    assert stats["cancelled"] == before + 1, stats
    took = stats["last_cancel_unix_ms"] - killed
    assert took < 1000, f"{took} ms"
    lab.say(f"cancelled at the model server {took:.0f} ms after the client was killed")


def a_draining_provider_finishes_what_runs(lab, programs):
    w = World(lab, programs, parrot=("--token-ms", "50"))
    words = " ".join(f"word{i}" for i in range(60))
    curl = subprocess.Popen(
        ["ip", "netns", "exec", w.friend_host.ns, "curl", "-sS", "-N", "-m", "60", w.friend.api + "/chat/completions",
         "-H", "Content-Type: application/json", "-d", json.dumps(question("parrot", words))],
        stdout=subprocess.PIPE, text=True)
    time.sleep(0.8)
    w.gpu.process.popen.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    refused = w.friend.curl("/chat/completions", question("parrot", "late"), timeout=15, check=False).stdout
    assert '"error"' in refused, refused
    out, _ = curl.communicate(timeout=60)
    text, done, _ = streamed_text(out)
    assert done and "word59" in text, out[-300:]
    assert w.gpu.process.wait() == 0


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], Lab, Programs(sys.argv[1]), workers=3))
