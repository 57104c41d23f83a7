#!/usr/bin/env python3
"""A VPN between two namespaces: a TUN or TAP device at each end, and a process that carries its packets to the
other end in UDP, `delay_ms` later. (WireGuard does the same; not every kernel that runs these tests has it.)

    tunnel.py DEVICE tun|tap LOCAL:PORT REMOTE:PORT DELAY_MS      prints "ready"; the device is made by `ip tuntap`
"""
import collections
import fcntl
import os
import pathlib
import select
import socket
import struct
import sys
import time

PORT = 51820


class Tunnel:
    """`name` at both hosts, ADDRESSES[0] and [1] in it. `bridged`: a TAP device that is the only port of a bridge,
    which has the address: no program can tell it from a local network."""

    ADDRESSES = ("10.77.0.1", "10.77.0.2")

    def __init__(self, lab, hosts, mode="tun", delay_ms=0, bridged=False):
        self.lab, self.hosts, self.processes = lab, hosts, []
        for host, address in zip(hosts, self.ADDRESSES):
            lab.ip(host.ns, f"tuntap add vpn0 mode {mode}", "link set vpn0 mtu 1400 up")
            on = "vpn0"
            if bridged:
                on = "br0"
                lab.ip(host.ns, "link add br0 type bridge mcast_snooping 0", "link set vpn0 master br0", "link set br0 mtu 1400 up")
            lab.ip(host.ns, f"address add {address}/24 dev {on}")
        for host, other in (hosts, hosts[::-1]):
            self.processes.append(lab.start(host, [
                sys.executable, str(pathlib.Path(__file__).resolve()), "vpn0", mode, f"{host.address}:{PORT}",
                f"{other.address}:{PORT}", str(delay_ms)]))
        for p in self.processes:
            p.wait_line("ready")

    def alone(self):
        """UDP between the two hosts passes in the tunnel only."""
        for host in self.hosts:
            others = ", ".join(h.address for h in self.hosts)
            self.lab.nft(host.ns, f"""table ip alone {{
                chain o {{ type filter hook output priority 0;
                    oifname "wan" ip daddr {{ {others} }} udp dport != {PORT} drop
                }}
            }}""")


def _open(device, mode):
    tunsetiff, iff_tun, iff_tap, iff_no_pi = 0x400454CA, 1, 2, 0x1000
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = (iff_tun if mode == "tun" else iff_tap) | iff_no_pi
    fcntl.ioctl(fd, tunsetiff, struct.pack("16sH22x", device.encode(), flags))
    return fd


def _address(text):
    host, port = text.rsplit(":", 1)
    return host, int(port)


def main(device, mode, local, remote, delay_ms):
    tun, remote, delay = _open(device, mode), _address(remote), float(delay_ms) / 1000
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(_address(local))
    udp.setblocking(False)
    print("ready", flush=True)
    waiting = collections.deque()
    while True:
        patience = max(0, waiting[0][0] - time.monotonic()) if waiting else None
        readable = select.select([tun, udp], [], [], patience)[0]
        try:
            while tun in readable:
                waiting.append((time.monotonic() + delay, os.read(tun, 2048)))
        except BlockingIOError:
            pass
        try:
            while udp in readable:
                os.write(tun, udp.recv(2048))
        except BlockingIOError:
            pass
        while waiting and waiting[0][0] <= time.monotonic():
            try:
                udp.sendto(waiting.popleft()[1], remote)
            except OSError:
                pass  # lost, as on any network


if __name__ == "__main__":
    main(*sys.argv[1:])
