#!/usr/bin/env python3
"""test_cli.py TEALE [TEALE-RELAY]: the teale command as a user and a script meet it. Loopback only."""
import http.server
import json
import os
import pathlib
import pty
import re
import resource
import select
import shutil
import signal
import socket
import socketserver
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
from enter import enter  # noqa: E402

TEALE = os.path.abspath(sys.argv[1])
RELAY = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"  # of RFC 8032, 7.1
SOURCE = pathlib.Path(__file__).resolve().parents[2]


class Case(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="teale-cli-")
        self.processes = []

    def tearDown(self):
        if os.path.exists(self.path("teale.sock")):
            self.run_teale("down")
        for p in self.processes:
            if p.poll() is None:
                p.kill()
            p.wait()
            for pipe in (p.stdout, p.stderr):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.home, name)

    def env(self, **more):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "TEALE_", "NO_COLOR"))}
        return {**kept, "HOME": self.home, "TEALE_LAN": "off", "DBUS_SESSION_BUS_ADDRESS": "disabled:", **more}  # no key into a tester's keychain

    def run_teale(self, *args, home=True, stdin="", env=None, timeout=60):
        command = [TEALE] + (["--home", self.home] if home else []) + list(args)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout,
                              env=env or self.env())

    def ok(self, *args, **more):
        r = self.run_teale(*args, **more)
        self.assertEqual(r.returncode, 0, f"{args}: {r.stdout} {r.stderr}")
        return r

    def fails(self, code, *args, **more):
        r = self.run_teale(*args, **more)
        self.assertEqual(r.returncode, code, f"{args}: {r.stdout} {r.stderr}")
        self.assertTrue(r.stderr.strip(), f"{args} says nothing")
        return r

    def serve(self, *args, env=None):
        p = subprocess.Popen([TEALE, "serve", "--relayed", "--home", self.home, "--api", "127.0.0.1:0", *args],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env or self.env())
        self.processes.append(p)
        return p

    def ready(self, p):
        line = p.stdout.readline()
        self.assertRegex(line, r"^ready api=http://127\.0\.0\.1:\d+/v1 node=[0-9a-f]{64}\n$")
        return re.match(r"ready api=(\S+) node=(\S+)", line).groups()

    def file(self, text=None):
        if text is not None:
            with open(self.path("teale.toml"), "w", encoding="utf-8") as f:
                f.write(text)
        with open(self.path("teale.toml"), encoding="utf-8") as f:
            return f.read()


