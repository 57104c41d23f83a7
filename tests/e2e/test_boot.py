#!/usr/bin/env python3
"""test_boot.py TEALE: `teale up --boot` and `down --boot` against a stand-in for systemctl and loginctl, which notes what it
is asked and runs the node itself. With the real ones: tools/test-packages."""
import json
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import unittest

TEALE = pathlib.Path(sys.argv.pop(1)).resolve()
NOBODY = pwd.getpwnam("nobody")

SYSTEMCTL = """#!/bin/sh
echo "systemctl $*" >>"$STATE/asked"
case "$2" in
is-active) [ -e "$STATE/active" ] ;;
is-enabled) [ -e "$STATE/enabled" ] ;;
enable) touch "$STATE/enabled" ;;
disable) rm -f "$STATE/enabled" ;;
start | restart)
    [ ! -e "$STATE/broken" ] || { echo "Job for teale.service failed." >&2; exit 1; }
    [ ! -e "$STATE/active" ] || "$TEALE" down >/dev/null 2>&1
    setsid "$TEALE" serve >"$STATE/said" 2>/dev/null </dev/null &
    while ! grep -q ready "$STATE/said"; do sleep 0.05; done
    touch "$STATE/active" ;;
stop)
    [ ! -e "$STATE/active" ] || "$TEALE" down >/dev/null 2>&1
    rm -f "$STATE/active" ;;
esac
"""
LOGINCTL = """#!/bin/sh
echo "loginctl $*" >>"$STATE/asked"
[ ! -e "$STATE/denied" ] || { echo "Could not enable linger: Access denied" >&2; exit 1; }
case "$2" in
enable-linger) touch "$STATE/linger/$USER" ;;
disable-linger) rm -f "$STATE/linger/$USER" ;;
esac
"""


class Refused(unittest.TestCase):
    """What needs no systemd."""

    def run_in(self, home, *argv, **env):
        return subprocess.run([TEALE, *argv], capture_output=True, text=True, timeout=30,
                              env={"PATH": os.environ["PATH"], "HOME": home, **env})

    def test_a_service_is_not_in_the_foreground(self):
        with tempfile.TemporaryDirectory() as home:
            done = self.run_in(home, "up", "--boot", "--foreground")
            self.assertEqual(2, done.returncode)
            self.assertIn("not in the foreground", done.stderr)

    def test_a_service_is_not_for_any_directory(self):
        with tempfile.TemporaryDirectory() as home:
            for command in ("up", "down"):
                done = self.run_in(home, "--home", home + "/x", command, "--boot")
                self.assertEqual(2, done.returncode, done.stderr)
                self.assertIn(home + "/x", done.stderr)

    @unittest.skipIf(os.path.exists("/run/systemd/system"), "systemd runs here")
    def test_without_systemd_it_says_what_to_do_instead(self):
        with tempfile.TemporaryDirectory() as home:
            done = self.run_in(home, "up", "--boot")
            self.assertEqual(1, done.returncode)
            self.assertIn("systemd does not run on this machine", done.stderr)
            self.assertIn("teale serve", done.stderr)


@unittest.skipIf(os.geteuid() != 0, "only root becomes another user")
class Owner(unittest.TestCase):
    def test_what_root_writes_in_another_users_directory_is_that_users(self):
        with tempfile.TemporaryDirectory() as d:
            os.chmod(d, 0o755)
            for uid in (NOBODY.pw_uid, 0):
                home = os.path.join(d, str(uid))
                os.mkdir(home, 0o700)
                os.chown(home, uid, -1)
                subprocess.run([TEALE, "--home", home, "config", "set", "display_name", "x"], check=True, capture_output=True)
                self.assertEqual(uid, os.stat(home + "/teale.toml").st_uid)


ROOTS = """#!/bin/sh
echo "$(basename "$0") $*" >>"$STATE/asked"
exit 1
"""


