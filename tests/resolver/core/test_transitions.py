"""The 28 transitions of a wanted key, one case each (flows: fetch): state, event, next state, and what is decided.

States are read from what the core holds, so that a row cannot pass by deciding right and doing another
thing.
Row 18 is ours (`UNANSWERED`), and so is what a lost link does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rookery.actors.resolver.core.decisions import (
    Accepted,
    Block,
    Cause,
    Deliver,
    Ended,
    Outcome,
    Reason,
    Retired,
    Retry,
)
from rookery.actors.resolver.core.fetching.requests import Active
from tests.resolver.core.states import (
    DELAY,
    KEY,
    TIMEOUT,
    VALUE,
    Core,
    Decisions,
    core,
    delivery,
    redelivering,
    send,
    validating,
    verdict,
)

IDLE, FRESH, RETRY, ACTIVE = "idle", "fresh", "retry", "active"
VALIDATING, REDELIVERING = "validating", "redelivering"


def state(wanted: Core) -> str:
    """Which of the six states the key is in."""
    if KEY not in wanted:
        assert KEY not in wanted.fetcher
        return IDLE
    fetcher = wanted.fetcher
    assert wanted.delivering + fetcher.active + fetcher.waiting == 1
    if wanted.delivering:
        return REDELIVERING if wanted._answers[KEY].accepted else VALIDATING
    is_retry, _, _ = fetcher._waiting._entries.get(KEY) or (None, 0, KEY)
    return ACTIVE if is_retry is None else RETRY if is_retry else FRESH


# How each state is reached


@dataclass(slots=True)
class Scene:
    """The core, and the delivery that is open or the request that is out."""

    wanted: Core
    open: Deliver[str, int] | None = None
    out: Active[str] | None = None


def idle() -> Scene:
    return Scene(core())


def fresh() -> Scene:
    scene = idle()
    scene.wanted.fetch(KEY, 1, 0, ["a", "b"])
    return scene


def active() -> Scene:
    scene = fresh()
    scene.out = send(scene.wanted)
    return scene


def retry() -> Scene:
    scene = active()
    scene.wanted.expire(TIMEOUT, 100)
    return scene


def judged() -> Scene:
    return Scene(*validating(1))


def judged_with_a_late_one() -> Scene:
    scene = judged()
    scene.wanted.fetch(KEY, 2, 0)
    return scene


def again() -> Scene:
    return Scene(*redelivering())


def again_with_a_late_one() -> Scene:
    scene = again()
    scene.wanted.fetch(KEY, 3, 0)
    return scene


# What happens

Event = Callable[[Scene], Decisions | None]


def fetch(*targets: str) -> Event:
    return lambda scene: scene.wanted.fetch(KEY, 9, 5, targets or None)


def say(outcome: Outcome) -> Event:
    def event(scene: Scene) -> Decisions:
        assert scene.open is not None
        return verdict(scene.wanted, scene.open, outcome)

    return event


def sends(scene: Scene) -> None:
    send(scene.wanted, 10)


def no_peer_eligible(scene: Scene) -> None:
    scene.wanted.fetcher.reconcile(1, set(), now=0)
    assert scene.wanted.fetcher.next(10) is None


def every_peer_limited(scene: Scene) -> None:
    fetcher = scene.wanted.fetcher
    while (attempt := fetcher.next(10)) is not None:
        fetcher.limited(attempt, 12, 10)
    assert fetcher.wake_up() == 12


def every_peer_refuses(scene: Scene) -> None:
    fetcher = scene.wanted.fetcher
    while (attempt := fetcher.next(10)) is not None:
        fetcher.refused(attempt, 10)
    assert fetcher.wake_up() == 10 + DELAY
    assert min(map(fetcher.scores.of, "ab")) >= (0.1 + TIMEOUT) / 2  # each is charged the time-out


def deadline(scene: Scene) -> Decisions:
    return scene.wanted.expire(TIMEOUT, 100)


def reply(link: int, request_id: int, value: bytes | None) -> Event:
    def event(scene: Scene) -> Decisions:
        if value is None:
            return scene.wanted.missing(link, request_id, 0.5)
        return scene.wanted.respond(link, request_id, value, 0.5)

    return event


def from_the_asked(value: bytes | None) -> Event:
    def event(scene: Scene) -> Decisions | None:
        assert scene.out is not None
        return reply(scene.out.link, scene.out.id, value)(scene)

    return event


def retain_keeps_one(scene: Scene) -> Decisions:
    return scene.wanted.retain(lambda _key, subscriber: subscriber == 2)


def retain_keeps_none(scene: Scene) -> Decisions:
    return scene.wanted.retain(lambda _key, _subscriber: False)


def newer_peer_set(scene: Scene) -> None:
    before = scene.wanted.fetcher.active
    assert scene.wanted.fetcher.reconcile(1, {"b"}, now=0)
    assert scene.wanted.fetcher.active == before


Said = tuple[type | Cause | Outcome | Reason, ...]


def said(decisions: Decisions | None) -> Said:
    """Each decision as its type, or as its cause or reason where it has one."""
    short: list[type | Cause | Outcome | Reason] = []
    for decision in decisions or ():
        match decision:
            case Retry(_, cause) | Ended(_, cause):
                short += [type(decision), cause]
            case Retired(_, reason):
                short += [Retired, reason]
            case _:
                short.append(type(decision))
    return tuple(short)


@dataclass(frozen=True, slots=True)
class Row:
    scene: Callable[[], Scene]
    event: Event
    after: str
    said: Said = ()


TIMED_OUT: Said = (Ended, Cause.TIMED_OUT, Retry, Cause.TIMED_OUT)
NO_DATA: Said = (Ended, Cause.MISSING, Retry, Cause.MISSING)
DELIVERED: Said = (Ended, Cause.ANSWERED, Deliver)

ROWS = {
    "1 idle, fetch": Row(idle, fetch(), FRESH),
    "2 idle, targeted fetch": Row(idle, fetch("a"), FRESH),
    "3 fresh, fetch": Row(fresh, fetch(), FRESH),
    "3 retry, fetch": Row(retry, fetch(), RETRY),
    "3 active, fetch": Row(active, fetch(), ACTIVE),
    "3 validating, fetch": Row(judged, fetch(), VALIDATING),
    "3 redelivering, fetch": Row(again, fetch(), REDELIVERING),
    "4 fresh, targeted fetch": Row(fresh, fetch("a"), FRESH),
    "4 retry, targeted fetch": Row(retry, fetch("a"), RETRY),
    "4 active, targeted fetch": Row(active, fetch("a"), ACTIVE),
    "4 validating, targeted fetch": Row(judged, fetch("a"), VALIDATING),
    "5 fresh, sent": Row(fresh, sends, ACTIVE),
    "5 retry, sent": Row(retry, sends, ACTIVE),
    "6 fresh, no eligible peer": Row(fresh, no_peer_eligible, FRESH),
    "6 retry, no eligible peer": Row(retry, no_peer_eligible, RETRY),
    "7 fresh, every peer limited": Row(fresh, every_peer_limited, FRESH),
    "8 fresh, every peer refuses": Row(fresh, every_peer_refuses, FRESH),
    "9 active, deadline": Row(active, deadline, RETRY, TIMED_OUT),
    "10 active, no data": Row(active, from_the_asked(None), RETRY, NO_DATA),
    "11 active, bytes": Row(active, from_the_asked(VALUE), VALIDATING, DELIVERED),
    "11 active, empty bytes": Row(active, from_the_asked(b""), VALIDATING, DELIVERED),
    "12 active, unknown id": Row(active, reply(1, 99, VALUE), ACTIVE),
    "12 active, another peer": Row(active, reply(7, 0, VALUE), ACTIVE),
    "12 active, no data from another peer": Row(active, reply(7, 0, None), ACTIVE),
    "13 complete, nobody else": Row(judged, say(Outcome.COMPLETE), IDLE, (Accepted, Retired, Reason.FULFILLED)),
    "14 complete, late ones": Row(judged_with_a_late_one, say(Outcome.COMPLETE), REDELIVERING, (Accepted, Deliver)),
    "15 ambiguous": Row(judged_with_a_late_one, say(Outcome.AMBIGUOUS), RETRY, (Retry, Outcome.AMBIGUOUS)),
    "16 invalid": Row(judged_with_a_late_one, say(Outcome.INVALID), RETRY, (Block, Retry, Outcome.INVALID)),
    "17 ignored": Row(judged_with_a_late_one, say(Outcome.IGNORED), IDLE, (Retired, Reason.IGNORED)),
    "18 unanswered, nobody else": Row(judged, say(Outcome.UNANSWERED), IDLE, (Retired, Reason.UNANSWERED)),
    "18 unanswered, late ones": Row(judged_with_a_late_one, say(Outcome.UNANSWERED), VALIDATING, (Deliver,)),
    "19 again complete, nobody left": Row(again, say(Outcome.COMPLETE), IDLE, (Retired, Reason.FULFILLED)),
    "20 again complete, more joined": Row(again_with_a_late_one, say(Outcome.COMPLETE), REDELIVERING, (Deliver,)),
    "21 again invalid": Row(again_with_a_late_one, say(Outcome.INVALID), IDLE, (Retired, Reason.CONTRADICTED)),
    "21 again unanswered, nobody left": Row(again, say(Outcome.UNANSWERED), IDLE, (Retired, Reason.UNANSWERED)),
    "22 again ambiguous": Row(again, say(Outcome.AMBIGUOUS), RETRY, (Retry, Outcome.AMBIGUOUS)),
    "23 again ignored": Row(again_with_a_late_one, say(Outcome.IGNORED), IDLE, (Retired, Reason.IGNORED)),
    "24 retain keeps one": Row(judged_with_a_late_one, retain_keeps_one, VALIDATING),
    "25 fresh, retain keeps none": Row(fresh, retain_keeps_none, IDLE, (Retired, Reason.CANCELLED)),
    "25 retry, retain keeps none": Row(retry, retain_keeps_none, IDLE, (Retired, Reason.CANCELLED)),
    "25 active, retain keeps none": Row(
        active, retain_keeps_none, IDLE, (Ended, Cause.CANCELLED, Retired, Reason.CANCELLED)
    ),
    "25 validating, retain keeps none": Row(judged, retain_keeps_none, IDLE, (Retired, Reason.CANCELLED)),
    "25 redelivering, retain keeps none": Row(again, retain_keeps_none, IDLE, (Retired, Reason.CANCELLED)),
    "26 idle, retain": Row(idle, retain_keeps_none, IDLE),
    "27 fresh, newer peer set": Row(fresh, newer_peer_set, FRESH),
    "27 active, newer peer set": Row(active, newer_peer_set, ACTIVE),
    "28 any, clear as at shutdown": Row(judged, lambda scene: scene.wanted.clear(), IDLE, (Retired, Reason.CANCELLED)),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_key_goes_from_state_to_state_as_the_table_says(row: Row) -> None:
    scene = row.scene()
    decisions = row.event(scene)
    assert (state(scene.wanted), said(decisions)) == (row.after, row.said)


def test_open_verdict_names_a_subscriber_that_was_pruned_meanwhile() -> None:
    scene = judged_with_a_late_one()
    retain_keeps_one(scene)
    assert scene.open is not None
    assert scene.open.subscribers == (1,)
    decisions = say(Outcome.COMPLETE)(scene)
    assert decisions is not None
    assert delivery(decisions).subscribers == (2,)


@pytest.mark.parametrize(
    ("outcome", "score"),
    [
        (Outcome.COMPLETE, (0.1 + 0.02) / 2),
        (Outcome.AMBIGUOUS, (0.1 + 0.02) / 2),
        (Outcome.INVALID, (0.1 + 0.02) / 2),
        (Outcome.IGNORED, 0.1),
        (Outcome.UNANSWERED, 0.1),
    ],
)
def test_first_verdict_rates_the_peer_unless_it_says_nothing_about_the_bytes(outcome: Outcome, score: float) -> None:
    scene = judged()
    assert scene.open is not None
    say(outcome)(scene)
    scores = scene.wanted.fetcher.scores
    assert scores.of(scene.open.peer) == pytest.approx(score)
    assert (scene.open.peer in scores) == (score != 0.1)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_verdict_on_a_redelivery_never_rates_the_peer_again(outcome: Outcome) -> None:
    scene = again()
    assert scene.open is not None
    before = scene.wanted.fetcher.scores.of(scene.open.peer)
    say(outcome)(scene)
    assert scene.wanted.fetcher.scores.of(scene.open.peer) == before


def test_row_3_leaves_the_time_of_a_retry_as_it_is() -> None:
    scene = retry()
    fetch()(scene)
    assert scene.wanted.fetcher.wake_up() == TIMEOUT + DELAY
