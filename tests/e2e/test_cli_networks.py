#!/usr/bin/env python3
"""test_cli_networks.py TEALE: the commands of private networks, wallet and pause against a scripted daemon
on a Unix socket: what is sent, what is printed, and with which exit code."""
import base64
import fcntl
import hashlib
import http.server
import json
import os
import pty
import re
import select
import shutil
import signal
import socketserver
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import ed25519  # noqa: E402

TEALE = os.path.abspath(sys.argv[1])
INVITER = ed25519.Key(hashlib.sha256(b"the inviter").digest())
ADMIN = INVITER.public.hex()
NET = ed25519.Key(hashlib.sha256(b"the network").digest()).public.hex()
NODE = "3f9a" + "0" * 58 + "19"  # a key: other digits are refused
NONCE = "ab" * 16


def canonical(fields):
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def invite(altered=False, **changed):
    """The canonical JSON in base64url, signed by the inviter."""
    fields = {"ptnID": NET, "ptnName": "family", "role": "consumer", "inviterNodeID": ADMIN, "nonce": NONCE,
              "expiresAt": 4102444800, "relay": "wss://relay.example.org/ws", **changed}
    signature = INVITER.sign(b"teale/v1/invite\0" + canonical(fields)).hex()
    if altered:
        fields["role"] = "admin"
    text = canonical({**fields, "signature": signature})
    return "teale:inv1:" + base64.urlsafe_b64encode(text).decode().rstrip("=")


