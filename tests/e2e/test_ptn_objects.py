"""What a private network signs, in the seed's form (002), made by code that shares no line with ours: our
programs believe it, and believe nothing that was altered.

usage: test_ptn_objects.py PTNCHECK [TEST...]"""
import copy
import json
import pathlib
import subprocess
import sys
import unittest

import ptnobjects
from ptnobjects import Node, canonical, certificate, invite_fields, invite_text

PTNCHECK = None
NOW = 1_800_000_000
HOUR = 3600
NEVER = "expires=never"
CORPUS = pathlib.Path(__file__).resolve().parent.parent / "fuzz/corpus"

authority, other_authority = Node(b"\1" * 32), Node(b"\2" * 32)
root, admin, member, outsider = (Node(bytes([n]) * 32) for n in range(3, 7))


def ask(lines):
    """Of (kind, time, bytes or an object): what each was said to be."""
    text = b"".join(b"%s %d %s\n" % (kind.encode(), at, raw if isinstance(raw, bytes) else json.dumps(raw).encode())
                    for kind, at, raw in lines)
    done = subprocess.run([PTNCHECK], input=text, capture_output=True, timeout=120, check=True)
    said = done.stdout.decode().splitlines()
    assert len(said) == len(lines), (len(said), len(lines), done.stderr)
    return said


def one(kind, raw, at=NOW):
    return ask([(kind, at, raw)])[0]


def changes(value):
    """Every object that differs from this one in one place: a digit, a number, a field less, one more, one of
    another type, also below lists."""
    def places(inner, path=()):
        yield path
        items = inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ()
        for key, below in items:
            yield from places(below, path + (key,))

    def changed(path, new):
        whole = copy.deepcopy(value)
        if not path:
            return new
        inner = whole
        for key in path[:-1]:
            inner = inner[key]
        if new is ...:
            del inner[path[-1]]
        else:
            inner[path[-1]] = new
        return whole

    for path in places(value):
        old = value
        for key in path:
            old = old[key]
        others = [None, True, 7, 1000.0, "x", [], {}]
        if isinstance(old, str):
            others += [old[:i] + ("1" if c == "0" else "0") + old[i + 1:] for i, c in enumerate(old)]
            others += [old.upper(), old + "0", old[:-1], " " + old]
        elif isinstance(old, int):
            others += [old + 1, old - 1, -old, float(old), 2**53 + 2, old * 10]
        elif isinstance(old, dict):
            others += [{**old, "extra": 1}]
        elif isinstance(old, list):
            others += [old + old, old + [old]]
        if path:
            others.append(...)
        # Python takes 1 and True, 1 and 1.0 for the same; JSON does not
        yield from (changed(path, o) for o in others if o is ... or json.dumps(o) != json.dumps(old))


class Objects(unittest.TestCase):
    def refused(self, kind, raws, at=NOW):
        for raw, said in zip(raws, ask([(kind, at, r) for r in raws])):
            self.assertFalse(said.startswith("valid"), (said, raw))
            self.assertTrue(said, raw)

    def admin_certificate(self, **more):
        return certificate(authority, admin, "admin", root, NOW, **more)


