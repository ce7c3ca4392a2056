"""What can be configured of the tracker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from msgspec import Struct

from ...runtime.arguments import shortened
from ...runtime.settings import MILLISECOND, Problem, Seconds, Settings, option
from ...transport.address import Address, format_peer, parse_peer
from ...transport.identity import PeerId


class StaticPeer(Struct, frozen=True):
    """A peer that the operator names, written `PEERID@tcp://HOST:PORT`."""

    peer: PeerId
    address: Address

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `PEERID@tcp://HOST:PORT`, egress optional; `ValueError` says which part is wrong and what is allowed."""
        return cls(*parse_peer(text))

    parse_setting = parse

    def __str__(self) -> str:
        return format_peer(self.peer, self.address)


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Times are in seconds of the monotonic clock."""

    source: Literal["static", "application", "membership"] = option(
        "membership", "Who says which peers are tracked: `peers` below, the application's `track`, or the membership."
    )
    admission: Literal["open", "tracked", "private"] = option(
        "open", "Who may connect: anyone of this network, only tracked peers, or only trusted ones."
    )
    peers: tuple[StaticPeer, ...] = option(
        (),
        "Peers the operator names, and so trusts: the tracked set (static), or the seeds to begin with (membership).",
    )
    trusted: tuple[PeerId, ...] = option((), "Further peers to trust: dialled first, and the ones `private` lets in.")
    tracked_peer_sets: int = option(
        4, "How many of the newest peer sets count. With `source: membership` only the newest one does.", minimum=1
    )
    max_peers_per_set: int = option(16_384, "Most peers in one set, this node included.", minimum=1)
    max_hinted_peers: int = option(4096, "Most peers remembered that no set lists.", minimum=1)
    max_hinted_per_source: int = option(
        256, "How many of them one peer may have named, as long as we were never connected to them.", minimum=1
    )
    max_hinted_per_subnet: int = option(
        256, "How many of them may be in one subnet (/24 of IPv4, /48 of IPv6), on the same condition.", minimum=1
    )

    allow_private_ips: bool = option(
        True, "Dial and accept IPs that cannot be reached from everywhere (RFC 1918, loopback)."
    )
    allow_dns: bool = option(True, "Dial addresses that are DNS names.")
    check_egress_ip: bool = option(
        True, "Accept a peer only from the IP that `track` or `overwrite` gave for it. Never with `source: membership`."
    )
    learn_addresses: bool = option(
        False, "Let a peer's own newer record replace the address that `track` or `overwrite` gave for it."
    )

    book: str | None = option(
        "peers.db",
        "The address book: a file in the node's `data` folder. With null nothing of peers, blocks and trust is kept.",
    )
    cooldown: Seconds = option(
        1.0, "Shortest time between two inbound connections of a peer, and after a trim.", minimum=0
    )
    backoff_initial: Seconds = option(
        1.0, "Longest wait after the first failed dial; the wait is random below it.", minimum=MILLISECOND
    )
    backoff_factor: float = option(1.2, "What each further failure multiplies it by.", minimum=1)
    backoff_cap: Seconds = option(600.0, "The most it grows to.", minimum=MILLISECOND)
    rest_after_loss: Seconds = option(
        60.0, "How long a peer whose link broke is left alone, unless connections are short.", minimum=0
    )
    block_duration: Seconds = option(4 * 3600.0, "How long a block lasts that says nothing else.", minimum=MILLISECOND)
    effect_timeout: Seconds = option(
        5.0, "Longest wait for transport to put a change into effect.", minimum=MILLISECOND
    )

    def check(self) -> Iterable[Problem]:
        """The rules between fields."""
        if self.backoff_cap < self.backoff_initial:
            yield Problem(("backoff_cap",), "is below backoff_initial", f"at least {self.backoff_initial:g} seconds")
        if self.book is not None and (not self.book or "\0" in self.book):
            yield Problem(("book",), f"{shortened(self.book)} is no name of a file", "a name such as peers.db, or null")
        if self.peers and self.source == "application":
            yield Problem(
                ("peers",), "is not used with source: application", "source static or membership, or no peers"
            )
        if len(self.peers) >= self.max_peers_per_set:
            yield Problem(
                ("peers",), f"{len(self.peers)} peers and this node", f"max_peers_per_set, {self.max_peers_per_set}"
            )
        seen: set[PeerId] = set()
        for index, static in enumerate(self.peers):
            if static.peer in seen:
                yield Problem(("peers", index), f"{static.peer} is listed twice", "each peer once")
            seen.add(static.peer)

    @property
    def window(self) -> int:
        """How many peer sets count. A member that is down must not stay dialable, so membership has one."""
        return 1 if self.source == "membership" else self.tracked_peer_sets

    @property
    def checks_egress(self) -> bool:
        """Whether inbound IPs are compared. What membership says of IPs is only the peers' own word."""
        return self.check_egress_ip and self.source != "membership"

    @property
    def registers_ips(self) -> bool:
        """Whether the gate lists the only IPs let in: where strangers have no business here at all."""
        return self.checks_egress and self.admission == "tracked"
