"""Outgoing requests: keys that only some peers may be asked for; `test_targeting.py` has the table."""

import math

import pytest

from tests.resolver.core.fetching.fetchers import DELAY, TIMEOUT, fetcher, sent

# Targets (flows: fetch 2)


def test_targeted_key_is_asked_of_its_targets_only() -> None:
    known = fetcher("abc")
    known.rate_answer("a", 0.001, 1)
    known.add_ready(b"k", 0, targets=["b", "c"])
    for turn in range(6):
        request = sent(known, turn)
        assert request.peer in "bc"
        known.pop_missing(request.id, request.link, turn)


def test_untargeted_key_is_never_narrowed() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    known.add_targets(b"k", ["b"])
    assert known.targets(b"k") is None
    assert sent(known, 0).peer == "a"


def test_targets_are_united_and_naming_one_twice_is_naming_it_once() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["c", "c"])
    known.add_ready(b"other", 0, targets=["c"])
    known.add_targets(b"k", ["a", "c"])
    known.add_targets(b"k", ["a"])
    assert known.targets(b"k") == frozenset({"a", "c"})
    assert known.targets(b"other") == frozenset({"c"})
    assert sent(known, 0).peer == "a"
    assert known.next(0) is None


def test_adding_a_target_wakes_a_stuck_key_and_clearing_targets_opens_it_to_all() -> None:
    known = fetcher("ab")
    for key in (b"1", b"2"):
        known.add_ready(key, 0, targets=["absent"])
    assert known.wake_up() == math.inf
    known.add_targets(b"1", ["b"])
    assert known.wake_up() <= 0
    assert sent(known, 0).peer == "b"
    assert known.wake_up() == math.inf
    known.clear_targets(b"2")
    assert known.targets(b"2") is None
    assert sent(known, 0).key == b"2"


def test_changing_targets_does_not_shorten_a_retry_delay() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    known.pop_missing(sent(known, 0).id, 1, 0)
    known.add_targets(b"k", ["b"])
    assert known.wake_up() == DELAY
    known.clear_targets(b"k")
    assert known.wake_up() == DELAY


def test_changing_targets_leaves_an_active_request_alone() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    request = sent(known, 0)
    known.add_targets(b"k", ["b"])
    known.clear_targets(b"k")
    assert known.pop_response(request.id, 1) == request


@pytest.mark.parametrize("ending", ["timeout", "missing", "refused", "limited", "response"])
def test_targets_stay_after_everything_that_happens_to_a_request(ending: str) -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    attempt = known.next(0)
    assert attempt is not None
    if ending == "refused":
        known.refused(attempt, 0)
    elif ending == "limited":
        known.limited(attempt, 1, 0)
    else:
        request = known.sent(attempt, 0)
        if ending == "timeout":
            known.pop_active(TIMEOUT, 100)
        elif ending == "missing":
            known.pop_missing(request.id, 1, 0)
        else:
            known.pop_response(request.id, 1)
            known.add_retry(b"k", 0, "a")
    assert known.targets(b"k") == frozenset({"a"})
    assert sent(known, 9).peer == "a"


def test_targets_go_with_the_key() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["absent"])
    known.drop(b"k")
    known.add_ready(b"k", 0)
    assert known.targets(b"k") is None


def test_target_that_leaves_the_peer_set_is_asked_again_when_it_is_back() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0, targets=["a"])
    known.reconcile(1, {"b"}, now=0)
    assert known.next(0) is None
    known.reconcile(2, {"a", "b"}, now=0)
    assert sent(known, 0).peer == "a"


def test_target_without_a_link_is_wanted_once_it_may_be_asked_and_only_while_a_key_waits_for_it() -> None:
    known = fetcher("a")
    known.add_ready(b"1", 0, targets=["a", "c", "b", "me"])
    assert known.wanted() == ()
    known.reconcile(1, {"a", "b", "c", "me"}, now=0)
    assert known.wanted() == ("b", "c")
    assert known.wants_link("b")
    assert not known.wants_link("a")
    known.open("b", 2, 0)
    assert known.wanted() == ("c",)
    known.drop(b"1")
    assert known.wanted() == ()
