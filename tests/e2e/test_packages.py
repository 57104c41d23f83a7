#!/usr/bin/env python3
"""test_packages.py SOURCE TEALE: what the Debian packages say agrees with the rest of the tree."""
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

SOURCE, TEALE = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
del sys.argv[1:]

IMPLIED = {"gcc", "g++", "libc6-dev"}  # of build-essential, which every Debian source may rely on
OF_DEBHELPER = {"debhelper-compat", "dh-sequence-installsysusers"}


def read(name):
    return (SOURCE / name).read_text(encoding="utf-8")


def part(name):
    """The packages of one part of tools/packages."""
    text = re.search(rf"^\[{name}\]$(.*?)(?=^\[|\Z)", read("tools/packages"), re.M | re.S)[1]
    return {l.split()[0].split(":")[0] for l in text.splitlines() if l and not l.startswith("#")}


def build_depends():
    """Sets of alternatives."""
    field = re.search(r"^Build-Depends:\n((?: .*\n)+)", read("debian/control"), re.M)[1]
    for entry in field.replace("\n", " ").split(","):
        names = {re.sub(r"\(.*?\)|\[.*?\]|<.*?>|:any", "", a).strip() for a in entry.split("|")}
        if names != {""}:
            yield names


class Control(unittest.TestCase):
    def test_what_a_package_is_built_with_is_what_the_one_list_names(self):
        listed, wanted = part("building"), list(build_depends())
        for names in wanted:
            if not names & OF_DEBHELPER and names != {"python3"} and names != {"libcmocka-dev"}:
                self.assertTrue(names & listed, f"{names} is in debian/control and not in tools/packages [building]")
        either = set().union(*wanted)
        for name in listed - IMPLIED:
            self.assertIn(name, either, "is in tools/packages [building] and not in debian/control")

    def test_what_is_taken_into_the_page_is_named_in_the_list_of_parts(self):
        for name in (n for n in part("building") if n.startswith("node-")):
            self.assertIn(f"--inside {name}", read("debian/rules"))

    def test_the_package_has_the_programs_version(self):
        version = re.search(r"version: '([^']+)'", read("meson.build"))[1]
        self.assertTrue(read("debian/changelog").startswith(f"teale ({version}) "))


