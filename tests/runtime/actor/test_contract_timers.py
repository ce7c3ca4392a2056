"""What every runtime does with timers."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.runtime import Feedback, Simulation, Timer
from tests.runtime.runtime_kit import Data, Do, Host, Note, Piece, Recorder, Refused, Unknown, raises


def test_after_handles_the_message_ahead_of_control_and_data(host: Host) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)

    def fill(engine: Any) -> None:
        engine.mailbox.tell(Data(1))
        engine.mailbox.note("control")
        engine.mailbox.inbox.urgent(Timer(0.0, 0, Note("timer"), engine.mailbox.inbox))

    recorder.do(fill)
    host.settle()
    assert journal == [Note("timer"), Note("control"), Data(1)]


def test_timers_fire_by_deadline_then_rank_then_age(host: Host) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)

    def set_timers(engine: Any) -> None:
        now = engine.now()
        for seconds, rank, text in ((0.02, 0, "late"), (0.01, 1, "third"), (0.01, 0, "first"), (0.01, 0, "second")):
            timer = Timer(now + seconds, rank, Note(text), engine.mailbox.inbox)
            engine.runtime.add_timer(timer)

    recorder.do(set_timers)
    host.until(lambda: len(journal) == 4)
    assert journal == [Note("first"), Note("second"), Note("third"), Note("late")]


def test_timer_cancelled_is_not_handled_even_if_it_has_fired(host: Host) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)

    def cancel_both(engine: Any) -> None:
        engine.after(0.001, Note("waiting")).cancel()
        fired = Timer(0.0, 0, Note("fired"), engine.mailbox.inbox)
        engine.mailbox.inbox.urgent(fired)
        fired.cancel()
        fired.cancel()

    recorder.do(cancel_both)
    host.pass_time(0.02)
    assert journal == []


def test_every_repeats_until_cancelled(host: Host) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)
    timer: Timer = recorder.run(lambda engine: engine.every(0.002, Note("tick"), first=0.0)).get(timeout=10)
    host.until(lambda: len(journal) >= 3)
    timer.cancel()
    host.settle()
    count = len(journal)
    host.pass_time(0.02)
    assert len(journal) == count


def test_every_after_a_stall_has_one_turn_waiting_and_keeps_its_rhythm() -> None:
    world = Simulation(1)
    node = world.node("alice")
    times: list[float] = []
    node.start(Recorder).do(lambda engine: engine.every(1.0, Do(lambda engine: times.append(engine.now()))))
    world.run(for_=1.5)
    node.pause()
    world.run(for_=10)
    node.resume()
    world.run(for_=2)
    assert times == [1.0, 11.5, 12.0, 13.0]


def test_every_with_an_interval_of_zero_is_refused(host: Host) -> None:
    recorder = host.recorder()
    with pytest.raises(Exception, match=r"above 0 s, not 0"):
        recorder.run(lambda engine: engine.every(0, Note("tick"))).get(timeout=10)
    host.until(lambda: recorder.termination.ended)


def test_timer_whose_handler_declines_or_is_missing_does_not_end_the_engine(host: Host) -> None:
    recorder = host.recorder()
    recorder.do(lambda engine: engine.after(0, Do(raises(Refused("no")))))
    recorder.do(lambda engine: engine.after(0, Unknown()))
    host.pass_time(0.002)
    assert recorder.run(lambda _engine: "alive").get(timeout=10) == "alive"
    assert host.runtime.registry.value("runtime_unhandled_total", "recorder", "Unknown") == 1


def test_timer_with_a_message_that_is_bounded_takes_no_place_of_those_told(host: Host) -> None:
    mailbox = host.recorder()
    mailbox.do(lambda engine: [engine.after(0, Piece(b"x")) for _ in range(10)])
    host.pass_time(0.002)
    answers = mailbox.run(lambda engine: [engine.mailbox.tell(Piece(b"x")) for _ in range(6)]).get(timeout=10)
    assert answers == [Feedback.OK] * 4 + [Feedback.REJECTED] * 2


def test_call_after_that_raises_ends_the_node(host: Host) -> None:
    host.recorder()
    host.runtime.call_after(0, lambda: raises(RuntimeError("boom"))(None))
    with pytest.raises(Exception, match="boom"):
        host.end_by_failure()