class Systems(unittest.TestCase):
    """As root, with an /etc/passwd, a /run and a /var/lib of its own."""

    def up(self, *passwd):
        if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("a /run of its own is for root")
        with tempfile.TemporaryDirectory() as d:
            for name in ("systemctl", "systemd-sysusers", "systemd-tmpfiles"):
                pathlib.Path(d, name).write_text(ROOTS)
                os.chmod(pathlib.Path(d, name), 0o755)
            pathlib.Path(d, "passwd").write_text("\n".join(("root:x:0:0::/root:/bin/sh", *passwd, "")))
            inside = 'mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && mount -t tmpfs tmpfs /var/lib && ' \
                     'mount --bind "$STATE/passwd" /etc/passwd && exec "$@"'
            done = subprocess.run(["unshare", "--mount", "sh", "-c", inside, "sh", TEALE, "up", "--boot"], capture_output=True,
                                  text=True, timeout=60, cwd="/",
                                  env={"PATH": f"{d}:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": d, "STATE": d, "TEALE_LAN": "off"})
            asked = pathlib.Path(d, "asked")
            return done, asked.read_text() if asked.exists() else ""

    def test_the_node_never_runs_as_a_person_who_is_called_as_its_user(self):
        for line in ("_teale:x:1001:1001::/home/_teale:/bin/sh", "_teale:x:0:0::/var/lib/teale:/bin/sh"):
            done, asked = self.up(line)
            self.assertEqual(1, done.returncode, done.stderr)
            self.assertIn("the user _teale is not the one of the system's service", done.stderr)
            self.assertEqual("", asked)
        self.assertIn("systemd-tmpfiles --create", self.up("_teale:x:998:998::/var/lib/teale:/usr/sbin/nologin")[1])
        self.assertIn("systemd-sysusers", self.up("teale:x:1001:1001::/home/teale:/bin/sh")[1])


