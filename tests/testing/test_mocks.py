"""Mock mailboxes: the whole surface of the kit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from rookery.runtime import EngineFailed, EngineGone, Feedback, Mailbox, Message, Reply, Request, Simulation, Terminated
from rookery.testing import mock
from tests.runtime.runtime_kit import Do, Note, Price, Recorder, RecorderMailbox, Refused


@dataclass(frozen=True, slots=True)
class Double(Request[int]):
    number: int


@dataclass(frozen=True, slots=True)
class Halve(Request[int]):
    number: int


@dataclass(frozen=True, slots=True)
class Close(Message):
    reason: str


class CalculatorMailbox(Mailbox):
    def double(self, number: int) -> Reply[int]:
        return self.ask(Double(number))

    def halve(self, number: int) -> Reply[int]:
        return self.ask(Halve(number))

    def close(self, reason: str = "no reason") -> Feedback:
        return self.tell(Close(reason))


@pytest.fixture
def calculator() -> Any:
    return mock(CalculatorMailbox)


def test_mock_is_a_mailbox_of_its_kind(calculator: Any) -> None:
    assert isinstance(calculator, CalculatorMailbox)
    assert calculator.name == "mock-calculator"


def test_received_gives_the_tells_in_order_all_or_by_type(calculator: Any) -> None:
    for message in (Note("a"), Price("tea", 1), Note("b")):
        assert calculator.tell(message) is Feedback.OK
    assert calculator.control.received() == [Note("a"), Price("tea", 1), Note("b")]
    assert calculator.control.received(Note) == [Note("a"), Note("b")]


def test_answer_gives_a_value_an_error_or_what_a_function_makes_of_the_message(calculator: Any) -> None:
    calculator.control.answer(Double, 7)
    assert calculator.double(1).get() == 7
    calculator.control.answer(Double, lambda message: 2 * message.number)
    assert calculator.double(4).get() == 8
    calculator.control.answer(Double, OSError("out of paper"))
    with pytest.raises(OSError, match="out of paper"):
        calculator.double(1).get()


def test_answer_by_a_function_may_decline_or_come_later(calculator: Any) -> None:
    def decline(_message: Double) -> int:
        raise Refused("no")

    calculator.control.answer(Double, decline)
    with pytest.raises(Refused):
        calculator.double(1).get()
    later: Reply[int] = Reply()
    calculator.control.answer(Double, lambda _message: later)
    reply = calculator.double(1)
    assert not reply.done
    later.set(5)
    assert reply.get() == 5


def test_hold_lets_asks_wait_until_the_test_answers_them(calculator: Any) -> None:
    held = calculator.control.hold(Double)
    replies = [calculator.double(number) for number in (1, 2, 3)]
    assert held.waiting == [Double(1), Double(2), Double(3)]
    held.pop(number=2).set(4)
    held.pop().set(2)
    assert (replies[0].get(), replies[1].get(), replies[2].done) == (2, 4, False)
    with pytest.raises(AssertionError, match=r"no waiting Double with {'number': 9}; waiting: \[Double\(number=3\)\]"):
        held.pop(number=9)


def test_waiting_lists_every_held_ask_oldest_first(calculator: Any) -> None:
    calculator.control.hold(Double)
    calculator.control.hold(Halve)
    calculator.double(1)
    calculator.halve(2)
    calculator.double(3)
    assert calculator.control.waiting == [Double(1), Halve(2), Double(3)]


def test_latest_of_answer_and_hold_counts(calculator: Any) -> None:
    held = calculator.control.hold(Double)
    first = calculator.double(1)
    calculator.control.answer(Double, 9)
    assert calculator.double(2).get() == 9
    assert calculator.control.hold(Double).waiting == [Double(1)]
    held.pop().set(2)
    assert first.get() == 2


def test_feedback_is_told_to_senders_and_a_refused_message_is_not_received(calculator: Any) -> None:
    calculator.control.feedback(Feedback.BACKOFF)
    calculator.control.feedback(Feedback.REJECTED, Note, times=1)
    assert [calculator.tell(Note(text)) for text in "ab"] == [Feedback.REJECTED, Feedback.BACKOFF]
    assert calculator.control.received() == [Note("b")]
    calculator.control.feedback(Feedback.OK)
    assert calculator.tell(Note("c")) is Feedback.OK
    with pytest.raises(ValueError, match="times is at least 1, not 0"):
        calculator.control.feedback(Feedback.OK, times=0)


def test_close_makes_the_engine_gone_for_those_who_tell_ask_wait_and_watch(calculator: Any) -> None:
    watcher = mock(RecorderMailbox)
    calculator.termination.watch(watcher)
    calculator.control.hold(Double)
    waiting = calculator.double(1)
    calculator.control.close()
    assert calculator.tell(Note("late")) is Feedback.CLOSED
    for reply in (waiting, calculator.double(2)):
        with pytest.raises(EngineGone):
            reply.get()
    assert watcher.control.received() == [Terminated(calculator, None)]


def test_name_of_the_kind_is_the_kinds_own_whatever_it_is(calculator: Any) -> None:
    assert calculator.close() is Feedback.OK
    assert calculator.close("enough") is Feedback.OK
    assert calculator.control.received() == [Close("no reason"), Close("enough")]


def test_kind_with_a_control_of_its_own_cannot_be_mocked() -> None:
    class Remote(Mailbox):
        def control(self) -> None:
            """Takes the name that a mock needs."""

    with pytest.raises(TypeError, match="Remote has a name 'control', which a mock needs for itself"):
        mock(Remote)


def test_ask_that_is_not_scripted_fails_the_test_naming_the_message(simulation: Simulation, calculator: Any) -> None:
    with pytest.raises(AssertionError, match=r"mock-calculator was asked Double\(number=3\); script it with answer"):
        calculator.double(3)
    simulation.start(Recorder).tell(Do(lambda _engine: calculator.double(4)))
    with pytest.raises(EngineFailed, match=r"was asked Double\(number=4\)"):
        simulation.settle()


def test_reply_of_a_mock_in_a_simulation_steps_virtual_time(simulation: Simulation) -> None:
    calculator = mock(CalculatorMailbox, waits=simulation)
    held = calculator.control.hold(Double)
    simulation.call_after(3, lambda: held.pop().set(2))
    assert calculator.double(1).get(timeout=5) == 2
    assert simulation.time == 3