def ptn(**changed):
    return {"ptn_id": NET, "name": "family", "role": "admin", "state": "valid", "issued_at": "2026-11-29T10:00:00Z",
            "expires_at": None, "issuer": ADMIN, "members": 3, "ca_key": True, "price_micro": 1500,
            "price_version": 2, "revocation_sequence": 4, "hide": False, **changed}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, self.server.pages.get(self.path, {"peers": []}))

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        self.server.seen.append((body["verb"], body["args"]) if self.path == "/control/do" else (self.path, body))
        script = self.server.verbs.get(body.get("verb"), {})
        if callable(script):
            script = script(self, body["args"])
        if isinstance(script, tuple):
            code, exit_code, status, message = script
            self.answer(status, {"error": {"code": code, "exit": exit_code, "message": message}})
        elif script is not None:
            self.answer(200, script)

    def answer(self, status, value):
        raw = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        pass

    def address_string(self):
        return "unix"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class Case(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="teale-nets-")
        self.server = Server(os.path.join(self.home, "teale.sock"), Handler)
        self.server.seen, self.server.verbs, self.server.pages = [], {}, {}
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.verbs, self.seen = self.server.verbs, self.server.seen

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.home)

    def path(self, name):
        return os.path.join(self.home, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def teale(self, *args, code=0, stdin="", timeout=60):
        r = subprocess.run([TEALE, "--home", self.home, *args], input=stdin, capture_output=True, text=True,
                           timeout=timeout, env={**os.environ, "HOME": self.home, "TERM": "dumb"})
        self.assertEqual(r.returncode, code, f"{args}: {r.stdout} {r.stderr}")
        return r

    def json(self, *args, **more):
        r = self.teale(*args, "--json", **more)
        self.assertEqual(r.stdout.count("\n"), 1, r.stdout)
        return json.loads(r.stdout)

    def sent(self):
        """The last verb and its arguments."""
        return self.seen[-1]

    def nothing_sent(self, *args, code=2):
        before = len(self.seen)
        r = self.teale(*args, code=code)
        self.assertEqual(self.seen[before:], [], args)
        return r


class Networks(Case):
    def test_a_network_is_made_and_the_next_step_named(self):
        self.verbs["ptn.create"] = {"ptn_id": NET, "name": "family", "role": "admin"}
        r = self.teale("ptn", "create", "family")
        self.assertEqual(self.sent(), ("ptn.create", {"name": "family"}))
        self.assertIn(f"ptn: {NET}\n", r.stdout)
        self.assertIn("Next: teale ptn invite family", r.stderr)
        self.assertEqual(self.json("ptn", "create", "family"), self.verbs["ptn.create"])

    def test_a_network_is_made_again_and_called_otherwise_on_demand(self):
        self.verbs["ptn.create"] = self.verbs["ptn.rename"] = {"ptn_id": NET, "name": "den", "role": "admin"}
        self.teale("ptn", "create", "family", "--again")
        self.assertEqual(self.sent(), ("ptn.create", {"name": "family", "again": True}))
        self.assertIn('"den"', self.teale("ptn", "rename", "family", "den").stdout)
        self.assertEqual(self.sent(), ("ptn.rename", {"net": "family", "name": "den"}))
        self.nothing_sent("ptn", "rename", "family", "two words")
        self.nothing_sent("ptn", "rename", "family")

    def test_a_name_of_other_characters_is_refused_and_the_longest_taken(self):
        self.verbs["ptn.create"] = {"ptn_id": NET, "name": "x", "role": "admin"}
        for wrong in ("", "two words", "ä", "x" * 65, "a/b"):
            self.nothing_sent("ptn", "create", wrong)
        self.teale("ptn", "create", "x" * 64)

    def test_networks_are_listed_and_what_ails_them_is_said(self):
        self.verbs["ptn.list"] = {"ptns": [
            ptn(), ptn(name="work", role="consumer", state="expired", price_micro=0, ca_key=False),
            ptn(name="lab", role=None, state="joining", waiting="the inviter 3f9a… is not connected to the relay")]}
        r = self.teale("ptn", "list")
        lines = r.stdout.splitlines()
        self.assertEqual(lines[0].split(), "NAME ROLE STATE MEMBERS PRICE ENDS CA KEY ID".split())
        self.assertEqual(lines[1].split(), ["family", "admin", "valid", "3", "0.0015", "never", "yes", NET[:16]])
        self.assertIn("free", lines[2])
        self.assertIn("teale ptn renew work", r.stderr)
        self.assertIn("is not connected to the relay", r.stderr)
        self.assertEqual(self.json("ptn", "list"), self.verbs["ptn.list"])
        self.verbs["ptn.list"] = {"ptns": []}
        self.assertIn("teale ptn create NAME", self.teale("ptn", "list").stderr)

    def test_one_network_is_shown(self):
        self.verbs["ptn.show"] = ptn(certificate={"ptnID": NET}, revocations=None, prices=None)
        out = self.teale("ptn", "show", NET[:8]).stdout
        self.assertEqual(self.sent(), ("ptn.show", {"net": NET[:8]}))
        for line in (f"ptn: {NET}", "role: admin", "state: valid", "members: 3", "ca key: here", "certificate ends: never",
                     "price: 0.0015 credits for 1000 tokens (version 2)"):
            self.assertIn(line + "\n", out)

    def test_members_are_shown_with_what_is_known_of_them(self):
        self.verbs["ptn.members"] = {"ptn_id": NET, "members": [
            {"node_id": NODE, "name": "gpu\x1b[31m", "role": "provider", "issued_at": "2026-11-29T10:00:00Z",
             "expires_at": None, "issuer": ADMIN, "state": "valid", "online": True, "last_seen": None, "revoked_at": None},
            {"node_id": ADMIN, "name": "laptop", "role": "consumer", "issued_at": "2020-01-01T00:00:00Z",
             "expires_at": "2099-01-01T00:00:00Z", "issuer": ADMIN, "state": "revoked", "online": False,
             "last_seen": "2020-01-02T00:00:00Z", "revoked_at": "2020-01-02T00:00:00Z"}]}
        out = self.teale("ptn", "members", "family").stdout
        self.assertIn(NODE[:16], out)
        self.assertNotIn(NODE, out)
        self.assertNotIn("\x1b", out)
        self.assertRegex(out, r"laptop +consumer +revoked \d+ d ago +\d+ d ago +in \d+ d")
        self.assertIn(NODE, self.teale("ptn", "members", "family", "--long").stdout)

    def found(self, _, args):
        """As the node: its digits mean the node NODE."""
        if NODE.startswith(args["peer"]):
            return {"node_id": NODE, "name": "gpu", "alias": None, "by": "digits"}
        return ("E_NOT_FOUND", 1, 404, "no such node")

    def test_an_alias_has_a_column_of_its_own(self):
        member = {"node_id": NODE, "name": "gpu", "alias": None, "role": "consumer", "state": "valid"}
        self.verbs["ptn.members"] = {"ptn_id": NET, "members": [member, {**member, "node_id": ADMIN, "name": "evil"}]}
        self.assertNotIn("ALIAS", self.teale("ptn", "members", "family").stdout)
        member["alias"] = "mum"
        out = self.teale("ptn", "members", "family").stdout
        self.assertRegex(out, r"^NODE +ALIAS +NAME +ROLE")
        self.assertRegex(out, NODE[:16] + r" +mum +gpu ")
        self.assertRegex(out, ADMIN[:16] + r" +- +evil ")

    def test_a_member_is_named_by_its_first_digits_and_revoked(self):
        self.verbs["peer.find"] = self.found
        self.verbs["ptn.revoke"] = {"ptn_id": NET, "node_id": NODE, "sequence": 5, "revoked_at": "2026-11-29T10:00:00Z",
                                    "told": 2}
        out = self.teale("ptn", "revoke", "family", NODE[:6]).stdout
        self.assertEqual(self.sent(), ("ptn.revoke", {"net": "family", "node_id": NODE}))
        self.assertIn(("peer.find", {"net": "family", "peer": NODE[:6]}), self.seen)
        self.assertIn("2 members told", out)
        self.verbs["ptn.revoke"]["serves_public"] = True
        self.assertIn("share_with", self.teale("ptn", "revoke", "family", NODE).stderr)
        self.assertIn("E_NOT_FOUND", self.teale("ptn", "revoke", "family", "eeee", code=1).stderr)
        self.nothing_sent("ptn", "revoke", "family", "ff" * 32)
        self.verbs["peer.find"] = ("E_AMBIGUOUS", 2, 400, "2 nodes are called bob")
        r = self.teale("ptn", "revoke", "family", "bob", code=2)
        self.assertEqual(r.stderr, "teale: E_AMBIGUOUS: 2 nodes are called bob\n")
        self.assertNotEqual(self.sent()[0], "ptn.revoke")

    def test_an_invite_is_withdrawn_by_its_nonce(self):
        self.verbs["ptn.withdraw"] = {"nonce": NONCE, "state": "withdrawn"}
        self.teale("ptn", "revoke", "family", "--invite", NONCE)
        self.assertEqual(self.sent(), ("ptn.withdraw", {"net": "family", "nonce": NONCE}))
        self.nothing_sent("ptn", "revoke", "family", "--invite", "12")
        self.nothing_sent("ptn", "revoke", "family", NODE, "--invite", NONCE)
        self.nothing_sent("ptn", "revoke", "family")

    def test_times_are_told_as_a_person_would(self):
        self.verbs["ptn.renew"] = {"ptn_id": NET, "node_id": NODE, "issued_at": None, "expires_at": None}
        self.assertEqual(self.teale("ptn", "renew", "family").stdout,
                         f"renewed; the certificate of {NODE[:16]} never ends\n")
        soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600.5))
        self.verbs["ptn.renew"]["expires_at"] = soon
        self.assertRegex(self.teale("ptn", "renew", "family").stdout, r"^renewed; the certificate of \w+ ends in \S")
        for seconds, words in ((0, "just now"), (-30, "30 s ago")):
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
            self.verbs["ptn.show"] = ptn(issued_at=at)
            self.assertRegex(self.teale("ptn", "show", "family").stdout,
                             f"certificate issued: {words}|certificate issued: 31 s ago" if seconds else
                             "certificate issued: just now")

    def test_promote_renew_leave_send_what_was_typed(self):
        self.verbs["ptn.promote"] = {"ptn_id": NET, "node_id": NODE, "role": "admin"}
        self.verbs["ptn.renew"] = {"ptn_id": NET, "node_id": NODE, "issued_at": "2026-11-29T10:00:00Z", "expires_at": None}
        self.verbs["ptn.leave"] = {"ptn_id": NET}
        for args, sent in (
                (("promote-admin", "family", NODE), ("ptn.promote", {"net": "family", "node_id": NODE})),
                (("renew", "family"), ("ptn.renew", {"net": "family"})),
                (("renew", "family", NODE, "--valid", "90d"),
                 ("ptn.renew", {"net": "family", "node_id": NODE, "valid_s": 90 * 86400})),
                (("renew", "family", "--valid", "never"), ("ptn.renew", {"net": "family", "valid_s": 0})),
                (("leave", "family"), ("ptn.leave", {"net": "family"})),
                (("leave", "family", "--delete"), ("ptn.leave", {"net": "family", "delete": True}))):
            self.teale("ptn", *args)
            self.assertEqual(self.sent(), sent)
        self.nothing_sent("ptn", "renew", "family", "--valid", "soon")

    def test_the_price_is_shown_and_set(self):
        self.verbs["ptn.price"] = {"ptn_id": NET, "price_micro": 2000000, "version": 3, "issued_at": None, "issuer": None}
        self.assertIn("2 credits", self.teale("ptn", "price", "family").stdout)
        self.assertEqual(self.sent(), ("ptn.price", {"net": "family"}))
        self.teale("ptn", "price", "family", str(2**53 - 1))
        self.assertEqual(self.sent(), ("ptn.price", {"net": "family", "price_micro": 2**53 - 1}))
        self.teale("ptn", "price", "family", "0")
        for wrong in ("-1", "1.5", "1e3", "", str(2**53), "9" * 30, "NaN", "+1", " 1"):
            self.nothing_sent("ptn", "price", "family", wrong)

    def test_the_key_is_printed_alone_and_env_exports_it(self):
        self.verbs["ptn.key"] = {"ptn_id": NET, "key": "tl-abc"}
        self.server.pages["/control/env"] = {"base_url": "http://127.0.0.1:1/v1", "api_key": "tl-own"}
        self.assertEqual(self.teale("ptn", "key", "family").stdout, "tl-abc\n")
        self.teale("ptn", "key", "family", "--new")
        self.assertEqual(self.sent(), ("ptn.key", {"net": "family", "new": True}))
        self.assertEqual(self.teale("env", "--ptn", "family").stdout,
                         "export OPENAI_BASE_URL=http://127.0.0.1:1/v1\nexport OPENAI_API_KEY=tl-abc\n")
        self.assertEqual(self.json("env", "--ptn", "family")["api_key"], "tl-abc")
        self.assertIn("OPENAI_API_KEY=tl-own", self.teale("env").stdout)
        self.verbs["ptn.key"] = ("E_NOT_FOUND", 1, 404, "no network is called family")
        self.assertEqual(self.teale("env", "--ptn", "family", code=1).stdout, "")

    def test_hide_is_the_setting(self):
        self.assertEqual(self.teale("ptn", "hide").stdout, "off\n")
        self.assertEqual(self.json("ptn", "hide", "on"), {"hide": True})
        self.assertEqual(self.teale("config", "get", "ptn.hide").stdout, "true\n")
        self.assertEqual(self.teale("ptn", "hide", "off").stdout, "off\n")
        self.teale("ptn", "hide", "maybe", code=2)


