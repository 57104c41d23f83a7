"""libtorrent_node.py ADDRESS:PORT DOOR...: libtorrent's node of the DHT, told what to do by lines on stdin. Each
program of this folder does the same:
    get KEY SALT [SEQ]        says `item SEQ VALUE`, or `none`; may end the search when one of this SEQ is found
    put SEED SALT SEQ VALUE   signs and stores an item; says `put N` (nodes that took it, where that is told) or `failed`
KEY, SEED and VALUE (the text alone) in hex. libtorrent takes as SEQ one more than what it finds. Ends with stdin."""
import hashlib
import os
import sys
import time

import libtorrent

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from ed25519 import Key  # noqa: E402

# Here the whole DHT has one address, which libtorrent would take for a flood.
session = libtorrent.session({
    "listen_interfaces": sys.argv[1], "enable_dht": True, "enable_lsd": False, "enable_upnp": False,
    "enable_natpmp": False, "dht_bootstrap_nodes": ",".join(sys.argv[2:]), "dht_restrict_routing_ips": False,
    "dht_restrict_search_ips": False, "dht_ignore_dark_internet": False, "dht_block_ratelimit": 10000,
    "dht_upload_rate_limit": 1000000,
    "alert_mask": libtorrent.alert.category_t.dht_notification | libtorrent.alert.category_t.error_notification})


def alerts(kind, seconds=30):
    """Those of this kind, as they come. An alert is good until the next ones are asked for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.wait_for_alert(100)
        for alert in session.pop_alerts():
            if type(alert).__name__ == kind:
                yield alert


def get(key, salt, wanted):
    session.dht_get_mutable_item(key, salt)
    best = None
    for alert in alerts("dht_mutable_item_alert"):
        if bytes(alert.key) != key:
            continue
        if alert.seq > 0 and (best is None or alert.seq > best[0]):
            best = alert.seq, bytes(alert.item)
        if alert.authoritative or best and best[0] >= wanted:  # the last one of a lookup, which waits for who is silent
            break
    return f"item {best[0]} {best[1].hex()}" if best else "none"


def put(seed, salt, value):
    h = hashlib.sha512(seed).digest()  # libtorrent wants the scalar and the prefix (RFC 8032 5.1.5)
    private = bytes([h[0] & 248]) + h[1:31] + bytes([h[31] & 63 | 64]) + h[32:]
    session.dht_put_mutable_item(private, Key(seed).public, value, salt)
    took = next((alert.num_success for alert in alerts("dht_put_alert")), 0)
    return f"put {took}" if took else "failed"


print("ready", flush=True)
for line in sys.stdin:
    verb, who, salt, *rest = line.split()
    if verb == "get":
        print(get(bytes.fromhex(who), salt.encode(), int(rest[0]) if rest else 1 << 63), flush=True)
    else:
        print(put(bytes.fromhex(who), salt.encode(), bytes.fromhex(rest[1])), flush=True)
