"""Scenes for direct paths: a relay that answers STUN at two addresses, nodes behind routers of any type,
and a long answer that is watched byte by byte while things go wrong."""
import hashlib
import http.client
import json
import re
import socket
import subprocess
import threading
import time

from lab import LabError
from netns import inside
from scene import Node, Relay, question

PING_TIMED_OUT = 6


class Rendezvous:
    """A public host with two addresses and `teale-relay` on it: WebSocket, and STUN at `udp` of them (with RFC
    5780 at two)."""

    def __init__(self, lab, programs, udp=2, name="relay", extra=()):
        self.host = lab.host(name)
        first = self.host.address
        second = first.rsplit(".", 1)[0] + ".9"
        lab.ip(self.host.ns, f"address add {second}/24 dev wan")
        self.addresses = (first, second)
        stun = [word for a in self.addresses[:udp] for word in ("--udp", f"{a}:3478")]
        self.relay = Relay(lab, programs, self.host, extra=[*stun, *extra])
        self.url = self.relay.url


class Peer:
    """A node on a host with a parrot beside it, restarted at will. Its model is named after it."""

    def __init__(self, lab, programs, host, name, relay_url, parrot=(), settings=None, extra=(),
                 env=None):
        self.lab, self.host, self.name, self.model = lab, host, name, "m-" + name
        self.parrot = lab.start(host, [programs.parrot, "--listen", "127.0.0.1:9000", "--model", self.model, *parrot])
        self.parrot.wait_line("ready ")
        self.node = Node(lab, programs, host, name, relay_url, "http://127.0.0.1:9000", extra, start=False, env=env,
                         settings={"nat.stun_servers": "[]", "nat.port_mapping": "false", **(settings or {})})

    @property
    def id(self):
        return self.node.id

    def start(self):
        self.node.start()

    def ready(self, kind=None):
        """On the relay, and knows its NAT (which is `kind`, if that is given)."""
        self.node.wait_connected()
        self.node.wait("sure of its NAT", lambda: self.node.json("status")["nat"]["type"] != "unknown")
        found = self.node.json("status")["nat"]
        if kind and found["type"] != kind:
            raise LabError(f"{self.name} is behind {kind} and takes it for {found}")

    def stop(self):
        if self.node.process.alive():
            self.node.process.popen.kill()
        self.node.process.wait()

    def path_to(self, peer):
        for p in self.node.json("peers")["peers"]:
            if p["node_id"] == peer.id:
                return p["path"]
        return None

    def peer_entry(self, peer):
        return next((p for p in self.node.json("peers")["peers"] if p["node_id"] == peer.id), None)

    def wait_path(self, peer, path, timeout=10):
        """Until that is the path; the seconds it took."""
        started = time.monotonic()
        self.node.wait(f"{path} to {peer.name}", lambda: self.path_to(peer) == path, timeout)
        return time.monotonic() - started

    def ping_until_direct(self, peer, timeout=10):
        """(whether it became direct, what ping printed)."""
        done = self.node.command("ping", peer.id, "--until-direct", "--timeout", str(timeout), "--json",
                                 check=False, timeout=timeout + 20)
        if done.returncode not in (0, PING_TIMED_OUT):
            raise LabError(f"{self.name}: ping exited {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode == 0, done.stdout

    def why(self, peer):
        return self.node.command("why", peer.id).stdout

    def metrics(self):
        api = self.node.api.removesuffix("/v1")
        return self.lab.run(self.host, ["curl", "-sS", "-m", "10", api + "/metrics"]).stdout.splitlines()

    def punches(self, what="attempts"):
        """{(the NAT of who began, the NAT of the other): how often}, of those that happened."""
        name = {"attempts": "tesseras_punch_attempts_total", "successes": "teale_punch_successes_total"}[what]
        counted = (re.fullmatch(name + r'\{initiator_nat="(\w+)",target_nat="(\w+)"\} (\d+)', line)
                   for line in self.metrics())
        return {(m[1], m[2]): int(m[3]) for m in counted if m and m[3] != "0"}

    def ask(self, peer, text="one two three", timeout=30):
        """(seconds to the first byte, path of the answer as its header says, whether it is whole)."""
        done = self.node.curl("/chat/completions", question(peer.model, text), "-D", "-", "-w",
                              "\nTIMES %{time_starttransfer}", timeout=timeout)
        path = re.search(r"(?im)^x-teale-path: *(\S+)", done.stdout)
        first = float(done.stdout.rsplit("\nTIMES ", 1)[1])
        whole = "data: [DONE]" in done.stdout and text.split()[-1] in done.stdout
        return first, path and path[1], whole

    def log(self):
        return self.node.process.errors()


def tell(peers):
    """What a failed test wants to know of each node."""
    text = []
    for p in peers:
        try:
            text.append(f"--- {p.name} ({p.host.router or p.host.address})\n{p.node.command('status').stdout}")
            for other in peers:
                if other is not p:
                    text.append(p.node.command("why", other.id, check=False).stdout)
        except (LabError, subprocess.TimeoutExpired, AttributeError) as e:
            text.append(str(e))
        text.append(p.log()[-3000:])
    return "\n".join(text)


class Stream(threading.Thread):
    """A long answer being read: how much came when, the longest silence, the hash at its end."""

    def __init__(self, lab, asker, provider, size):
        super().__init__(daemon=True)
        self.size, self.asker, self.model = size, asker, f"bytes:{size}"
        self.provider, self.lab = provider, lab
        self.received, self.stall, self.stall_at = 0, 0.0, 0.0
        self.error, self.digest, self.headers = None, None, {}
        self._mark = threading.Condition()
        self.started = time.monotonic()
        self.start()

    def run(self):
        try:
            self._read()
        except Exception as e:  # told by whoever waits for us
            self.error = e
        with self._mark:
            self._mark.notify_all()

    def _read(self):
        host, port = re.match(r"http://([0-9.]+):(\d+)", self.asker.node.api).groups()
        connection = http.client.HTTPConnection(host, int(port))
        with inside(self.asker.host.ns):
            connection.sock = socket.create_connection((host, int(port)))
        connection.sock.settimeout(60)
        connection.request("POST", "/v1/chat/completions", json.dumps(question(self.model, "x")),
                           {"Content-Type": "application/json", "X-Teale-Ask-Peer": self.provider.id})
        response = connection.getresponse()
        if response.status != 200:
            raise LabError(f"the answer's head: {response.status} {response.read(2000)}")
        self.headers = dict(response.getheaders())
        digest, last = hashlib.sha256(), time.monotonic()
        while data := response.read1(1 << 16):
            now = time.monotonic()
            if now - last > self.stall:
                self.stall, self.stall_at = now - last, last - self.started
            last = now
            digest.update(data)
            with self._mark:
                self.received += len(data)
                self._mark.notify_all()
        if self.received != self.size:
            raise LabError(f"{self.received} of {self.size} bytes")
        self.digest = digest.hexdigest()

    def reach(self, share, timeout=60, forget=True):
        """Returns once that share of the answer has come; forgets the silences until then."""
        with self._mark:
            self._mark.wait_for(lambda: self.error or self.received >= share * self.size, timeout)
            if self.error or self.received < share * self.size:
                raise LabError(f"the answer stands at {self.received} of {self.size} bytes: {self.error}")
            if forget:
                self.stall = 0.0

    def finish(self, programs, timeout=90):
        """The longest silence in seconds; raises unless every byte is right."""
        self.join(timeout)
        if self.is_alive() or self.error:
            raise LabError(f"the answer stands at {self.received} of {self.size} bytes: {self.error}")
        want = self.lab.run(None, [programs.parrot, "--pattern-sha256", str(self.size)]).stdout.strip()
        if self.digest != want:
            raise LabError("the answer's hash is wrong")
        return self.stall
