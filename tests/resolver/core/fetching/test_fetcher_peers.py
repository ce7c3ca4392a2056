"""Outgoing requests: who is asked, by score, limits, links, peer sets and blocks."""

import math

from rookery.actors.resolver.core.fetching.requests import MINIMUM_REST
from tests.resolver.core.fetching.fetchers import DELAY, fetcher, send_all, sent

# Choice of peer


def test_fresh_key_goes_to_the_peer_of_lowest_score() -> None:
    for seed in range(5):
        known = fetcher("abc", seed=seed)
        for peer, elapsed in (("a", 0.5), ("b", 0.01), ("c", 0.3)):
            known.rate_answer(peer, elapsed, 1)
        known.add_ready(b"k", 0)
        assert sent(known, 0).peer == "b"


def test_fresh_keys_asked_for_together_spread_over_equal_peers() -> None:
    known = fetcher("abcd")
    for number in range(8):
        known.add_ready(bytes([number]), 0)
    asked = [sent(known, 0).peer for _ in range(8)]
    assert sorted(asked) == list("aabbccdd")


def test_newcomer_gets_its_share_once_the_best_peer_is_busy() -> None:
    known = fetcher("ab")
    for peer, elapsed in (("a", 0.01), ("b", 0.012)):
        for _ in range(20):
            known.rate_answer(peer, elapsed, 1)
    known.reconcile(1, {"a", "b", "c"}, now=0)
    known.open("c", 3, 0)
    for number in range(6):
        known.add_ready(bytes([number]), 0)
    assert sorted(sent(known, 0).peer for _ in range(6)) == list("aabbcc")


def test_newcomer_is_asked_when_the_only_peer_that_has_answered_is_busy_and_now_and_then_before_it() -> None:
    first = []
    for seed in range(160):
        known = fetcher("ab", seed=seed)
        known.rate_answer("a", 0.01, 1)
        known.add_ready(b"k", 0)
        known.add_ready(b"l", 0)
        first.append(sent(known, 0).peer)
        assert first[-1] == "b" or sent(known, 0).peer == "b"
    assert 2 <= first.count("b") <= 30


def test_first_choice_among_equals_differs_between_nodes() -> None:
    first = set()
    for seed in range(20):
        known = fetcher("abc", seed=seed)
        known.add_ready(b"k", 0)
        first.add(sent(known, 0).peer)
    assert first == set("abc")


def test_retry_asks_each_other_peer_before_any_peer_twice() -> None:
    for seed in range(10):
        known = fetcher("abcd", seed=seed)
        known.add_ready(b"k", 0)
        asked = []
        for turn in range(8):
            request = sent(known, turn)
            asked.append(request.peer)
            known.pop_missing(request.id, request.link, turn)
        assert sorted(asked[:4]) == list("abcd")
        assert sorted(asked[4:]) == list("abcd")


def test_peer_that_failed_a_key_and_came_back_counts_as_not_asked_yet() -> None:
    for seed in range(10):
        known = fetcher("ab", seed=seed)
        known.add_ready(b"k", 0, targets=["a"])
        known.pop_missing(sent(known, 0).id, 1, 0)
        known.close(1, 0)
        known.clear_targets(b"k")
        known.pop_missing(sent(known, 1).id, 2, 1)
        known.open("a", 7, 0)
        assert sent(known, 2).peer == "a"


def test_secondary_peer_is_asked_only_where_no_primary_one_is_left() -> None:
    for seed in range(10):
        known = fetcher("abcd", seed=seed, window=3)
        known.reconcile(1, {"a", "b"}, {"b", "c", "d"}, now=0)  # b is both, so primary
        known.rate_answer("c", 0.001, 1)  # a better score does not count
        known.add_ready(b"k", 0)
        asked = []
        for turn in range(8):
            request = sent(known, turn)
            asked.append(request.peer)
            known.pop_missing(request.id, request.link, turn)
        assert [set(asked[:2]), set(asked[2:4])] == [set("ab"), set("cd")]
        assert [set(asked[4:6]), set(asked[6:])] == [set("ab"), set("cd")]


def test_secondary_peer_takes_what_is_over_the_limits_of_the_primary_ones() -> None:
    known = fetcher("ab", window=1)
    known.reconcile(1, {"a"}, {"b"}, now=0)
    for number in range(2):
        known.add_ready(bytes([number]), 0)
    assert [sent(known, 0).peer, sent(known, 0).peer] == ["a", "b"]


def test_retry_ignores_the_score() -> None:
    second = set()
    for seed in range(20):
        known = fetcher("abc", seed=seed)
        for peer, elapsed in (("a", 0.01), ("b", 0.02), ("c", 0.9)):
            known.rate_answer(peer, elapsed, 1)
        known.add_ready(b"k", 0)
        first = sent(known, 0)
        assert first.peer == "b"
        known.pop_missing(first.id, first.link, 0)
        second.add(sent(known, 1).peer)
    assert second == {"a", "c"}


def test_peer_with_as_many_requests_as_it_may_have_is_passed_over_until_one_ends() -> None:
    known = fetcher("a", window=2)
    for number in range(3):
        known.add_ready(bytes([number]), 0)
    first = sent(known, 0)
    sent(known, 0)
    assert known.next(0) is None
    assert known.wake_up() == math.inf
    known.pop_response(first.id, 1)
    assert sent(known, 0).key == b"\x02"


def test_limited_peer_spills_over_to_the_next_at_once() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0)
    first = known.next(0)
    assert first is not None
    known.limited(first, 9, now=0)
    assert {first.peer, sent(known, 0).peer} == {"a", "b"}


