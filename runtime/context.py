"""Which engine the current thread is running, if any."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import Engine


class _Context(threading.local):
    engine: Engine[Any] | None = None


running = _Context()


def current() -> Engine[Any] | None:
    """The engine whose handler is running on this thread, or None outside engines."""
    return running.engine
