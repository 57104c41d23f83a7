#!/usr/bin/env python3
"""Nodes that no relay knows reach each other: a third node with a public address introduces them (nat.introducers), or
one of them has a public address itself. With the real binaries; also what strangers try at an introducer and at a node
that lets itself be introduced, each beside its accepted twin. Prints how long an introduction takes.

    test_introduced.py BUILD [NAME]"""
import os
import select
import sys
import time

from direct import Peer, Rendezvous, Stream, tell
from lab import LabError
from nat import NatLab
from netns import udp_socket
from scene import Programs
from suite import run_tests

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import controlmsg  # noqa: E402
import ed25519  # noqa: E402

MS = 10  # one way, between any two hosts
WITHIN_MS = 1.5 * 2 * MS + 100  # 1.5 round trips, and what a machine may take that does other things as well


class Public(Peer):
    """A node with a public address, which introduces others."""

    def introducing(self):
        self.node.wait("introduces", lambda: self.node.json("status")["introducing"]["state"] == "serving", 30)
        return self.node.json("status")["introducing"]["addresses"][0]

    @property
    def name_at(self):
        return f"{self.id}@{self.introducing()}"


class Scene:
    """`carol` is public; `gpu` and `friend` are behind NATs, and know carol. No node has a relay; one more host
    answers STUN."""

    def __init__(self, lab, programs, build, kinds=("portRestricted", "portRestricted"), known=("gpu", "friend"),
                 parrot=()):
        self.lab, self.programs = lab, programs
        self.stun = Rendezvous(lab, programs, name="stun")
        self.servers = {"nat.stun_servers": '["%s:3478"]' % self.stun.addresses[0], "dht.enabled": "false"}
        self.carol_host = lab.host("carol")
        hosts = {name: lab.home(name, kind, "random") for name, kind in zip(("gpu", "friend"), kinds)}
        lab.delay(build, MS)
        self.carol = Public(lab, programs, self.carol_host, "carol", None, settings=self.servers)
        self.carol.start()
        given = {"nat.introducers": '["%s"]' % self.carol.name_at}
        self.gpu, self.friend = (
            Peer(lab, programs, hosts[name], name, None, parrot=parrot if name == "gpu" else (),
                 settings={**self.servers, **(given if name in known else {})}) for name in ("gpu", "friend"))
        self.all = [self.carol, self.gpu, self.friend]
        for p in (self.gpu, self.friend):
            p.start()
        self.kinds = {self.gpu: kinds[0], self.friend: kinds[1]}
        for p in (self.gpu, self.friend):
            self.wait_ready(p, p.name in known)

    def wait_ready(self, p, attaches=True):
        p.node.wait("sure of its NAT", lambda: p.node.json("status")["nat"]["type"] == self.kinds[p], 30)
        if attaches:
            p.node.wait("attached", lambda: [b["node_id"] for b in p.node.json("status")["introducing"]["by"]]
                        == [self.carol.id], 30)

    def ping(self, a=None, b=None, timeout=10):
        ok, text = (a or self.friend).ping_until_direct(b or self.gpu, timeout)
        if not ok:
            raise LabError(f"not direct: {text}\n{tell(self.all)}")

    def took_ms(self, a=None, b=None):
        """From the PunchIntro to the first answer of a check."""
        why = (a or self.friend).node.json("why", (b or self.gpu).id)
        return why["attempt"]["first_answer_ms"]

    def metric(self, peer, name):
        for line in peer.metrics():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return 0.0

    def count(self, initiator, target, nats):
        """Both have counted what the first began, by these two NATs, and nothing else."""
        for peer in (initiator, target):
            for what in ("attempts", "successes"):
                peer.node.wait(f"{what} by {nats} alone", lambda p=peer, w=what: set(p.punches(w)) == {nats}, 5)

    def reach_in_time(self):
        """friend asks for gpu. Other things that run on this machine may take its time, so it has three tries."""
        all_ms = []
        for n in range(3):
            if n:
                self.friend.stop()
                self.friend.start()
                self.wait_ready(self.friend)
            self.ping()
            all_ms.append(self.took_ms())
            if all_ms[-1] <= WITHIN_MS:
                break
        took = " ms, ".join(f"{ms:.0f}" for ms in all_ms)
        self.lab.say(f"introduced in {took} ms, at most {WITHIN_MS:.0f} ms are allowed ({MS} ms one way)")
        if min(all_ms) > WITHIN_MS:
            raise LabError(f"{took} ms, {WITHIN_MS} ms are allowed\n{tell(self.all)}")


