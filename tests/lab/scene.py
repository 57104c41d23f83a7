"""The programs under test in a lab: a relay, nodes, a model server, and what a user types at them."""
import json
import os
import pathlib
import re
import subprocess
import time

from lab import LabError

os.environ.setdefault("TEALE_LAN", "off")  # a test announces nothing to the network of whoever runs it

RELAY_AGAIN_S = 70  # a relay that was away for a while: the pauses between two tries grow to a minute
API = "http://127.0.0.1:11435/v1"


class Programs:
    """Where the build put them."""

    def __init__(self, build):
        build = pathlib.Path(build).resolve()
        self.teale = str(build / "src/teale")
        self.relay = str(build / "src/teale-relay")
        self.parrot = str(build / "tests/programs/parrot")
        for path in (self.teale, self.relay, self.parrot):
            if not os.access(path, os.X_OK):
                raise LabError(f"{path} is not built")


class Relay:
    def __init__(self, lab, programs, host, listen="ws://0.0.0.0:8080", extra=()):
        self.lab, self.host = lab, host
        self.argv = [programs.relay, "--listen", listen, *extra]
        self.port = int(listen.rsplit(":", 1)[1])
        scheme = "wss" if "--tls-cert" in extra else "ws"
        self.url = f"{scheme}://{host.address}:{self.port}/ws"
        self.start()

    def start(self):
        self.process = self.lab.start(self.host, self.argv)
        self.process.wait_line("ready ")


class Node:
    """One `teale serve` with a home directory of its own. `relay_url` None: no relay is set."""

    def __init__(self, lab, programs, host, name, relay_url, share=None, extra=(), settings=None, start=True,
                 env=None):
        self.lab, self.host, self.name, self.teale = lab, host, name, programs.teale
        self.home = os.path.join(lab.dir, name)
        self.env = env
        relay = ["--relay", relay_url, "--insecure-relay"] if relay_url else []
        self.argv = [programs.teale, "--home", self.home, "serve", *relay, *extra]
        if share:
            self.argv += ["--share", share]
        alone = {} if relay_url else {"wan_enabled": "true", "wan_relay_url": "[]"}
        for key, value in {"display_name": name, "dht.bootstrap": "[]", **alone, **(settings or {})}.items():
            self.command("config", "set", key, value)
        if start:
            self.start()

    def start(self):
        self.process = self.lab.start(self.host, self.argv, env=self.env, name=self.name)
        ready = self.process.wait_line("ready ")
        self.id = re.search(r"node=([0-9a-f]{64})", ready)[1]
        self.api = re.search(r"api=(\S+)", ready)[1]

    def command(self, *argv, check=True, timeout=60):
        return self.lab.run(self.host, [self.teale, "--home", self.home, *argv], check=check,
                            timeout=timeout)

    def json(self, *argv):
        return json.loads(self.command(*argv, "--json").stdout)

    def curl(self, path, body=None, *extra, timeout=60, check=True):
        argv = ["curl", "-sS", "-N", "-m", str(timeout), *extra, self.api + path]
        if body is not None:
            argv += ["-H", "Content-Type: application/json", "--data-binary", json.dumps(body)]
        return self.lab.run(self.host, argv, timeout=timeout + 5, check=check)

    def wait(self, what, condition, timeout=20):
        """Polls a condition over what the node itself tells."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                if condition():
                    return
            except (LabError, ValueError, KeyError, subprocess.TimeoutExpired):
                pass
            time.sleep(0.05)
        raise LabError(f"{self.name}: not {what} within {timeout} s\n{self.process.errors()}")

    def wait_connected(self, timeout=20):
        self.wait("connected to the relay", lambda: self.json("status")["wan"]["state"] == "connected", timeout)

    def wait_model(self, model):
        self.wait(f"offered model {model}", lambda: model in
                  [m["id"] for m in json.loads(self.curl("/models").stdout)["data"]])


def question(model, text, stream=True, **more):
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}], **more}


def streamed_text(sse):
    """The joined content of a streamed completion, whether it ended in [DONE], and its chunks."""
    text, done, chunks = [], False, 0
    for line in sse.splitlines():
        if line == "data: [DONE]":
            done = True
        elif line.startswith("data: "):
            for choice in json.loads(line[6:]).get("choices", []):
                piece = (choice.get("delta") or {}).get("content")
                if piece:
                    text.append(piece)
                    chunks += 1
    return "".join(text), done, chunks