class Invites(Case):
    def setUp(self):
        super().setUp()
        self.made = {"invite": invite(), "ptn_id": NET, "name": "family", "role": "consumer", "nonce": NONCE,
                     "expires_at": "2099-01-01T00:00:00Z", "for": None}
        self.verbs["ptn.invite"] = self.made

    def test_the_code_stands_alone_on_stdout(self):
        r = self.teale("ptn", "invite", "family")
        self.assertEqual(r.stdout, self.made["invite"] + "\n")
        self.assertEqual(self.sent(), ("ptn.invite", {"net": "family", "role": "consumer"}))
        self.assertEqual(self.json("ptn", "invite", "family"), self.made)

    def test_options_are_sent_as_seconds_and_whole_ids(self):
        self.teale("ptn", "invite", "family", "--role", "provider", "--expires", "90m", "--valid", "30d", "--for", NODE)
        self.assertEqual(self.sent(), ("ptn.invite", {"net": "family", "role": "provider", "expires_s": 5400,
                                                      "valid_s": 30 * 86400, "for": NODE}))
        self.teale("ptn", "invite", "family", "--expires", "30d", "--valid", "never")
        self.assertEqual(self.sent(), ("ptn.invite", {"net": "family", "role": "consumer", "expires_s": 30 * 86400}))

    def test_wrong_options_are_refused_before_anything_is_sent(self):
        for wrong in (("--role", "king"), ("--expires", "31d"), ("--expires", "never"), ("--expires", "5"),
                      ("--expires", "0s"), ("--valid", "1y"), ("--for", "ff" * 32), ("--what",)):
            self.nothing_sent("ptn", "invite", "family", *wrong)
        self.nothing_sent("ptn", "invite")

    def test_the_picture_goes_to_stderr_and_into_a_new_private_file(self):
        r = self.teale("ptn", "invite", "family", "--qr", "--png", self.path("code.png"))
        self.assertEqual(r.stdout, self.made["invite"] + "\n")
        self.assertIn("█", r.stderr)
        self.assertNotIn("\x1b", r.stderr)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("code.png")).st_mode), 0o600)
        before = len(self.seen)
        r = self.teale("ptn", "invite", "family", "--png", self.path("code.png"), code=1)
        self.assertIn("exists already", r.stderr)
        self.assertEqual(len(self.seen), before, "no invite is made that cannot be written")

    def test_on_a_terminal_the_picture_is_black_on_white_and_needs_its_width(self):
        for columns, drawn in ((200, True), (80, False)):
            master, slave = pty.openpty()
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 100, columns, 0, 0))
            p = subprocess.Popen([TEALE, "--home", self.home, "ptn", "invite", "family", "--qr"], stderr=slave,
                                 stdout=subprocess.PIPE, env={**os.environ, "TERM": "xterm-256color"})
            os.close(slave)
            text = b""
            while True:
                try:
                    piece = os.read(master, 65536)
                except OSError:
                    break
                if not piece:
                    break
                text += piece
            self.assertEqual(p.wait(20), 0)
            p.stdout.close()
            os.close(master)
            self.assertEqual(b"\x1b[38;5;16;48;5;231m" in text, drawn)
            self.assertEqual(b"--png FILE" in text, not drawn)

    def test_invites_are_listed(self):
        self.verbs["ptn.invites"] = {"invites": [{"nonce": NONCE, "role": "consumer", "state": "used", "for": None,
                                                  "expires_at": "2099-01-01T00:00:00Z", "used_by": NODE}]}
        self.assertRegex(self.teale("ptn", "invites", "family").stdout, NONCE + r" +consumer +used +in \d+ d +- +3f9a0")


