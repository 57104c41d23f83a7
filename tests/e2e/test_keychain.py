#!/usr/bin/env python3
"""test_keychain.py TEALE: a node's key in a real keychain, GNOME Keyring on a bus of its own; and each way in
which a keychain is not there, is closed or answers nonsense. Everything lies below one directory."""
import contextlib
import json
import os
import pty
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import ed25519

TEALE = os.path.abspath(sys.argv[1])
PASSWORD = b"correct horse"
CONFIG = """<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
{more}</policy></busconfig>"""
SCHEMA = "com.teale.NodeKey"


class Bus:
    """A dbus-daemon without any service to start."""

    def __init__(self, directory, more="", prefix=()):
        self.path = os.path.join(directory, "bus")
        config = os.path.join(directory, "bus.conf")
        with open(config, "w", encoding="utf8") as f:
            f.write(CONFIG.format(path=self.path, more=more))
        self.popen = subprocess.Popen([*prefix, "dbus-daemon", f"--config-file={config}", "--nofork"],
                                      stderr=subprocess.DEVNULL)
        for _ in range(500):
            if os.path.exists(self.path):
                break
            time.sleep(0.02)
        self.address = f"unix:path={self.path}"

    def end(self):
        self.popen.kill()
        self.popen.wait()


class Keyring:
    """GNOME Keyring on such a bus; its files outlive it."""

    def __init__(self, env):
        self.env, self.popen = env, None

    def start(self, unlocked, *more):
        control = os.path.join(self.env["XDG_RUNTIME_DIR"], "keyring")
        if not more:
            shutil.rmtree(control, ignore_errors=True)
        self.popen = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--components=secrets", f"--control-directory={control}",
             *["--unlock"] * unlocked, *more],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env)
        self.popen.stdin.write(PASSWORD * unlocked)
        self.popen.stdin.close()

    def started(self):
        for _ in range(500):
            if self.owned():
                return
            time.sleep(0.02)
        raise AssertionError("the keyring did not come to the bus")

    def owned(self):
        return b"true" in subprocess.run(
            ["dbus-send", f"--bus={self.env['DBUS_SESSION_BUS_ADDRESS']}", "--print-reply",
             "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.NameHasOwner",
             "string:org.freedesktop.secrets"], capture_output=True, check=False).stdout

    def unlock(self):
        """As the message says: another daemon takes the place of the one that is locked."""
        before = self.popen
        self.start(True, "--replace")
        before.wait(30)
        self.started()

    def end(self):
        if self.popen:
            self.popen.kill()
            self.popen.wait()
            self.popen = None


