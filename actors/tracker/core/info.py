"""What an operator is told of the peers: plain values, with unix seconds, for everybody who is known for any reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ....transport.address import Address
from ....transport.gatekeeper import Role
from ....transport.identity import PeerId
from .known_peer import Record, Status
from .known_peers import Table
from .steps import Steps


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """One peer. role: None if no peer set lists it. address: where it would be dialled.

    Moments are unix seconds. last_seen: when a link to it last opened or ended; last_failure: when a dial of it last
    failed; None for never. quiet_until: how long it is left alone, None if it may be dialled now. backoff: seconds of
    the delay that the last failure brought. blocked_until: of the peer or of the IP it would be dialled at, infinite
    for good, None without a block.
    """

    peer: PeerId
    role: Role | None
    state: Status
    address: Address | None
    last_seen: float | None
    last_failure: float | None
    quiet_until: float | None
    backoff: float
    trusted: bool
    blocked_until: float | None


def knowing(table: Table, now: float, unix: Callable[[float], float]) -> Steps[tuple[PeerInfo, ...]]:
    """Everybody who has a record, is trusted or is blocked, in steps. unix: of a monotonic moment."""
    found: list[PeerInfo] = []
    for peer in _everybody(table):
        found.append(_info(table, table.get(peer) or Record(peer), now, unix))
        yield 1
    return tuple(found)


def _everybody(table: Table) -> Iterator[PeerId]:
    others = dict.fromkeys(block.target for block in table.blocks if isinstance(block.target, PeerId))
    others.update(dict.fromkeys(sorted(table.trusted)))
    yield from list(table.peers())
    for peer in others:
        if table.get(peer) is None:
            yield peer


def _info(table: Table, record: Record, now: float, unix: Callable[[float], float]) -> PeerInfo:
    ends = (table.blocks.until(record.peer, now), table.ip_blocked_until(record, now))
    pace = record.known_pace
    return PeerInfo(
        peer=record.peer,
        role=record.listing,
        state=record.status,
        address=record.address,
        last_seen=None if record.seen_at is None else unix(record.seen_at),
        last_failure=None if record.failed_at is None else unix(record.failed_at),
        quiet_until=unix(pace.quiet_until) if pace.quiet_until > now else None,
        backoff=pace.delay,
        trusted=record.peer in table.trusted,
        blocked_until=max((unix(until) for until in ends if until is not None), default=None),
    )
