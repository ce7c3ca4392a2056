"""What every runtime does with tells and asks."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.runtime import Feedback, Lane, LoopRuntime, Message, Overflow, Request, UnhandledMessage
from tests.runtime.runtime_kit import (
    Ask,
    Data,
    Do,
    Host,
    Note,
    Piece,
    Recorder,
    RecorderMailbox,
    Refused,
    Unknown,
    UnknownAsk,
    raises,
)


def test_tell_is_handled_in_the_order_of_its_sender(host: Host) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)
    assert [recorder.note(str(number)) for number in range(100)] == [Feedback.OK] * 100
    host.settle()
    assert journal == [Note(str(number)) for number in range(100)]


def test_ask_gives_what_the_handler_returns(host: Host) -> None:
    recorder = host.recorder()
    assert recorder.run(lambda engine: engine.name).get(timeout=10) == recorder.name


def test_ask_declined_raises_that_error_and_the_engine_lives_on(host: Host) -> None:
    recorder = host.recorder()
    with pytest.raises(Refused, match="not today"):
        recorder.run(raises(Refused("not today"))).get(timeout=10)
    assert recorder.run(lambda _engine: "alive").get(timeout=10) == "alive"


def test_tell_declined_is_counted_and_the_engine_lives_on(host: Host) -> None:
    recorder = host.recorder()
    recorder.do(raises(Refused("nobody asked")))
    recorder.tell(Ask(raises(Refused("nobody asked either"))))
    assert recorder.run(lambda _engine: "alive").get(timeout=10) == "alive"
    registry = host.runtime.registry
    assert [registry.value("runtime_declined_total", recorder.name, kind) for kind in ("Do", "Ask")] == [1, 1]


def test_mailbox_before_its_engine_queues_and_serves_control_before_data(host: Host) -> None:
    journal: list[object] = []
    mailbox = host.runtime.mailbox(RecorderMailbox)
    for number in range(3):
        assert mailbox.tell(Data(number)) is Feedback.OK
        assert mailbox.note(str(number)) is Feedback.OK
    asked = mailbox.run(lambda engine: len(engine.journal))
    host.runtime.start(mailbox, Recorder, journal)
    assert asked.get(timeout=10) == 3  # an ask is control: after the notes, before the data
    host.settle()
    assert journal == [*(Note(str(number)) for number in range(3)), *(Data(number) for number in range(3))]


def test_message_without_a_handler_is_counted_and_keeps_no_place(host: Host) -> None:
    recorder = host.recorder()
    for _ in range(3):
        assert recorder.tell(Unknown()) is Feedback.OK
        assert recorder.tell(Unknown()) is Feedback.OK
        host.settle()
    assert host.runtime.registry.value("runtime_unhandled_total", recorder.name, "Unknown") == 6


@pytest.mark.parametrize("told", [False, True])
def test_request_without_a_handler_is_an_error_of_the_asker_only(host: Host, told: bool) -> None:
    recorder = host.recorder()
    if told:
        recorder.tell(UnknownAsk())
    else:
        with pytest.raises(UnhandledMessage, match=f"{recorder.name} has no handler for UnknownAsk"):
            recorder.ask(UnknownAsk()).get(timeout=10)
    assert recorder.run(lambda _engine: "alive").get(timeout=10) == "alive"


def test_engine_that_tells_itself_does_not_deadlock(host: Host) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)

    def flood(engine: Any) -> None:
        for number in range(5000):  # beyond every limit
            engine.mailbox.note(str(number))

    recorder.do(flood)
    host.settle()
    assert len(journal) == 5000


def test_engine_that_fills_its_own_bounded_mailbox_is_refused_and_does_not_deadlock(host: Host) -> None:
    told: list[Feedback] = []
    recorder = host.recorder()
    recorder.do(lambda engine: told.extend(engine.mailbox.tell(Piece(b"")) for _ in range(6)))
    host.settle()
    assert told == [Feedback.OK] * 4 + [Feedback.REJECTED] * 2


def test_two_engines_that_ask_each_other_both_get_answers(host: Host) -> None:
    first, second = host.recorder(), host.recorder()
    answers: list[object] = []
    first.do(lambda engine: engine.on_reply(second.run(lambda _: "second"), answers.append, timeout=10))
    second.do(lambda engine: engine.on_reply(first.run(lambda _: "first"), answers.append, timeout=10))
    host.until(lambda: len(answers) == 2)
    assert sorted(map(str, answers)) == ["first", "second"]


def test_message_of_the_runtimes_own_lane_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match="waits in CONTROL or DATA"):
        type("Urgent", (Message,), {"lane": Lane.URGENT})


def test_request_that_folds_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match="RETAIN or REJECT, not LATEST"):
        type("Folding", (Request,), {"overflow": Overflow.LATEST})


def test_coalescing_message_without_merge_cannot_be_defined() -> None:
    with pytest.raises(TypeError, match="does not define merge"):
        type("Folding", (Message,), {"overflow": Overflow.COALESCE})


def test_next_slice_runs_before_every_control_and_data_message_that_waits(host: Host) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)

    def slices(engine: Any, left: int = 3) -> None:
        if left == 3:
            recorder.note("came meanwhile")
            recorder.tell(Data(1))
        engine.journal.append(left)
        if left:
            engine.next_slice(lambda: slices(engine, left - 1))

    recorder.do(slices)
    host.settle()
    assert journal == [3, 2, 1, 0, Note("came meanwhile"), Data(1)]


def test_next_slice_on_a_loop_lets_other_engines_and_timers_have_their_turn_in_between() -> None:
    with LoopRuntime() as runtime:
        other, sliced = runtime.start(Recorder), runtime.start(Recorder)
        heard: list[str] = []

        def begin(engine: Any) -> None:
            engine.after(0, Do(lambda _engine: heard.append("a timer")))
            other.do(lambda _engine: heard.append("the other"))
            slices(engine, 10)

        def slices(engine: Any, left: int) -> None:
            heard.append("slice")
            if left:
                engine.next_slice(lambda: slices(engine, left - 1))

        sliced.do(begin)
        sliced.run(lambda _engine: None).get(timeout=10)
        assert max(heard.index("a timer"), heard.index("the other")) <= 3
        assert heard.count("slice") == 11
