"""netscene.py - a private network on loopback: its admin, a provider with a model server, a consumer, and an
outsider at the same relay."""
import json
import os
import pathlib
import sqlite3

from ptnobjects import Node as Signer
from scenery import Scenery, chat, wait_for

LAB = "lab"
MODEL = "parrot"


def signer_of(node):
    """The node's own key, to sign what the node itself would not."""
    with open(os.path.join(node.home, "wan-identity.key"), "rb") as f:
        return Signer(f.read())


class NetScene(Scenery):
    """`relay` may be a URL in place of ours. The networks' members share with their networks alone."""

    def people(self, relay=None, provider=(), model_server=None, **settings):
        """admin, provider, consumer, outsider; they know each other's network not yet."""
        self.at = relay or self.relay()
        self.settings = settings
        self.model_url = model_server or self.parrot("--model", MODEL).url
        self.admin, self.consumer, self.outsider = self.person(), self.person(), self.person()
        self.provider = self.person("--share", self.model_url, "--private", *provider)

    def person(self, *args, home=None, **settings):
        new = home is None
        home = home or self.new_home()
        if new and (self.settings or settings):
            self.config(home, **{**self.settings, **settings})
        return self.node(self.at, *args, home=home)

    def again(self, node, *args):
        """The same node, started again."""
        if node.popen.poll() is None:
            node.end()
        return self.node(self.at, *args, home=node.home)

    def found(self, *invites):
        """The network, with its provider and its consumer in it."""
        self.ptn = self.admin.json("ptn", "create", LAB)["ptn_id"]
        self.join(self.provider, "provider")
        self.join(self.consumer, "consumer")

    def invite(self, *args, by=None, network=LAB):
        """The code."""
        return (by or self.admin).command("ptn", "invite", network, *args).stdout.strip()

    def join(self, node, role="consumer", *args):
        joined = node.json("join", self.invite("--role", role, *args))
        assert joined["state"] == "joined" and joined["role"] == role, joined
        return joined

    def knows_model(self, node, model=MODEL, network=LAB):
        """Waits until the node would ask somebody of the network."""
        wait_for(lambda: f"{model}@{network}" in [m["id"] for m in node.get_json("/v1/models")["data"]])


def network(node, name=LAB):
    """The PTN of `ptn list`, or None."""
    return next((n for n in node.json("ptn", "list")["ptns"] if n["name"] == name), None)


def refusal(node, *args, code):
    """E_CODE of a command that is refused with this exit code, and its whole line."""
    done = node.command(*args, code=code)
    line = next((l for l in done.stderr.splitlines() if "E_" in l), done.stderr)
    assert done.stdout == "", done
    return line


def error_of(answer):
    """(status, code, message) of an answer that is an error."""
    status, _, body = answer
    error = json.loads(body)["error"]
    return status, error["code"], error["message"]


def ask(node, words="a word or two", model=f"{MODEL}@{LAB}", headers=None, **more):
    return node.post(chat(model, words, **more), headers)


def open_stream(node, model=f"{MODEL}@{LAB}", words="x", headers=None, **more):
    """(connection, response) of an answer that has begun."""
    c, r = node.request("POST", "/v1/chat/completions", json.dumps(chat(model, words, **more)).encode(),
                        {"Content-Type": "application/json", **(headers or {})}, timeout=60)
    assert r.status == 200, (r.status, r.read())
    r.read(10)
    return c, r


def database(node):
    return os.path.join(node.home, "teale.db")


def database_files(node):
    """name → bytes, of the database and what lies beside it."""
    files = [f for f in pathlib.Path(node.home).iterdir() if f.name.startswith("teale.db")]
    return {f.name: f.read_bytes() for f in files}


def put_back(node, files):
    for name in database_files(node):
        os.unlink(os.path.join(node.home, name))
    for name, raw in files.items():
        fd = os.open(os.path.join(node.home, name), os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
        os.write(fd, raw)
        os.close(fd)


def set_version(node, version):
    with sqlite3.connect(database(node)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    db.close()
