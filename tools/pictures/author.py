"""author.py PORT MODEL...: a model server that says what is written here, a few letters at a time, as a model would."""
import http.server
import json
import sys
import time

SAYS = """Sunlight is a mixture of all colours, and air scatters short waves far more than long ones: the strength goes with \
the **fourth power** of the frequency (Rayleigh scattering).

| colour | wavelength | scattered, red = 1 |
|---|--:|--:|
| red | 650 nm | 1.0 |
| green | 530 nm | 2.3 |
| blue | 450 nm | 4.4 |

So blue reaches your eye from every direction. It would be violet, but the sun sends less of it, some is absorbed high up, \
and our eyes see it worse.

```python
def scattered(nm, red=650):
    return (red / nm) ** 4
```
"""


class Author(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.whole({"object": "list", "data": [{"id": m, "object": "model", "owned_by": "library"} for m in sys.argv[2:]]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not asked.get("stream"):
            message = {"role": "assistant", "content": SAYS}
            return self.whole({"object": "chat.completion", "model": asked["model"], "choices": [
                {"index": 0, "message": message, "finish_reason": "stop"}]})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for i in range(0, len(SAYS), 6):
            self.part(asked["model"], {"content": SAYS[i:i + 6]}, None)
            time.sleep(0.02)
        self.part(asked["model"], {}, "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def part(self, model, delta, reason):
        body = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model,
                "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        self.wfile.write(b"data: " + json.dumps(body).encode() + b"\n\n")
        self.wfile.flush()

    def whole(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Author)
print("ready", flush=True)
server.serve_forever()
