"""What every runtime does when it stops: at once, in order, bounded; and mailboxes stay safe to call."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from rookery.runtime import (
    EngineGone,
    Feedback,
    LoopRuntime,
    Message,
    Reply,
    Simulation,
    StopTimeout,
    ThreadRuntime,
    WouldDeadlock,
)
from tests.runtime.runtime_kit import Data, Host, Note, Piece, RealHost, Recorder, RecorderMailbox, wait_until


def test_stop_overtakes_what_waits(host: Host) -> None:
    mailbox = host.runtime.mailbox(RecorderMailbox)
    journal: list[object] = []
    mailbox.note("before")
    mailbox.do(lambda engine: engine.stop())
    for number in range(1000):
        mailbox.tell(Data(number))
    host.runtime.start(mailbox, Recorder, journal, stopping=lambda engine: engine.journal.append("stopped"))
    host.until(lambda: mailbox.termination.ended)
    assert journal == [Note("before"), "stopped"]
    assert host.runtime.registry.value("runtime_dead_letters_total", "recorder") == 1000


def test_stop_of_the_runtime_overtakes_what_waits(real: RealHost) -> None:
    journal: list[object] = []
    recorder = real.recorder(journal)
    entered, release = threading.Event(), threading.Event()

    def hold(_engine: Any) -> None:
        entered.set()
        release.wait(10)

    recorder.do(hold)
    assert entered.wait(10)
    for number in range(1000):
        recorder.tell(Data(number))
    stopping = threading.Thread(target=real.runtime.stop)
    stopping.start()
    wait_until(lambda: recorder.inbox.stopping)
    release.set()
    stopping.join()
    assert journal == []


def test_full_mailbox_of_a_held_engine_blocks_neither_its_senders_nor_its_stop(real: RealHost) -> None:
    journal: list[object] = []
    recorder = real.recorder(journal)
    entered, release = threading.Event(), threading.Event()

    def hold(_engine: Any) -> None:
        entered.set()
        release.wait(10)

    recorder.do(hold)
    assert entered.wait(10)
    told = [recorder.tell(Piece(b"")) for _ in range(6)]
    assert told == [Feedback.OK] * 4 + [Feedback.REJECTED] * 2
    real.runtime.engines[-1].stop()
    release.set()
    wait_until(lambda: recorder.termination.ended)
    assert journal == []


def test_engine_told_to_stop_from_outside_ends_whether_anything_waits_or_not(host: Host) -> None:
    idle, busy = host.recorder(), host.recorder()
    busy.note("waits")
    for engine in host.runtime.engines:
        engine.stop()
    host.until(lambda: idle.termination.ended and busy.termination.ended)
    assert [idle.note("late"), busy.note("late")] == [Feedback.CLOSED, Feedback.CLOSED]


def test_stop_runs_on_stop_newest_first_and_can_be_repeated(host: Host) -> None:
    stopped: list[str] = []
    for _ in range(3):
        host.recorder(stopping=lambda engine: stopped.append(engine.name))
    host.runtime.stop()
    host.runtime.stop()
    assert stopped == ["recorder-3", "recorder-2", "recorder"]


def test_mailbox_after_the_end_is_safe_to_call(host: Host) -> None:
    used, unused = host.recorder(), host.runtime.mailbox(RecorderMailbox)
    waiting = unused.run(lambda _engine: "never")
    lost: list[Message] = []
    host.runtime.on_dead_letter(lambda _mailbox, message: lost.append(message))
    host.runtime.stop()
    for mailbox in (used, unused):
        assert mailbox.note("late") is Feedback.CLOSED
        with pytest.raises(EngineGone, match=f"{mailbox.name} is not running"):
            mailbox.run(lambda _engine: "never").get(timeout=10)
        assert host.runtime.registry.value("runtime_dead_letters_total", mailbox.name) >= 2
    with pytest.raises(EngineGone):
        waiting.get(timeout=10)
    assert lost.count(Note("late")) == 2


def test_reply_that_was_to_come_later_fails_when_the_engine_stops(host: Host) -> None:
    kept: list[Reply[None]] = []
    recorder = host.recorder()

    def later(_engine: Any) -> Reply[None]:
        kept.append(Reply())
        return kept[0]

    asked = recorder.run(later)
    host.settle()
    host.runtime.stop()
    with pytest.raises(EngineGone):
        asked.get(timeout=10)


def test_timers_of_an_engine_that_ended_are_forgotten(host: Host) -> None:
    recorder = host.recorder()
    recorder.do(lambda engine: (engine.every(0.001, Note("again")), engine.stop()))
    host.until(lambda: recorder.termination.ended)
    host.pass_time(0.02)
    assert recorder.inbox.dead_letters == 0


def test_drain_handles_all_that_waits_then_says_so(host: Host) -> None:
    journal: list[object] = []
    other = host.recorder(journal)
    recorder = host.recorder()
    for number in range(500):
        recorder.do(lambda engine, number=number: other.tell(Data(number)))  # type: ignore[misc]
    assert host.runtime.drain(timeout=10) is True
    assert len(journal) == 500


def test_drain_gives_up_at_its_deadline(real: RealHost) -> None:
    release = threading.Event()
    real.recorder().do(lambda _engine: release.wait(10))
    assert real.runtime.drain(timeout=0.01) is False
    release.set()


def test_drain_of_a_paused_node_gives_up_at_its_deadline() -> None:
    world = Simulation(1)
    node = world.node("alice")
    recorder = node.start(Recorder)
    node.pause()
    recorder.note("waits")
    assert node.drain(timeout=5) is False
    assert world.time == 5


@pytest.mark.parametrize("call", ["stop", "drain"])
def test_stop_and_drain_inside_an_engine_raise_instead_of_waiting_for_themselves(host: Host, call: str) -> None:
    recorder = host.recorder()
    arguments = () if call == "stop" else (1.0,)

    def inside(engine: Any) -> object:
        with pytest.raises(WouldDeadlock):
            getattr(engine.runtime, call)(*arguments)
        return "raised"

    assert recorder.run(inside).get(timeout=10) == "raised"


@pytest.mark.parametrize("kind", [ThreadRuntime, LoopRuntime])
def test_stop_is_bounded_and_names_who_is_stuck_and_where(kind: type[ThreadRuntime | LoopRuntime]) -> None:
    release, entered = threading.Event(), threading.Event()
    stopped: list[str] = []
    runtime = kind("node", seed=1)
    innocent = runtime.start(Recorder, stopping=lambda engine: stopped.append(engine.name))
    stuck = runtime.start(runtime.mailbox(RecorderMailbox, "stuck"), Recorder)

    def wait_for_the_test(_engine: Any) -> None:
        entered.set()
        release.wait(10)

    stuck.do(wait_for_the_test)
    assert entered.wait(10)
    with pytest.raises(StopTimeout, match=r"stuck at\n(.*\n)*.*wait_for_the_test") as report:
        runtime.stop(timeout=0.2)
    assert ("recorder at" in str(report.value)) is (kind is LoopRuntime)  # there they share the thread
    assert innocent.note("late") is Feedback.CLOSED
    release.set()
    runtime.stop(10)
    assert stopped == ["recorder"]


def test_stop_names_the_work_that_does_not_end(real: RealHost) -> None:
    release, entered = threading.Event(), threading.Event()

    def slow_query() -> bool:
        entered.set()
        return release.wait(10)

    real.runtime.work(slow_query)
    assert entered.wait(10)
    with pytest.raises(StopTimeout, match=r"test-work-1 running .*slow_query"):
        real.runtime.stop(timeout=0.05)
    release.set()