class Usage(Case):
    def test_no_command_prints_help_and_exits_2(self):
        r = self.fails(2, home=False)
        self.assertIn("Commands:", r.stderr)

    def test_help_and_version_exit_0(self):
        self.assertIn("Commands:", self.ok("help", home=False).stdout)
        self.assertIn("Commands:", self.ok("--help", home=False).stdout)
        self.assertIn("Commands:", self.ok("help", "--help", home=False).stdout)
        self.assertIn("teale help takes a command, and not --json", self.fails(2, "help", "--json").stderr)
        self.assertIn("an @ in it names no file", self.ok("chat", "--help", home=False).stdout)
        self.assertRegex(self.ok("--version", home=False).stdout, r"^teale \d+\.\d+\.\d+\n$")
        self.assertIn("--share URL", self.ok("up", "--help", home=False).stdout)
        self.assertIn("config set KEY VALUE", self.ok("config", "--help", home=False).stdout)

    def test_an_unknown_command_names_the_one_meant(self):
        for wrong, meant in (("stauts", "status"), ("conifg", "config"), ("peer", "peers")):
            self.assertIn(f'did you mean "{meant}"', self.fails(2, wrong).stderr)
        self.assertIn('did you mean "config set"', self.fails(2, "config", "sett").stderr)
        for word, meant in (("start", "teale up"), ("stop", "teale down")):
            self.assertIn(f"did you mean `{meant}`?", self.fails(2, word).stderr)
        for group in ("ptn", "join"):
            self.fails(2, group)

    def test_a_wrong_option_names_the_one_meant(self):
        self.assertIn("did you mean --share?", self.fails(2, "up", "--shaer", "x").stderr)
        self.fails(2, "status", "extra")
        self.fails(2, "ping")
        self.fails(2, "chat", "--timeout", "soon", "hi")

    def words(self, *typed, env=None):
        lines = self.ok("completion", "words", "--", *typed, home=False, env=env).stdout.splitlines()
        return [line.split("\t")[0] for line in lines]

    def test_every_command_and_option_is_in_the_manual_and_the_completion(self):
        manual = (SOURCE / "man/teale.1").read_text()
        helped = self.ok("help").stdout.split("Commands:\n")[1].split("\n\n")[0]
        self.assertRegex(helped, r"ptn COMMAND +create, invite, ")
        helped = re.sub(r"  ptn COMMAND.*\n +.*\n", "", helped)
        names = [re.match(r"  ((?:(?:config|wallet|peers) (?=[a-z]))?[a-z]+)", line)[1] for line in helped.splitlines()]
        names += re.findall(r"^  teale (ptn [a-z-]+)", self.ok("ptn", "--help").stdout, re.M)
        self.assertGreater(len(names), 40)
        for name in names:
            self.assertIn(f"Cm {name}", manual)
            typed = name.split()
            self.assertIn(typed[-1], self.words(*typed))
            page = self.ok("help", *typed).stdout
            for option in re.findall(r"^ .*--([a-z-]+)", page, re.M):
                self.assertIn(f"Fl Fl {option}", manual, f"{name} --{option}")
                self.assertIn(f"--{option}", self.words(*typed, "--"), name)

    def test_an_option_stands_at_its_command_in_the_manual_and_no_line_of_help_is_too_wide(self):
        manual = (SOURCE / "man/teale.1").read_text()
        listed = re.findall(r"^  teale ([a-z -]+?)(?: [A-Z\[].*|  .*)?$", "\n".join(
            self.ok(group, "--help").stdout for group in ("ptn", "config", "backup", "key")), re.M)
        names = [*listed, "peers", "peers alias", "chat", "ping", "why", "join", "wallet", "wallet history", "wallet settle"]
        names.remove("ptn join")  # the same as join
        self.assertGreater(len(names), 30)
        for name in names:
            page = self.ok(*name.split(), "--help").stdout
            self.assertLessEqual(max(len(line) for line in page.splitlines()), 100, name)
            at = [entry for entry in re.split(r"^\.It ", manual, flags=re.M) if re.match(rf"Cm {name}(?= [OAF]|\n)", entry)]
            self.assertTrue(at, name)
            for option in set(re.findall(r"^ .*--([a-z-]+)", page, re.M)) - {"json", "home", "help", "timeout"}:
                self.assertIn(f"Fl Fl {option}", "".join(at), name)

    @unittest.skipUnless(shutil.which("mandoc"), "needs mandoc")
    def test_the_manual_shows_every_setting_with_its_default_as_it_can_be_copied(self):
        page = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=78", SOURCE / "man/teale.toml.5"],
                              capture_output=True, text=True, check=True).stdout
        page = re.sub(r".\x08", "", page)  # bold type
        settings = page.split("\nSETTINGS\n")[1].split("\nEXAMPLES\n")[0]
        defaults = json.loads(self.ok("config", "list", "--json").stdout)
        shown = re.findall(r"^     ([a-z._]+ = (?:\[[^]]*\]|.*))$", settings, re.M)
        self.assertEqual({line.split(" = ")[0] for line in shown}, set(defaults))
        self.file("\n".join(shown) + "\n")
        self.assertEqual(json.loads(self.ok("config", "list", "--json").stdout), defaults)
        self.file(page.split("\nEXAMPLES\n")[1].split("\nSEE ALSO\n")[0])
        self.assertEqual(self.ok("config", "get", "share_models").stdout, '["qwen3:8b"]\n')

    def test_what_config_get_prints_can_be_given_to_config_set(self):
        defaults = json.loads(self.ok("config", "list", "--json").stdout)
        for key, value in defaults.items():
            printed = self.ok("config", "get", key).stdout.removesuffix("\n")
            self.ok("config", "set", key, printed)
            self.assertIn(f"{key.split('.')[-1]} = ", self.file())
        self.assertEqual(json.loads(self.ok("config", "list", "--json").stdout), defaults)

    def test_the_completion_knows_commands_options_settings_and_values(self):
        self.assertEqual(self.words("st"), ["status"])
        self.assertIn("help", self.words(""))
        self.assertEqual(self.words("help", "dow"), ["down"])
        self.assertEqual(self.words("config", "s"), ["set"])
        self.assertEqual(self.words("relay", ""), ["status"])
        self.assertIn("--json", self.words("relay", "status", "--"))
        self.assertEqual(self.words("config", "set", "wan_en"), ["wan_enabled"])
        self.assertEqual(self.words("config", "set", "wan_enabled", ""), ["true", "false"])
        self.assertEqual(self.words("config", "set", "share_with", "n"), ["networks"])
        self.assertEqual(self.words("config", "set", "backend_key_file", ""), [":files"])
        self.assertEqual(self.words("config", "get", "ask", ""), [])
        self.file('udp_port = 4711\ndisplay_name = "a b; $(id)"\n')
        home = f"--home={self.home}"
        self.assertEqual(self.words(home, "config", "set", "udp_port", ""), ["4711", "0"])
        self.assertEqual(self.words("--home", self.home, "config", "set", "udp_port", "4"), ["4711"])
        self.assertEqual(self.words(home, "config", "set", "display_name", ""), [])
        self.assertEqual(self.words("--home", "/x", "peers", "--cl"), ["--cluster"])
        self.assertEqual(self.words("--ho"), ["--home"])
        self.assertEqual(self.words("--home", ""), [":dirs"])
        self.assertEqual(self.words("up", "--log-level", "d"), ["debug"])
        self.assertEqual(self.words("up", "--log-level=d"), ["--log-level=debug"])
        self.assertEqual(self.words("serve", "--log-file", ""), [":files"])
        self.assertEqual(self.words("completion", ""), ["bash", "zsh", "fish"])
        self.assertIn("--share", self.words("up", ""))
        for nothing in (["stauts", ""], ["relay", "--"], ["relay", "check", ""], ["chat", "hi", ""], ["ping", "--", "--"], ["config", "x", ""]):
            self.assertEqual(self.words(*nothing), [], nothing)

    def test_the_completion_knows_peers_and_models_and_is_silent_without_a_node(self):
        def peer(node_id, name="", alias=None, named=False):
            return {"node_id": node_id, "name": name, "alias": alias, "named": named}
        nodes = [peer("3f9a" + "0" * 60, "cellar\t\x1b[31m"), peer("3f9b" + "0" * 60), peer("3f9b" + "0" * 59 + "1"),
                 peer("$(reboot)"), peer("aaaa" + "0" * 60, "Anna", "mum"), peer("bbbb" + "0" * 60, "bert", None, True),
                 peer("cccc" + "0" * 60, "mum"), peer("dddd" + "0" * 60, "$(touch x)", None, True)]
        models = {"models": [{"id": "qwen3:8b", "local": True}, {"id": "$(touch x)"}, {"id": "a b"}, {"id": "-x"}]}
        verbs = {"known": {"peers": nodes, "models": models, "ptns": []},
                 "alias.list": {"aliases": [peer("aaaa" + "0" * 60, "Anna", "mum")]}}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                body = json.dumps(verbs[asked["verb"]]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(socketserver.ThreadingUnixStreamServer):
            def get_request(self):
                return self.socket.accept()[0], ("unix", 0)
        at = ("--home", self.home)
        self.assertEqual(self.words(*at, "ping", ""), [])
        self.assertEqual(self.words(*at, "chat", "-m", ""), ["teale-auto"])
        server = Server(self.path("teale.sock"), Handler)
        self.addCleanup(server.server_close)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        both = ["3f9b" + "0" * 60, "3f9b" + "0" * 59 + "1"]
        # by alias or name; by digits where there is neither, or where somebody else's alias looks so
        self.assertEqual(self.words(*at, "ping", ""),
                         ["3f9a" + "0" * 12, *both, "mum", "bert", "cccc" + "0" * 12, "dddd" + "0" * 12])
        self.assertEqual(self.words(*at, "ping", "b"), ["bert", "bbbb" + "0" * 12])
        self.assertEqual(self.words(*at, "why", "3f9a" + "0" * 12), ["3f9a" + "0" * 60])
        self.assertEqual(self.words(*at, "chat", "--peer", "3f9a"), ["3f9a" + "0" * 12])
        self.assertEqual(self.words(*at, "chat", "--peer=m"), ["--peer=mum"])
        self.assertEqual(self.words(*at, "peers", "alias", "mu"), ["mum"])
        self.assertEqual(self.words(*at, "peers", "alias", "--remove", ""), ["mum"])
        self.assertEqual(self.words(*at, "pause", "--for", ""), [])
        self.assertEqual(self.words(*at, "chat", "-m", ""), ["teale-auto", "qwen3:8b"])
        self.assertEqual(self.words(*at, "chat", "--model=q"), ["--model=qwen3:8b"])
        self.assertEqual(self.words(*at, "up", "--model", "x"), [])
        self.assertNotIn("\x1b", self.ok(*"completion words -- ping ".split(" ")).stdout)
        os.unlink(self.path("teale.sock"))

    def test_a_node_that_hangs_does_not_hold_up_the_completion(self):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.bind(self.path("teale.sock"))
        s.listen(8)
        began = time.monotonic()
        self.assertEqual(self.words("--home", self.home, "ping", ""), [])
        self.assertLess(time.monotonic() - began, 3)
        os.unlink(self.path("teale.sock"))

    def in_bash(self, line):
        """What bash puts in place of the last word, which it splits at `:`, `=` and `@`."""
        script = self.ok("completion", "bash").stdout + (
            'COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDBREAKS=$\' \t\n"@><=;|&(:\'\n_teale teale; printf "%s\\n" "${COMPREPLY[@]}"\n')
        path = str(pathlib.Path(TEALE).resolve().parent) + ":" + os.environ["PATH"]
        r = subprocess.run(["bash", "-eu", "-c", script, "bash", line], capture_output=True, text=True, check=True,
                           env=self.env(PATH=path), cwd=self.home)
        return r.stdout.splitlines()

    def test_the_bash_completion_completes(self):
        self.file('udp_port = 1\nshare = "http://127.0.0.1:11434"\nwan_relay_url = "wss://r.example:8443/ws"\n')
        self.assertEqual(self.in_bash("teale st"), ["status"])
        self.assertEqual(self.in_bash("teale config set wan_en"), ["wan_enabled"])
        self.assertEqual(self.in_bash("teale up --log-level d"), ["debug"])
        self.assertEqual(self.in_bash("teale up --log-level=d"), ["debug"])
        self.assertIn("zsh", self.in_bash("teale completion "))
        at = f"teale --home {self.home} config set "
        self.assertEqual(self.in_bash(at + "share "), ["auto", "http://127.0.0.1:11434"])
        self.assertEqual(self.in_bash(at + "share http:"), ["//127.0.0.1:11434"])
        self.assertEqual(self.in_bash(at + "wan_relay_url wss://r.example:84"), ["8443/ws"])
        self.assertEqual(self.in_bash("teale serve --log-file teale.t"), ["teale.toml"])
        self.assertEqual(self.in_bash("teale serve --log-file=teale.t"), ["teale.toml"])
        pathlib.Path(self.home, "me@home.txt").write_text("")
        self.assertEqual(self.in_bash("teale serve --log-file=me@h"), ["home.txt"])
        self.assertEqual(self.in_bash("teale serve --log-file me@h"), ["home.txt"])

    def complete_in(self, shell, script):
        if not shutil.which(shell):
            self.skipTest(f"no {shell}")
        path = str(pathlib.Path(TEALE).resolve().parent) + ":" + os.environ["PATH"]
        return subprocess.run([shell, "-c", self.ok("completion", shell).stdout + script], capture_output=True, text=True,
                              check=True, timeout=60, env=self.env(PATH=path), cwd=self.home).stdout

    def test_the_fish_completion_completes(self):
        out = self.complete_in("fish", "complete -C 'teale config set share_with '; complete -C 'teale st'")
        self.assertEqual(out.splitlines(), ["networks", "public", "status\thow the node is connected and what it does"])

    def test_the_zsh_completion_completes(self):
        script = ("\ncompadd() { print -l -- \"${@[5,-1]}\"; }\nwords=(teale config set share_with n) CURRENT=5 PREFIX=n\n"
                  "_teale\nwords=(teale st) CURRENT=2 PREFIX=st\n_teale\n")
        # compdef and the completion's own widgets exist only while a line is edited
        self.assertEqual(self.complete_in("zsh", script).splitlines(), ["networks", "status"])

    def test_teale_relay_is_run_with_its_arguments_as_they_are(self):
        if not RELAY:
            self.skipTest("no teale-relay given")
        direct = subprocess.run([RELAY, "--help"], capture_output=True, text=True, check=True)
        self.assertEqual(self.ok("relay", "--help", home=False).stdout, direct.stdout)


class Config(Case):
    def test_the_seeds_commands_work_to_the_letter(self):
        self.ok("config", "set", "wan_enabled", "true")
        self.ok("config", "set", "wan_relay_url", "wss://my-relay.example.com/ws")
        self.assertEqual(self.ok("config", "get", "wan_enabled").stdout, "true\n")
        self.assertEqual(self.ok("config", "get", "wan_relay_url").stdout,
                         "wss://my-relay.example.com/ws\n")
        self.assertEqual(self.file(),
                         'wan_enabled = true\nwan_relay_url = "wss://my-relay.example.com/ws"\n')
        self.assertEqual(stat.S_IMODE(os.stat(self.path("teale.toml")).st_mode), 0o600)

    def test_comments_and_order_are_kept(self):
        self.file('# mine\nask = "any"   # all\n\n# of nat\n[nat]\nrelay_enabled = false\n')
        self.ok("config", "set", "ask", "networks")
        self.ok("config", "set", "udp_port", "4711")
        self.ok("config", "set", "nat.stun_servers", '["a:1", "b:2"]')
        self.assertEqual(self.file(), '# mine\nask = "networks"   # all\nudp_port = 4711\n\n# of nat\n'
                                      '[nat]\nrelay_enabled = false\nstun_servers = ["a:1", "b:2"]\n')

    def test_a_bad_value_or_name_changes_nothing(self):
        before = self.file("udp_port = 1 # keep\n")
        r = self.fails(2, "config", "set", "udp_prt", "2")
        self.assertIn('did you mean "udp_port"?', r.stderr)
        self.assertIn("from 0 to 65535", self.fails(2, "config", "set", "udp_port", "70000").stderr)
        self.assertIn("from 1 to 100000", self.fails(2, "config", "set", "nat.relay_max_sessions", "-1").stderr)
        self.assertIn("for yes write true", self.fails(2, "config", "set", "wan_enabled", "yes").stderr)
        self.assertIn("goes behind --", self.fails(2, "config", "set", "display_name", "-x").stderr)
        self.fails(2, "config", "get", "udp_prt")
        self.assertEqual(self.file(), before)
        self.ok("config", "set", "udp_port", "2")
        self.ok("config", "set", "display_name", "--", "-x")
        self.assertEqual(self.ok("config", "get", "display_name").stdout, "-x\n")

    def test_a_wrong_file_is_named_with_its_line(self):
        self.file("udp_port = 1\n\nwan_enable = true\n")
        for args in (["config", "list"], ["config", "set", "ask", "any"], ["serve"], ["up"]):
            r = self.fails(2, *args)
            self.assertIn('teale.toml:3: unknown setting "wan_enable"; did you mean "wan_enabled"?', r.stderr)
        self.assertEqual(self.file(), "udp_port = 1\n\nwan_enable = true\n")

    def test_list_and_get_are_parseable(self):
        everything = json.loads(self.ok("config", "list", "--json").stdout)
        self.assertEqual(everything["nat.relay_max_sessions"], 50)
        self.assertEqual(everything["wan_enabled"], False)
        one = json.loads(self.ok("config", "get", "nat.stun_servers", "--json").stdout)
        self.assertEqual(one, {"key": "nat.stun_servers",
                               "value": ["stun.l.google.com:19302", "stun1.l.google.com:19302",
                                         "stun.cloudflare.com:3478"]})
        self.assertEqual(json.loads(self.ok("config", "get", "nat.stun_servers").stdout), one["value"])
        self.assertEqual(len(self.ok("config", "list").stdout.splitlines()), len(everything) + 1)

    def test_paths_follow_home_and_xdg(self):
        self.assertEqual(self.ok("config", "path").stdout, self.path("teale.toml") + "\n")
        r = self.ok("config", "path", home=False)
        self.assertEqual(r.stdout, self.path(".config/teale/teale.toml") + "\n")
        r = self.ok("config", "path", home=False, env=self.env(XDG_CONFIG_HOME=self.path("c")))
        self.assertEqual(r.stdout, self.path("c/teale/teale.toml") + "\n")
        r = self.ok("config", "path", home=False, env=self.env(TEALE_HOME=self.path("h")))
        self.assertEqual(r.stdout, self.path("h/teale.toml") + "\n")
        self.ok("config", "set", "ask", "any", home=False)
        self.assertTrue(os.path.exists(self.path(".config/teale/teale.toml")))
        self.fails(2, "config", "path", "--home", "/tmp/" + "x" * 120)

    def test_a_full_disk_leaves_the_file_as_it_was(self):
        mount = self.path("full")
        os.mkdir(mount)
        if NO_NAMESPACE:
            self.skipTest(f"nothing can be mounted: {NO_NAMESPACE}")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "none", mount], check=True)
        try:
            self.ok("config", "set", "udp_port", "1", "--home", mount)
            with open(os.path.join(mount, "fill"), "wb", buffering=0) as f:
                try:
                    while f.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
            r = self.fails(1, "config", "set", "udp_port", "2", "--home", mount)
            self.assertIn("No space left", r.stderr)
            self.assertEqual(self.ok("config", "get", "udp_port", "--home", mount).stdout, "1\n")
            r = self.fails(1, "serve", "--home", mount, "--api", "127.0.0.1:0")
            self.assertIn("No space left", r.stderr)
            self.assertFalse(os.path.exists(os.path.join(mount, "wan-identity.key")))
            os.unlink(os.path.join(mount, "fill"))
            self.ok("config", "set", "udp_port", "2", "--home", mount)
        finally:
            subprocess.run(["umount", mount], check=True)


    def test_an_answer_that_cannot_be_written_is_a_failure(self):
        for command in (["config", "list"], ["--help"], ["serve", "--api", "127.0.0.1:0"]):
            with self.subTest(command=command), open("/dev/full", "w") as full:
                r = subprocess.run([TEALE, "--home", self.home, *command], stdout=full, stderr=subprocess.PIPE, text=True,
                                   timeout=30, env=self.env())
                self.assertEqual(r.returncode, 1)
                self.assertEqual(len(re.findall("cannot write (?:the ready line )?to standard output", r.stderr)), 1, r.stderr)
                self.assertIn("No space left", r.stderr)


