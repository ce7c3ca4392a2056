from __future__ import annotations

from rookery.transport import Gate, Reason
from rookery.transport.core.admission import Admission

KEY, OTHER = b"k" * 32, b"o" * 32
OPEN = Gate(1)


def admission(*, per_ip: int = 10, per_subnet: int = 20, max_pending: int = 100) -> Admission:
    return Admission(per_ip=(1.0, per_ip), per_subnet=(1.0, per_subnet), max_pending=max_pending)


def test_knock_before_the_first_gate_is_refused() -> None:
    assert admission().knock(None, "10.0.0.1", KEY, 0.0, 5.0) is Reason.NO_GATE


def test_knock_of_a_blocked_key_or_ip_is_refused_without_taking_a_token() -> None:
    door = admission(per_ip=1)
    assert door.knock(Gate(1, blocked=frozenset({KEY})), "10.0.0.1", KEY, 0.0, 5.0) is Reason.BLOCKED
    assert door.knock(Gate(1, blocked_ips=frozenset({"10.0.0.1"})), "10.0.0.1", KEY, 0.0, 5.0) is Reason.BLOCKED
    assert door.knock(OPEN, "10.0.0.1", KEY, 0.0, 5.0) is None


def test_knock_from_an_ip_that_is_not_registered_is_refused() -> None:
    gate = Gate(1, registered_ips=frozenset({"10.0.0.1"}))
    assert admission().knock(gate, "10.0.0.2", KEY, 0.0, 5.0) is Reason.UNREGISTERED_IP
    assert admission().knock(gate, "10.0.0.1", KEY, 0.0, 5.0) is None


def test_knocks_over_the_rate_of_an_ip_are_refused_and_others_are_not() -> None:
    door = admission(per_ip=2)
    assert [door.knock(OPEN, "10.0.0.1", KEY, 0.0, 5.0) for _ in range(3)] == [None, None, Reason.RATE]
    assert door.knock(OPEN, "10.0.0.2", KEY, 0.0, 5.0) is None


def test_knocks_of_a_refused_ip_still_count_for_its_subnet() -> None:
    door = admission(per_ip=1, per_subnet=3)
    for _ in range(3):
        door.knock(OPEN, "10.0.0.1", KEY, 0.0, 5.0)
    assert door.knock(OPEN, "10.0.0.2", KEY, 0.0, 5.0) is Reason.RATE
    assert door.knock(OPEN, "10.0.1.2", KEY, 0.0, 5.0) is None


def test_knock_over_the_pending_limit_is_refused_until_one_says_hello() -> None:
    door = admission(max_pending=2)
    assert door.knock(OPEN, "10.0.0.1", KEY, 0.0, 5.0) is None
    assert door.knock(OPEN, "10.0.0.2", OTHER, 0.0, 5.0) is None
    assert door.knock(OPEN, "10.0.0.3", KEY, 0.0, 5.0) is Reason.PENDING
    door.arrived(OTHER)
    assert door.pending == 1
    assert door.knock(OPEN, "10.0.0.3", KEY, 0.0, 5.0) is None


def test_pending_knock_that_never_says_hello_is_given_up() -> None:
    door = admission(max_pending=1)
    assert door.knock(OPEN, "10.0.0.1", KEY, 0.0, 5.0) is None
    assert door.knock(OPEN, "10.0.0.2", OTHER, 4.9, 9.9) is Reason.PENDING
    assert door.knock(OPEN, "10.0.0.2", OTHER, 5.0, 10.0) is None


def test_hello_without_a_knock_changes_nothing() -> None:
    door = admission()
    door.arrived(KEY)
    assert door.pending == 0


def test_pending_knock_whose_connection_ended_is_pending_no_more() -> None:
    door = admission(max_pending=3)
    for ip, key in (("10.0.0.1", KEY), ("10.0.0.1", OTHER), ("10.0.0.2", KEY)):
        assert door.knock(OPEN, ip, key, 0.0, 5.0) is None
    door.silent("10.0.0.1", 2)
    door.silent("10.0.0.3", 0)
    assert door.pending == 3
    door.silent("10.0.0.1", 1)
    assert door.pending == 2
    door.arrived(OTHER)
    door.silent("10.0.0.1", 0)
    door.silent("10.0.0.2", 0)
    assert door.pending == 0
    door.arrived(KEY)
    assert door.pending == 0
