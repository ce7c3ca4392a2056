"""The errors of the package.

`touched` says whether anything had changed: with False the call had no effect at all; with True everything before the
error stays done, and the outbox holds its effects.
"""

__all__ = [
    "CustomBroadcastError",
    "DataFromOurselvesError",
    "DataTooBigError",
    "DecodeError",
    "EmptyBroadcastError",
    "ForgedSenderError",
    "IndirectForOurselvesError",
    "InvalidConfigError",
    "NotUndeadError",
    "SameIdentityError",
    "SwimError",
]


class SwimError(ValueError):
    """The root of every error of this package."""

    touched: bool = False


class DecodeError(SwimError):
    """Bytes that are not a packet of this protocol version; nothing of them was applied."""


class DataTooBigError(SwimError):
    """A packet longer than `Config.max_packet_size`, or a broadcast longer than its part of one; not looked at."""


class EmptyBroadcastError(SwimError):
    """A broadcast of no bytes."""


class CustomBroadcastError(SwimError):
    """The application's handler raised; its error is the `__cause__`.

    In `add_broadcast` nothing had changed. In `handle_data` the sender, the updates and the items before were applied,
    the items after it are taken too, and the message is answered all the same.
    """

    def __init__(self, message: str, *, touched: bool) -> None:
        super().__init__(message)
        self.touched = touched


class DataFromOurselvesError(SwimError):
    """A packet that names us, or an earlier or later life of ours, as its sender."""


class ForgedSenderError(SwimError):
    """A packet whose sender field is not the peer the transport received it from."""


class IndirectForOurselvesError(SwimError):
    """An indirect message that names us as the third party. Its sender and updates were applied before."""

    touched = True


class InvalidConfigError(SwimError):
    """A configuration, or a change of it, that is not allowed."""


class NotUndeadError(SwimError):
    """`reuse_down_identity` by a member that is not Undead."""


class SameIdentityError(SwimError):
    """`change_identity` to the current identity, or to an earlier life of the same key."""
