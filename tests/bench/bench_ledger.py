"""What `make bench` measures of the ledger: the real programs on loopback over a direct path, the model server asked
without them, through a stranger's node (no price), and through a member's (a price), one behind the other in turn.
Then what the books cost when the answers are over: processor time of the store's thread, and commits, for a
question. The store's thread is the one of the process that began last."""
import http.client
import json
import os
import pathlib
import re
import socket
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))
from netscene import LAB, MODEL, NetScene  # noqa: E402
from scenery import chat, wait_for  # noqa: E402

PRICE = 1000  # micro-credits for 1000 tokens
TURNS = 400
PAUSE = 0.02  # seconds between two questions: the books of one are done beside the next
ALONE = 300  # questions of one kind, for its processor time


class Client:
    def __init__(self, port, model):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.body = json.dumps(chat(model, "one two three"))

    def ask(self):
        """Seconds to the first bytes of the answer's body."""
        started = time.perf_counter()
        self.connection.request("POST", "/v1/chat/completions", self.body, {"Content-Type": "application/json"})
        response = self.connection.getresponse()
        begin = response.read1(65536)
        took = time.perf_counter() - started
        if response.status != 200 or b"[DONE]" not in begin[-300:] + response.read():
            raise SystemExit("bench: the answer is not whole")
        return took


def thread_times(node):
    """Seconds of processor time: the loop's thread, the store's."""
    tasks = pathlib.Path(f"/proc/{node.popen.pid}/task")
    times = {int(t.name): int((t / "schedstat").read_text().split()[0]) / 1e9 for t in tasks.iterdir()}
    return times[node.popen.pid], times[max(times)]


def commits(node):
    return int(pathlib.Path(node.home, "teale.db.mark").read_text().split()[-1])


def cost(client, nodes):
    """For each node: microseconds of its loop and of its store, and commits, for a question."""
    before = [(*thread_times(n), commits(n)) for n in nodes]
    for _ in range(ALONE):
        client.ask()
        time.sleep(PAUSE)
    time.sleep(0.5)
    after = [(*thread_times(n), commits(n)) for n in nodes]
    return [[(y - x) / ALONE for x, y in zip(b, a)] for b, a in zip(before, after)]


def scene(programs):
    s = NetScene(*programs)
    s.at, s.settings = s.relay(), {}
    server = s.parrot("--model", MODEL)
    s.admin, s.consumer, s.stranger = s.person(), s.person(), s.person()
    s.provider = s.person("--share", server.url)
    s.found()
    s.admin.json("ptn", "price", LAB, str(PRICE))
    for node in (s.provider, s.consumer):
        wait_for(lambda n=node: n.json("ptn", "price", LAB)["price_micro"] == PRICE)
    s.knows_model(s.consumer)
    wait_for(lambda: MODEL in [m["id"] for m in s.stranger.get_json("/v1/models")["data"]])
    return s, int(re.search(r":(\d+)", server.url.split("//")[1])[1])


def measure(programs, row):
    s, port = scene([os.path.abspath(str(p)) for p in (programs.teale, programs.relay, programs.parrot)])
    try:
        kinds = {"the model server itself": Client(port, MODEL), "a stranger's, free": Client(s.stranger.port, MODEL),
                 "a member's, paid": Client(s.consumer.port, f"{MODEL}@{LAB}")}
        for client in kinds.values():
            for _ in range(20):
                client.ask()
        samples = {name: [] for name in kinds}
        for _ in range(TURNS):
            for name, client in kinds.items():
                samples[name].append(client.ask())
                time.sleep(PAUSE)
        first = {name: [q * 1e6 for q in statistics.quantiles(taken)] for name, taken in samples.items()}
        base = first.pop("the model server itself")
        for name, q in first.items():
            row(f"first token of a question through two nodes, {name}", f"{q[1]:.0f} us", "",
                f"lower quartile {q[0]:.0f} us; the model server itself {base[1]:.0f} us, lower quartile {base[0]:.0f}; "
                f"{TURNS} each in turn")
        for name, asker in (("a stranger's, free", s.stranger), ("a member's, paid", s.consumer)):
            costs = cost(kinds[name], (s.provider, asker))
            row(f"the books of a question, {name}", "; ".join(
                f"{who}: store's thread {c[1] * 1e6:.0f} us, {c[2]:.2f} commits" for who, c in zip(("provider", "asker"), costs)),
                "store's thread ≤ 250 us, ≤ 1 commit" if "free" in name else "",
                "; ".join(f"{who}'s loop {c[0] * 1e6:.0f} us" for who, c in zip(("provider", "asker"), costs)))
    finally:
        s.__exit__(None, None, None)