class Join(Case):
    def setUp(self):
        super().setUp()
        self.joined = {"state": "joined", "ptn_id": NET, "name": "family", "role": "consumer", "admin": ADMIN}
        self.verbs["ptn.join"] = self.joined
        self.verbs["ptn.key"] = {"ptn_id": NET, "key": "tl-net"}
        self.server.pages["/control/env"] = {"base_url": "http://127.0.0.1:1/v1", "api_key": "tl-own"}

    def test_a_code_is_sent_as_it_is_and_the_network_named(self):
        for command in (("join",), ("ptn", "join")):
            r = self.teale(*command, invite())
            self.assertIn(("ptn.join", {"invite": invite()}), self.seen)
            self.assertIn(f'joined "family" as consumer (admin {ADMIN[:4]}...{ADMIN[-2:]})\n', r.stdout)
            self.assertIn("API http://127.0.0.1:1/v1   key tl-net\n", r.stdout)
        self.assertEqual(self.json("join", invite(), "--as", "home"), self.joined)
        self.assertEqual(self.sent(), ("ptn.join", {"invite": invite(), "as": "home"}))
        self.nothing_sent("join", invite(), "--as", "my home")

    def test_a_code_from_standard_input_may_have_space_around_it(self):
        self.teale("join", "-", stdin=f"  {invite()}\n")
        self.assertEqual(self.seen[0][0], "ptn.join")
        self.assertEqual(self.seen[0][1]["invite"].strip(), invite())

    def test_what_is_no_invite_is_refused_with_2_and_nothing_is_sent(self):
        good = invite()
        for wrong in ("", "hello", "teale:inv1:", "teale:inv2:" + good[11:], good[11:], good[:-5], good + "=", good + "!",
                      "TEALE:INV1:" + good[11:], invite(role="king"), invite(nonce="12"), invite(ptnID="zz"),
                      invite(expiresAt="soon"), invite(more=1), "teale:inv1:" + "A" * 5000):
            r = self.nothing_sent("join", wrong)
            self.assertRegex(r.stderr, r"\Ateale: E_INVITE_MALFORMED: .*\n\Z", wrong)
        self.nothing_sent("join")
        self.nothing_sent("join", good, "--image", "x.png")

    def test_an_altered_invite_is_told_from_a_malformed_one_and_not_sent(self):
        r = self.nothing_sent("join", invite(altered=True), code=5)
        self.assertRegex(r.stderr, r"\Ateale: E_INVITE_ALTERED: .*\n\Z")

    def test_refusals_are_one_line_with_their_code_and_exit(self):
        for code, exit_code, status in (("E_INVITE_EXPIRED", 5, 403), ("E_INVITE_USED", 5, 409),
                                        ("E_INVITE_WITHDRAWN", 5, 403), ("E_INVITE_OTHER_NODE", 5, 403),
                                        ("E_INVITE_FOREIGN", 5, 403), ("E_REVOKED", 5, 403), ("E_AWAY", 4, 504)):
            self.verbs["ptn.join"] = (code, exit_code, status, "it cannot be.\nAsk for another.")
            for more in ((), ("--json",)):
                r = self.teale("join", invite(), *more, code=exit_code)
                self.assertEqual(r.stderr, f"teale: {code}: it cannot be. Ask for another.\n")
                self.assertEqual(r.stdout, "")

    def test_a_picture_of_the_code_is_read(self):
        self.verbs["ptn.invite"] = {"invite": invite(), "name": "family", "role": "consumer"}
        self.teale("ptn", "invite", "family", "--png", self.path("code.png"))
        self.teale("join", "--image", self.path("code.png"))
        self.assertIn(("ptn.join", {"invite": invite()}), self.seen)

    def test_a_picture_without_an_invite_says_why(self):
        text = self.write("not.png", b"hello")
        self.assertIn("neither a PNG nor a JPEG", self.nothing_sent("join", "--image", text).stderr)
        self.assertIn("there is no file", self.nothing_sent("join", "--image", self.path("none.png")).stderr)
        self.verbs["ptn.invite"] = {"invite": "https://example.org/", "name": "family", "role": "consumer"}
        self.teale("ptn", "invite", "family", "--png", self.path("menu.png"))
        self.assertIn("E_INVITE_MALFORMED", self.nothing_sent("join", "--image", self.path("menu.png")).stderr)

    def test_without_zbar_the_package_is_named_and_all_else_works(self):
        found = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True).stdout
        library = re.search(r"libzbar\.so\.0 .*=> (\S+)", found)
        hide = f"mount --bind /dev/null {library[1] if library else '/dev/full'} 2>/dev/null && exec \"$@\""
        self.verbs["ptn.invite"] = {"invite": invite(), "name": "family", "role": "consumer"}
        self.teale("ptn", "invite", "family", "--png", self.path("code.png"))
        run = ["unshare", "-m", "sh", "-c", hide, "sh", TEALE, "--home", self.home]
        if library and subprocess.run([*run, "--version"], capture_output=True).returncode:
            self.skipTest("nothing can be mounted here")
        r = subprocess.run([*(run if library else run[6:]), "join", "--image", self.path("code.png")], capture_output=True, text=True)
        self.assertEqual(r.returncode, 1, r.stderr)
        self.assertIn("apt install libzbar0", r.stderr)

    def wait_for_ever(self, handler, args):
        """The node tries on: no answer before the client is gone."""
        self.server.gone = False
        while select.select([handler.connection], [], [], 30)[0]:
            if not handler.connection.recv(100):
                self.server.gone = True
                break

    def test_an_inviter_that_is_away_is_named_and_the_join_goes_on_by_itself(self):
        self.verbs["ptn.join"] = self.wait_for_ever
        self.verbs["ptn.list"] = {"ptns": [ptn(state="joining", waiting="the inviter is not connected to the relay")]}
        r = self.teale("join", invite(), "--timeout", "4s", code=6)
        self.assertIn("the inviter is not connected to the relay; trying on", r.stderr)
        self.assertRegex(r.stderr, r"teale: E_TIMEOUT: not joined in time: .*finishes by itself")
        self.assertEqual(r.stdout, "")

    def test_an_inviter_that_comes_back_admits_the_node_that_waits(self):
        def later(handler, args):
            time.sleep(3)
            return self.joined
        self.verbs["ptn.join"] = later
        r = self.teale("join", invite())
        self.assertIn("is not reached yet; trying on", r.stderr)
        self.assertIn('joined "family"', r.stdout)

    def test_ctrl_c_leaves_it_to_the_node(self):
        self.verbs["ptn.join"] = self.wait_for_ever
        p = subprocess.Popen([TEALE, "--home", self.home, "join", invite()], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        deadline = time.monotonic() + 20
        while not self.seen and time.monotonic() < deadline:
            time.sleep(0.02)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=20)
        self.assertEqual((p.returncode, out), (6, ""))
        self.assertIn("the node goes on trying", err)

    def test_without_a_daemon_it_is_3(self):
        self.server.shutdown()
        os.unlink(self.path("teale.sock"))
        for args in (("join", invite()), ("ptn", "list"), ("wallet",), ("pause",), ("ptn", "invite", "family"),
                     ("wallet", "settle", NODE, "5"), ("ptn", "revoke", "family", "3f9a")):
            self.teale(*args, code=3)
        self.nothing_sent("join", "nonsense")


