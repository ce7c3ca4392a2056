"""What the ends of a transport measurement agree on, whatever they are made of.

On the wire a message of one byte is `?`: how many came since the last one? What begins with `!` comes back with `=` in
its place.
"""

from __future__ import annotations

from rookery.transport import Identity

SERVER, CLIENT = Identity.from_seed(b"s" * 32), Identity.from_seed(b"c" * 32)
BALL = b"!" + bytes(63)
BULK, BULK_TIMES = bytes(64 * 1024), 256  # 16 MiB
BALLS, BALL_EVERY = 40, 0.025  # seconds
QUESTION = b"?"


def ball(number: int) -> bytes:
    """One of 64 bytes that can be told from the others."""
    return b"!%-63d" % number
