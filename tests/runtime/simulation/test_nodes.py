"""What can happen to a simulated node: crash, restart, pause, clock skew."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.runtime import EngineGone, Feedback, Simulation, Terminated
from rookery.runtime.simulation import WALL_AT_START
from rookery.testing import mock
from tests.runtime.runtime_kit import Data, Note, Recorder, RecorderMailbox


def test_crash_ends_a_node_without_cleanup(simulated: Simulation) -> None:
    journal: list[object] = []
    node = simulated.node("alice")
    recorder = node.start(Recorder, journal, stopping=lambda engine: engine.journal.append("cleaned up"))
    recorder.do(lambda engine: engine.every(1.0, Note("tick")))
    simulated.settle()
    recorder.note("never handled")
    asked = recorder.run(lambda _engine: "never")
    node.crash()
    node.crash()
    simulated.run(for_=10)
    assert journal == []
    assert recorder.note("late") is Feedback.CLOSED
    with pytest.raises(EngineGone) as gone:
        asked.get(timeout=1)
    assert "'alice' crashed" in str(gone.value.__cause__)


def test_crash_is_told_to_watchers_and_to_the_network(simulated: Simulation) -> None:
    watcher = mock(RecorderMailbox)
    crashed: list[str] = []
    simulated.network.on_crash(crashed.append)
    node = simulated.node("alice")
    recorder = node.start(Recorder)
    simulated.watch(recorder, watcher)
    node.crash()
    (terminated,) = watcher.control.received(Terminated)
    assert (terminated.mailbox, type(terminated.reason)) == (recorder, EngineGone)
    assert crashed == ["alice"]


def test_crash_of_one_engine_reaches_no_other_of_its_node(simulated: Simulation) -> None:
    node = simulated.node("alice")
    journal: list[object] = []
    asking, asked = node.start(Recorder), node.start(Recorder)

    def ask(engine: Any) -> None:
        engine.on_reply(asked.run(lambda _engine: 1), journal.append, timeout=5)
        node.crash()

    asking.do(ask)
    simulated.run(for_=10)
    assert journal == []


def test_node_after_a_crash_or_a_stop_is_a_new_one_with_other_random_numbers(simulated: Simulation) -> None:
    numbers = []
    for end in ("crash", "stop", "crash"):
        node = simulated.node("alice")
        assert simulated.node("alice") is node
        recorder = node.start(Recorder)
        numbers.append(recorder.run(lambda engine: engine.rng.random()).get(timeout=1))
        getattr(node, end)()
        with pytest.raises(EngineGone, match=r"world\.node\('alice'\) makes a new one"):
            node.start(Recorder)
    assert len(set(numbers)) == 3
    assert simulated.node("alice").life == 4


def test_paused_node_handles_nothing_and_loses_nothing(simulated: Simulation) -> None:
    journal: list[object] = []
    node = simulated.node("alice")
    idle, busy = node.start(Recorder, journal), node.start(Recorder, journal)
    busy.tell(Data(0))
    node.pause()
    idle.note("while paused")
    busy.do(lambda engine: engine.after(1.0, Note("timer")))
    simulated.run(for_=5)
    assert journal == []
    node.resume()
    simulated.run(for_=2)
    assert sorted(map(str, journal)) == sorted(map(str, [Data(0), Note("while paused"), Note("timer")]))


def test_pause_and_resume_without_a_step_between_make_no_engine_run_twice_as_often(simulated: Simulation) -> None:
    node = simulated.node("alice")
    recorder = node.start(Recorder)
    recorder.note("waits")
    for _ in range(3):
        node.pause()
        node.resume()
    assert len(simulated._ready) == 1


def test_paused_node_can_be_stopped_and_crashed(simulated: Simulation) -> None:
    stopped: list[str] = []
    for name, end in (("alice", "stop"), ("bob", "crash")):
        node = simulated.node(name)
        recorder = node.start(Recorder, stopping=lambda engine: stopped.append(str(engine.actor_urn)))
        node.pause()
        recorder.note("waits")
        getattr(node, end)()
        node.resume()
    simulated.settle()
    assert stopped == ["alice/recorder"]


def test_skew_moves_one_nodes_wall_clock_only(simulated: Simulation) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    alice.skew = -30.0
    simulated.run(for_=5)
    assert (alice.wall(), bob.wall()) == (WALL_AT_START - 25, WALL_AT_START + 5)
    assert alice.now() == bob.now() == 5