class WithoutDaemon(Case):
    def test_commands_that_need_the_daemon_exit_3_and_say_how_to_start_it(self):
        for args in (["status"], ["status", "--json"], ["peers", "--wan"], ["models"], ["env"],
                     ["chat", "hi"], ["down"], ["ping", KEY], ["ping", "abcd"], ["why", KEY], ["netcheck"],
                     ["doctor"], ["watch"], ["watch", "--json"]):
            self.assertIn("teale up", self.fails(3, *args).stderr)

    def test_digits_that_are_no_key_are_told_as_a_slip(self):
        for args in (["ping"], ["why"], ["chat", "hi", "--peer"]):
            wrong = KEY[:-1] + ("0" if args != ["why"] else "4")
            self.assertIn("a digit is mistyped", self.fails(2, *args, wrong).stderr)
            self.fails(3, *args, KEY)

    def test_a_socket_nobody_listens_on_counts_as_no_daemon(self):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.bind(self.path("teale.sock"))
        s.close()
        self.fails(3, "status")

    def test_a_daemon_that_hangs_ends_in_exit_6(self):
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.bind(self.path("teale.sock"))
        s.listen(8)
        self.assertIn("in time", self.fails(6, "status", "--timeout", "1").stderr)
        self.fails(6, "chat", "--timeout", "1", "hi")
        os.unlink(self.path("teale.sock"))


