"""A router's port mapping daemon: a real miniupnpd in its namespace, set to speak what a test wants.

    gateway = Gateway(lab, home.router, upnp=False)     # PCP and NAT-PMP
    gateway.mappings()                                  # {external port: (inside address, port)} of UDP
"""
import os
import re
import shutil
import subprocess
import time

from lab import Host, LabError

# miniupnpd serves only where the outside address is routable, which none of the lab's is: 198.18/15 is
# for measuring, TEST-NETs for documents. Each router gets one more, of a block that is.
_OUTSIDE = "45.13.{number}.2"

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
    return shutil.which("miniupnpd") is not None


class Gateway:
    """Starts at once. `settings` are lines of miniupnpd.conf; `rules` its permissions."""

    _count = 0

    def __init__(self, lab, router, udp=True, upnp=True, settings=(), rules=("allow 1024-65535 0.0.0.0/0 1-65535",),
                 address=None):
        Gateway._count += 1
        self.lab, self.router = lab, router
        self.address = address or _OUTSIDE.format(number=Gateway._count)
        self.inside = Host(router.ns, router.address)
        self._file = os.path.join(lab.dir, f"miniupnpd{Gateway._count}")
        lab.ip(router.ns, f"address add {self.address}/32 dev wan")
        lab.ip(lab.internet, f"route add {self.address}/32 via {router.address}")
        self._yes = {True: "yes", False: "no"}
        self.configure(udp, upnp, settings, rules)
        self.start()

    def configure(self, udp, upnp, settings=(), rules=("allow 1024-65535 0.0.0.0/0 1-65535",)):
        lines = ["ext_ifname=wan", f"ext_ip={self.address}", "listening_ip=lan", "http_port=0", "ipv6_disable=yes",
                 f"enable_natpmp={self._yes[udp]}", f"enable_upnp={self._yes[upnp]}", "secure_mode=yes",
                 "system_uptime=no", "uuid=7b2d3c1e-5f70-4a6b-9d7e-0c1a2b3c4d5e", "notify_interval=3600",
                 *settings, *rules, "deny 0-65535 0.0.0.0/0 0-65535"]
        with open(self._file + ".conf", "w", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")

    def start(self):
        """With empty tables, as after the router's start."""
        self.lab.nft(self.router.ns, _TABLES)
        self.process = self.lab.start(self.inside, ["miniupnpd", "-d", "-f", self._file + ".conf",
                                                    "-P", self._file + ".pid"], name="miniupnpd")
        end = time.monotonic() + 5
        while "istening" not in self.process.errors() + self.process.output():
            if time.monotonic() > end or not self.process.alive():
                raise LabError("miniupnpd did not start: " + self.process.errors() + self.process.output())
            time.sleep(0.02)

    def stop(self):
        """Killed: it takes nothing back and tells nobody."""
        self.process.popen.kill()
        self.process.popen.wait()

    def mappings(self):
        text = self.lab.run(self.inside, ["nft", "list", "chain", "inet", "filter", "prerouting_miniupnpd"]).stdout
        found = {}
        for line in text.splitlines():
            port = re.search(r"udp dport (\d+)|th dport (\d+)|@nh,72,8 0x11 .*?(\d+)", line)
            target = re.search(r"dnat (?:ip )?to ([\d.]+):(\d+)", line)
            if port and target:
                found[int(next(g for g in port.groups() if g))] = (target[1], int(target[2]))
        return found

    def raw(self):
        return self.lab.run(self.inside, ["nft", "list", "ruleset"]).stdout
