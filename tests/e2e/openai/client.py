"""client.py BASE_URL API_KEY PARROT_URL SECOND_URL: the official PyPI client against a node that shares the parrot,
and a second one that shares modelserver.py.
Every check is of what a program sees; nothing of the client is changed or configured but its address, its
key and its retries."""
import json
import sys
import threading
import time
import unittest
import urllib.request

import openai

BASE_URL, API_KEY, PARROT_URL, SECOND_URL = sys.argv[1:5]
WORDS = "one two three four five six seven eight nine ten"
TOOLS = [{"type": "function", "function": {
    "name": "say", "description": "Says it",
    "parameters": {"type": "object", "properties": {"said": {"type": "string"}}, "required": ["said"]}}}]


def stats():
    return json.load(urllib.request.urlopen(PARROT_URL + "/parrot/stats"))


def text_of(stream):
    return "".join(c.choices[0].delta.content or "" for c in stream if c.choices)


class OfficialClient(unittest.TestCase):
    def setUp(self):
        self.client = openai.OpenAI(base_url=BASE_URL, api_key=API_KEY, max_retries=0)

    def tearDown(self):
        self.client.close()

    def ask(self, content=WORDS, model="parrot", **more):
        return self.client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": content}], **more)

    def test_models_are_listed_and_one_is_retrieved(self):
        ids = [m.id for m in self.client.models.list()]
        self.assertIn("parrot", ids)
        self.assertIn("teale-auto", ids)
        self.assertEqual(self.client.models.retrieve("fail:status-429").object, "model")

    def test_a_whole_answer(self):
        answer = self.ask()
        self.assertEqual(answer.choices[0].message.content, WORDS)
        self.assertEqual(answer.usage.completion_tokens, 10)

    def test_the_headers_tell_who_answered(self):
        raw = self.client.chat.completions.with_raw_response.create(
            model="parrot", messages=[{"role": "user", "content": "hi"}])
        self.assertRegex(raw.headers["x-teale-peer"], "^[0-9a-f]{64}$")
        self.assertEqual(raw.headers["x-teale-path"], "local")

    def test_a_streamed_answer_chunk_by_chunk(self):
        chunks = list(self.ask(stream=True, stream_options={"include_usage": True}))
        self.assertEqual(text_of(chunks), WORDS)
        self.assertGreaterEqual(len(chunks), 10)
        self.assertEqual(chunks[-1].usage.completion_tokens, 10)

    def test_tools_go_there_and_calls_come_back_whole_and_streamed(self):
        answer = self.ask(model="tool-call", tools=TOOLS, tool_choice="auto")
        call = answer.choices[0].message.tool_calls[0]
        self.assertEqual(call.function.name, "say")
        self.assertEqual(json.loads(call.function.arguments), {"said": "squawk"})
        called = [t.function.name for c in self.ask(model="tool-call", tools=TOOLS, stream=True)
                  if c.choices for t in c.choices[0].delta.tool_calls or []]
        self.assertEqual(called, ["say"])

    def test_an_unknown_model_is_not_found(self):
        with self.assertRaises(openai.NotFoundError) as caught:
            self.ask(model="no-such-model")
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("no-such-model")

    def test_failures_have_their_classes(self):
        for model, cls in (("fail:status-400", openai.BadRequestError), ("fail:status-429", openai.RateLimitError),
                           ("fail:status-503", openai.InternalServerError)):
            with self.assertRaises(cls, msg=model):
                self.ask(model=model)

    def test_a_stream_that_breaks_off_raises_after_what_had_come(self):
        text = ""
        with self.assertRaises(openai.APIError):
            for chunk in self.ask(model="fail:close-mid", stream=True):
                text += chunk.choices[0].delta.content or ""
        self.assertTrue(text and WORDS.startswith(text) and text != WORDS, text)

    def test_a_closed_stream_is_cancelled_at_the_model_server(self):
        before = stats()["cancelled"]
        stream = self.ask(model="fail:stall", stream=True)
        for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        stream.close()
        self.client.close()
        closed = time.time() * 1000
        while stats()["cancelled"] == before:
            self.assertLess(time.time() * 1000 - closed, 5000, "never cancelled")
            time.sleep(0.005)
        took = stats()["last_cancel_unix_ms"] - closed
        self.assertLess(took, 1000)
        print(f"cancelled {took:.0f} ms after the close", file=sys.stderr)

    def test_fifty_streams_at_once(self):
        wrong = []

        def one(i):
            text = text_of(self.ask(f"stream {i}", stream=True))
            if text != f"stream {i}":
                wrong.append(text)
        threads = [threading.Thread(target=one, args=(i,)) for i in range(50)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


class MoreThanChat(unittest.TestCase):
    """Of the answers of modelserver.py only the hash of what reached it matters."""

    def setUp(self):
        self.client = openai.OpenAI(base_url=SECOND_URL, api_key="any-key-will-do-on-loopback", max_retries=0)

    def tearDown(self):
        self.client.close()

    def test_speech_is_read_whole_and_piece_by_piece(self):
        sound = bytes(range(256)) * 64
        asked = dict(model="m", voice="alloy", input="hi")
        self.assertEqual(self.client.audio.speech.create(**asked).content, sound)
        with self.client.audio.speech.with_streaming_response.create(**asked) as answer:
            self.assertEqual(answer.headers["content-type"], "audio/mpeg")
            self.assertEqual(b"".join(answer.iter_bytes()), sound)

    def test_a_sound_of_25_mb_is_transcribed(self):
        said = self.client.audio.transcriptions.create(model="m", file=("a.wav", b"RIFF" * 6_250_000))
        self.assertRegex(said.text, "^[0-9a-f]{64}$")
        self.assertRegex(self.client.audio.translations.create(model="m", file=("a.wav", b"RIFF")).text, "^[0-9a-f]{64}$")

    def test_pictures_are_made_and_edited(self):
        self.assertTrue(self.client.images.generate(model="m", prompt="x").data[0].b64_json)
        png = ("a.png", b"\x89PNG\r\n\x1a\n", "image/png")
        self.assertTrue(self.client.images.edit(model="m", image=png, prompt="x").data[0].b64_json)

    def test_responses_are_whole_and_streamed(self):
        self.assertRegex(self.client.responses.create(model="m", input="x").output_text, "^[0-9a-f]{64}$")
        kinds = [e.type for e in self.client.responses.create(model="m", input="x", stream=True)]
        self.assertEqual(kinds, ["response.output_text.delta", "response.completed"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
