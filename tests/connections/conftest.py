"""Links for the tests of connections."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rookery.transport.address import Address
from rookery.transport.gatekeeper import Direction, Role
from rookery.transport.identity import Identity
from rookery.transport.mailbox import Link
from rookery.transport.record import PeerRecord

MakeLink = Callable[..., Link]


@pytest.fixture(scope="session")
def records() -> dict[int, PeerRecord]:
    """Signed once per number: signing is slow."""
    return {}


@pytest.fixture
def make_link(records: dict[int, PeerRecord]) -> MakeLink:
    """`make_link(id, peer=number, direction=..., opened_at=...)`; each number is another peer."""

    def make(id: int, *, peer: int | None = None, direction: Direction = Direction.OUT, opened_at: float = 0.0) -> Link:
        number = id if peer is None else peer
        if number not in records:
            identity = Identity.from_seed(number.to_bytes(32, "big"))
            address = Address.parse("tcp://10.0.0.1:7000")
            records[number] = PeerRecord.sign(identity, network="test", address=address, generation=1)
        record = records[number]
        return Link(id, record.peer, direction, Role.PRIMARY, "10.0.0.1", opened_at, record)

    return make
