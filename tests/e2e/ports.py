"""ports.py - ports that are free, and stay so until this process ends: below those that the kernel gives out by itself,
and each taken by one test alone."""
import random
import socket

FIRST, END = 10000, 32768 # where net.ipv4.ip_local_port_range begins
_taken = []


def _is_free(port):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True


def _take(port):
    """A name that no two processes have at once."""
    mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mark.bind(f"\0teale-test-port-{port}")
    except OSError:
        mark.close()
        return False
    _taken.append(mark)
    return True


def free_ports(n):
    found = []
    while len(found) < n:
        port = random.randrange(FIRST, END)
        if _take(port) and _is_free(port):
            found.append(port)
    return found


def free_port():
    return free_ports(1)[0]
