"""Index members whose names are wrong."""

from __future__ import annotations

from rookery.actors.providers.core.search.charges import MARGIN, MAX_MEMBERS, PASSED_OVER, Charges
from rookery.transport import PeerId

ALICE, BOB = PeerId(b"a" * 32), PeerId(b"b" * 32)


def test_member_that_is_wrong_eight_times_is_passed_over_for_ten_minutes() -> None:
    charges = Charges()
    assert [charges.judge(ALICE, False, 0.0) for _ in range(MARGIN)] == [False] * (MARGIN - 1) + [True]
    assert charges.passed_over(PASSED_OVER - 1) == {ALICE}
    assert charges.passed_over(PASSED_OVER) == frozenset()
    assert not charges.judge(ALICE, False, PASSED_OVER)


def test_member_that_is_right_as_often_is_not() -> None:
    charges = Charges()
    for _ in range(100):
        assert not charges.judge(ALICE, False, 0.0)
        charges.judge(ALICE, True, 0.0)


def test_being_right_before_buys_no_lies() -> None:
    charges = Charges()
    for _ in range(100):
        charges.judge(ALICE, True, 0.0)
    assert any(charges.judge(ALICE, False, 0.0) for _ in range(MARGIN))


def test_rare_mistakes_are_forgotten() -> None:
    charges = Charges()
    assert not any(charges.judge(ALICE, False, number * PASSED_OVER) for number in range(100))


def test_members_that_are_counted_are_bounded() -> None:
    charges = Charges()
    for number in range(2 * MAX_MEMBERS):
        charges.judge(PeerId(number.to_bytes(32, "big")), False, 0.0)
    assert len(charges._wrong) == MAX_MEMBERS
