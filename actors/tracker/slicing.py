"""Long work on the tracker's thread, a slice at a time, and to everybody as if it were one message.

While a job is under way the engine handles no control and no data message, so whoever asks sees all of it or nothing.
What comes ahead of those, timers and answers, must not touch the directory either: it queues a job of its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from ... import runtime
from ...runtime import Declined, Reply
from .steps import Steps

T = TypeVar("T")
U = TypeVar("U")
PEERS_PER_SLICE = 128  # of about 10 us each: well below the 5 ms that a handler may take


class Slices:
    """Jobs of one engine, one after the other."""

    def __init__(self, engine: runtime.Engine[Any]) -> None:
        self._engine = engine
        self._jobs: deque[tuple[Steps[Any], Callable[[Any], object], Reply[Any]]] = deque()

    def run(self, steps: Steps[T], then: Callable[[T], Reply[U] | U]) -> Reply[U]:
        """Take the steps, then `then` with what they came to; the reply has its answer, or the `Declined` of a step.

        What fits one slice is done when this returns, unless another job is under way.
        """
        reply: Reply[U] = Reply()
        self._jobs.append((steps, then, reply))
        if len(self._jobs) == 1:
            self._slice()
        return reply

    def _slice(self) -> None:
        left = PEERS_PER_SLICE
        while self._jobs and left > 0:
            left = self._advance(*self._jobs[0], left)
        if self._jobs:
            self._engine.next_slice(self._slice)

    def _advance(self, steps: Steps[Any], then: Callable[[Any], object], reply: Reply[Any], left: int) -> int:
        """Take steps of the first job until `left` peers were looked at; how many are left over."""
        try:
            while left > 0:
                left -= next(steps)
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
