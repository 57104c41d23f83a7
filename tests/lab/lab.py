"""A small internet out of network namespaces: hosts, homes behind real netfilter NATs, processes in
them, captures. Everything made here carries a name of its own and is removed again, also on failure.

    with Lab("demo") as lab:
        relay = lab.host("relay")                 # a public address
        home = lab.home("alice")                  # behind a NAT, private address 192.168.1.2
        lab.start(relay, ["teale-relay", ...])
"""
import atexit
import base64
import ctypes
import itertools
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

_PDEATHSIG = 1


def _die_with_parent():
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


class LabError(Exception):
    pass


def _sh(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def namespaces_work():
    """None if network namespaces with nftables can be made here, else the reason."""
    name = f"tlprobe{os.getpid()}"
    try:
        if os.geteuid() != 0:
            return "not root"
        for tool in ("ip", "nft"):
            if not shutil.which(tool):
                return f"no `{tool}` command"
        _sh("ip", "netns", "add", name)
        try:
            _sh("ip", "netns", "exec", name, "nft", "add", "table", "ip", "probe")
            _sh("ip", "-n", name, "link", "add", "probe0", "type", "veth", "peer", "name", "probe1")
        finally:
            _sh("ip", "netns", "del", name)
    except (LabError, OSError) as e:
        return str(e)
    return None


def _pids_in(namespaces):
    """The processes of those namespaces, in one walk over all."""
    inodes, found = set(), []
    for ns in namespaces:
        try:
            inodes.add(os.stat(f"/var/run/netns/{ns}").st_ino)
        except FileNotFoundError:
            pass
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}/ns/net").st_ino in inodes:
                found.append(int(pid))
        except OSError:
            pass
    return found


class Host:
    """One namespace. `address` is how the internet sees it (of a home: its NAT)."""

    def __init__(self, ns, address, router=None):
        self.ns, self.address, self.router = ns, address, router


