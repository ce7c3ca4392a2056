"""Where maintenance stands, as a value and in one line for the operator."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from ...runtime import Message, Overflow


class Verdict(enum.StrEnum):
    """What there is too much or too little of."""

    IN_BAND = "in_band"
    TOO_FEW = "too_few"
    TOO_MANY = "too_many"


class Doing(enum.StrEnum):
    """What maintenance does at the moment."""

    INACTIVE = "inactive"  # not activated yet
    RESTING = "resting"
    LOOKING = "looking"  # asks the tracker, or keeps the distance between two rounds
    DIALLING = "dialling"
    WAITING = "waiting"  # nobody can be dialled now
    TRIMMING = "trimming"
    STUCK = "stuck"  # nothing can be trimmed
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Standing(Message):
    """An event: how it stands, told whenever that changes.

    open: connections. low, high: the bounds, both inclusive; low is None where every peer is dialled (policy `all`).
    surplus: connections that count for nothing, being too many of one subnet. dialling: dials under way. asked: peers
    that were last asked for others.
    """

    overflow: ClassVar[Overflow] = Overflow.LATEST
    verdict: Verdict
    doing: Doing
    open: int
    low: int | None
    high: int
    surplus: int = 0
    dialling: int = 0
    asked: int = 0

    def explain(self) -> str:
        """One line: how it stands, and what is done about it."""
        return f"{_count(self.open, 'connection')}, {self._where()}: {self._what()}"

    def _where(self) -> str:
        if self.low is None:
            return f"of at most {self.high}"
        match self.verdict:
            case Verdict.TOO_FEW:
                return f"{self.low - self.open + self.surplus} below {self.low}{self._but()}"
            case Verdict.TOO_MANY:
                return f"{self.open - self.high} above {self.high}"
        return f"within {self.low} to {self.high}{self._but()}"

    def _but(self) -> str:
        return f" without {self.surplus} too many of one subnet" if self.surplus else ""

    def _what(self) -> str:
        match self.doing:
            case Doing.INACTIVE:
                return "maintenance has not begun"
            case Doing.STOPPED:
                return "maintenance was shut down"
            case Doing.RESTING:
                return "nothing to do" if self.low is not None else "nobody else may be dialled"
            case Doing.LOOKING:
                return "looking for what to do"
            case Doing.DIALLING:
                return f"dialling {_count(self.dialling, 'peer')}"
            case Doing.TRIMMING:
                return "closing the least useful"
            case Doing.STUCK:
                return "none of them can be given up, waiting until one closes"
        if self.asked:
            return f"nobody to dial now, waiting after asking {_count(self.asked, 'peer')} for others"
        return "nobody to dial now, waiting until somebody can be"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
