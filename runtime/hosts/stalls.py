"""Looks at every engine of a runtime now and then, and logs one that has stopped turning, with its stack.

An engine has stalled when it is awake but has not come to a mark at the head of its queue for `stall_after` seconds: a
handler blocks or computes. Each stall is logged and counted once. The same look ages the inboxes (`gauges.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from ..arguments import MESSAGE_SHOWN, shortened
from ..log import Log
from ..metrics import Registry
from .gauges import InboxMetrics


class StallDetector:
    """Looks when told to; the runtime's timers tell it."""

    def __init__(
        self, inboxes: InboxMetrics, registry: Registry, log: Log, stack: Callable[[str], str], stall_after: float
    ) -> None:
        """stack: of the engine with this name. stall_after: seconds."""
        self._inboxes = inboxes
        self._log = log
        self._stack = stack
        self.stall_after = stall_after
        self._stalls = registry.counter("runtime_stalls_total", "Engines that stopped turning.", labels=("engine",))

    def look(self, now: float) -> None:
        """Sample every inbox, and report stalls that are new."""
        for name, (mailbox, probe) in self._inboxes.probes.copy().items():
            probe.sample(now)
            seconds = probe.stalled(now)
            if seconds < self.stall_after:
                probe.reported = False
            elif not probe.reported:
                probe.reported = True
                self._stalls.inc(name)
                self._log.warning(
                    "engine stalled", engine=name, seconds=round(seconds, 3), stack=self._stack(name),
                    message=shortened(mailbox.inbox.current, MESSAGE_SHOWN),
                )  # fmt: skip
