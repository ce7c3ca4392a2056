"""What the tests of the tracker's pure parts share: four peers, three addresses, and a directory to ask."""

from __future__ import annotations

import random
from typing import Any

from rookery.actors.tracker import Config, TrackedPeers
from rookery.actors.tracker.core.directory import Directory
from rookery.testing import Peers
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Claim, Direction, Ticket
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason

KNOWN = Peers()
ME, BOB, CAROL, DAVE = (KNOWN.identity(name).peer for name in ("me", "bob", "carol", "dave"))
NAMES = {BOB: "bob", CAROL: "carol", DAVE: "dave", ME: "me"}
A, B, C = (Address.parse(f"tcp://10.0.0.{number}:7000") for number in (1, 2, 3))
COOLDOWN = 1.0


def directory(*, me: PeerId = ME, seed: int = 1, **options: Any) -> Directory:
    settings: dict[str, Any] = {"source": "application", "admission": "tracked", **options}
    return Directory(Config(**settings), me, random.Random(seed))


def tracking(primary: dict[PeerId, Address], **options: Any) -> Directory:
    made = directory(**options)
    made.track(1, TrackedPeers(primary), 0.0)
    return made


def claim(peer: PeerId, ip: str = "10.0.0.1", **fields: Any) -> Claim:
    record = KNOWN.record(NAMES[peer], f"tcp://{ip}:7000")
    return Claim(peer, record, ip, **{"direction": Direction.IN, **fields})


def admit(d: Directory, peer: PeerId, ip: str = "10.0.0.1", now: float = 0.0, **fields: Any) -> Ticket | Reason:
    return d.admit(claim(peer, ip, **fields), now)


def ticket_of(decided: object) -> Ticket:
    ticket = decided[0] if isinstance(decided, tuple) else decided
    assert isinstance(ticket, Ticket)
    return ticket


def where(d: Directory, peer: PeerId, now: float = 0.0) -> Address:
    reserved = d.reserve(peer, now)
    assert isinstance(reserved, tuple)
    return reserved[1]


def connect(d: Directory, peer: PeerId, now: float = 0.0) -> Ticket:
    ticket = ticket_of(d.reserve(peer, now))
    assert d.opened(peer, now) is None
    return ticket


def dialable(d: Directory, now: float = 0.0) -> tuple[PeerId, ...]:
    return tuple(sorted(d.dialable(100, (), now)[0]))
