"""proxyscene.py - proxies on loopback: a scripted one that speaks HTTP CONNECT and SOCKS5 or tells lies, and the real
ones of Debian where they are installed."""
import base64
import os
import select
import shutil
import socket
import struct
import subprocess
import threading
import time

from ports import free_port


class Proxy:
    """Takes connections until it is closed. `lie(socket)`: what it does in place of a proxy's work. `names`: where
    it finds hosts, {"relay.example.org": "127.0.0.1"}; others as the system does."""

    def __init__(self, lie=None, names=None, port=0):
        self.lie, self.names = lie, names or {}
        self.asked = []  # (host, port, login or None) of each tunnel
        self.open = []
        self.server = socket.create_server(("127.0.0.1", port))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        if self.server.fileno() >= 0:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
        self.cut()

    def cut(self):
        """Ends every tunnel."""
        for s in self.open:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            self.open.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            with client:
                if self.lie:
                    self.lie(client)
                elif client.recv(1, socket.MSG_PEEK) == b"\x05":
                    self._socks(client)
                else:
                    self._http(client)
        except (OSError, EOFError):
            pass

    def _join(self, client, host, port, login, yes, no):
        self.asked.append((host, port, login))
        try:
            server = socket.create_connection((self.names.get(host, host), port), 5)
        except OSError:
            client.sendall(no)
            return
        client.sendall(yes)
        with server:
            while True:
                for s in select.select([client, server], [], [])[0]:
                    data = s.recv(65536)
                    if not data:
                        return
                    (server if s is client else client).sendall(data)

    def _http(self, client):
        head = read_head(client).decode()
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ")
        assert method == "CONNECT", head
        host, _, port = target.rpartition(":")
        login = next((base64.b64decode(l.split()[-1]).decode() for l in lines
                      if l.lower().startswith("proxy-authorization: basic ")), None)
        self._join(client, host.strip("[]"), int(port), login, b"HTTP/1.1 200 OK\r\n\r\n",
                   b"HTTP/1.1 502 Bad Gateway\r\n\r\n")

    def _socks(self, client):
        _, n = exactly(client, 2)
        methods = exactly(client, n)
        login = None
        client.sendall(b"\x05\x02" if 2 in methods else b"\x05\x00")
        if 2 in methods:
            user = exactly(client, exactly(client, 2)[1])
            login = (user + b":" + exactly(client, exactly(client, 1)[0])).decode()
            client.sendall(b"\x01\x00")
        kind = exactly(client, 4)[3]
        if kind == 3:
            host = exactly(client, exactly(client, 1)[0]).decode()
        else:
            host = socket.inet_ntop(*((socket.AF_INET, exactly(client, 4)) if kind == 1
                                      else (socket.AF_INET6, exactly(client, 16))))
        port, = struct.unpack(">H", exactly(client, 2))
        tail = b"\x00\x01\x00\x00\x00\x00\x00\x00"
        self._join(client, host, port, login, b"\x05\x00" + tail, b"\x05\x05" + tail)


def exactly(s, n):
    data = b""
    while len(data) < n:
        got = s.recv(n - len(data))
        if not got:
            raise EOFError
        data += got
    return data


def read_head(s):
    data = b""
    while b"\r\n\r\n" not in data:
        data += exactly(s, 1)
    return data


class Program:
    """A real proxy that listens on `port`; ended by `close`."""

    def __init__(self, args, port, log=None):
        self.port = port
        self.log = log
        self.popen = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert self.popen.poll() is None and time.monotonic() < until, f"{args} did not begin to listen"
                time.sleep(0.02)

    def close(self):
        self.popen.terminate()
        self.popen.wait(10)


def tinyproxy(directory, login=None):
    """None where it is not installed."""
    program = shutil.which("tinyproxy")
    if not program:
        return None
    port, name = free_port(), os.path.join(directory, f"tinyproxy-{time.monotonic_ns()}")
    with open(name + ".conf", "w", encoding="ascii") as f:
        f.write(f"Port {port}\nListen 127.0.0.1\nTimeout 600\nLogFile \"{name}.log\"\nLogLevel Connect\n"
                f"MaxClients 20\nAllow 127.0.0.1\n")
        if login:
            f.write("BasicAuth {} {}\n".format(*login.split(":")))
    return Program([program, "-d", "-c", name + ".conf"], port, name + ".log")


def microsocks(login=None):
    """None where it is not installed."""
    program = shutil.which("microsocks")
    if not program:
        return None
    port = free_port()
    args = ["-u", login.split(":")[0], "-P", login.split(":")[1]] if login else []
    return Program([program, "-i", "127.0.0.1", "-p", str(port), *args], port)
