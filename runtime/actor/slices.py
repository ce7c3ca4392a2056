"""Long work on an engine's thread, a slice at a time.

A job is a generator that yields how much it has done since it yielded before, in items that were looked at. So a module
that decides says how its work can be cut, and knows nothing of engines; `Slices` cuts it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ..errors import Declined
from .engine import Engine
from .message import Lane
from .reply import Reply

T = TypeVar("T")
U = TypeVar("U")


class Slices:
    """The jobs of one engine, one after the other.

    In the lane `URGENT` a job is to everybody as if it were one message: the engine handles no control and no data
    message meanwhile, so whoever asks sees all of it or nothing. Timers and answers come in between; they must not
    touch what a job changes, and queue a job of their own. In another lane each slice waits behind the messages that
    wait there, which see what the job has done so far.
    """

    def __init__(self, engine: Engine[Any], size: int, *, lane: Lane = Lane.URGENT) -> None:
        """size: of a slice, in what jobs yield; choose it so that a slice takes well below 5 ms."""
        self._engine = engine
        self._size = size
        self._lane = lane
        self._jobs: deque[tuple[Generator[int, None, Any], Callable[[Any], object], Reply[Any]]] = deque()

    def run(self, job: Generator[int, None, T], then: Callable[[T], Reply[U] | U]) -> Reply[U]:
        """Do the job, then `then` with what it returns; the reply has its answer, or the `Declined` of the job.

        What fits one slice is done when this returns, unless another job is under way.
        """
        reply: Reply[U] = Reply()
        self._jobs.append((job, then, reply))
        if len(self._jobs) == 1:
            self._slice()
        return reply

    def call(self, function: Callable[[], object]) -> None:
        """Call `function` now, or after the jobs that are under way, as a slice of its own."""
        if self._jobs:
            self._jobs.append((self._alone(function), lambda _none: None, Reply()))
        else:
            function()

    def _alone(self, function: Callable[[], object]) -> Generator[int, None, None]:
        function()
        yield self._size

    def _slice(self) -> None:
        left = self._size
        while self._jobs and left > 0:
            left = self._advance(*self._jobs[0], left)
        if self._jobs:
            self._engine.next_slice(self._slice, lane=self._lane)

    def _advance(
        self, job: Generator[int, None, Any], then: Callable[[Any], object], reply: Reply[Any], left: int
    ) -> int:
        """Go on with the first job until `left` items were looked at; how many are left over."""
        try:
            while left > 0:
                left -= next(job)
        except StopIteration as done:
            self._jobs.popleft()
            answer = then(done.value)
            answer.forward_to(reply) if isinstance(answer, Reply) else reply.set(answer)
            return left - 1
        except Declined as error:
            self._jobs.popleft()
            reply.fail(error)
            return left - 1
        return 0