class Process:
    def __init__(self, popen, name, log):
        self.popen, self.name, self.log, self.pid = popen, name, log, popen.pid

    def output(self):
        return pathlib.Path(self.log).read_text(errors="replace")

    def alive(self):
        return self.popen.poll() is None

    def wait_line(self, prefix, timeout=15):
        """The first whole line of its standard output that starts with `prefix`."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for line in self.output().splitlines(keepends=True):
                if line.startswith(prefix) and line.endswith("\n"):
                    return line.strip()
            if not self.alive():
                break
            time.sleep(0.01)
        raise LabError(f"{self.name}: no line '{prefix}…' within {timeout} s; it printed:\n"
                       f"{self.output()}{self.errors()}")

    def errors(self):
        return pathlib.Path(self.log + ".err").read_text(errors="replace")

    def stop(self, sig=signal.SIGTERM, timeout=35):
        """Signals and waits; returns the exit code."""
        if self.alive():
            self.popen.send_signal(sig)
        return self.wait(timeout, f"of signal {sig}")

    def wait(self, timeout=35, since="from now"):
        """Waits without a signal (a second one would end a drain at once); returns the exit code."""
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise LabError(f"{self.name} (pid {self.pid}) did not end within {timeout} s {since}")


class Lab:
    _count = itertools.count(1)

    def __init__(self, name):
        self.tag = f"tl{os.getpid()}n{next(Lab._count)}"
        self.said = []
        self.dir = tempfile.mkdtemp(prefix=f"teale-{name}-")
        self.hosts, self.processes, self._links, self._n = [], [], 0, 0
        self._closed = False

    def __enter__(self):
        atexit.register(self.close)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: exit(143))
        self.internet = self._namespace("inet")
        self._exec(self.internet, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self._closed:
            return
        self._closed = True
        for p in reversed(self.processes):
            if p.alive():
                p.popen.kill()
            p.popen.wait()
        for pid in _pids_in(self.hosts):  # daemons that left their parents are found by their namespace
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        subprocess.run(["ip", "-force", "-batch", "-"], text=True, capture_output=True,
                       input="".join(f"netns del {ns}\n" for ns in reversed(self.hosts)))
        if not os.environ.get("LAB_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)

    def say(self, text):
        """Something measured, told with the test's result."""
        self.said.append(text)

    # --- the network ---
    def _namespace(self, name):
        ns = f"{self.tag}-{name}"
        _sh("ip", "netns", "add", ns)
        self.hosts.append(ns)
        _sh("ip", "-n", ns, "link", "set", "lo", "up")
        return ns

    def _exec(self, ns, *argv):
        return _sh("ip", "netns", "exec", ns, *argv)

    def _link(self, ns1, if1, address1, ns2, if2, address2):
        # made inside the first namespace, so that the names cannot collide with anyone's
        _sh("ip", "-n", ns1, "link", "add", if1, "type", "veth", "peer", "name", if2, "netns", ns2)
        for ns, dev, address in ((ns1, if1, address1), (ns2, if2, address2)):
            _sh("ip", "-n", ns, "address", "add", address, "dev", dev)
            _sh("ip", "-n", ns, "link", "set", dev, "up")

    def _uplink(self, ns):
        self._links += 1
        base = 4 * self._links
        address, gateway = f"198.51.100.{base + 2}", f"198.51.100.{base + 1}"
        self._link(ns, "wan", f"{address}/30", self.internet, f"to{self._links}", f"{gateway}/30")
        _sh("ip", "-n", ns, "route", "add", "default", "via", gateway)
        return address

    def host(self, name):
        """A machine with a public address."""
        ns = self._namespace(name)
        return Host(ns, self._uplink(ns))

    def home(self, name):
        """A machine at 192.168.1.2 behind a router that masquerades: endpoint-independent mapping as
        long as ports do not collide, address-and-port-dependent filtering (portRestricted)."""
        router = self._namespace(name + "-nat")
        ns = self._namespace(name)
        address = self._uplink(router)
        self._link(ns, "eth0", "192.168.1.2/24", router, "lan", "192.168.1.1/24")
        _sh("ip", "-n", ns, "route", "add", "default", "via", "192.168.1.1")
        self._exec(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.nft(router, """
            table ip home {
                chain nat { type nat hook postrouting priority srcnat; oifname "wan" masquerade; }
                chain input { type filter hook input priority filter; iifname "wan" drop; }
                chain forward {
                    type filter hook forward priority filter;
                    iifname "wan" ct state != { established, related } drop;
                }
            }""")
        return Host(ns, address, router)

    def nft(self, ns, rules):
        subprocess.run(["ip", "netns", "exec", ns, "nft", "-f", "-"], input=rules, text=True, check=True)

    def block_udp(self, home):
        """At the router, as networks do it: the host's own sends succeed and nothing arrives."""
        self.nft(home.router, """
            table ip noudp {
                chain f { type filter hook forward priority -10; meta l4proto udp drop; }
            }""")

    def cut(self, home):
        """Nothing passes the home's router any more, in silence."""
        self.nft(home.router, """
            table ip cutoff {
                chain f { type filter hook forward priority -20; policy drop; }
            }""")

    def mend(self, home):
        self._exec(home.router, "nft", "delete", "table", "ip", "cutoff")

    # --- processes ---
    def start(self, host, argv, env=None, name=None):
        """Starts a process there; its standard output and errors go to files of their own."""
        self._n += 1
        name = name or os.path.basename(argv[0])
        log = os.path.join(self.dir, f"{self._n}-{name}.out")
        prefix = ["ip", "netns", "exec", host.ns] if host else []
        with open(log, "wb") as out, open(log + ".err", "wb") as err:
            popen = subprocess.Popen(prefix + argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                     env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent)
        p = Process(popen, name, log)
        self.processes.append(p)
        return p

    def run(self, host, argv, timeout=60, env=None, check=True):
        """Runs a command to its end: CompletedProcess with text output."""
        prefix = ["ip", "netns", "exec", host.ns] if host else []
        done = subprocess.run(prefix + argv, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        if check and done.returncode:
            raise LabError(f"{' '.join(argv)} exited {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def capture(self, host, port):
        """Records what passes `port` on that host from now on."""
        c = Capture(os.path.join(self.dir, f"capture{self._n}.pcap"), port)
        device = "any" if host else "lo"
        c.process = self.start(host, ["tcpdump", "-i", device, "-s", "0", "-U", "--immediate-mode", "-B", "65536", "-w", c.path,
                                      f"tcp port {port}"])
        end = time.monotonic() + 10
        while "listening on" not in c.process.errors():
            if time.monotonic() > end or not c.process.alive():
                raise LabError("tcpdump did not start: " + c.process.errors())
            time.sleep(0.02)
        return c


class Capture:
    """A tcpdump file, and the byte streams in it."""

    def __init__(self, path, port):
        self.path, self.port = path, port

    def finish(self):
        self.process.stop(signal.SIGINT, 10)
        self.data = pathlib.Path(self.path).read_bytes()

    def sent_by_port(self):
        """What the server on the port sent, one joined byte string per connection: WebSocket frames
        towards clients are not masked, so this is the relay's own view in the clear."""
        flows = {}
        for src, sport, dst, dport, seq, payload in _tcp_segments(self.data):
            if sport == self.port and payload:
                flows.setdefault((src, dst, dport), {}).setdefault(seq, payload)
        return [_join(segments) for segments in flows.values()]

    def contains(self, text):
        """Whether the text is anywhere in what was recorded."""
        return contains_text([self.data] + self.sent_by_port(), text)


def contains_text(streams, text):
    """Whether one of the byte strings holds the text: as it is, or inside base64 at any alignment."""
    needles = [text] + [_base64_core(text, shift) for shift in range(3)]
    return any(needle in stream for stream in streams for needle in needles)


def _base64_core(text, shift):
    """The characters of base64 that `text` fixes when it starts `shift` bytes into a group of three."""
    encoded = base64.b64encode(b"\0" * shift + text)
    first = [0, 2, 3][shift]
    last = len(encoded) - 4 if (len(text) + shift) % 3 else len(encoded)
    return encoded[first:last]


def _join(segments):
    first = min(segments)  # good for captures that begin with the connection and stay below 2 GiB
    out, at = bytearray(), first
    for seq in sorted(segments):
        payload = segments[seq]
        skip = at - seq
        if skip < len(payload):
            out += payload[max(skip, 0):]
            at = seq + len(payload)
    return bytes(out)


def _tcp_segments(pcap):
    """(source, port, destination, port, sequence, payload) of every IPv4 TCP segment."""
    link = struct.unpack_from("<I", pcap, 20)[0]
    offset = {1: 14, 113: 16, 276: 20}[link]  # Ethernet, Linux cooked v1 and v2
    at = 24
    while at + 16 <= len(pcap):
        size = struct.unpack_from("<I", pcap, at + 8)[0]
        packet = pcap[at + 16 + offset:at + 16 + size]
        at += 16 + size
        if len(packet) < 40 or packet[0] >> 4 != 4 or packet[9] != 6:
            continue
        header = (packet[0] & 15) * 4
        total = struct.unpack_from(">H", packet, 2)[0] or len(packet)
        sport, dport, seq = struct.unpack_from(">HHI", packet, header)
        data = header + (packet[header + 12] >> 4) * 4
        yield (socket.inet_ntoa(packet[12:16]), sport, socket.inet_ntoa(packet[16:20]), dport, seq,
               packet[data:total])