class CaKey(Case):
    def test_the_sealed_key_goes_into_a_new_private_file_and_comes_back(self):
        sealed = base64.b64encode(b"teale CA key\n" + bytes(range(200))).decode()
        word = self.write("word", "correct horse é\nsecond line\n".encode())
        self.verbs["ptn.export_ca"] = {"ptn_id": NET, "sealed": sealed}
        self.verbs["ptn.import_ca"] = ptn()
        self.teale("ptn", "export-ca-key", "family", self.path("ca"), "--passphrase-file", word)
        self.assertEqual(self.sent(), ("ptn.export_ca", {"net": "family", "passphrase": "correct horse é"}))
        self.assertEqual(stat.S_IMODE(os.stat(self.path("ca")).st_mode), 0o600)
        with open(self.path("ca"), "rb") as f:
            self.assertEqual(f.read(), base64.b64decode(sealed))
        self.teale("ptn", "import-ca-key", self.path("ca"), "--passphrase-file", word)
        self.assertEqual(self.sent(), ("ptn.import_ca", {"sealed": sealed, "passphrase": "correct horse é"}))
        self.nothing_sent("ptn", "export-ca-key", "family", self.path("ca"), "--passphrase-file", word, code=1)
        self.nothing_sent("ptn", "import-ca-key", self.path("none"), "--passphrase-file", word, code=1)

    def test_an_empty_passphrase_is_refused(self):
        for text in (b"", b"\nx", b"\xff\n", b"x" * 1100):
            self.teale("ptn", "export-ca-key", "family", self.path("ca"), "--passphrase-file", self.write("word", text),
                       code=1 if len(text) > 1000 else 2)
        self.nothing_exported()

    def nothing_exported(self):
        self.assertNotIn("ptn.export_ca", [verb for verb, _ in self.seen])

    def test_a_node_without_the_ca_key_says_so_before_a_passphrase_is_asked_for(self):
        self.verbs["ptn.show"] = ptn(ca_key=False)
        self.verbs["ptn.export_ca"] = ("E_NOT_CA", 5, 403, "the CA key is elsewhere")
        said = self.teale("ptn", "export-ca-key", "family", self.path("ca"), code=5).stderr
        self.assertIn("E_NOT_CA: the CA key is elsewhere", said)
        self.assertNotIn("passphrase", said)
        self.verbs["ptn.show"] = ptn(ca_key=True)  # the twin
        self.assertIn("--passphrase-file", self.teale("ptn", "export-ca-key", "family", self.path("ca"), code=1).stderr)

    def typed(self, *lines):
        """Runs export-ca-key on a terminal of its own and types the lines; (exit code, all it showed)."""
        pid, master = pty.fork()
        if pid == 0:
            os.execv(TEALE, [TEALE, "--home", self.home, "ptn", "export-ca-key", "family", self.path("ca")])
        shown, waiting = b"", list(lines)
        while True:
            if not select.select([master], [], [], 20)[0]:
                break
            try:
                piece = os.read(master, 4096)
            except OSError:
                break
            shown += piece
            if waiting and piece.rstrip().endswith(b":"):
                os.write(master, waiting.pop(0))
        os.close(master)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown

    def test_on_the_terminal_it_is_asked_for_twice_and_never_shown(self):
        self.verbs["ptn.export_ca"] = {"ptn_id": NET, "sealed": base64.b64encode(b"x").decode()}
        code, shown = self.typed(b"open sesame\n", b"open sesamy\n")
        self.assertEqual(code, 2)
        self.assertIn(b"differ", shown)
        self.nothing_exported()
        code, shown = self.typed(b"open sesame\n", b"open sesame\n")
        self.assertEqual(code, 0, shown)
        self.assertEqual(self.sent()[1]["passphrase"], "open sesame")
        self.assertNotIn(b"sesame", shown)

    def test_ctrl_c_at_the_question_sends_nothing(self):
        code, _ = self.typed(b"\x03")
        self.assertEqual(code, 1)
        self.nothing_exported()
        self.assertFalse(os.path.exists(self.path("ca")))


