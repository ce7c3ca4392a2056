"""Jobs in slices: no handler runs long. That nobody sees half of one is `next_slice`'s, tested with the messages."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from rookery.runtime import Declined, Lane, Reply, Simulation, Slices
from tests.runtime.runtime_kit import Data, Recorder

SIZE = 128


class FakeEngine:
    """Keeps the next slice for the test to run."""

    def __init__(self) -> None:
        self.next: list[Callable[[], object]] = []

    def next_slice(self, step: Callable[[], object], *, lane: Lane) -> None:
        assert lane is Lane.URGENT
        self.next.append(step)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def slices_of(engine: FakeEngine) -> Slices:
    return Slices(engine, SIZE)  # type: ignore[arg-type]


def counting(many: int, journal: list[object], name: str = "") -> Generator[int, None, str]:
    for number in range(many):
        journal.append(f"{name}{number}")
        yield 1
    return f"{name} done"


def test_slices_take_few_steps_at_once_and_answer_at_the_end(engine: FakeEngine) -> None:
    journal: list[object] = []
    reply = slices_of(engine).run(counting(300, journal), lambda result: result.upper())
    rounds = [len(journal)]
    while engine.next:
        engine.next.pop()()
        rounds.append(len(journal))
    assert rounds == [128, 256, 300]
    assert reply.result() == " DONE"


def test_slices_that_fit_one_are_done_at_once(engine: FakeEngine) -> None:
    reply = slices_of(engine).run(counting(5, []), len)
    assert reply.result() == 5
    assert engine.next == []


def test_slices_run_the_next_job_only_when_the_one_before_is_done(engine: FakeEngine) -> None:
    journal: list[object] = []
    slices = slices_of(engine)
    slices.run(counting(200, journal, "a"), journal.append)
    slices.run(counting(1, journal, "b"), journal.append)
    assert "b0" not in journal
    while engine.next:
        engine.next.pop()()
    assert journal[-3:] == ["a done", "b0", "b done"]


def test_slices_count_what_a_step_says_it_costs(engine: FakeEngine) -> None:
    def heavy() -> Generator[int, None, None]:
        for _ in range(4):
            yield SIZE

    slices_of(engine).run(heavy(), lambda _none: None)
    rounds = 1
    while engine.next:
        engine.next.pop()()
        rounds += 1
    assert rounds == 5


def test_slices_tell_the_asker_what_a_step_declines_and_go_on_with_the_next_job(engine: FakeEngine) -> None:
    def declines() -> Generator[int, None, None]:
        yield 1
        raise Declined("not that")

    slices = slices_of(engine)
    refused = slices.run(declines(), lambda _none: None)
    with pytest.raises(Declined, match="not that"):
        refused.get(timeout=0)
    assert slices.run(counting(1, []), lambda result: result).result() == " done"


def test_slices_answer_with_what_a_later_answer_comes_to(engine: FakeEngine) -> None:
    later: Reply[int] = Reply()
    reply: Reply[int] = slices_of(engine).run(counting(1, []), lambda _result: later)
    assert not reply.done
    later.set(7)
    assert reply.result() == 7


def test_slices_call_a_function_at_once_and_behind_the_jobs_that_are_under_way(engine: FakeEngine) -> None:
    journal: list[object] = []
    slices = slices_of(engine)
    slices.call(lambda: journal.append("at once"))
    assert journal == ["at once"]
    slices.run(counting(SIZE + 1, []), journal.append)
    slices.call(lambda: journal.append("behind"))
    slices.call(lambda: journal.append("in a slice of its own"))
    assert journal == ["at once"]
    engine.next.pop()()
    assert journal == ["at once", " done", "behind"]
    engine.next.pop()()
    assert journal == ["at once", " done", "behind", "in a slice of its own"]


@pytest.mark.parametrize(
    ("lane", "order"),
    [
        (Lane.URGENT, ["slice", "slice", "slice", "control", "data"]),
        (Lane.CONTROL, ["slice", "control", "slice", "slice", "data"]),
        (Lane.DATA, ["slice", "control", "data", "slice", "slice"]),
    ],
)
def test_slices_wait_in_their_lane_behind_what_waits_there(simulated: Simulation, lane: Lane, order: list[str]) -> None:
    journal: list[object] = []
    recorder = simulated.start(Recorder, journal)

    def slices() -> Generator[int, None, None]:
        for _ in range(3):
            journal.append("slice")
            yield 1

    def begin(engine: Any) -> None:
        recorder.note("control")
        recorder.tell(Data(1))
        Slices(engine, 1, lane=lane).run(slices(), lambda _none: None)

    recorder.do(begin)
    simulated.settle()
    names = {"Note": "control", "Data": "data"}
    assert [names.get(type(each).__name__, each) for each in journal] == order