def test_refusing_peer_is_replaced_in_the_same_turn_and_when_all_refuse_the_key_waits_for_the_delay() -> None:
    known = fetcher("ab")
    known.add_ready(b"k", 0)
    refused = []
    while (attempt := known.next(0)) is not None:
        known.refused(attempt, 0)
        refused.append(attempt.peer)
    assert sorted(refused) == ["a", "b"]
    assert known.waiting == 1
    assert known.wake_up() == DELAY


def test_rest_of_a_refusing_or_limited_peer_is_never_zero() -> None:
    known = fetcher("ab", delay=0)
    known.add_ready(b"k", 0)
    one = known.next(0)
    assert one is not None
    known.refused(one, 0)
    other = known.next(0)
    assert other is not None
    known.limited(other, 0, now=0)
    assert known.next(0) is None
    assert known.wake_up() == MINIMUM_REST


def test_limited_targets_let_a_later_key_go_and_are_asked_when_the_limit_ends() -> None:
    known = fetcher("ab")
    known.add_ready(b"1", 0, targets=["a"])
    known.add_ready(b"2", 0, targets=["b"])
    attempt = known.next(0)
    assert attempt is not None
    known.limited(attempt, 1, now=0)
    assert sent(known, 0).key == b"2"
    assert known.next(0.5) is None
    assert known.wake_up() == 1
    assert sent(known, 1).key == b"1"


# Links and peer sets


def test_self_is_never_asked_and_without_an_identity_everybody_is() -> None:
    known = fetcher(["me"])
    known.add_ready(b"k", 0)
    assert known.next(0) is None
    assert fetcher(["me"], me=None).wants_link("me") is False
    nobody = fetcher(["me"], me=None)
    nobody.add_ready(b"k", 0)
    assert sent(nobody, 0).peer == "me"


def test_key_added_before_any_peer_waits_without_a_wake_up_until_one_is_connected_and_allowed() -> None:
    known = fetcher("")
    known.add_ready(b"k", 0)
    known.open("a", 1, 0)
    assert known.wake_up() == math.inf
    assert known.reconcile(1, {"a"}, now=0)
    assert known.wake_up() <= 0
    assert sent(known, 0).link == 1


def test_peer_set_that_is_not_newer_is_ignored() -> None:
    known = fetcher("a")
    assert known.reconcile(3, {"a"}, now=0)
    assert not known.reconcile(3, set(), now=0)
    assert not known.reconcile(2, set(), now=0)
    known.add_ready(b"k", 0)
    assert known.next(0) is not None


def test_peer_that_left_the_set_is_not_asked_though_its_answer_still_counts_unrated() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    request = sent(known, 0)
    known.reconcile(1, {"b"}, now=0)
    assert known.pop_response(request.id, 1) == request
    known.rate_answer("a", 0.5, 1)
    known.add_retry(b"k", 0, "a")
    assert known.next(9) is None
    known.reconcile(2, {"a"}, now=0)
    assert known.scores.of("a") == 0.1
    assert sent(known, 9).peer == "a"


def test_closed_link_fails_its_requests_at_once_uncharged_and_leaves_those_of_others() -> None:
    known = fetcher("ab")
    for key in (b"1", b"2"):
        known.add_ready(key, 0, targets=["a"])
    known.add_ready(b"3", 0, targets=["b"])
    send_all(known, 0)
    assert [request.key for request in known.close(1, 0.5)] == [b"1", b"2"]
    assert (known.active, known.waiting) == (1, 2)
    assert known.scores.of("a") == 0.1
    assert known.wake_up() == math.inf
    known.open("a", 7, 0)
    assert known.wake_up() == 0.5 + DELAY
    assert sent(known, 0.5 + DELAY).link == 7
    assert known.close(1, 0.5) == ()


# Blocking


def test_block_removes_the_peer_from_every_set_of_targets_and_an_emptied_set_stays() -> None:
    known = fetcher("ab")
    known.add_ready(b"1", 0, targets=["a"])
    known.add_ready(b"2", 0, targets=["a", "b"])
    known.block("a", 0)
    assert known.targets(b"1") == frozenset()
    assert known.targets(b"2") == frozenset({"b"})
    assert send_all(known, 0) == [b"2"]
    assert known.wake_up() == math.inf
    known.add_targets(b"1", ["b"])
    assert sent(known, 0).key == b"1"


def test_block_excludes_until_a_new_link_and_counts_the_peer_meanwhile() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    known.block("a", 0)
    assert (known.blocked, known.is_blocked("a")) == (1, True)
    assert known.next(0) is None
    known.close(1, 0)
    known.open("a", 7, 0)
    assert (known.blocked, known.is_blocked("a")) == (0, False)
    assert sent(known, 0).link == 7


def test_block_fails_the_other_requests_of_the_peer_at_once() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0)
    request = sent(known, 0)
    assert known.block("a", 0.5) == (request,)
    assert (known.active, known.waiting) == (0, 1)


def test_blocked_peer_named_anew_is_a_target_again_once_it_is_back() -> None:
    known = fetcher("a")
    known.add_ready(b"k", 0, targets=["a"])
    known.block("a", 0)
    known.open("a", 7, 0)
    assert known.next(0) is None
    known.add_targets(b"k", ["a"])
    assert known.targets(b"k") == frozenset({"a"})
    assert sent(known, 0).link == 7


def test_blocked_peer_that_left_the_peer_set_is_no_longer_counted() -> None:
    known = fetcher("ab")
    known.block("a", 0)
    known.reconcile(1, {"b"}, now=0)
    assert known.blocked == 0
