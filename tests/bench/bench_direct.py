"""What `make bench` measures of a direct path: one stream and a round trip between two namespaces, one
core a side, beside other programs on the same link in the same run: wireguard-go and nebula, and TCP with TLS by
OpenSSL. BENCH_WIREGUARD_GO=FILE takes a newer wireguard-go than Debian's; BENCH_BESIDE_QUIC=FILE measures quinn and
iroh, too (the program that tests/bench/beside/Cargo.toml builds)."""
import json
import os
import pathlib
import re
import statistics
import time

ROUNDS = 3
SECONDS = "2"
PLAIN, WIREGUARD, NEBULA = "plain TCP", "wireguard-go", "nebula"
WIREGUARD_GO = os.environ.get("BENCH_WIREGUARD_GO", "wireguard-go")
BESIDE_QUIC = os.environ.get("BENCH_BESIDE_QUIC")
SUITES = ("aes", "chacha")
# Until the other machine refuses a connection: then it is reached.
REACH = """
import socket, sys, time
for _ in range(50):
    with socket.socket() as s:
        s.settimeout(1)
        try:
            s.connect((sys.argv[1], 9))
        except ConnectionRefusedError:
            sys.exit(0)
        except OSError:
            time.sleep(0.1)
sys.exit("not reached: " + sys.argv[1])
"""


class Side:
    """One machine, its core, and its addresses by way."""

    def __init__(self, host, core, number):
        self.host, self.core, self.number = host, core, number
        self.process = {}  # of a tunnel's way
        self.address = {PLAIN: host.address, WIREGUARD: f"10.91.0.{number}", NEBULA: f"10.92.0.{number}"}

    def pinned(self, *argv):
        return ["taskset", "-c", str(self.core), *argv]


def start_wireguard(lab, a, b):
    keys = {}
    device = {s: f"w{os.getpid()}x{s.number}" for s in (a, b)}  # its control socket is in the file system, for all
    for s in (a, b):
        private = lab.run(None, ["wg", "genkey"]).stdout.strip()
        path = pathlib.Path(lab.dir, f"wg{s.number}.key")
        path.write_text(private)
        public = lab.run(None, ["sh", "-c", f"wg pubkey <{path}"]).stdout.strip()
        keys[s] = path, public
    for s, other in ((a, b), (b, a)):
        s.process[WIREGUARD] = lab.start(s.host, s.pinned(WIREGUARD_GO, "-f", device[s]), env={"WG_PROCESS_FOREGROUND": "1"})
        wait_for_device(lab, s, device[s])
        lab.run(s.host, ["wg", "set", device[s], "listen-port", "51820", "private-key", str(keys[s][0]), "peer", keys[other][1],
                         "allowed-ips", "10.91.0.0/24", "endpoint", f"{other.host.address}:51820"])
        lab.run(s.host, ["ip", "address", "add", s.address[WIREGUARD] + "/24", "dev", device[s]])
        lab.run(s.host, ["ip", "link", "set", device[s], "up"])


def start_nebula(lab, a, b):
    ca = [os.path.join(lab.dir, "ca.crt"), os.path.join(lab.dir, "ca.key")]
    lab.run(None, ["nebula-cert", "ca", "-name", "bench", "-out-crt", ca[0], "-out-key", ca[1]])
    for s, other in ((a, b), (b, a)):
        base = os.path.join(lab.dir, f"nebula{s.number}")
        lab.run(None, ["nebula-cert", "sign", "-name", f"n{s.number}", "-ip", s.address[NEBULA] + "/24", "-ca-crt", ca[0],
                       "-ca-key", ca[1], "-out-crt", base + ".crt", "-out-key", base + ".key"])
        rule = [{"port": "any", "proto": "any", "host": "any"}]
        pathlib.Path(base + ".yml").write_text(json.dumps({  # JSON is YAML
            "pki": {"ca": ca[0], "cert": base + ".crt", "key": base + ".key"},
            "static_host_map": {other.address[NEBULA]: [f"{other.host.address}:4242"]},
            "lighthouse": {"am_lighthouse": s is a, "hosts": [] if s is a else [a.address[NEBULA]]},
            "listen": {"host": "0.0.0.0", "port": 4242},
            "tun": {"dev": "neb0"},
            "firewall": {"outbound": rule, "inbound": rule}}))
        s.process[NEBULA] = lab.start(s.host, s.pinned("nebula", "-config", base + ".yml"))
        wait_for_device(lab, s, "neb0")


def wait_for_device(lab, side, device):
    deadline = time.monotonic() + 10
    while lab.run(side.host, ["ip", "link", "show", device], check=False).returncode:
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: {device} did not come up")
        time.sleep(0.05)


def cpu_seconds(process):
    return sum(int(pathlib.Path(f"/proc/{process.pid}/task/{t}/schedstat").read_text().split()[0])
               for t in os.listdir(f"/proc/{process.pid}/task")) / 1e9 if process else 0.0


def iperf(lab, a, b, way):
    """MB/s over TCP with `way` below it; and MB per second of processor time of the side that computed more."""
    tunnels = [s.process.get(way) for s in (a, b)]
    server = lab.start(b.host, b.pinned("iperf3", "-s", "-1"))
    time.sleep(0.5)
    before = [cpu_seconds(p) for p in tunnels]
    out = lab.run(a.host, a.pinned("iperf3", "-c", b.address[way], "-t", SECONDS, "-J")).stdout
    tunnel = [cpu_seconds(p) - was for p, was in zip(tunnels, before)]
    server.wait(10)
    end = json.loads(out)["end"]
    used = [end["cpu_utilization_percent"][side] / 100 * end["sum_received"]["seconds"] for side in ("host_total", "remote_total")]
    received = end["sum_received"]["bytes"] / 1e6
    return received / end["sum_received"]["seconds"], received / max(u + t for u, t in zip(used, tunnel))


