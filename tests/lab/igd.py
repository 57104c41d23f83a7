"""Port mapping daemons for a lab's routers: a real miniupnpd, and one that lies.

    gateway = Gateway(lab, home.router, upnp=False)     # PCP and NAT-PMP
    gateway.mappings()                                  # {external port: (inside address, port)}
"""
import os
import re
import shutil
import socket
import struct
import threading
import time

from lab import Host, LabError
from netns import inside

# miniupnpd serves only where the outside address is routable, which none of the lab's is: 198.18/15 is
# for measuring, TEST-NETs are for documents. Each router gets one more, of a block that is.
_OUTSIDE = "45.13.{number}.2"
ALLOW = "allow 1024-65535 0.0.0.0/0 1-65535"
DENY = "deny 0-65535 0.0.0.0/0 0-65535"

_TABLES = """
table inet filter
delete table inet filter
table inet filter {
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward { type filter hook forward priority -1; jump miniupnpd; }
    chain prerouting { type nat hook prerouting priority dstnat - 1; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority srcnat - 1; jump postrouting_miniupnpd; }
}
"""


def installed():
    return shutil.which("miniupnpd", path=os.environ.get("PATH", "") + ":/usr/sbin") is not None


class Gateway:
    """miniupnpd in that router's namespace, started at once. `udp`: PCP and NAT-PMP; `settings`: lines of
    its configuration; `rules`: its permissions."""

    def __init__(self, lab, router, udp=True, upnp=True, settings=(), rules=(ALLOW,)):
        lab.gateways = getattr(lab, "gateways", 0) + 1
        self.lab, self.router = lab, router
        self.address = _OUTSIDE.format(number=lab.gateways)
        self._host = Host(router.ns, router.address)
        self._file = os.path.join(lab.dir, f"miniupnpd{lab.gateways}")
        lab.ip(router.ns, f"address add {self.address}/32 dev wan")
        lab.ip(lab.internet, f"route add {self.address}/32 via {router.address}")
        self.configure(udp, upnp, settings, rules)
        self.start()

    def configure(self, udp=True, upnp=True, settings=(), rules=(ALLOW,)):
        """For the next start."""
        yes = {True: "yes", False: "no"}
        lines = ["ext_ifname=wan", f"ext_ip={self.address}", "listening_ip=lan", "http_port=0", "ipv6_disable=yes",
                 f"enable_natpmp={yes[udp]}", f"enable_upnp={yes[upnp]}", "secure_mode=yes", "system_uptime=no",
                 "uuid=7b2d3c1e-5f70-4a6b-9d7e-0c1a2b3c4d5e", "notify_interval=3600", *settings, *rules, DENY]
        with open(self._file + ".conf", "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")

    def start(self):
        """With empty tables, as after the router's start."""
        self.lab.nft(self.router.ns, _TABLES)
        self.process = self.lab.start(self._host, ["miniupnpd", "-d", "-f", self._file + ".conf",
                                                   "-P", self._file + ".pid"], name="miniupnpd")
        end = time.monotonic() + 10
        while "Listening for NAT-PMP" not in self.said() and "HTTP listening" not in self.said():
            if time.monotonic() > end or not self.process.alive():
                raise LabError("miniupnpd did not start: " + self.said())
            time.sleep(0.02)
        time.sleep(0.1)  # it says so a moment before it is so

    def said(self):
        """Its log."""
        return self.process.errors() + self.process.output()

    def kill(self):
        """It takes nothing back and tells nobody; what it mapped is gone, as after a router's reboot."""
        self.process.popen.kill()
        self.process.popen.wait()
        self.lab.nft(self.router.ns, _TABLES)

    def mappings(self):
        text = self.lab.run(self._host, ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]).stdout
        return {int(port): (address, int(inside_port)) for port, address, inside_port in
                re.findall(r"dport (\d+) dnat ip to ([\d.]+):(\d+)", text)}

    def deaf_to(self, rule):
        """Packets of the inside that match never reach the daemon, and nobody is told."""
        self.lab.nft(self.router.ns, "table inet deaf {\n chain i {\n type filter hook input priority -30;\n"
                     f'iifname "lan" {rule} drop\n}}\n}}\n')


class Liar:
    """A gateway whose answers the test makes up: `pcp(request)` gives the datagrams to answer with."""

    def __init__(self, router, pcp):
        self.address, self._pcp = f"{router.lan}.1", pcp
        with inside(router.ns):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((self.address, 5351))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        try:
            while True:
                request, sender = self._socket.recvfrom(2000)
                for answer in self._pcp(request):
                    self._socket.sendto(answer, sender)
        except OSError:
            pass

    def close(self):
        self._socket.close()


def pcp_answer(request, external="203.0.113.7", lifetime=1200, nonce=None, result=0, port=None):
    """What grants a MAP request, with what the test wants changed."""
    asked, inside_port = struct.unpack_from(">I", request, 4)[0], struct.unpack_from(">H", request, 40)[0]
    return (struct.pack(">BBBBII12x", 2, 0x81, 0, result, lifetime if asked else 0, int(time.monotonic()))
            + (nonce or request[24:36]) + struct.pack(">B3xHH", 17, inside_port, inside_port if port is None else port)
            + bytes(10) + b"\xff\xff" + socket.inet_aton(external))


class HttpLiar:
    """A UPnP device that answers searches, and every HTTP request with `body(connection)`."""

    def __init__(self, router, body):
        self.address, self._body, self.requests = f"{router.lan}.1", body, 0
        with inside(router.ns):
            self._search = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._search.bind(("239.255.255.250", 1900))
        self._search.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                                socket.inet_aton("239.255.255.250") + socket.inet_aton(self.address))
        self._listener.bind((self.address, 0))
        self._listener.listen()
        self._port = self._listener.getsockname()[1]
        with inside(router.ns):
            self._answer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._answer.bind((self.address, 1900))
        threading.Thread(target=self._answer_searches, daemon=True).start()
        threading.Thread(target=self._serve, daemon=True).start()

    def _answer_searches(self):
        while True:
            _, sender = self._search.recvfrom(2000)
            self._answer.sendto(f"HTTP/1.1 200 OK\r\nLOCATION: http://{self.address}:{self._port}/d.xml\r\n\r\n".encode(),
                                sender)

    def _serve(self):
        while True:
            connection, _ = self._listener.accept()
            self.requests += 1
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection):
        try:
            connection.recv(4096)
            self._body(connection)
        except OSError:
            pass
        connection.close()
