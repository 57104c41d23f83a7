"""dhtothers.py - nodes of the DHT that are other people's programs: libtorrent (PyPI), bittorrent-dht (npm) and mainline
(crates.io). Each is installed once into a folder of the caller's."""
import fcntl
import hashlib
import os
import queue
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from dhtscene import SALT

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dht")


class Missing(Exception):
    """The program cannot be had here; the text says why."""


def install(registry, argv, folder, env=None):
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=900, stdin=subprocess.DEVNULL,
                          env={**os.environ, **(env or {})})
    if done.returncode == 0:
        return
    reached = subprocess.run(["curl", "-sS", "-o", os.devnull, "--max-time", "20", registry], capture_output=True)
    if reached.returncode:
        raise Missing(f"{registry} cannot be reached from here")
    raise AssertionError(f"{argv}: {done.stdout[-2000:]}{done.stderr[-2000:]}")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def prepared(work, name, files, make):
    """The folder WORK/name with these files; `make` is called when they are new, by one process at a time."""
    folder = os.path.join(work, name)
    os.makedirs(work, exist_ok=True)
    with open(folder + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _prepared(folder, files, make)


def _prepared(folder, files, make):
    mark = hashlib.sha256(b"".join(read(os.path.join(HERE, f)) for f in files)).hexdigest().encode()
    stamp = os.path.join(folder, "installed")
    if not os.path.exists(stamp) or read(stamp) != mark:
        shutil.rmtree(folder, ignore_errors=True)
        for f in files:
            at = os.path.join(folder, f)
            os.makedirs(os.path.dirname(at), exist_ok=True)
            shutil.copy(os.path.join(HERE, f), at)
        make(folder)
        with open(stamp, "wb") as f:
            f.write(mark)
    return folder


def libtorrent(work):
    """What to run, before the address and the doors."""
    def make(folder):
        venv = os.path.join(folder, "venv")
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        install("https://pypi.org/simple/", [os.path.join(venv, "bin/pip"), "install", "-q", "-r", "requirements.txt"],
                folder)
    folder = prepared(work, "libtorrent", ["requirements.txt"], make)
    return [os.path.join(folder, "venv/bin/python"), os.path.join(HERE, "libtorrent_node.py")]


def bittorrent_dht(work):
    if not shutil.which("npm"):
        raise Missing("this machine has no npm")
    folder = prepared(work, "npm", ["package.json", "package-lock.json", "bittorrent_dht_node.mjs"], lambda folder: install(
        "https://registry.npmjs.org/", ["npm", "ci", "--no-audit", "--no-fund"], folder))
    return ["node", os.path.join(folder, "bittorrent_dht_node.mjs")]


def mainline(work):
    if not shutil.which("cargo"):
        raise Missing("this machine has no cargo")
    files = ["mainline/Cargo.toml", "mainline/Cargo.lock", "mainline/src/main.rs"]
    folder = prepared(work, "cargo", files, lambda folder: install(
        "https://index.crates.io/config.json", ["cargo", "build", "--locked", "--quiet"],
        os.path.join(folder, "mainline")))
    return [os.path.join(folder, "mainline/target/debug/mainline-node")]


def install_all(work):
    """All of them at once. Whoever wants one of them is told why it is missing."""
    def one(program):
        try:
            program(work)
        except (Missing, AssertionError):
            pass
    with ThreadPoolExecutor() as pool:
        list(pool.map(one, (libtorrent, bittorrent_dht, mainline)))


class Other:
    """Another program's node: it takes lines and answers each with one. `at` and `doors` are ADDRESS:PORT."""

    def __init__(self, argv, at, doors, log):
        self.udp, self.log = int(at.rsplit(":", 1)[1]), log
        with open(log, "w") as f:
            self.popen = subprocess.Popen([*argv, at, *doors], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=f, text=True, bufsize=1)
        self.lines = queue.Queue()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.expect("ready")

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line.strip())

    def expect(self, *words, timeout=60):
        try:
            line = self.lines.get(timeout=timeout)
        except queue.Empty:
            line = ""
        assert line.split(" ")[0] in words, line + read(self.log).decode()[-2000:]
        return line

    def tell(self, *words):
        self.popen.stdin.write(" ".join(words) + "\n")

    def get(self, key, seq=None):
        """(seq, text), or None. With `seq` the search may end when an item of that sequence is found."""
        self.tell("get", key.hex(), SALT.decode(), *([] if seq is None else [str(seq)]))
        verb, *rest = self.expect("item", "none").split(" ")
        return (int(rest[0]), bytes.fromhex(rest[1])) if verb == "item" else None

    def put(self, seed, seq, text):
        self.tell("put", seed.hex(), SALT.decode(), str(seq), text.hex())
        return self.expect("put", "failed")

    def end(self):
        try:
            self.popen.stdin.close()
            self.popen.wait(10)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.popen.kill()
            self.popen.wait()
        self.reader.join(5)
        self.popen.stdout.close()
