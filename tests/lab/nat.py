"""Home routers out of real netfilter, each of the type that its name says, and what goes wrong with
them: they forget, change their address, lose packets, swallow large ones, stop carrying UDP.

    with NatLab("demo") as lab:
        alice = lab.home("alice", "restrictedCone")               # a host at 192.168.1.2 behind a router
        lan = lab.router("office", "portRestricted", ports="random", hairpin=True)
        one, two = lan.host("one"), lan.host("two")               # two hosts in one LAN
        carrier = lab.router("carrier", "symmetric", lan="100.64.0")
        bob = lab.home("bob", "fullCone", upstream=carrier)       # a NAT behind a NAT

A type here is how new UDP flows are mapped and filtered (RFC 4787):

    public               no NAT; `host` has the public address itself
    fullCone             one port for all destinations, anyone may send to it
    restrictedCone       one port, addresses that were sent to may answer
    portRestricted       one port, address:port pairs that were sent to may answer
    addressSymmetric     a port for each destination address, filtered as portRestricted
    symmetric            a port for each destination address and port

with `ports` preserved (the inside port, as long as it is free) or random. test_nat.py proves each one
with the prober before anything relies on it.
"""
import json
import os
import subprocess

from lab import Host, Lab, LabError
from netns import bridge_without_netfilter, flush_conntrack, inside, plain_packets, sysctl

TYPES = ("fullCone", "restrictedCone", "portRestricted", "symmetric")
PORTS = ("preserved", "random")

# A mapping is the first packet's choice by netfilter, learned behind it and forced for every later flow
# of that inside address and port: masquerade alone picks another port as soon as two inside hosts use
# the same one. Unsolicited packets are dropped in `input`, before they make a conntrack entry that
# would push the later outgoing flow to another port.
_RULES = """
table ip home
delete table ip home
table ip home {{
    map mapped {{ type {key} : inet_service; size 65535; flags dynamic, timeout; timeout 130s; }}
    map owner {{ type inet_service : ipv4_addr . inet_service; size 65535; flags dynamic, timeout; timeout 130s; }}
    set contacted {{ type inet_service . ipv4_addr; size 65535; flags dynamic, timeout; timeout 130s; }}
    chain arriving {{
        type nat hook prerouting priority dstnat;
        {arriving}
    }}
    chain leaving {{
        type nat hook postrouting priority srcnat;
        {hairpin_leaving}
        oifname != "wan" return
        meta l4proto != udp masquerade
        {leaving}
    }}
    chain learn {{
        type filter hook postrouting priority srcnat + 10;
        oifname != "wan" return
        meta l4proto udp ct direction original update @mapped {{ {learned} : ct reply proto-dst }}
        meta l4proto udp ct direction original update @owner {{ ct reply proto-dst : ct original ip saddr . ct original proto-src }}
        meta l4proto udp update @contacted {{ udp sport . ip daddr }}
    }}
    chain input {{
        type filter hook input priority filter;
        iifname "wan" ct state != {{ established, related }} drop
        iifname != "wan" ip daddr {address} drop
    }}
    chain forward {{
        type filter hook forward priority filter;
        ct status dnat accept
        iifname "wan" ct state != {{ established, related }} drop
    }}
}}"""

_INSIDE = "ip saddr . udp sport"
_FIRST = {  # how a flow gets its port when nothing was learned
    "preserved": "udp sport @owner masquerade fully-random\n masquerade",
    "random": "masquerade fully-random",
}


def _leaving(kind, ports):
    if kind == "symmetric":
        return ("" if ports == "random" else f"{_INSIDE} @mapped masquerade fully-random\n") + _FIRST[ports]
    key = _INSIDE + (" . ip daddr" if kind == "addressSymmetric" else "")
    first = _FIRST[ports]
    return f"meta l4proto udp masquerade to : {key} map @mapped\n{first}"


