"""What a private network signs, made and checked after the seed's text (002) and docs/protocol.md, for tests:
not a line shared with the programs under test."""
import base64
import json
import secrets

import ed25519

INVITE = "teale:inv1:"


def canonical(value):
    """RFC 8785 for what is made here: ASCII keys, whole numbers below 2**53."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def purpose(name, body):
    return b"teale/v1/" + name.encode() + b"\0" + canonical(body)


class Node:
    """A key pair: a node's, or an authority's, whose public key in hex is the ptnID."""

    def __init__(self, seed=None):
        self.key = ed25519.Key(seed or secrets.token_bytes(32))
        self.id = self.key.public.hex()


def certificate(authority, node, role, issuer, issued_at, expires_at=None, chain=None):
    """Signed by the authority; with `chain`, the issuer's own certificate, by the issuer."""
    payload = {"ptnID": authority.id, "nodeID": node.id, "role": role, "issuedAt": issued_at,
               "issuerNodeID": issuer.id}
    if expires_at is not None:
        payload["expiresAt"] = expires_at
    signer = issuer if chain else authority
    whole = {"payload": payload, "signature": signer.key.sign(canonical(payload)).hex()}
    return {**whole, "chain": [chain]} if chain else whole


def _signed(what, authority, issuer, chain, body):
    body = {"ptnID": authority.id, "issuerNodeID": issuer.id, **body}
    signer = issuer if chain else authority
    whole = {**body, "signature": signer.key.sign(purpose(what, body)).hex()}
    return {**whole, "chain": [chain]} if chain else whole


def revocations(authority, issuer, sequence, issued_at, revoked, chain=None):
    """`revoked`: pairs of node and time."""
    entries = [{"nodeID": n.id, "revokedAt": t} for n, t in sorted(revoked, key=lambda pair: pair[0].id)]
    return _signed("revocation", authority, issuer, chain,
                   {"sequence": sequence, "issuedAt": issued_at, "entries": entries})


def price(authority, issuer, version, issued_at, micro, chain=None):
    return _signed("price", authority, issuer, chain,
                   {"version": version, "issuedAt": issued_at, "microPerKToken": micro})


def invite_fields(authority, inviter, role, expires_at, name="lab", relay="wss://relay.example/ws", **more):
    body = {"ptnID": authority.id, "ptnName": name, "inviterNodeID": inviter.id, "role": role,
            "nonce": secrets.token_hex(16), "expiresAt": expires_at, "relay": relay, **more}
    return {**body, "signature": inviter.key.sign(purpose("invite", body)).hex()}


def invite_text(fields):
    raw = fields if isinstance(fields, bytes) else canonical(fields)
    return INVITE + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def invite_of(text):
    """The fields of an invite's text."""
    assert text.startswith(INVITE), text
    raw = text[len(INVITE):]
    return json.loads(base64.urlsafe_b64decode(raw + "=" * (-len(raw) % 4)))


def by_both(what, body, sides):
    """A receipt or a settlement: `sides` are names and nodes, as ("consumer", node)."""
    named = {**body, **{side: node.id for side, node in sides}}
    return {**named, **{side + "Signature": node.key.sign(purpose(what, named)).hex() for side, node in sides}}


# --- checks of what our programs made: an assertion fails where it is not as the text says ---

def _is_signed(signer, message, signature):
    assert ed25519.verify(bytes.fromhex(signer), message, bytes.fromhex(signature)), "the signature is wrong"


def check_certificate(whole):
    """The payload; whoever signed may have signed it."""
    payload = whole["payload"]
    assert set(payload) - {"expiresAt"} == {"ptnID", "nodeID", "role", "issuedAt", "issuerNodeID"}, payload
    if "chain" in whole:
        (issuer,) = whole["chain"]
        assert "chain" not in issuer and payload["role"] != "admin", whole
        admin = check_certificate(issuer)
        assert (admin["ptnID"], admin["nodeID"], admin["role"]) == (
            payload["ptnID"], payload["issuerNodeID"], "admin"), whole
        _is_signed(payload["issuerNodeID"], canonical(payload), whole["signature"])
    else:
        _is_signed(payload["ptnID"], canonical(payload), whole["signature"])
    return payload


def check_signed(what, whole):
    """A list (`revocation`) or a price (`price`): its body."""
    body = {k: v for k, v in whole.items() if k not in ("signature", "chain")}
    signer = body["ptnID"]
    if "chain" in whole:
        (issuer,) = whole["chain"]
        admin = check_certificate(issuer)
        assert (admin["ptnID"], admin["nodeID"], admin["role"]) == (
            body["ptnID"], body["issuerNodeID"], "admin"), whole
        signer = body["issuerNodeID"]
    _is_signed(signer, purpose(what, body), whole["signature"])
    return body


def check_invite(text):
    fields = invite_of(text)
    body = {k: v for k, v in fields.items() if k != "signature"}
    _is_signed(fields["inviterNodeID"], purpose("invite", body), fields["signature"])
    assert invite_text(fields) == text, "not in its canonical form"
    return body


def check_receipt(whole):
    """Signed by both sides."""
    body = {k: v for k, v in whole.items() if not k.endswith("Signature")}
    for side in ("consumer", "provider"):
        _is_signed(body[side], purpose("receipt", body), whole[side + "Signature"])
    return body


def check_deeds(whole):
    """What one node says of another's deeds, signed by it."""
    body = {k: v for k, v in whole.items() if k != "signature"}
    _is_signed(body["by"], purpose("deeds", body), whole["signature"])
    return body
