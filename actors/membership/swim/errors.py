"""The errors of the package, and the counters of all that is refused, dropped or postponed without one.

`touched` says whether anything had changed: with False the call had no effect at all; with True everything before the
error stays done, and the outbox holds its effects.
"""

from dataclasses import dataclass

__all__ = [
    "Counters",
    "CustomBroadcastError",
    "DataFromOurselvesError",
    "DataTooBigError",
    "DecodeError",
    "EmptyBroadcastError",
    "ForgedProofError",
    "ForgedSenderError",
    "IndirectForOurselvesError",
    "InvalidConfigError",
    "NotUndeadError",
    "SameIdentityError",
    "SwimError",
    "UnknownLifeError",
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


class ForgedProofError(SwimError):
    """A packet with a proof, of its sender or in an update, that is not that owner's; nothing of it was applied."""


class UnknownLifeError(SwimError):
    """A packet of a life of its sender that nothing here can be held against: its record is missing."""


class IndirectForOurselvesError(SwimError):
    """An indirect message that names us as the third party. Its sender and updates were applied before."""

    touched = True


class InvalidConfigError(SwimError):
    """A configuration, or a change of it, that is not allowed."""


class NotUndeadError(SwimError):
    """`reuse_down_identity` by a member that is not Undead."""


class SameIdentityError(SwimError):
    """`change_identity` to the current identity, or to an earlier life of the same key."""


@dataclass(slots=True)
class Counters:
    """Totals since the start, for metrics."""

    incomplete_probe_cycles: int = 0
    """Probes that neither succeeded nor failed because the indirect stage never ran (defects: D7)."""

    late_timers: int = 0
    """Probes not judged, and suspects given more time, because this process had stalled."""

    failed_probes: int = 0
    refutations: int = 0
    withheld_refutations: int = 0
    """Accusations of us that were not answered, by a higher incarnation or by ours again, as there were too many."""

    forged_proofs: int = 0
    """Proofs, and answers to probes, that were not their owner's."""

    unknown_lives: int = 0
    """Updates, and packets, about lives that nothing here proves."""

    checks: int = 0
    """Members that were accused, or said to be Down, and that we pinged ourselves before we believed it."""

    disbelieved: int = 0
    """Accusations and deaths that our own evidence spoke against."""

    withheld_warnings: int = 0
    """Members that were not told what is said of them, as there were too many to tell."""

    refused_members: int = 0
    """Updates about unknown members that were refused because `max_members` are held, none dead for long enough."""

    forgotten_for_room: int = 0
    """Dead members that were forgotten for others, as `max_members` are held."""

    foreign_generations: int = 0
    """Updates about our key under another generation."""

    withheld_rejoins: int = 0
    refused_broadcasts: int = 0
    """Received items that the application's handler refused."""

    refused_relays: int = 0
    """Pings for others that no Nack will follow, as too many were waiting already."""

    refused_syncs: int = 0
    """Transfers not begun, as the same member or too many were being served already."""

    dropped_broadcasts: int = 0
    """New items that are not passed on: the queue was full, or they are too long for our packets."""

    broadcast_filter_errors: int = 0
    """Packets without items, as the application's filter raised."""
