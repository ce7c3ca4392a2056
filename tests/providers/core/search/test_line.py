"""Which key comes next where many wait."""

from __future__ import annotations

from rookery.actors.providers.core.search.line import Line, Rank


def taken(line: Line) -> list[bytes]:
    found = []
    while (each := line.take()) is not None:
        found.append(each[0])
    return found


def test_lists_come_before_new_keys_and_those_before_others() -> None:
    line = Line()
    for hashed, rank in (
        (b"a", Rank.AGAIN),
        (b"n", Rank.NEW),
        (b"l", Rank.LIST),
        (b"b", Rank.AGAIN),
        (b"m", Rank.LIST),
    ):
        line.put(hashed, rank)
    assert len(line) == 5
    assert taken(line) == [b"l", b"m", b"n", b"a", b"b"]


def test_of_new_keys_the_newest_and_the_oldest_come_in_turn() -> None:
    line = Line()
    for number in range(5):
        line.put(bytes([number]), Rank.NEW)
    assert [each[0] for each in taken(line)] == [4, 0, 3, 1, 2]


def test_key_waits_once_and_for_what_was_said_last() -> None:
    line = Line()
    line.put(b"a", Rank.AGAIN)
    line.put(b"b", Rank.NEW)
    line.put(b"a", Rank.LIST)
    assert b"a" in line
    assert taken(line) == [b"a", b"b"]
    line.put(b"c", Rank.NEW)
    line.leave(b"c")
    assert (b"c" in line, line.take()) == (False, None)


def test_those_are_passed_over_whose_rank_may_not_come_now() -> None:
    line = Line()
    line.put(b"a", Rank.LIST)
    line.put(b"b", Rank.AGAIN)
    assert line.take(lambda rank: rank is not Rank.LIST) == (b"b", Rank.AGAIN)
    assert line.take(lambda rank: rank is not Rank.LIST) is None
    assert line.take() == (b"a", Rank.LIST)


def test_what_comes_last_has_its_turn_though_more_comes_before_it_all_the_time() -> None:
    line = Line()
    line.put(b"n", Rank.NEW)
    line.put(b"a", Rank.AGAIN)
    came: list[Rank] = []
    for number in range(16):
        line.put(bytes([number]), Rank.LIST)
        taken = line.take()
        assert taken is not None
        came.append(taken[1])
    assert came[:5] == [Rank.LIST, Rank.LIST, Rank.LIST, Rank.AGAIN, Rank.NEW]
    assert set(came[5:]) == {Rank.LIST}
