"""What the ends of a transport measurement agree on, whatever they are made of.

On the wire a message of one byte is `?`: how many came since the last one? What begins with `!` comes back with `=` in
its place.
"""

from __future__ import annotations

from rookery.transport import Identity

SERVER, CLIENT = Identity.from_seed(b"s" * 32), Identity.from_seed(b"c" * 32)
BALL = b"!" + bytes(63)
QUESTION = b"?"
