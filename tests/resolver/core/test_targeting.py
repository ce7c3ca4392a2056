"""Whom a key may be asked of, case by case (flows: fetch 2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rookery.actors import resolver
from rookery.actors.resolver.core.decisions import Outcome
from tests.resolver.core.states import KEY, OTHER, TIMEOUT, Core, answer, core, delivery, send, verdict

Event = Callable[[Core], object]


def fetch(*targets: str) -> Event:
    """A (targeted) fetch by a new subscriber."""
    return lambda wanted: wanted.fetch(KEY, 2, 0, targets or None)


def respond(outcome: Outcome | None = None) -> Event:
    """The request leaves, bytes come, and the consumer judges them if an outcome is given."""

    def event(wanted: Core) -> None:
        delivered = answer(wanted, send(wanted))
        if outcome is not None:
            verdict(wanted, delivered, outcome)

    return event


def time_out(wanted: Core) -> None:
    send(wanted)
    wanted.expire(TIMEOUT, 100)


def no_data(wanted: Core) -> None:
    request = send(wanted)
    wanted.missing(request.link, request.id, 0)


def refused(wanted: Core) -> None:
    attempt = wanted.fetcher.next(0)
    assert attempt is not None
    wanted.fetcher.refused(attempt, 0)


def limited(wanted: Core) -> None:
    attempt = wanted.fetcher.next(0)
    assert attempt is not None
    wanted.fetcher.limited(attempt, 5, 0)


def complete_with_a_late_subscriber(wanted: Core) -> None:
    delivered = answer(wanted, send(wanted))
    wanted.fetch(KEY, 2, 0, ["a"])
    verdict(wanted, delivered, Outcome.COMPLETE)


def late_subscriber_satisfied(wanted: Core) -> None:
    delivered = answer(wanted, send(wanted))
    wanted.fetch(KEY, 2, 0, ["a"])
    verdict(wanted, delivery(verdict(wanted, delivered, Outcome.COMPLETE)), Outcome.COMPLETE)


def redelivery_rejected(wanted: Core) -> None:
    delivered = answer(wanted, send(wanted))
    wanted.fetch(KEY, 2, 0, ["a"])
    verdict(wanted, delivery(verdict(wanted, delivered, Outcome.COMPLETE)), Outcome.INVALID)


def a_lies_about_another_key(wanted: Core) -> None:
    wanted.fetch(OTHER, 1, -1, ["a"])  # earlier than the key, so it is sent first
    request = send(wanted)
    assert request.key == OTHER
    verdict(wanted, answer(wanted, request), Outcome.INVALID)


def a_leaves_the_peer_set(wanted: Core) -> None:
    wanted.fetcher.reconcile(1, {"b"}, now=0)


def request_leaves_then(event: Event) -> Event:
    def both(wanted: Core) -> None:
        request = send(wanted)
        event(wanted)
        assert wanted.fetcher.active == 1, "the active request is left alone"
        assert answer(wanted, request).peer == request.peer

    return both


@dataclass(frozen=True, slots=True)
class Row:
    before: str | None  # the names of the targets; None for an idle key, "any" for any peer
    event: Event
    after: str | None


ROWS = {
    "idle key, fetch: any peer": Row(None, fetch(), "any"),
    "idle key, targeted fetch: its targets": Row(None, fetch("a"), "a"),
    "any peer, targeted fetch: never narrowed": Row("any", fetch("a"), "any"),
    "targets, targeted fetch: the union": Row("a", fetch("b"), "ab"),
    "targets, the same target again: once": Row("a", fetch("a"), "a"),
    "all targets blocked, targeted fetch: an empty set is still a set": Row("", fetch("b"), "b"),
    "targets, fetch: any peer": Row("a", fetch(), "any"),
    "all targets blocked, fetch: any peer": Row("", fetch(), "any"),
    "targets, time-out: they stay": Row("ab", time_out, "ab"),
    "targets, no data: they stay": Row("ab", no_data, "ab"),
    "targets, send refused: they stay": Row("ab", refused, "ab"),
    "targets, rate limited: they stay": Row("ab", limited, "ab"),
    "targets, bytes came: they stay": Row("ab", respond(), "ab"),
    "targets, ambiguous: they stay": Row("ab", respond(Outcome.AMBIGUOUS), "ab"),
    "the only target lies: an empty set": Row("a", respond(Outcome.INVALID), ""),
    "a target lies about another key: the others": Row("ab", a_lies_about_another_key, "b"),
    "complete with nobody left: none": Row("a", respond(Outcome.COMPLETE), None),
    "ignored: none": Row("a", respond(Outcome.IGNORED), None),
    "unanswered with nobody left: none": Row("a", respond(Outcome.UNANSWERED), None),
    "redelivery rejected: none": Row("a", redelivery_rejected, None),
    "complete with late subscribers: unchanged": Row("a", complete_with_a_late_subscriber, "a"),
    "the last late subscriber satisfied: none": Row("a", late_subscriber_satisfied, None),
    "cancelled: none": Row("a", lambda wanted: wanted.cancel(KEY), None),
    "retain that keeps the key: unchanged": Row("a", lambda wanted: wanted.retain(lambda *_: True), "a"),
    "retain that drops the key: none": Row("a", lambda wanted: wanted.retain(lambda *_: False), None),
    "a target leaves the peer set: it stays a target": Row("ab", a_leaves_the_peer_set, "ab"),
    "request out, targets widened: the request goes on": Row("a", request_leaves_then(fetch("b")), "ab"),
    "request out, opened to any: the request goes on": Row("a", request_leaves_then(fetch()), "any"),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_targets_of_a_key_follow_the_table(row: Row) -> None:
    wanted = core()
    if row.before is not None:
        wanted.fetch(KEY, 1, 0, None if row.before == "any" else row.before or ["gone"])
    if row.before == "":
        wanted.fetcher.block("gone", 0)
    row.event(wanted)
    if row.after is None:
        assert KEY not in wanted
        assert KEY not in wanted.fetcher
    else:
        assert wanted.fetcher.targets(KEY) == (None if row.after == "any" else frozenset(row.after))


@pytest.mark.parametrize(
    ("queued", "asked"),
    [
        (["a", "b"], "ab"),
        (["a", "a"], "a"),
        (["ab", "b"], "ab"),
        (["a", None], None),
        ([None, "a"], None),
        (["a", None, "b"], None),
    ],
)
def test_targets_of_fetches_that_fold_in_the_mailbox_are_united_unless_one_has_none(
    simulation: Any, queued: list[str | None], asked: str | None
) -> None:
    box = resolver.Mailbox("resolver")
    peers = dict(zip("ab", simulation.peers("a", "b"), strict=True))
    for targets in queued:
        box.fetch(KEY) if targets is None else box.fetch_targeted(KEY, [peers[name] for name in targets])
    slot: Any
    (slot,) = box.inbox.data_lane
    folded = slot.take()
    assert folded == resolver.Fetch(KEY, ((),), None if asked is None else tuple(sorted(peers[p] for p in asked)))


@pytest.mark.parametrize("not_asked", ["not in the set", "not connected", "blocked"])
def test_targets_never_override_who_may_be_asked(not_asked: str) -> None:
    wanted = core("ab")
    if not_asked == "not in the set":
        wanted.fetcher.reconcile(1, {"b"}, now=0)
    elif not_asked == "not connected":
        wanted.closed(1, 0)
    else:
        wanted.fetcher.block("a", 0)
    wanted.fetch(KEY, 1, 0, ["a"])
    assert wanted.fetcher.next(10) is None


def test_all_targets_blocked_waits_for_ever_without_a_wake_up_until_somebody_is_named() -> None:
    wanted = core()
    wanted.fetch(KEY, 1, 0, ["a"])
    verdict(wanted, answer(wanted, send(wanted)), Outcome.INVALID, 0)
    assert wanted.fetcher.wake_up() == float("inf")
    assert wanted.fetcher.next(1000) is None
    wanted.fetch(KEY, 1, 1000, ["b"])
    assert send(wanted, 1000).peer == "b"
