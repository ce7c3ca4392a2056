from __future__ import annotations

from rookery.transport import PeerId
from rookery.transport.core.floods import Floods

ALICE, BOB = PeerId(b"a" * 32), PeerId(b"b" * 32)


def test_peer_with_too_many_drops_in_a_window_is_a_flooder_and_others_are_not() -> None:
    floods = Floods(10)
    assert [floods.dropped(ALICE, 3, now) for now in (0.0, 3.0, 6.0)] == [False, False, False]
    assert not floods.dropped(BOB, 9, 9.9)
    assert floods.dropped(ALICE, 1, 9.9)


def test_drops_of_an_earlier_window_do_not_count() -> None:
    floods = Floods(10)
    assert not floods.dropped(ALICE, 9, 0.0)
    assert not floods.dropped(ALICE, 9, 10.0)
    assert floods.dropped(ALICE, 1, 19.9)