def two_nodes_behind_nats_are_introduced_and_ask(lab, programs, build):
    scene = Scene(lab, programs, build)
    scene.reach_in_time()
    first, path, whole = scene.friend.ask(scene.gpu)
    if path != "direct" or not whole:
        raise LabError(f"{path} {whole}\n{tell(scene.all)}")
    assert scene.metric(scene.carol, 'teale_introductions_total{result="taken"}') >= 1
    assert scene.metric(scene.carol, 'teale_introductions_total{result="answered"}') >= 1
    scene.count(scene.friend, scene.gpu, ("Cone", "Cone"))
    assert "introduced" in scene.friend.why(scene.gpu), scene.friend.why(scene.gpu)
    assert "introduc" in scene.gpu.node.command("status").stdout


def a_public_node_is_reached_without_anybody_else(lab, programs, build):
    scene = Scene(lab, programs, build)
    scene.ping(scene.friend, scene.carol)
    _, path, whole = scene.friend.ask(scene.carol)
    if path != "direct" or not whole:
        raise LabError(f"{path} {whole}\n{tell(scene.all)}")
    scene.count(scene.friend, scene.carol, ("Cone", "Public"))


def who_introduces_reaches_those_attached_to_it(lab, programs, build):
    """carol alone knows where they are: to each of them there is no other introducer."""
    scene = Scene(lab, programs, build, kinds=("portRestricted", "symmetric"))
    scene.ping(scene.carol, scene.gpu)
    scene.count(scene.carol, scene.gpu, ("Public", "Cone"))
    scene.ping(scene.carol, scene.friend)
    took = [scene.took_ms(scene.carol, peer) for peer in (scene.gpu, scene.friend)]
    lab.say(f"they were reached in {took[0]:.0f} and {took[1]:.0f} ms")
    assert min(took) <= WITHIN_MS, took
    assert set(scene.friend.punches()) == {("Public", "Symmetric")}, scene.friend.punches()
    assert scene.metric(scene.carol, "teale_introductions_own_total") >= 2
    _, path, whole = scene.carol.ask(scene.gpu)
    if path != "direct" or not whole:
        raise LabError(f"{path} {whole}\n{tell(scene.all)}")


def an_answer_survives_a_router_that_forgets_and_no_relay_is_there(lab, programs, build):
    scene = Scene(lab, programs, build, parrot=("--model", "bytes:3000000", "--bytes-per-s", "400000"))
    scene.ping()
    stream = Stream(lab, scene.friend, scene.gpu, 3_000_000)
    stream.reach(0.2)
    scene.gpu.host.router.forget()
    stream.reach(0.5, forget=False)
    scene.friend.host.router.forget()
    stall = stream.finish(programs)
    lab.say(f"both routers forgot their mappings under an answer: the longest silence was {stall:.2f} s")
    # and once the introducer is gone, what stands goes on
    scene.carol.stop()
    if not scene.friend.ask(scene.gpu)[2]:
        raise LabError(tell(scene.all))


def attached(key, attach, at):
    """What the owner of `key` answers to that Attach, which came from `at`."""
    members = controlmsg.read(attach)[1]
    return controlmsg.datagram("Attached", key, addr=at, node=members["node"], nonce=members["nonce"])


