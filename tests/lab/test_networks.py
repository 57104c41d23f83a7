#!/usr/bin/env python3
"""The story of README.md, "A network of your own": an admin, a provider and a consumer behind NATs of their own,
and an outsider at the same relay, with the real binaries. Exit 77 (skipped) where network namespaces cannot be
made.

    test_networks.py BUILD [NAME]"""
import json
import os
import subprocess
import sys
import time

from direct import Rendezvous
from nat import NatLab
from scene import Node, Programs, question, streamed_text
from suite import run_tests

MODEL, LAB = "parrot", "lab"
PRICE = 40_000  # micro-credits for 1000 tokens
HOMES = {"admin": "portRestricted", "gpu": "restrictedCone", "friend": "portRestricted", "outsider": "fullCone"}


class World:
    """Four people behind routers of these types, and a model server at `gpu`."""

    def __init__(self, lab, programs, parrot=(), relay_extra=(), **settings):
        self.lab = lab
        self.relay = Rendezvous(lab, programs, extra=relay_extra)
        hosts = {name: lab.home(name, kind) for name, kind in HOMES.items()}
        self.parrot = lab.start(hosts["gpu"], [programs.parrot, "--listen", "127.0.0.1:9000", "--model", MODEL, *parrot])
        self.parrot.wait_line("ready ")
        settings = {"nat.stun_servers": "[]", "nat.port_mapping": "false", **settings}
        for name, host in hosts.items():
            shares = name == "gpu"
            node = Node(lab, programs, host, name, self.relay.url, "http://127.0.0.1:9000" if shares else None,
                        ["--private"] if shares else [], settings)
            setattr(self, name, node)
        for name in hosts:
            getattr(self, name).wait_connected()

    def found(self):
        """As the README says it: create, invite, join; once by text, once by a picture."""
        self.ptn = self.admin.json("ptn", "create", LAB)["ptn_id"]
        code = self.admin.command("ptn", "invite", LAB, "--role", "provider").stdout.strip()
        assert code.startswith("teale:inv1:"), code
        assert self.gpu.json("join", code)["role"] == "provider"
        picture = os.path.join(self.lab.dir, "invite.png")
        self.admin.command("ptn", "invite", LAB, "--role", "consumer", "--expires", "24h", "--png", picture)
        assert self.friend.json("join", "--image", picture)["role"] == "consumer"
        self.friend.wait_model(f"{MODEL}@{LAB}")

    def stream(self, node, words, **more):
        """A running `curl` of a scoped question."""
        body = json.dumps(question(f"{MODEL}@{LAB}", words, **more))
        return subprocess.Popen(
            ["ip", "netns", "exec", node.host.ns, "curl", "-sS", "-N", "-m", "60", node.api + "/chat/completions",
             "-H", "Content-Type: application/json", "-d", body], stdout=subprocess.PIPE, text=True)

    def active(self):
        return json.loads(self.lab.run(self.gpu.host, [
            "curl", "-s", "http://127.0.0.1:9000/parrot/stats"]).stdout)["active"]


def _error(node, model, *headers):
    """(status, code, message) of a question that is refused."""
    extra = [word for h in headers for word in ("-H", h)]
    out = node.curl("/chat/completions", question(model, "x"), "-w", "\n%{http_code}", *extra).stdout
    body, status = out.rsplit("\n", 1)
    error = json.loads(body)["error"]
    return int(status), error["code"], error["message"]