class Certificates(Objects):
    def test_a_certificate_of_each_role_verifies(self):
        for role in ("admin", "provider", "consumer"):
            for end in (None, NOW + HOUR):
                said = one("certificate", certificate(authority, member, role, root, NOW, end))
                self.assertEqual(said, f"valid role={role} issued={NOW} delegated=0 "
                                       f"{f'expires={end}' if end else NEVER} network={authority.id} "
                                       f"node={member.id} issuer={root.id}")

    def test_an_admin_signs_for_members_and_shows_its_own_certificate(self):
        for role in ("provider", "consumer"):
            whole = certificate(authority, member, role, admin, NOW, chain=self.admin_certificate())
            self.assertIn(f"valid role={role} issued={NOW} delegated=1 {NEVER}", one("certificate", whole))

    def test_a_certificate_as_macs_write_times_verifies(self):
        whole = certificate(authority, member, "provider", root, NOW + 0.25, NOW + HOUR + 0.5)
        self.assertIn(f"issued={NOW} delegated=0 expires={NOW + HOUR}", one("certificate", whole))

    def test_order_and_spaces_are_not_signed_and_doubles_are_refused(self):
        whole = certificate(authority, member, "provider", root, NOW)
        backwards = json.dumps({k: dict(reversed(v.items())) if isinstance(v, dict) else v
                                for k, v in reversed(whole.items())}, indent=None, separators=(" , ", " : "))
        self.assertTrue(one("certificate", backwards.encode()).startswith("valid role=provider"))
        raw = canonical(whole)
        self.refused("certificate", [
            raw.replace(b'"role":"provider"', b'"role":"provider","role":"provider"'),
            raw.replace(b'"payload":', b'"signature":"00","payload":'),
            raw.replace(b"%d" % NOW, b"18e8"), raw.replace(b"%d" % NOW, b"%d.0" % NOW),
            raw.replace(b"%d" % NOW, b"null"), raw.replace(b"%d" % NOW, b"NaN"),
            raw + b"x", raw[:-1], b"[" + raw + b"]", b"", b"null"])

    def test_no_altered_certificate_is_believed(self):
        for whole in (certificate(authority, member, "provider", root, NOW, NOW + HOUR),
                      certificate(authority, member, "consumer", admin, NOW, chain=self.admin_certificate())):
            altered = list(changes(whole))
            self.assertGreater(len(altered), 400)
            self.refused("certificate", altered)
            self.assertTrue(one("certificate", whole).startswith("valid"))

    def test_no_signature_with_another_bit_is_believed(self):
        whole = certificate(authority, member, "provider", root, NOW)
        raw = bytes.fromhex(whole["signature"])
        self.refused("certificate", [
            {**whole, "signature": bytes(b ^ (1 << bit % 8) * (i == bit // 8) for i, b in enumerate(raw)).hex()}
            for bit in range(512)])

    def test_times_count_to_the_second(self):
        whole = certificate(authority, member, "provider", root, NOW, NOW + HOUR)
        self.assertEqual(
            [s.split(" ")[0] for s in ask([("certificate", at, whole) for at in (
                NOW - 7201, NOW - 7200, NOW, NOW + HOUR, NOW + HOUR + 1)])],
            ["issued", "valid", "valid", "valid", "expired"])

    def test_who_is_no_admin_of_this_network_signs_nothing(self):
        mine = self.admin_certificate()
        provider = certificate(authority, admin, "provider", root, NOW)
        deep = certificate(authority, outsider, "admin", admin, NOW, chain=mine)
        self.refused("certificate", [
            certificate(other_authority, member, "provider", root, NOW) | {"payload": certificate(
                authority, member, "provider", root, NOW)["payload"]},  # another authority's signature
            certificate(authority, member, "admin", admin, NOW, chain=mine),  # an admin makes no admin
            certificate(authority, member, "consumer", admin, NOW, chain=provider),
            certificate(authority, member, "consumer", admin, NOW,
                        chain=certificate(other_authority, admin, "admin", root, NOW)),
            certificate(authority, member, "consumer", outsider, NOW, chain=mine),
            certificate(authority, member, "consumer", outsider, NOW, chain=deep),
            certificate(authority, member, "consumer", admin, NOW, chain=mine) | {"chain": []},
            certificate(authority, member, "consumer", admin, NOW, chain=mine) | {"chain": [mine, mine]},
            certificate(authority, member, "king", root, NOW),
            certificate(authority, member, "Admin", root, NOW),
            certificate(authority, member, "provider", root, NOW, NOW - 1)])
        ended = self.admin_certificate(expires_at=NOW + 10)
        self.assertEqual([s.split(" ")[0] for s in ask([
            ("certificate", at, certificate(authority, member, "consumer", admin, NOW, chain=ended))
            for at in (NOW + 10, NOW + 11)])], ["valid", "expired"])


class Lists(Objects):
    def test_lists_and_prices_of_the_authority_and_of_an_admin_verify(self):
        gone = [(member, NOW), (outsider, NOW - 5)]
        for issuer, chain in ((root, None), (admin, self.admin_certificate())):
            said = one("list", ptnobjects.revocations(authority, issuer, 3, NOW, gone, chain))
            self.assertTrue(said.startswith(f"valid sequence=3 issued={NOW} network={authority.id}"), said)
            self.assertEqual(sorted(said.split(" revoked=")[1:]), sorted(n.id for n, _ in gone))
            self.assertEqual(one("price", ptnobjects.price(authority, issuer, 4, NOW, 250, chain)),
                             "valid version=4 micro=250")
        self.assertIn("valid sequence=1", one("list", ptnobjects.revocations(authority, root, 1, NOW, [])))

    def test_no_altered_list_or_price_is_believed(self):
        for chain, issuer in ((None, root), (self.admin_certificate(), admin)):
            self.refused("list", list(changes(
                ptnobjects.revocations(authority, issuer, 3, NOW, [(member, NOW)], chain))))
            self.refused("price", list(changes(ptnobjects.price(authority, issuer, 4, NOW, 250, chain))))

    def test_what_was_signed_for_another_purpose_or_by_another_is_refused(self):
        body = ptnobjects.price(authority, root, 4, NOW, 250)
        self.refused("list", [body])
        self.refused("price", [
            ptnobjects.price(authority, outsider, 4, NOW, 250, self.admin_certificate()),
            ptnobjects._signed("revocation", authority, root, None,
                               {"version": 4, "issuedAt": NOW, "microPerKToken": 250}),
            ptnobjects.price(authority, root, 0, NOW, 250), ptnobjects.price(authority, root, 4, NOW, -1),
            ptnobjects.price(authority, root, 4, NOW, 2**53)])
        self.refused("list", [
            ptnobjects.revocations(authority, root, 0, NOW, []),
            ptnobjects.revocations(authority, root, 1, NOW, [(member, NOW), (member, NOW)]),
            ptnobjects.revocations(authority, admin, 1, NOW, [(admin, NOW)],
                                   certificate(authority, admin, "consumer", root, NOW))])


class Invites(Objects):
    def test_an_invite_says_who_invites_whom(self):
        for more, words in (({}, "lifetime=0 bound=0"), ({"validSeconds": HOUR}, f"lifetime={HOUR} bound=0"),
                            ({"nodeID": member.id}, "lifetime=0 bound=1")):
            fields = invite_fields(authority, admin, "consumer", NOW + HOUR, **more)
            self.assertEqual(
                one("invite", invite_text(fields).encode()),
                f"valid role=consumer name=lab relay=wss://relay.example/ws nonce={fields['nonce']} {words} "
                f"expires={NOW + HOUR} network={authority.id} inviter={admin.id}")

    def test_no_altered_invite_is_believed(self):
        fields = invite_fields(authority, admin, "consumer", NOW + HOUR, nodeID=member.id, validSeconds=60)
        self.refused("invite", [invite_text(json.dumps(c).encode()).encode() for c in changes(fields)])
        text = invite_text(fields).encode()
        self.refused("invite", [text[:n] for n in range(len(text))] + [
            text + b"A", text.replace(b"inv1", b"inv2"), text.replace(b"teale", b"Teale"), text + b"==",
            text[:40] + b" " + text[40:], text.upper(), text + text])
        self.refused("invite", [text], at=NOW + HOUR + 1)
        self.assertTrue(one("invite", text, at=NOW + HOUR).startswith("valid"))


class Receipts(Objects):
    body = {"requestID": "order-66.a_b", "ptnID": authority.id, "model": "qwen3:8b", "tokens_in": 12,
            "tokens_out": 250, "amount": 131000, "at": NOW}
    paid = {"settlementID": "s-1", "amount": 131000, "at": NOW}

    def receipt(self, **changes):
        return ptnobjects.by_both("receipt", {k: v for k, v in {**self.body, **changes}.items() if v is not ...},
                                  (("consumer", member), ("provider", admin)))

    def settlement(self, **changes):
        return ptnobjects.by_both("settlement", {**self.paid, **changes}, (("creditor", admin), ("debtor", member)))

    def test_receipts_and_settlements_verify_signed_by_both_or_one(self):
        whole = self.receipt()
        said = f"valid request=order-66.a_b model=qwen3:8b in=12 out=250 amount=131000 at={NOW} signed="
        self.assertEqual(one("receipt", whole), said + "11")
        self.assertEqual(one("receipt", self.receipt(ptnID=...)), said + "11")
        self.assertEqual(one("receipt", {k: v for k, v in whole.items() if k != "consumerSignature"}), said + "01")
        self.assertEqual(one("settlement", self.settlement()), f"valid amount=131000 at={NOW} signed=11")

    def test_no_altered_receipt_or_settlement_is_believed(self):
        # a signature less is one by the other side alone, which is told apart above
        for kind, whole in (("receipt", self.receipt()), ("settlement", self.settlement())):
            halves = [{k: v for k, v in whole.items() if k != side} for side in whole if side.endswith("Signature")]
            self.refused(kind, [c for c in changes(whole) if c not in halves])

    def test_amounts_that_are_none_are_refused(self):
        for bad in (-1, 2**53, 1.0, 1e3, "1", None, True, -2**63):
            with self.subTest(bad):
                self.refused("receipt", [self.receipt(amount=bad), self.receipt(tokens_out=bad)])
                self.refused("settlement", [self.settlement(amount=bad)])
        raw = canonical(self.receipt())
        for bad in (b"NaN", b"Infinity", b"1e3", b"131000.0", b"99999999999999999999"):
            self.refused("receipt", [raw.replace(b"131000", bad)])
        self.refused("settlement", [self.settlement(amount=0)])
        self.refused("receipt", [ptnobjects.by_both("receipt", self.body, (("consumer", admin), ("provider", admin)))])
        self.refused("receipt", [self.receipt(requestID="a b"), self.receipt(requestID="x" * 65)])


class TheCorpus(unittest.TestCase):
    def test_the_fuzzers_begin_with_such_objects(self):
        chain = certificate(authority, admin, "admin", root, NOW)
        fields = {"nonce": "ab" * 16}
        receipts = Receipts()
        ptn = {
            "certificate": certificate(authority, member, "provider", root, NOW, NOW + HOUR),
            "delegated": certificate(authority, member, "consumer", admin, NOW, chain=chain),
            "mac": certificate(authority, member, "provider", root, NOW + 0.25),
            "list": ptnobjects.revocations(authority, admin, 3, NOW, [(member, NOW), (outsider, NOW)], chain),
            "price": ptnobjects.price(authority, root, 4, NOW, 250),
            "invite": invite_text(invite_fields(authority, admin, "consumer", NOW + HOUR, **fields)).encode(),
            "invite-fields": invite_fields(authority, admin, "consumer", NOW + HOUR, **fields, nodeID=member.id,
                                           validSeconds=60)}
        receipt = {
            "receipt": receipts.receipt(),
            "public-half": {k: v for k, v in receipts.receipt(ptnID=...).items() if k != "consumerSignature"},
            "settlement": receipts.settlement()}
        wanted = {CORPUS / room / name: v if isinstance(v, bytes) else canonical(v)
                  for room, objects in (("ptn", ptn), ("receipt", receipt)) for name, v in objects.items()}
        if "--write-corpus" in sys.argv:
            for name, raw in wanted.items():
                name.write_bytes(raw)
        for name, raw in wanted.items():
            with self.subTest(name):
                self.assertEqual(name.read_bytes(), raw)


if __name__ == "__main__":
    PTNCHECK = sys.argv[1]
    unittest.main(argv=[sys.argv[0], *(a for a in sys.argv[2:] if a != "--write-corpus")], verbosity=2)
