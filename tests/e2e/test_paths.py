#!/usr/bin/env python3
"""test_paths.py TEALE TEALE-RELAY PARROT: everything that is passed on to a model server, on this machine and at a
peer: JSON and forms with files go there byte for byte, whole answers, streams and sound come back."""
import hashlib
import http.client
import json
import os
import sys
import unittest

from modelserver import SOUND, VTT, ModelServer
from scenery import Scenery, wait_for

PROGRAMS = [os.path.abspath(p) for p in sys.argv[1:4]]
BOUNDARY = "------------------------0123456789abcdef"
WAV = b"RIFF\r\n--------------------------0123456789abcde\r\n\0\xff\n" * 1000


def form(*fields):
    """(content type, body); a field is (name, value) or (name, file name, bytes)."""
    out = b""
    for name, *rest in fields:
        out += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if len(rest) == 2:
            out += f'; filename="{rest[0]}"\r\nContent-Type: audio/wav'.encode()
        out += b"\r\n\r\n" + (rest[-1] if isinstance(rest[-1], bytes) else rest[-1].encode()) + b"\r\n"
    return f"multipart/form-data; boundary={BOUNDARY}", out + f"--{BOUNDARY}--\r\n".encode()


def sha(body):
    return hashlib.sha256(body).hexdigest()


