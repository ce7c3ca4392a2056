"""The timing and size rules of one member, with three presets.

Every number is checked when the configuration is made; `InvalidConfigError` names the field, what it was and what is
allowed. Durations are seconds. All members of a cluster should use the same preset.
"""

import math
from dataclasses import dataclass
from typing import Self

from .errors import InvalidConfigError

__all__ = ["Config", "Periodic"]

_DAY = 86_400.0
_MIN_COPIES = 10
_PACKET_RANGE = (512, 65_536)
MAX_HEADER = 160
"""Bytes before the updates and the items, at most (a test holds the codec to it)."""


def _require(condition: bool, field: str, value: object, allowed: str) -> None:
    if not condition:
        raise InvalidConfigError(f"{field}: {value!r} is not allowed; it must be {allowed}")


def _require_duration(field: str, value: object) -> None:
    is_duration = isinstance(value, int | float) and math.isfinite(value) and value > 0
    _require(is_duration, field, value, "a number of seconds above 0")


def _require_count(field: str, value: object, low: int, high: int | None = None) -> None:
    allowed = f"a whole number, {low} or more" if high is None else f"a whole number from {low} to {high}"
    _require(isinstance(value, int) and low <= value and (high is None or value <= high), field, value, allowed)


@dataclass(frozen=True, slots=True)
class Periodic:
    """A task that runs every `frequency` seconds towards at most `num_members` random members."""

    frequency: float
    num_members: int

    def __post_init__(self) -> None:
        _require_duration("frequency", self.frequency)
        _require_count("num_members", self.num_members, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Field names are Foca's (membership reference 1.9); those from `announce_to_seeds` on are ours."""

    probe_period: float
    """One probe each; the verdict about it falls at the end of the period."""

    probe_rtt: float
    """Wait for the direct answer before helpers are asked; below `probe_period`, best a third of it."""

    num_indirect_probes: int = 3
    """Helpers asked per probe; also how many members one `gossip` reaches."""

    max_transmissions: int = _MIN_COPIES
    """Copies sent of each update, 1 to 255. Fewer than 10 brings false deaths under loss (reference 8.3)."""

    suspect_to_down_after: float
    """Time a suspect has to refute."""

    remove_down_after: float = _DAY
    """How long a Down identity stays barred. Short values cause endless update backlogs."""

    max_packet_size: int = 8_192
    """Bytes, for producing and for accepting; 512 to 65,536."""

    notify_down_members: bool = True
    """Whether a member that we hold Down is told so, which makes it rejoin."""

    periodic_announce: Periodic | None = None
    """Ask active members for their view: repairs what gossip missed."""

    periodic_announce_to_down_members: Periodic | None = None
    """Heals partitions; goes on while we are isolated (defect D11)."""

    periodic_gossip: Periodic | None = None
    """Pushes waiting updates independently of probing."""

    announce_to_seeds: float | None = 2.0
    """While isolated, announce to the seeds of `join` after this time, doubling up to eight times it."""

    jitter_first_probe: bool = True
    """Spread the first probe over the period, so that members started together do not stay in lock-step."""

    max_incarnation_jump: int = 1_000
    """A third party's word that raises a known incarnation by more than this is refused (defect D12)."""

    max_rejoins_per_minute: int = 6
    """Beyond this somebody else lives under our key: say so instead of renewing for ever (reference 3.7)."""

    max_broadcasts: int = 128
    """The application's broadcasts in the queue; beyond it the most sent one goes."""

    broadcast_share: float = 0.25
    """Part of a packet, above 0 and at most 1, that is the broadcasts' if there are any: neither they nor updates
    starve. One broadcast must fit into it. What one kind leaves free is the other's."""

    def __post_init__(self) -> None:
        for field in ("probe_period", "probe_rtt", "suspect_to_down_after", "remove_down_after"):
            _require_duration(field, getattr(self, field))
        if self.announce_to_seeds is not None:
            _require_duration("announce_to_seeds", self.announce_to_seeds)
        below = f"below probe_period ({self.probe_period} s)"
        _require(self.probe_rtt < self.probe_period, "probe_rtt", self.probe_rtt, below)
        share = self.broadcast_share
        _require(isinstance(share, int | float) and 0 < share <= 1, "broadcast_share", share, "above 0 and at most 1")
        for field in ("num_indirect_probes", "max_broadcasts", "max_incarnation_jump", "max_rejoins_per_minute"):
            _require_count(field, getattr(self, field), 1)
        _require_count("max_transmissions", self.max_transmissions, 1, 255)
        _require_count("max_packet_size", self.max_packet_size, *_PACKET_RANGE)

    @property
    def broadcast_room(self) -> int:
        """Bytes that broadcasts have in every packet, each with up to 3 bytes of framing."""
        return int(self.broadcast_share * (self.max_packet_size - MAX_HEADER))

    @classmethod
    def simple(cls) -> Self:
        """No periodic task: load does not grow, news travels on probes alone."""
        return cls(probe_period=1.5, probe_rtt=0.5, suspect_to_down_after=3.0, notify_down_members=False)

    @classmethod
    def new_lan(cls, cluster_size: int) -> Self:
        """For about `cluster_size` members in one data centre or office."""
        return cls(
            probe_period=1.0,
            probe_rtt=0.5,
            max_transmissions=_copies(cluster_size),
            suspect_to_down_after=4.0 * _scale(cluster_size),
            periodic_announce=Periodic(30.0, 1),
            periodic_announce_to_down_members=Periodic(65.0, 2),
            periodic_gossip=Periodic(0.2, 3),
        )

    @classmethod
    def new_wan(cls, cluster_size: int) -> Self:
        """For about `cluster_size` members across the internet."""
        return cls(
            probe_period=5.0,
            probe_rtt=3.0,
            max_transmissions=_copies(cluster_size),
            suspect_to_down_after=6.0 * _scale(cluster_size) * 5.0,
            periodic_announce=Periodic(60.0, 2),
            periodic_announce_to_down_members=Periodic(125.0, 3),
            periodic_gossip=Periodic(0.5, 4),
            announce_to_seeds=5.0,
        )

    def check_change(self, new: "Config") -> None:
        """Raise InvalidConfigError unless a running member may go over to `new`.

        The probe timers are frozen, and a periodic task can be changed or ended but not begun.
        """
        for field in ("probe_period", "probe_rtt"):
            now, wanted = getattr(self, field), getattr(new, field)
            _require(now == wanted, field, wanted, f"{now}, as it was: the probe timers cannot change while running")
        for field in ("periodic_announce", "periodic_announce_to_down_members", "periodic_gossip"):
            begins = getattr(self, field) is None and getattr(new, field) is not None
            _require(not begins, field, getattr(new, field), "none, as it was: it cannot begin while running")


def _scale(cluster_size: int) -> float:
    _require_count("cluster_size", cluster_size, 1)
    return max(1.0, math.log10(cluster_size))


def _copies(cluster_size: int) -> int:
    """Rounded up, and with a floor: Foca's rounding down is defect D2."""
    _require_count("cluster_size", cluster_size, 1)
    return min(255, max(_MIN_COPIES, 4 * math.ceil(math.log10(cluster_size + 1))))
