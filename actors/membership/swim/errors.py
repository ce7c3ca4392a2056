"""What can go wrong, and whether anything had changed by then.

`touched` says it: with False the call had no effect at all; with True what came before the fault stays done, and
the outbox holds its effects.
"""

from typing import ClassVar

__all__ = [
    "DataFromOurselvesError",
    "DataTooBigError",
    "DecodeError",
    "ForgedSenderError",
    "IndirectForOurselvesError",
    "InvalidConfigError",
    "NotUndeadError",
    "SameIdentityError",
    "SwimError",
]


class SwimError(ValueError):
    """The root of every error of this package."""

    touched: ClassVar[bool] = False


class DecodeError(SwimError):
    """Bytes that are not a packet of this protocol version; nothing of them was applied."""


class DataTooBigError(SwimError):
    """A packet longer than `Config.max_packet_size`; it was not looked at."""


class DataFromOurselvesError(SwimError):
    """A packet that names us, or an earlier or later life of ours, as its sender."""


class ForgedSenderError(SwimError):
    """A packet whose sender field is not the peer the transport received it from."""


class IndirectForOurselvesError(SwimError):
    """An indirect message that names us as the third party. Its sender and updates were applied before."""

    touched: ClassVar[bool] = True


class InvalidConfigError(SwimError):
    """A configuration, or a change of it, that is not allowed."""


class NotUndeadError(SwimError):
    """`reuse_down_identity` by a member that is not Undead."""


class SameIdentityError(SwimError):
    """`change_identity` to the current identity, or to an earlier life of the same key."""
