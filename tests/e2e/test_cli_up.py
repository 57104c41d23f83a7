#!/usr/bin/env python3
"""test_cli_up.py TEALE TEALE-RELAY PARROT: what `teale up` and `teale down` do on a bad day: full disks, two at once,
a stop under way, a lost socket, model servers that cannot be shared. Loopback only."""
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True
from test_cli import Case, RELAY, TEALE, enter  # noqa: E402

PARROT = os.path.abspath(sys.argv[3])
NO_NAMESPACE = None


class Up(Case):
    def start(self, *command):
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env())
        self.processes.append(p)
        return p

    def parrot(self, *args):
        return self.start(PARROT, "--listen", "127.0.0.1:0", "--model", "parrot", *args).stdout.readline().split()[1]

    def relay(self):
        p = self.start(RELAY, "--listen", "127.0.0.1:0")
        return re.match(r"ready ws=([^,\s]+)", p.stdout.readline())[1]

    def up(self, code, *args, **more):
        return self.fails(code, "up", "--api", "127.0.0.1:0", *args, **more)

    def status(self):
        return json.loads(self.ok("status", "--json").stdout)

    def pid(self):
        with open(self.path("teale.lock"), encoding="ascii") as f:
            return int(f.read())

    def wait(self, what, seconds=20):
        deadline = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)


