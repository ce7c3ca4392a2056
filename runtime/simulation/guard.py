"""Inside a simulated handler the real clock, real randomness and threads are errors.

They would make two runs with one seed differ. While a simulation steps, the functions below are replaced by ones that
look whether an engine is running on this thread: then they raise `NotSimulated`, which names the alternative; elsewhere
(in the test, in other threads) they do what they always do. The standard library's logging may read the clock.

A handler that imported a function by name (`from time import monotonic`) before, or calls one written in C, escapes.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any

from ..actor import context
from ..errors import NotSimulated

_RANDOM = "self.rng"
_GUARDED: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (time, "self.now()", ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")),
    (time, "self.wall()", ("time", "time_ns")),
    (time, "self.after(seconds, message)", ("sleep",)),
    (
        random,
        _RANDOM,
        (
            "betavariate", "choice", "choices", "expovariate", "gauss", "getrandbits", "normalvariate", "randbytes",
            "randint", "random", "randrange", "sample", "seed", "shuffle", "triangular", "uniform",
        ),
    ),
    (random, _RANDOM, ("_urandom",)),  # what `secrets` and `random.SystemRandom` draw from
    (os, _RANDOM, ("urandom",)),
    (threading.Thread, "self.work(function, ...)", ("start",)),
)  # fmt: skip
_ALLOWED = frozenset({"logging"})


def _guard(original: Callable[..., Any], name: str, instead: str) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        engine = context.running.engine
        if engine is not None and sys._getframe(1).f_globals.get("__name__") not in _ALLOWED:  # noqa: SLF001
            raise NotSimulated(f"{engine.name} called {name}() in a simulation; use {instead} instead")
        return original(*args, **kwargs)

    return guarded


class _Guards(AbstractContextManager[None]):
    """Replaces the functions while at least one simulation steps."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._originals: list[tuple[Any, str, Any]] = []

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._install()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0:
                for owner, name, original in self._originals:
                    setattr(owner, name, original)

    def _install(self) -> None:
        self._originals = [(owner, name, getattr(owner, name)) for owner, _, names in _GUARDED for name in names]
        for owner, instead, names in _GUARDED:
            for name in names:
                setattr(owner, name, _guard(getattr(owner, name), f"{owner.__name__}.{name}", instead))


guarded = _Guards()
