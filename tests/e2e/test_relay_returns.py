#!/usr/bin/env python3
"""test_relay_returns.py TEALE TEALE-RELAY PARROT [ROUNDS [SECONDS_AWAY [EVERY]]]: a relay that is killed and
comes back, again and again, under answers that have no other way. Every answer is whole, over the same QUIC connection."""
import json
import os
import re
import signal
import sys
import time
import threading
import unittest

from scenery import Scenery, chat, wait_for, words_of

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
ROUNDS = int(sys.argv[4]) if len(sys.argv) > 4 else 3
AWAY = float(sys.argv[5]) if len(sys.argv) > 5 else 0.7
EVERY = float(sys.argv[6]) if len(sys.argv) > 6 else 4  # seconds from kill to kill
AGAIN = 2.5  # both nodes dial every second, and the session is asked for again; and the machine's share


class Answer(threading.Thread):
    """A question whose answer takes `seconds`; what came of it, and the longest silence."""

    def __init__(self, asker, seconds, per_second=20):
        super().__init__()
        self.asker, self.words = asker, " ".join(f"w{i}" for i in range(int(seconds * per_second)))
        self.raw, self.silence = b"", 0
        self.start()

    def run(self):
        connection, response = self.asker.request("POST", "/v1/chat/completions", json.dumps(chat("parrot", self.words)),
                                                  {"Content-Type": "application/json"}, timeout=60)
        last = time.monotonic()
        while piece := response.read1(1 << 16):
            self.silence = max(self.silence, time.monotonic() - last)
            last = time.monotonic()
            self.raw += piece
        connection.close()

    def is_whole(self):
        self.join(90)
        return not self.is_alive() and words_of(self.raw) == self.words and self.raw.endswith(b"data: [DONE]\n\n")


class RelayReturns(unittest.TestCase):
    def setUp(self):
        self.scenery = Scenery(*PROGRAMS).__enter__()
        self.addCleanup(self.scenery.__exit__, None)
        self.relay = self.scenery.relay()
        parrot = self.scenery.parrot("--model", "parrot", "--token-ms", "50")
        self.provider = self.scenery.node(self.relay, "--share", parrot.url)
        self.asker = self.scenery.node(self.relay)
        wait_for(lambda: self.asker.post(chat("parrot", "a"))[0] == 200)


    def dialled(self):
        """How many QUIC connections the asker has made."""
        connection, response = self.asker.request("GET", "/metrics")
        text = response.read().decode()
        connection.close()
        return int(re.search(r'teale_connections_total\{role="dialled"\} (\d+)', text)[1])

    def restart(self, away):
        self.relay.kill()
        self.relay.popen.wait()
        time.sleep(away)
        self.relay = self.scenery.relay(port=self.relay.port)

    def test_answers_outlive_a_relay_that_is_killed_again_and_again(self):
        answer = Answer(self.asker, ROUNDS * EVERY + 2)
        for _ in range(ROUNDS):
            time.sleep(max(1, EVERY - AWAY))
            self.restart(AWAY)
        self.assertTrue(answer.is_whole(), answer.raw[-300:])
        self.assertEqual(self.dialled(), 1)
        print(f"killed {ROUNDS} times, {AWAY} s away: longest silence {answer.silence:.1f} s", flush=True)
        self.assertLess(answer.silence, AWAY + AGAIN)

    def test_an_answer_outlives_a_relay_that_is_mute_for_eight_seconds(self):
        answer = Answer(self.asker, 11)
        time.sleep(2)
        self.relay.kill(signal.SIGSTOP)
        time.sleep(8)
        self.relay.kill(signal.SIGCONT)
        self.assertTrue(answer.is_whole(), answer.raw[-300:])
        self.assertEqual(self.dialled(), 1)
        print(f"mute for 8 s: longest silence {answer.silence:.1f} s", flush=True)


if __name__ == "__main__":
    sys.argv[1:] = []
    unittest.main(verbosity=2)
