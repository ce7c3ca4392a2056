from __future__ import annotations

from rookery.transport import Gate, Reason
from rookery.transport.core.handshake_limits import HandshakeLimits

KEY, OTHER = b"k" * 32, b"o" * 32
OPEN = Gate(1)


def limits_of(*, per_ip: int = 10, per_subnet: int = 20, max_pending: int = 100) -> HandshakeLimits:
    return HandshakeLimits(per_ip=(1.0, per_ip), per_subnet=(1.0, per_subnet), max_pending=max_pending)


def test_handshake_before_the_first_gate_is_refused() -> None:
    assert limits_of().check(None, "10.0.0.1", KEY, 0.0, 5.0) is Reason.NO_GATE


def test_handshake_of_a_blocked_key_or_ip_is_refused_without_taking_a_token() -> None:
    limits = limits_of(per_ip=1)
    assert limits.check(Gate(1, blocked=frozenset({KEY})), "10.0.0.1", KEY, 0.0, 5.0) is Reason.BLOCKED
    assert limits.check(Gate(1, blocked_ips=frozenset({"10.0.0.1"})), "10.0.0.1", KEY, 0.0, 5.0) is Reason.BLOCKED
    assert limits.check(OPEN, "10.0.0.1", KEY, 0.0, 5.0) is None


def test_handshake_from_an_ip_that_is_not_registered_is_refused() -> None:
    gate = Gate(1, registered_ips=frozenset({"10.0.0.1"}))
    assert limits_of().check(gate, "10.0.0.2", KEY, 0.0, 5.0) is Reason.UNREGISTERED_IP
    assert limits_of().check(gate, "10.0.0.1", KEY, 0.0, 5.0) is None


def test_handshakes_over_the_rate_of_an_ip_are_refused_and_others_are_not() -> None:
    limits = limits_of(per_ip=2)
    assert [limits.check(OPEN, "10.0.0.1", KEY, 0.0, 5.0) for _ in range(3)] == [None, None, Reason.RATE]
    assert limits.check(OPEN, "10.0.0.2", KEY, 0.0, 5.0) is None


def test_handshakes_of_a_refused_ip_still_count_for_its_subnet() -> None:
    limits = limits_of(per_ip=1, per_subnet=3)
    for _ in range(3):
        limits.check(OPEN, "10.0.0.1", KEY, 0.0, 5.0)
    assert limits.check(OPEN, "10.0.0.2", KEY, 0.0, 5.0) is Reason.RATE
    assert limits.check(OPEN, "10.0.1.2", KEY, 0.0, 5.0) is None


def test_handshake_over_the_pending_limit_is_refused_until_one_says_hello() -> None:
    limits = limits_of(max_pending=2)
    assert limits.check(OPEN, "10.0.0.1", KEY, 0.0, 5.0) is None
    assert limits.check(OPEN, "10.0.0.2", OTHER, 0.0, 5.0) is None
    assert limits.check(OPEN, "10.0.0.3", KEY, 0.0, 5.0) is Reason.PENDING
    limits.arrived(OTHER)
    assert limits.pending == 1
    assert limits.check(OPEN, "10.0.0.3", KEY, 0.0, 5.0) is None


def test_pending_handshake_that_never_says_hello_is_given_up() -> None:
    limits = limits_of(max_pending=1)
    assert limits.check(OPEN, "10.0.0.1", KEY, 0.0, 5.0) is None
    assert limits.check(OPEN, "10.0.0.2", OTHER, 4.9, 9.9) is Reason.PENDING
    assert limits.check(OPEN, "10.0.0.2", OTHER, 5.0, 10.0) is None


def test_hello_without_a_handshake_changes_nothing() -> None:
    limits = limits_of()
    limits.arrived(KEY)
    assert limits.pending == 0


def test_pending_handshake_whose_connection_ended_is_pending_no_more() -> None:
    limits = limits_of(max_pending=3)
    for ip, key in (("10.0.0.1", KEY), ("10.0.0.1", OTHER), ("10.0.0.2", KEY)):
        assert limits.check(OPEN, ip, key, 0.0, 5.0) is None
    limits.silent("10.0.0.1", 2)
    limits.silent("10.0.0.3", 0)
    assert limits.pending == 3
    limits.silent("10.0.0.1", 1)
    assert limits.pending == 2
    limits.arrived(OTHER)
    limits.silent("10.0.0.1", 0)
    limits.silent("10.0.0.2", 0)
    assert limits.pending == 0
    limits.arrived(KEY)
    assert limits.pending == 0


def test_ip_that_cools_down_is_refused_for_so_long_and_others_are_not() -> None:
    limits = limits_of()
    limits.cool_down("10.0.0.1", 30.0)
    assert limits.check(OPEN, "10.0.0.1", KEY, 29.9, 35.0) is Reason.RATE
    assert limits.check(OPEN, "10.0.0.2", KEY, 29.9, 35.0) is None
    assert limits.is_cooling("10.0.0.1", 29.9)
    assert limits.check(OPEN, "10.0.0.1", KEY, 30.0, 35.0) is None


def test_ips_that_cool_down_are_bounded_and_the_oldest_are_forgotten() -> None:
    limits = limits_of()
    for number in range(16_385):
        limits.cool_down(str(number), 30.0)
    assert not limits.is_cooling("0", 0.0)
    assert limits.is_cooling("1", 0.0)
    assert limits.is_cooling("16384", 0.0)


def test_addresses_of_one_64_are_one_ip_to_the_rate_and_to_the_cooldown() -> None:
    limits = limits_of(per_ip=2)
    some = [f"2001:db8::{number}" for number in range(1, 4)]
    assert [limits.check(OPEN, ip, KEY, 0.0, 5.0) for ip in some] == [None, None, Reason.RATE]
    assert limits.check(OPEN, "2001:db8:0:1::1", KEY, 0.0, 5.0) is None
    limits.cool_down("2001:db8:0:1::1", 30.0)
    assert limits.is_cooling("2001:db8:0:1::2", 1.0)
    assert not limits.is_cooling("2001:db8:0:2::1", 1.0)
    assert not limits.is_cooling("2001:db8:0:1::2", 30.0)
