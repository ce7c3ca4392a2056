"""Who has said yes to which key."""

from __future__ import annotations

from rookery.actors.providers.core.search.known_holders import KnownHolders

from .world import KEYS, OTHERS

ANN, BOB = OTHERS[:2]
ONE, TWO = KEYS[:2]


def test_holders_are_known_by_key_and_by_peer() -> None:
    known = KnownHolders()
    known.add(ONE, ANN, 5.0)
    known.add(ONE, BOB, None)
    known.add(TWO, ANN, None)
    assert known.of(ONE) == {ANN: 5.0, BOB: None}
    assert set(known.keys_of(ANN)) == {ONE, TWO}
    assert known.discard(ONE, ANN)
    assert not known.discard(ONE, ANN)
    assert known.of(ONE) == {BOB: None}
    assert set(known.keys_of(ANN)) == {TWO}


def test_of_a_key_that_is_forgotten_those_are_told_who_have_no_other() -> None:
    known = KnownHolders()
    known.add(ONE, ANN, None)
    known.add(ONE, BOB, None)
    known.add(TWO, BOB, None)
    assert known.forget(ONE) == [ANN]
    assert (dict(known.of(ONE)), set(known.keys_of(ANN)), set(known.keys_of(BOB))) == ({}, set(), {TWO})