class Keychain(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = tempfile.mkdtemp(prefix="teale-keychain-")
        cls.bus = Bus(cls.directory)
        runtime = os.path.join(cls.directory, "run")
        os.mkdir(runtime, 0o700)
        kept = {k: v for k, v in os.environ.items()
                if not k.startswith(("XDG_", "TEALE_", "DBUS_", "GNOME_", "NOTIFY_")) and k not in ("DISPLAY", "WAYLAND_DISPLAY")}
        cls.env = {**kept, "HOME": os.path.join(cls.directory, "user"), "XDG_RUNTIME_DIR": runtime,
                   "DBUS_SESSION_BUS_ADDRESS": cls.bus.address}
        os.mkdir(cls.env["HOME"], 0o700)
        cls.keyring = Keyring(cls.env)
        cls.keyring.start(True)
        cls.keyring.started()

    @classmethod
    def tearDownClass(cls):
        cls.keyring.end()
        cls.bus.end()
        shutil.rmtree(cls.directory)

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="node-", dir=self.directory)
        self.seed = os.urandom(32)
        self.id = ed25519.Key(self.seed).public.hex()
        self.write("wan-identity.key", self.seed)

    def path(self, name):
        return os.path.join(self.home, name)

    def write(self, name, content):
        fd = os.open(self.path(name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with open(fd, "wb") as f:
            f.write(content)

    def files(self):
        return sorted(n for n in os.listdir(self.home) if "wan-identity" in n)

    def teale(self, *args, env=None, home=True):
        where = ["--home", self.home] if home else []
        return subprocess.run([TEALE, *where, *args], capture_output=True, text=True, timeout=60, check=False,
                              env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL)

    def ok(self, *args, **how):
        r = self.teale(*args, **how)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r

    def fails(self, code, words, *args, **how):
        r = self.teale(*args, **how)
        self.assertEqual(r.returncode, code, (args, r.stdout, r.stderr))
        self.assertRegex(r.stderr, words)
        self.assertNotIn(self.seed.hex(), r.stdout + r.stderr)
        return r

    def to_keychain(self):
        self.ok("key", "move", "keychain")
        self.assertEqual(self.files(), ["wan-identity.keychain"])

    def tool(self, *args, given=None):
        return subprocess.run(["secret-tool", *args], env=self.env, input=given, capture_output=True, text=True,
                              timeout=60, check=False)

    def attributes(self):
        with open(self.path("wan-identity.keychain"), encoding="ascii") as f:
            _, _, node, home = f.read().split()
        return ["xdg:schema", SCHEMA, "node", node, "home", home]

    @contextlib.contextmanager
    def locked(self):
        self.keyring.end()
        self.keyring.start(False)
        self.keyring.started()
        try:
            yield
        finally:
            self.keyring.end()
            self.keyring.start(True)
            self.keyring.started()

    @contextlib.contextmanager
    def serving(self, **env):
        p = subprocess.Popen([TEALE, "--home", self.home, "serve", "--api", "127.0.0.1:0"], text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**self.env, **env})
        try:
            yield p
        finally:
            if p.poll() is None:
                p.send_signal(signal.SIGTERM)
            with p.stdout, p.stderr:
                p.communicate(timeout=30)

    # --- it works ---

    def test_a_key_moves_there_and_back_and_the_node_is_the_same(self):
        where = json.loads(self.ok("key", "where", "--json").stdout)
        self.assertEqual((where["place"], where["node_id"], where["path"], where["keychain"]),
                         ("file", self.id, self.path("wan-identity.key"), {"state": "open", "cause": None}))
        self.to_keychain()
        self.assertEqual(self.tool("lookup", "xdg:schema", SCHEMA, "node", self.id).stdout.strip(), self.seed.hex())
        where = json.loads(self.ok("key", "where", "--json").stdout)
        self.assertEqual((where["place"], where["node_id"], where["keychain"]["state"]), ("keychain", self.id, "open"))
        self.assertIn("nothing to do", self.ok("key", "move", "keychain").stdout)
        with self.serving() as p:
            self.assertIn(self.id, p.stdout.readline())
            # under the running node, too
            self.assertEqual(json.loads(self.ok("key", "move", "file", "--json").stdout),
                             {"place": "file", "node_id": self.id, "path": self.path("wan-identity.key"), "moved": True})
            self.to_keychain()
            self.assertNotIn(self.seed.hex(), self.ok("bugreport").stdout)
        copy = self.path("copy")
        self.assertEqual(json.loads(self.ok("key", "export", copy, "--json").stdout),
                         {"node_id": self.id, "file": copy})
        with open(copy, "rb") as f:
            self.assertEqual(f.read(), self.seed)
        self.assertEqual(os.stat(copy).st_mode & 0o777, 0o600)
        self.fails(1, "exists already", "key", "export", copy)
        self.fails(1, "identity here already, in the keychain", "backup", "restore")
        self.ok("key", "move", "file")
        self.assertEqual(self.files(), ["wan-identity.key"])
        self.assertEqual(self.tool("lookup", "xdg:schema", SCHEMA, "node", self.id).stdout, "")
        self.fails(2, "wants file or keychain", "key", "move", "elsewhere")

    def test_a_new_key_goes_where_the_setting_says(self):
        for setting, home, bus, place in (("auto", False, True, "keychain"), ("auto", False, False, "file"),
                                          ("auto", True, True, "file"), ("file", False, True, "file"),
                                          ("keychain", True, True, "keychain")):
            with self.subTest(setting=setting, home=home, bus=bus), tempfile.TemporaryDirectory(dir=self.directory) as d:
                env = {"HOME": d} if bus else {"HOME": d, "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"}
                self.home = d
                self.ok("config", "set", "key_store", setting, home=home, env=env)
                r = self.ok("up", "--api", "127.0.0.1:0", home=home, env=env)
                try:
                    self.assertIn("kept in the keychain" if place == "keychain" else f"kept in {d}", r.stderr)
                    where = json.loads(self.ok("key", "where", "--json", home=home, env=env).stdout)
                    self.assertEqual(where["place"], place)
                finally:
                    self.ok("down", home=home, env=env)
                self.assertIn(where["node_id"][:4], self.ok("up", "--api", "127.0.0.1:0", home=home, env=env).stderr)
                self.ok("down", home=home, env=env)
        with tempfile.TemporaryDirectory(dir=self.directory) as self.home:
            self.ok("config", "set", "key_store", "keychain")
            env = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"}
            self.fails(1, "key_store is keychain, and there is no session bus", "up", env=env)
            self.assertEqual(self.files(), [])

    def test_a_move_that_is_killed_loses_no_key(self):
        rand = random.Random(7)
        for i in range(16):
            goal = ("keychain", "file")[i % 2]
            p = subprocess.Popen([TEALE, "--home", self.home, "key", "move", goal], env=self.env,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(rand.uniform(0, 0.12))
            p.kill()
            p.wait()
            copy = self.path(f"copy{i}")
            self.ok("key", "export", copy)
            with open(copy, "rb") as f:
                self.assertEqual(f.read(), self.seed)
            self.ok("key", "move", goal)
            self.assertEqual(len(self.files()), 1)

    # --- it is closed ---

    def test_a_locked_keychain_is_told_and_waited_for_at_boot(self):
        self.to_keychain()
        with self.locked():
            remedy = "keychain is locked: .*gnome-keyring-daemon --replace --unlock"
            self.fails(5, remedy, "up", "--api", "127.0.0.1:0")
            self.fails(5, remedy, "key", "move", "file")
            self.fails(5, remedy, "key", "export", self.path("copy"))
            self.fails(1, remedy, "serve", "--api", "127.0.0.1:0")
            self.assertRegex(self.ok("key", "where").stdout, "keychain: locked: .*--unlock")
            self.assertEqual(self.files(), ["wan-identity.keychain"])
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(self.path("notify"))
                manager.settimeout(30)
                with self.serving(NOTIFY_SOCKET=self.path("notify")) as p:
                    said = [manager.recv(4096).decode() for _ in range(2)]
                    self.assertIn("EXTEND_TIMEOUT_USEC=60000000", said)
                    self.assertRegex(said[1], "^STATUS=waits for its key: the keychain is locked")
                    self.fails(1, "waits for its key: the keychain is locked", "status")
                    self.keyring.unlock()
                    self.assertIn(self.id, p.stdout.readline())
                    while manager.recv(4096) != b"READY=1":
                        pass
                    self.ok("status")

    def test_a_person_is_asked_and_the_refusal_is_told(self):
        """On a terminal with a desktop; nobody is there to show the keyring's window, so that it is not unlocked."""
        self.to_keychain()
        with self.locked():
            pid, fd = pty.fork()
            if pid == 0:
                try:
                    os.execve(TEALE, [TEALE, "--home", self.home, "key", "move", "file"],
                              {**self.env, "DISPLAY": ":none", "TERM": "xterm"})
                finally:
                    os._exit(127)
            text = b""
            with contextlib.suppress(OSError):
                while piece := os.read(fd, 4096):
                    text += piece
            status = os.waitpid(pid, 0)[1]
            os.close(fd)
        self.assertEqual(os.waitstatus_to_exitcode(status), 5, text)
        self.assertIn(b"the keychain asked for its password and was not unlocked: try again", text)
        self.assertEqual(self.files(), ["wan-identity.keychain"])
        self.ok("key", "move", "file")

    def test_without_a_bus_or_a_keychain_on_it_the_cause_and_the_remedy_are_told(self):
        self.to_keychain()
        nowhere = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere/bus"}
        self.fails(4, "no session bus here .*log in to the desktop", "up", env=nowhere)
        self.assertIn("keychain: no bus", self.ok("key", "where", env=nowhere).stdout)
        self.fails(4, "is no socket of this machine", "key", "move", "file",
                   env={"DBUS_SESSION_BUS_ADDRESS": "tcp:host=127.0.0.1,port=1"})
        self.keyring.end()
        try:
            self.fails(4, "bus has no keychain .*install or start gnome-keyring", "up")
        finally:
            self.keyring.start(True)
            self.keyring.started()
        self.ok("key", "move", "file")

    @unittest.skipUnless(os.geteuid() == 0, "only root can be another user")
    def test_another_users_bus_is_not_used(self):
        with tempfile.TemporaryDirectory() as d:
            os.chmod(d, 0o777)
            bus = Bus(d, '<allow user="*"/>', ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
            try:
                self.fails(5, "bus is another user's .*65534", "key", "move", "keychain",
                           env={"DBUS_SESSION_BUS_ADDRESS": bus.address})
            finally:
                bus.end()
        self.assertEqual(self.files(), ["wan-identity.key"])

    # --- it answers nonsense ---

    def test_what_is_no_key_or_another_nodes_is_refused(self):
        self.to_keychain()
        label = ["store", "--label=x", *self.attributes()]
        for secret, code, words in (("nonsense", 1, "something else than a key"), ("", 1, "something else than a key"),
                                    (os.urandom(32).hex(), 1, "the key of another node"),
                                    (self.seed.hex().upper(), 1, "something else than a key")):
            with self.subTest(secret=secret):
                self.assertEqual(self.tool(*label, given=secret).returncode, 0)
                self.fails(code, words, "up")
                self.fails(code, words, "key", "move", "file")
                self.assertEqual(self.files(), ["wan-identity.keychain"])
        self.assertEqual(self.tool("clear", *self.attributes()).returncode, 0)
        self.fails(1, "which has it no more: .*backup restore", "up")
        self.write("wan-identity.key", self.seed)
        self.ok("key", "move", "keychain")
        self.ok("key", "move", "file")

    def server(self, talk):
        """A bus that talks as it likes to each who comes."""
        path = self.path("strange")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        self.addCleanup(listener.close)

        def run():
            with contextlib.suppress(OSError):
                while True:
                    connection = listener.accept()[0]
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()
        threading.Thread(target=run, daemon=True).start()
        return {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={path}"}

    @staticmethod
    def greet(connection):
        """The SASL dialogue; then the peer sends Hello."""
        seen = b""
        while b"BEGIN" not in seen:
            got = connection.recv(4096)
            if not got:
                return
            seen += got
            if b"AUTH\r\n" in got:
                connection.sendall(b"REJECTED EXTERNAL\r\n")
            elif b"AUTH EXTERNAL\r\n" in got:
                connection.sendall(b"DATA\r\n")
            elif b"AUTH EXTERNAL" in got or b"DATA" in got:
                connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
            if b"NEGOTIATE" in got:
                connection.sendall(b"ERROR\r\n")

    def test_a_bus_that_talks_nonsense_is_told(self):
        def talk(junk, after):
            def run(connection):
                with connection, contextlib.suppress(OSError):
                    if after:
                        self.greet(connection)
                    while True:
                        connection.sendall(junk)
            return run
        for junk, after in ((b"\0" * 999, True), (b"l\2\1\1\xff\xff\xff\x7f" + b"A" * 99, True), (b"HTTP/1.1 200\r\n", False)):
            with self.subTest(junk=junk):
                env = self.server(talk(junk, after))
                r = self.fails(4, "no session bus here", "key", "move", "keychain", env=env)
                self.assertNotIn("\033", r.stderr)
                os.unlink(self.path("strange"))
        self.assertEqual(self.files(), ["wan-identity.key"])

    def test_a_bus_that_hangs_is_given_up(self):
        env = self.server(self.greet)
        began = time.monotonic()
        r = self.fails(6, "did not answer within 10 s", "key", "move", "keychain", env=env)
        self.assertLess(time.monotonic() - began, 30)
        self.assertRegex(r.stderr, r"^waiting for the keychain: [5-9] s\n")
        self.assertEqual(self.files(), ["wan-identity.key"])

    # --- both ---

    def test_two_keys_are_told_and_neither_is_touched(self):
        self.to_keychain()
        self.write("wan-identity.key", self.seed)
        self.assertIn("key: file (and keychain)", self.ok("key", "where").stdout)
        with self.serving() as p:  # the same key twice: an interrupted move
            self.assertIn(self.id, p.stdout.readline())
        self.write("wan-identity.key", os.urandom(32))
        words = f"two keys here: .*to be {self.id[:16]}, the file .*wan-identity.key"
        for command in (["up"], ["serve"], ["key", "where"], ["key", "move", "file"], ["key", "move", "keychain"]):
            self.fails(1, words, *command)
        self.assertEqual(self.files(), ["wan-identity.key", "wan-identity.keychain"])
        os.unlink(self.path("wan-identity.key"))
        self.ok("key", "move", "file")

    def test_a_home_without_a_key_says_how_to_get_one(self):
        os.unlink(self.path("wan-identity.key"))
        for command in (["where"], ["move", "keychain"], ["move", "file"], ["export", self.path("x")]):
            self.fails(1, "`teale up` makes it", "key", *command)


if __name__ == "__main__":
    if any(shutil.which(p) is None for p in ("dbus-daemon", "dbus-send", "gnome-keyring-daemon", "secret-tool")):
        print("no GNOME Keyring here")
        sys.exit(77)
    if not os.path.exists(os.path.join(os.path.dirname(TEALE), "teale-keychain")):
        print("built without libsecret")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