class Sessions(Case):
    """One user, several sessions: with another XDG_RUNTIME_DIR, with none, or with one that is gone."""

    def setUp(self):
        super().setUp()
        self.runtime = tempfile.mkdtemp(dir=self.home)
        self.bare = {k: v for k, v in self.env().items() if k != "XDG_RUNTIME_DIR"}
        self.login = {**self.bare, "XDG_RUNTIME_DIR": self.runtime}

    def node(self, env):
        p = subprocess.Popen([TEALE, "serve", "--relayed", "--api", "127.0.0.1:0"], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True, env=env)
        self.processes.append(p)
        self.ready(p)
        return p

    def test_a_node_is_found_from_any_session_of_its_user(self):
        for one, other in ((self.bare, self.login), (self.login, self.bare),
                           (self.login, {**self.bare, "XDG_RUNTIME_DIR": "/nowhere"})):
            with self.subTest(one=one.get("XDG_RUNTIME_DIR"), other=other.get("XDG_RUNTIME_DIR")):
                p = self.node(one)
                self.ok("status", home=False, env=other)
                self.assertIn("already running", self.ok("up", home=False, env=other).stderr)
                self.ok("down", home=False, env=other)
                self.assertEqual(p.wait(30), 0)
                self.assertIn("teale up", self.fails(3, "status", home=False, env=one).stderr)

    def test_a_node_outlives_the_directory_of_its_session(self):
        p = self.node(self.login)
        shutil.rmtree(self.runtime)  # as at logout
        self.ok("status", home=False, env=self.login)
        self.ok("down", home=False, env=self.bare)
        self.assertEqual(p.wait(30), 0)

    def test_a_node_whose_sockets_were_removed_is_told_by_its_process(self):
        p = self.node(self.login)
        os.unlink(os.path.join(self.runtime, "teale/teale.sock"))
        os.unlink(self.path(".local/share/teale/teale.sock"))
        for command in ("status", "up"):
            r = self.fails(1, command, home=False, env=self.login)
            self.assertIn(f"process {p.pid}", r.stderr)
            self.assertIn("teale down", r.stderr)
            self.assertNotIn("no daemon", r.stderr)
        self.assertIn(f"told process {p.pid}", self.ok("down", home=False, env=self.login).stderr)
        self.assertEqual(p.wait(30), 0)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_roots_node_is_not_taken_for_that_of_the_user_who_called_sudo(self):
        self.assertIn("without sudo it is alice's", self.fails(3, "status", env=self.env(SUDO_USER="alice")).stderr)
        self.assertNotIn("sudo", self.fails(3, "status", env=self.env(SUDO_USER="root")).stderr)

    @unittest.skipUnless(os.geteuid() == 0, "needs another user")
    def test_a_node_of_another_user_is_named_as_such(self):
        home = tempfile.mkdtemp(dir="/tmp")
        self.addCleanup(shutil.rmtree, home)
        program = shutil.copy(TEALE, "/tmp/teale-of-all" + str(os.getpid()))
        self.addCleanup(os.unlink, program)
        os.chmod(program, 0o755)

        def as_nobody(*args):
            return subprocess.run([program, *args], capture_output=True, text=True, timeout=30, user=65534, group=65534,
                                  extra_groups=[], env={"HOME": "/nonexistent", "PATH": "/usr/bin"}, cwd="/")
        p = subprocess.Popen([TEALE, "serve", "--home", home, "--relayed", "--api", "127.0.0.1:0"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.bare)
        self.processes.append(p)
        self.ready(p)
        for command in ("status", "up", "down"):
            r = as_nobody(command, "--home", home)
            self.assertEqual(r.returncode, 5, r.stderr)
            self.assertIn("belongs to another user (root)", r.stderr)
        self.ok("status", "--home", home, home=False)
        r = as_nobody("status", "--home", "/nonexistent")
        self.assertEqual(r.returncode, 3, r.stderr)


class Daemon(Case):
    def test_serve_prints_one_ready_line_and_sigterm_ends_it_cleanly(self):
        p = self.serve()
        api, node = self.ready(p)
        self.assertEqual(self.ok("status").stdout.splitlines()[:2], ["wan: off", f"node: {node}"])
        status = json.loads(self.ok("status", "--json").stdout)
        self.assertEqual(status["node_id"], node)
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=20)
        self.assertEqual((p.returncode, out), (0, ""))
        self.assertIn(node, err)
        self.assertFalse(os.path.exists(self.path("teale.sock")))
        p = self.serve()
        self.assertEqual(self.ready(p)[1], node)

    def test_every_read_command_gives_one_json_object(self):
        self.ready(self.serve())
        for args in (["status"], ["peers"], ["peers", "--wan"], ["peers", "--cluster"], ["models"], ["env"],
                     ["netcheck"], ["why", KEY], ["config", "list"], ["config", "path"], ["config", "get", "ask"]):
            lines = self.ok(*args, "--json").stdout.splitlines()
            self.assertEqual(len(lines), 1, args)
            self.assertIsInstance(json.loads(lines[0]), dict)

    def test_status_json_has_the_documented_fields(self):
        self.ready(self.serve())
        s = json.loads(self.ok("status", "--json").stdout)
        for field in ("version", "node_id", "display_name", "uptime_s", "wan", "nat", "peers", "backend",
                      "requests", "ptns"):
            self.assertIn(field, s)
        for field in ("enabled", "state", "relay", "relay_rtt_ms", "error"):
            self.assertIn(field, s["wan"])
        for field in ("direct", "relayed", "lan"):
            self.assertIn(field, s["peers"])
        for field in ("url", "state", "models"):
            self.assertIn(field, s["backend"])
        for field in ("active", "served", "asked", "failed"):
            self.assertIn(field, s["requests"])

    def test_a_second_daemon_is_refused_and_the_first_lives_on(self):
        p = self.serve()
        self.ready(p)
        r = self.fails(1, "serve", "--api", "127.0.0.1:0")
        self.assertIn(f"process {p.pid}", r.stderr)
        self.ok("status")

    def test_a_killed_daemon_leaves_nothing_in_the_way(self):
        p = self.serve()
        _, node = self.ready(p)
        p.kill()
        p.wait()
        self.fails(3, "status")
        self.assertEqual(self.ready(self.serve())[1], node)

    def test_a_port_in_use_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            r = self.fails(1, "serve", "--api", f"127.0.0.1:{port}")
            self.assertIn(str(port), r.stderr)
            r = self.fails(1, "up", "--api", f"127.0.0.1:{port}")
            self.assertIn(str(port), r.stderr)
        self.fails(3, "status")

    def test_a_loose_key_file_is_refused(self):
        self.ready(self.serve())
        self.ok("down")
        os.chmod(self.path("wan-identity.key"), 0o644)
        self.assertIn("wan-identity.key", self.fails(1, "serve", "--api", "127.0.0.1:0").stderr)
        os.chmod(self.path("wan-identity.key"), 0o600)
        self.ready(self.serve())

    def test_core_dumps_are_off_and_the_key_is_not_in_argv(self):
        p = self.serve()
        self.ready(p)
        with open(f"/proc/{p.pid}/limits", encoding="ascii") as f:
            self.assertRegex(f.read(), r"Max core file size +0 +0 ")
        with open(f"/proc/{p.pid}/cmdline", "rb") as f, open(self.path("api-key"), "rb") as k:
            self.assertNotIn(k.read().strip(), f.read())

    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_CORE)[1] == 0, "core files are off for everybody here")
    def test_a_chat_and_a_watch_leave_no_core_file_either(self):
        self.ready(self.serve())
        for command in (["chat"], ["watch"]):
            with self.subTest(command=command), subprocess.Popen(
                    [TEALE, "--home", self.home, *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL) as p:
                limit = lambda: next(l for l in pathlib.Path(f"/proc/{p.pid}/limits").read_text(encoding="ascii").splitlines()
                                     if l.startswith("Max core file size")).split()[4:6]
                deadline = time.monotonic() + 5
                while limit() != ["0", "0"]:
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.02)
                p.kill()

    def test_settings_change_while_it_runs(self):
        self.ready(self.serve("--log-level", "warn"))
        self.assertEqual(self.ok("config", "set", "api_allowed_hosts", '["my.host"]').stderr, "")
        self.assertIn("restart", self.ok("config", "set", "udp_port", "4711").stderr)
        self.assertIn("--log-level wins", self.ok("config", "set", "log_level", "debug").stderr)
        self.assertEqual(self.ok("config", "get", "log_level").stdout, "debug\n")

    def test_env_is_what_a_shell_can_eval(self):
        api, _ = self.ready(self.serve())
        script = f'eval "$({TEALE} --home {self.home} env)"; echo "$OPENAI_BASE_URL $OPENAI_API_KEY"'
        r = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=self.env(), check=True)
        self.assertEqual(r.stdout, f"{api} unused\n")  # whoever listens there when the node is down is sent it

    def test_the_owners_key_is_shown_for_itself_alone(self):
        def of(file):
            with open(self.path(file), encoding="ascii") as f:
                return f.read().strip()

        with open(self.path("api-key"), "w", encoding="ascii") as f:  # of a home that had one key for all
            f.write("tl-of-an-older-version-0123456789abcdef0123456789\n")
        os.chmod(self.path("api-key"), 0o600)
        self.ready(self.serve("--api", "0.0.0.0:0"))
        self.assertEqual(of("api-key"), "tl-of-an-older-version-0123456789abcdef0123456789")
        self.assertNotEqual(of("owner-key"), of("api-key"))
        self.assertEqual(os.stat(self.path("owner-key")).st_mode & 0o777, 0o600)
        self.assertIn(f"OPENAI_API_KEY={of('api-key')}\n", self.ok("env").stdout)
        self.assertNotIn("owner", self.ok("env", "--json").stdout)
        self.assertEqual(self.ok("env", "--owner").stdout, of("owner-key") + "\n")
        self.assertEqual(json.loads(self.ok("env", "--owner", "--json").stdout), {"owner_key": of("owner-key")})
        self.fails(2, "env", "--owner", "--ptn", "x")

    def test_an_unknown_model_and_an_unknown_peer_fail(self):
        self.ready(self.serve())
        self.assertIn("--relay URL", self.fails(1, "chat", "-m", "no-such-model", "hi").stderr)
        self.fails(1, "ping", "abcd")
        self.fails(1, "ping", "xyz")
        self.fails(1, "chat", "--peer", "xyz", "hi")
        self.fails(2, "ping", "x\ny")

    def test_systemd_is_told_of_readiness_and_end(self):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(s.close)
        s.bind(self.path("notify"))
        s.settimeout(20)
        p = self.serve(env=self.env(NOTIFY_SOCKET=self.path("notify"), WATCHDOG_USEC="200000"))
        self.assertEqual(s.recv(100), b"READY=1")
        self.assertEqual(s.recv(100), b"WATCHDOG=1")
        self.assertEqual(s.recv(100), b"WATCHDOG=1")
        p.send_signal(signal.SIGTERM)
        told = s.recv(100)
        while told == b"WATCHDOG=1":
            told = s.recv(100)
        self.assertEqual(told, b"STOPPING=1")


