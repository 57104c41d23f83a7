"""A redis-server (or valkey-server) of this test's own, on a port of loopback, without anything on disk; and servers that
only seem to be one."""
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time

from ports import free_port

BINARY = shutil.which("redis-server") or shutil.which("valkey-server")


class Redis:
    def __init__(self, *args, password=None, port=None, tls=None):
        self.port = port or free_port()
        self.password = password
        self.args = list(args) + (["--requirepass", password] if password else [])
        self.tls = tls
        self.directory = tempfile.mkdtemp(prefix="teale-redis-")
        self.popen = None
        self.start()

    def start(self):
        ports = ["--port", str(self.port)]
        if self.tls:
            ports = ["--port", "0", "--tls-port", str(self.port), "--tls-cert-file", self.tls[0], "--tls-key-file", self.tls[1],
                     "--tls-auth-clients", "no"]
        self.popen = subprocess.Popen([BINARY, "--bind", "127.0.0.1", *ports, "--save", "", "--appendonly", "no", "--dir",
                                       self.directory, *self.args], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()

    def _wait(self):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise AssertionError("redis-server does not start")

    def url(self, password=None):
        scheme = "rediss" if self.tls else "redis"
        return f"{scheme}://{':' + password + '@' if password else ''}127.0.0.1:{self.port}"

    def command(self, *args):
        """One command in the plain protocol; returns what redis-cli would not make prettier."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as s:
            f = s.makefile("rb")
            if self.password:
                send(s, "AUTH", self.password)
                read(f)
            send(s, *args)
            return read(f)

    def kill(self):
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()

    def stop(self):
        self.popen.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.popen.send_signal(signal.SIGCONT)

    def close(self):
        if self.popen.poll() is None:
            self.go_on()
            self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class SentinelProcess(Redis):
    """Its configuration comes first: a Sentinel writes to that file."""

    def __init__(self, conf):
        self.conf = conf
        super().__init__()

    def start(self):
        self.popen = subprocess.Popen([BINARY, self.conf, "--sentinel", "--bind", "127.0.0.1", "--port", str(self.port)],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()


def send(sock, *args):
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    sock.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))


def read(f):
    line = f.readline().rstrip(b"\r\n")
    kind, rest = line[:1], line[1:]
    if kind == b"$":
        n = int(rest)
        return None if n < 0 else f.read(n + 2)[:-2]
    if kind == b"*":
        return [read(f) for _ in range(int(rest))]
    return int(rest) if kind == b":" else rest


class Impostor(socketserver.ThreadingTCPServer):
    """Listens like Redis, and answers whatever comes with `answer`; None: with nothing at all."""
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer):
        self.answer = answer
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            try:
                while self.request.recv(65536):
                    if self.server.answer:
                        self.request.sendall(self.server.answer)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
