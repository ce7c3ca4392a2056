"""What can be configured of the membership."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal, NamedTuple, Self

from ...runtime.settings import MILLISECOND, Bytes, Problem, Seconds, Settings, option, section
from ...transport.address import Address, format_peer, parse_peer
from ...transport.identity import PeerId
from . import swim
from .tags import encode_tags

MAX_SWIM_BYTES = 16_384
"""With its records a packet must stay below the 64 KiB that transport carries."""


class Seed(NamedTuple):
    """A member to begin with, and where it is; written `PEERID@tcp://HOST:PORT`."""

    peer: PeerId
    address: Address

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `PEERID@tcp://HOST:PORT`; `ValueError` says which part is wrong and what is allowed."""
        return cls(*parse_peer(text))

    def __str__(self) -> str:
        return format_peer(self.peer, self.address)


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Times are in seconds. A member's timing comes from `preset`; what is set beside it takes its place.

    All members of a cluster should have the same timing.
    """

    seeds: tuple[Seed, ...] = option(
        (),
        "Members to begin with, and to try again until each has answered, and while isolated: PEERID@tcp://HOST:PORT. "
        "This node itself may be one.",
    )
    feeds_tracker: bool = option(True, "Make the members the tracked peers (the tracker's source is membership).")
    peer_set_delay: Seconds = option(
        0.25, "The tracker gets the next peer set when the members have not changed for this time.", minimum=0
    )
    max_peer_set_delay: Seconds = option(
        1.0, "Longest time from the first change to the next peer set, however often the members change.", minimum=0
    )

    tags: Mapping[str, str] = section(
        dict, "Texts by name that other members are told of this one. `role: secondary`: do not dial me."
    )
    snapshot: bool = option(True, "Keep the members in a file of the data folder, and begin with them after a restart.")
    snapshot_every: Seconds = option(
        10.0, "A change of the members is in that file after this time.", minimum=MILLISECOND
    )
    snapshot_age: Seconds = option(
        3600.0, "The members of an older file are only announced to, not taken for alive.", minimum=0
    )

    preset: Literal["lan", "wan", "simple"] = option(
        "lan", "Timing for one site (lan), for the internet (wan), or without periodic tasks (simple)."
    )
    cluster_size: int | None = option(
        None,
        "How many members to reckon with: lan and wan give suspects and news more time in larger clusters. "
        "By default as many as there are.",
        minimum=1,
    )
    probe_period: Seconds | None = option(None, "One member is probed in each.", minimum=MILLISECOND)
    probe_rtt: Seconds | None = option(
        None, "Wait for a direct answer before helpers are asked; below probe_period.", minimum=MILLISECOND
    )
    num_indirect_probes: int | None = option(None, "Helpers asked about a silent member.", minimum=1)
    max_transmissions: int | None = option(
        None, "Copies sent of each piece of news; below 10 lost packets bring false deaths.", minimum=1, maximum=255
    )
    suspect_to_down_after: Seconds | None = option(
        None,
        "Shortest time that a suspected member has to object; who is alone in suspecting it waits longer.",
        minimum=MILLISECOND,
    )
    suspicion_mult: float | None = option(
        None, "That time in probe periods, where it is not set; more in clusters beyond ten.", minimum=1
    )
    suspicion_confirmations: int | None = option(
        None, "So many others must suspect a member too before it has only the shortest time.", minimum=0, maximum=7
    )
    suspicion_max_factor: float | None = option(
        None, "So many times the shortest time has a member that only one suspects.", minimum=1
    )
    awareness_max_multiplier: int | None = option(
        None, "A member that notices that it is slow itself probes up to so many times slower.", minimum=1, maximum=8
    )
    nack: bool | None = option(None, "Helpers say so if a probed member does not answer. The same for all members.")
    buddy: bool | None = option(None, "Tell a suspected member so first of all, whatever it is sent.")
    distrust_late_timers: bool | None = option(None, "After standing still, give the others time to answer.")
    sync: Seconds | None = option(
        None, "Compare everything with one other member each so often, rarer in large clusters; 0 for never.", minimum=0
    )
    remove_down_after: Seconds | None = option(None, "How long a dead member is remembered.", minimum=MILLISECOND)
    max_packet_size: Bytes | None = option(
        None, "Bytes of one packet, the records in it apart.", minimum=512, maximum=MAX_SWIM_BYTES
    )
    notify_down_members: bool | None = option(
        None, "Tell a member that is held dead so; it then comes back under a new generation."
    )
    announce_to_seeds: Seconds | None = option(
        None,
        "First wait before seeds that have not answered are tried again; it doubles up to eight times.",
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
        """What `Swim` takes: the preset with what is set beside it."""
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