def encrypted(lab, a, b, program, suite):
    """The same of a program that serves or sends one encrypted stream, and reports it as JSON."""
    server = lab.start(b.host, b.pinned(*program, "serve", b.host.address, "4499", suite))
    time.sleep(0.5)
    client = lab.run(a.host, a.pinned(*program, "send", b.host.address, "4499", suite, SECONDS), check=False)
    if client.returncode:  # seen of iroh, on busy cores
        print(f"  a run of {program[-1]} is left out: {client.stderr.splitlines()[:4]}")
        server.popen.kill()
        server.wait(10)
        return None
    got = json.loads(server.wait_line('{"side":"server"'))
    server.wait(10)
    received = got["bytes"] / 1e6
    return received / got["seconds"], received / max(got["cpu"], json.loads(client.stdout)["cpu"])


def others(build):
    """name -> argv of the programs that encrypt one stream as ours does."""
    programs = {"TCP with TLS": [os.path.join(build, "tests/bench/bench_tls")]}
    if BESIDE_QUIC:
        programs.update({name: [os.path.abspath(BESIDE_QUIC), name] for name in ("quinn", "iroh")})
    return programs


def versions(lab):
    """What is beside ours, by its own word."""
    asked = {WIREGUARD: [WIREGUARD_GO, "--version"], NEBULA: ["nebula", "-version"], "OpenSSL": ["openssl", "version"]}
    found = {name: lab.run(None, argv).stdout.split("\n")[0] for name, argv in asked.items()}
    if BESIDE_QUIC:
        cargo = pathlib.Path(__file__).parent.joinpath("beside/Cargo.toml").read_text()
        found.update({name: re.search(rf'^{name} = .*?"=([0-9.]+)"', cargo, re.M)[1] for name in ("quinn", "iroh")})
    return "; ".join(f"{name}: {text}" for name, text in found.items())


def ours(lab, build, a, b, suite):
    program = os.path.join(build, "tests/bench/bench_quic")
    out = lab.run(None, [program, suite, SECONDS, f"{a.host.ns}/{a.host.address}", f"{b.host.ns}/{b.host.address}"]).stdout
    found = re.search(r"(\d+) MB/s\s+(\d+) MB per second of the sender's CPU, (\d+)", out)
    return float(found[1]), float(min(found[2], found[3], key=float))


def round_trip(lab, build, a, b, way):
    """Microseconds: of a plain datagram, and of Noise-QUIC."""
    program = os.path.join(build, "tests/bench/bench_rtt")
    out = lab.run(None, [program, f"{a.host.ns}/{a.address[way]}", f"{b.host.ns}/{b.address[way]}"], timeout=120).stdout
    return float(re.search(r"plain UDP (\d+)", out)[1]), float(re.search(r"QUIC (\d+)", out)[1])


def measure(lab, build, row):
    """`row(what, value, goal, beside)` takes the results."""
    build = os.path.abspath(build)
    a, b = Side(lab.host("a"), 0, 1), Side(lab.host("b"), 1, 2)
    start_wireguard(lab, a, b)
    start_nebula(lab, a, b)
    for way in (WIREGUARD, NEBULA):  # the handshakes
        lab.run(a.host, ["python3", "-c", REACH, b.address[way]])
    beside = others(build)
    speed = {}
    trip = {name: [] for name in ("udp", "quic", WIREGUARD, NEBULA)}
    for _ in range(ROUNDS):
        for suite in SUITES:
            speed.setdefault(("Teale", suite), []).append(ours(lab, build, a, b, suite))
            for name, program in beside.items():
                run = encrypted(lab, a, b, program, suite)
                speed.setdefault((name, suite), []).extend([run] if run else [])
        for way in (PLAIN, WIREGUARD, NEBULA):
            speed.setdefault((way, ""), []).append(iperf(lab, a, b, way))
        udp, quic = round_trip(lab, build, a, b, PLAIN)
        trip["udp"].append(udp)
        trip["quic"].append(quic)
        for way in (WIREGUARD, NEBULA):
            trip[way].append(round_trip(lab, build, a, b, way)[0])
    print("  beside: " + versions(lab))
    for (name, suite), values in speed.items():
        if not values:
            continue
        wall, core = (statistics.median(v[i] for v in values) for i in (0, 1))
        mine = [speed["Teale", s] for s in ([suite] if suite else SUITES)]
        ratio = ", ".join(f"{statistics.median(v[1] for v in m) / core:.1f} ×" for m in mine)
        row(f"one stream, 1500-byte link: {name}{', ' + suite if suite else ''}",
            f"{wall:.0f} MB/s; {core:.0f} MB per second of processor time of the side that needed more", "",
            "" if name == "Teale" else f"Teale for the same processor time: {ratio}; medians of {len(values)} in turn")
    mid = {name: statistics.median(values) for name, values in trip.items()}
    row("a round trip on an idle path, over plain UDP's", f"{mid['quic'] - mid['udp']:+.0f} µs", "≤ 60 µs",
        f"wireguard-go {mid[WIREGUARD] - mid['udp']:+.0f} µs, nebula {mid[NEBULA] - mid['udp']:+.0f} µs; plain UDP "
        f"{mid['udp']:.0f} µs; medians of {ROUNDS} times 400")
