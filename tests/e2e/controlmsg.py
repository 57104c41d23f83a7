"""Control datagrams (docs/protocol.md "Control datagrams") as another program would write and read them: from the text
alone, with MessagePack and Ed25519 by code that is not shared with the programs under test.

Run with the name of a file, it checks that the file holds the examples that it makes itself (--write makes it)."""
import struct
import sys

import ed25519

TYPES = {
    "PunchIntro": (1, "punch-intro", "addr initiator introducer nat nonce pad sig target timestamp"),
    "PunchRequest": (2, "punch-intro", "addr initiator introducer nat nonce pad sig target timestamp"),
    "PunchReady": (3, "punch-ready", "addr initiator introducer nat nonce sig target timestamp"),
    "RelayRequest": (4, "relay-request", "initiator nonce pad relay sig target timestamp"),
    "RelayOffer": (5, "relay-offer", "addr expiresAt limit nonce peer relay session sig timestamp to token"),
    "RelayMigrate": (6, "relay-migrate", "newAddr sequence sig timestamp token"),
    "RelayPath": (7, None, "nonce sequence"),
    "RelayPathReply": (8, None, "nonce token"),
    "RelayMigrated": (9, None, "sequence"),
    "RelayWarning": (10, "relay-offer", "endsAt nonce relay session sig"),
    "Attach": (11, "attach", "addr introducer node nonce sig timestamp"),
    "Attached": (12, "attached", "addr node nonce sig"),
}


def pack(value):
    """MessagePack with the shortest encodings."""
    if isinstance(value, int):
        if value < 0x80:
            return bytes([value])
        for head, form in ((0xCC, "!B"), (0xCD, "!H"), (0xCE, "!I"), (0xCF, "!Q")):
            if value < 1 << 8 * struct.calcsize(form):
                return bytes([head]) + struct.pack(form, value)
    if isinstance(value, str):
        raw = value.encode()
        return (bytes([0xA0 | len(raw)]) if len(raw) < 32 else bytes([0xD9, len(raw)])) + raw
    if isinstance(value, bytes):
        return (bytes([0xC4, len(value)]) if len(value) < 256 else b"\xC5" + struct.pack("!H", len(value))) + value
    return bytes([0x80 | len(value)]) + b"".join(pack(k) + pack(value[k]) for k in sorted(value))


def unpack(raw):
    """The value at the front, and what is behind it."""
    head = raw[0]
    if head < 0x80:
        return head, raw[1:]
    if 0x80 <= head < 0x90:
        value, raw = {}, raw[1:]
        for _ in range(head & 15):
            key, raw = unpack(raw)
            value[key], raw = unpack(raw)
        return value, raw
    if 0xA0 <= head < 0xC0:
        return raw[1:1 + (head & 31)].decode(), raw[1 + (head & 31):]
    if 0xCC <= head <= 0xCF:
        n = 1 << head - 0xCC
        return int.from_bytes(raw[1:1 + n], "big"), raw[1 + n:]
    n = {0xC4: 1, 0xC5: 2, 0xD9: 1}[head]
    size = int.from_bytes(raw[1:1 + n], "big")
    value = raw[1 + n:1 + n + size]
    return (value.decode() if head == 0xD9 else value), raw[1 + n + size:]


def datagram(kind, signer=None, **members):
    """A datagram of that type; signed by an ed25519.Key, if one is given."""
    number, purpose, _ = TYPES[kind]
    if signer:
        members["sig"] = signer.sign(b"teale/v1/" + purpose.encode() + b"\0" + pack(members))
    return bytes([0x0C, number]) + pack(members)


def read(raw):
    """The type's name and the members of a datagram."""
    assert raw[0] == 0x0C, raw
    members, rest = unpack(raw[2:])
    assert not rest, rest
    name = next(n for n, t in TYPES.items() if t[0] == raw[1])
    assert list(members) == TYPES[name][2].split(), (name, list(members))
    return name, members


def examples():
    keys = [ed25519.Key(bytes([i]) * 32) for i in range(1, 5)]
    a, b, c, r = (k.public for k in keys)
    nonce, token, now = bytes(range(16)), bytes([0x9A] + [7] * 15), 1790000000
    punch = dict(initiator=a, introducer=c, nonce=nonce, target=b, timestamp=now)
    v6 = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"
    yield "PunchIntro", datagram("PunchIntro", keys[0], addr="198.18.0.1:4", nat="Symmetric", pad=bytes(840), **punch)
    yield "PunchRequest", datagram("PunchRequest", keys[0], addr="198.18.0.1:4", nat="Symmetric", pad=bytes(840), **punch)
    yield "PunchReady", datagram("PunchReady", keys[1], addr=v6, nat="Cone", **punch)
    yield "RelayRequest", datagram("RelayRequest", keys[0], initiator=a, nonce=nonce, pad=bytes(600), relay=r, target=b,
                                   timestamp=now)
    yield "RelayOffer", datagram("RelayOffer", keys[3], addr=v6, expiresAt=now + 600, limit=1 << 40, nonce=nonce, peer=b,
                                 relay=r, session="0123456789abcdef0123456789ABCDE-", timestamp=now, to=a, token=token)
    yield "RelayOffer", datagram("RelayOffer", keys[3], addr="192.0.2.1:3478", expiresAt=0, limit=0, nonce=nonce, peer=b,
                                 relay=r, session="s", timestamp=now, to=a, token=token)
    yield "RelayMigrate", datagram("RelayMigrate", keys[0], newAddr="192.0.2.7:40000", sequence=1, timestamp=now,
                                   token=token)
    for sequence in (0, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1):
        yield "RelayPath", datagram("RelayPath", nonce=nonce, sequence=sequence)
    yield "RelayPathReply", datagram("RelayPathReply", nonce=nonce, token=token)
    yield "RelayMigrated", datagram("RelayMigrated", sequence=300)
    yield "RelayWarning", datagram("RelayWarning", keys[3], endsAt=now + 30, nonce=nonce, relay=r, session="s-1")
    yield "Attach", datagram("Attach", keys[1], addr="198.18.0.3:4433", introducer=c, node=b, nonce=nonce, timestamp=now)
    yield "Attached", datagram("Attached", keys[2], addr="203.0.113.9:1", node=b, nonce=nonce)


if __name__ == "__main__":
    text = "# Made by tests/e2e/controlmsg.py: a type's name and a datagram of it. The signers' seeds are 1, 2, 3, 4 in all\n" \
           "# 32 bytes: initiator, target, introducer and relay.\n"
    for name, raw in examples():
        assert read(raw)[0] == name
        text += f"{name} {raw.hex()}\n"
    if sys.argv[2:] == ["--write"]:
        open(sys.argv[1], "w").write(text)
    sys.exit(open(sys.argv[1]).read() != text)