def _rules(kind, ports, hairpin, address):
    by_address = kind == "addressSymmetric"
    arriving = {
        "fullCone": 'iifname "wan" meta l4proto udp dnat ip to udp dport map @owner\n',
        "restrictedCone": 'iifname "wan" udp dport . ip saddr @contacted dnat ip to udp dport map @owner\n',
    }.get(kind, "")
    if hairpin:
        arriving += f'iifname != "wan" ip daddr {address} meta l4proto udp dnat ip to udp dport map @owner\n'
    hairpin_leaving = ""
    if hairpin:  # the sender is seen at its outside address, and port if it has one for all
        if "ymmetric" not in kind:
            hairpin_leaving = ('oifname != "wan" meta l4proto udp ct status dnat '
                               f'snat to {address} : {_INSIDE} map @mapped\n')
        hairpin_leaving += f'oifname != "wan" ct status dnat snat to {address} fully-random'
    return _RULES.format(
        key="ipv4_addr . inet_service" + (" . ipv4_addr" if by_address else ""),
        learned="ct original ip saddr . ct original proto-src" + (" . ct original ip daddr" if by_address else ""),
        arriving=arriving, hairpin_leaving=hairpin_leaving, leaving=_leaving(kind, ports), address=address)


_FIREWALL6 = """
table ip6 home
delete table ip6 home
table ip6 home {
    chain input {
        type filter hook input priority filter;
        iifname "wan" meta l4proto icmpv6 accept
        iifname "wan" ct state != { established, related } drop
    }
    chain forward {
        type filter hook forward priority filter;
        iifname "wan" ct state != { established, related } drop
    }
}"""


