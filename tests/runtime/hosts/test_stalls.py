"""Depth and age of inboxes, and the engine that no longer turns."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from rookery.runtime import LoopRuntime, Message, ThreadRuntime
from rookery.runtime.hosts.stalls import StallDetector
from tests.runtime.runtime_kit import Data, Note, RealHost, RecorderMailbox


class Stall:
    """An engine held inside a handler, and a detector that looks when the test says so."""

    def __init__(self, host: RealHost) -> None:
        self.host = host
        self.registry = host.runtime.registry
        self.recorder = host.recorder()
        self.release, self._entered = threading.Event(), threading.Event()
        self.hold()
        runtime: Any = host.runtime
        self.detector = StallDetector(runtime._inboxes, runtime.registry, runtime.log, runtime._stack, stall_after=1.0)

    def hold(self) -> None:
        """The engine enters a handler and stays there until `release` is set."""
        self.release.clear()
        self._entered.clear()
        self.recorder.do(self.hold_here)
        assert self._entered.wait(10)

    def hold_here(self, _engine: Any) -> None:
        self._entered.set()
        self.release.wait(20)

    def value(self, name: str) -> float:
        return self.registry.value(f"runtime_{name}", "recorder")


@pytest.fixture(params=[ThreadRuntime, LoopRuntime])
def stall(request: pytest.FixtureRequest) -> Iterator[Stall]:
    host = RealHost(request.param, stall_after=None)
    made = Stall(host)
    yield made
    made.release.set()
    host.close()


def test_stalled_engine_is_logged_once_with_its_message_and_stack(
    stall: Stall, caplog: pytest.LogCaptureFixture
) -> None:
    for now in (0.0, 0.9, 1.0, 2.0):
        stall.detector.look(now)
    (record,) = [record for record in caplog.records if record.message == "engine stalled"]
    fields: dict[str, Any] = record.__dict__["fields"]
    assert (fields["engine"], fields["seconds"]) == ("recorder", 1.0)
    assert "hold_here" in fields["stack"]
    assert "Do(" in fields["message"]
    assert stall.value("stalls_total") == 1


def test_engine_that_turns_again_can_stall_again(stall: Stall) -> None:
    stall.detector.look(0.0)
    stall.detector.look(1.0)
    stall.release.set()
    stall.host.settle()
    stall.detector.look(5.0)
    assert stall.value("stalls_total") == 1
    stall.hold()
    stall.detector.look(6.0)
    stall.detector.look(7.0)
    assert stall.value("stalls_total") == 2


def test_idle_engine_never_stalls(stall: Stall, caplog: pytest.LogCaptureFixture) -> None:
    stall.release.set()
    stall.host.settle()
    for now in range(10):
        stall.detector.look(float(now))
    assert stall.value("stalls_total") == 0
    assert stall.recorder.inbox.depth == 0


def test_depth_counts_what_waits_and_no_marks(stall: Stall) -> None:
    for number in range(5):
        stall.recorder.tell(Data(number))
    stall.recorder.note("control")
    stall.detector.look(0.0)
    assert stall.value("inbox_depth") == 6


@pytest.mark.parametrize("message", [Note("control"), Data(1)])
def test_age_of_the_oldest_grows_while_it_waits_and_ends_with_it(stall: Stall, message: Message) -> None:
    start = stall.host.runtime.now()
    stall.recorder.tell(message)
    stall.detector.look(start - 100)
    assert stall.value("inbox_oldest_seconds") >= 100
    stall.detector.look(start)
    assert stall.value("inbox_oldest_seconds") >= 100
    stall.release.set()
    stall.host.settle()
    assert stall.value("inbox_oldest_seconds") == 0


def test_age_is_zero_where_nothing_waits_though_the_engine_stalls(stall: Stall) -> None:
    stall.detector.look(stall.host.runtime.now() - 100)
    assert stall.value("inbox_oldest_seconds") == 0


def test_runtime_looks_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    for kind in (ThreadRuntime, LoopRuntime):
        host = RealHost(kind, stall_after=0.01)
        made = Stall(host)
        host.until(lambda made=made: made.value("stalls_total") == 1)  # type: ignore[misc]
        made.release.set()
        host.close()


def test_counters_of_lost_and_refused_messages_are_exported(real: RealHost) -> None:
    mailbox = real.runtime.mailbox(RecorderMailbox)
    for number in range(1030):
        mailbox.tell(Data(number))
    real.runtime.stop()
    values = {sample.name: sample.value for sample in real.runtime.registry.samples() if sample.value}
    assert values == {"runtime_backoff_total": 6, "runtime_dead_letters_total": 1030}
