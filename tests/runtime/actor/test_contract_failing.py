"""What every runtime does when a handler raises: the node ends in an orderly way, and nobody waits for ever."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from rookery.runtime import (
    EngineFailed,
    EngineGone,
    Feedback,
    LoopRuntime,
    Mailbox,
    Message,
    Reply,
    Terminated,
    ThreadRuntime,
)
from rookery.testing import mock
from tests.runtime.runtime_kit import Ask, Data, Do, Host, Recorder, RecorderMailbox, raises

BOOM = RuntimeError("boom")


def test_failure_names_the_engine_and_the_message_and_chains_the_cause(host: Host) -> None:
    failure = host.fail(host.recorder(), Do(raises(BOOM)))
    assert isinstance(failure, EngineFailed)
    assert "recorder failed while handling Do(" in str(failure)
    assert failure.__cause__ is BOOM


def test_failure_is_given_to_the_asker_and_the_queue_behind_it_gets_a_typed_error(host: Host) -> None:
    mailbox = host.runtime.mailbox(RecorderMailbox)
    fatal = mailbox.run(raises(BOOM))
    behind = mailbox.run(lambda _engine: "never")
    mailbox.tell(Data(1))
    lost: list[tuple[Mailbox, Message]] = []
    host.runtime.on_dead_letter(lambda box, message: lost.append((box, message)))
    host.runtime.start(mailbox, Recorder)
    with pytest.raises(EngineFailed, match="boom"):
        fatal.get(timeout=10)
    host.until(lambda: mailbox.termination.ended)
    with pytest.raises(EngineGone) as gone:
        behind.get(timeout=10)
    assert gone.value.__cause__ is BOOM
    assert [(box, type(message)) for box, message in lost] == [(mailbox, Ask), (mailbox, Data)]
    assert host.runtime.registry.value("runtime_dead_letters_total", "recorder") == 2


def test_failure_runs_on_stop_of_every_engine_and_ends_the_node(host: Host) -> None:
    stopped: list[str] = []
    first = host.recorder(stopping=lambda engine: stopped.append(engine.name))
    second = host.recorder(stopping=lambda engine: stopped.append(engine.name))
    host.fail(first, Do(raises(BOOM)))
    assert sorted(stopped) == ["recorder", "recorder-2"]
    assert [first.note("late"), second.note("late")] == [Feedback.CLOSED, Feedback.CLOSED]


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt()])
def test_exit_in_one_engine_ends_its_runtime_only(host: Host, error: BaseException) -> None:
    with LoopRuntime("loop") as loop, ThreadRuntime("threads") as threads:
        others = [loop.start(Recorder), threads.start(Recorder)]
        failure = host.fail(host.recorder(), Do(raises(error)))
        assert failure.__cause__ is error
        assert [other.run(lambda _engine: "alive").get(timeout=10) for other in others] == ["alive", "alive"]


def test_failure_resolves_what_was_to_be_answered_later(host: Host) -> None:
    recorder = host.recorder()
    kept: list[Reply[None]] = []

    def later(_engine: Any) -> Reply[None]:
        kept.append(Reply())
        return kept[0]

    asked = recorder.run(later)
    host.settle()
    host.fail(recorder, Do(raises(BOOM)))
    with pytest.raises(EngineGone, match="was not answered"):
        asked.get(timeout=10)


def test_failure_in_a_reply_handler_is_the_engines(host: Host) -> None:
    asking, asked = host.recorder(), host.recorder()
    reply = asked.run(lambda _engine: 1)

    def fails(result: object) -> None:
        raise BOOM

    failure = host.fail(asking, Do(lambda engine: engine.on_reply(reply, fails, timeout=5)))
    assert "recorder failed" in str(failure)


def test_failure_in_a_callback_is_not_the_answering_engines(host: Host) -> None:
    recorder = host.recorder()
    answers: list[object] = []
    mailbox_reply: Reply[object] = Reply()
    mailbox_reply.then(raises(BOOM))
    mailbox_reply.then(lambda reply: answers.append(reply.result()))
    recorder.do(lambda _engine: mailbox_reply.set(7))
    assert recorder.run(lambda _engine: "alive").get(timeout=10) == "alive"
    assert answers == [7]


def test_watchers_are_told_who_died_and_why_exactly_once(host: Host) -> None:
    journal: list[object] = []
    watcher = host.recorder(journal)
    recorder = host.recorder()
    watcher.run(lambda engine: engine.watch(recorder)).get(timeout=10)
    host.runtime.watch(recorder, watcher)
    recorder.do(lambda engine: engine.stop())
    host.until(lambda: journal)
    host.settle()
    assert journal == [Terminated(recorder, None)]
    late = host.recorder(journal)
    late.run(lambda engine: engine.watch(recorder)).get(timeout=10)
    host.settle()
    assert journal == [Terminated(recorder, None)] * 2


def test_watcher_outside_the_runtime_is_told_the_reason(host: Host) -> None:
    watcher = mock(RecorderMailbox)
    recorder = host.recorder()
    host.runtime.watch(recorder, watcher)
    host.fail(recorder, Do(raises(BOOM)))
    assert watcher.control.received() == [Terminated(recorder, BOOM)]


def test_on_stop_that_raises_is_reported_and_stops_nobody_else(host: Host) -> None:
    stopped: list[str] = []
    host.recorder(stopping=lambda engine: stopped.append(engine.name))
    recorder = host.recorder(stopping=raises(SystemExit(1)))
    host.runtime.stop()
    assert stopped == ["recorder"]
    assert isinstance(recorder.termination.reason, SystemExit)
    assert "recorder-2 failed in on_stop" in str(host.runtime.failure)


def test_runtime_left_after_a_failure_raises_it(host: Host) -> None:
    with pytest.raises(EngineFailed, match="in on_stop"), host.runtime:
        host.recorder(stopping=raises(BOOM))


def test_failure_of_a_runtime_that_is_left_many_times_collects_no_traceback(host: Host) -> None:
    with pytest.raises(EngineFailed), host.runtime:
        host.recorder(stopping=raises(BOOM))
    before = traceback.extract_tb(host.runtime.failure.__traceback__)
    for _ in range(5):
        with pytest.raises(EngineFailed, match="in on_stop"), host.runtime:
            pass
    assert list(traceback.extract_tb(host.runtime.failure.__traceback__)) == list(before) == []


def test_failed_start_keeps_no_frame_of_whoever_started_it(host: Host) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        host.recorder(starting=lambda _engine: 1 // 0)
    names = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert "recorder" in names, "the error as raised has them"
    (engine_error,) = (box.termination.reason for box in host.runtime._mailboxes.values())
    assert "recorder" not in [frame.name for frame in traceback.extract_tb(engine_error.__traceback__)]


def test_dead_letter_hook_that_raises_does_not_hurt_the_sender(host: Host) -> None:
    recorder = host.recorder()
    host.runtime.on_dead_letter(refuses_letters)
    host.runtime.stop()
    assert recorder.note("late") is Feedback.CLOSED


def refuses_letters(_mailbox: object, _message: object) -> None:
    raise BOOM