class Stranger:
    """A public host that speaks control datagrams (tests/e2e/controlmsg.py), with keys of its own."""

    def __init__(self, lab, name):
        self.lab, self.host = lab, lab.host(name)
        self.key = ed25519.Key(os.urandom(32))
        self.socket = udp_socket(self.host.ns, self.host.address, 4000)
        self.address = f"{self.host.address}:4000"

    def intro(self, introducer, target, kind="PunchIntro", age=0, signer=None, **members):
        pad = {} if kind == "PunchReady" else {"pad": bytes(840)}
        return controlmsg.datagram(kind, signer or self.key, **pad, **{
            "addr": self.address, "initiator": self.key.public, "introducer": bytes.fromhex(introducer), "nat": "Public",
            "nonce": os.urandom(16), "target": bytes.fromhex(target), "timestamp": int(time.time()) - age, **members})

    def ready(self, introducer, initiator, address):
        """A PunchReady that nobody asked for."""
        return self.intro(introducer, self.key.public.hex(), kind="PunchReady", initiator=bytes.fromhex(initiator),
                          addr=address)

    def send(self, address, raw):
        host, port = address.rsplit(":", 1)
        self.socket.sendto(raw, (host, int(port)))

    def hear(self, seconds):
        """What comes within that time: (datagram, sender)."""
        heard, until = [], time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and select.select([self.socket], [], [], left)[0]:
            heard.append(self.socket.recvfrom(2048))
        return heard

    def readies(self, seconds=1.5):
        return [controlmsg.read(raw)[1] for raw, _ in self.hear(seconds) if raw[:2] == b"\x0c\x03"]

    def close(self):
        self.socket.close()


def strangers_get_nothing_from_an_introducer_but_what_they_may_have(lab, programs, build):
    scene = Scene(lab, programs, build)
    eve, victim = Stranger(lab, "eve"), Stranger(lab, "victim")
    carol, at = scene.carol, scene.carol.introducing()
    nobody = os.urandom(32).hex()

    def counted(result):
        return scene.metric(carol, f'teale_introductions_total{{result="{result}"}}')

    # What is accepted: the target's PunchReady, through carol. (It also punches towards eve: checks come.)
    twin = eve.intro(carol.id, scene.gpu.id)
    before = counted("taken")
    eve.send(at, twin)
    ready = eve.readies()
    assert ready and all(r["target"].hex() == scene.gpu.id for r in ready), ready
    assert counted("taken") == before + 1
    # A replay, whoever else sends it.
    eve.send(at, twin)
    assert not eve.readies(), "a replay was taken"
    # Each differs from the twin in one thing.
    other = {
        "for another introducer": eve.intro(scene.gpu.id, scene.gpu.id),
        "for a target that is not attached": eve.intro(carol.id, nobody),
        "too old": eve.intro(carol.id, scene.gpu.id, age=40),
        "too early": eve.intro(carol.id, scene.gpu.id, age=-40),
        "with a victim's address": eve.intro(carol.id, scene.gpu.id, addr=victim.address),
        "signed by another": eve.intro(carol.id, scene.gpu.id, signer=ed25519.Key(os.urandom(32))),
        "a PunchRequest": eve.intro(carol.id, scene.gpu.id, kind="PunchRequest"),
    }
    for what, raw in other.items():
        taken = counted("taken")
        eve.send(at, raw)
        assert not eve.readies(1.0), what
        assert counted("taken") == taken, what
    assert not victim.hear(0.1), "the victim was sent something"
    # And another one of eve's own is taken, so nothing above has shut her out.
    eve.send(at, eve.intro(carol.id, scene.gpu.id))
    assert eve.readies(), tell(scene.all)
    # A flood: as many are looked at as one source may have.
    taken = counted("taken")
    for _ in range(200):
        eve.send(at, eve.intro(carol.id, scene.gpu.id))
    eve.hear(2)
    assert counted("taken") - taken <= 20 + 10 * 30, counted("taken")
    scene.ping()  # honest nodes are introduced all the same
    eve.close()
    victim.close()


