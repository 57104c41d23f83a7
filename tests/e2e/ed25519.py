"""Ed25519 signatures after RFC 8032 section 5.1, for tests: slow, plain, and not a line shared with the
programs under test."""
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
BASE_Y = 4 * pow(5, P - 2, P) % P


def _recover_x(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P)
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return P - x if x % 2 != sign else x


_BX = _recover_x(BASE_Y, 0)
BASE = (_BX, BASE_Y, 1, _BX * BASE_Y % P)


def _add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def _table():
    """Row i: 0 to 255 times 256**i times the base point."""
    rows, step = [], BASE
    for _ in range(32):
        row = [(0, 1, 1, 0)]
        for _ in range(255):
            row.append(_add(row[-1], step))
        rows.append(row)
        step = _add(row[-1], step)
    return rows


_TABLE = _table()


def _times_base(n):
    q = (0, 1, 1, 0)
    for i, byte in enumerate(n.to_bytes(32, "little")):
        q = _add(q, _TABLE[i][byte])
    return q


def _encode(p):
    z = pow(p[2], P - 2, P)
    x, y = p[0] * z % P, p[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _hash(data):
    return int.from_bytes(hashlib.sha512(data).digest(), "little")


def _decode(raw):
    """None: no point."""
    y = int.from_bytes(raw, "little") & (1 << 255) - 1
    x = _recover_x(y, raw[31] >> 7) if y < P else 0
    if y >= P or (y * y - 1 - (D * y * y + 1) * x * x) % P:
        return None
    return x, y, 1, x * y % P


def _times(n, p):
    q = (0, 1, 1, 0)
    for bit in bin(n)[2:]:
        q = _add(q, q)
        if bit == "1":
            q = _add(q, p)
    return q


def verify(public, message, signature):
    """Section 5.1.7, without the cofactor."""
    a, s = _decode(public), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or s >= L:
        return False
    k = _hash(signature[:32] + public + message) % L
    minus_a = (P - a[0], a[1], 1, (P - a[3]) % P)
    return _encode(_add(_times_base(s), _times(k, minus_a))) == signature[:32]


class Key:
    """A key pair from a 32-byte seed."""

    def __init__(self, seed):
        h = hashlib.sha512(seed).digest()
        self._scalar = int.from_bytes(h[:32], "little") & ~7 & (1 << 254) - 1 | 1 << 254
        self._prefix = h[32:]
        self.public = _encode(_times_base(self._scalar))
        y = int.from_bytes(self.public, "little") & (1 << 255) - 1
        self.noise_public = ((1 + y) * pow(1 - y, P - 2, P) % P).to_bytes(32, "little")  # on Curve25519

    def sign(self, message):
        r = _hash(self._prefix + message) % L
        point = _encode(_times_base(r))
        k = _hash(point + self.public + message) % L
        return point + ((r + k * self._scalar) % L).to_bytes(32, "little")