class Money(Case):
    def setUp(self):
        super().setUp()
        self.verbs["wallet.show"] = {"balance_micro": -1500000, "earned_micro": 500000, "spent_micro": 2000000, "held_micro": 7,
                                     "peers": [{"node_id": NODE, "name": "gpu", "balance_micro": -1500000,
                                                "earned_micro": 500000, "spent_micro": 2000000, "held_micro": 7,
                                                "settled_micro": 0, "limit_micro": 100000000, "unsigned": 1}],
                                     "ptns": [{"ptn_id": NET, "name": "family", "earned_micro": 0, "spent_micro": 2000000}]}
        self.entry = {"at": "2026-11-29T10:00:00Z", "request": "r1", "kind": "question", "role": "asked", "peer": NODE,
                      "ptn_id": None, "model": 'a,"b"', "tokens_in": 10, "tokens_out": 20, "price_micro": 1000,
                      "amount_micro": 30, "state": "posted", "receipt": {"requestID": "r1"}}
        self.verbs["wallet.history"] = {"entries": [self.entry]}

    def test_the_wallet_shows_who_owes_whom(self):
        out = self.teale("wallet").stdout
        self.assertIn("balance: -1.5 credits (this node owes)\n", out)
        self.assertIn("held: 0.000007 credits\n", out)
        self.assertRegex(out, NODE[:16] + r" +gpu +-1\.5 +0\.5 +2 +0\.000007 +0 +100 +1")
        self.assertRegex(out, r"family +0 +2 +" + NET[:16])
        self.assertEqual(self.json("wallet"), self.verbs["wallet.show"])

    def test_nodes_with_which_nothing_was_ever_owed_are_counted_and_not_listed(self):
        show = self.verbs["wallet.show"]
        one = dict(show["peers"][0])
        for key in ("balance_micro", "earned_micro", "spent_micro", "held_micro", "settled_micro"):
            one[key] = 0
        strangers = [{**one, "node_id": f"{i:02x}" + NODE[2:], "name": None, "unsigned": 2} for i in (0, 1)]
        self.verbs["wallet.show"] = {**show, "peers": show["peers"] + strangers}
        r = self.teale("wallet")
        self.assertIn(NODE[:16], r.stdout)
        self.assertNotIn(strangers[0]["node_id"][:16], r.stdout)
        self.assertIn("2 more nodes asked or answered for nothing", r.stderr)
        self.assertEqual(len(self.json("wallet")["peers"]), 3)
        self.verbs["wallet.show"] = {**show, "peers": strangers[:1]}
        r = self.teale("wallet")
        self.assertNotIn("UNSIGNED", r.stdout)
        self.assertIn("nothing was bought or sold yet\n1 more node asked or answered for nothing", r.stderr)

    def test_a_balance_of_nothing_is_owed_to_nobody(self):
        self.verbs["wallet.show"] = {"balance_micro": 0, "earned_micro": 0, "spent_micro": 0, "held_micro": 0, "peers": [],
                                     "ptns": []}
        self.assertIn("balance: 0 credits\n", self.teale("wallet").stdout)

    def test_the_history_is_a_table_json_or_csv(self):
        self.assertIn("10 + 20", self.teale("wallet", "history").stdout)
        self.assertEqual(self.json("wallet", "history"), {"entries": [self.entry]})
        self.assertEqual(self.teale("wallet", "history", "--csv").stdout,
                         "at,request,kind,role,peer,ptn_id,model,tokens_in,tokens_out,price_micro,amount_micro,state\n"
                         f'2026-11-29T10:00:00Z,r1,question,asked,{NODE},,"a,""b""",10,20,1000,30,posted\n')
        self.nothing_sent("wallet", "history", "--csv", "--json")

    def test_the_history_is_filtered_by_time_peer_and_network(self):
        self.verbs["peer.find"] = {"node_id": NODE, "by": "name"}
        self.teale("wallet", "history", "--since", "2026-01-31T18:00:00+01:00", "--peer", "gpu", "--ptn", "family")
        self.assertIn(("peer.find", {"ledger": True, "other": True, "peer": "gpu"}), self.seen)
        verb, args = self.sent()
        self.assertEqual((verb, {k: args[k] for k in args if k != "limit"}),
                         ("wallet.history", {"since": 1769878800, "peer": NODE, "net": "family"}))
        self.teale("wallet", "history", "--since", "24h")
        self.assertLess(abs(self.sent()[1]["since"] - (time.time() - 86400)), 60)
        for wrong in ("yesterday", "24", "2026-01-31", "2026-02-30T00:00:00Z"):
            self.nothing_sent("wallet", "history", "--since", wrong)

    def test_an_audit_that_finds_something_exits_1_and_names_it(self):
        self.verbs["wallet.audit"] = {"ok": True, "transactions": 5, "receipts": 4, "unsigned": 1, "problems": []}
        self.assertIn("5 transactions", self.teale("wallet", "audit").stdout)
        self.verbs["wallet.audit"] = {"ok": False, "transactions": 5, "receipts": 4, "unsigned": 1,
                                      "problems": ["request r1: the amount is 31, and not 30", "another"]}
        r = self.teale("wallet", "audit", code=1)
        self.assertEqual(r.stderr, "teale: E_AUDIT: request r1: the amount is 31, and not 30\n")
        self.assertEqual(self.json("wallet", "audit", code=1), self.verbs["wallet.audit"])

    def test_a_settlement_is_a_positive_whole_number_below_2_to_53(self):
        self.verbs["wallet.settle"] = {"peer": NODE, "amount_micro": 5, "state": "settled", "balance_micro": 0}
        self.verbs["peer.find"] = {"node_id": NODE, "by": "digits"}
        self.assertIn("settled: 0.000005 credits", self.teale("wallet", "settle", "3f9a", "5").stdout)
        self.assertEqual(self.sent(), ("wallet.settle", {"peer": NODE, "amount_micro": 5}))
        self.teale("wallet", "settle", NODE, str(2**53 - 1))
        for wrong in ("0", "-5", "1.0", "1e3", str(2**53), "NaN", "", "5 ", "0x5"):
            self.nothing_sent("wallet", "settle", NODE, wrong)
        self.verbs["wallet.settle"]["state"] = "proposed"
        self.assertIn("runs the same", self.teale("wallet", "settle", NODE, "5").stderr)
        self.verbs["wallet.settle"] = ("E_TOO_MUCH", 1, 400, "only 3 micro-credits are owed")
        self.assertIn("teale: E_TOO_MUCH: only 3", self.teale("wallet", "settle", NODE, "5", code=1).stderr)

    def test_pause_and_resume(self):
        self.verbs["pause"] = {"paused": True, "until": "2099-01-01T00:00:00Z"}
        self.verbs["resume"] = {"paused": False, "until": None}
        self.assertIn("it ends in", self.teale("pause", "--for", "2h", "--now").stdout)
        self.assertEqual(self.sent(), ("pause", {"for_s": 7200, "now": True}))
        self.assertEqual(self.json("pause"), self.verbs["pause"])
        self.assertEqual(self.sent(), ("pause", {}))
        self.assertEqual(self.json("resume"), self.verbs["resume"])
        self.nothing_sent("pause", "--for", "long")

    def test_why_ranks_the_nodes_that_serve_a_model(self):
        self.verbs["why.model"] = {"model": "m", "ptn_id": None, "ranking": [
            {"node_id": NODE, "name": "gpu", "rank": 1, "may": True, "reason": "free, and the quickest", "price_micro": 0},
            {"node_id": ADMIN, "name": "old", "rank": 2, "may": False, "reason": "not a member", "price_micro": None}]}
        out = self.teale("why", "--model", "m", "--ptn", "family").stdout
        self.assertEqual(self.sent(), ("why.model", {"model": "m", "net": "family"}))
        self.assertRegex(out, r"1 +3f9a0+ +gpu +free +free, and the quickest")
        self.assertRegex(out, r"- +" + ADMIN[:16] + r" +old +- +not a member")
        self.assertEqual(self.json("why", "--model", "m"), self.verbs["why.model"])
        self.nothing_sent("why")
        self.nothing_sent("why", NODE, "--model", "m")
        self.nothing_sent("why", NODE, "--ptn", "family")


