"""The demo's place where namespaces cannot be made: everything on 127.0.0.1, and instead of a packet
capture a recording pipe in front of the relay."""
import socket
import threading

from capture import contains_text
from lab import Lab


class Loopback(Lab):
    def __enter__(self):
        self._ports = {}
        return self

    def host(self, _name):
        return None

    def home(self, _name, *_nat):
        return None

    def api_port(self, name):
        """A free port, kept for that name."""
        if name not in self._ports:
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                self._ports[name] = s.getsockname()[1]
        return self._ports[name]

    def relay(self, programs, host):
        recorder = Recorder()
        authority = f"127.0.0.1:{recorder.port}"
        process = self.start(host, [programs.relay, "--listen", "ws://127.0.0.1:0", "--name", authority])
        ready = process.wait_line("ready ")
        recorder.target = int(ready.split("ws://127.0.0.1:")[1].split("/")[0])
        return f"ws://{authority}/ws", recorder


class Recorder:
    """Passes bytes on to the relay and keeps what the relay sent, one byte string per connection."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.target, self.streams = 0, []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            kept = bytearray()
            self.streams.append(kept)
            threading.Thread(target=self._pass, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, kept), daemon=True).start()

    @staticmethod
    def _pass(source, sink, kept):
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        except OSError:
            pass
        for s in (source, sink):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def finish(self):
        pass

    def sent_by_port(self):
        return [bytes(s) for s in self.streams]

    def contains(self, text):
        return contains_text(self.sent_by_port(), text)
