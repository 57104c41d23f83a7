#!/usr/bin/env python3
"""test_coturn.py NATLOOK: our network module asks coturn's server (RFC 5780, two addresses) over loopback.
Exit 77 where it is not installed: a machine with systemd would start it at once, so it is nothing to
install unasked."""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

from ports import free_ports

NATLOOK = None
ADDRESSES = ("127.0.0.41", "127.0.0.42")


class Coturn:
    """turnserver as a plain STUN server with two addresses and two ports."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory()
        self.port, alt = free_ports(2)
        config = os.path.join(self.dir.name, "conf")
        open(config, "w").close()
        argv = ["turnserver", "-c", config, "--stun-only", "--no-auth", "--no-cli", "--no-tls", "--no-dtls",
                "--no-tcp", "--no-tcp-relay", "--listening-port", str(self.port), "--alt-listening-port", str(alt),
                "--log-file", "stdout", "--pidfile", os.path.join(self.dir.name, "pid"),
                "--userdb", os.path.join(self.dir.name, "db")]
        for address in ADDRESSES:
            argv += ["--listening-ip", address, "--relay-ip", address]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        cwd=self.dir.name)

    def __enter__(self):
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.settimeout(0.2)
        request = bytes.fromhex("000100002112a442") + os.urandom(12)
        for _ in range(100):
            assert self.process.poll() is None, "turnserver ended"
            probe.sendto(request, (ADDRESSES[0], self.port))
            try:
                probe.recv(1500)
                break
            except (TimeoutError, ConnectionError):
                time.sleep(0.05)
        else:
            raise AssertionError("turnserver answers nothing")
        probe.close()
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.dir.cleanup()


def look(*servers):
    """What natlook says when its first round is over, and how long that took."""
    process = subprocess.Popen([NATLOOK, *servers], stdout=subprocess.PIPE, text=True)
    try:
        began = time.monotonic()
        for line in process.stdout:
            found = json.loads(line)
            if found["event"] == "look":
                return found, time.monotonic() - began
        raise AssertionError("natlook ended")
    finally:
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(10) == 0


class AgainstCoturn(unittest.TestCase):
    def test_its_two_addresses_tell_mapping_and_filtering(self):
        with Coturn() as server:
            found, took = look(f"{ADDRESSES[0]}:{server.port}")
        self.assertEqual(found["answered"], 1, found)
        self.assertEqual(found["public4"], f"127.0.0.1:{found['port']}", found)
        self.assertEqual((found["mapping"], found["filtering"]), ("none", "endpoint-independent"), found)
        self.assertEqual(found["type"], "fullCone", found)
        self.assertLess(took, 2)

    def test_both_addresses_asked_at_once_agree(self):
        with Coturn() as server:
            found, _ = look(*[f"{a}:{server.port}" for a in ADDRESSES])
        self.assertEqual((found["answered"], found["asked"]), (2, 2), found)
        self.assertEqual(found["mapping"], "none", found)

    def test_without_it_nothing_is_known(self):
        port = free_ports(1)[0]
        found, took = look(f"{ADDRESSES[0]}:{port}")
        self.assertTrue(found["blocked"], found)
        self.assertEqual(found["type"], "unknown", found)
        self.assertLess(took, 8)


if __name__ == "__main__":
    NATLOOK = sys.argv.pop(1)
    if not shutil.which("turnserver"):
        print("skipped: turnserver (Debian: coturn) is not installed")
        sys.exit(77)
    unittest.main(verbosity=2)
