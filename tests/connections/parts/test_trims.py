"""Trims through the engine: reports, sharing, slices, time-outs."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors.connections import Counts, NoLowWater, TrimReport
from rookery.actors.connections.core.trim import CHOSEN_PER_SLICE, GATHERED_PER_SLICE
from rookery.transport import mailbox as transport
from rookery.transport.reasons import Reason
from tests.connections.worlds import Around, make_link, peer_of


@pytest.fixture
def around(simulation: Any) -> Around:
    return Around(simulation)


def test_trim_closes_down_to_the_target_and_reports_when_all_are_gone(around: Around) -> None:
    links = around.grown(5)
    report = around.conns.trim_open_connections(3)
    around.simulation.settle()
    assert around.closings() == [4, 3]
    assert around.told()[-1] == Counts(open=3, closing=2)
    around.close(links[4])
    assert not report.done
    around.close(links[3])
    assert report.get(timeout=0) == TrimReport(closed=(links[4], links[3]), short_by=0)
    assert around.told().count(Counts(open=3, closing=1)) == 1


def test_trim_of_300_keeps_the_100_that_are_worth_most_and_closes_the_worst(around: Around) -> None:
    around.open(*(make_link(number) for number in range(300)))
    for number in range(100):
        around.conns.tag_peer(peer_of(number), "useful", 10)
    around.conns.tag_peer(peer_of(299), "bad", -5)
    report = around.trim(200)
    assert len(report.closed) == 100
    assert report.closed[0].id == 299
    assert all(link.id >= 100 for link in report.closed)


def test_trim_without_a_victim_is_answered_at_once(around: Around) -> None:
    around.open(make_link(1))
    assert around.conns.trim_open_connections(1).get(timeout=0) == TrimReport(closed=(), short_by=0)
    assert around.closings() == []


def test_trim_that_cannot_reach_its_target_says_why_and_is_counted(simulation: Any) -> None:
    around = Around(simulation, grace_period=2.5)
    around.grown(6)  # three of them in grace
    around.conns.protect(peer_of(0), "friend")
    report = around.trim(1)
    assert [link.id for link in report.closed] == [2, 1]
    assert (report.short_by, report.protected, report.in_grace, report.unclosed) == (3, 1, 3, 0)
    assert around.counted("trims_short_total", "protected") == 1
    assert around.counted("trims_short_total", "in_grace") == 1


def test_trim_to_a_target_counts_protected_ones_too(around: Around) -> None:
    around.grown(10)
    for number in range(4):
        around.conns.protect(peer_of(number), "friend")
    around.trim(5)
    assert around.info().open == 5


def test_trim_without_a_target_and_without_low_water_is_declined(around: Around) -> None:
    for asked in (around.conns.trim_open_connections(), around.conns.force_trim()):
        with pytest.raises(NoLowWater, match=r"give a target, or set connections\.low_water"):
            asked.get(timeout=1)


def test_trim_to_a_negative_target_is_refused(around: Around) -> None:
    for ask in (around.conns.trim_open_connections, around.conns.force_trim):
        with pytest.raises(ValueError, match="from 0 to 2147483647, not -1"):
            ask(-1)


def test_C7_every_trim_is_remembered_as_the_last(simulation: Any) -> None:
    around = Around(simulation, low_water=1, high_water=2)
    assert around.info().last_trim is None
    around.open(*(make_link(number) for number in range(3)))
    simulation.run(for_=10.0)
    assert around.info().last_trim == 10.0  # in the background
    simulation.run(for_=6.0)  # that one is over
    around.conns.trim_open_connections(1)
    assert around.info().last_trim == 16.0


def test_C11_a_link_that_does_not_close_holds_up_neither_the_others_nor_the_report(around: Around) -> None:
    links = around.grown(3)
    began = around.simulation.time
    report = around.conns.trim_open_connections(0)
    around.simulation.settle()
    assert around.closings() == [2, 1, 0]  # all asked at once
    around.close(links[2], links[0])
    assert report.get(timeout=6) == TrimReport(closed=(links[2], links[0]), short_by=1, unclosed=1)
    assert around.simulation.time == began + 5.0
    assert around.counted("trims_short_total", "unclosed") == 1
    around.close(links[1])
    assert (around.info().open, around.info().closing) == (0, 0)


def test_trims_that_this_one_covers_share_it_and_the_others_share_the_strictest_of_them(around: Around) -> None:
    links = around.grown(5)
    first, covered = around.conns.trim_open_connections(4), around.conns.trim_open_connections(4)
    around.simulation.settle()
    stricter = [around.conns.trim_open_connections(target) for target in (3, 2)]
    around.simulation.settle()
    assert around.closings() == [4]
    around.close(links[4])
    assert first.get(timeout=0) == covered.get(timeout=0) == TrimReport((links[4],), 0)
    assert around.closings() == [4, 3, 2]
    assert not any(reply.done for reply in stricter)
    around.close(links[3], links[2])
    assert [reply.get(timeout=0) for reply in stricter] == [TrimReport((links[3], links[2]), 0)] * 2
    assert around.counted("trims_total", "explicit") == 2


def test_who_finds_too_many_again_after_all_victims_were_chosen_shares_the_next_trim(around: Around) -> None:
    around.grown(3)
    first = around.conns.trim_open_connections(2)
    around.simulation.settle()
    around.open(make_link(10))
    second, third = around.conns.trim_open_connections(2), around.conns.trim_open_connections(2)
    around.simulation.settle()
    assert around.closings() == [2]
    around.close(make_link(2))
    assert first.get(timeout=0).short_by == 1  # the one that came meanwhile
    assert around.closings() == [2, 10]
    around.close(make_link(10))
    assert second.get(timeout=0).short_by == third.get(timeout=0).short_by == 0


def test_three_callers_two_of_them_during_the_trim_are_all_answered(around: Around) -> None:
    links = around.grown(3)
    replies = [around.conns.trim_open_connections(2)]
    around.simulation.settle()
    replies += [around.conns.trim_open_connections(2) for _ in range(2)]
    around.simulation.settle()
    assert not any(reply.done for reply in replies)
    around.close(links[2])
    assert all(reply.done for reply in replies)


def test_force_trim_during_a_trim_is_the_next_one_and_meets_its_target(simulation: Any) -> None:
    around = Around(simulation, grace_period=1.5)
    links = around.grown(5)
    around.conns.protect(peer_of(0), "friend")
    normal = around.conns.trim_open_connections(4)
    simulation.settle()
    forced = around.conns.force_trim(0)
    simulation.settle()
    assert not forced.done
    around.close(links[2])
    assert len(normal.get(timeout=0).closed) == 1
    around.close(links[4], links[3], links[1])
    assert not forced.done
    around.close(links[0])
    report = forced.get(timeout=0)
    assert ([link.id for link in report.closed], report.short_by) == ([4, 3, 1, 0], 0)


def test_force_trim_may_spare_protected_peers(around: Around) -> None:
    around.grown(4)
    around.conns.protect(peer_of(3), "friend")
    report = around.force(0, include_protected=False)
    assert [link.id for link in report.closed] == [2, 1, 0]
    assert (report.short_by, report.protected) == (1, 1)


def test_victim_that_its_own_peer_closes_first_counts_as_gone(around: Around) -> None:
    link = make_link(1)
    around.open(link)
    report = around.conns.trim_open_connections(0)
    around.simulation.settle()
    around.close(link, reason=Reason.REMOTE)
    assert report.get(timeout=0).closed == (link,)


def test_C13_trim_while_victims_of_the_last_are_still_closing_counts_none_of_them_twice(around: Around) -> None:
    around.grown(10)
    first = around.conns.trim_open_connections(6)
    first.get(timeout=60)  # nothing closed in time
    assert (around.info().open, around.info().closing) == (6, 4)
    second = around.conns.trim_open_connections(6)
    assert second.get(timeout=1) == TrimReport(closed=(), short_by=0)
    assert len(around.closings()) == 4


def test_background_trims_do_not_pile_up_while_one_runs(simulation: Any) -> None:
    around = Around(simulation, low_water=1, high_water=2, silence_period=1.0, close_timeout=5.0)
    around.open(*(make_link(number) for number in range(4)))
    simulation.run(for_=4.0)
    around.open(*(make_link(number) for number in range(10, 14)))  # more than high water again, and it still waits
    simulation.run(for_=1.5)
    assert around.counted("trims_total", "background") == 1
    simulation.run(for_=1.5)
    assert around.counted("trims_total", "background") == 2


def test_opening_a_connection_starts_no_trim(simulation: Any) -> None:
    around = Around(simulation, low_water=1, high_water=2)
    simulation.run(for_=1.0)
    around.open(*(make_link(number) for number in range(50)))
    simulation.run(for_=8.9)  # just before the check
    assert around.closings() == []


# Slices


def test_trim_of_thousands_goes_on_in_slices_and_closes_exactly_as_many(around: Around) -> None:
    count = 2 * GATHERED_PER_SLICE + 500
    around.open(*(make_link(number) for number in range(count)))
    report = around.trim(count - 3 * CHOSEN_PER_SLICE - 1)
    assert len(report.closed) == len(set(report.closed)) == 3 * CHOSEN_PER_SLICE + 1
    assert around.info().open == count - 3 * CHOSEN_PER_SLICE - 1


def test_connections_lost_between_two_slices_are_not_closed_on_top(around: Around) -> None:
    count, target = 2 * GATHERED_PER_SLICE, GATHERED_PER_SLICE
    around.open(*(make_link(number) for number in range(count)))
    asked = around.conns.trim_open_connections(target)
    for number in range(700):  # in the inbox before the second slice
        around.conns.tell(transport.Closed(number, peer_of(number), Reason.LOST))
    around.finish(asked)
    assert around.info().open == target
    assert len(around.closings()) <= count - target - 600


def test_peer_protected_between_two_slices_is_not_closed(around: Around) -> None:
    count = 2 * GATHERED_PER_SLICE
    around.open(*(make_link(number) for number in range(count)))
    asked = around.conns.trim_open_connections(0)
    for number in range(0, count, 7):
        around.conns.protect(peer_of(number), "friend")
    report = around.finish(asked)
    spared = len(range(0, count, 7))
    assert (report.short_by, report.protected, around.info().open) == (spared, spared, spared)


def test_connections_that_grow_out_of_grace_by_thousands_are_all_eligible_for_a_trim(simulation: Any) -> None:
    around = Around(simulation, grace_period=60.0, silence_period=1000.0)
    around.open(*(make_link(number) for number in range(2500)))
    simulation.run(for_=60.0)
    assert len(around.trim(100).closed) == 2400


def test_trim_spares_whom_it_is_told_to_and_says_how_much_is_missing(around: Around) -> None:
    around.grown(5)
    spared = frozenset(map(peer_of, (2, 3, 4)))
    report = around.finish(around.conns.trim_open_connections(1, spare=spared))
    assert [link.id for link in report.closed] == [1, 0]
    assert report.short_by == 2


def test_trim_that_spares_somebody_is_no_answer_to_one_that_does_not(simulation: Any) -> None:
    around = Around(simulation)
    links = around.grown(4)
    gentle = around.conns.trim_open_connections(2, spare=frozenset({peer_of(3)}))
    strict = around.conns.trim_open_connections(2)
    simulation.settle()
    around.close(links[2], links[1])
    assert [link.id for link in gentle.get(timeout=0).closed] == [2, 1]
    assert strict.get(timeout=0).closed == ()
    spared = frozenset(map(peer_of, (0, 3)))
    first = around.conns.trim_open_connections(0, spare=spared)
    second = around.conns.trim_open_connections(0)
    simulation.settle()
    around.close(links[3], links[0])
    assert (first.get(timeout=0).short_by, len(second.get(timeout=0).closed)) == (2, 2)
