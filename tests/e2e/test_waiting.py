#!/usr/bin/env python3
"""test_waiting.py TEALE TEALE-RELAY PARROT: whatever lasts longer than a moment shows that it moves: a live line
with its seconds on a terminal, plain lines in a pipe, and with --json nothing but the object. First against a
scripted daemon that is slow, then with real programs."""
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import test_cli_asking as asking
from scenery import Node, Process, Scenery, wait_for

TEALE, RELAY, PARROT = (os.path.abspath(p) for p in sys.argv[1:4])
SLOW = 2.4  # seconds: on a terminal two of them are seen to pass


def on_terminal(command, home, until=30):
    """Runs it on a terminal; returns its exit code and all that it wrote there."""
    pid, fd = pty.fork()
    if pid == 0:
        try:
            os.execvpe(command[0], command, {**os.environ, "HOME": home, "TERM": "xterm", "NO_COLOR": "1"})
        finally:
            os._exit(127)
    text, deadline = "", time.monotonic() + until
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 1)[0]:
            continue
        try:
            piece = os.read(fd, 4096)
        except OSError:  # the other side is closed
            piece = b""
        if not piece:
            break
        text += piece.decode(errors="replace")
    else:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return os.waitstatus_to_exitcode(status), text


class Scripted(asking.Asking):
    """Each command that asks the node, on a terminal: all at once, for each of them only waits."""

    COMMANDS = (  # the words, and what it waits for
        (["chat", "hi"], "the answer"),
        (["ping", asking.NODE], "a connection to 3f9a...19"),
        (["ping", asking.NODE, "--until-direct"], "a connection to 3f9a...19"),
        (["models"], "the relay's and the peers' models"),
        (["peers"], "the relay's list of peers"), (["status"], "the node"), (["netcheck"], "the STUN servers"),
        (["doctor"], "the node's tests"), (["wallet"], "the node"), (["wallet", "audit"], "the audit of the ledger"),
        (["ptn", "list"], "the node"), (["backup", "status"], "the node"), (["relay", "status"], "the node"),
        (["backup", "drop"], "the holders of the backup"), (["backup", "create"], "other nodes to take the fragments"),
        (["dht", "get", asking.NODE], "the DHT"), (["why", asking.NODE], "the node"), (["pause"], "the node"),
        (["wallet", "settle", asking.NODE, "1"], "the peer"), (["env"], "the node"),
    )

    def slow(self, seconds):
        """The node answers nothing for so long, and then that it failed."""
        def script(h, body):
            time.sleep(seconds)
            h.error(503, "unavailable", "this node is ending")
        self.server.script = script

        def do(h):  # in place of the handler that answers /control/do at once
            n = int(h.headers.get("Content-Length") or 0)
            body = h.rfile.read(n)
            h.close_connection = True
            try:
                self.server.script(h, body)
            except BrokenPipeError:
                pass  # whoever asked has given up
        handler = type("Slow", (asking.Handler,), {"do_GET": do, "do_POST": do})
        self.server.RequestHandlerClass = handler
        self.server.socket.listen(128)

    def test_on_a_terminal_each_shows_its_seconds(self):
        self.slow(SLOW)
        running = []
        for words, what in self.COMMANDS:
            r, w = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    code, text = on_terminal([TEALE, "--home", self.home, *words], self.home)
                    with os.fdopen(w, "w", newline="") as f:
                        f.write(f"{code}\n{text}")
                finally:
                    os._exit(0)
            os.close(w)
            running.append((words, what, pid, r))
        for words, what, pid, r in running:
            with os.fdopen(r, newline="") as f:
                code, text = f.read().split("\n", 1)
            os.waitpid(pid, 0)
            with self.subTest(words=words):
                self.assertNotEqual(code, "0", text)
                for second in (1, 2):
                    self.assertIn(f"waiting for {what}: {second} s", text)
                last = text[text.rindex(f"waiting for {what}"):]
                self.assertIn("\r\x1b[K", last)  # the line is gone in the end

    def test_in_a_pipe_there_are_plain_lines_and_with_json_none(self):
        self.slow(5.8)
        started = []
        for words, what in self.COMMANDS:
            for json_too in (False, True):
                if json_too and words[0] == "chat":
                    continue
                command = [TEALE, "--home", self.home, *words, *["--json"] * json_too]
                started.append((json_too, what, words, subprocess.Popen(
                    command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
                    env={**os.environ, "HOME": self.home})))
        for json_too, what, words, p in started:
            out, err = p.communicate(timeout=60)
            with self.subTest(words=words, json=json_too):
                self.assertNotIn("\x1b", out + err)
                if json_too:
                    self.assertNotIn("waiting for", err)
                else:
                    self.assertRegex(err, f"waiting for {re.escape(what)}: [5-9] s\n")
                self.assertNotIn("waiting for", out)

    def test_a_chat_says_what_its_question_waits_for(self):
        def script(h, body):
            h.begin()
            for comment in ("waiting for=peer seconds=15", "queue position=3 wait_s=40", "waiting for=model seconds=25"):
                h.send(f": {comment}\n\n")
                time.sleep(1.4)
            h.token("late")
            h.send("data: [DONE]\n\n")
        self.server.script = script
        code, text = on_terminal([TEALE, "--home", self.home, "chat", "hi"], self.home)
        self.assertEqual(code, 0, text)
        for said in ("a node that answers: 1 s", "place 3 in the provider's queue (some 40 s): 2 s",
                     "the model server, which may be loading the model: 3 s"):
            self.assertIn(f"waiting for {said}", text)
        self.assertTrue(text.replace("\r", "").endswith("\x1b[Klate\n"), repr(text))

    def test_an_answer_that_stops_in_its_middle_says_so_until_it_goes_on(self):
        self.server.verbs["peer.find"] = {"node_id": asking.NODE, "name": "vm", "alias": "gpu"}

        def script(h, body):
            h.begin()
            h.token("half")
            for why in ("model", "path"):
                h.send(f": waiting for={why} seconds=3 peer={asking.NODE}\n\n")
                time.sleep(1.4)
            h.token(" and half")
            h.send("data: [DONE]\n\n")
        self.server.script = script
        code, text = on_terminal([TEALE, "--home", self.home, "chat", "hi"], self.home)
        self.assertEqual(code, 0, text)
        who, gone = "no word from [gpu] 3f9a0000", "\x1b7\x1b[B\r\x1b[K\x1b8"
        for said in ("for 3 s; it is connected, and its model silent", "for 4 s; its path is being looked at"):
            self.assertIn(f"{who} {said}\x1b8", text)
        self.assertIn(f"{gone} and half", text)
        r = self.run_teale("chat", "hi")  # words come again before a pipe is told
        self.assertEqual((r.stdout, r.stderr), ("half and half\n", ""))

    def test_a_machine_without_a_network_says_so_at_once(self):
        plugged, told = [True], threading.Event()
        self.server.status = lambda: {"offline": not plugged[0], "backend": {"models": []}}

        def script(h, body):
            h.begin()
            h.token("half")
            plugged[0] = False
            told.wait(4.5)  # before the plain line of any silence, which comes after 5 s
            h.send('event: error\ndata: {"error":{"message":"peer \\"vm\\": lost","code":"peer_failed"}}\n\n')
        self.server.script = script
        r = subprocess.Popen([TEALE, "--home", self.home, "chat", "hi"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                             env={**os.environ, "HOME": self.home})
        first = r.stderr.readline()
        told.set()
        self.assertRegex(first, "no word from the model server for [0-4] s; this machine has no network\n")
        rest = r.stderr.read()
        r.stderr.close()
        self.assertEqual(r.wait(), 4)
        self.assertIn("lost\nThis machine has no network: no interface has an address.", rest)
        self.assertNotIn("Try again", rest)

        self.slow(30)  # a question: nobody else can be asked, and no model is here
        self.server.RequestHandlerClass = asking.Handler
        for models, words in (([], []), (["m"], ["--peer", asking.NODE]), (["m"], ["-m", "other"])):
            self.server.status = lambda: {"offline": True, "backend": {"models": models}}
            begin = time.monotonic()
            r = self.run_teale("chat", *words, "hi")
            self.assertEqual(r.returncode, 4, r.stderr)
            self.assertIn("This machine has no network", r.stderr)
            self.assertLess(time.monotonic() - begin, 15)

    def test_a_ping_goes_on_telling_between_its_answers(self):
        def script(h, body):
            h.begin(200, "application/x-ndjson")
            for _ in range(2):
                time.sleep(1.4)
                h.send(json.dumps({"rtt_ms": 62.1, "path": "relayed"}) + "\n")
            time.sleep(1.4)
            h.send(json.dumps({"rtt_ms": 18.2, "path": "direct"}) + "\n")
        self.server.script = script
        code, text = on_terminal([TEALE, "--home", self.home, "ping", asking.NODE, "--until-direct"], self.home)
        self.assertEqual(code, 0, text)
        self.assertRegex(text.replace("\r", ""), r"(?s)waiting for a connection to 3f9a...19: 1 s.*\x1b\[K1: 62.100 ms relayed\n"
                         r".*waiting for a direct path: 2 s.*\x1b\[K2: 62.100 ms relayed\n.*3: 18.200 ms direct\n")


for inherited in [n for n in dir(asking.Asking) if n.startswith("test_")]:
    setattr(Scripted, inherited, None)  # those are that suite's


class Real(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.home = os.path.join(self.directory.name, "node")
        os.mkdir(self.home)

    def test_a_start_and_an_end_that_take_their_time(self):
        parrot = Process([PARROT, "--listen", "127.0.0.1:0", "--model", "m1", "--token-ms", "600", "--tokens", "8"])
        self.addCleanup(parrot.end)
        url = re.search(r"http://\S+", parrot.ready).group()
        code, text = on_terminal([TEALE, "--home", self.home, "up", "--api", "127.0.0.1:0", "--share", url, "--timeout", "4",
                                  "--relay", "ws://127.0.0.1:9/ws"], self.home)
        self.assertIn("[3/5] relay", text)
        chat = subprocess.Popen([TEALE, "--home", self.home, "chat", "hi"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertTrue(chat.stdout.read(1))  # the answer runs
        code, text = on_terminal([TEALE, "--home", self.home, "down"], self.home)
        self.assertEqual(code, 0, text)
        self.assertRegex(text, r"waiting for 1 running request, 30 s at most: 1 s")
        with chat.stdout, chat.stderr:
            chat.wait(30)

    def stop_in_the_middle(self, relayed):
        with Scenery(TEALE, RELAY, PARROT) as s:
            parrot = s.parrot("--model", "m1", "--token-ms", "200", "--tokens", "30")
            relay = s.relay()
            gpu = s.node(relay, "--share", parrot.url, relayed=relayed)
            friend = s.node(relay, relayed=relayed)
            node_id = gpu.status()["node_id"]
            wait_for(lambda: "m1" in str(friend.json("models")))
            if not relayed:
                friend.command("ping", node_id, "--until-direct")
            body = json.dumps({"model": "m1", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
            connection, response = friend.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
            self.addCleanup(connection.close)
            lines = (line.decode().strip() for line in response)
            self.assertTrue(next(lines).startswith("data: "))
            gpu.popen.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            try:
                told = next(line for line in lines if line.startswith(": waiting for=path"))
            finally:
                gpu.popen.send_signal(signal.SIGCONT)
            print(f"    told {time.monotonic() - stopped:.1f} s after it stopped: {told[:32]}", flush=True)
            self.assertRegex(told, f"^: waiting for=path seconds=[0-9] peer={node_id}$")
            self.assertIn("data: [DONE]", lines)

    def test_a_provider_that_stops_in_the_middle_of_its_answer_is_told_before_it_is_given_up(self):
        for relayed in (True, False):
            with self.subTest(relayed=relayed):
                self.stop_in_the_middle(relayed)

    def test_a_stream_whose_model_is_loaded_is_kept_open_and_told(self):
        parrot = Process([PARROT, "--listen", "127.0.0.1:0", "--model", "m1", "--delay-ms", "18000"])
        self.addCleanup(parrot.end)
        node = Node(TEALE, self.home, "--share", re.search(r"http://\S+", parrot.ready).group(), relayed=False)
        self.addCleanup(node.end)
        node.wait_line("model server")
        watch = subprocess.Popen([TEALE, "--home", self.home, "watch", "--json"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        body = json.dumps({"model": "m1", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
        connection, response = node.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
        text = response.read().decode()
        connection.close()
        self.assertRegex(text, r"^: waiting for=model seconds=15\n\ndata: ")
        self.assertTrue(text.endswith("data: [DONE]\n\n"), text)
        events = []
        while not events or events[-1]["event"] != "Request":
            events.append(json.loads(watch.stdout.readline()))
        told = [e for e in events if e["event"] == "Waiting"]
        self.assertEqual([e["for"] for e in told], ["model"] * len(told))
        self.assertGreaterEqual(len(told), 3)
        self.assertEqual(told[0]["model"], "m1")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]], verbosity=2)
