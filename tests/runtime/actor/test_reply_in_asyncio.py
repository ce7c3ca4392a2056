"""Replies in an asyncio event loop, which goes on while one waits."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pykka
import pytest

from rookery.runtime import (
    NoEventLoop,
    Reply,
    RuntimeFault,
)


async def outcome_of(reply: Reply[int]) -> int:
    return await reply


def test_await_gives_what_is_known_already_or_raises_the_error() -> None:
    assert asyncio.run(outcome_of(Reply.of(3))) == 3
    for _ in range(2):
        with pytest.raises(OSError, match="disk"):
            asyncio.run(outcome_of(Reply.failed(OSError("disk"))))


def test_stop_iteration_is_the_cause_of_an_error_that_get_and_await_raise_alike() -> None:
    error = StopIteration(5)
    failed = Reply[int].failed(error)
    raised: list[RuntimeFault] = []
    waits: list[Callable[[], int]] = [failed.get, lambda: asyncio.run(outcome_of(failed))]
    for wait in waits:
        with pytest.raises(RuntimeFault, match=r"the answering side raised StopIteration\(5\)") as told:
            wait()
        raised.append(told.value)
    assert [each.__cause__ for each in raised] == [error, error]


def test_await_of_several_tasks_gives_each_the_answer_from_another_thread() -> None:
    async def main() -> list[int]:
        reply: Reply[int] = Reply()
        tasks = [asyncio.create_task(outcome_of(reply)) for _ in range(3)]
        await asyncio.sleep(0)
        thread = threading.Thread(target=lambda: reply.set(3))
        thread.start()
        answers = await asyncio.gather(*tasks)
        thread.join()
        return answers

    assert asyncio.run(main()) == [3, 3, 3]


@pytest.mark.parametrize("wait", ["wait_for", "timeout"])
def test_await_that_times_out_leaves_the_reply_to_others_and_nothing_in_it(wait: str) -> None:
    async def main() -> int:
        reply: Reply[int] = Reply()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                if wait == "wait_for":
                    await asyncio.wait_for(outcome_of(reply), 0.001)
                else:
                    async with asyncio.timeout(0.001):
                        await reply
        assert not reply._callbacks
        reply.set(3)
        return await reply

    assert asyncio.run(main()) == 3


def test_await_whose_task_is_cancelled_ends_at_once_and_the_answer_comes_to_nobody() -> None:
    async def main() -> Reply[int]:
        reply: Reply[int] = Reply()
        task = asyncio.create_task(outcome_of(reply))
        await asyncio.sleep(0)
        task.cancel()
        reply.set(3)  # in the same turn, so that both are on their way
        with pytest.raises(asyncio.CancelledError):
            await task
        return reply

    assert asyncio.run(main()).get(timeout=0) == 3


def test_answer_after_the_event_loop_is_closed_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    reply: Reply[int] = Reply()
    answers: list[int] = []
    loop = asyncio.new_event_loop()
    waiting = outcome_of(reply)
    task = loop.create_task(waiting)
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    reply.then(lambda done: answers.append(done.get()))
    reply.set(3)
    assert answers == [3]
    assert not caplog.records
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # on purpose
    waiting.close()


def test_await_without_an_event_loop_says_so_whoever_drives_it() -> None:
    with pytest.raises(NoEventLoop, match=r"reply\.get\(\)"):
        outcome_of(Reply()).send(None)
    with pytest.raises(RuntimeError):
        list(Reply[int]())  # `yield from`, as before `await`


def test_await_of_what_only_get_can_compute_names_the_way() -> None:
    future: pykka.Future[int] = pykka.ThreadingFuture()
    future.set(2)
    joined = Reply.of(1).join(future)

    async def main() -> list[int]:
        with pytest.raises(TypeError, match=r"asyncio\.to_thread\(reply\.get\)"):
            await joined
        return list(await asyncio.to_thread(joined.get))

    assert asyncio.run(main()) == [1, 2]