class Router:
    """One router: its `wan` towards the internet (or a carrier), its `lan` a bridge. `ns` is the namespace
    for whatever else should run or be ruled there (a UPnP daemon, say)."""

    def __init__(self, lab, name, kind, ports, lan, hairpin, upstream, v6):
        if kind not in TYPES + ("addressSymmetric",) or ports not in PORTS:
            raise LabError(f"no such router: {kind}, ports {ports}")
        self.lab, self.name, self.kind, self.ports = lab, name, kind, ports
        self.lan, self.hairpin, self.upstream = lan, hairpin, upstream
        self.ns = lab.namespace(name + "-nat")
        self._hosts, self._faults, self.lan6 = 1, set(), None
        lab.ip(self.ns, "link add lan type bridge mcast_snooping 0", "link set lan up", f"address add {lan}.1/24 dev lan")
        if upstream:
            self.address = upstream.attach(self.ns, "wan")
            self._uplink = None
        else:
            self._uplink = lab.attach(self.ns, v6=v6)
            self.address = self._uplink.address
        sysctl(self.ns, {"net/ipv4/ip_forward": 1})
        bridge_without_netfilter(self.ns)
        if v6 and self._uplink:
            self.lan6 = self._uplink.route6(self.ns)
            lab.nft(self.ns, _FIREWALL6)
        self._load()

    def __repr__(self):
        return f"{self.kind}, ports {self.ports}" + (f", behind {self.upstream}" if self.upstream else "")

    def _load(self):
        self.lab.nft(self.ns, _rules(self.kind, self.ports, self.hairpin, self.address))

    # --- what hangs on it ---
    def attach(self, ns, device):
        """Plugs a device of that namespace into the LAN: an address of its own, default route by us."""
        self._hosts += 1
        self.plug(ns, device, self._hosts)
        return f"{self.lan}.{self._hosts}"

    def attach_second(self, ns, device, metric):
        """The same for a device beside another one, whose default route has a smaller metric."""
        self._hosts += 1
        self.plug(ns, device, self._hosts, metric)
        return f"{self.lan}.{self._hosts}"

    def plug(self, ns, device, number, metric=None):
        """A device with that number's address."""
        port = f"p{number}"
        self.lab.ip(self.ns, f"link add {port} type veth peer name {device} netns {ns}",
                    f"link set {port} master lan up")
        self.lab.ip(ns, f"address add {self.lan}.{number}/24 dev {device}", f"link set {device} up",
                    f"route add default via {self.lan}.1 dev {device} metric {metric}" if metric else
                    f"route replace default via {self.lan}.1")
        if self.lan6:
            self._plug6(ns, device, number)

    def _plug6(self, ns, device, number):
        self.lab.ip(ns, f"address add {self.lan6}{number}/64 dev {device} nodad",
                    f"route replace default via {self.lan6}1")

    def gain6(self, host):
        """A host of the LAN that had no IPv6 has it from now on."""
        self._plug6(host.ns, host.device, host.private.rsplit(".", 1)[1])

    def lose6(self, host):
        number = host.private.rsplit(".", 1)[1]
        self.lab.ip(host.ns, f"address del {self.lan6}{number}/64 dev {host.device}",
                    f"route del default via {self.lan6}1")

    def host(self, name, number=None):
        """A host of the LAN: {lan}.2, then .3 and so on (or the number given)."""
        ns = self.lab.namespace(name)
        if number:
            self.plug(ns, "eth0", number)
            private = f"{self.lan}.{number}"
        else:
            private = self.attach(ns, "eth0")
        host = Host(ns, self.address, self)
        host.private, host.device, host.address6 = private, "eth0", None
        if self.lan6:
            host.address6 = self.lan6 + private.rsplit(".", 1)[1]
        return host

    def isolate(self, *hosts):
        """These hosts of the LAN hear the router alone, as guests of a hotel's Wi-Fi do."""
        for host in hosts:
            self.lab.ip(self.ns, f"link set p{host.private.rsplit('.', 1)[1]} type bridge_slave isolated on")

    # --- what goes wrong ---
    def forget(self):
        """A reboot: every mapping and connection is lost; the address stays. Ports preserved come back
        the same as long as the inside asks first."""
        self._load()
        flush_conntrack(self.ns)

    def rebind(self):
        """Mappings move under way: all flows, also old ones, get another port and another filter."""
        was, self.ports = self.ports, "random"
        self._load()
        self.ports = was
        flush_conntrack(self.ns)

    def new_address(self):
        """The provider gives another public address; the old one is gone at once, and all mappings."""
        if not self._uplink:
            raise LabError("the carrier's subscribers keep their addresses")
        self.address = self._uplink.renumber()
        self._load()
        flush_conntrack(self.ns)
        return self.address

    def block_udp(self):
        """At the router, as networks do it: the hosts' own sends succeed and nothing arrives."""
        self._fault("noudp", "meta l4proto udp drop")

    def unblock_udp(self):
        self._mend("noudp")

    def cut(self):
        """Nothing passes any more, in silence."""
        self._fault("cutoff", "drop")

    def mend(self):
        self._mend("cutoff")

    def lose(self, percent):
        """Drops that share of all UDP packets in both directions, at random; 0 ends it."""
        self._mend("loss")
        if percent:
            self._fault("loss", f"meta l4proto udp numgen random mod 1000 < {int(percent * 10)} drop")

    def swallow_larger_than(self, size):
        """IP packets above that size vanish without a word, as behind a tunnel that filters ICMP; None
        ends it. Hosts should send `plain` packets for this."""
        self._mend("pmtu")
        if size:
            self._fault("pmtu", f"meta l4proto udp meta length > {size} drop")

    def drop_between(self, address):
        """UDP to and from that outside address vanishes: one path is a black hole, others are not."""
        self._fault("hole", f"meta l4proto udp ip saddr {address} drop\nmeta l4proto udp ip daddr {address} drop")

    def undrop_between(self):
        self._mend("hole")

    def _fault(self, name, rules):
        family = "inet" if self.lan6 else "ip"
        # before the filter and its connection tracking decisions, and for hairpin and direct LAN alike
        self.lab.nft(self.ns, f"table {family} {name} {{\n chain f {{\n"
                     f"type filter hook forward priority -20;\n{rules}\n}}\n}}\n")
        self._faults.add((family, name))

    def _mend(self, name):
        for family, known in [f for f in self._faults if f[1] == name]:
            self.lab.nft(self.ns, f"delete table {family} {known}")
            self._faults.discard((family, known))


class Uplink:
    """A router's or host's line to the internet: 198.18.N.0/24, and 2001:db8:0:N::/64 if asked for."""

    def __init__(self, lab, ns, number, v6):
        self.lab, self.ns, self.number, self._last = lab, ns, number, 2
        self.address = self._at(2)
        self.address6 = f"2001:db8:0:{number:x}::2" if v6 else None
        gate = f"to{number}"
        lab.ip(lab.internet, f"link add {gate} type veth peer name wan netns {ns}",
               f"address add {self._at(1)}/24 dev {gate}", f"link set {gate} up",
               *([f"address add 2001:db8:0:{number:x}::1/64 dev {gate} nodad"] if v6 else []))
        lab.ip(ns, f"address add {self.address}/24 dev wan", "link set wan up",
               f"route add default via {self._at(1)}",
               *([f"address add {self.address6}/64 dev wan nodad",
                  f"route add default via 2001:db8:0:{number:x}::1"] if v6 else []))

    def _at(self, host):
        return f"198.18.{self.number}.{host}"

    def renumber(self):
        old, self._last = self.address, self._last + 1
        self.address = self._at(self._last)
        self.lab.ip(self.ns, f"address add {self.address}/24 dev wan", f"address del {old}/24 dev wan",
                    f"address replace {self.address}/24 dev wan", f"route replace default via {self._at(1)}")
        return self.address

    def route6(self, ns):
        """Routes 2001:db8:1:N::/64 to that router's LAN; the prefix, with its trailing colons."""
        prefix = f"2001:db8:1:{self.number:x}::"
        self.lab.ip(self.lab.internet, f"route add {prefix}/64 via {self.address6}")
        self.lab.ip(ns, f"address add {prefix}1/64 dev lan nodad")
        sysctl(ns, {"net/ipv6/conf/all/forwarding": 1})
        return prefix


