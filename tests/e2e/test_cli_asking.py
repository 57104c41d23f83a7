#!/usr/bin/env python3
"""test_cli_asking.py TEALE: chat, ping, peers and models against a scripted daemon on a Unix socket, so
that every answer a daemon can give is seen from the command line."""
import http.server
import json
import os
import pty
import re
import select
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TEALE = os.path.abspath(sys.argv[1])
NODE = "3f9a" + "0" * 58 + "19"  # a key: other digits are refused


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_one(self):
        n = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(n)
        self.close_connection = True
        if self.path == "/control/do":
            asked = json.loads(body)
            self.server.done.append((asked["verb"], asked["args"]))
            answer = self.server.verbs.get(asked["verb"], {})  # `prepare`: it is told of a question to come
            if isinstance(answer, tuple):
                code, exit_code, status, message = answer
                self.begin(status, "application/json")
                answer = {"error": {"code": code, "exit": exit_code, "message": message}}
            else:
                self.begin(200, "application/json")
            self.send(json.dumps(answer))
        elif self.path == "/control/status" and self.server.status:
            self.begin(200, "application/json")
            self.send(json.dumps(self.server.status()))
        else:
            looks = self.command == "GET" and self.path == "/control/status"
            if not looks:
                self.server.seen.append((self.command, self.path, dict(self.headers), body))
            try:
                self.server.script(self, body)
            except BrokenPipeError:
                if not looks:  # an answer that is long in coming has the network looked at, for 300 ms
                    raise

    do_GET = do_POST = handle_one

    def log_message(self, *args):
        pass

    def address_string(self):
        return "unix"

    def begin(self, status=200, content_type="text/event-stream"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Connection", "close")
        self.end_headers()

    def send(self, data):
        self.wfile.write(data if isinstance(data, bytes) else data.encode())
        self.wfile.flush()

    def error(self, status, code, message):
        self.begin(status, "application/json")
        self.send(json.dumps({"error": {"message": message, "type": "x", "param": None, "code": code}}))

    def token(self, text):
        self.send("data: " + json.dumps({"choices": [{"delta": {"content": text}}]}) + "\n\n")


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Asking(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="teale-ask-")
        self.server = Server(os.path.join(self.home, "teale.sock"), Handler)
        self.server.seen, self.server.done, self.server.verbs, self.server.status = [], [], {}, None
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.home)

    def run_teale(self, *args, script=None, stdin=""):
        if script:
            self.server.script = script
        env = {**os.environ, "HOME": self.home}
        return subprocess.run([TEALE, "--home", self.home, *args], input=stdin, capture_output=True, text=True,
                              timeout=30, env=env)

    def expect(self, code, *args, **more):
        r = self.run_teale(*args, **more)
        self.assertEqual(r.returncode, code, r.stdout + r.stderr)
        return r

    def test_an_answer_is_streamed_and_the_question_is_what_was_typed(self):
        def script(h, body):
            h.begin()
            for t in ("Because", " of\n", "café."):
                h.token(t)
            h.send("data: [DONE]\n\n")
        r = self.expect(0, "chat", "-m", "m1", "why", "is it?", script=script)
        self.assertEqual(r.stdout, "Because of\ncafé.\n")
        method, path, _, body = self.server.seen[0]
        self.assertEqual((method, path), ("POST", "/v1/chat/completions"))
        self.assertEqual(json.loads(body), {"model": "m1", "stream": True,
                                            "messages": [{"role": "user", "content": "why is it?"}]})

    def test_the_prompt_may_be_piped_in_and_be_large(self):
        def script(h, body):
            h.begin()
            h.token(str(len(json.loads(body)["messages"][0]["content"])))
            h.send("data: [DONE]\n\n")
        r = self.expect(0, "chat", script=script, stdin="line\n" * 200000)
        self.assertEqual(r.stdout, "1000000\n")
        self.assertEqual(json.loads(self.server.seen[0][3])["model"], "teale-auto")
        self.assertIn("empty", self.expect(2, "chat", stdin="").stderr)

    def test_the_node_says_which_peer_a_name_means(self):
        def script(h, body):
            h.begin()
            h.send("data: [DONE]\n\n")
        self.server.verbs["peer.find"] = {"node_id": NODE, "name": "gpu", "alias": "mum", "by": "alias"}
        self.expect(0, "chat", "--peer", "mum", "hi", script=script)
        self.assertIn(("peer.find", {"peer": "mum"}), self.server.done)
        self.assertEqual(self.server.seen[-1][2]["X-Teale-Ask-Peer"], NODE)
        self.server.done.clear()
        self.expect(0, "chat", "--peer", NODE.upper(), "hi", script=script)  # nobody needs to be asked
        self.assertNotIn("peer.find", [verb for verb, _ in self.server.done])
        self.server.verbs["peer.find"] = ("E_AMBIGUOUS", 2, 400, "2 nodes have IDs that begin with 3f9a")
        r = self.expect(2, "ping", "3f9a")
        self.assertIn("2 nodes have IDs that begin with 3f9a", r.stderr)

    def test_errors_have_their_exit_code_and_a_remedy(self):
        for status, code, exit_code in ((404, "model_not_found", 1), (503, "no_provider", 1),
                                        (502, "peer_failed", 4), (504, "timeout", 6), (403, "forbidden", 5),
                                        (402, "payment_required", 5), (429, "queue_full", 1),
                                        (503, "backend_unreachable", 1), (400, "other", 1)):
            r = self.expect(exit_code, "chat", "hi", script=lambda h, b: h.error(status, code, f"it is {code}"))
            self.assertIn(f"teale: it is {code}\n", r.stderr)
            if code != "other":
                self.assertGreater(len(r.stderr.splitlines()), 1, code)
            self.assertEqual(r.stdout, "")

    def test_where_nobody_serves_the_remedy_is_of_the_networks_that_are_used(self):
        for wan, lan, said in ((False, "avahi", "Share a model on a machine of the same local network"),
                               (False, "off", "teale config set lan_enabled true"),
                               (True, "off", "The relay is not reached")):
            def script(h, body):
                if h.path != "/control/status":
                    return h.error(503, "no_provider", "nobody")
                h.begin(200, "application/json")
                return h.send(json.dumps({"wan": {"enabled": wan, "state": "offline"}, "lan": {"discovery": lan}}))
            r = self.expect(4 if wan else 1, "chat", "hi", script=script)
            self.assertIn(said, r.stderr)
            self.assertEqual("lan_enabled" in r.stderr, lan == "off" and not wan)

    def test_an_error_inside_the_stream_keeps_what_came_and_fails(self):
        def script(h, body):
            h.begin()
            h.token("half")
            h.send('event: error\ndata: {"error":{"message":"lost the peer","code":"peer_failed"}}\n\n')
        r = self.expect(4, "chat", "hi", script=script)
        self.assertEqual(r.stdout, "half\n")
        self.assertIn("lost the peer", r.stderr)

    def test_an_answer_that_breaks_off_is_not_taken_for_whole(self):
        def script(h, body):
            h.begin()
            h.token("half")
        self.assertIn("broke off\nAsk again;", self.expect(1, "chat", "hi", script=script).stderr)

    def test_garbage_from_the_daemon_is_an_error_and_no_crash(self):
        def garbage(h, body):
            h.begin(200, "application/json")
            h.send(b"\xff{[")
        for args in (["status"], ["peers"], ["models"], ["env"], ["ping", NODE]):
            self.expect(1, *args, script=garbage)
        self.expect(1, "status", script=lambda h, b: h.send(b"not http\r\n\r\n"))
        wrong = {"peers": [5, {"node_id": 7, "models": [1, None]}], "models": ["x", {"id": []}], "wan": [], "nat": 3}

        def wrong_types(h, body):
            h.begin(200, "application/json")
            h.send(json.dumps(wrong))
        for args in (["status"], ["peers"], ["models"], ["env"]):
            self.expect(0, *args, script=wrong_types)

    def test_ping_counts_and_measures(self):
        def script(h, body):
            h.begin(200, "application/x-ndjson")
            for rtt in (30.5, 29.5):
                h.send(json.dumps({"rtt_ms": rtt, "path": "relayed"}) + "\n")
            h.send('{"error":"no answer"}\n')
        r = self.expect(0, "ping", "-c", "3", NODE, script=script)
        self.assertEqual(self.server.seen[0][1], f"/control/ping/{NODE}?count=3")
        self.assertEqual(r.stdout, "1: 30.500 ms relayed\n2: 29.500 ms relayed\n"
                                   "2 of 3 answered, min/avg/max 29.500/30.000/30.500 ms\n")
        j = json.loads(self.expect(0, "ping", NODE, "--json").stdout)
        self.assertEqual((j["node_id"], j["sent"], j["answered"]), (NODE, 3, 2))

        def nobody(h, body):
            h.begin(200, "application/x-ndjson")
            h.send('{"error":"unknown peer"}\n')
        self.assertIn("unknown peer", self.expect(4, "ping", NODE, script=nobody).stderr)

    def test_peers_are_filtered_and_shortened(self):
        peers = [{"node_id": NODE, "name": "gpu\x1b[31m", "path": "relayed", "rtt_ms": 31.24, "models": list("abcd"),
                  "ptns": ["ab" * 32]},
                 {"node_id": "7" * 64, "name": "box", "path": "lan", "rtt_ms": 0.4, "models": [], "ptns": []}]

        def script(h, body):
            h.begin(200, "application/json")
            h.send(json.dumps({"peers": peers, "ptns": [{"ptn_id": "cd" * 32, "name": "work"},
                                                        {"ptn_id": "ab" * 32, "name": "family"}]}))
        lines = self.expect(0, "peers", script=script).stdout.splitlines()
        self.assertEqual(len(lines), 3)
        self.assertEqual(re.split(r"  +", lines[1]), [NODE[:16], "gpu[31m", "relayed", "31.2 ms", "-", "-",
                                                      "family", "a, b, c and 1 more"])
        self.assertNotIn("box", self.expect(0, "peers", "--wan").stdout)
        self.assertNotIn("gpu", self.expect(0, "peers", "--cluster").stdout)
        self.assertIn("7" * 64, self.expect(0, "peers", "--long").stdout)
        self.assertEqual(json.loads(self.expect(0, "peers", "--wan", "--json").stdout)["peers"], peers[:1])

    def test_models_say_where_they_are(self):
        def script(h, body):
            h.begin(200, "application/json")
            offer = {"node_id": NODE, "name": "gpu", "ptn_id": "ab" * 32, "price_micro": 1500}
            h.send(json.dumps({"models": [{"id": "a", "local": True, "peers": []},
                                          {"id": "b", "local": True, "peers": ["x", "y"], "offers": [offer]},
                                          {"id": "c", "local": False, "peers": ["x"],
                                           "offers": [{**offer, "name": "", "ptn_id": None, "price_micro": 0}]},
                                          {"id": "d", "local": False, "peers": ["x"], "offers": [],
                                           "too_dear": [{**offer, "name": "dear", "price_micro": 1600}, offer]}],
                               "ptns": [{"ptn_id": "ab" * 32, "name": "family"}]}))
        out = [re.split("  +", line) for line in self.expect(0, "models", script=script).stdout.splitlines()]
        self.assertEqual(out, [["MODEL", "WHERE", "BEST", "NETWORK", "CREDITS/1000"], ["a", "here", "-", "-", "-"],
                               ["b", "here, 2 peers", '"gpu"', "family", "0.0015"],
                               ["c", "1 peer", NODE[:16], "public", "free"],
                               ["d", "1 peer", '"gpu"', "family", "0.0015, above price.max_micro"]])

    def test_a_name_of_two_networks_is_a_slip_with_two_remedies(self):
        def script(h, body):
            h.error(400, "ambiguous_network", "name one by its ID: 11 or 22")
        said = self.expect(2, "chat", "-m", "m@lab", "hi", script=script).stderr
        self.assertIn("name one by its ID: 11 or 22", said)
        self.assertIn("teale ptn rename", said)

    def test_the_remedy_without_a_provider_follows_the_relay(self):
        for wan, exit_code, said in (({"enabled": True, "state": "connected"}, 1, "teale models"),
                                     ({"enabled": True, "state": "offline"}, 4, "teale doctor"),
                                     ({"enabled": False, "state": "offline"}, 1, "--relay URL"),
                                     ({"enabled": False, "models": ["m"]}, 1, "teale models")):
            def script(h, body):
                if h.path == "/control/status":
                    h.begin(200, "application/json")
                    h.send(json.dumps({"wan": wan, "backend": {"models": wan.get("models", [])}}))
                else:
                    h.error(503, "no_provider", "nobody serves it")
            self.assertIn(said, self.expect(exit_code, "chat", "hi", script=script).stderr)

    @staticmethod
    def type(fd, keys):
        """Types them, and returns what the program says meanwhile."""
        said = b""
        while keys:
            readable, writable, _ = select.select([fd], [fd], [], 20)
            if readable:
                said += os.read(fd, 65536)
            if writable:
                keys = keys[os.write(fd, keys[:1024]):]
        return said.decode(errors="replace")

    def session(self, script, dialogue, command=None):
        """An interactive session on a terminal: waits for each text, then types or signals."""
        self.server.script = script
        command = command or [TEALE, "--home", self.home, "chat"]
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.execvpe(command[0], command,
                          {**os.environ, "HOME": self.home, "TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"})
            finally:
                os._exit(127)
        text, read_to = "", 0
        for wait_for, action in dialogue:
            deadline = time.monotonic() + 20
            while wait_for not in text[read_to:]:
                self.assertLess(time.monotonic(), deadline, repr(text))
                if select.select([fd], [], [], 1)[0]:
                    text += os.read(fd, 4096).decode()
            read_to = text.index(wait_for, read_to) + len(wait_for)
            text += self.type(fd, action.encode())
        if command[0] != TEALE:  # a shell goes on after the session
            try:
                while piece := os.read(fd, 4096):
                    text += piece.decode()
            except OSError:
                pass
        _, status = os.waitpid(pid, 0)
        os.close(fd)
        return text, os.waitstatus_to_exitcode(status)

    @staticmethod
    def echo(h, body):
        """Answers with the number of messages and the last of them."""
        messages = json.loads(body)["messages"]
        h.begin()
        h.token(f"answer {len(messages)} [{messages[-1]['content']}]")
        h.send("data: [DONE]\n\n")

    def asked(self):
        return [json.loads(body)["messages"][-1]["content"] for method, path, _, body in self.server.seen
                if path == "/v1/chat/completions"]

    def test_a_session_remembers_and_an_empty_line_does_not_end_it(self):
        def script(h, body):
            h.begin()
            h.token(f"answer {len(json.loads(body)['messages'])}\x1b[2J")
            h.send("data: [DONE]\n\n")
        text, code = self.session(script, [("> ", "one\n"), ("answer 1", ""), ("> ", "\n"), ("> ", "two\n"),
                                           ("answer 3", ""), ("> ", "/bye\n")])
        self.assertEqual(code, 0)
        self.assertNotIn("\x1b[2J", text)

    def test_pasted_lines_are_one_question_and_nothing_is_left_for_the_shell(self):
        text, code = self.session(self.echo, [
            ("\x1b[?2004h", "see:\x1b[200~first line\r\rrm -rf café\n\x1b[201~"),
            ("café", "\n"), ("answer 1", ""), ("> ", "\x04")])
        self.assertEqual((code, self.asked()), (0, ["see:first line\n\nrm -rf café"]), text)

    def test_pasted_empty_lines_neither_end_the_session_nor_ask(self):
        text, code = self.session(self.echo, [
            ("\x1b[?2004h", "\x1b[200~\n\n\x1b[201~"), ("", "\n"), ("> ", "\x1b[200~   \x1b[201~\n"),
            ("> ", "real\n"), ("answer 1 [real]", ""), ("> ", "\x04")])
        self.assertEqual((code, self.asked()), (0, ["real"]), text)

    def test_a_paste_that_the_terminal_does_not_mark_is_one_question_a_line_and_goes_on_after_an_empty_one(self):
        text, code = self.session(self.echo, [
            ("> ", "one\n\ntwo\n\n\nthree\n"), ("answer 5 [three]", ""), ("> ", "\x04")])
        self.assertEqual((code, self.asked()), (0, ["one", "two", "three"]), text)

    def test_the_rest_of_a_paste_never_reaches_the_shell(self):
        shell = f"{TEALE} --home {self.home} chat; echo left $?; timeout --foreground 1 cat | sed s/^/LEAKED/"
        for first in ("/bye", "gone"):
            if first == "gone":  # the node is not there: the session ends by itself
                os.unlink(os.path.join(self.home, "teale.sock"))
            text, _ = self.session(self.echo, [("> ", f"{first}\nrm -rf café\n"), ("left ", "")], ["sh", "-c", shell])
            self.assertIn("left ", text)
            self.assertNotIn("LEAKED", text)
        leaky = "sleep 0.5; timeout --foreground 1 cat | sed s/^/LEAKED/"  # the twin: this shell does show what it reads
        text, _ = self.session(self.echo, [("", "x\n")], ["sh", "-c", leaky])
        self.assertIn("LEAKEDx", text)

    def test_what_a_model_says_cannot_drive_the_terminal(self):
        evil = "a\x1b]52;c;ZXZpbA==\x07b\u202ec\u2066d\x9be\x08f\rg\u200fé\n\tend"

        def script(h, body):
            h.begin()
            h.token(evil)
            h.send("data: [DONE]\n\n")
        text, code = self.session(script, [("> ", "one\n"), ("end", ""), ("> ", "\x04")])
        self.assertEqual(code, 0)
        shown = text[text.index("]52"):text.index("end")]
        for bad in "\x1b\x07\u202e\u2066\x9b\x08":
            self.assertNotIn(bad, shown)
        self.assertIn("é\r\n\t", shown)
        self.assertEqual(self.expect(0, "chat", "one", script=script).stdout, evil.replace("\r", "\n") + "\n")  # a pipe: as it is

    def test_a_line_can_be_edited_found_again_and_left(self):
        text, code = self.session(self.echo, [
            ("> ", "wrong\x03"), ("> ", "helo\x1b[D\x1b[Dl\n"), ("answer 1", ""), ("> ", "\x1b[A\n"),
            ("answer 3", ""), ("> ", "\x04")])
        self.assertEqual((code, self.asked()), (0, ["hello", "hello"]), text)

    def test_the_commands_of_a_session(self):
        def script(h, body):
            if h.path == "/control/models":
                h.begin(200, "application/json")
                h.send(json.dumps({"models": [{"id": "m1", "local": True, "peers": []}]}))
            else:
                self.echo(h, body)
        text, code = self.session(script, [
            ("> ", "/help\n"), ("/clear", ""), ("> ", "/model\n"), ("  m1", ""), ("> ", "/model m2\n"),
            ("Did you mean m1?", ""), ("No known node serves m2. Asking teale-auto as before", ""), ("> ", "/model a b\n"),
            ("a model's name has no blanks", ""), ("> ", "/model quite-another\n"), ("Asking quite-another from now on", ""),
            ("> ", "/model m1\n"), ("Asking m1", ""), ("> ", "one\n"), ("answer 1", ""), ("> ", "/clear\n"), ("> ", "//two\n"),
            ("answer 1 [/two]", ""), ("> ", "/nonsense\n"), ("no such command", ""), ("> ", "/bye\n")])
        self.assertEqual((code, self.asked()), (0, ["one", "/two"]), text)
        self.assertEqual(json.loads(self.server.seen[-1][3])["model"], "m1")

    def test_something_moves_while_an_answer_is_awaited(self):
        def script(h, body):
            h.begin()
            time.sleep(1)
            h.token("late")
            h.send("data: [DONE]\n\n")
        text, code = self.session(script, [("> ", "one\n"), ("waiting for the answer", ""), ("late", ""), ("> ", "\x04")])
        self.assertEqual(code, 0)

    def test_piped_text_follows_the_words_and_an_empty_prompt_is_refused(self):
        r = self.expect(0, "chat", "summarise", script=self.echo, stdin="a\nfile\n")
        self.assertEqual(r.stdout, "answer 1 [summarise\n\na\nfile\n]\n")
        self.assertEqual(self.expect(0, "chat", "alone", stdin="").stdout, "answer 1 [alone]\n")
        self.assertIn("empty", self.expect(2, "chat", "", stdin="").stderr)

    def test_ctrl_c_stops_the_answer_and_not_the_session(self):
        gone = threading.Event()

        def script(h, body):
            h.begin()
            if len(self.server.seen) > 1:
                h.token("second")
                h.send("data: [DONE]\n\n")
                return
            h.token("endless")
            try:
                while h.connection.recv(1):
                    pass
            except OSError:
                pass
            gone.set()
        _, code = self.session(script, [("> ", "one\n"), ("endless", "\x03"), ("> ", "two\n"), ("second", ""),
                                        ("> ", "\x04")])
        self.assertEqual(code, 0)
        self.assertTrue(gone.wait(5), "the daemon was not told")

    def test_an_interrupted_command_closes_its_connection(self):
        began, gone = threading.Event(), threading.Event()

        def script(h, body):
            h.begin()
            h.token("x")
            began.set()
            try:
                while h.connection.recv(1):
                    pass
            except OSError:
                pass
            gone.set()
        self.server.script = script
        p = subprocess.Popen([TEALE, "--home", self.home, "chat", "hi"], stdout=subprocess.PIPE)
        self.assertTrue(began.wait(10))
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=10)
        self.assertTrue(gone.wait(5))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
