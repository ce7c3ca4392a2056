"""The map from an Ed25519 public key to the X25519 key of the same secret (RFC 7748 section 4.1).

Public keys only, so nothing here needs constant time.

* A point is 32 bytes: y, little endian, and the sign of x in the top bit (RFC 8032 section 5.1.2).
* Refused: y of 2^255 - 19 or more, a y that belongs to no point of the curve, a point of small order (anybody knows a
  secret for it, so it would authenticate nobody).
* A point and its negative differ in the sign bit alone and map to the same u.
* A point with a part of small order passes, unlike in libsodium: only who holds its secret can use it, as any other.
"""

from __future__ import annotations

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_A = 486662  # of the Montgomery form v^2 = u^3 + A u^2 + u
_SIGN = 1 << 255


def montgomery(point: bytes) -> bytes:
    """Return u = (1 + y) / (1 - y) of an Ed25519 point, 32 bytes; `ValueError` for a point that is refused."""
    y = int.from_bytes(point, "little") & ~_SIGN
    if y >= _P:
        raise ValueError("not a valid Ed25519 public key: y is not below 2^255 - 19")
    if _has_small_order(y):
        raise ValueError("not a valid Ed25519 public key: the point has small order")
    if not _is_on_curve(y):
        raise ValueError("not a valid Ed25519 public key: the point is not on the curve")
    return ((1 + y) * pow(1 - y, -1, _P) % _P).to_bytes(32, "little")


def is_weak(point: bytes) -> bool:
    """Tell whether anybody could sign for this key: a point of small order, or an encoding that is not the shortest."""
    y = int.from_bytes(point, "little") & ~_SIGN
    return y >= _P or _has_small_order(y)


def _has_small_order(y: int) -> bool:
    """Double the point three times, u = U / W in Montgomery form: the order divides 8 if that gives infinity."""
    u, w = 1 + y, 1 - y
    for _ in range(3):
        u, w = pow(u * u - w * w, 2, _P), 4 * u * w * (u * u + _A * u * w + w * w) % _P
    return w == 0


def _is_on_curve(y: int) -> bool:
    """-x^2 + y^2 = 1 + d x^2 y^2 has a solution x if (y^2 - 1) (d y^2 + 1) is a square (Euler's criterion)."""
    square = y * y % _P
    return pow((square - 1) * (_D * square + 1), (_P - 1) // 2, _P) in (0, 1)
