#!/usr/bin/env python3
"""test_page.py TEALE TEALE-RELAY PARROT: the page that a node shows at /, drawn by a real Chromium."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

from scenery import Process, Scenery, chat, wait_for

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
CHROMIUM = shutil.which("chromium")


class Browser:
    """A page in Chromium, driven by its DevTools protocol through a pair of pipes."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="teale-page-")
        ours_in, its_out = os.pipe()
        its_in, self.out = os.pipe()
        # The protocol is spoken at descriptors 3 and 4.
        script = f'exec 3<&{its_in} 4>&{its_out}; exec "$0" "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", script, CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server",
             "--disable-background-networking", "--disable-dev-shm-usage", f"--user-data-dir={self.profile}",
             "--remote-debugging-pipe", "about:blank"],
            pass_fds=(its_in, its_out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(its_in)
        os.close(its_out)
        self.reader = os.fdopen(ours_in, "rb", buffering=0)
        self.text, self.number, self.session = b"", 0, None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.text:
                piece = self.reader.read(1 << 16)
                assert piece, "Chromium ended"
                self.text += piece
            one, self.text = self.text.split(b"\0", 1)
            answer = json.loads(one)
            if answer.get("id") == self.number:
                assert "result" in answer, answer
                return answer["result"]

    def open(self, url):
        self.call("Page.navigate", url=url)

    def value(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def shown(self, selector):
        """Is the element drawn at all?"""
        return self.value(f"!!document.querySelector({selector!r})?.getClientRects().length")

    def text_of(self, selector):
        return self.value(f"document.querySelector({selector!r})?.innerText ?? ''")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.out)
        self.reader.close()
        shutil.rmtree(self.profile, ignore_errors=True)


class Page(unittest.TestCase):
    def setUp(self):
        self.browser = Browser()
        self.addCleanup(self.browser.close)

    def wait(self, condition):
        wait_for(condition, timeout=20)

    def test_on_loopback_it_shows_the_node_and_asks_for_no_key(self):
        with Scenery(*PROGRAMS) as scenery:
            relay = scenery.relay()
            parrot = scenery.parrot("--model", "parrot")
            server = scenery.node(relay, "--share", parrot.url)
            asker = scenery.node(relay)
            wait_for(lambda: server.status()["backend"]["state"] == "up")
            self.browser.open(f"http://127.0.0.1:{asker.port}/")
            self.wait(lambda: self.browser.text_of("#live") == "live")
            self.assertTrue(self.browser.shown("main"))
            self.assertFalse(self.browser.shown("#key-form"))
            self.assertIn(asker.id[:16], self.browser.text_of("#node"))
            self.assertEqual(asker.post(chat("parrot", "hello"))[0], 200)
            self.wait(lambda: server.id[:16] in self.browser.text_of("#peers"))
            self.assertIn("parrot", self.browser.text_of("#models"))
            self.assertIn("PeerJoined", self.browser.text_of("#events"))
            self.assertFalse(self.browser.shown("#networks-section"))
            subprocess.run([PROGRAMS[0], "--home", asker.home, "ptn", "create", "family"], check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
            self.browser.open(f"http://127.0.0.1:{asker.port}/")
            self.wait(lambda: self.browser.shown("#networks-section"))
            self.assertRegex(self.browser.text_of("#networks"), r"family\s+admin\s+valid\s+1\s+free")

    def test_beyond_loopback_it_asks_for_the_key_and_takes_it(self):
        with Scenery(*PROGRAMS) as scenery:
            home = scenery.new_home()
            node = scenery._keep(Process([PROGRAMS[0], "--home", home, "serve", "--relay", "ws://127.0.0.1:1/ws",
                                          "--api", "0.0.0.0:0"]))
            port = re.search(r":(\d+)/", node.ready.split("api=")[1]).group(1)
            with open(os.path.join(home, "api-key")) as f:
                key = f.read().strip()
            self.browser.open(f"http://127.0.0.1:{port}/")
            self.wait(lambda: self.browser.shown("#key-form"))
            self.assertFalse(self.browser.shown("main"))
            for typed, taken in (("wrong", False), (key, True)):
                self.browser.value(f"document.querySelector('#key').value = {typed!r};"
                                   "document.querySelector('#live').textContent = 'asked';"
                                   "document.querySelector('#key-form').requestSubmit()")
                self.wait(lambda: self.browser.text_of("#live") not in ("asked", "connecting"))
                self.assertEqual(self.browser.shown("main"), taken)
                self.assertEqual(self.browser.shown("#key-form"), not taken)


if __name__ == "__main__":
    if not CHROMIUM:
        print("skipped: chromium is not installed")
        sys.exit(77)
    sys.argv[1:] = []
    unittest.main(verbosity=2)
