#!/usr/bin/env python3
"""test_app.py TEALE TEALE-RELAY PARROT: what the page asks of a node besides networks and money: settings that are
written as `config set` writes them, doctor, why, ping and traffic; and that another user of this machine changes nothing."""
import json
import os
import re
import socket
import sys
import unittest

from scenery import Scenery, chat, wait_for

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
NOBODY = 65534


def as_nobody(work):
    """Runs `work` in a child that gives root up; what it returns (an HTTP status; None is 0) comes back."""
    child = os.fork()
    if not child:
        status = 0
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            status = work() or 0
        finally:
            os._exit(status // 100 * 16 + status % 100)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code // 16 * 100 + code % 16


class App(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scenery = Scenery(*PROGRAMS)
        relay = cls.scenery.relay()
        parrot = cls.scenery.parrot("--model", "parrot")
        cls.server = cls.scenery.node(relay, "--share", parrot.url)
        cls.node = cls.scenery.node(relay)
        wait_for(lambda: "parrot" in json.dumps(cls.node.get_json("/v1/models")))

    @classmethod
    def tearDownClass(cls):
        cls.scenery.__exit__(None)

    def ask(self, method, path, body=None, node=None):
        raw = None if body is None else json.dumps(body)
        c, r = (node or self.node).request(method, path, raw, {"Content-Type": "application/json"})
        text = r.read()
        c.close()
        return r.status, text

    def put(self, body, node=None):
        status, text = self.ask("PUT", "/v1/app/settings", body, node)
        return status, json.loads(text)

    def setting(self, key, node=None):
        settings = json.loads(self.ask("GET", "/v1/app/settings", node=node)[1])["settings"]
        return next(s for s in settings if s["key"] == key)

    def test_a_setting_is_written_and_in_force_as_by_the_command(self):
        file = os.path.join(self.node.home, "teale.toml")
        with open(file, "w") as f:
            f.write("# mine\nshare_with = 'public' # everybody\n")
        status, answer = self.put({"share_with": "networks"})
        self.assertEqual((status, answer["settings"][0]["state"]), (200, "applied"))
        with open(file) as f:
            self.assertEqual(f.read(), "# mine\nshare_with = 'networks' # everybody\n")
        self.assertEqual(self.node.command("config", "get", "share_with").stdout, "networks\n")
        self.assertEqual(self.node.status()["sharing"]["with"], "networks")
        self.assertEqual(self.put({"share_with": "public"})[0], 200)

    def test_what_needs_a_restart_says_so_until_it_has_come(self):
        status, answer = self.put({"display_name": "Ada's \"laptop\""})
        self.assertEqual((status, answer["settings"][0]["state"]), (200, "restart"))
        self.assertIn("teale restart", answer["settings"][0]["message"])
        one = self.setting("display_name")
        self.assertEqual((one["value"], one["restart"], one["live"]), ("Ada's \"laptop\"", True, False))
        self.assertNotEqual(self.node.status()["display_name"], "Ada's \"laptop\"")
        self.assertEqual(self.put({"log_level": "info"})[0], 200)  # another one does not put it into force on the way
        self.assertTrue(self.setting("display_name")["restart"])
        self.assertEqual(self.put({"display_name": ""})[0], 200)
        self.assertFalse(self.setting("display_name")["restart"])

    def test_an_option_of_the_command_line_is_named(self):
        self.assertEqual(self.setting("wan_relay_url")["option"], "relay")
        status, answer = self.put({"wan_relay_url": "wss://relay.example/ws"})
        self.assertEqual((status, answer["settings"][0]["state"]), (200, "restart"))
        self.assertIn("--relay", answer["settings"][0]["message"])
        self.assertEqual(self.put({"wan_relay_url": "wss://relay.teale.com/ws"})[0], 200)

    def test_a_wrong_value_is_refused_with_the_nodes_own_words_and_nothing_is_written(self):
        before = self.scenery.file_of(self.node.home)
        status, answer = self.put({"log_level": "debug", "udp_port": 65536})
        self.assertEqual((status, answer["error"]["param"], answer["error"]["code"]), (400, "udp_port", "invalid_value"))
        self.assertEqual(answer["error"]["message"], "udp_port must be a whole number from 0 to 65535")
        self.assertEqual(self.scenery.file_of(self.node.home), before)
        self.assertEqual(self.setting("log_level")["value"], "info")

    def test_every_setting_takes_effect_when_the_list_says_so(self):
        node = self.scenery.node(None, connected=False, home=self.offline_home())
        for s in json.loads(self.ask("GET", "/v1/app/settings", node=node)[1])["settings"]:
            if s["names_file"] or s["option"]:
                continue
            status, answer = self.put({s["key"]: s["value"]}, node)
            self.assertEqual(status, 200, answer)
            self.assertEqual(answer["settings"][0]["state"], "applied" if s["live"] else "restart", s["key"])

    def offline_home(self):
        home = self.scenery.new_home()
        self.scenery.config(home, **{"dht.bootstrap": "[]", "wan_relay_url": "[]"})
        return home

    def test_the_login_of_a_proxy_is_never_shown_and_not_lost(self):
        secret = "http://me:hunter2@127.0.0.1:9"
        home = self.offline_home()
        self.scenery.config(home, wan_proxy=secret)
        node = self.scenery.node(None, connected=False, home=home)
        for path in ("/v1/app/settings", "/v1/app"):
            self.assertNotIn(b"hunter2", self.ask("GET", path, node=node)[1])
        one = self.setting("wan_proxy", node)
        self.assertEqual((one["value"], one["login"]), ("http://127.0.0.1:9", True))
        self.assertEqual(self.put({"wan_proxy": one["value"]}, node)[0], 200)
        self.assertEqual(node.command("config", "get", "wan_proxy").stdout.strip(), secret)
        self.assertEqual(self.put({"wan_proxy": "nonsense://x"}, node)[0], 400)
        self.assertEqual(node.command("config", "get", "wan_proxy").stdout.strip(), secret)

    def test_a_broken_file_is_shown_as_broken_and_left_alone(self):
        node = self.scenery.node(None, connected=False, home=self.offline_home())
        file = os.path.join(node.home, "teale.toml")
        with open(file, "a") as f:
            f.write("\nwan_enabled = yes\n")
        before = self.scenery.file_of(node.home)
        answer = json.loads(self.ask("GET", "/v1/app/settings", node=node)[1])
        self.assertIn("teale.toml:", answer["error"])
        self.assertEqual(answer["file"], file)
        self.assertEqual(self.put({"log_level": "warn"}, node)[0], 400)
        self.assertEqual(self.scenery.file_of(node.home), before)

    def key(self, file):
        with open(os.path.join(self.node.home, file)) as f:
            return f.read().strip()

    def test_another_user_of_this_machine_reads_and_changes_nothing_without_the_key(self):
        if os.geteuid():
            self.skipTest("only root can be somebody else")
        key = self.key("owner-key")

        def ask(method, path, body, key=""):
            headers = {"Authorization": "Bearer " + key} if key else {}

            def status():
                c, r = self.node.request(method, path, body, headers)
                c.close()
                return r.status

            return as_nobody(status)

        change = json.dumps({"log_level": "info"})
        self.assertEqual(ask("PUT", "/v1/app/settings", change), 401)
        self.assertEqual(ask("POST", "/v1/app/ptn", '{"name":"theirs"}'), 401)
        self.assertEqual(ask("POST", f"/v1/app/peers/{self.server.id}/ping", ""), 401)
        self.assertEqual(ask("PUT", "/v1/app/settings", change, self.key("api-key")), 401)
        self.assertEqual(ask("PUT", "/v1/app/settings", change, key), 200)
        self.assertEqual(ask("GET", "/v1/app", ""), 200)
        self.assertEqual(self.put({"log_level": "info"})[0], 200)

    def refused(self, reason):
        c, r = self.node.request("GET", "/metrics")
        found = re.search(rb'teale_api_refused_total\{reason="%s"\} (\d+)' % reason, r.read())
        c.close()
        return int(found.group(1))

    def test_who_sends_and_closes_at_once_is_nobody(self):
        """The kernel shows user 0 for a socket that no program holds any more."""
        if os.geteuid():
            self.skipTest("only root can be somebody else")
        self.node.command("ptn", "create", "closed")
        body = '{"share_pause":true}'
        requests = [f"PUT /v1/app/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n{body}",
                    "DELETE /v1/app/ptn/closed?delete=true HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"]
        networks, file = self.node.get_json("/v1/app/ptn"), self.scenery.file_of(self.node.home)

        def burst(n=100):
            """While the node is busy with the first of them, the others have closed."""
            connections = [socket.create_connection(("127.0.0.1", self.node.port)) for _ in range(n)]
            for i, c in enumerate(connections):
                c.sendall(requests[i % 2].encode())
                c.close()

        before = self.refused(b"key")
        for _ in range(3):
            self.assertEqual(as_nobody(burst), 0)
            self.assertEqual(self.put({"log_level": "info"})[0], 200)  # the node has looked at what came before
        wait_for(lambda: self.refused(b"key") > before)
        self.assertEqual(self.setting("share_pause")["value"], False)
        self.assertEqual(self.node.get_json("/v1/app/ptn"), networks)
        self.assertEqual(self.scenery.file_of(self.node.home).replace('log_level = "info"\n', ""),
                         file.replace('log_level = "info"\n', ""))

    def test_a_page_of_an_allowed_origin_reads_and_asks_and_changes_nothing_without_the_key(self):
        key = self.key("owner-key")
        origin = {"Origin": "https://chat.example.org"}
        self.assertEqual(self.put({"api_allowed_origins": ["https://chat.example.org"]})[0], 200)
        before = self.scenery.file_of(self.node.home)
        wider = json.dumps({"api_allowed_origins": ["https://chat.example.org", "https://evil.example"]})

        def status(method, path, body=None, **more):
            c, r = self.node.request(method, path, body, {**origin, **more})
            self.assertEqual(r.headers["Access-Control-Allow-Origin"], origin["Origin"])
            r.read()
            c.close()
            return r.status

        self.assertEqual(status("GET", "/v1/app"), 200)
        self.assertEqual(self.node.post(chat("parrot", "hello"), origin)[0], 200)
        self.assertEqual(status("PUT", "/v1/app/settings", wider), 401)
        self.assertEqual(status("PUT", "/v1/app/settings", wider, Authorization=f"Bearer {self.key('api-key')}"), 401)
        self.assertEqual(status("POST", "/v1/app/ptn", '{"name":"theirs"}'), 401)
        self.assertEqual(self.scenery.file_of(self.node.home), before)
        own = {"Origin": f"http://127.0.0.1:{self.node.port}"}
        c, r = self.node.request("PUT", "/v1/app/settings", '{"log_level":"info"}', own)
        self.assertEqual(r.status, 200)
        c.close()
        self.assertEqual(status("PUT", "/v1/app/settings", '{"api_allowed_origins":[]}', Authorization=f"Bearer {key}"), 200)
        self.assertEqual(self.ask("GET", "/v1/app")[0], 200)

    def test_the_model_servers_key_is_turned_to_nobody_over_http(self):
        with socket.create_server(("127.0.0.1", 0)) as thief:
            url = "http://127.0.0.1:%d" % thief.getsockname()[1]
            home = self.offline_home()
            secret = os.path.join(home, "secret")
            with open(secret, "w") as f:
                f.write("sk-secret\n")
            os.chmod(secret, 0o600)
            # in force alone, by the option
            node = self.scenery.node(None, "--share-key-file", secret, connected=False, home=home)
            status, answer = self.put({"share": url}, node)
            self.assertEqual((status, answer["error"]["code"]), (403, "command_line_only"))
            self.assertNotIn(url, self.scenery.file_of(home))
            node.end()
            # saved alone, by hand
            node = self.scenery.node(None, connected=False, home=home)
            self.assertEqual(self.put({"share": url}, node)[0], 200)
            self.assertEqual(self.put({"share": ""}, node)[0], 200)
            with open(os.path.join(home, "teale.toml")) as f:
                text = f.read()
            with open(os.path.join(home, "teale.toml"), "w") as f:
                f.write(f'backend_key_file = "{secret}"\n' + text)
            self.assertEqual(self.put({"share": url}, node)[0], 403)

    def test_settings_of_one_request_change_whole_or_not_at_all(self):
        node = self.scenery.node(None, connected=False, home=self.offline_home())
        file, before = os.path.join(node.home, "teale.toml"), self.scenery.file_of(node.home)
        with open(file, "w") as f:
            f.write("# mine\nask = 'networks' # not in force: written by hand\n" + before)
        before, settings = self.scenery.file_of(node.home), node.get_json("/v1/app")["settings"]
        body = {"log_level": "warn", "ask": "any", "share_with": "networks", "udp_port": 5000,
                "share": "https://nohost.invalid:99/x?y"}  # an address in its form, which no model server can have
        status, answer = self.put(body, node)
        self.assertEqual((status, answer["error"]["param"], answer["error"]["code"]), (400, "share", "invalid_value"))
        self.assertTrue(answer["error"]["message"].endswith("; nothing was changed"), answer)
        self.assertEqual(self.scenery.file_of(node.home), before)
        self.assertEqual(node.get_json("/v1/app")["settings"], settings)
        body["share"] = ""
        status, answer = self.put(body, node)
        self.assertEqual((status, [s["state"] for s in answer["settings"]]), (200, ["applied"] * 3 + ["restart", "applied"]))
        self.assertIn("ask = 'any' # not in force", self.scenery.file_of(node.home))
        self.assertEqual(node.get_json("/v1/app")["settings"]["share_with"], "networks")

    def test_doctor_why_ping_and_traffic_tell_of_the_peer(self):
        self.assertEqual(self.node.post(chat("parrot", "hello"))[0], 200)
        checks = {c["id"]: c for c in json.loads(self.ask("GET", "/v1/app/doctor")[1])["checks"]}
        self.assertEqual(checks["relay"]["state"], "ok")
        self.assertEqual(checks["api"]["state"], "ok")
        why = json.loads(self.ask("GET", f"/v1/app/peers/{self.server.id}/why")[1])
        self.assertEqual((why["node_id"], why["path"]), (self.server.id, "relayed"))
        self.assertTrue(why["because"])
        status, text = self.ask("POST", f"/v1/app/peers/{self.server.id}/ping?count=2")
        results = [json.loads(line) for line in text.splitlines()]
        self.assertEqual((status, [r["path"] for r in results]), (200, ["relayed", "relayed"]))

        def traffic():
            answer = json.loads(self.ask("GET", "/v1/app/traffic")[1])
            return next(p for p in answer["peers"] if p["node_id"] == self.server.id)

        before = traffic()
        self.assertGreater(min(before["bytes_in"], before["bytes_out"]), 0)
        self.assertEqual(self.node.post(chat("parrot", "word " * 5000))[0], 200)
        after = traffic()
        self.assertGreater(after["bytes_out"] - before["bytes_out"], 25000)
        self.assertGreater(after["bytes_in"] - before["bytes_in"], 25000)
        peer = next(p for p in self.node.get_json("/v1/app")["peers"] if p["node_id"] == self.server.id)
        self.assertGreaterEqual(peer["bytes_in"], after["bytes_in"])


if __name__ == "__main__":
    sys.argv[1:] = []
    unittest.main(verbosity=2)
