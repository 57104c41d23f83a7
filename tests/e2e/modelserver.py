#!/usr/bin/env python3
"""modelserver.py [MODEL...]: a model server for what the parrot does not speak: sound, pictures, answers
(/v1/responses) and ranks. What it answers proves which bytes reached it: their SHA-256 is in it. Run as a program
it prints `ready URL` and serves until it is ended; imported, ModelServer does the same in a thread."""
import base64
import hashlib
import http.server
import json
import sys
import threading

SOUND = bytes(range(256)) * 64
VTT = b"WEBVTT\n\n00:00.000 --> 00:01.000\nsquawk\n"


def events(*pairs):
    return [f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in pairs]


def response(digest, status):
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "m", "output": [
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": digest, "annotations": []}]}],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def whole(self, body, status=200, kind="application/json", headers=()):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw)

    def pieces(self, kind, pieces):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for i, piece in enumerate(pieces):
            if i:
                self.server.model.gate.wait(20)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def do_GET(self):
        if self.path == "/v1/models":
            self.whole({"object": "list", "data": [{"id": m, "object": "model", "owned_by": "me-too"}
                                                   for m in self.server.model.models]})
        else:
            self.whole({"error": "no such page"}, 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        model = self.server.model
        model.asked.append((self.path, self.headers["Content-Type"], body))
        digest = hashlib.sha256(body).hexdigest()
        if model.answer:
            model.answer(self, body)
        elif self.path == "/v1/audio/speech":
            self.pieces("audio/mpeg", [SOUND[i:i + 4096] for i in range(0, len(SOUND), 4096)])
        elif self.path.startswith("/v1/audio/"):
            if b"\r\n\r\nvtt\r\n" in body:
                self.whole(VTT, kind="text/vtt")
            else:
                self.whole({"text": digest})
        elif self.path.startswith("/v1/images/"):
            self.whole({"created": 1, "data": [{"b64_json": base64.b64encode(digest.encode()).decode()}]})
        elif self.path == "/v1/responses":
            if json.loads(body).get("stream"):
                self.pieces("text/event-stream", events(
                    ("response.output_text.delta", {
                        "type": "response.output_text.delta", "delta": digest, "item_id": "msg_1", "output_index": 0,
                        "content_index": 0, "sequence_number": 1, "logprobs": []}),
                    ("response.completed", {"type": "response.completed", "sequence_number": 2,
                                            "response": response(digest, "completed")})))
            else:
                self.whole(response(digest, "completed"))
        elif self.path in ("/rerank", "/v1/rerank"):
            self.whole({"results": [{"index": 0, "relevance_score": 0.5}], "id": digest})
        else:
            self.whole({"error": {"message": f"nothing at {self.path}", "code": "not_found"}}, 404)


class ModelServer:
    """answer(handler, body) answers in place of the above; while `gate` is clear, streams wait
    behind their first piece."""

    def __init__(self, *models, answer=None):
        self.models, self.asked, self.answer = list(models), [], answer
        self.gate = threading.Event()
        self.gate.set()
        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.httpd.model = self
        self.url = "http://127.0.0.1:%d" % self.httpd.server_address[1]
        threading.Thread(target=self.httpd.serve_forever, daemon=True).start()

    def end(self):
        self.gate.set()
        self.httpd.shutdown()
        self.httpd.server_close()


if __name__ == "__main__":
    print("ready", ModelServer(*(sys.argv[1:] or ["m"])).url, flush=True)
    threading.Event().wait()
