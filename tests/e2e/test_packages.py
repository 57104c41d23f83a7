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
    """What keeps an older package from taking the place of a newer one (debian/teale.preinst.in)."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="teale-packages-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.version = int(subprocess.run([SOURCE / "tools/store-version"], capture_output=True, text=True, check=True).stdout)

    def script(self):
        text = read("debian/teale.preinst.in").replace("@STORE_VERSION@", str(self.version))
        text = text.replace("/var/lib/teale", self.dir + "/system").replace("/etc/passwd", self.dir + "/passwd")
        return text.replace("#DEBHELPER#", "")

    def database(self, name, version, program=b"teal"):
        path = pathlib.Path(self.dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        head = bytearray(b"SQLite format 3\0".ljust(100, b"\0"))
        head[60:64], head[68:72] = struct.pack(">I", version), program
        path.write_bytes(head)

    def preinst(self, **env):
        pathlib.Path(self.dir, "passwd").write_text(
            f"root:x:0:0::{self.dir}/root:/bin/sh\ndaemon:x:1:1::{self.dir}/daemon:/bin/false\n"
            f"ann:x:1000:1000::{self.dir}/ann:/bin/sh\nnobody:x:65534:65534::/nonexistent:/bin/false\n")
        return subprocess.run(["sh", "-c", self.script(), "preinst", "upgrade", "9", "0.1.0"], capture_output=True, text=True,
                              env={"PATH": os.environ["PATH"], **env})

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

    def test_a_newer_database_of_the_system_or_of_a_person_is_refused_with_its_name_and_the_remedy(self):
        for name in ("system/teale.db", "root/.local/share/teale/teale.db", "ann/.local/share/teale/teale.db"):
            self.database(name, self.version)
            self.assertEqual(0, self.preinst().returncode)
            self.database(name, self.version + 1)
            done = self.preinst()
            self.assertEqual(1, done.returncode)
            self.assertIn(f"E_STORE_NEWER: {self.dir}/{name} is of version {self.version + 1}", done.stderr)
            self.assertIn("Nothing was changed", done.stderr)
            self.assertEqual(0, self.preinst(TEALE_DOWNGRADE="yes").returncode)
            os.unlink(pathlib.Path(self.dir, name))

    def test_files_that_are_no_database_of_ours_and_homes_of_services_keep_nobody_from_installing(self):
        self.database("system/teale.db", 1 << 31, b"othr")
        self.database("daemon/.local/share/teale/teale.db", self.version + 1)
        os.makedirs(pathlib.Path(self.dir, "ann/.local/share/teale"))
        os.mkfifo(pathlib.Path(self.dir, "ann/.local/share/teale/teale.db"))
        pathlib.Path(self.dir, "root").write_bytes(b"")
        self.assertEqual(0, self.preinst().returncode)


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
