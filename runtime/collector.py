"""Short pauses of Python's cycle collector, in a process that is a node.

A full collection looks at every object there is: with 100,000 peers half a second, during which the node answers
nobody, and that several times while they come from the address book. So what has survived a long collection is frozen,
and later ones leave it alone. What is no longer used is freed all the same, by its reference count. Only a cycle of
frozen objects that comes apart later is never freed; right after a collection there is no dead one to be frozen.
"""

from __future__ import annotations

import contextlib
import gc
import time
from collections.abc import Iterator

LONG = 0.01
"""Seconds."""
_FULL = 2  # the generation that a full collection is of


@contextlib.contextmanager
def short_pauses(long: float = LONG) -> Iterator[None]:
    """While this lasts, what survives a full collection of more than `long` seconds is frozen. For a whole process."""
    started = 0.0

    def look(phase: str, info: dict[str, int]) -> None:
        nonlocal started
        if info["generation"] != _FULL:
            return
        if phase == "start":
            started = time.perf_counter()
        elif time.perf_counter() - started > long:
            gc.freeze()

    gc.callbacks.append(look)
    try:
        yield
    finally:
        gc.callbacks.remove(look)
        gc.unfreeze()
