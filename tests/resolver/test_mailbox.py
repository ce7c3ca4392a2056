"""The mailbox of a resolver: what it refuses, and how fetches fold into one another."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery import runtime
from rookery.actors import resolver
from rookery.actors.resolver.mailbox import MAX_BATCHES
from rookery.runtime import Feedback
from rookery.runtime.actor.inbox import Slot
from rookery.transport.identity import Identity, PeerId

A, B, C = sorted(Identity.from_seed(bytes([number]) * 32).peer for number in range(3))
KEY, OTHER = b"k", b"o"


@pytest.fixture
def box(simulation: Any) -> resolver.Mailbox:
    mailbox: resolver.Mailbox = simulation.mailbox(resolver.Mailbox)
    return mailbox


def queued(box: resolver.Mailbox) -> list[object]:
    """What waits, oldest first."""
    items: list[object] = []
    while (item := box.inbox.take()) is not None:
        items.append(item.take() if isinstance(item, Slot) else item)
    return items


def test_fetches_of_one_key_fold_and_unite_subscribers_in_order_without_duplicates(box: resolver.Mailbox) -> None:
    for subscriber in (2, 1, 2):
        assert box.fetch(KEY, subscriber) is Feedback.OK
    assert queued(box) == [resolver.Fetch(KEY, (2, 1))]


def test_targeted_fetches_of_one_key_fold_and_unite_targets(box: resolver.Mailbox) -> None:
    box.fetch_targeted(KEY, [B, A])
    box.fetch_targeted(KEY, [C, A])
    assert queued(box) == [resolver.Fetch(KEY, ((),), (A, B, C))]


@pytest.mark.parametrize("untargeted_first", [True, False])
def test_untargeted_fetch_beats_targets_in_either_order(box: resolver.Mailbox, untargeted_first: bool) -> None:
    for untargeted in (untargeted_first, not untargeted_first):
        if untargeted:
            box.fetch(KEY)
        else:
            box.fetch_targeted(KEY, [A])
    assert queued(box) == [resolver.Fetch(KEY)]


def test_fetches_of_other_keys_wait_in_the_order_of_their_first_fetch(box: resolver.Mailbox) -> None:
    for key in (KEY, OTHER, KEY):
        box.fetch(key)
    assert queued(box) == [resolver.Fetch(KEY), resolver.Fetch(OTHER)]


@pytest.mark.parametrize("between", ["cancel", "clear", "retain"])
def test_fetch_does_not_fold_across_a_command_that_would_undo_it(box: resolver.Mailbox, between: str) -> None:
    box.fetch(KEY)
    if between == "cancel":
        box.cancel(KEY)
    elif between == "clear":
        box.clear()
    else:
        box.retain(lambda _key, _subscriber: False)
    box.fetch(KEY)
    first, _, last = queued(box)
    assert first == last == resolver.Fetch(KEY)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.sets(st.sampled_from([A, B, C]), min_size=1)), min_size=1))
def test_folding_is_union_of_subscribers_and_of_targets_unless_one_fetch_has_none(
    fetches: list[tuple[int, set[PeerId] | None]],
) -> None:
    box = resolver.Mailbox("resolver")
    for subscriber, targets in fetches:
        box.fetch(KEY, subscriber) if targets is None else box.fetch_targeted(KEY, targets, subscriber)
    (folded,) = queued(box)
    assert isinstance(folded, resolver.Fetch)
    assert list(folded.subscribers) == list(dict.fromkeys(subscriber for subscriber, _ in fetches))
    named = [targets for _, targets in fetches]
    assert (folded.targets is None) == (None in named)
    if folded.targets is not None:
        assert set(folded.targets) == set().union(*(targets for targets in named if targets))


def test_batch_travels_in_pieces_and_in_order(box: resolver.Mailbox) -> None:
    keys = [number.to_bytes(2, "big") for number in range(600)]
    assert box.fetch_all(keys) is Feedback.OK
    pieces = [piece.fetches for piece in queued(box) if isinstance(piece, resolver.FetchAll)]
    assert [len(piece) for piece in pieces] == [256, 256, 88]
    assert [fetch.data_key for piece in pieces for fetch in piece] == keys


def test_batches_that_are_told_again_and_again_fold_once_very_many_wait(box: resolver.Mailbox) -> None:
    assert {box.fetch_all([KEY, OTHER]) for _ in range(MAX_BATCHES)} == {Feedback.OK}
    assert {box.fetch_all([KEY, OTHER], number % 3) for number in range(100)} == {Feedback.BACKOFF}
    assert queued(box)[MAX_BATCHES:] == [resolver.Fetch(KEY, (0, 1, 2)), resolver.Fetch(OTHER, (0, 1, 2))]


def test_targeted_batch_names_the_targets_of_each_key(box: resolver.Mailbox) -> None:
    box.fetch_all_targeted({KEY: [B], OTHER: [A, C]}, 7)
    assert queued(box) == [
        resolver.FetchAll((resolver.Fetch(KEY, (7,), (B,)), resolver.Fetch(OTHER, (7,), (A, C)))),
    ]


def test_commands_wait_in_the_order_in_which_they_were_given(box: resolver.Mailbox) -> None:
    box.get(KEY)
    box.cancel(KEY)
    box.fetch_all([KEY])
    box.clear()
    kinds = [type(getattr(item, "message", item)).__name__ for item in queued(box)]
    assert kinds == ["Get", "Cancel", "FetchAll", "Clear"]


def test_fetch_without_targets_is_refused_and_nothing_is_queued(box: resolver.Mailbox) -> None:
    with pytest.raises(ValueError, match="at least one"):
        box.fetch_targeted(KEY, [])
    with pytest.raises(ValueError, match="at least one"):
        box.fetch_all_targeted({KEY: [A], OTHER: []})
    assert queued(box) == []


def test_subscriber_that_cannot_be_hashed_is_refused(box: resolver.Mailbox) -> None:
    unhashable: Any = [1]
    with pytest.raises(TypeError, match="unhashable"):
        box.fetch(KEY, unhashable)


def test_key_that_is_not_bytes_is_refused(box: resolver.Mailbox) -> None:
    text: Any = "k"
    with pytest.raises(TypeError, match="a key is bytes, not str"):
        box.fetch(text)


def test_key_of_another_length_is_refused_by_every_call_once_the_engine_runs(rig: Any) -> None:
    data = rig.start()
    calls: tuple[Callable[[], object], ...] = (
        lambda: data.fetch(b"kk"),
        lambda: data.fetch_all([KEY, b"kk"]),
        lambda: data.fetch_targeted(b"kk", [A]),
        lambda: data.fetch_all_targeted({b"kk": [A]}),
        lambda: data.cancel(b"kk"),
        lambda: data.get(b"kk"),
    )
    for call in calls:
        with pytest.raises(resolver.BadKey, match="a key of 2 bytes: keys of this resolver have 1"):
            call()


def test_get_with_a_timeout_that_is_not_positive_is_refused(box: resolver.Mailbox) -> None:
    for timeout in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="longer than 0 seconds"):
            box.get(KEY, timeout=timeout)


def test_subscription_to_what_is_no_event_is_refused(box: resolver.Mailbox) -> None:
    with pytest.raises(ValueError, match="resolver has no event Fetch; it has InvalidData"):
        box.subscribe(box, resolver.Fetch)


def test_subscriber_without_a_handler_is_refused(rig: Any) -> None:
    data = rig.start()
    with pytest.raises(runtime.UnhandledMessage, match="InvalidData"):
        data.subscribe(data, resolver.InvalidData)


def test_every_call_on_a_stopped_resolver_is_safe_and_says_closed(rig: Any) -> None:
    data = rig.start()
    rig.simulation.stop()
    tells = [
        data.fetch(KEY),
        data.fetch_all([KEY]),
        data.fetch_targeted(KEY, [A]),
        data.fetch_all_targeted({KEY: [A]}),
        data.cancel(KEY),
        data.clear(),
        data.retain(lambda _key, _subscriber: True),
    ]
    assert tells == [Feedback.CLOSED] * len(tells)
    with pytest.raises(runtime.EngineGone):
        data.get(KEY).get(timeout=1)
