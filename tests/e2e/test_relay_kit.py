#!/usr/bin/env python3
"""test_relay_kit.py TEALE-RELAY SOURCE-ROOT: what an operator gets beside the program agrees with the program: manual
pages, the example of the settings, the unit, the log's events, the dashboard and the alerts."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

import relayproc
from relayproc import Node, Relay

ROOT = pathlib.Path(sys.argv.pop())
ONLY_ON_THE_COMMAND_LINE = {"config", "help", "version"}
LOG_LINE = re.compile(r'teale-relay: (error|warning|info|debug): event=([a-z_]+)((?: [a-z_]+=(?:"(?:[^"\\]|\\.)*"|[^ "]+))*)$')
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def text(*path):
    return ROOT.joinpath(*path).read_text(encoding="utf-8")


def as_keys(options):
    return {"trusted_proxies" if o == "trusted-proxy" else o.replace("-", "_") for o in options}


def run(*args, **kw):
    return subprocess.run([relayproc.BINARY_PATH, *args], capture_output=True, text=True, check=False, timeout=20, **kw)


def example():
    """The example with every key in force."""
    return re.sub(r"^#(?! )", "", text("init", "teale-relay.toml"), flags=re.M)


class Settings(unittest.TestCase):
    def setUp(self):
        self.options = as_keys(re.findall(r"--([a-z][a-z-]+)", run("--help").stdout))

    def test_both_manuals_and_the_example_tell_of_every_option_and_of_no_other(self):
        self.assertGreater(len(self.options), 25)
        manual = as_keys(re.findall(r"^\.It Fl -([a-z-]+)", text("man", "teale-relay.8"), re.M))
        self.assertEqual(manual, self.options)
        keys = self.options - ONLY_ON_THE_COMMAND_LINE
        self.assertEqual(set(re.findall(r"^\.It Li ([a-z_]+) =", text("man", "teale-relay.toml.5"), re.M)), keys)
        self.assertEqual(set(re.findall(r"^([a-z_]+) =", example(), re.M)), keys)

    def settings(self, content):
        f = tempfile.NamedTemporaryFile("w", suffix=".toml", encoding="utf-8")  # pylint: disable=consider-using-with
        self.addCleanup(f.close)
        f.write(content)
        f.flush()
        return f.name

    def test_the_program_takes_every_line_of_the_example(self):
        lines = example().count("\n")
        done = run("--config", self.settings(example() + "lisen = 1\n"))
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(f":{lines + 1}: unknown key lisen; did you mean listen?", done.stderr)

    def test_every_key_refuses_what_it_is_not_with_its_line(self):
        for key in sorted(self.options - ONLY_ON_THE_COMMAND_LINE):
            with self.subTest(key=key):
                done = run("--config", self.settings(f"# a comment\n\n{key} = 2026-11-29\n"))
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(f":3: {key} must be", done.stderr)

    def test_toml_in_any_of_its_forms_is_read_and_the_command_line_wins(self):
        with Relay("--config", self.settings("listen = [ # many lines\n  '127.0.0.1:1',\n]\nmax_message = 0x1_0000\n")) as relay:
            self.assertNotEqual(relay.address[1], 1)

    def test_a_key_that_stands_twice_and_a_section_are_refused(self):
        for content, words in (("name = 'a'\nname = 'b'\n", ":2: name is already set at line 1"),
                               ("[relay]\nname = 'a'\n", ":1: relay is a section"),
                               ("name = 'a\n", ":1: ")):
            done = run("--config", self.settings(content))
            self.assertEqual(done.returncode, 2)
            self.assertIn(words, done.stderr)


class Log(unittest.TestCase):
    @staticmethod
    def said():
        """{event: (level, keys)} of every call in the sources."""
        events = {}
        for path in sorted((ROOT / "src" / "relayd").glob("*.c")):
            for call in re.finditer(r"\btl_log\(\s*TL_LOG_([A-Z]+),\s*((?:\"(?:[^\"\\]|\\.)*\"|TL_VERSION|\s)+)",
                                    path.read_text(encoding="utf-8")):
                words = "".join(STRING.findall(call[2]))
                form = re.fullmatch(r"event=([a-z_]+)((?: [a-z_]+=(?:\\\".*?\\\"|[^ ]*))*)", words)
                assert form, f"{path.name}: no event: {words}"
                keys = re.findall(r" ([a-z_]+)=", re.sub(r'\\".*?\\"', "", form[2]))
                events.setdefault(form[1], set()).add((call[1].lower(), tuple(keys)))
        return events

    @staticmethod
    def documented():
        rows = re.findall(r"^\| `event=([a-z_]+)` \| (\w+) \|([^|]*)\|", text("docs/relay.md"), re.M)
        events = {}
        for name, level, keys in rows:
            events.setdefault(name, set()).add((level, tuple(re.findall(r"`([a-z_]+)`", keys))))
        return events

    def test_every_event_of_the_sources_is_documented_with_its_level_and_keys_and_no_other(self):
        said, documented = self.said(), self.documented()
        calls = sum(len(re.findall(r"\btl_log\(", p.read_text(encoding="utf-8"))) for p in (ROOT / "src" / "relayd").glob("*.c"))
        self.assertGreater(calls, 15)
        self.assertEqual(documented.pop("other"), {("any", ("text",))})
        self.maxDiff = None
        self.assertEqual(said, documented)

    def test_every_line_of_a_running_relay_is_one_event(self):
        with tempfile.TemporaryDirectory() as d:
            token = pathlib.Path(d, 'a "quoted" name')
            token.write_text("secret\n", encoding="ascii")
            token.chmod(0o604)
            with Relay("--log-level", "debug", "--admin-token-file", str(token)) as relay:
                Node(relay, authority="elsewhere.example:1").send_message("register", {"nodeID": "x"})
                stranger = Node(relay)
                stranger.send_message("register", stranger.registration(challengeSignature="0" * 128))
                relay.wait_log("event=registrations_refused ")
                relay.signal(signal.SIGHUP)
                relay.wait_log("event=reloaded what=admin_token ")
        documented = self.documented()
        seen = {}
        for line in relay.log:
            form = LOG_LINE.match(line.rstrip("\n"))
            self.assertTrue(form, line)
            seen[form[2]] = line
            keys = tuple(re.findall(r" ([a-z_]+)=", re.sub(r'"(?:[^"\\]|\\.)*"', "", form[3])))
            self.assertIn((form[1].replace("warning", "warn"), keys), documented[form[2]])
        self.assertLessEqual({"started", "registrations_refused", "file_open_to_all", "reloaded", "stopping", "stopped"}, set(seen))
        self.assertIn(r'\"quoted\"', seen["reloaded"])

    def test_a_start_that_fails_is_one_event_too(self):
        with Relay() as relay:
            done = run("--listen", f"127.0.0.1:{relay.address[1]}")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, LOG_LINE)
        self.assertIn("event=failed why=\"cannot listen on", done.stderr)

    def test_in_the_journal_each_line_has_its_priority(self):
        with tempfile.TemporaryFile() as f, tempfile.TemporaryFile() as other:
            for stream, front in ((f, "<3>teale-relay: error: "), (other, "teale-relay: error: ")):
                st = os.fstat(f.fileno())
                subprocess.run([relayproc.BINARY_PATH, "--log-level", "error", "--tls-cert", "/nonexistent", "--tls-key", "/x"],
                               stderr=stream, check=False, timeout=20,
                               env={**os.environ, "JOURNAL_STREAM": f"{st.st_dev}:{st.st_ino}"})
                stream.seek(0)
                self.assertTrue(stream.read().decode().startswith(front))


class Service(unittest.TestCase):
    UNIT = "teale-relay.service"

    def test_the_manager_hears_ready_alive_and_stopping(self):
        with tempfile.TemporaryDirectory() as d, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(f"{d}/notify")
            s.settimeout(10)
            environment = {"NOTIFY_SOCKET": f"{d}/notify", "WATCHDOG_USEC": "400000"}
            os.environ.update(environment)
            try:
                relay = Relay()
            finally:
                for name in environment:
                    del os.environ[name]
            with relay:
                heard = [s.recv(100) for _ in range(4)]
                self.assertEqual(heard, [b"READY=1"] + [b"WATCHDOG=1"] * 3)
                relay.signal(signal.SIGTERM)
                while (more := s.recv(100)) == b"WATCHDOG=1":
                    pass
                self.assertEqual(more, b"STOPPING=1")

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not here")
    def test_systemd_finds_no_mistake_in_the_unit(self):
        unit = text("init", self.UNIT + ".in").replace("@bindir@", str(pathlib.Path(relayproc.BINARY_PATH).resolve().parent))
        for content, status in ((unit, True), (unit.replace("WatchdogSec", "WatchdogSecs"), False)):
            with tempfile.TemporaryDirectory() as d:
                path = pathlib.Path(d, self.UNIT)
                path.write_text(content, encoding="utf-8")
                done = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(path)], capture_output=True,
                                      text=True, check=False, timeout=50)
                about = [l for l in done.stderr.splitlines() if self.UNIT in l]
                self.assertEqual(done.returncode == 0 and not about, status, done.stderr)

    def test_the_unit_notifies_is_watched_reloads_and_has_room_for_10000_nodes(self):
        unit = dict(re.findall(r"^(\w+)=(.*)$", text("init", self.UNIT + ".in"), re.M))
        self.assertEqual(unit["Type"], "notify")
        self.assertEqual(unit["ExecReload"], "/bin/kill -HUP $MAINPID")
        self.assertGreaterEqual(int(unit["WatchdogSec"]), 10)
        self.assertGreater(int(unit["LimitNOFILE"]), 20000)
        default_drain = int(re.search(r"drain_secs = (\d+)", text("init", "teale-relay.toml"))[1])
        self.assertGreater(int(unit["TimeoutStopSec"]), default_drain + 5)


class Monitoring(unittest.TestCase):
    """The dashboard had no error against Grafana's own schemas (grafana-foundation-sdk f178d5a42: jsonschema/dashboard,
    timeseries and stat); here are the rules that need no download."""

    @classmethod
    def setUpClass(cls):
        cls.board = json.loads(text("docs", "grafana-relay.json"))
        cls.panels = [p for p in cls.board["panels"] if p["type"] != "row"]
        with Relay("--udp", "127.0.0.1:0", "--redis", "redis://127.0.0.1:1", "--limits") as relay:
            cls.printed = relay.get("/metrics")[2]
        cls.names = set(re.findall(r"^([a-z_]+)[ {]", cls.printed, re.M))
        assert len(cls.names) > 40

    def used(self, expression):
        return set(re.findall(r"\b(?:teale|tesseras)_[a-z_]+", expression))

    def label_values(self, metric, label):
        return set(re.findall(rf'^{metric}{{[^}}]*{label}="([^"]*)"', self.printed, re.M))

    def test_every_expression_of_the_dashboard_asks_for_metrics_and_labels_that_exist(self):
        expressions = [t["expr"] for p in self.panels for t in p["targets"]]
        expressions += [v["query"] for v in self.board["templating"]["list"] if v["type"] == "query"]
        self.assertGreater(len(expressions), 40)
        for e in expressions:
            self.assertTrue(self.used(e), e)
            self.assertLessEqual(self.used(e), self.names, e)
            self.assertEqual(e.count("("), e.count(")"), e)
            for by in re.findall(r"sum by \(([a-z, ]+)\)", e):
                metric, = self.used(e)
                for label in by.split(", "):
                    self.assertTrue(self.label_values(metric, label), e)

    def test_the_dashboard_shows_every_metric_that_the_relay_prints(self):
        shown = set().union(*(self.used(t["expr"]) for p in self.panels for t in p["targets"]))
        known_elsewhere = {n for n in self.names if n.startswith("tesseras_")} | {
            "teale_relay_connections_total", "teale_relay_stun_errors_total", "teale_relay_stun_received_bytes_total",
            "teale_relay_stun_sent_bytes_total"}
        self.assertEqual(self.names - shown, known_elsewhere)

    def test_the_dashboard_is_what_grafana_loads(self):
        self.assertGreaterEqual(self.board["schemaVersion"], 36)
        self.assertIsNone(self.board["id"])
        variables = {v["name"]: v for v in self.board["templating"]["list"]}
        self.assertEqual((variables["datasource"]["type"], variables["datasource"]["query"]), ("datasource", "prometheus"))
        ids = [p["id"] for p in self.board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        cells = set()
        for p in self.board["panels"]:
            g = p["gridPos"]
            self.assertLessEqual(g["x"] + g["w"], 24, p["title"])
            own = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
            self.assertFalse(own & cells, p["title"])
            cells |= own
        for p in self.panels:
            self.assertTrue(p["title"])
            refs = [t["refId"] for t in p["targets"]]
            self.assertEqual(len(refs), len(set(refs)))
            for at in (p, *p["targets"]):
                self.assertEqual(at["datasource"], {"type": "prometheus", "uid": "${datasource}"})
            for t in p["targets"]:
                self.assertLessEqual(set(re.findall(r"\$(\w+)", t["expr"])), set(variables) | {"__rate_interval"})

    def test_every_alert_asks_for_metrics_that_exist_and_tells_a_remedy(self):
        rules = text("docs", "prometheus-relay.yml")
        alerts = rules.split("- alert: ")[1:]
        self.assertGreater(len(alerts), 5)
        for a in alerts:
            self.assertLessEqual(self.used(a), self.names, a)
            self.assertRegex(a, r"\n        expr: \S")
            self.assertRegex(a, r"\n          summary: \"\S")
            self.assertRegex(a, r"\n          remedy: \"\S")
            for metric, values in re.findall(r"(\w+){reason=~?\"([^\"]+)\"}", a):
                self.assertLessEqual(set(values.split("|")), self.label_values(metric, "reason"))
            for event in re.findall(r"grep event=([a-z]+)", a):
                self.assertTrue(any(e.startswith(event) for e in Log.documented()), event)

    @unittest.skipUnless(shutil.which("promtool"), "promtool (of the package prometheus) is not here")
    def test_prometheus_itself_takes_the_alerts(self):
        subprocess.run(["promtool", "check", "rules", ROOT / "docs" / "prometheus-relay.yml"], check=True, timeout=50)


if __name__ == "__main__":
    relayproc.BINARY_PATH = sys.argv.pop(1)
    unittest.main()