class Status(Case):
    def test_the_status_tells_of_networks_slots_and_the_pause(self):
        share = {"paused": False, "until": None, "slots": 4, "running": 1, "queued": {"private": 2, "public": 0}}
        page = {"sharing": {"state": "on", "with": "networks"}, "share": share,
                "ptns": [ptn(), ptn(name="work", role="consumer", state="expired")]}
        self.server.pages["/control/status"] = page
        out = self.teale("status").stdout
        self.assertIn("share: 1 of 4 slots in use, 2 private and 0 public waiting\n", out)
        self.assertIn("ptn: family, admin, 3 members\nptn: work, consumer, expired: teale doctor\n", out)
        page["sharing"] = {"state": "off"}
        self.assertNotIn("share:", self.teale("status").stdout)
        page["share"] = {**share, "paused": True}
        self.assertIn("share: paused; it ends with: teale resume\n", self.teale("status").stdout)


class Words(Case):
    """Completion, and what is typed wrong."""

    def words(self, *typed):
        lines = self.teale("completion", "words", "--", "--home", self.home, *typed).stdout.splitlines()
        return [line.split("\t")[0] for line in lines]

    def test_networks_nodes_roles_and_invites_are_completed(self):
        self.verbs["ptn.list"] = {"ptns": [ptn(), ptn(name="work")]}
        self.verbs["ptn.members"] = {"members": [{"node_id": NODE, "name": "gpu"}]}
        self.verbs["ptn.invites"] = {"invites": [{"nonce": NONCE, "state": "open"}, {"nonce": "cd" * 16, "state": "used"}]}
        self.assertEqual(self.words("ptn", "show", "f"), ["family"])
        self.assertEqual(self.words("env", "--ptn", ""), ["family", "work"])
        self.assertEqual(self.words("ptn", "revoke", "family", "3f"), [NODE[:16]])
        self.assertEqual(self.words("ptn", "revoke", "family", "--invite", ""), [NONCE])
        self.assertEqual(self.words("ptn", "invite", "family", "--role", ""), ["consumer", "provider", "admin"])
        self.assertEqual(self.words("ptn", "hide", "o"), ["on", "off"])
        self.verbs["known"] = {"peers": [], "ptns": [ptn(), ptn(name="work", ptn_id="cd" * 32)], "models": {
            "models": [{"id": "m", "local": False, "peers": [NODE], "ptns": {NET: [NODE]}}]}}
        self.assertEqual(self.words("chat", "-m", "m"), ["m", "m@family"])
        self.assertEqual(self.words("join", "--image", ""), [":files"])
        self.assertEqual(self.words("ptn", "export-ca-key", "family", ""), [":files"])
        self.assertEqual(self.words("wallet", "h"), ["history"])
        self.assertIn("--csv", self.words("wallet", "history", "--"))
        self.assertEqual(self.words("wallet", "set"), ["settle"])
        self.assertIn("promote-admin", self.words("ptn", "p"))
        self.assertIn("wallet", self.words("w"))

    def test_unknown_words_and_options_name_those_meant(self):
        self.assertIn('did you mean "ptn invite"', self.nothing_sent("ptn", "invit", "x").stderr)
        self.assertIn("did you mean --role", self.nothing_sent("ptn", "invite", "x", "--rol", "admin").stderr)
        self.assertIn("teale ptn create", self.nothing_sent("ptn").stderr)
        self.nothing_sent("wallet", "histroy")
        self.nothing_sent("ptn", "list", "x")
        self.nothing_sent("resume", "x")

    def test_an_older_daemon_says_so(self):
        self.verbs["ptn.list"] = ("unknown_verb", 0, 404, "this node cannot do that: it is of another version")
        self.assertIn("another version", self.teale("ptn", "list", code=1).stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