def who_lets_itself_be_introduced_is_turned_on_nobody(lab, programs, build):
    """Eve is an introducer, to whom `gpu` is attached by its own setting; what she tells it turns it on nobody."""
    scene = Scene(lab, programs, build, kinds=("fullCone", "portRestricted"))
    eve, victim = Stranger(lab, "eve"), Stranger(lab, "victim")
    gpu = scene.gpu
    gpu.node.command("config", "set", "nat.introduce", "off")  # behind its full cone it introduces others by itself
    eve_id = eve.key.public.hex()
    gpu.node.command("config", "set", "nat.introducers", f'["{scene.carol.name_at}", "{eve_id}@{eve.address}"]')

    def attach():
        """Answers the Attach of gpu; where it came from."""
        until = time.monotonic() + 30
        while time.monotonic() < until:
            for raw, (host, port) in eve.hear(1):
                if raw[:2] == b"\x0c\x0b" and controlmsg.read(raw)[1]["node"].hex() == gpu.id:
                    at = f"{host}:{port}"
                    eve.send(at, attached(eve.key, raw, at))
                    return at
        raise LabError("gpu does not attach to eve\n" + tell(scene.all))

    at = attach()
    gpu.node.wait("attached", lambda: len(gpu.node.json("status")["introducing"]["by"]) == 2, 20)

    def refused(result, kind="requests"):
        return scene.metric(gpu, f'teale_punch_{kind}_total{{result="{result}"}}')

    # The accepted twin: a stranger who asks through eve is punched towards; here eve herself.
    asker = Stranger(lab, "asker")
    eve.send(at, asker.intro(eve_id, gpu.id, kind="PunchRequest"))
    assert asker.readies() and refused("taken") == 1, tell(scene.all)
    # The same with a victim's address, signed by a key made for it: five small datagrams at most.
    mallory = ed25519.Key(os.urandom(32))
    eve.send(at, eve.intro(eve_id, gpu.id, kind="PunchRequest", signer=mallory, initiator=mallory.public,
                           addr=victim.address))
    heard = victim.hear(12)
    lab.say(f"an introducer who lies about an address: {len(heard)} datagrams, {sum(len(r) for r, _ in heard)} bytes to it")
    assert 0 < len(heard) <= 5 and all(len(raw) <= 400 for raw, _ in heard), [len(r) for r, _ in heard]
    # Not from an introducer, of an introducer that gpu does not know, and PunchReadys that nobody asked for.
    for raw, sender, kind in (
            (asker.intro(eve_id, gpu.id, kind="PunchRequest"), asker, "requests"),
            (asker.intro(asker.key.public.hex(), gpu.id, kind="PunchRequest"), eve, "requests"),
            (asker.ready(eve_id, gpu.id, victim.address), eve, "readies"),
            (asker.ready(scene.carol.id, gpu.id, victim.address), asker, "readies")):
        before = refused("foreign", kind)
        sender.send(at, raw)
        gpu.node.wait("counted", lambda b=before, k=kind: refused("foreign", k) == b + 1, 10)
    assert not victim.hear(1), "the victim was sent something"
    for s in (eve, victim, asker):
        s.close()


def nobody_stands_between_a_node_and_an_introducer(lab, programs, build):
    """Eve says that she is carol, and hands on to carol what is sent to her."""
    scene = Scene(lab, programs, build, known=("friend",))
    eve, gpu, carol = Stranger(lab, "eve"), scene.gpu, scene.carol

    def by():
        return [b["address"] for b in gpu.node.json("status")["introducing"]["by"]]

    gpu.node.command("config", "set", "nat.introducers", f'["{carol.id}@{eve.address}"]')
    host, port = carol.introducing().rsplit(":", 1)
    handed, until = 0, time.monotonic() + 6
    while time.monotonic() < until:
        for raw, (from_host, from_port) in eve.hear(0.2):
            if raw[:2] != b"\x0c\x0b":
                continue
            eve.send(f"{host}:{port}", raw)
            eve.send(f"{from_host}:{from_port}", attached(eve.key, raw, eve.address))
            handed += 1
    assert handed >= 4 and not by(), (handed, by())
    assert carol.node.json("status")["introducing"]["attached"] == 1, "carol believes where eve says that gpu is"
    gpu.node.command("config", "set", "nat.introducers", f'["{carol.name_at}"]')  # the twin
    gpu.node.wait("attached", lambda: by() == [carol.introducing()], 20)
    scene.ping()
    eve.close()


if __name__ == "__main__":
    build = sys.argv[1]
    sys.exit(run_tests(globals(), sys.argv[2:], NatLab, Programs(build), build))
