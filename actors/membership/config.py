"""The settings of the membership."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple, Self

from ...runtime.settings import MILLISECOND, Bytes, Problem, Seconds, Settings, option, section
from ...transport.address import Address, format_peer, parse_peer
from ...transport.identity import PeerId
from . import swim
from .core.tags import encode_tags

MAX_SWIM_BYTES = 16_384
"""With its records a packet must stay below the 64 KiB that transport carries."""


class Seed(NamedTuple):
    """A member to announce to first, and its address; written `PEERID@tcp://HOST:PORT`."""

    peer: PeerId
    address: Address

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `PEERID@tcp://HOST:PORT`; `ValueError` says which part is wrong and what is allowed."""
        return cls(*parse_peer(text))

    @classmethod
    def parse_setting(cls, text: str) -> Self:
        """As `parse`; a name alone would be a field here."""
        return cls.parse(text)

    def __str__(self) -> str:
        return format_peer(self.peer, self.address)


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Times are in seconds. The timing comes from `preset`; each field that is set overrides the preset's value.

    All members of a cluster should have the same timing.
    """

    seeds: tuple[Seed, ...] = option(
        (),
        "Members to announce to: until each has answered, and again while isolated. PEERID@tcp://HOST:PORT. "
        "This node itself may be among them.",
    )
    feeds_tracker: bool = option(True, "Make the members the tracked peers (the tracker's source is membership).")
    peer_set_delay: Seconds = option(
        0.25, "The tracker gets the next peer set when the members have not changed for this time.", minimum=0
    )
    max_peer_set_delay: Seconds = option(
        1.0, "Longest time from the first change to the next peer set, however often the members change.", minimum=0
    )

    tags: Mapping[str, str] = section(
        dict, "Short texts by name that the other members see of this one. `role: secondary`: do not dial me."
    )
    snapshot: bool = option(True, "Keep the members in a file of the data folder, and begin with them after a restart.")
    snapshot_every: Seconds = option(
        10.0, "A change of the members is written to that file within this time.", minimum=MILLISECOND
    )
    snapshot_age: Seconds = option(
        3600.0, "Members from a file older than this are only announced to, not taken for alive.", minimum=0
    )

    preset: Literal["lan", "wan", "simple"] = option(
        "lan", "Timing for one site (lan), for the internet (wan), or without periodic tasks (simple)."
    )
    cluster_size: int | None = option(
        None,
        "Size of the cluster to plan for: lan and wan give suspects and updates more time in larger clusters. "
        "By default the present size.",
        minimum=1,
    )
    probe_period: Seconds | None = option(None, "Time between two probes, each of one member.", minimum=MILLISECOND)
    probe_rtt: Seconds | None = option(
        None, "How long to wait for a direct answer before helpers are asked; below probe_period.", minimum=MILLISECOND
    )
    num_indirect_probes: int | None = option(None, "How many helpers are asked to probe a silent member.", minimum=1)
    max_transmissions: int | None = option(
        None, "How often each update is sent; below 10, lost packets bring false deaths.", minimum=1, maximum=255
    )
    suspect_to_down_after: Seconds | None = option(
        None,
        "Shortest time that a suspected member has to refute; longer while only one member suspects it.",
        minimum=MILLISECOND,
    )
    suspicion_mult: float | None = option(
        None, "That time in probe periods, where it is not set; it grows in clusters beyond ten members.", minimum=1
    )
    suspicion_confirmations: int | None = option(
        None, "How many others must suspect a member too before it has only the shortest time.", minimum=0, maximum=7
    )
    suspicion_max_factor: float | None = option(
        None, "A member that only one other suspects has this many times the shortest time.", minimum=1
    )
    awareness_max_multiplier: int | None = option(
        None, "A member that notices its own slowness probes up to this many times slower.", minimum=1, maximum=8
    )
    nack: bool | None = option(None, "Helpers report a probed member that does not answer. The same for all members.")
    buddy: bool | None = option(None, "Each packet to a suspected member begins with the suspicion, so it can refute.")
    distrust_late_timers: bool | None = option(None, "After this process has stalled, give the others time to answer.")
    sync: Seconds | None = option(
        None, "How often to compare the whole state with one member, less in large clusters; 0 for never.", minimum=0
    )
    remove_down_after: Seconds | None = option(None, "How long a dead member is remembered.", minimum=MILLISECOND)
    max_packet_size: Bytes | None = option(
        None, "Bytes of one packet, not counting the records in it.", minimum=512, maximum=MAX_SWIM_BYTES
    )
    notify_down_members: bool | None = option(
        None, "Tell a member that is held Down that it is; it then comes back under a new generation."
    )
    announce_to_seeds: Seconds | None = option(
        None,
        "First wait before seeds that have not answered are tried again; it doubles, up to eight times this.",
        minimum=MILLISECOND,
    )

    def check(self) -> Iterable[Problem]:
        """The rules between fields."""
        if self.sync is not None and 0 < self.sync < MILLISECOND:
            yield Problem(("sync",), f"{self.sync:g} is too small", f"0 for never, or at least {MILLISECOND:g} seconds")
        if self.max_peer_set_delay < self.peer_set_delay:
            yield Problem(
                ("max_peer_set_delay",), "is below peer_set_delay", f"at least {self.peer_set_delay:g} seconds"
            )
        try:
            encode_tags(self.tags)
        except ValueError as error:
            yield Problem(("tags",), str(error))
        timing = self._preset()
        period = self.probe_period or timing.probe_period
        if (self.probe_rtt or timing.probe_rtt) >= period:
            yield Problem(
                ("probe_period" if self.probe_rtt is None else "probe_rtt",),
                f"probe_rtt is {self.probe_rtt or timing.probe_rtt:g} s and probe_period {period:g} s",
                "probe_rtt below probe_period",
            )

    @property
    def protocol(self) -> swim.Config:
        """The configuration of `Swim`: the preset with the fields that are set here."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        mine = {name: named[name] for name in _OVERRIDES if named[name] is not None}
        if self.sync == 0:
            mine["sync"] = None
        return replace(self._preset(), **mine)

    def _preset(self) -> swim.Config:
        match self.preset:
            case "lan":
                return swim.Config.new_lan(self.cluster_size)
            case "wan":
                return swim.Config.new_wan(self.cluster_size)
            case _:
                return swim.Config.simple()


_OVERRIDES = (
    "probe_period",
    "probe_rtt",
    "num_indirect_probes",
    "max_transmissions",
    "suspect_to_down_after",
    "suspicion_mult",
    "suspicion_confirmations",
    "suspicion_max_factor",
    "awareness_max_multiplier",
    "nack",
    "buddy",
    "distrust_late_timers",
    "sync",
    "remove_down_after",
    "max_packet_size",
    "notify_down_members",
    "announce_to_seeds",
)
