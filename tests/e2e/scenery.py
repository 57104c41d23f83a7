"""scenery.py - a relay, model servers and nodes on loopback, started with the real binaries, ended by
process id. Every port is the kernel's choice, every file below one temporary directory."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

os.environ.setdefault("TEALE_LAN", "off")  # a test announces nothing to the network of whoever runs it


class Process:
    """A program that says `ready …` on stdout; what it logs is kept."""

    def __init__(self, args, env=None):
        self.popen = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        self.log = []
        self._lines = threading.Condition()
        self._readers = [threading.Thread(target=self._read, args=(f,), daemon=True)
                         for f in (self.popen.stdout, self.popen.stderr)]
        for reader in self._readers:
            reader.start()
        self.ready = self.wait_line(r"^ready ")

    def _read(self, stream):
        for line in stream:
            with self._lines:
                self.log.append(line.decode(errors="replace").rstrip())
                self._lines.notify_all()

    def _found(self, pattern):
        return next((l for l in self.log if re.search(pattern, l)), None)

    def wait_line(self, pattern, timeout=10):
        with self._lines:
            self._lines.wait_for(lambda: self._found(pattern) or self.popen.poll() is not None, timeout)
            found = self._found(pattern)
        assert found, f"no line {pattern!r} in {self.log}"
        return found

    def kill(self, signo=signal.SIGKILL):
        if self.popen.poll() is None:
            self.popen.send_signal(signo)

    def end(self, timeout=15):
        """SIGTERM; returns the exit status."""
        self.kill(signal.SIGTERM)
        try:
            status = self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"did not end within {timeout} s of SIGTERM: {self.log}")
        finally:
            for reader in self._readers:
                reader.join(5)
            self.popen.stdout.close()
            self.popen.stderr.close()
        return status


class Node(Process):
    def __init__(self, teale, home, *args, relayed=True, env=None):
        self.home = home
        how = ["--relayed"] if relayed else []
        super().__init__([teale, "--home", home, "serve", *how, "--api", "127.0.0.1:0", *args], env)
        self.port = int(re.search(r"api=http://127\.0\.0\.1:(\d+)/", self.ready).group(1))
        self.id = re.search(r"node=([0-9a-f]{64})", self.ready).group(1)

    def request(self, method, path, body=None, headers=None, timeout=30):
        """An open response: (connection, response)."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            c.request(method, path, body, headers or {})
            return c, c.getresponse()
        except BaseException:
            c.close()
            raise

    def get_json(self, path):
        c, r = self.request("GET", path)
        value = json.loads(r.read())
        c.close()
        return value

    def status(self):
        return self.get_json("/v1/app")["status"]

    def command(self, *args, code=0, timeout=30):
        """What a person types at this node; it must end with this exit code (None: any)."""
        done = subprocess.run([self.popen.args[0], "--home", self.home, *args], capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)
        assert code is None or done.returncode == code, f"{args}: exit {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
        return done

    def json(self, *args, **more):
        return json.loads(self.command(*args, "--json", **more).stdout)

    def post(self, body, headers=None, timeout=30):
        """(status, headers, bytes) of a whole chat completion."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        c, r = self.request("POST", "/v1/chat/completions", raw,
                            {"Content-Type": "application/json", **(headers or {})}, timeout)
        try:
            return r.status, dict(r.getheaders()), r.read()
        finally:
            c.close()


class Scenery:
    """Context manager; ends what still runs and sees that it ended well."""

    def __init__(self, teale, relay, parrot):
        self.programs = {"teale": teale, "relay": relay, "parrot": parrot}
        self.directory = tempfile.mkdtemp(prefix="teale-e2e-")
        self.running = []
        self.homes = 0

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        statuses = [(p.popen.args[0], p.end(), p.log[-60:]) for p in reversed(self.running)]
        shutil.rmtree(self.directory)
        if kind is None:
            bad = [s for s in statuses if s[1] not in (0, -signal.SIGTERM, -signal.SIGKILL)]
            assert not bad, bad

    def _keep(self, process):
        self.running.append(process)
        return process

    def parrot(self, *args):
        p = self._keep(Process([self.programs["parrot"], "--listen", "127.0.0.1:0", *args]))
        p.url = re.search(r"http://\S+", p.ready).group(0)
        return p

    def relay(self, *args, port=0, scheme="ws"):
        """Nodes that have no other relay to move to hold up its end for 2 s, in place of 30."""
        drain = [] if "--drain-secs" in args else ["--drain-secs", "2"]
        p = self._keep(Process([self.programs["relay"], "--listen", f"{scheme}://127.0.0.1:{port}", *drain, *args]))
        p.url = re.search(r"ws=(wss?://[^,\s]+)", p.ready).group(1)
        p.port = int(re.search(r":(\d+)/ws", p.url).group(1))
        return p

    def new_home(self):
        self.homes += 1
        return os.path.join(self.directory, f"home{self.homes}")

    def certificate(self, *names):
        """(certificate file, key file) of one that signs itself, for DNS names or IPs."""
        self.homes += 1
        cert, key = (os.path.join(self.directory, f"{kind}{self.homes}.pem") for kind in ("cert", "key"))
        alternatives = ",".join(("IP:" if n[0].isdigit() else "DNS:") + n for n in names)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={alternatives}",
                        "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
        return cert, key

    def config(self, home, **settings):
        for key, value in settings.items():
            subprocess.run([self.programs["teale"], "--home", home, "config", "set", key, value], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def file_of(self, home):
        """What its settings' file says."""
        try:
            with open(os.path.join(home, "teale.toml")) as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def node(self, relay, *args, home=None, connected=True, relayed=True, env=None):
        """`relay` is one of ours, or a URL, or None: as configured. `relayed`: nothing but the relay is tried. `env`: what
        its environment has besides ours."""
        home = home or self.new_home()
        if not relayed and "bootstrap" not in self.file_of(home):
            self.config(home, **{"dht.bootstrap": "[]"})  # a test asks nobody on the internet
        url = relay if relay is None or isinstance(relay, str) else relay.url
        n = self._keep(Node(self.programs["teale"], home, *(["--relay", url] if url else []),
                            *args, relayed=relayed, env=dict(os.environ, **env) if env else None))
        if connected:
            wait_for(lambda: n.status()["wan"]["state"] == "connected")
        return n


def parrot_stats(parrot):
    host, port = re.search(r"//([\d.]+):(\d+)", parrot.url).groups()
    c = http.client.HTTPConnection(host, int(port), timeout=5)
    c.request("GET", "/parrot/stats")
    stats = json.loads(c.getresponse().read())
    c.close()
    return stats


def wait_for(condition, timeout=10):
    """Returns how long it took."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < timeout, "it never came true"
        time.sleep(0.005)
    return time.monotonic() - begun


def chat(model, words, stream=True, **more):
    return {"model": model, "stream": stream, "messages": [{"role": "user", "content": words}], **more}


def words_of(events):
    """What a streamed answer says."""
    text = ""
    for line in events.decode().splitlines():
        if line.startswith("data: {"):
            choices = json.loads(line[6:]).get("choices") or [{}]
            text += choices[0].get("delta", {}).get("content") or ""
    return text
