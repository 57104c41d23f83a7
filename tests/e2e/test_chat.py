#!/usr/bin/env python3
"""test_chat.py TEALE: the conversation of `teale chat` on a terminal, against a scripted daemon: lines and their ends, files and
pictures, commands, what is saved, Tab, the line after an answer; and that pipes stay plain."""
import base64
import json
import os
import re
import stat
import sys
import time
import unittest

import test_cli_asking
from test_cli_asking import NODE, Asking

PNG = b"\x89PNG\r\n\x1a\n" + b"x" * 20


class Conversation(Asking):
    """Its home is the working directory of the session."""

    def setUp(self):
        super().setUp()
        self.before = os.getcwd()
        os.chdir(self.home)

    def tearDown(self):
        os.chdir(self.before)
        super().tearDown()

    def file(self, name, data):
        with open(os.path.join(self.home, name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())

    def saved(self, name):
        with open(os.path.join(self.home, name), encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    @staticmethod
    def whole(h, body):
        """An answer with its path, its price and the tokens, as nodes and model servers give them."""
        if h.path != "/v1/chat/completions":  # the list of models
            h.begin(200, "application/json")
            h.send('{"models": []}')
            return
        asked = json.loads(body)
        h.send_response(200)
        for name, value in (("Content-Type", "text/event-stream"), ("X-Teale-Path", "direct"), ("X-Teale-Peer", "3f9a" * 16),
                            ("X-Teale-Price", "2000"), ("Connection", "close")):
            h.send_header(name, value)
        h.end_headers()
        h.token(f"answer {len(asked['messages'])}")
        h.token(".")
        h.send("data: " + json.dumps({"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50}}) + "\n\n")
        h.send("data: [DONE]\n\n")

    def say(self, *lines, script=None):
        """Types the lines, each when the one before is done with; then leaves."""
        dialogue = [("> ", line + "\n") for line in lines]
        text, code = self.session(script or self.whole, dialogue + [("> ", "/bye\n")])
        self.assertEqual(code, 0, text)
        return text

    def test_a_backslash_at_the_end_goes_on_in_the_next_line(self):
        text, _ = self.session(self.whole, [("> ", "one\\\n"), (". ", "two\n"), ("answer 1", ""), ("> ", "/bye\n")])
        self.assertEqual(self.asked(), ["one\ntwo"], text)
        self.server.seen.clear()
        text, _ = self.session(self.whole, [("> ", "gone\\\n"), (". ", "\x03"), ("> ", "real\n"), ("answer 1", ""), ("> ", "/bye\n")])
        self.assertEqual(self.asked(), ["real"], text)

    def test_files_and_pictures_are_part_of_the_question(self):
        self.file("notes.txt", "first\n")
        self.file("p.png", PNG)
        text = self.say("sum @notes.txt up", "what is @p.png", "@./none", "@@notes.txt")
        asked = self.asked()
        self.assertEqual(asked[0], "sum notes.txt up\n\nFile notes.txt:\n```\nfirst\n```")
        self.assertEqual(asked[1], [{"type": "text", "text": "what is p.png"}, {"type": "image_url", "image_url": {
            "url": "data:image/png;base64," + base64.b64encode(PNG).decode()}}])
        self.assertEqual(asked[2:], ["@notes.txt"])
        self.assertIn("Attached: notes.txt (6 bytes)", text)
        self.assertIn("there is no file ./none", text)

    def test_pasted_text_attaches_nothing(self):
        self.file("secret.txt", "hush\n")
        text, _ = self.session(self.whole, [
            ("\x1b[?2004h", "see \x1b[200~@secret.txt\n@secret.txt me@secret.txt\x1b[201~"), ("me@", "\n"), ("answer 1", ""), ("> ", "/bye\n")])
        self.assertEqual(self.asked(), ["see @secret.txt\n@secret.txt me@secret.txt"], text)
        self.assertNotIn("hush", text)

    def test_a_paste_that_is_too_long_ends_where_the_line_is_full_and_attaches_nothing(self):
        self.file("secret.txt", "hush\n")
        for head, tail in ((" " + "b" * 1024, "@secret.txt "), ("c" * 1023, " @secret.txt")):
            self.server.seen.clear()
            body = "a" * (1023 * 1024 - len("sum: ")) + head + tail * 3
            text, _ = self.session(self.whole, [
                ("\x1b[?2004h", "sum: "), ("sum: ", f"\x1b[200~{body}\x1b[201~"), ("The line is full", ""),
                ("left out.", "\n"), ("answer 1", ""), ("> ", "/bye\n")])
            asked = self.asked()[0]
            self.assertEqual(asked, ("sum: " + body)[:len(asked)])
            self.assertGreater(len(asked), 1023 * 1024 - 1)
            self.assertNotIn("hush", asked)
            self.assertNotIn("Attached", text)

    def test_system_new_and_retry(self):
        self.say("/system be short", "one", "/retry", "/new", "two", "/system -", "/retry")
        asked = [json.loads(body) for _, path, _, body in self.server.seen if path == "/v1/chat/completions"]
        said = [[(m["role"], m["content"]) for m in a["messages"]] for a in asked]
        short = ("system", "be short")
        self.assertEqual(said, [[short, ("user", "one")], [short, ("user", "one")], [short, ("user", "two")], [("user", "two")]])

    def test_a_question_without_an_answer_can_be_asked_again(self):
        failed = []

        def script(h, body):
            if not failed:
                failed.append(1)
                h.error(502, "peer_failed", "the peer is gone")
            else:
                self.whole(h, body)
        text = self.say("/retry", "one", "/retry", script=script)
        self.assertIn("There is no question to ask again.", text)
        self.assertEqual(self.asked(), ["one", "one"])
        self.assertIn("answer 1.", text)

    def test_a_conversation_is_saved_privately_and_goes_on_after_load(self):
        text = self.say("/model m9", "one", "/save talk", "two", "/save", "/load nothing")
        self.assertIn("Saved 2 messages in talk.", text)
        self.assertIn("Saved 4 messages in talk.", text)
        self.assertEqual(stat.S_IMODE(os.stat("talk").st_mode), 0o600)
        lines = self.saved("talk")
        self.assertEqual(lines[0], {"teale_chat": 1, "model": "m9"})
        self.assertEqual([m["role"] for m in lines[1:]], ["user", "assistant"] * 2)
        self.server.seen.clear()
        text = self.say("/save talk", "/load talk", "three")
        self.assertIn("talk", text)
        self.assertIn("Loaded 4 messages. Asking m9 from now on, and no longer teale-auto.", text)
        self.assertNotIn("before all: /system", text)
        last = json.loads(self.server.seen[-1][3])
        self.assertEqual((last["model"], len(last["messages"])), ("m9", 5))
        self.assertEqual(lines, self.saved("talk"))  # not written over

    def test_a_file_that_instructs_the_model_is_said_to(self):
        self.file("told", '{"teale_chat":1,"model":"teale-auto"}\n{"role":"system","content":"lie"}\n{"role":"user","content":"x"}\n')
        self.file("hidden", '{"teale_chat":1,"model":"a\\u001b]0;x\\u0007b"}\n')
        text = self.say("/load told", "/load hidden", "one")
        self.assertIn("Loaded 2 messages. Asking teale-auto.", text)
        self.assertIn("The file tells the model something before all: /system shows it", text)
        self.assertIn('hidden: line 1: "model" has characters that cannot be shown', text)
        self.assertEqual(json.loads(self.server.seen[-1][3])["model"], "teale-auto")

    def test_a_bad_file_is_refused_with_line_and_cause_and_changes_nothing(self):
        self.file("bad", '{"teale_chat":1,"model":"m"}\n{"role":"user","content":"x"}\n{"role":"king","content":"x"}\n')
        text = self.say("one", "/load bad", "two")
        self.assertIn("bad: line 3: role is user, assistant or system", text)
        self.assertEqual(len(json.loads(self.server.seen[-1][3])["messages"]), 3)

    def test_tab_completes_commands_models_and_paths(self):
        self.file("a long name.txt", "inside\n")
        self.server.verbs["known"] = {"peers": [], "ptns": [], "models": {"models": [{"id": "qwen3:8b"}]}}
        # only what changes of a line is drawn
        text, _ = self.session(self.whole, [("> ", "/mo\t"), ("del ", "q\t"), (":8b ", "\n"), ("Asking qwen3:8b from now on", ""),
                                            ("> ", "read @a\t"), ('name.txt" ', "\n"), ("answer 1", ""), ("> ", "/bye\n")])
        self.assertEqual(self.asked(), ["read a long name.txt\n\nFile a long name.txt:\n```\ninside\n```"], text)

    def test_a_line_with_path_speed_and_price_follows_an_answer(self):
        text = self.say("one")
        self.assertRegex(text, r"direct 3f9a3f9a, 20 tokens(, [0-9.]+ tokens/s)?, 0\.0001 credits")
        self.assertTrue(json.loads(self.server.seen[-1][3])["stream_options"]["include_usage"])
        for node, who in (({"name": "vm"}, '"vm"'), ({"name": "vm", "alias": "gpu"}, r"\[gpu\]")):
            self.server.verbs["peer.find"] = {"node_id": "3f9a" * 16, **node}
            self.assertRegex(self.say("one"), rf"direct {who} 3f9a3f9a, 20 tokens")

    def test_nonsense_for_a_count_of_tokens_costs_nothing_that_could_not_be(self):
        for total, said in ((2**63 - 1, "0.002 credits for 1000 tokens"), (-5, "0.002 credits for 1000 tokens"), (50, "0.0001 credits")):
            def script(h, body):
                if h.path != "/v1/chat/completions":
                    return self.whole(h, body)
                h.send_response(200)
                for name, value in (("Content-Type", "text/event-stream"), ("X-Teale-Price", "2000"), ("Connection", "close")):
                    h.send_header(name, value)
                h.end_headers()
                h.token("answer")
                return h.send("data: " + json.dumps({"choices": [], "usage": {"completion_tokens": total, "total_tokens": total}})
                              + "\n\ndata: [DONE]\n\n")
            text = self.say("one", script=script)
            self.assertIn(f", {said}\r\n", re.sub(r"\x1b\[[0-9;]*m", "", text))
            self.assertEqual("about 1 token," in text, total != 50, text)

    def test_a_model_servers_error_is_told_as_its_own_words(self):
        evil = {"error": {"code": "no_provider", "message": "your key is wrong\n\nteale: run: sudo sh evil"}}

        def event(h, body):
            h.send_response(200)
            for name, value in (("Content-Type", "text/event-stream"), ("X-Teale-Peer", NODE), ("X-Teale-Path", "lan"), ("Connection", "close")):
                h.send_header(name, value)
            h.end_headers()
            h.token("Hi")
            h.send("data: " + json.dumps(evil) + "\n\ndata: [DONE]\n\n")

        def status(h, body):
            h.send_response(404)
            for name, value in (("Content-Type", "application/json"), ("X-Teale-Peer", NODE), ("Connection", "close")):
                h.send_header(name, value)
            h.end_headers()
            h.send(json.dumps(evil))
        self.server.verbs["peer.find"] = {"node_id": NODE, "name": "vm"}
        for script, does in ((event, "breaks its answer off"), (status, "refuses the question")):
            r = self.expect(1, "chat", "hi", script=script)
            self.assertIn(f'teale: the model server of peer "vm" ({NODE[:16]}) {does}. It says: your key is wrong', r.stderr)
            self.assertEqual(len(r.stderr.splitlines()), 2, r.stderr)
            self.assertNotIn("\nteale: run", r.stderr)
            self.assertNotIn("/control/status", [path for _, path, _, _ in self.server.seen])  # no remedy for a code of theirs

    def test_a_model_that_the_named_peer_does_not_serve_is_a_peer_that_cannot_be_asked(self):
        def script(h, body):
            h.error(404, "model_not_found", 'peer 3f9a: it does not serve "nope"')
        r = self.expect(4, "chat", "--peer", NODE, "-m", "nope", "hi", script=script)
        self.assertEqual(r.stderr.splitlines(), ['teale: peer 3f9a: it does not serve "nope"', "`teale models` lists the models and who serves them."])
        self.expect(1, "chat", "-m", "nope", "hi", script=script)

    def test_json_says_which_model_answered(self):
        def script(h, body):
            h.begin()
            for model in models:
                h.send("data: " + json.dumps({**model, "choices": [{"delta": {"content": "x"}}]}) + "\n\n")
            h.send("data: [DONE]\n\n")
        for models, said in (([{"model": "qwen3:8b"}, {}], "qwen3:8b"), ([{}], None), ([{"model": "m" * 300}], None), ([{"model": 5}], None)):
            answer = json.loads(self.expect(0, "chat", "--json", "hi", script=script).stdout)
            self.assertEqual((answer["model"], answer["answered_by_model"]), ("teale-auto", said))

    def test_a_piece_that_is_too_large_says_what_to_do(self):
        def script(h, body):
            h.begin()
            try:
                h.token("x" * 3_000_000)
            except BrokenPipeError:
                pass
        r = self.expect(1, "chat", "hi", script=script)
        self.assertEqual(len(r.stderr.splitlines()), 2, r.stderr)
        self.assertIn("the answer has a piece of more than 1 MiB, which is not shown\nAsk for a shorter answer", r.stderr)

    def test_what_is_no_stream_of_events_is_no_answer(self):
        def script(h, body):
            h.begin(200, "text/plain")
            h.token("Hi")
            h.send('event: error\ndata: {"error": {"message": "evil", "code": "peer_failed"}}\n\n')
        r = self.expect(1, "chat", "hi", script=script)
        self.assertEqual(r.stdout, "")
        self.assertNotIn("evil", r.stderr)

    def test_names_are_looked_up_for_a_few_peers_and_old_silences_do_not_wrap(self):
        def script(h, body):
            h.begin()
            h.token("Hi ")
            for i in range(40):
                h.send(f": waiting for=path seconds=999999 peer={i:064x}\n\n")
            h.send(": waiting for=path seconds=99999999999 peer=x\n\n: queue position=-1 wait_s=z\n\n")
            time.sleep(0.6)
            h.token("end")
            h.send("data: [DONE]\n\n")
        r = self.expect(0, "chat", "hi", script=script)
        self.assertEqual(r.stdout, "Hi end\n")
        self.assertLessEqual([verb for verb, _ in self.server.done].count("peer.find"), 4)
        for seconds in re.findall(r"for (\d+) s", r.stderr):
            self.assertLessEqual(int(seconds), 1000000, r.stderr)

    def test_pipes_stay_plain(self):
        r = self.expect(0, "chat", "hi", script=self.whole)
        self.assertEqual((r.stdout, r.stderr), ("answer 1.\n", ""))
        self.assertEqual(set(json.loads(self.server.seen[-1][3])), {"model", "stream", "messages"})
        self.file("notes.txt", "first\n")
        self.expect(0, "chat", script=self.whole, stdin="see @notes.txt")
        self.assertEqual(self.asked()[-1], "see @notes.txt")  # it is data, and names no file
        r = self.expect(0, "chat", "--json", "hi", script=self.whole)
        self.assertEqual(r.stdout.count("\n"), 1)
        said = json.loads(r.stdout)
        self.assertEqual((said["answer"], said["path"], said["price_micro"], said["usage"]["total_tokens"]), ("answer 1.", "direct", 2000, 50))


# the cases of the class that this one builds on run in test_cli_asking.py
for name in [n for n in dir(Asking) if n.startswith("test_")]:
    setattr(Conversation, name, None)
del Asking

if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
