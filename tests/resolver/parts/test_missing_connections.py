"""Which connections a resolver wishes for: to targets, and to somebody new where nobody connected can help."""

from __future__ import annotations

import math
from itertools import count
from typing import Any

import pytest

from rookery.actors.resolver import Outcome
from rookery.actors.resolver.core import codec
from rookery.actors.resolver.core.fetching.fetcher import Fetcher
from rookery.actors.resolver.core.fetching.stuck_keys import MAX_STUCK
from rookery.actors.resolver.core.wishes import MAX_PROMPT
from rookery.runtime import Reply
from tests.resolver.core.fetching.fetchers import DELAY, TIMEOUT, fetcher, send, sent

KEY, OTHER = b"k", b"o"
VALUE = b"the value"

# Targets -------------------------------------------------------------------------------------------------------------


def test_unconnected_target_is_wanted_from_maintenance_once_and_asked_when_it_connects(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch_targeted(KEY, [rig.peer("carol")])
    data.fetch_targeted(OTHER, [rig.peer("carol"), rig.peer("bob")])
    rig.simulation.settle()
    assert rig.wants() == []
    rig.peer_set("bob", "carol")
    rig.simulation.settle()
    assert rig.wants() == ["carol"]
    rig.open("carol")
    assert ("carol", KEY) in [(name, request.key) for name, request in rig.sent()]


def test_want_is_repeated_each_interval_while_a_key_waits_and_not_afterwards(rig: Any) -> None:
    data = rig.start("bob", want_interval=10)
    rig.peer_set("bob", "carol")
    data.fetch_targeted(KEY, [rig.peer("carol")])
    rig.simulation.run(for_=25)
    assert rig.wants() == ["carol"] * 3
    data.cancel(KEY)
    rig.simulation.run(for_=100)
    assert rig.wants() == ["carol"] * 3
    assert rig.count("wants_total") == 3


def test_target_whose_link_closes_is_wanted_again(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch_targeted(KEY, [rig.peer("bob")])
    rig.close("bob")
    rig.simulation.settle()
    assert rig.wants() == ["bob"]


def test_target_whose_link_closed_during_an_ambiguous_verdict_is_wanted_again(rig: Any) -> None:
    verdict: Reply[Any] = Reply()
    rig.consumer.answers = [verdict]
    data = rig.start("bob")
    data.fetch_targeted(KEY, [rig.peer("bob")])
    rig.answer(VALUE)
    rig.close("bob")
    rig.simulation.settle()
    assert rig.wants() == []
    verdict.set(Outcome.AMBIGUOUS)
    rig.simulation.settle()
    assert rig.wants() == ["bob"]


# Keys that any peer may answer ---------------------------------------------------------------------------------------


def test_key_without_a_candidate_wants_one_unlinked_peer_at_a_time_and_each_in_its_turn(rig: Any) -> None:
    data = rig.start("dave", want_interval=10)
    rig.peer_set("alice", "bob", "carol")  # dave is connected, and may not be asked
    data.fetch(KEY)
    rig.simulation.settle()
    assert len(rig.wants()) == 1
    rig.simulation.run(for_=1.2)  # none of them comes
    assert sorted(rig.wants()) == ["alice", "bob", "carol"]
    rig.simulation.run(for_=30)
    assert rig.wants()[3:] == rig.wants()[:3]
    assert rig.count("wants_total") == 6


def test_peers_that_do_not_come_are_wanted_promptly_up_to_a_bound_and_anew_once_one_came(rig: Any) -> None:
    crowd = [f"peer {number:02}" for number in range(3 * MAX_PROMPT)]
    data = rig.start("dave", want_interval=10)
    rig.peer_set(*crowd)
    data.fetch(KEY)
    rig.simulation.run(for_=MAX_PROMPT / 2 + 0.5)
    assert len(set(rig.wants())) == MAX_PROMPT
    rig.simulation.run(for_=10)
    assert len(rig.wants()) == MAX_PROMPT + 1
    rig.open(rig.wants()[-1])
    rig.answer(None)
    rig.simulation.run(for_=1.2)
    assert len(set(rig.wants())) == MAX_PROMPT + 4


def test_peers_that_did_not_come_are_wanted_promptly_again_once_a_set_lists_somebody_new_and_not_else(rig: Any) -> None:
    data = rig.start("dave", want_interval=10)
    rig.peer_set("alice", "bob")
    data.fetch(KEY)
    rig.simulation.run(for_=2.5)
    rig.peer_set("bob")
    rig.simulation.run(for_=2.5)
    assert len(rig.wants()) == 2
    rig.peer_set("bob", "carol")
    rig.simulation.run(for_=2.5)
    assert len(rig.wants()) == 4


def test_key_whose_only_candidate_leaves_wants_somebody(rig: Any) -> None:
    data = rig.start("bob")
    data.fetch(KEY)
    rig.asked()
    assert rig.wants() == []
    rig.close("bob")
    rig.simulation.settle()
    assert rig.wants() == ["bob"]


def no_data(rig: Any) -> None:
    assert rig.answer(None) in {"alice", "bob"}


def bytes_that_do_not_help(rig: Any) -> None:
    rig.consumer.answers = [Outcome.AMBIGUOUS]
    rig.answer(VALUE)


@pytest.mark.parametrize("fails", [no_data, bytes_that_do_not_help])
def test_key_that_all_candidates_failed_wants_somebody_else_and_not_before(rig: Any, fails: Any) -> None:
    data = rig.start("alice", "bob")
    rig.peer_set("alice", "bob", "carol")
    data.fetch(KEY)
    fails(rig)
    rig.simulation.run(for_=0.1)
    assert rig.wants() == []
    fails(rig)
    rig.simulation.settle()
    assert rig.wants() == ["carol"]


def test_key_that_all_candidates_are_silent_about_wants_somebody_else_when_the_last_is_overdue(rig: Any) -> None:
    data = rig.start("alice", "bob", fetch_timeout=12)
    rig.peer_set("alice", "bob", "carol")
    data.fetch(KEY)
    rig.simulation.run(for_=1.4)
    assert rig.wants() == []  # one is asked after 1 s, nobody is left to be asked 0.5 s later
    rig.simulation.run(for_=0.2)
    assert rig.wants() == ["carol"]
    rig.open("carol")
    rig.simulation.run(for_=0.6)
    assert rig.sent()[-1][0] == "carol"


def test_key_that_all_candidates_failed_wants_until_it_is_cancelled(rig: Any) -> None:
    data = rig.start("bob", want_interval=10)
    rig.peer_set("alice", "bob", "carol")
    data.fetch(KEY)
    for _ in range(250):
        for name, request in rig.sent():  # and it goes on asking whom it has
            rig.receive(name, codec.Missing(request.id))
        rig.simulation.run(for_=0.1)
    first, second, *others = rig.wants()
    assert {first, second} == {"alice", "carol"}
    assert others == [first, second]
    data.cancel(KEY)
    rig.simulation.run(for_=100)
    assert len(rig.wants()) == 4


def test_candidate_that_appears_ends_the_wanting(rig: Any) -> None:
    data = rig.start(want_interval=10)
    rig.peer_set("alice", "bob")
    data.fetch(KEY)
    rig.simulation.settle()
    (first,) = rig.wants()
    rig.open(first)
    rig.answer(VALUE)
    rig.simulation.run(for_=100)
    assert rig.wants() == [first]


def test_new_candidate_that_fails_too_leads_to_the_next(rig: Any) -> None:
    data = rig.start("alice", want_interval=10)
    rig.peer_set("alice", "bob", "carol")
    data.fetch(KEY)
    rig.answer(None)
    rig.simulation.settle()
    (second,) = rig.wants()
    rig.open(second)
    for _ in range(120):
        for name, request in rig.sent():
            rig.receive(name, codec.Missing(request.id))
        rig.simulation.run(for_=0.1)
    assert sorted({"alice", *rig.wants()}) == ["alice", "bob", "carol"]


def test_key_that_nobody_has_costs_a_connection_in_each_interval_once_all_were_wanted(rig: Any) -> None:
    """For each that comes another is given up here, so there is always somebody to be wanted."""
    data = rig.start("alice", want_interval=10)
    rig.peer_set("alice", "bob", "carol", "dave")
    data.fetch(KEY)
    linked, came = ["alice"], 0
    for _ in range(640):
        if len(rig.wants()) > came:
            came = len(rig.wants())
            linked.append(rig.wants()[-1])
            rig.open(linked[-1])
            if len(linked) == 3:
                rig.close(linked.pop(0))
        for name, request in rig.sent():
            rig.receive(name, codec.Missing(request.id))
        rig.simulation.run(for_=0.1)
    assert len(rig.wants()) in (4 + 5, 4 + 6)
    rig.peer_set("alice", "bob", "carol", "dave", "erin")
    rig.simulation.run(for_=1.2)
    assert len(rig.wants()) > 4 + 6


def test_bytes_that_came_after_all_had_failed_end_the_wanting(rig: Any) -> None:
    data = rig.start("bob", want_interval=10)
    rig.peer_set("bob", "carol")
    data.fetch(KEY)
    rig.answer(None)
    rig.simulation.run(for_=0.1)
    rig.answer(VALUE)
    rig.simulation.run(for_=100)
    assert rig.wants() == ["carol"]


def test_very_many_keys_want_no_more_than_one(rig: Any) -> None:
    data = rig.start(want_interval=10, key_length=2)
    rig.peer_set("alice", "bob")
    for number in range(3000):
        data.fetch(number.to_bytes(2, "big"))
    rig.simulation.run(for_=0.4)
    assert len(rig.wants()) == 1
    rig.simulation.run(for_=9)
    assert len(rig.wants()) == 2


def test_node_itself_is_never_wanted_though_a_set_lists_it(simulation: Any, rig: Any) -> None:
    rig.me = rig.peer("alice")
    data = rig.start(want_interval=10)
    rig.peer_set("alice", "bob")
    data.fetch(KEY)
    rig.simulation.run(for_=35)
    assert rig.wants() == ["bob"] * 4


def test_secondary_peers_are_not_wanted_as_nobody_dials_them(rig: Any) -> None:
    data = rig.start(want_interval=10)
    rig.peer_set("bob", secondary=("alice", "carol"))
    data.fetch(KEY)
    rig.simulation.run(for_=35)
    assert rig.wants() == ["bob"] * 4


def test_key_that_waits_before_the_first_peer_set_wants_somebody_as_soon_as_there_is_one(rig: Any) -> None:
    data = rig.start()
    data.fetch(KEY)
    rig.simulation.run(for_=3)
    assert rig.wants() == []
    rig.peer_set("bob")
    rig.simulation.settle()
    assert rig.wants() == ["bob"]


def is_stuck(known: Fetcher[str]) -> bool:
    return known.is_stuck


def test_targeted_key_is_never_stuck() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0, targets=["a"])
    known.pop_missing(sent(known, 0).id, 1, 0)
    known.close(1, 0)
    assert not is_stuck(known)
    known.clear_targets(b"k")
    assert is_stuck(known)


def test_stuck_keys_are_remembered_up_to_a_bound_and_forgotten_with_a_new_candidate() -> None:
    known = fetcher("a", window=2000)
    known.reconcile(1, {"a", "b", "c"}, now=0)
    numbers = count()
    for _ in range(2 * MAX_STUCK):
        known.add_ready(next(numbers).to_bytes(2, "big"), 0)
    while (request := send(known, 0)) is not None:
        known.pop_missing(request.id, 1, 0)
    assert is_stuck(known)
    for number in range(MAX_STUCK, 2 * MAX_STUCK):
        known.drop(number.to_bytes(2, "big"))
    for number in range(MAX_STUCK):
        assert is_stuck(known)
        known.drop(number.to_bytes(2, "big"))
    assert not is_stuck(known)
    known.add_ready(b"k", 0)
    known.pop_missing(sent(known, 0).id, 1, 0)
    assert is_stuck(known)
    known.open("b", 2, 0)
    assert not is_stuck(known)


def test_candidate_that_a_new_set_makes_of_a_stranger_is_asked_before_anybody_is_wanted() -> None:
    known = fetcher("a")
    known.open("b", 2, 0)  # no set lists it
    known.add_ready(b"k", 0)
    known.pop_missing(sent(known, 0).id, 1, 0)
    assert is_stuck(known)
    known.reconcile(1, {"a", "b"}, now=0)
    assert not is_stuck(known)
    assert sent(known, DELAY).peer == "b"


def test_new_candidate_is_the_next_to_be_asked_for_a_key_that_many_had_failed() -> None:
    for seed in range(5):
        known = fetcher("", seed=seed)
        known.reconcile(1, set("abcdefghi"), now=0)
        for number, peer in enumerate("abcdefgh"):
            known.open(peer, number, 0)
        known.add_ready(b"k", 0)
        for turn in range(11):  # all of them once, and three in the next round
            request = sent(known, turn * DELAY)
            known.pop_missing(request.id, request.link, turn * DELAY)
        assert is_stuck(known)
        known.open("i", 9, 0)
        assert sent(known, 11 * DELAY).peer == "i"


def test_key_that_waits_for_silent_candidates_only_is_stuck_once_they_are_overdue() -> None:
    known = fetcher("a")
    known.reconcile(1, {"a", "b"}, now=0)
    known.add_ready(b"k", 0)
    sent(known, 0)
    overdue = known.overdue_at()
    assert known.overdue(overdue - 1e-6) is None
    assert not is_stuck(known)
    assert known.overdue(overdue) is None
    assert is_stuck(known)
    known.open("b", 2, 0)
    assert not is_stuck(known)


def test_busy_or_limited_candidates_leave_no_key_stuck() -> None:
    known = fetcher("a", window=1)
    for key in (b"1", b"2"):
        known.add_ready(key, 0)
    sent(known, 0)
    assert known.next(0) is None
    assert not is_stuck(known)
    known.pop_active(TIMEOUT, 100)
    known.drop(b"1")
    attempt = known.next(TIMEOUT + DELAY)
    assert attempt is not None
    known.limited(attempt, math.inf, 0)
    assert not is_stuck(known)
