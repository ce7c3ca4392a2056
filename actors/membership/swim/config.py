"""The timing and size rules of one member, with three presets.

Every number is checked when the configuration is made; `InvalidConfigError` names the field, what it was and what is
allowed. Durations are seconds. All members of a cluster should use the same preset.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self, TypeGuard, TypeVar

from .errors import InvalidConfigError
from .member import MAX_ACCUSERS

__all__ = ["Config", "Periodic"]

T = TypeVar("T")

_DAY = 86_400.0
_SHORTEST, _LONGEST, _MAX_COUNT, _LARGEST = 0.001, 36_500 * _DAY, 2**31 - 1, 1e9  # as settings in a file have them
_MIN_COPIES = 10
_MAX_AWARENESS = 8
_PACKET_RANGE = (512, 65_536)
_COUNTS = (
    "num_indirect_probes",
    "max_broadcasts",
    "max_members",
    "max_rejoins_per_minute",
)

MAX_HEADER = 256
"""Bytes before the updates and the items, at most (a test holds the codec to it)."""


def _require(condition: bool, field: str, value: object, allowed: str) -> None:
    if not condition:
        raise InvalidConfigError(f"{field}: {value!r:.80} is not allowed; it must be {allowed}")


def _require_duration(field: str, value: object) -> None:
    allowed = f"a number of seconds from {_SHORTEST:g} to {_LONGEST:.15g}"
    _require(_is_number(value) and _SHORTEST <= value <= _LONGEST, field, value, allowed)


def _is_number(value: object) -> TypeGuard[float]:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # a whole number beyond the range of floats
        return False


def _require_count(field: str, value: object, low: int, high: int = _MAX_COUNT) -> None:
    valid = isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
    _require(valid, field, value, f"a whole number from {low} to {high}")


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
    """Field names are Foca's (membership: numbers); those from `announce_to_seeds` on are ours."""

    probe_period: float
    """One probe begins in each period; at its end it has succeeded or failed."""

    probe_rtt: float
    """How long to wait for the direct answer before helpers are asked; below `probe_period`, best a third of it."""

    num_indirect_probes: int = 3
    """Helpers that a probe asks; also the members that one `gossip` reaches."""

    max_transmissions: int | None = None
    """Copies sent of each update, 1 to 255; None: by the present size of the cluster, with a floor of 10. Fewer bring
    false deaths under loss."""

    suspect_to_down_after: float | None = None
    """Shortest time that a suspect has to refute; None: `suspicion_mult` periods, more for a larger present size."""

    remove_down_after: float = _DAY
    """How long a Down identity is remembered, and refused. Short values cause endless backlogs of updates."""

    max_packet_size: int = 8_192
    """Bytes, for producing and for accepting; 512 to 65,536."""

    notify_down_members: bool = True
    """Whether we send TurnUndead to a member that we hold Down, which makes it rejoin."""

    periodic_announce: Periodic | None = None
    """Ask active members for their view: repairs what gossip missed."""

    periodic_announce_to_down_members: Periodic | None = None
    """Announce to Down members, and to a seed that is not an active member: heals partitions. Goes on while we are
    isolated (defects: D11)."""

    periodic_gossip: Periodic | None = None
    """Send waiting updates, independently of probes."""

    announce_to_seeds: float | None = 2.0
    """Announce again to the seeds of `join` after this time, doubling up to eight times it: to all while isolated, else
    to those of which nothing was ever heard."""

    jitter: bool = True
    """The first probe, and the first of each periodic task, come at a random time within their period, so that members
    that were started together do not stay in lock-step."""

    max_members: int = 100_000
    """Members held, Down ones included. Beyond it who is dead for the longest time goes for whoever is not known yet,
    if for a minute at least; else that one is refused: anybody can invent members."""

    max_rejoins_per_minute: int = 6
    """More often than this only another process with our key can make us begin a new life: notify that, and renew no
    more until the minute is over (membership: states of a member)."""

    suspicion_mult: float = 4.0
    """Where `suspect_to_down_after` is None: a suspicion lasts at least this many probe periods, times log10 of the
    size of the cluster from ten members on."""

    suspicion_confirmations: int = 0
    """Lifeguard: how many members besides the first must accuse a suspect before it has only the shortest time. With 0
    it always has the shortest time, which runs only at members whose own probe failed."""

    suspicion_max_factor: float = 6.0
    """Lifeguard: a suspect with one accuser has this many times the shortest time; 1 or more."""

    awareness_max_multiplier: int = 1
    """Lifeguard: a member that notices its own slowness (failed probes, missing Nacks, refutations, late timers) probes
    up to this many times slower and waits longer for answers. 1: never."""

    nack: bool = False
    """Lifeguard: helpers send a Nack if the target does not answer them. The same for all members of a cluster."""

    buddy: bool = False
    """Lifeguard: each packet to a suspect begins with the suspicion, so that it can refute."""

    distrust_late_timers: bool = False
    """A timer that is more than `probe_rtt` late shows that this process stalled, and answers may be waiting unread:
    then no probe fails, and a suspect gets one more period."""

    sync: float | None = None
    """Exchange the whole state with a random member after this time, doubled, tripled and so on for clusters beyond 32,
    64 and so on; sooner while syncs still bring us updates."""

    max_broadcasts: int = 128
    """Most broadcasts of the application in the queue; beyond it the most sent one is dropped."""

    broadcast_share: float = 0.25
    """Part of a packet, above 0 and at most 1, that is reserved for broadcasts if there are any, so that neither they
    nor updates starve. Each broadcast must fit into it. Either kind may use what the other leaves free."""

    def __post_init__(self) -> None:
        for field in ("probe_period", "probe_rtt", "remove_down_after"):
            _require_duration(field, getattr(self, field))
        for field in ("announce_to_seeds", "suspect_to_down_after", "sync"):
            if getattr(self, field) is not None:
                _require_duration(field, getattr(self, field))
        below = f"below probe_period ({self.probe_period} s)"
        _require(self.probe_rtt < self.probe_period, "probe_rtt", self.probe_rtt, below)
        share = self.broadcast_share
        _require(_is_number(share) and 0 < share <= 1, "broadcast_share", share, "above 0 and at most 1")
        for field in ("suspicion_mult", "suspicion_max_factor"):
            value = getattr(self, field)
            _require(_is_number(value) and 1 <= value <= _LARGEST, field, value, f"a number from 1 to {_LARGEST:.15g}")
        for field in _COUNTS:
            _require_count(field, getattr(self, field), 1)
        if self.max_transmissions is not None:
            _require_count("max_transmissions", self.max_transmissions, 1, 255)
        _require_count("suspicion_confirmations", self.suspicion_confirmations, 0, MAX_ACCUSERS - 1)
        _require_count("awareness_max_multiplier", self.awareness_max_multiplier, 1, _MAX_AWARENESS)
        _require_count("max_packet_size", self.max_packet_size, *_PACKET_RANGE)

    def copies(self, size: int) -> int:
        """How often each update is sent in a cluster of this size."""
        return self.max_transmissions or copies_for(size)

    def shortest_suspicion(self, size: int) -> float:
        """Seconds that a suspect has at least to refute in a cluster of this size."""
        return self.suspect_to_down_after or self.suspicion_mult * _scale(size) * self.probe_period

    def sync_period(self, size: int) -> float | None:
        """Seconds between two syncs in a cluster of this size; memberlist's rule (membership: numbers)."""
        return None if self.sync is None else self.sync * max(1, math.ceil(math.log2(size)) - 4)

    @property
    def broadcast_room(self) -> int:
        """Bytes that are reserved for broadcasts in every packet; each has up to 3 bytes of framing."""
        return int(self.broadcast_share * (self.max_packet_size - MAX_HEADER))

    @classmethod
    def simple(cls) -> Self:
        """Plain SWIM without a periodic task: load does not grow, updates travel on probes alone."""
        return cls(
            probe_period=1.5,
            probe_rtt=0.5,
            max_transmissions=_MIN_COPIES,
            suspect_to_down_after=3.0,
            notify_down_members=False,
        )

    @classmethod
    def new_lan(cls, cluster_size: int | None = None) -> Self:
        """For one data centre or office, with Lifeguard and sync.

        `cluster_size` fixes what else follows the present size: `max_transmissions` and `suspect_to_down_after`.
        Foca's suspicion is 4 periods, and its only one. Here one accuser alone waits for 21, so the shortest time can
        be a little shorter. Sync takes the place of Foca's periodic announce.
        """
        return cls(
            probe_period=1.0,
            probe_rtt=0.5,
            max_transmissions=_if_given(copies_for, cluster_size),
            suspect_to_down_after=_if_given(lambda size: 3.5 * _scale(size), cluster_size),
            periodic_announce_to_down_members=Periodic(65.0, 2),
            periodic_gossip=Periodic(0.2, 3),
            suspicion_mult=3.5,
            suspicion_confirmations=2,
            awareness_max_multiplier=_MAX_AWARENESS,
            nack=True,
            buddy=True,
            distrust_late_timers=True,
            sync=30.0,
        )

    @classmethod
    def new_wan(cls, cluster_size: int | None = None) -> Self:
        """For members across the internet, with Lifeguard and sync; `cluster_size` as in `new_lan`."""
        return cls(
            probe_period=5.0,
            probe_rtt=3.0,
            max_transmissions=_if_given(copies_for, cluster_size),
            suspect_to_down_after=_if_given(lambda size: 6.0 * _scale(size) * 5.0, cluster_size),
            periodic_announce_to_down_members=Periodic(125.0, 3),
            periodic_gossip=Periodic(0.5, 4),
            announce_to_seeds=5.0,
            suspicion_mult=6.0,
            suspicion_confirmations=4,
            awareness_max_multiplier=_MAX_AWARENESS,
            nack=True,
            buddy=True,
            distrust_late_timers=True,
            sync=60.0,
        )

    def check_change(self, new: "Config") -> None:
        """Raise InvalidConfigError unless a running member may go over to `new`.

        The probe timers are frozen, and a periodic task can be changed or ended but not begun.
        """
        for field in ("probe_period", "probe_rtt"):
            now, wanted = getattr(self, field), getattr(new, field)
            _require(now == wanted, field, wanted, f"{now}, as it was: the probe timers cannot change while running")
        for field in ("periodic_announce", "periodic_announce_to_down_members", "periodic_gossip", "sync"):
            begins = getattr(self, field) is None and getattr(new, field) is not None
            _require(not begins, field, getattr(new, field), "none, as it was: it cannot begin while running")


def _if_given(rule: Callable[[int], T], cluster_size: int | None) -> T | None:
    return None if cluster_size is None else rule(cluster_size)


def _scale(cluster_size: int) -> float:
    _require_count("cluster_size", cluster_size, 1)
    return max(1.0, math.log10(cluster_size))


def copies_for(cluster_size: int) -> int:
    """How often each update is sent in a cluster of this size: at least 10; Foca rounds down (defects: D2)."""
    _require_count("cluster_size", cluster_size, 1)
    return min(255, max(_MIN_COPIES, 4 * math.ceil(math.log10(cluster_size + 1))))
