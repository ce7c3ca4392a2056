"""The life of a reservation."""

from __future__ import annotations

import pytest

from rookery.actors.tracker.core.known_peer import Given, KnownPeer, Status
from rookery.actors.tracker.errors import IllegalTransition
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Direction, Role, Ticket
from rookery.transport.identity import PeerId

BOB = PeerId(b"b" * 32)
HERE = Address.parse("tcp://10.0.0.2:7000")
THERE = Address.parse("tcp://10.0.0.3:7000")


def ticket(number: int, direction: Direction = Direction.OUT) -> Ticket:
    return Ticket(number, BOB, direction)


def status(record: KnownPeer) -> Status:
    return record.status


def active() -> KnownPeer:
    record = KnownPeer(BOB, HERE)
    record.reserve(ticket(1))
    record.opened(5.0)
    return record


def test_record_reserve_open_release_goes_from_inert_to_active_and_back() -> None:
    record = KnownPeer(BOB)
    assert status(record) is Status.INERT
    record.reserve(ticket(1))
    assert status(record) is Status.RESERVED
    record.opened(5.0)
    assert status(record) is Status.ACTIVE
    ended = record.release(ticket(1))
    assert ended is not None
    assert ended.opened_at == 5.0
    assert status(record) is Status.INERT


def test_record_opened_when_nobody_reserved_is_an_illegal_transition() -> None:
    with pytest.raises(IllegalTransition, match="inert"):
        KnownPeer(BOB).opened(1.0)


def test_record_opened_twice_is_an_illegal_transition() -> None:
    with pytest.raises(IllegalTransition, match="active"):
        active().opened(6.0)


def test_record_leaving_a_set_it_was_not_in_is_an_illegal_transition() -> None:
    with pytest.raises(IllegalTransition, match="left a set"):
        KnownPeer(BOB).enlist(Role.PRIMARY, -1)


def test_record_release_of_an_unknown_ticket_is_void() -> None:
    record = active()
    assert record.release(ticket(9)) is None
    assert status(record) is Status.ACTIVE


def test_record_release_twice_is_void_the_second_time() -> None:
    record = active()
    assert record.release(ticket(1)) is not None
    assert record.release(ticket(1)) is None


def test_record_superseded_ticket_released_late_is_void() -> None:
    record = active()
    record.reserve(ticket(2, Direction.IN))
    assert status(record) is Status.RESERVED
    assert record.release(ticket(1)) is None
    assert status(record) is Status.RESERVED
    record.opened(6.0)
    assert record.release(ticket(2, Direction.IN)) is not None
    assert status(record) is Status.INERT


def test_record_superseding_ticket_released_unopened_gives_the_reservation_back() -> None:
    record = active()
    record.reserve(ticket(2, Direction.IN))
    assert record.release(ticket(2, Direction.IN)) is not None
    assert status(record) is Status.ACTIVE
    assert record.release(ticket(1)) is not None
    assert status(record) is Status.INERT


def test_record_when_a_superseding_claim_is_superseded_too_the_live_link_is_what_remains() -> None:
    record = active()
    record.reserve(ticket(2, Direction.IN))
    record.reserve(ticket(3, Direction.IN))
    assert record.release(ticket(2, Direction.IN)) is None
    assert record.release(ticket(3, Direction.IN)) is not None
    assert status(record) is Status.ACTIVE
    assert record.release(ticket(1)) is not None


def test_record_superseded_ticket_released_after_the_new_link_opened_is_void() -> None:
    record = active()
    record.reserve(ticket(2, Direction.IN))
    record.opened(7.0)
    assert record.release(ticket(1)) is None
    assert status(record) is Status.ACTIVE


def test_record_address_changed_while_held_is_stale_until_release() -> None:
    record = active()
    assert record.give_address(THERE) is Given.CHANGED
    assert record.stale
    assert record.give_address(HERE) is Given.CHANGED
    assert record.stale
    record.release(ticket(1))
    assert not record.stale


def test_record_same_address_changes_nothing() -> None:
    record = active()
    assert record.give_address(HERE) is Given.SAME
    assert not record.stale


def test_record_address_changed_while_inert_is_not_stale() -> None:
    record = KnownPeer(BOB, HERE)
    assert record.give_address(THERE) is Given.CHANGED
    assert not record.stale


def test_record_whose_first_address_is_given_while_it_is_held_is_not_stale() -> None:
    record = KnownPeer(PeerId(b"b" * 32))
    record.reserve(Ticket(1, record.peer, Direction.IN))
    assert record.give_address(HERE) is Given.FIRST
    assert not record.stale