class Background(Case):
    def test_up_and_down(self):
        r = self.ok("up", "--api", "127.0.0.1:0")
        for step in ("[1/5] identity", "(new, kept in", "[2/5] backend", "[3/5] relay", "[4/5] network",
                     "[5/5] ready", "No model can be asked yet"):
            self.assertIn(step, r.stderr)
        self.assertNotIn("\x1b", r.stderr)
        node = json.loads(self.ok("status", "--json").stdout)["node_id"]
        again = self.ok("up")
        self.assertIn(f"already running: node {node}", again.stderr)
        self.assertNotIn("not applied", again.stderr)
        self.assertIn("teale down", self.ok("up", "--udp", "5").stderr)
        self.assertIn("stopped", self.ok("down").stderr)
        self.fails(3, "down")
        self.assertEqual(stat.S_IMODE(os.stat(self.path("teale.log")).st_mode), 0o600)
        self.assertNotIn("(new", self.ok("up", "--api", "127.0.0.1:0").stderr)
        self.assertEqual(json.loads(self.ok("status", "--json").stdout)["node_id"], node)

    def test_an_unreachable_relay_is_said_and_the_node_keeps_trying(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        r = self.fails(4, "up", "--api", "127.0.0.1:0", "--relay", f"ws://127.0.0.1:{port}/ws")
        self.assertIn("keeps trying", r.stderr)
        self.assertIn(f"127.0.0.1:{port}", r.stderr)
        wan = json.loads(self.ok("status", "--json").stdout)["wan"]
        self.assertTrue(wan["enabled"])
        self.assertNotEqual(wan["state"], "connected")
        self.assertTrue(wan["error"])

    def test_a_relay_name_that_does_not_exist_is_said(self):
        r = self.fails(4, "up", "--api", "127.0.0.1:0", "--relay", "wss://no-such-host.invalid/ws")
        self.assertIn("no-such-host.invalid", r.stderr)

    def test_a_relay_that_answers_is_shown(self):
        if not RELAY:
            self.skipTest("no teale-relay given")
        relay = subprocess.Popen([RELAY, "--listen", "127.0.0.1:0"],
                                 stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.processes.append(relay)
        url = re.match(r"ready ws=([^,\s]+)", relay.stdout.readline())[1]
        r = self.ok("up", "--api", "127.0.0.1:0", "--relay", url)
        self.assertRegex(r.stderr, re.escape(url) + " connected")
        self.assertEqual(self.ok("status").stdout.splitlines()[0], "wan: connected")


class Terminal(Case):
    def on_terminal(self, *args, **env):
        """What `teale ARGS` writes when stdout and stderr are one terminal."""
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.execve(TEALE, [TEALE, "--home", self.home, *args], self.env(TERM="xterm", **env))
            finally:
                os._exit(127)
        text = b""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if not select.select([fd], [], [], 1)[0]:
                continue
            try:
                piece = os.read(fd, 4096)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(fd)
        os.waitpid(pid, 0)
        return text.decode()

    def test_colour_is_for_terminals_and_no_color_switches_it_off(self):
        self.assertIn("\x1b[", self.on_terminal("config", "list"))
        self.assertNotIn("\x1b[", self.on_terminal("config", "list", NO_COLOR="1"))
        self.assertNotIn("\x1b[", self.ok("config", "list").stdout)
        self.assertIn("\x1b[31m", self.on_terminal("status"))
        self.assertNotIn("\x1b", self.on_terminal("status", NO_COLOR="1"))

    def test_text_that_others_chose_cannot_move_the_cursor(self):
        self.file('display_name = "caf\\u00e9"\n')
        self.assertIn("café", self.on_terminal("config", "get", "display_name", NO_COLOR="1"))


if __name__ == "__main__":
    NO_NAMESPACE = enter()
    unittest.main(argv=[sys.argv[0], "-v"])
