"""The log of an engine for the lines that others can cause: of each cause some, the rest told in one line.

The limits are in `core/log_limits`. Transport's causes are IPs, the actors' may be peers as well. An engine with such a
log has a row for `SayLeftOut` among its handlers.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from msgspec import Struct

from ... import runtime
from ...runtime import Counter, Message, Timer
from ..core.log_limits import SUMMARY_AFTER, LogLimits

ALL = "all"
"""The cause of lines that many cause together."""


class SayLeftOut(Message, Struct, frozen=True):
    """Timer: say how many log lines were left out."""


class LimitedLog:
    """Part of one engine. A cause is an IP as text, a peer's short name, or `ALL`; what is said of it is in the facts.

    Notes, warnings and whatever else is named have shares of their own, so that who causes many of one hides none of
    the others.
    """

    def __init__(self, engine: runtime.Engine[Any], left_out: Counter) -> None:
        """left_out: counts the lines that are not written."""
        self._engine = engine
        self._counter = left_out
        self._limits = LogLimits()
        self._summary: Timer | None = None

    def note(self, cause: str, event: str, /, **facts: object) -> None:
        """A line of level info that this cause has."""
        self.note_as("info", cause, event, **facts)

    def note_as(self, share: Hashable, cause: str, event: str, /, **facts: object) -> None:
        """As `note`, with a share of its own for lines of this kind."""
        if self._admits(cause, share):
            self._engine.log.info(event, **facts)

    def warn(self, cause: str, event: str, /, **facts: object) -> None:
        """As `note`, a warning."""
        if self._admits(cause, "warning"):
            self._engine.log.warning(event, **facts)

    def _admits(self, cause: str, share: Hashable) -> bool:
        if self._limits.admits(cause, share, self._engine.now()):
            return True
        self._counter.inc()
        if self._summary is None:
            self._summary = self._engine.after(SUMMARY_AFTER, SayLeftOut())
        return False

    def say_left_out(self, _message: SayLeftOut) -> None:
        """One line for all that were not written."""
        self._summary = None
        told = self._limits.take_left_out()
        self._engine.log.warning("log lines left out", lines=told.lines, most_of=told.most_of, of_it=told.of_it)