def the_story_of_a_network_of_ones_own(lab, programs):
    w = World(lab, programs)
    w.found()
    w.admin.command("ptn", "price", LAB, str(PRICE))
    w.friend.wait("told of the price", lambda: w.friend.json("ptn", "price", LAB)["price_micro"] == PRICE)
    members = {m["node_id"]: m["role"] for m in w.admin.json("ptn", "members", LAB)["members"]}
    assert members == {w.admin.id: "admin", w.gpu.id: "provider", w.friend.id: "consumer"}, members

    # a question reaches the model, and moves to a direct path between the two homes
    out = w.friend.curl("/chat/completions", question(f"{MODEL}@{LAB}", "from me to you"), "-D", "-").stdout
    text, done, _ = streamed_text(out)
    assert done and text == "from me to you", out
    head = out.lower()
    assert f"x-teale-ptn: {w.ptn}" in head and f"x-teale-price: {PRICE}" in head, out
    assert f"x-teale-peer: {w.gpu.id}" in head, out
    w.friend.command("ping", w.gpu.id, "--until-direct", "--timeout", "20s", timeout=40)
    assert w.friend.command("chat", "-m", f"{MODEL}@{LAB}", "by hand").stdout == "by hand\n"

    assert w.friend.command("chat", "members first").stdout == "members first\n"
    key = w.friend.json("ptn", "key", LAB)["key"]
    assert key in w.friend.command("env", "--ptn", LAB).stdout
    out = w.friend.curl("/chat/completions", question(MODEL, "by key"), "-H", f"Authorization: Bearer {key}", "-D", "-").stdout
    assert f"x-teale-ptn: {w.ptn}" in out.lower() and streamed_text(out)[:2] == ("by key", True), out
    first = w.friend.json("why", "--model", MODEL, "--ptn", LAB)["ranking"][0]
    assert (first["node_id"], first["may"], first["price_micro"]) == (w.gpu.id, True, PRICE), first
    offers = [o for m in w.friend.json("models")["models"] if m["id"] == MODEL for o in m["offers"]]
    assert [(o["node_id"], o["ptn_id"], o["price_micro"]) for o in offers] == [(w.gpu.id, w.ptn, PRICE)], offers

    # the outsider at the same relay can do nothing of it
    status, code, _ = _error(w.outsider, MODEL, f"X-Teale-Ask-Peer: {w.gpu.id}")
    assert (status, code) == (403, "forbidden"), (status, code)
    assert _error(w.outsider, f"{MODEL}@{w.ptn}")[:2] == (403, "forbidden")
    assert _error(w.outsider, MODEL)[0] in (403, 404, 503)
    used = w.admin.json("ptn", "invites", LAB)["invites"]
    assert {i["state"] for i in used} == {"used"}, used
    done = w.outsider.command("ptn", "invite", LAB, check=False)
    assert done.returncode == 1, done  # it knows no such network

    # both wallets say the same, and every signature stands
    def both():
        a, b = w.gpu.json("wallet"), w.friend.json("wallet")
        return a["earned_micro"] > 0 and a["balance_micro"] == -b["balance_micro"] and \
            sum(p["unsigned"] for p in a["peers"] + b["peers"]) == 0
    w.gpu.wait("paid", both)
    for node in (w.gpu, w.friend):
        assert node.json("wallet", "audit")["ok"]
    owed = w.gpu.json("wallet")["balance_micro"]
    assert w.gpu.json("wallet", "settle", w.friend.id, str(owed))["state"] == "settled"
    w.friend.wait("settled", lambda: w.friend.json("wallet")["balance_micro"] == 0)

    # the owner takes the machine back, and gives it again
    w.gpu.command("pause")
    assert _error(w.friend, f"{MODEL}@{LAB}")[0] == 503
    w.gpu.command("resume")
    w.friend.wait("served again", lambda: streamed_text(
        w.friend.curl("/chat/completions", question(f"{MODEL}@{LAB}", "back")).stdout)[1])


def a_revoked_laptop_is_out_within_seconds_in_the_middle_of_an_answer(lab, programs):
    w = World(lab, programs, parrot=("--token-ms", "50", "--tokens", "100000"))
    w.found()
    answer = w.stream(w.friend, "x")
    w.gpu.wait("asked", lambda: w.active() == 1)
    time.sleep(1)
    began = time.monotonic()
    told = w.admin.json("ptn", "revoke", LAB, w.friend.id)
    out, _ = answer.communicate(timeout=20)
    took = time.monotonic() - began
    assert took < 5 and "event: error" in out and "[DONE]" not in out, (took, out[-300:])
    w.gpu.wait("free", lambda: w.active() == 0, 5)
    assert told["told"] >= 1, told
    w.friend.wait("revoked", lambda: w.friend.json("ptn", "list")["ptns"][0]["state"] == "revoked", 5)
    assert _error(w.friend, f"{MODEL}@{LAB}")[:2] == (403, "forbidden")
    lab.say(f"ended {took * 1000:.0f} ms after `teale ptn revoke`")


def an_inviter_that_was_away_is_found_when_it_is_back(lab, programs):
    w = World(lab, programs)
    w.admin.command("ptn", "create", LAB)
    code = w.admin.command("ptn", "invite", LAB).stdout.strip()
    assert w.admin.process.stop() == 0
    done = w.friend.command("join", code, "--timeout", "2s", check=False)
    assert done.returncode == 6, done
    assert w.friend.json("ptn", "list")["ptns"][0]["state"] == "joining"
    w.admin.start()
    w.friend.wait("a member", lambda: w.friend.json("ptn", "list")["ptns"][0]["state"] == "valid", 60)


def hidden_members_tell_the_relay_nothing(lab, programs):
    token = os.path.join(lab.dir, "token")
    with open(token, "w", encoding="ascii") as f:
        f.write("operator\n")
    os.chmod(token, 0o600)
    w = World(lab, programs, relay_extra=("--admin-token-file", token), **{"ptn.hide": "true"})
    w.found()
    out = w.friend.curl("/chat/completions", question(f"{MODEL}@{LAB}", "unseen")).stdout
    assert streamed_text(out)[:2] == ("unseen", True), out
    page = w.relay.url.replace("ws://", "http://").replace("/ws", "/peers")
    told = lab.run(w.relay.host, ["curl", "-sS", "-H", "Authorization: Bearer operator", page]).stdout
    tags = [t for p in json.loads(told)["peers"] for t in p.get("ptnIDs", p.get("capabilities", {}).get("ptnIDs", []))]
    assert w.gpu.id in told and w.ptn not in told, told
    assert len(tags) == len(set(tags)), tags
    for seen in (w.outsider.json("peers", "--wan"), w.outsider.json("models")):
        assert w.ptn not in json.dumps(seen), seen


if __name__ == "__main__":
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(sys.argv[1]), workers=2))
