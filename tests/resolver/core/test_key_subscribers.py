"""Who wants which key."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.actors.resolver.core.key_subscribers import KeySubscribers

KEY, OTHER = b"key", b"other"


def subscribed(*subscribers: int) -> KeySubscribers[int]:
    known: KeySubscribers[int] = KeySubscribers()
    for subscriber in subscribers:
        known.add(KEY, subscriber, 7.0)
    return known


def test_subscribers_of_a_key_are_sorted_whatever_the_order_of_arrival() -> None:
    assert subscribed(3, 1, 2).of(KEY) == (1, 2, 3)


def test_subscriber_added_twice_is_there_once() -> None:
    known = subscribed(1)
    assert not known.add(KEY, 1, 8.0)
    assert known.add(KEY, 2, 9.0)
    assert known.of(KEY) == (1, 2)


def test_subscriber_without_a_tag_is_the_empty_tuple() -> None:
    known: KeySubscribers[tuple[()]] = KeySubscribers()
    assert known.add(KEY, (), 0)
    assert not known.add(KEY, (), 0)
    assert known.of(KEY) == ((),)


def test_key_is_present_exactly_while_somebody_wants_it() -> None:
    known = subscribed(1, 2)
    assert KEY in known
    assert OTHER not in known
    assert known.satisfy(KEY, (1, 2)) == ()
    assert KEY not in known
    assert len(known) == 0


def test_key_is_wanted_since_its_first_fetch_and_anew_once_nobody_had_wanted_it() -> None:
    known = subscribed(1)
    known.add(KEY, 2, 8.0)
    known.satisfy(KEY, (1,))
    assert known.since(KEY) == 7.0
    known.satisfy(KEY, (2,))
    known.add(KEY, 3, 9.0)
    assert known.since(KEY) == 9.0


def test_satisfy_leaves_who_came_after_the_delivery() -> None:
    known = subscribed(1, 2)
    known.add(KEY, 3, 0)
    assert known.satisfy(KEY, (1, 2)) == (3,)
    assert known.of(KEY) == (3,)


def test_satisfy_of_one_who_left_meanwhile_or_of_an_unknown_key_is_harmless() -> None:
    known = subscribed(1)
    assert known.satisfy(KEY, (7,)) == (1,)
    assert known.satisfy(OTHER, (1,)) == ()
    assert OTHER not in known


def test_retain_keeps_whom_the_predicate_keeps_and_asks_it_with_the_key() -> None:
    known = subscribed(1, 2, 3)
    assert known.retain(KEY, lambda key, subscriber: key == KEY and subscriber != 2) == (1, 3)
    assert known.retain(KEY, lambda _key, _subscriber: False) == ()
    assert KEY not in known


def test_drop_of_a_key_is_idempotent() -> None:
    known = subscribed(1)
    known.drop(KEY)
    known.drop(KEY)
    assert known.of(KEY) == ()


@settings(max_examples=50)
@given(st.lists(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_satisfy_is_set_difference_in_order(arrived: list[int], delivered: set[int]) -> None:
    assert subscribed(*arrived).satisfy(KEY, sorted(delivered)) == tuple(sorted(set(arrived) - delivered))
