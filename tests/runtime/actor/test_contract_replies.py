"""What every runtime does with replies and with work on the pool."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from rookery.runtime import (
    EngineGone,
    Reply,
    ReplyCancelled,
    ReplyDropped,
    ReplyTimeout,
    RuntimeFault,
    Simulation,
    SimulationStuck,
    WouldDeadlock,
)
from tests.runtime.runtime_kit import Ask, Host, Note, RealHost, Recorder, RecorderMailbox, Refused, raises


def collect(host: Host, recorder: RecorderMailbox, make: Any, timeout: float = 10.0) -> object:
    """What `on_reply` hands to an engine for the reply that `make(engine)` gives."""
    results: list[object] = []
    recorder.do(lambda engine: engine.on_reply(make(engine), results.append, timeout=timeout))
    host.until(lambda: results)
    assert len(results) == 1
    return results[0]


def test_get_on_an_engines_thread_raises_at_once_with_a_hint(host: Host) -> None:
    recorder, other = host.recorder(), host.recorder()

    def inside(_engine: Any) -> object:
        with pytest.raises(WouldDeadlock, match=r"self\.on_reply\(reply, handler\)"):
            other.run(lambda _engine: 1).get(timeout=10)
        return Reply.of("known already").get()

    assert recorder.run(inside).get(timeout=10) == "known already"


@pytest.mark.parametrize("hook", ["starting", "stopping"])
def test_get_in_on_start_and_on_stop_raises_too(host: Host, hook: str) -> None:
    raised: list[BaseException] = []

    def inside(_engine: Any) -> None:
        with pytest.raises(WouldDeadlock) as error:
            Reply[None]().get(timeout=10)
        raised.append(error.value)

    hooks: dict[str, Any] = {hook: inside}
    host.recorder(**hooks)
    host.runtime.stop()
    assert len(raised) == 1


def test_on_reply_gives_the_answer_or_the_error_as_a_value(host: Host) -> None:
    recorder, other = host.recorder(), host.recorder()
    assert collect(host, recorder, lambda _: other.run(lambda _engine: 7)) == 7
    assert collect(host, recorder, lambda _: Reply.of(8)) == 8
    assert isinstance(collect(host, recorder, lambda _: Reply.failed(OSError("disk"))), OSError)


def test_on_reply_after_its_time_gives_a_time_out_and_ignores_a_later_answer(host: Host) -> None:
    recorder = host.recorder()
    pending: Reply[int] = Reply()
    assert isinstance(collect(host, recorder, lambda _: pending, timeout=0.005), ReplyTimeout)
    pending.set(1)
    host.settle()
    assert pending.get() == 1


def test_on_reply_of_a_dropped_or_cancelled_reply_gives_the_error(host: Host) -> None:
    recorder = host.recorder()
    assert isinstance(collect(host, recorder, lambda _: Reply[None]()), ReplyDropped)

    def cancelled(engine: Any) -> Reply[None]:
        reply: Reply[None] = Reply()
        engine.after(0, Note("soon"))
        reply.cancel()
        return reply

    assert isinstance(collect(host, recorder, cancelled), ReplyCancelled)


def test_handler_that_returns_a_reply_answers_later(host: Host) -> None:
    recorder = host.recorder()
    later: Reply[str] = Reply()
    asked = recorder.run(lambda _engine: later)
    host.settle()
    assert not asked.done
    recorder.do(lambda _engine: later.set("at last"))
    assert asked.get(timeout=10) == "at last"


def test_handler_that_drops_the_reply_it_returned_gives_the_asker_an_error(host: Host) -> None:
    recorder = host.recorder()
    with pytest.raises(ReplyDropped):
        recorder.run(lambda _engine: Reply()).get(timeout=10)


def test_ask_that_times_out_is_still_handled_and_its_answer_can_be_had(host: Host) -> None:
    recorder = host.recorder()
    later: Reply[str] = Reply()
    asked = recorder.run(lambda _engine: later)
    with pytest.raises(ReplyTimeout, match=r"no answer within 0\.005 s"):
        asked.get(timeout=0.005)
    later.set("late")
    assert asked.get(timeout=10) == "late"


def test_handler_can_see_that_its_asker_has_given_up(host: Host) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)
    kept: list[Reply[Any]] = []

    def look(engine: Any) -> None:
        engine.journal.append(engine.abandoned)

    def ask_twice(engine: Any) -> None:
        kept.extend(engine.mailbox.ask(Ask(look)) for _ in range(2))
        kept[1].cancel()

    recorder.do(ask_twice)
    host.settle()
    assert journal == [False, True]


@pytest.mark.parametrize("cancelled", [True, False])
def test_handler_is_told_later_if_its_asker_gives_up_and_only_then(host: Host, cancelled: bool) -> None:
    journal: list[object] = []
    recorder = host.recorder(journal)
    later: Reply[str] = Reply()

    def wait(engine: Any) -> Reply[str]:
        engine.on_abandoned(lambda: engine.journal.append("given up"))
        return later

    asked = recorder.run(wait)
    host.settle()
    asked.cancel() if cancelled else later.set("answered")
    host.settle()
    assert journal == (["given up"] if cancelled else [])


def test_work_comes_back_as_a_message_with_its_result_or_error(host: Host) -> None:
    recorder = host.recorder()
    assert collect(host, recorder, lambda engine: engine.work(divmod, 7, 2, cost=0.001)) == (3, 1)
    assert isinstance(collect(host, recorder, lambda engine: engine.work(divmod, 7, 0)), ZeroDivisionError)


def test_work_that_exits_the_process_is_an_ordinary_error(host: Host) -> None:
    import sys

    result = collect(host, host.recorder(), lambda engine: engine.work(sys.exit, 3))
    assert isinstance(result, RuntimeFault)
    assert isinstance(result.__cause__, SystemExit)


def test_work_of_one_series_runs_in_order_one_at_a_time(host: Host) -> None:
    journal: list[int] = []
    replies = [host.runtime.work(journal.append, n, cost=0.01 - n / 1000, serial="database") for n in range(10)]
    for reply in replies:
        reply.get(timeout=10)
    assert journal == list(range(10))


def test_work_after_the_stop_fails_with_a_typed_error(host: Host) -> None:
    host.recorder()
    host.runtime.stop()
    for serial in (None, "database"):
        with pytest.raises(EngineGone, match="was not run"):
            host.runtime.work(len, "late", serial=serial).get(timeout=10)


# In asyncio ----------------------------------------------------------------------------------------------------------


def test_await_gives_the_answer_or_raises_the_error(host: Host) -> None:
    recorder = host.recorder()

    async def main() -> object:
        with pytest.raises(Refused):
            await recorder.run(raises(Refused("no")))
        return await asyncio.gather(*(_answer(recorder.run(lambda _engine, n=n: n)) for n in range(3)))  # type: ignore[misc]

    assert asyncio.run(main()) == [0, 1, 2]


async def _answer(reply: Reply[Any]) -> object:
    return await reply


def test_other_tasks_go_on_while_one_awaits(real: RealHost) -> None:
    recorder = real.recorder()
    went_on = threading.Event()

    async def other() -> None:
        for _ in range(5):  # more than the one turn that Pykka's own `await` leaves to others
            await asyncio.sleep(0)
        went_on.set()

    async def main() -> object:
        reply = recorder.run(lambda _engine: went_on.wait(10))  # what an engine must never do: here it is the test
        return (await asyncio.gather(_answer(reply), other()))[0]

    assert asyncio.run(main()) is True


def test_await_of_an_engine_that_ends_raises_its_error(real: RealHost) -> None:
    async def main() -> None:
        recorder = real.recorder()
        later: Reply[None] = Reply()
        asked = recorder.run(lambda _engine: later)
        recorder.do(lambda engine: engine.stop())
        with pytest.raises(EngineGone):
            await asked

    asyncio.run(main())


def test_await_inside_a_handler_raises_at_once_with_a_hint(host: Host) -> None:
    recorder, other = host.recorder(), host.recorder()

    def inside(_engine: Any) -> object:
        with pytest.raises(WouldDeadlock, match=r"self\.on_reply\(reply, handler\)"):
            _answer(other.run(lambda _engine: 1)).send(None)
        with pytest.raises(StopIteration) as known:
            _answer(Reply.of("known already")).send(None)
        return known.value.value

    assert recorder.run(inside).get(timeout=10) == "known already"


def test_await_in_a_simulation_steps_virtual_time_once_the_other_tasks_had_a_turn(simulated: Simulation) -> None:
    recorder = simulated.start(Recorder)
    later: Reply[str] = Reply()

    async def answer() -> None:
        later.set("from a task")

    async def main() -> list[object]:
        slow = recorder.run(lambda engine: engine.work(lambda: "after a minute", cost=60.0))
        return list(await asyncio.gather(_answer(recorder.run(lambda _engine: later)), _answer(slow), answer()))

    assert asyncio.run(main()) == ["from a task", "after a minute", None]
    assert simulated.now() == 60.0
    with pytest.raises(SimulationStuck, match="nobody will answer"):
        asyncio.run(_answer(Reply(simulated)))