class Sharing(Up):
    def test_a_model_that_the_server_does_not_have_is_said_and_one_that_it_has_is_shared(self):
        url, relay = self.parrot(), self.relay()
        r = self.up(1, "--share", url, "--model", "nope", "--relay", relay)
        self.assertIn(f'nothing is shared: the model server at {url} does not serve "nope". It serves "parrot".', r.stderr)
        self.assertNotIn("serving anyone", r.stderr)
        self.assertIn("Next: teale chat", r.stderr)  # this machine can ask the model all the same
        sharing = self.status()["sharing"]
        self.assertEqual((sharing["state"], sharing["reason"], sharing["models"], sharing["missing"]),
                         ("nothing", "model_missing", [], ["nope"]))
        self.assertIn("--model", sharing["remedy"])
        self.assertIn('does not serve "nope"', self.ok("status").stdout)
        self.ok("down")
        r = self.up(0, "--share", url, "--model", "nope", "--model", "parrot", "--relay", relay)
        self.assertIn("serving anyone", r.stderr)
        self.assertIn('not shared: the model server does not serve "nope"', r.stderr)
        sharing = self.status()["sharing"]
        self.assertEqual((sharing["state"], sharing["cause"], sharing["models"]), ("on", None, ["parrot"]))
        self.assertIn("sharing: with anyone on the relay: parrot", self.ok("status").stdout)

    def test_what_is_no_model_server_is_said_at_once(self):
        class Pages(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Pages)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        began = time.monotonic()
        r = self.up(1, "--share", f"http://127.0.0.1:{server.server_port}", "--timeout", "30")
        self.assertLess(time.monotonic() - began, 10)
        self.assertRegex(r.stderr, r"nothing is shared: \S+ does not answer as a model server: .*status 404.*OpenAI API")
        self.assertNotIn("Next: teale chat", r.stderr)
        self.assertIn("No model can be asked yet", r.stderr)

    def test_a_server_that_does_not_answer_is_waited_for_and_then_said(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        r = self.up(1, "--share", f"http://127.0.0.1:{port}", "--timeout", "2")
        self.assertRegex(r.stderr, r"nothing is shared: .*\. Start the model server, or name its right URL")
        self.assertEqual(self.status()["sharing"]["reason"], "silent")
        self.start(PARROT, "--listen", f"127.0.0.1:{port}", "--model", "late")
        self.wait(lambda: self.status()["backend"]["state"] == "up")
        self.assertEqual(self.status()["sharing"]["state"], "nobody")  # there is no relay

    def test_a_missing_and_a_wrong_key_are_refusals_and_the_right_one_mends_them(self):
        url = self.parrot("--api-key", "sesame")
        r = self.up(1, "--share", url)
        self.assertRegex(r.stderr, r"nothing is shared: the model server at \S+ wants a key\. .*--share-key-file FILE")
        status = self.status()
        self.assertEqual((status["backend"]["state"], status["sharing"]["reason"]), ("refused", "wants_key"))
        self.assertIn(f"backend: refused {url}", self.ok("status").stdout)
        r = self.fails(1, "chat", "x")
        self.assertIn("wants a key", r.stderr)
        self.assertIn("teale status", r.stderr)
        self.assertNotIn("Start the model server", r.stderr)
        gone = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        r = self.fails(4, "chat", "--peer", gone, "x")  # not this machine's server is to blame
        self.assertNotIn("wants a key", r.stderr)
        self.ok("down")
        with open(self.path("key"), "w", encoding="ascii") as f:
            f.write("wrong\n")
        r = self.up(1, "--share", url, "--share-key-file", self.path("key"))
        self.assertIn(f"Write the right key into {self.path('key')}", r.stderr)
        self.assertEqual(self.status()["sharing"]["reason"], "key_refused")
        with open(self.path("key"), "w", encoding="ascii") as f:
            f.write("sesame\n")
        self.wait(lambda: self.status()["backend"]["state"] == "up")

    def test_a_key_file_that_is_not_there_is_named(self):
        r = self.up(1, "--share", self.parrot(), "--share-key-file", self.path("nowhere"))
        self.assertIn(f"{self.path('nowhere')}: No such file", r.stderr)
        self.fails(3, "status")

    def test_auto_that_finds_nothing_says_where_it_looked(self):
        if NO_NAMESPACE:
            self.skipTest(f"another program may listen on the usual ports: {NO_NAMESPACE}")
        r = self.up(1, "--share", "auto", "--timeout", "1")
        self.assertRegex(r.stderr, r"nothing is shared: no model server found .*\(11434, 8080, 8000, 1234\)\. Start one")
        self.assertEqual(self.status()["sharing"]["reason"], "none_found")
        self.ok("down")
        self.start(PARROT, "--listen", "127.0.0.1:8000", "--model", "m", "--api-key", "k").stdout.readline()
        r = self.up(1, "--share", "auto", "--timeout", "5")
        self.assertIn("--share http://127.0.0.1:8000 --share-key-file FILE", r.stderr)
        self.start(PARROT, "--listen", "127.0.0.1:1234", "--model", "m").stdout.readline()
        self.wait(lambda: self.status()["backend"]["state"] == "up")

    def test_a_machine_without_a_network_is_told_so_everywhere(self):
        if NO_NAMESPACE:
            self.skipTest(f"this machine has a network: {NO_NAMESPACE}")
        none, connect = "This machine has no network: no interface has an address", "Connect it to one"
        lan = {**self.env(), "TEALE_LAN": "on", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/teale"}
        for again in (False, True):
            r = self.up(4, env=lan)
            self.assertIn(f"{none}. {connect}", r.stderr)
            self.assertEqual("already running" in r.stderr, again)
        self.assertTrue(self.status()["offline"])
        self.assertIn("network: none", self.ok("status").stdout)
        self.assertIn(none, self.ok("netcheck").stderr)
        self.assertRegex(self.run_teale("doctor").stdout, "FAIL +lan +this machine has no network: no interface has an address")
        r = self.fails(4, "chat", "hi")
        self.assertRegex(r.stderr, "nobody can be asked|no relay can be asked: this machine has no network")  # by who is quicker
        self.assertIn(none, r.stderr)
        self.assertIn(none, self.ok("models").stderr)
        self.assertIn("this machine has no network", self.fails(4, "ping", "58" + 31 * "66").stderr)
        self.addCleanup(subprocess.run, ["ip", "link", "del", "home0"], check=True)
        for command in ("link add home0 type veth peer name home1", "addr add 10.9.0.1/24 dev home0", "link set home1 up",
                        "link set home0 up"):
            subprocess.run(["ip", *command.split()], check=True)
        self.wait(lambda: not self.status()["offline"])
        self.assertNotIn("no network", self.up(0, env=lan).stderr)

    def test_private_without_a_network_serves_nobody_and_says_so(self):
        common = ["--share", self.parrot(), "--relay", self.relay()]
        r = self.up(0, *common, "--private")
        self.assertRegex(r.stderr, r"nobody else is served: only members .* it is in none\. "
                         "Make one: teale ptn create family && teale ptn invite family. Or leave --private out")
        self.assertEqual((self.status()["sharing"]["state"], self.status()["sharing"]["reason"]), ("nobody", "no_network"))
        self.assertIn("sharing: with nobody else", self.ok("status").stdout)
        self.ok("down")
        self.assertNotIn("nobody", self.up(0, *common).stderr)
        self.assertEqual(self.status()["sharing"]["state"], "on")

    def test_up_says_what_to_do_where_no_model_can_be_asked(self):
        relay = self.relay()
        self.assertIn("name a relay", self.up(0).stderr)
        self.ok("down")
        self.assertIn("nobody on this relay shares one", self.up(0, "--relay", relay).stderr)
        self.ok("down")
        provider = self.start(TEALE, "serve", "--relayed", "--home", self.path("other"), "--api", "127.0.0.1:0",
                              "--relay", relay, "--share", self.parrot())
        provider.stdout.readline()
        self.wait(lambda: "parrot" in self.run_teale("models", "--home", self.path("other")).stdout)
        self.assertIn("Next: teale chat", self.up(0, "--relay", relay).stderr)
        self.assertEqual(self.ok("chat", "hello").stdout, "hello\n")

    def test_up_with_json_prints_the_status(self):
        r = self.up(1, "--json", "--share", self.parrot(), "--model", "nope")
        self.assertEqual(json.loads(r.stdout)["sharing"]["reason"], "model_missing")
        second = self.up(1, "--json")  # it runs already, and what is wrong is said again
        self.assertEqual(json.loads(second.stdout)["node_id"], json.loads(r.stdout)["node_id"])
        self.assertIn('nothing is shared: the model server', second.stderr)

    def test_what_the_shell_had_open_is_closed_in_the_daemon(self):
        theirs = self.path("theirs")
        with open(theirs, "w", encoding="ascii") as f:
            subprocess.run([TEALE, "--home", self.home, "up", "--api", "127.0.0.1:0", "--relay", "ws://127.0.0.1:9/ws"],
                           pass_fds=[f.fileno()], env=self.env(), capture_output=True, timeout=60, check=False)
        files = f"/proc/{self.pid()}/fd"
        self.assertNotIn(theirs, [os.readlink(f"{files}/{fd}") for fd in os.listdir(files)])

    def test_up_of_a_node_that_runs_tells_what_is_wrong_with_it(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        lost = f"ws://127.0.0.1:{port}/ws"
        self.up(4, "--relay", lost)
        r = self.fails(4, "up")
        self.assertIn("already running", r.stderr)
        self.assertIn(f"the relay {lost} is not connected", r.stderr)
        r = self.ok("models")
        self.assertIn(f"the relay {lost} is not reached", r.stderr)
        self.assertRegex(self.fails(4, "chat", "hi").stderr, "no relay can be asked|This machine has no network")
        self.ok("down")
        self.up(0, "--relay", self.relay())
        self.assertNotIn("relay", self.ok("up").stderr)
        self.assertIn("nobody on this relay shares", self.ok("models").stderr)
        r = self.fails(1, "chat", "hi")
        self.assertIn("nobody in reach shares a model", r.stderr)
        self.assertNotIn("teale-auto", r.stderr)

    def test_models_and_chat_tell_that_the_own_server_is_down(self):
        with socket.create_server(("127.0.0.1", 0)) as s:
            url = "http://127.0.0.1:%d" % s.getsockname()[1]
        self.up(1, "--share", url, "--timeout", "1", "--relay", self.relay())
        self.assertIn(f"Nothing is shared here: {url} does not answer", self.ok("models").stderr)
        r = self.fails(1, "chat", "hi")
        self.assertRegex(r.stderr, f"nobody in reach shares a model now, and here: .*{url}")

    def test_asking_members_only_in_no_network_names_the_setting(self):
        self.ok("config", "set", "ask", "networks")
        self.assertIn("teale config set ask any", self.up(0, "--relay", self.relay()).stderr)
        self.assertIn("teale config set ask any", self.ok("models").stderr)
        self.assertIn("it asks no other node", self.run_teale("doctor").stdout)
        self.ok("config", "set", "ask", "any")
        self.assertNotIn("config set ask", self.ok("models").stderr)
        self.assertNotIn("it asks no other node", self.run_teale("doctor").stdout)

    def test_a_value_that_the_running_daemon_cannot_take_is_not_saved(self):
        with open(self.path("key"), "w", encoding="ascii") as f:
            f.write("sesame\n")
        self.ok("config", "set", "backend_key_file", self.path("key"))
        url = self.parrot()
        self.ok("config", "set", "share", url)
        self.up(0)
        r = self.fails(1, "config", "set", "backend_key_file", self.path("nowhere"))
        self.assertIn(f"{self.path('nowhere')}: No such file", r.stderr)
        self.assertIn("Not saved", r.stderr)
        self.assertNotIn("teale down", r.stderr)
        self.assertEqual(self.ok("config", "get", "backend_key_file").stdout.strip(), self.path("key"))
        self.wait(lambda: self.status()["backend"]["state"] == "up")
        self.assertEqual(self.ok("config", "set", "backend_key_file", "").stderr, "")  # the accepted twin
        self.wait(lambda: self.status()["backend"]["state"] == "up")
        self.assertIn('does not serve "nope"', self.ok("config", "set", "share_models", '["nope"]').stderr)
        self.assertEqual(self.ok("config", "set", "share_models", '["parrot"]').stderr, "")
        self.assertIn("pass in clear", self.ok("config", "set", "legacy_plaintext", "true").stderr)
        self.assertEqual(self.ok("config", "set", "legacy_plaintext", "false").stderr, "")

    def test_options_of_sharing_without_a_server_to_share_are_said_to_change_nothing(self):
        self.assertIn("--model changes nothing", self.up(0, "--model", "x").stderr)
        self.ok("down")
        self.assertNotIn("changes nothing", self.up(0, "--model", "parrot", "--share", self.parrot()).stderr)

    def test_a_long_remedy_is_shown_whole(self):
        host = ".".join(["x" * 60] * 3) + ".invalid"
        r = self.up(4, "--relay", f"wss://{host}/ws", "--timeout", "3")
        line = next(l for l in r.stderr.splitlines() if l.startswith("[3/5]"))
        self.assertGreater(len(line.split("not connected: ")[1]), 128)
        self.assertEqual(line.count(host), 2)
        self.assertNotIn("...", line)


class Beyond(Up):
    def test_an_api_that_is_open_says_where_its_key_is_and_one_that_is_not_says_nothing(self):
        r = self.fails(0, "up", "--api", "0.0.0.0:0")
        self.assertIn(self.path("api-key"), r.stderr)
        self.assertIn("Authorization: Bearer", r.stderr)
        self.assertIn("teale env --owner", r.stderr)
        at = self.status()["api"]["others_at"]
        self.assertRegex(at, r"^0\.0\.0\.0:[1-9]\d*$")
        self.assertIn(f"{at}, with the key in {self.path('api-key')}", self.ok("status").stdout)
        self.ok("down")
        self.assertNotIn("api-key", self.up(0).stderr)
        self.assertIsNone(self.status()["api"]["others_at"])
        self.assertNotIn("api-key", self.ok("status").stdout)

    def test_a_port_that_another_user_took_is_said_with_his_name_and_what_to_do(self):
        if os.geteuid():
            self.skipTest("only root can be somebody else")
        theirs = self.start("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-c",
                            "import socket, time; s = socket.create_server(('127.0.0.1', 0)); "
                            "print(s.getsockname()[1], flush=True); time.sleep(300)")
        port = int(theirs.stdout.readline())
        r = self.fails(1, "up", "--api", f"127.0.0.1:{port}")
        self.assertRegex(r.stderr, r"a program of the user \w* ?\(?65534\)? listens there")
        self.assertIn("teale up --boot", r.stderr)
        self.ok("config", "set", "api_listen", f"127.0.0.1:{port}")
        self.assertIn(f"65534) listens at port {port} of this machine", self.fails(3, "doctor").stderr)
        with socket.create_server(("127.0.0.1", 0)) as own:  # the same of this user says what it said before
            r = self.fails(1, "up", "--api", "127.0.0.1:%d" % own.getsockname()[1])
            self.assertIn("another program uses that port", r.stderr)
        self.up(0)
        self.assertNotIn("listens at port", self.run_teale("doctor").stdout)
        self.ok("down")

    def test_a_plain_relay_elsewhere_is_a_usage_error_with_its_remedy(self):
        for command in ("up", "serve"):
            r = self.fails(2, command, "--relay", "ws://192.0.2.1/ws")
            self.assertIn("--insecure-relay", r.stderr)
            self.assertIn("wss://", r.stderr)
        self.fails(3, "status")
        r = self.run_teale("up", "--api", "127.0.0.1:0", "--relay", "ws://192.0.2.1/ws", "--insecure-relay", "--timeout", "1")
        self.assertIn(r.returncode, (4, 6))
        self.assertNotIn("not encrypted", r.stderr)


class Restart(Up):
    def test_a_restart_keeps_the_options_that_the_node_was_started_with(self):
        url, relay = self.parrot(), self.relay()
        self.up(0, "--share", url, "--relay", relay, "--model=parrot")
        before, old = self.status(), self.pid()
        self.assertIn("teale restart", self.ok("config", "set", "udp_port", "40001").stderr)
        self.ok("config", "set", "udp_port", "0")
        self.assertIn("stopped", self.ok("restart").stderr)
        after = self.status()
        self.assertNotEqual(self.pid(), old)
        self.assertEqual(after["sharing"], before["sharing"])
        self.assertEqual((after["node_id"], after["wan"]["relay"], after["wan"]["state"]),
                         (before["node_id"], before["wan"]["relay"], "connected"))
        self.assertIn("hello", self.ok("chat", "hello").stdout)
        again = json.loads(self.ok("restart", "--json").stdout)  # of a node that a restart started
        self.assertEqual(again["sharing"], before["sharing"])

    def test_without_a_node_it_is_an_error_and_one_in_the_foreground_is_left_alone(self):
        r = self.fails(3, "restart")
        self.assertIn("no daemon is running", r.stderr)
        p = self.start(TEALE, "serve", "--home", self.home, "--api", "127.0.0.1:0")
        self.assertRegex(p.stdout.readline(), "^ready ")
        r = self.fails(1, "restart")
        self.assertIn("was not started by `teale up`", r.stderr)
        self.assertIsNone(p.poll())
        self.assertEqual(self.pid(), p.pid)


class AtOnce(Up):
    def test_two_ups_at_once_both_end_well(self):
        for _ in range(5):
            ups = [self.start(TEALE, "--home", self.home, "up", "--api", "127.0.0.1:0") for _ in range(3)]
            said = [p.communicate(timeout=60)[1] for p in ups]
            self.assertEqual([p.returncode for p in ups], [0, 0, 0], said)
            self.assertFalse([s for s in said if "did not start" in s], said)
            self.ok("down")

    def test_up_during_a_stop_waits_for_its_end_and_starts(self):
        self.up(0, "--share", self.parrot("--token-ms", "200"))
        first = self.pid()
        words = " ".join("abcdefghij")
        chat = self.start(TEALE, "--home", self.home, "chat", "-m", "parrot", words)
        self.wait(lambda: self.status()["requests"]["active"] == 1)
        down = self.start(TEALE, "--home", self.home, "down")
        self.wait(lambda: self.status()["stopping"])
        self.assertIn("stopping: ", self.ok("status").stdout)
        r = self.up(0)
        self.assertIn("the node is stopping: 1 running request may finish", r.stderr)
        self.assertIn("[5/5] ready", r.stderr)
        self.assertEqual(chat.communicate(timeout=20)[0], words + "\n")
        down.communicate(timeout=20)
        self.assertNotEqual(self.pid(), first)
        self.assertFalse(self.status()["stopping"])
        self.assertNotIn("stopping", self.ok("status").stdout)

    def test_a_killed_node_leaves_nothing_in_the_way_of_up(self):
        self.up(0)
        os.kill(self.pid(), signal.SIGKILL)
        self.wait(lambda: self.run_teale("status").returncode == 3)
        self.assertTrue(os.path.exists(self.path("teale.sock")))
        self.up(0)
        self.ok("status")
        self.ok("down")
        self.fails(3, "down")

    def test_a_stale_lock_that_names_a_living_process_is_no_node(self):
        self.up(0)
        self.ok("down")
        with open(self.path("teale.lock"), "w", encoding="ascii") as f:
            f.write(f"{os.getpid()}\n")
        self.fails(3, "down")
        self.up(0)

    def test_a_lost_socket_is_said_and_down_ends_the_node_all_the_same(self):
        self.up(0)
        pid = self.pid()
        os.unlink(self.path("teale.sock"))
        self.assertIn(f"process {pid}", self.fails(1, "status").stderr)
        r = self.fails(1, "up")
        self.assertIn("teale down", r.stderr)
        self.assertIn(f"told process {pid} to end", self.ok("down").stderr)
        self.fails(3, "status")
        self.up(0)
        self.ok("status")

    def test_a_runtime_directory_that_a_reboot_took_is_made_again(self):
        run = self.path("run")
        os.mkdir(run, 0o700)
        env = self.env(XDG_RUNTIME_DIR=run)

        def teale(*args):
            return self.run_teale(*args, home=False, env=env)
        self.assertEqual(teale("up", "--api", "127.0.0.1:0").returncode, 0)
        lock = self.path(".local/share/teale/teale.lock")
        with open(lock, encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGKILL)
        self.wait(lambda: teale("status").returncode == 3)
        subprocess.run(["rm", "-r", os.path.join(run, "teale")], check=True)
        self.assertEqual(teale("up", "--api", "127.0.0.1:0").returncode, 0)
        self.assertEqual(teale("status").returncode, 0)
        self.assertEqual(teale("down").returncode, 0)


class Disk(Up):
    def says(self, code, *parts, home, command=("up", "--api", "127.0.0.1:0"), **more):
        r = self.fails(code, *command, "--home", home, **more)
        for part in parts:
            self.assertIn(part, r.stderr)
        self.assertNotIn("log says", r.stderr)

    def test_a_full_disk_is_named_with_its_cause_and_remedy(self):
        if NO_NAMESPACE:
            self.skipTest(f"nothing can be mounted: {NO_NAMESPACE}")
        mount = self.path("full")
        os.mkdir(mount)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,nr_inodes=40,mode=0700", "none", mount], check=True)
        self.addCleanup(subprocess.run, ["umount", mount], check=True)
        with open(os.path.join(mount, "fill"), "wb", buffering=0) as f:
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        self.says(1, f"key into {mount}: No space left on device", "Free some space", home=mount)
        self.says(1, f"key into {mount}: No space left on device", "Free some space", home=mount,
                  command=("serve", "--api", "127.0.0.1:0"))
        os.unlink(os.path.join(mount, "fill"))
        files = 0
        try:
            while True:
                with open(os.path.join(mount, f"file{files}"), "xb"):
                    files += 1
        except OSError:
            pass
        os.unlink(os.path.join(mount, "teale.log"))
        with open(os.path.join(mount, "one-more"), "xb"):
            pass
        self.says(1, f"the log {mount}/teale.log: No space left", "Free some space", home=mount)
        for i in range(files):
            os.unlink(os.path.join(mount, f"file{i}"))
        subprocess.run(["mount", "-o", "remount,size=8m", mount], check=True)  # the database wants its room
        self.fails(0, "up", "--api", "127.0.0.1:0", "--home", mount)
        with open(os.path.join(mount, "fill"), "wb", buffering=0) as f:  # it is full under the running node
            try:
                while f.write(b"x" * 4096):
                    pass
            except OSError:
                pass
        for command in (("ptn", "create", "family"), ("peers", "alias", "58" + 31 * "66", "a")):
            self.says(1, "E_STORE", "the disk is full", home=mount, command=command)
        os.unlink(os.path.join(mount, "fill"))
        self.ok("ptn", "create", "family", "--home", mount)
        self.ok("down", "--home", mount)

    def test_a_read_only_disk_is_named_with_its_cause_and_remedy(self):
        if NO_NAMESPACE:
            self.skipTest(f"nothing can be mounted: {NO_NAMESPACE}")
        mount = self.path("ro")
        os.mkdir(mount)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,mode=0700", "none", mount], check=True)
        self.addCleanup(subprocess.run, ["umount", mount], check=True)
        self.says(1, f"{mount}/teale.log: Read-only file system", "mount it writable", home=mount)
        self.says(1, f"{mount}/below: Read-only file system", "mount it writable", home=mount + "/below")
        self.says(1, f"{mount}/teale.toml", "Read-only file system", "mount it writable", home=mount,
                  command=("config", "set", "udp_port", "1"))

    def test_a_directory_that_is_closed_to_the_user_is_named_with_its_remedy(self):
        if not os.path.exists("/usr/bin/setpriv"):
            self.skipTest("no setpriv")
        closed = self.path("closed")
        os.mkdir(closed, 0o500)
        for home, what in ((closed, f"{closed}/teale.log"), (closed + "/below", f"{closed}/below")):
            # root without its capabilities is a user like others
            drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
            r = subprocess.run([*drop, TEALE, "up", "--api", "127.0.0.1:0", "--home", home], capture_output=True, text=True,
                               timeout=30, env=self.env(), check=False)
            self.assertEqual(r.returncode, 1, r.stderr)
            self.assertIn(f"{what}: Permission denied", r.stderr)
            self.assertIn("correct the owner and the mode", r.stderr)


if __name__ == "__main__":
    NO_NAMESPACE = enter()
    if not NO_NAMESPACE:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    unittest.main(argv=[sys.argv[0], "-v"])
