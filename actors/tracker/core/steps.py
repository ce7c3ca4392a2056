"""Work in steps: a generator that pauses after each small piece, so that an engine can do much of it in slices.

What it yields says how much the piece was, in peers looked at.

Whatever may take longer than a handler comes in two forms: `tracking(...)`, the steps, and `track(...)`, all at once.
Between two steps the state is that of neither before nor after: nobody may look at it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")
Steps = Generator[int, None, T]


def run(steps: Steps[T]) -> T:
    """Take every step; what they come to."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
