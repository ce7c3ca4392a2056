"""How much one sender may have this node do: packets of each kind, signatures to check, and lives to take in.

Each kind has a token bucket for each sender. An honest member of a cluster of 1,000 never meets one, as these follow
from the protocol's periods: *p* is `probe_period`, *g* the wait between two rounds of gossip, *s* the wait between two
syncs, of which the shortest is an eighth. A cluster of two is the worst case, where each packet goes to the other one.

    kind                               an honest member sends                                        allowed, burst
    Ping, Ack, PingReq, ForwardedAck,  one per p; a member whose process stalled is probed again     2 per p, 32
    Nack                               when it goes on
    IndirectPing, IndirectAck          three helpers for each prober, of which there is one per p    6 per p, 32
    Gossip, TurnUndead                 one per g, and one per packet that accuses it or is to an     6 per g, 96
                                       earlier life of it, which come as often
    Announce, Feed                     on joining, when a connection opens, to seeds with back-off   2 per s, 32
    SyncRequest                        8 per s at most                                               16 per s, 8
    SyncPart                           50 a second, 6 for 1,000 members                              20 a second, 96
    Broadcast                          none in a node                                                1 a second, 16
    wanted, records                    a joiner asks for 31 of 1,000 after the other                 20 a second, 96
    other                              nothing: what cannot be read                                  1 a second, 16

What is over is dropped. Who has `FLOOD` packets dropped within 10 s keeps on, and is reported.

Signatures: of 128 records, then 32 a second; a seed's 2,048, then 256 a second. Links of a chain that are far from the
last good one count as well.

Later lives of one peer: 16, then one in 2 s, of its own word and of what others tell each, as who has kept records of
earlier lives of it could use up the latter. An honest one begins 6 a minute at most (`max_rejoins_per_minute`), for its
tags 8 and then one in 4 s (`TAG_CHANGES`), and two when it starts. What is beyond is not kept, so what is told of that
life waits or is dropped until there is room for one more.
"""

from __future__ import annotations

from collections.abc import Iterable

from ....transport.core.buckets import TokenBuckets
from ....transport.core.floods import Floods
from ....transport.identity import PeerId
from ..swim.config import Config

FLOOD = 500
"""Packets over the limits within 10 s that make a sender one that floods."""

LINKS_FOR_A_CHECK = 256
"""Links of a chain whose hashes take as long as to check a signature, 0.12 ms."""

LIVES = (0.5, 16)
"""Later lives of one peer that are taken in, a second and at once; by its own word, and by that of others."""

TAG_CHANGES = (0.25, 8)
"""Lives that this node itself begins for its tags, a second and at once."""

_LONGEST_SYNC = 60.0  # seconds; stands for no sync at all
_REPORT_AGAIN = 60.0  # seconds


def packet_limits(config: Config) -> dict[str, tuple[float, int]]:
    """Packets a second, and at once, by kind."""
    probes = 1 / config.probe_period
    gossip = 6 / (config.periodic_gossip.frequency if config.periodic_gossip is not None else config.probe_period)
    syncs = 16 / (config.sync or _LONGEST_SYNC)
    return {
        **dict.fromkeys(("Ping", "Ack", "PingReq", "ForwardedAck", "Nack"), (2 * probes, 32)),
        **dict.fromkeys(("IndirectPing", "IndirectAck"), (6 * probes, 32)),
        **dict.fromkeys(("Gossip", "TurnUndead"), (gossip, 96)),
        **dict.fromkeys(("Announce", "Feed"), (2.0, 32)),
        "SyncRequest": (syncs, 8),
        "SyncPart": (20.0, 96),
        "Broadcast": (1.0, 16),
        **dict.fromkeys(("wanted", "records"), (20.0, 96)),
        "other": (1.0, 16),
    }


class SenderLimits:
    """The limits of every sender."""

    def __init__(self, config: Config) -> None:
        self._packets = {kind: TokenBuckets(rate, burst) for kind, (rate, burst) in packet_limits(config).items()}
        self._checks = TokenBuckets(32, 128)
        self._checks_of_seeds = TokenBuckets(256, 2048)
        self._lives = TokenBuckets(*LIVES)
        self._floods = Floods(FLOOD)
        self._reported: dict[PeerId, float] = {}  # until when
        self._cheats: dict[PeerId, float] = {}  # of those who lied about themselves
        self._suspected: dict[PeerId, float] = {}  # of those who passed on what was false

    def exceeded(self, sender: PeerId, kinds: Iterable[str], now: float) -> str | None:
        """Count a packet in for each of its kinds; the first of which the sender has sent too many, None for none."""
        return next((kind for kind in kinds if not self._packets[kind].take(sender, now)), None)

    def may_check(self, sender: PeerId, now: float, *, seed: bool) -> bool:
        """Whether a signature that this sender sent is checked now."""
        return (self._checks_of_seeds if seed else self._checks).take(sender, now)

    def may_follow(self, sender: PeerId, links: int, now: float, *, seed: bool) -> bool:
        """Whether so many links of a chain are followed for it now; `LINKS_FOR_A_CHECK` count as a signature."""
        checks, wanted = self._checks_of_seeds if seed else self._checks, -(-links // LINKS_FOR_A_CHECK)
        return checks.take_many(sender, wanted, now) == wanted

    def may_live_again(self, peer: PeerId, now: float, *, own: bool) -> bool:
        """Whether a later life of a peer is taken in now. own: it shows that itself."""
        return self._lives.ready_at((peer, own), now) <= now

    def lives_again(self, peer: PeerId, now: float, *, own: bool) -> None:
        """A later life of a peer is taken in."""
        self._lives.take((peer, own), now)

    def dropped(self, sender: PeerId, now: float) -> bool:
        """A packet of the sender was dropped; whether it is to be reported for that: at most once a minute."""
        return self._floods.dropped(sender, 1, now) and _once_a_minute(self._reported, sender, now)

    def may_report(self, sender: PeerId, now: float, *, own: bool) -> bool:
        """The sender has cheated; whether it is to be reported for that: at most once a minute.

        own: it was about itself. What it only passed on is reported apart, or that would shield it for a minute.
        """
        return _once_a_minute(self._cheats if own else self._suspected, sender, now)

    def has_cheated(self, peer: PeerId, now: float) -> bool:
        """Whether the peer was reported within the last minute for what was about itself."""
        return self._cheats.get(peer, now) > now


def _once_a_minute(until: dict[PeerId, float], sender: PeerId, now: float) -> bool:
    if until.get(sender, now) > now:
        return False
    for peer in [peer for peer, end in until.items() if end <= now]:
        del until[peer]
    until[sender] = now + _REPORT_AGAIN
    return True
