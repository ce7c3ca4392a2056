"""The log lines that other peers can cause: of each peer some at once and per second, and of all; the rest is counted.

The limits are transport's (`transport.core.log_limits`), with a peer in the place of an IP. Warnings, changes of
members and the rest have shares of their own, so that whoever causes many of one hides none of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .... import runtime
from ....runtime import Message, Timer
from ....transport.core.log_limits import SUMMARY_AFTER, LogLimits
from ....transport.identity import PeerId
from ..metrics import Metrics


@dataclass(frozen=True, slots=True)
class SayLeftOut(Message):
    """Timer: say how many log lines were left out."""


class LimitedLog:
    """Part of the engine."""

    def __init__(self, engine: runtime.Engine[Any], metrics: Metrics) -> None:
        """engine: whose log it is; it hands `SayLeftOut` back to `say_left_out`."""
        self._engine = engine
        self._metrics = metrics
        self._limits = LogLimits()
        self._summary: Timer | None = None

    def note(self, cause: PeerId, event: str, **facts: object) -> None:
        """A line of level info that this peer can cause."""
        if self._admits(cause.short, "info"):
            self._engine.log.info(event, **facts)

    def change(self, cause: PeerId, **facts: object) -> None:
        """A line about a change of the members, of this one."""
        if self._admits(cause.short, "member"):
            self._engine.log.info("member", peer=cause.short, **facts)

    def warn(self, cause: PeerId, event: str, **facts: object) -> None:
        """As `note`, a warning about this peer."""
        if self._admits(cause.short, "warning"):
            self._engine.log.warning(event, peer=cause.short, **facts)

    def warn_of_all(self, event: str, **facts: object) -> None:
        """A warning that many peers cause together."""
        if self._admits("all", "warning"):
            self._engine.log.warning(event, **facts)

    def _admits(self, cause: str, kind: str) -> bool:
        if self._limits.admits(cause, kind, self._engine.now()):
            return True
        self._metrics.log_lines_left_out.inc()
        if self._summary is None:
            self._summary = self._engine.after(SUMMARY_AFTER, SayLeftOut())
        return False

    def say_left_out(self) -> None:
        """One line for all that were not written."""
        self._summary = None
        left_out = self._limits.take_left_out()
        self._engine.log.warning(
            "log lines left out", lines=left_out.lines, most_of=left_out.most_of, of_it=left_out.of_it
        )
