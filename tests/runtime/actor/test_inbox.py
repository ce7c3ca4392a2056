"""How messages wait: limits by count and by bytes, folding, feedback, dead letters."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.runtime import EngineGone, Feedback, Limit, Mailbox, MailboxFull, Message, Simulation
from tests.runtime.runtime_kit import BoundedAsk, Deposit, Note, Piece, Price, Recorder, RecorderMailbox, Unknown

OK, BACKOFF, REJECTED, CLOSED = Feedback.OK, Feedback.BACKOFF, Feedback.REJECTED, Feedback.CLOSED


def test_feedback_is_accepted_when_the_message_is_queued() -> None:
    assert [feedback.accepted for feedback in (OK, BACKOFF, REJECTED, CLOSED)] == [True, True, False, False]


def test_limit_below_one_is_refused() -> None:
    for wrong in ({"messages": 0}, {"bytes": 0}):
        with pytest.raises(ValueError, match="at least 1"):
            Limit(**wrong)


def test_retained_message_over_the_limit_is_kept_and_counted() -> None:
    class Small(Mailbox):
        default_limit = Limit(2)

    mailbox = Small("small")
    assert [mailbox.tell(Note(str(number))) for number in range(4)] == [OK, OK, BACKOFF, BACKOFF]
    assert (mailbox.inbox.depth, mailbox.inbox.backoff) == (4, 2)


def test_retained_message_with_a_limit_of_its_own_is_counted_apart_from_its_lane() -> None:
    class Named(Mailbox):
        limits = {Note: Limit(2)}  # noqa: RUF012

    mailbox = Named("named")
    for _ in range(3):
        mailbox.tell(BoundedAsk())
    assert [mailbox.tell(Note(str(number))) for number in range(3)] == [OK, OK, BACKOFF]


def test_rejecting_message_is_refused_over_its_count_and_over_its_bytes() -> None:
    mailbox = RecorderMailbox("recorder")
    assert [mailbox.tell(Piece(bytes(40))) for _ in range(3)] == [OK, OK, REJECTED]
    assert [mailbox.tell(Piece(bytes(10))) for _ in range(3)] == [OK, OK, REJECTED]
    assert (mailbox.inbox.depth, mailbox.inbox.rejected) == (4, 2)


def test_rejected_ask_fails_naming_the_limit() -> None:
    mailbox = RecorderMailbox("recorder")
    first, second = mailbox.ask(BoundedAsk()), mailbox.ask(BoundedAsk())
    assert not first.done
    with pytest.raises(MailboxFull, match=r"recorder holds at most Limit\(messages=1.*BoundedAsk"):
        second.get()


def test_latest_replaces_the_queued_one_in_its_old_place(simulated: Simulation) -> None:
    mailbox = simulated.mailbox(RecorderMailbox)
    journal: list[object] = []
    mailbox.tell(Price("tea", 1))
    mailbox.note("between")
    assert [mailbox.tell(Price("tea", 2)), mailbox.tell(Price("rum", 3))] == [OK, OK]
    simulated.start(mailbox, Recorder, journal)
    simulated.settle()
    assert journal == [Price("tea", 2), Note("between"), Price("rum", 3)]
    mailbox.tell(Price("tea", 4))
    simulated.settle()
    assert journal[-1] == Price("tea", 4)


def test_latest_over_its_count_of_keys_or_its_bytes_is_kept_with_backoff() -> None:
    mailbox = RecorderMailbox("recorder")
    assert [mailbox.tell(Price(name, 1)) for name in ("tea", "rum", "ale", "tea")] == [OK, OK, BACKOFF, BACKOFF]
    other = RecorderMailbox("other")
    assert [other.tell(Price("tea", size)) for size in (50, 51, 2)] == [OK, BACKOFF, OK]


def test_coalescing_messages_merge_into_one(simulated: Simulation) -> None:
    mailbox = simulated.mailbox(RecorderMailbox)
    journal: list[object] = []
    for account, amount in (("a", 1), ("b", 2), ("a", 3)):
        mailbox.tell(Deposit(account, amount))
    simulated.start(mailbox, Recorder, journal)
    simulated.settle()
    assert journal == [Deposit("a", 4), Deposit("b", 2)]


def handle_one(world: Simulation) -> None:
    """One message, if any waits."""
    before = world.handled
    world.step_until(lambda: world.handled > before, timeout=0)


@given(st.lists(st.one_of(st.integers(0, 120), st.none()), max_size=40))
def test_rejecting_limits_are_exact_whatever_comes_and_goes(steps: list[int | None]) -> None:
    """A number is a piece of that size told; None is one handled."""
    world = Simulation(0)
    mailbox = world.start(Recorder)
    waiting: list[int] = []
    for size in steps:
        if size is None:
            handle_one(world)
            del waiting[:1]
            continue
        fits = len(waiting) < 4 and sum(waiting) + size <= 100
        assert mailbox.tell(Piece(bytes(size))) is (OK if fits else REJECTED)
        waiting += [size] * fits
    assert mailbox.inbox.depth == len(waiting)


@given(st.lists(st.one_of(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), st.none()), max_size=40))
def test_latest_keeps_the_newest_of_each_key_in_the_order_of_first_coming(
    steps: list[tuple[str, int] | None],
) -> None:
    world = Simulation(0)
    journal: list[Price] = []
    mailbox = world.start(Recorder, journal)
    model: dict[str, int] = {}
    handled: list[Price] = []
    for step in steps:
        if step is None:
            handle_one(world)
            handled += [Price(name, model.pop(name)) for name in list(model)[:1]]
            continue
        model[step[0]] = step[1]
        over = len(model) > 2 or sum(model.values()) > 50
        assert mailbox.tell(Price(*step)) is (BACKOFF if over else OK)
    assert journal == handled


@pytest.mark.parametrize("fill", [Piece(b""), Unknown()])
def test_full_mailbox_of_a_dead_engine_says_closed_not_rejected(simulated: Simulation, fill: Message) -> None:
    mailbox = simulated.start(Recorder)
    while mailbox.tell(fill) is OK:
        pass
    simulated.stop()
    letters = mailbox.inbox.dead_letters
    assert [mailbox.tell(fill) for _ in range(10)] == [CLOSED] * 10
    assert mailbox.inbox.dead_letters == letters + 10
    with pytest.raises(EngineGone):
        [mailbox.ask(BoundedAsk()) for _ in range(3)][-1].get()


def test_folded_messages_that_wait_for_a_dead_engine_are_one_dead_letter_per_key(simulated: Simulation) -> None:
    mailbox = simulated.mailbox(RecorderMailbox)
    lost: list[Message] = []
    simulated.on_dead_letter(lambda _mailbox, message: lost.append(message))
    for message in (Price("tea", 1), Price("tea", 2), Deposit("a", 1), Deposit("a", 2)):
        mailbox.tell(message)
    simulated.stop()
    assert lost == [Price("tea", 2), Deposit("a", 3)]
    assert mailbox.tell(Price("tea", 3)) is CLOSED
    assert lost[2:] == [Price("tea", 3)]


def test_message_told_from_a_merge_does_not_lock_its_sender_out() -> None:
    @dataclass(frozen=True, slots=True)
    class Nested(Message):
        overflow = Deposit.overflow

        def merge(self, newer: Nested) -> Nested:
            mailbox.tell(Note("from a collected reply's callback"))
            return newer

    mailbox = Mailbox("mailbox")
    assert [mailbox.tell(Nested()) for _ in range(2)] == [OK, OK]
    assert mailbox.inbox.depth == 2
