"""mDNS in a lab: the program that announces and finds as a node does, a real avahi-daemon on a bus of its own,
python3-zeroconf as another program's responder and browser, and packets that nobody honest sends."""
import os
import pathlib
import re
import select
import socket
import struct
import subprocess
import time

from enter import die_with_parent
from lab import LabError
from netns import udp_socket

HERE = pathlib.Path(__file__).resolve().parent
SERVICE = "_teale._tcp.local"
NO_BUS = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
GROUP, PORT = "224.0.0.251", 5353


class Talker:
    """A program in the lab to which lines are written, and which writes lines."""

    def __init__(self, lab, host, argv, env=None):
        lab._n += 1
        self.log = os.path.join(lab.dir, f"{lab._n}-{os.path.basename(argv[0])}.out")
        with open(self.log, "wb") as out, open(self.log + ".err", "wb") as err:
            self.popen = subprocess.Popen(["ip", "netns", "exec", host.ns, *argv], stdin=subprocess.PIPE, stdout=out,
                                          stderr=err, env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
        lab.processes.append(self)

    def alive(self):
        return self.popen.poll() is None

    def say(self, line):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def lines(self):
        return pathlib.Path(self.log).read_text(errors="replace").splitlines()

    def wait(self, what, condition, timeout=20):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            value = condition(self.lines())
            if value:
                return value
            if not self.alive():
                break
            time.sleep(0.02)
        raise LabError(f"no {what} within {timeout} s:\n" + "\n".join(self.lines()[-40:]) +
                       pathlib.Path(self.log + ".err").read_text(errors="replace")[-2000:])

    def end(self, timeout=10):
        """The end of its input; how long it took to end."""
        begun = time.monotonic()
        self.popen.stdin.close()
        if self.popen.wait(timeout) != 0:
            raise LabError(f"ended with {self.popen.returncode}")
        return time.monotonic() - begun


class MdnsNode(Talker):
    """One of tests/programs/mdnsnode. `seed` makes its ID."""

    def __init__(self, lab, host, build, seed, port, prefer=(), env=None):
        super().__init__(lab, host, [str(pathlib.Path(build) / "tests/programs/mdnsnode"), str(seed), str(port),
                                     *map(str, prefer)], env or NO_BUS)
        self.port, self.host = port, host
        self.id = self.wait("ID", lambda l: l[0].split()[1] if l and l[0].startswith("us ") else None)
        self.name = f"teale-{self.id[:16]}"

    def state(self):
        return next((l.split(" ", 2)[1:] for l in reversed(self.lines()) if l.startswith("state ")), None)

    def wait_state(self, wanted, timeout=20):
        self.wait(f"state {wanted}", lambda _: (self.state() or [""])[0] == wanted, timeout)

    def addresses(self, node_id):
        """Where it says that a node is; [] if nowhere."""
        for line in reversed(self.lines()):
            words = line.split()
            if len(words) > 1 and words[0] in ("found", "gone") and words[1] == node_id:
                return words[2:]
        return []

    def wait_found(self, node_id, *parts, timeout=20):
        """Until its addresses have all these parts."""
        return self.wait(f"{node_id[:8]} at {parts}", lambda _: (a := self.addresses(node_id)) and all(
            any(p in x for x in a) for p in parts) and a, timeout)

    def wait_gone(self, node_id, timeout=20):
        self.wait(f"end of {node_id[:8]}", lambda _: not self.addresses(node_id), timeout)

    def found(self):
        """All that were ever found."""
        return {l.split()[1] for l in self.lines() if l.startswith("found ")}

    def report(self):
        before = len([l for l in self.lines() if l.startswith("report ")])
        self.say("report")
        line = self.wait("report", lambda l: (r := [x for x in l if x.startswith("report ")])[before:] and r[-1])
        words = line.split()
        return {"state": words[1], "name": words[2], **{words[i]: int(words[i + 1]) for i in range(3, len(words), 2)}}


class Avahi:
    """avahi-daemon with a bus of its own, as the machine that `host` is would have them."""

    def __init__(self, lab, host, name):
        self.lab, self.host = lab, host
        self.dir = os.path.join(lab.dir, f"avahi-{name}")
        os.mkdir(self.dir)
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.dir}/bus"}
        kinds = [f'{way}_type="{kind}"' for way in ("send", "receive")
                 for kind in ("method_call", "method_return", "signal", "error")]
        every = "".join(f"<allow {what}/>" for what in ['user="*"', 'own="*"', *kinds])
        self._write("bus.conf", f"<busconfig><type>system</type><listen>unix:path={self.dir}/bus</listen>"
                    f'<auth>EXTERNAL</auth><policy context="default">{every}</policy></busconfig>')
        self._write("avahi.conf", f"[server]\nhost-name={name}\n[publish]\npublish-workstation=no\npublish-hinfo=no\n")
        self.bus = lab.start(host, ["dbus-daemon", f"--config-file={self.dir}/bus.conf", "--nofork", "--nopidfile"])
        self._until(lambda: os.path.exists(f"{self.dir}/bus"))
        self.start()

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def _until(self, condition, timeout=15):
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise LabError(f"avahi-daemon or its bus did not start: {self.bus.errors()}{self.daemon.errors()}")
            time.sleep(0.02)

    def start(self):
        """A daemon's own folder is below /run, one for the whole machine: this one has a /run for itself."""
        self.daemon = self.lab.start(self.host, ["unshare", "-m", "sh", "-c",
            "mount -t tmpfs none /run && mkdir /run/avahi-daemon && exec avahi-daemon --no-drop-root --no-chroot "
            f"--no-rlimits -f {self.dir}/avahi.conf"], env=self.env)
        self._until(lambda: "Server startup complete" in self.daemon.errors())

    def stop(self):
        self.daemon.stop()

    def browse(self):
        """What avahi-browse shows of the service: lists of its fields."""
        said = self.lab.run(self.host, ["avahi-browse", "-rpt", "_teale._tcp"], env=self.env, timeout=30).stdout
        return [l.split(";") for l in said.splitlines() if l.startswith("=")]