class Database(unittest.TestCase):
    """What keeps an older package from taking the place of a newer one (debian/teale.preinst.in), in a root of its own."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="teale-packages-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.version = int(subprocess.run([SOURCE / "tools/store-version"], capture_output=True, text=True, check=True).stdout)

    def script(self):
        return read("debian/teale.preinst.in").replace("@STORE_VERSION@", str(self.version))

    def database(self, version, program=b"teal", name="var/lib/teale/teale.db"):
        path = pathlib.Path(self.dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        head = bytearray(b"SQLite format 3\0".ljust(100, b"\0"))
        head[60:64], head[68:72] = struct.pack(">I", version), program
        path.write_bytes(head)
        return path

    def preinst(self, *said, **env):
        return subprocess.run(["sh", "-c", self.script(), "preinst", *(said or ("upgrade", "0.2.0", "0.1.0"))], timeout=60,
                              capture_output=True, text=True, env={"PATH": os.environ["PATH"], "DPKG_ROOT": self.dir, **env})

    def test_the_number_in_the_package_is_that_of_a_database_that_the_program_makes(self):
        home = pathlib.Path(self.dir, "home")
        node = subprocess.Popen([TEALE, "--home", home, "serve", "--api", "127.0.0.1:0", "--udp", "0"], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            self.assertTrue(node.stdout.readline().startswith("ready "))
        finally:
            node.terminate()
            node.communicate(timeout=60)
        head = (home / "teale.db").read_bytes()[:100]
        self.assertEqual(self.version, struct.unpack(">I", head[60:64])[0])
        self.assertEqual(b"teal", head[68:72])

    def test_a_downgrade_over_a_newer_database_of_the_system_is_refused_with_its_name_and_the_remedy(self):
        self.database(self.version)
        self.assertEqual(0, self.preinst().returncode)
        for newer in (self.version + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1):
            path = self.database(newer)
            for how in ("upgrade", "install"):  # installed, or removed with its settings left
                done = self.preinst(how, "0.2.0", "0.1.0")
                self.assertEqual(1, done.returncode)
                self.assertIn(f"E_STORE_NEWER: {path} is of version {newer},", done.stderr)
                self.assertIn("Nothing was changed", done.stderr)
                self.assertEqual(0, self.preinst(how, "0.2.0", "0.1.0", TEALE_DOWNGRADE="yes").returncode)

    def test_no_database_keeps_an_administrator_from_an_upgrade_or_a_first_installation(self):
        self.database(self.version + 1)
        for said in (("upgrade", "0.1.0", "0.1.0"), ("upgrade", "0.0.9", "0.1.0"), ("upgrade", "0.1.0~rc1", "0.1.0"),
                     ("install", "0.0.9", "0.1.0"), ("install",), ("install", "", "0.1.0")):
            done = self.preinst(*said)
            self.assertEqual((0, ""), (done.returncode, done.stderr), said)

    def test_what_a_user_has_at_home_is_not_looked_at(self):
        self.database(self.version + 1, name="home/ann/.local/share/teale/teale.db")
        self.database(self.version + 1, name="root/.local/share/teale/teale.db")
        pathlib.Path(self.dir, "etc").mkdir()
        pathlib.Path(self.dir, "etc/passwd").write_text(f"ann:x:1000:1000::{self.dir}/home/ann:/bin/sh\n")
        self.assertEqual(0, self.preinst(HOME=f"{self.dir}/home/ann").returncode)
        for name in ("preinst.in", "postinst", "prerm", "postrm"):
            for word in ("/etc/passwd", ".local", "/home"):
                self.assertNotIn(word, read(f"debian/teale.{name}"))

    def test_files_that_are_no_database_of_ours_are_passed_by(self):
        path = self.database(1 << 31, b"othr")
        self.assertEqual((0, ""), (self.preinst().returncode, self.preinst().stderr))
        for size in (0, 59, 63, 71):
            path.write_bytes(b"\xff" * size)
            self.assertEqual((0, ""), (self.preinst().returncode, self.preinst().stderr), size)

    def test_links_and_pipes_in_the_place_of_a_database_are_not_followed_and_do_not_hold_it_up(self):
        path = self.database(self.version)
        path.unlink()
        path.symlink_to(self.database(self.version + 1, name="elsewhere"))
        self.assertEqual(0, self.preinst().returncode)
        path.unlink()
        path.mkdir()
        self.assertEqual(0, self.preinst().returncode)
        path.rmdir()
        os.mkfifo(path)
        self.assertEqual(0, self.preinst().returncode)
        with open(path, "r+b", buffering=0):  # and one that has a writer, who says nothing
            self.assertEqual(0, self.preinst().returncode)


# Notes what it is asked. Of a user's manager 4000 nothing comes, be it told to end or not.
SYSTEMCTL = """#!/bin/sh
case "$*" in
*list-units*) printf ' user@%s.service loaded active running User Manager\\n' 4000 4001 ;;
*machine=4000@*) trap '' TERM; while :; do sleep 1; done ;;
*) echo "$*" >>"$STATE/asked" ;;
esac
"""
# As coreutils', with a hundredth of the time.
TIMEOUT = """#!/bin/sh
exec /usr/bin/timeout -k 0.01 "$(echo "$3" | sed 's/.*/0.&/')" $(shift 3; echo "$@")
"""
USERDEL = """#!/bin/sh
echo "userdel $*" >>"$STATE/asked"
"""


class Scripts(unittest.TestCase):
    """The other scripts of the package, with stand-ins for what they call."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="teale-packages-")
        self.addCleanup(shutil.rmtree, self.dir)

    def put(self, name, text):
        path = pathlib.Path(self.dir, "bin", name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run_script(self, name, *said):
        text = read(f"debian/teale.{name}").replace("/run/systemd/system", self.dir).replace("rm -rf", "echo rm")
        return subprocess.run(["sh", "-c", text, name, *said], timeout=60, capture_output=True, text=True,
                              env={"PATH": f"{self.dir}/bin:{os.environ['PATH']}", "STATE": self.dir})

    def script(self, name, *said):
        done = self.run_script(name, *said)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        asked = pathlib.Path(self.dir, "asked")
        lines = asked.read_text().splitlines() if asked.exists() else []
        asked.unlink(missing_ok=True)
        return lines

    def test_a_users_manager_that_does_not_answer_holds_up_neither_an_upgrade_nor_a_removal(self):
        self.put("systemctl", SYSTEMCTL)
        self.put("timeout", TIMEOUT)
        self.assertEqual(["--quiet --user --machine=4001@ daemon-reload",
                          "--quiet --user --machine=4001@ --no-block try-restart teale.service"],
                         self.script("postinst", "configure", "0.0.9"))
        self.assertEqual(["--quiet --user --machine=4001@ stop teale.service"], self.script("prerm", "remove"))
        self.assertEqual([], self.script("postinst", "configure", ""))  # nothing ran before the first installation
        self.assertEqual([], self.script("prerm", "upgrade", "0.2.0"))

    def test_a_purge_removes_the_user_that_the_package_made_and_no_other(self):
        self.put("userdel", USERDEL)
        for line, removed in (("_teale:x:998:998:Teale node:/var/lib/teale:/usr/sbin/nologin", True),
                              ("_teale:x:1000:1000::/var/lib/teale:/bin/sh", False),
                              ("_teale:x:998:998::/home/teale:/bin/sh", False),
                              ("_teale:x:0:0::/var/lib/teale:/bin/sh", False), ("", False)):
            self.put("getent", f"#!/bin/sh\n[ \"$*\" = 'passwd _teale' ] && [ '{line}' ] && echo '{line}'\n")
            self.assertEqual(["userdel _teale"] if removed else [], self.script("postrm", "purge"), line)
            self.assertEqual([], self.script("postrm", "remove"))

    def test_an_account_of_that_name_that_is_anothers_is_told_before_anything_is_changed(self):
        said = (("install",), ("install", "", "0.1.0"), ("install", "0.0.9", "0.1.0"))
        for account, refused in (("_teale:x:1001:1001::/home/ann:/bin/sh", True), ("_teale:x:1001:1001:::/bin/sh", True),
                                 ("_teale:x:998:998::/srv/other:/bin/false", True),
                                 ("_teale:x:998:998:Teale node:/var/lib/teale:/usr/sbin/nologin", False), ("", False)):
            self.put("getent", f"#!/bin/sh\n[ '{account}' ] && echo '{account}' || exit 2\n")
            for words in said:
                done = self.run_script("preinst.in", *words)
                self.assertEqual(done.returncode, int(refused), done)
                if refused:
                    self.assertIn("E_ACCOUNT_TAKEN: there is an account _teale already, with the home "
                                  f"{account.split(':')[5]}:", done.stderr)
                    self.assertIn("Nothing was changed.", done.stderr)
                    self.assertIn("usermod --login NEW_NAME _teale", done.stderr)
            self.assertEqual(self.run_script("preinst.in", "upgrade", "0.0.9", "0.1.0").returncode, 0)

    def test_the_systems_user_has_one_name_that_is_no_persons(self):
        self.assertRegex(read("init/teale.sysusers"), r'^u _teale - "[^"]+" /var/lib/teale\n$')
        self.assertEqual("d /var/lib/teale 0700 _teale _teale -\n", read("init/teale.tmpfiles"))
        unit = read("init/teale-system.service.in")
        self.assertIn("\nUser=_teale\nGroup=_teale\n", unit)
        self.assertIn('"_teale" ', read("src/cli/boot.h"))
        self.assertIn("\nUSER _teale\n", read("Containerfile"))


@unittest.skipUnless(shutil.which("dpkg-query") and shutil.which("objdump"), "dpkg-query or objdump is not here")
class Sbom(unittest.TestCase):
    """SPDX 2.3, https://spdx.github.io/spdx-spec/v2.3/: what its schema requires."""

    def made(self, epoch="1700000000"):
        with tempfile.TemporaryDirectory() as d:
            out = pathlib.Path(d, "out.json")
            subprocess.run([SOURCE / "tools/sbom", "--program", TEALE, "--version", "0.1.0", "--out", out, "--inside",
                            "uthash-dev"], check=True, env={**os.environ, "SOURCE_DATE_EPOCH": epoch})
            return out.read_bytes()

    def test_it_has_what_spdx_requires_and_names_what_the_program_loads_and_holds(self):
        made = json.loads(self.made())
        for field in ("SPDXID", "creationInfo", "dataLicense", "name", "spdxVersion", "documentNamespace"):
            self.assertIn(field, made)
        self.assertEqual(("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"),
                         (made["spdxVersion"], made["dataLicense"], made["SPDXID"]))
        self.assertEqual("2023-11-14T22:13:20Z", made["creationInfo"]["created"])
        self.assertTrue(made["creationInfo"]["creators"])
        ids = {"SPDXRef-DOCUMENT"}
        for package in made["packages"]:
            for field in ("SPDXID", "name", "downloadLocation"):
                self.assertTrue(package[field])
            self.assertRegex(package["SPDXID"], r"^SPDXRef-[A-Za-z0-9.-]+$")
            self.assertNotIn(package["SPDXID"], ids)
            ids.add(package["SPDXID"])
        for relation in made["relationships"]:
            self.assertIn(relation["spdxElementId"], ids)
            self.assertIn(relation["relatedSpdxElement"], ids)
            self.assertIn(relation["relationshipType"], {"DESCRIBES", "DYNAMIC_LINK", "CONTAINS"})
        names = [p["name"] for p in made["packages"]]
        for wanted in ("teale", "libc6", "uthash-dev"):  # itself, what it loads, what is inside it
            self.assertIn(wanted, names)
        self.assertTrue(any(n.startswith("libngtcp2") for n in names))

    def test_the_same_program_gives_the_same_bytes(self):
        first = self.made()
        self.assertEqual(first, self.made())
        self.assertNotEqual(first, self.made("1700000001"))


if __name__ == "__main__":
    unittest.main()