class Service(unittest.TestCase):
    """As an ordinary user of a machine on which systemd seems to run: in a mount namespace with a /run of its own."""

    def setUp(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
            self.skipTest("a /run of its own is for root")
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="teale-boot-"))
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.addCleanup(self.user, "down")
        os.chmod(self.dir, 0o755)
        for name in ("home", "state", "bin", "state/linger"):
            (self.dir / name).mkdir()
            os.chown(self.dir / name, NOBODY.pw_uid, -1)
        for name, text in (("systemctl", SYSTEMCTL), ("loginctl", LOGINCTL)):
            (self.dir / "bin" / name).write_text(text)
            os.chmod(self.dir / "bin" / name, 0o755)
        shutil.copy(TEALE, self.dir / "bin/teale")

    def user(self, *argv, **env):
        teale = str(self.dir / "bin/teale")
        inside = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && mount -t tmpfs tmpfs /var/lib && " \
                 "mkdir -p /var/lib/systemd/linger && mount --bind \"$STATE/linger\" /var/lib/systemd/linger && " \
                 "exec setpriv --reuid nobody --regid nogroup --clear-groups \"$@\""
        return subprocess.run(["unshare", "--mount", "sh", "-c", inside, "sh", teale, *argv], capture_output=True, text=True,
                              timeout=60, cwd="/", env={"PATH": f"{self.dir}/bin:{os.environ['PATH']}:/usr/sbin:/sbin",
                                                        "HOME": str(self.dir / "home"), "STATE": str(self.dir / "state"),
                                                        "TEALE": teale, "TEALE_LAN": "off", "USER": "nobody", **env})

    def asked(self):
        path = self.dir / "state/asked"
        said = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [l for l in said if " is-" not in l and " cat " not in l and "daemon-reload" not in l]

    def up(self, *argv):
        return self.user("up", "--boot", "--timeout", "1", *argv)

    def test_up_enables_starts_and_lingers_and_down_takes_all_of_it_back(self):
        done = self.up("--api", "127.0.0.1:0", "--udp", "0", "--log-level", "warn")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("the options are saved as settings", done.stderr)
        self.assertIn("as your own service", done.stderr)
        self.assertIn("[5/5] ready", done.stderr)
        self.assertEqual(["loginctl --no-ask-password enable-linger", "systemctl --user enable teale.service --quiet",
                          "systemctl --user start teale.service"], self.asked())
        self.assertEqual("warn\n", self.user("config", "get", "log_level").stdout)

        again = self.up()  # nothing is new: nothing is started anew
        self.assertEqual(0, again.returncode, again.stderr)
        self.assertNotIn("systemctl --user restart teale.service", self.asked())
        self.assertEqual(0, self.up("--log-level", "info").returncode)
        self.assertIn("systemctl --user restart teale.service", self.asked())

        down = self.user("down", "--boot")
        self.assertEqual(0, down.returncode, down.stderr)
        self.assertEqual(["systemctl --user disable teale.service --quiet", "systemctl --user stop teale.service",
                          "loginctl --no-ask-password disable-linger"], self.asked())
        self.assertEqual(3, self.user("status").returncode)
        self.assertIn("no service of the node was enabled", self.user("down", "--boot").stderr)
        self.assertNotIn("loginctl --no-ask-password disable-linger", self.asked())

    def test_a_node_that_runs_makes_room(self):
        self.assertEqual(0, self.user("up", "--api", "127.0.0.1:0", "--udp", "0", "--timeout", "1").returncode)
        done = self.up("--api", "127.0.0.1:0", "--udp", "0")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("the node that runs is stopped, to be started again as a service", done.stderr)
        self.assertEqual(0, json.loads(self.user("status", "--json").stdout)["requests"]["active"])

    def test_where_lingering_is_for_administrators_it_says_so_and_the_node_runs(self):
        (self.dir / "state/denied").touch()
        done = self.up("--api", "127.0.0.1:0", "--udp", "0")
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("The node starts when you log in", done.stderr)
        self.assertIn("Access denied", done.stderr)
        self.assertIn("sudo loginctl enable-linger nobody", done.stderr)

    def test_a_service_that_does_not_start_is_not_left_enabled(self):
        (self.dir / "state/broken").touch()
        done = self.up("--api", "127.0.0.1:0")
        self.assertEqual(1, done.returncode)
        self.assertIn("Job for teale.service failed.", done.stderr)
        self.assertIn("No service is enabled now", done.stderr)
        self.assertFalse((self.dir / "state/enabled").exists())
        self.assertIn("loginctl --no-ask-password disable-linger", self.asked())

    def test_settings_that_cannot_be_saved_leave_lingering_as_it_was(self):
        config = self.dir / "home/.config/teale"
        config.mkdir(parents=True)
        for path in (config.parent, config):
            os.chown(path, NOBODY.pw_uid, -1)
        os.chmod(config, 0o500)
        done = self.up("--api", "127.0.0.1:0")
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertEqual(["loginctl --no-ask-password enable-linger", "loginctl --no-ask-password disable-linger"], self.asked())

        os.chmod(config, 0o700)
        self.assertEqual(0, self.up("--api", "127.0.0.1:0", "--udp", "0").returncode)
        self.asked()
        os.chmod(config, 0o500)
        done = self.up("--log-level", "warn")
        self.assertEqual(1, done.returncode, done.stderr)
        self.assertEqual([], self.asked())  # the service that is enabled still needs it

    def test_a_bad_option_changes_nothing(self):
        done = self.up("--relay", "ws://192.0.2.1/ws")
        self.assertEqual(2, done.returncode, done.stderr)
        self.assertFalse((self.dir / "home/.config/teale/teale.toml").exists())
        self.assertEqual([], self.asked())
        done = self.user("up", "--boot", XDG_DATA_HOME=str(self.dir / "home/elsewhere"))
        self.assertEqual(2, done.returncode, done.stderr)
        self.assertIn("environment.d", done.stderr)


if __name__ == "__main__":
    unittest.main()
