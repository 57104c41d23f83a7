"""What is done inside a network namespace without starting a program there: sockets, sysctls, a flush
of connection tracking, device features. The calling thread visits and comes back."""
import contextlib
import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def inside(ns):
    """The calling thread is in the namespace; a socket made there stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{ns}", os.O_RDONLY)
        try:
            _setns(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def _setns(fd):
    if _libc.setns(fd, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def udp_socket(ns, address, port=0):
    """A bound UDP socket there that does not block."""
    with inside(ns):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    s.bind((address, port))
    return s


def sysctl(ns, settings):
    """{"net/ipv4/ip_forward": 1} writes /proc/sys/net/ipv4/ip_forward there."""
    with inside(ns):
        for name, value in settings.items():
            with open("/proc/sys/" + name, "w") as f:
                f.write(str(value))


def bridge_without_netfilter(ns):
    """Frames between the ports of a bridge there pass no netfilter rule (some kernels ask for it)."""
    for name in ("iptables", "ip6tables", "arptables"):
        with inside(ns):
            there = os.path.exists(f"/proc/sys/net/bridge/bridge-nf-call-{name}")
        if there:
            sysctl(ns, {f"net/bridge/bridge-nf-call-{name}": 0})


def flush_conntrack(ns):
    """Every connection is forgotten, as by a router that was switched off and on."""
    nfnl_subsys_ctnetlink, ct_delete, request_ack = 1, 2, 5
    body = struct.pack("=BBH", socket.AF_UNSPEC, 0, 0)
    head = struct.pack("=IHHII", 16 + len(body), nfnl_subsys_ctnetlink << 8 | ct_delete, request_ack, 1, 0)
    with inside(ns):
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    with s:
        s.send(head + body)
        answer = s.recv(4096)
    error = struct.unpack_from("=i", answer, 16)[0]
    if error:
        raise OSError(-error, "conntrack flush")


def plain_packets(ns, device):
    """The device gets no packet larger than its MTU from this host: what counts or drops packets
    behind it then sees those that a real wire would carry."""
    ethtool_stxcsum, ethtool_stso, ethtool_sgso = 0x17, 0x1f, 0x24
    siocethtool = 0x8946
    with inside(ns), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for command in (ethtool_stso, ethtool_sgso, ethtool_stxcsum):
            value = ctypes.create_string_buffer(struct.pack("=II", command, 0))
            request = struct.pack("16sP", device.encode(), ctypes.addressof(value))
            fcntl.ioctl(s, siocethtool, request)