class NatLab(Lab):
    """The lab with routers of every type."""

    def __enter__(self):
        super().__enter__()
        sysctl(self.internet, {"net/ipv6/conf/all/forwarding": 1})
        return self

    def namespace(self, name):
        ns = self._namespace(name)
        sysctl(ns, {"net/ipv6/conf/all/accept_dad": 0, "net/ipv6/conf/default/accept_dad": 0})  # addresses are usable at once
        return ns

    def ip(self, ns, *commands):
        """`ip` commands in one go there."""
        done = subprocess.run(["ip", "-n", ns, "-batch", "-"], input="\n".join(commands) + "\n", text=True,
                              capture_output=True)
        if done.returncode:
            raise LabError(f"ip -n {ns}: {done.stderr.strip()}")

    def attach(self, ns, v6=False):
        self._links += 1
        return Uplink(self, ns, self._links, v6)

    def host(self, name, v6=False):
        """A machine with a public address."""
        ns = self.namespace(name)
        uplink = self.attach(ns, v6)
        host = Host(ns, uplink.address)
        host.private, host.device, host.address6 = uplink.address, "wan", uplink.address6
        return host

    def router(self, name, kind="portRestricted", ports="preserved", lan="192.168.1", hairpin=False,
               upstream=None, v6=False):
        return Router(self, name, kind, ports, lan, hairpin, upstream, v6)

    def home(self, name, kind="portRestricted", ports="preserved", **more):
        """One host behind a router of its own ("public": a host without one)."""
        if kind == "public":
            return self.host(name, **more)
        return self.router(name, kind, ports, **more).host(name)

    def move(self, host, router, device="wlan0"):
        """The host leaves its network and is in another one: the old device goes, the new one comes."""
        self.ip(host.ns, f"link del {host.device}")
        host.private = router.attach(host.ns, device)
        host.router, host.address, host.device = router, router.address, device

    def unplug(self, host):
        """The host's only device vanishes, address, routes and all."""
        self.ip(host.ns, f"link del {host.device}")

    def plug(self, host):
        """The same device with the same address again."""
        number = int(host.private.rsplit(".", 1)[1])
        host.router.plug(host.ns, host.device, number)

    def delay(self, build, ms, queue=1):
        """Every packet takes `ms` more through the internet, each way (`build`: where the helper is)."""
        program = os.path.join(build, "tests/programs/delay")
        self.start(Host(self.internet, None), [program, str(queue), str(ms)]).wait_line("ready")
        # by iptables: `queue` of nft is a kernel module of its own that not every machine has
        for tables in ("iptables", "ip6tables"):
            self._exec(self.internet, tables, "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", str(queue),
                       "--queue-bypass")

    def plain(self, *hosts):
        """These hosts put no packet on their wire that is larger than its MTU."""
        for host in hosts:
            plain_packets(host.ns, host.device)

    def block_udp(self, home):
        home.router.block_udp()

    def cut(self, home):
        home.router.cut()

    def mend(self, home):
        home.router.mend()

    def conntrack(self, router):
        """The router's UDP flows as text, for messages."""
        with inside(router.ns), open("/proc/thread-self/net/nf_conntrack") as f:
            return [line.strip() for line in f if " udp " in line]

    def addresses(self, ns):
        """The addresses of that namespace's devices."""
        found = json.loads(self.run(None, ["ip", "-n", ns, "-j", "address"]).stdout)
        return [a["local"] for link in found for a in link["addr_info"]]