class Zeroconf(Talker):
    """python3-zeroconf (zeroconf_node.py). It is a package of Debian's own Python."""

    def __init__(self, lab, host, v6=False):
        super().__init__(lab, host, ["/usr/bin/python3", str(HERE / "zeroconf_node.py"), host.private, "6" if v6 else "4"],
                         {"PYTHONDONTWRITEBYTECODE": "1"})
        self.wait("ready", lambda l: l and l[0] == "ready")

    def register(self, name, port, address, *txt):
        n = len(self.lines())
        self.say(" ".join(["register", name, str(port), address, *(t.encode().hex() or "-" for t in txt)]))
        self.wait(f"registration of {name}", lambda l: [x for x in l[n:] if x == f"registered {name}"])

    def update(self, name, port, address, *txt):
        self.say(" ".join(["update", name, str(port), address, *(t.encode().hex() or "-" for t in txt)]))

    def unregister(self, name):
        self.say(f"unregister {name}")

    def wait_seen(self, name, timeout=20):
        """(address, port, txt) of a service that it browses."""
        return self.wait(f"sight of {name}", lambda l: next(
            (x.split(" ")[2:] for x in reversed(l) if x.startswith(f"seen {name} ")), None), timeout)


# --- packets ---

def dns_name(name):
    return b"".join(bytes([len(l)]) + l for l in name.encode().split(b".")) + b"\0"


def record(name, kind, data, ttl=120, unique=False):
    return name + struct.pack("!HHIH", kind, 0x8001 if unique else 1, ttl, len(data)) + data


def response(*records):
    return struct.pack("!6H", 0, 0x8400, 0, len(records), 0, 0) + b"".join(records)


def service(name, port, address, txt, host=None, ttl=120):
    """All records of a service, as one response."""
    label = name.encode()
    full = bytes([len(label)]) + label + dns_name(SERVICE)
    host = dns_name(host or f"h{name[:20].replace('.', '')}.local")
    text = b"".join(bytes([len(t)]) + t for t in (x.encode() for x in txt)) or b"\0"
    return response(record(dns_name(SERVICE), 12, full, ttl),
                    record(full, 33, struct.pack("!3H", 0, 0, port) + host, ttl, True),
                    record(full, 16, text, ttl, True),
                    record(host, 1, socket.inet_aton(address), ttl, True))


class Forger:
    """A host of the LAN that sends any mDNS packet."""

    def __init__(self, host):
        self.sock = udp_socket(host.ns, host.private, PORT)  # from another port, no response counts
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(host.private))
        self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        self.sent = 0

    def send(self, packet):
        select.select([], [self.sock], [])
        self.sock.sendto(packet, (GROUP, PORT))
        self.sent += 1
