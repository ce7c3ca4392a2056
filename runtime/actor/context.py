"""Which engine the current thread is running, if any."""

from __future__ import annotations

import threading
from typing import Protocol


class Running(Protocol):
    """An engine, to those who only ask whether one runs here and which; as a text it names itself."""

    @property
    def name(self) -> str:
        """Its name in its runtime."""

    @property
    def runtime(self) -> object:
        """The runtime that it belongs to."""


class _Context(threading.local):
    engine: Running | None = None


running = _Context()


def current() -> Running | None:
    """The engine whose handler is running on this thread, or None outside engines."""
    return running.engine
