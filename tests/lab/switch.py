"""One switch without an uplink, and machines on it: nothing beyond it exists, not even a default route. Each machine has
an IPv4 address and the link-local IPv6 address that the kernel gives, or only the latter."""
import os
import subprocess

from lab import Host, Lab, LabError
from netns import bridge_without_netfilter, sysctl

# No D-Bus: an avahi-daemon of the machine that runs the tests is on another network.
ENV = {"TEALE_LAN": "on", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent/teale"}


class SwitchLab(Lab):
    """`internet` is the switch itself; it has no address."""

    def __enter__(self):
        super().__enter__()
        self.switch = self.internet
        self.ip(self.switch, "link add br0 type bridge forward_delay 0")
        bridge_without_netfilter(self.switch)
        self.ip(self.switch, "link set br0 up")
        self._ports = 0
        return self

    def ip(self, ns, command):
        done = subprocess.run(["ip", "-n", ns, *command.split()], capture_output=True, text=True)
        if done.returncode:
            raise LabError(f"ip {command}: {done.stderr.strip()}")
        return done.stdout

    def machine(self, name, v4=True):
        """A machine at 10.7.0.N."""
        self._ports += 1
        ns, n = self._namespace(name), self._ports
        self.ip(ns, f"link add eth0 type veth peer name p{n} netns {self.switch}")
        # else an address is in doubt for two seconds
        sysctl(ns, {"net/ipv6/conf/eth0/accept_dad": 0, "net/ipv6/conf/eth0/disable_ipv6": 0})
        self.ip(self.switch, f"link set p{n} master br0 up")
        address = f"10.7.0.{n}" if v4 else None
        if v4:
            self.ip(ns, f"address add {address}/24 dev eth0")
        self.ip(ns, "link set eth0 up")
        host = Host(ns, address)
        host.port = f"p{n}"
        return host

    def link_local(self, host):
        for line in self.ip(host.ns, "-6 -o address show dev eth0 scope link").splitlines():
            return line.split()[3].split("/")[0]
        raise LabError(f"{host.ns} has no link-local address")

    def udp_blocked(self, host):
        """The machine hears no UDP but mDNS, as behind many an access point, or a firewall of its own."""
        self.nft(host.ns, "table inet noudp { chain i { type filter hook input priority -10; "
                          'iifname != "lo" meta l4proto udp udp dport != 5353 drop\n}\n}')

    def udp_open(self, host):
        self._exec(host.ns, "nft", "delete", "table", "inet", "noudp")

    def unplug(self, host):
        self.ip(self.switch, f"link set {host.port} down")

    def plug(self, host):
        self.ip(self.switch, f"link set {host.port} up")

    def logs(self):
        return [os.path.join(self.dir, name) for name in sorted(os.listdir(self.dir)) if name.endswith(".err")]

    def apart(self, host, other):
        """Nothing of the other machine comes in any more, and nothing by IPv6; all else does."""
        self.nft(host.ns, "table inet apart { chain i { type filter hook input priority -20; "
                          f"ip saddr {other.address} drop\n meta nfproto ipv6 iifname eth0 drop\n}}\n}}")

    def together(self, host):
        self._exec(host.ns, "nft", "delete", "table", "inet", "apart")
