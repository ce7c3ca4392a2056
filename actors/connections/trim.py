"""One trim: what it aims at, whom it waits for, and what it did. Pure, apart from the replies it fills.

::

    Aim ──▶ gathering ──▶ choosing ──▶ waiting ──▶ TrimReport
            (slices)      (slices)     for closes

* With a target all open connections count, without one the eligible ones: low water stands for them, and what is
  protected or in grace comes on top. An emergency always counts all.
* How many are missing is asked before each victim, so that whatever happens between two slices cannot make it close one
  too many.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from ...runtime import Reply
from ...transport.gatekeeper import Link
from .messages import TrimReport
from .selection import Mode, Selection
from .table import State, Table

GATHERED_PER_SLICE = 1000
CHOSEN_PER_SLICE = 200


class Trigger(enum.StrEnum):
    """Who wants a trim."""

    BACKGROUND = "background"
    EXPLICIT = "explicit"
    FORCED = "forced"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class Aim:
    """What a trim is for. target: how many shall be left; eligible: only the eligible ones count."""

    target: int
    trigger: Trigger
    eligible: bool = False
    mode: Mode = Mode()

    def missing(self, table: Table) -> int:
        """How many connections are to be closed still."""
        counted = table.count(State.ELIGIBLE) if self.eligible else table.open
        return max(0, counted - self.target)

    def possible(self, table: Table) -> int:
        """How many of them can be."""
        return min(self.missing(table), self.mode.available(table))

    def covers(self, other: Aim) -> bool:
        """Whether who wants `other` has got it when this one is reached."""
        mode, others = self.mode, other.mode
        willing = (mode.emergency or not others.emergency) and (mode.protected or not others.protected)
        willing = willing and (not mode.spare or mode.spare == others.spare)
        return willing and self.target <= other.target and (other.eligible or not self.eligible)

    @property
    def strictness(self) -> tuple[bool, bool, bool, int]:
        """Of two aims the one that leaves less sorts later."""
        return (self.mode.protected, self.mode.emergency, not self.eligible, -self.target)


@dataclass(slots=True)
class RunningTrim:
    """A trim from its first victim to its report. since: monotonic seconds."""

    aim: Aim
    selection: Selection | None  # None once every victim is chosen: it keeps all peers alive
    since: float
    replies: list[Reply[TrimReport]]
    waiting: dict[int, Link] = field(default_factory=dict)
    gone: list[Link] = field(default_factory=list)
    gathering: bool = True

    def slice(self, table: Table) -> list[Link]:
        """Go on for some milliseconds at most; the connections to close, marked as closing."""
        victims: list[Link] = []
        if self.selection is None:
            return victims
        if self.gathering:
            self.gathering = not self.selection.gather(GATHERED_PER_SLICE)
            if self.gathering:
                return victims
        while len(victims) < CHOSEN_PER_SLICE:
            link = self.selection.next() if self.aim.missing(table) else None
            if link is None:
                self.selection = None
                break
            table.begin_closing(link)
            victims.append(link)
        self.waiting.update((link.id, link) for link in victims)
        return victims

    def closed(self, link_id: int) -> None:
        """A link is gone, perhaps one that this trim waits for."""
        link = self.waiting.pop(link_id, None)
        if link is not None:
            self.gone.append(link)

    def serves(self, aim: Aim, table: Table) -> bool:
        """Whether who wants `aim` now gets it by this trim: not if all is chosen, and there are too many again."""
        return self.aim.covers(aim) and (self.is_choosing or not aim.missing(table))

    @property
    def is_choosing(self) -> bool:
        """Whether there may be more victims."""
        return self.selection is not None

    @property
    def is_over(self) -> bool:
        """Whether every victim is chosen and gone."""
        return not self.is_choosing and not self.waiting

    def report(self, table: Table) -> TrimReport:
        """What it did, as of now."""
        return report(self.aim, table, tuple(self.gone), len(self.waiting))


def report(aim: Aim, table: Table, closed: tuple[Link, ...] = (), unclosed: int = 0) -> TrimReport:
    """What a trim did, and why its target was not met if it was not."""
    return TrimReport(
        closed=closed,
        short_by=max(0, table.open + unclosed - aim.target),
        protected=table.count(State.PROTECTED),
        in_grace=table.count(State.IN_GRACE),
        unclosed=unclosed,
    )
