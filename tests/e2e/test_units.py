#!/usr/bin/env python3
"""test_units.py INIT-DIRECTORY: what systemd says of the services' sandboxes (docs/adr/0012)."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

INIT = pathlib.Path(sys.argv.pop(1))


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not here")
class Sandbox(unittest.TestCase):
    def judged(self, text, threshold, *manager):
        """Whether systemd finds the unit's exposure at most `threshold`, in tenths."""
        with tempfile.TemporaryDirectory() as d:
            unit = pathlib.Path(d, "judged.service")
            unit.write_text(text.replace("@bindir@", "/usr/bin"), encoding="utf-8")
            done = subprocess.run(["systemd-analyze", *manager, "security", "--no-pager", "--offline=true",
                                   f"--threshold={threshold}", str(unit)], capture_output=True, text=True, check=False,
                                  env={**os.environ, "XDG_RUNTIME_DIR": d, "HOME": d})
            self.assertIn("Overall exposure level", done.stdout, done.stderr)
            return done.returncode == 0

    def test_the_relay_is_exposed_by_one_and_a_half_at_most(self):
        text = (INIT / "teale-relay.service.in").read_text(encoding="utf-8")
        self.assertTrue(self.judged(text, 15))
        without = "\n".join(l for l in text.splitlines() if not l.startswith(("SystemCallFilter", "PrivateMounts")))
        self.assertFalse(self.judged(without, 15))

    def test_the_node_is_exposed_by_two_at_most(self):
        text = (INIT / "teale.service.in").read_text(encoding="utf-8")
        self.assertTrue(self.judged(text, 20, "--user"))
        without = "\n".join(l for l in text.splitlines() if not l.startswith(("CapabilityBoundingSet", "PrivateUsers")))
        self.assertFalse(self.judged(without, 20, "--user"))

    def test_the_systems_node_is_exposed_by_one_and_a_half_at_most(self):
        text = (INIT / "teale-system.service.in").read_text(encoding="utf-8")
        self.assertTrue(self.judged(text, 15))
        without = "\n".join(l for l in text.splitlines() if not l.startswith(("SystemCallFilter", "PrivateMounts")))
        self.assertFalse(self.judged(without, 15))

    def test_a_stop_waits_for_the_answers_that_run(self):
        for name in ("teale", "teale-system", "teale-relay"):
            text = (INIT / f"{name}.service.in").read_text(encoding="utf-8")
            limit = next(int(l.split("=")[1]) for l in text.splitlines() if l.startswith("TimeoutStopSec="))
            self.assertGreater(limit, 30)  # what a drain may take

    def test_the_relays_memory_has_a_bound_that_the_kernel_keeps(self):
        text = (INIT / "teale-relay.service.in").read_text(encoding="utf-8")
        self.assertIn("\nMemoryMax=50%\n", text)


if __name__ == "__main__":
    unittest.main()
