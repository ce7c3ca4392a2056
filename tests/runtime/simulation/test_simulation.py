"""Stepping virtual time: settle, run, run_until, get; and what a stuck or failing simulation says."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.runtime import Reply, ReplyTimeout, Simulation, SimulationStuck
from rookery.runtime.simulation import world as stepping
from tests.runtime.runtime_kit import Data, Do, Note, Recorder, raises


def test_settle_handles_what_needs_no_time(simulated: Simulation) -> None:
    journal: list[object] = []
    recorder = simulated.start(Recorder, journal)
    recorder.do(lambda engine: (engine.after(0, Note("now")), engine.after(0.1, Note("later"))))
    simulated.settle()
    assert journal == [Note("now")]
    assert simulated.time == 0


def test_run_lets_exactly_that_time_pass(simulated: Simulation) -> None:
    times: list[float] = []
    recorder = simulated.start(Recorder)
    recorder.do(lambda engine: engine.every(1.0, Do(lambda engine: times.append(engine.now()))))
    simulated.run(for_=2.5)
    assert (times, simulated.now()) == ([1.0, 2.0], 2.5)
    simulated.run(for_=0.5)
    assert (times, simulated.now()) == ([1.0, 2.0, 3.0], 3.0)


def test_run_until_stops_as_soon_as_the_condition_holds(simulated: Simulation) -> None:
    journal: list[object] = []
    recorder = simulated.start(Recorder, journal)
    recorder.do(lambda engine: [engine.after(n, Data(n)) for n in range(10)])
    simulated.run_until(lambda: Data(3) in journal, timeout=60)
    assert (simulated.time, journal[-1]) == (3, Data(3))


def test_run_until_in_vain_raises_with_the_last_messages_and_the_seed() -> None:
    with Simulation("a seed") as world:
        world.start(Recorder).note("the last word")
        with pytest.raises(SimulationStuck, match=r"not true within 5 s .*'a seed'") as stuck:
            world.run_until(lambda: False, timeout=5)
        assert "Note(text='the last word')" in str(stuck.value)
        assert world.time == 5


def test_get_steps_virtual_time(simulated: Simulation) -> None:
    recorder = simulated.start(Recorder)

    def later(engine: Any) -> Reply[str]:
        reply: Reply[str] = Reply()
        engine.runtime.call_after(30, lambda: reply.set("half a minute"))
        return reply

    with pytest.raises(ReplyTimeout):
        recorder.run(later).get(timeout=29)
    assert simulated.time == 29
    assert recorder.run(later).get(timeout=31) == "half a minute"
    assert recorder.run(later).get() == "half a minute"


def test_get_without_a_time_out_that_nobody_will_answer_is_an_error(simulated: Simulation) -> None:
    recorder = simulated.start(Recorder)
    kept: Reply[None] = Reply()
    recorder.do(lambda engine: engine.every(600, Note("tick")))
    with pytest.raises(SimulationStuck, match="nobody will answer"):
        recorder.run(lambda _engine: kept).get()


def test_engines_that_talk_in_circles_are_found(simulated: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "_LIVELOCK", 1000)
    recorder = simulated.start(Recorder)

    def again(engine: Any) -> None:
        engine.mailbox.do(again)

    recorder.do(again)
    with pytest.raises(SimulationStuck, match="1000 steps and no time has passed"):
        simulated.settle()


def test_trace_shows_time_engine_and_message_of_the_last_ones(simulated: Simulation) -> None:
    recorder = simulated.node("alice").start(Recorder)
    for number in range(300):
        recorder.note(str(number))
    simulated.run(for_=1.5)
    recorder.note("x" * 500)
    simulated.settle()
    lines = simulated.trace(last=2).splitlines()
    assert lines[0].startswith("the last 2 messages, seed ")
    assert lines[1].split() == ["0.0000", "alice/recorder", "Note(text='299')"]
    assert lines[2].split()[:2] == ["1.5000", "alice/recorder"]
    assert lines[2].endswith("...")


def test_failure_on_one_node_leaves_the_others_running(simulated: Simulation) -> None:
    alice, bob = (simulated.node(name).start(Recorder) for name in ("alice", "bob"))
    alice.do(raises(RuntimeError("boom")))
    with pytest.raises(Exception, match="boom"):
        simulated.settle()
    assert bob.run(lambda _engine: "alive").get(timeout=1) == "alive"
    assert simulated.node("alice").life == 2


def test_on_stop_that_raises_is_raised_when_the_simulation_is_left() -> None:
    with pytest.raises(Exception, match="in on_stop"), Simulation(1) as world:
        world.node("alice").start(Recorder, stopping=raises(RuntimeError("boom")))


def test_work_takes_its_cost_of_virtual_time(simulated: Simulation) -> None:
    reply = simulated.work(len, "abc", cost=2.0)
    simulated.run(for_=1.9)
    assert not reply.done
    assert reply.get(timeout=1) == 3
    assert simulated.time == 2.0


def test_work_of_a_series_adds_up_its_cost(simulated: Simulation) -> None:
    replies = [simulated.work(len, "abc", cost=1.0, serial="database") for _ in range(3)]
    times = [(reply.get(timeout=5), simulated.time)[1] for reply in replies]
    assert times == [1.0, 2.0, 3.0]
