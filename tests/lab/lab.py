"""A small internet out of network namespaces: hosts, homes behind real netfilter NATs, processes in
them, captures. Everything made here carries a name of its own and is removed again, also on failure.

    with Lab("demo") as lab:
        relay = lab.host("relay")                 # a public address
        home = lab.home("alice")                  # behind a NAT, private address 192.168.1.2
        lab.start(relay, ["teale-relay", ...])
"""
import atexit
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from capture import Capture
from enter import die_with_parent, end_on_sigterm


class LabError(Exception):
    pass


def _sh(*argv):
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def _pids_in(namespaces):
    """The processes of those namespaces, in one walk over all."""
    inodes, found = set(), []
    for ns in namespaces:
        try:
            inodes.add(os.stat(f"/run/netns/{ns}").st_ino)
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
            end_on_sigterm()
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
                                     env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
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
        return Capture(self, host, ["tcp"], port)