class Paths(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = ModelServer("m", "whisper:latest")
        cls.scenery = Scenery(*PROGRAMS)
        cls.scenery.__enter__()
        relay = cls.scenery.relay()
        cls.provider = cls.scenery.node(relay, "--share", cls.model.url)
        wait_for(lambda: cls.provider.status()["backend"]["state"] == "up")
        cls.asker = cls.scenery.node(relay)
        wait_for(lambda: any(m["id"] == "m" for m in cls.asker.get_json("/v1/models")["data"]))
        cls.nodes = {"local": cls.provider, "relayed": cls.asker}

    @classmethod
    def tearDownClass(cls):
        cls.scenery.__exit__(None, None, None)
        cls.model.end()

    def setUp(self):
        self.model.answer = None
        self.model.asked.clear()

    def post(self, node, path, body, kind="application/json", **headers):
        c, r = node.request("POST", path, body, {"Content-Type": kind, **headers})
        answer = r.status, dict(r.getheaders()), r.read()
        c.close()
        return answer

    def on_both(self):
        for way, node in self.nodes.items():
            with self.subTest(way=way):
                yield way, node

    def test_json_goes_there_byte_for_byte_on_every_path(self):
        body = b' {"model":"m", "input":"\\u00e4", "x":1.50}\n'
        for way, node in self.on_both():
            for path in ("/v1/responses", "/v1/images/generations", "/v1/images/edits", "/v1/rerank", "/rerank"):
                status, headers, answer = self.post(node, path, body)
                self.assertEqual((status, self.model.asked[-1]), (200, (path, "application/json", body)), answer)
                self.assertEqual(headers["X-Teale-Path"], way)
                self.assertEqual(headers["Content-Type"], "application/json")

    def test_a_form_with_a_file_goes_there_byte_for_byte(self):
        kind, body = form(("file", "a.wav", WAV), ("model", "m"), ("response_format", "json"))
        for _, node in self.on_both():
            for path in ("/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits",
                         "/v1/images/variations"):
                status, _, answer = self.post(node, path, body, kind)
                self.assertEqual((status, self.model.asked[-1]), (200, (path, kind, body)), answer)

    def test_only_the_models_name_changes_in_a_form(self):
        for asked, listed in (("teale-auto", "m"), ("whisper", "whisper:latest")):
            kind, body = form(("model", asked), ("file", "teale-auto", WAV))
            _, expected = form(("model", listed), ("file", "teale-auto", WAV))
            for _, node in self.on_both():
                status, _, answer = self.post(node, "/v1/audio/transcriptions", body, kind)
                self.assertEqual(status, 200)
                self.assertEqual(json.loads(answer)["text"], sha(expected))

    def test_sound_of_25_mb_passes_and_a_body_over_26_mib_is_413(self):
        for size, expected in ((25_000_000, 200), (25 << 20, 200), (26 << 20, 413)):
            kind, body = form(("model", "m"), ("file", "a.wav", b"\0" * size))
            for _, node in self.on_both():
                status, _, answer = self.post(node, "/v1/audio/transcriptions", body, kind)
                self.assertEqual(status, expected, answer)
                if status == 200:
                    self.assertEqual(json.loads(answer)["text"], sha(body))

    def test_sound_comes_back_as_it_is_made(self):
        for _, node in self.on_both():
            self.model.gate.clear()
            self.addCleanup(self.model.gate.set)
            c = http.client.HTTPConnection("127.0.0.1", node.port, timeout=10)
            c.request("POST", "/v1/audio/speech", b'{"model":"m","input":"hi","voice":"alloy"}',
                      {"Content-Type": "application/json"})
            r = c.getresponse()
            self.assertEqual((r.status, r.getheader("Content-Type")), (200, "audio/mpeg"))
            self.assertEqual(r.read(4096), SOUND[:4096])  # while the model server has no more
            self.model.gate.set()
            self.assertEqual(r.read(), SOUND[4096:])
            c.close()

    def test_other_answers_have_their_type(self):
        kind, body = form(("model", "m"), ("response_format", "vtt"), ("file", "a.wav", b"x"))
        for _, node in self.on_both():
            status, headers, answer = self.post(node, "/v1/audio/transcriptions", body, kind)
            self.assertEqual((status, headers["Content-Type"], answer), (200, "text/vtt", VTT))

    def test_responses_stream(self):
        for _, node in self.on_both():
            body = b'{"model":"m","input":"x","stream":true}'
            status, headers, answer = self.post(node, "/v1/responses", body)
            self.assertEqual((status, headers["Content-Type"]), (200, "text/event-stream"))
            self.assertIn(b"event: response.completed\n", answer)
            self.assertIn(sha(body).encode(), answer)

    def test_what_the_model_server_does_not_have_is_its_own_404(self):
        self.model.answer = lambda h, body: h.whole(b"404 page not found", 404, "text/plain")
        status, headers, answer = self.post(self.provider, "/v1/audio/speech", b'{"model":"m"}')
        self.assertEqual((status, answer), (404, b"404 page not found"))
        status, headers, answer = self.post(self.asker, "/v1/audio/speech", b'{"model":"m"}')
        self.assertEqual((status, headers["X-Teale-Peer"]), (404, self.provider.id))
        self.assertRegex(json.loads(answer)["error"]["message"],
                         "^the model server of peer .*%s.* answers with status 404" % self.provider.id[:16])

    def test_a_peers_failure_is_told_as_its_own(self):
        self.model.answer = lambda h, body: h.whole({"error": {"message": "wrong key"}}, 401)
        status, _, answer = self.post(self.asker, "/v1/rerank", b'{"model":"m"}')
        error = json.loads(answer)["error"]
        self.assertEqual((status, error["code"]), (502, "backend_auth"))
        self.assertRegex(error["message"], "^the model server of peer .*%s.* refuses its key" % self.provider.id[:16])
        status, _, answer = self.post(self.provider, "/v1/rerank", b'{"model":"m"}')
        self.assertRegex(json.loads(answer)["error"]["message"], "^the model server refuses its key")

    def test_a_wrong_body_is_refused_and_its_twin_passes(self):
        kind, good = form(("model", "m"), ("file", "a.wav", b"x"))
        rows = [
            (kind, good, 200, None),
            (kind, good[:-6], 400, "invalid_form"),
            (kind, good.replace(b"\r\n", b"\n"), 400, "invalid_form"),
            (kind.replace("boundary=-", "boundary=x"), good, 400, "invalid_form"),
            ("multipart/form-data", good, 400, "invalid_form"),
            (kind, form(("file", "a.wav", b"x"))[1], 400, "missing_required_parameter"),
            (kind, form(("model", ""))[1], 400, "invalid_value"),
            (kind, form(("model", "m"), ("model", "m"))[1], 400, "invalid_value"),
            (kind, form(("model", "m.txt", b"m"))[1], 400, "invalid_value"),
            (kind, form(("model", "a\r\nb"))[1], 400, "invalid_value"),
            ("application/json", b'{"model":"m"}', 415, "unsupported_media_type"),
            (kind + ";" + "x" * 128, good, 415, "unsupported_media_type"),
        ]
        for kind, body, expected, code in rows:
            status, _, answer = self.post(self.provider, "/v1/audio/transcriptions", body, kind)
            self.assertEqual(status, expected, answer)
            if code:
                self.assertEqual(json.loads(answer)["error"]["code"], code)
        status, _, answer = self.post(self.provider, "/v1/chat/completions", good, rows[0][0])
        self.assertEqual((status, json.loads(answer)["error"]["code"]), (415, "unsupported_media_type"))

    def test_nothing_else_of_the_model_server_is_reached(self):
        for _, node in self.on_both():
            for path in ("/api/pull", "/api/delete", "/v1/responses/resp_1", "/v1/files", "/v1/audio", "/slots"):
                self.assertEqual(self.post(node, path, b'{"model":"m"}')[0], 404)
        self.assertEqual(self.model.asked, [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
