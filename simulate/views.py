"""What the members believe, beside what is so.

* A Down is *false* if the member was there all the time: it runs, has not left, and neither stalled nor was anybody
  cut off within the last minute. That the observer stalled is no excuse.
* A rejoin is *needless* if the member that renewed was there all the time in the same sense.
"""

from dataclasses import dataclass, field

__all__ = ["Down", "Views"]

GRACE = 60.0
"""Seconds for which the consequences of a stall or a cut are no fault of the detector."""


@dataclass(frozen=True, slots=True)
class Down:
    """One member was told that another is Down. Times are in virtual seconds."""

    time: float
    observer: int
    subject: int
    is_false: bool


@dataclass(slots=True)
class Views:
    """Fed by the cluster; every number is of a member."""

    running: set[int] = field(default_factory=set)
    sees: dict[int, set[int]] = field(default_factory=dict)
    downs: list[Down] = field(default_factory=list)
    rejoins: list[tuple[float, int]] = field(default_factory=list)
    _right: int = 0  # pairs of running members of which the first sees the second
    _wrong: int = 0  # pairs of which the first runs and the second does not

    @property
    def is_exact(self) -> bool:
        """Whether every running member sees every other one, and nobody else."""
        count = len(self.running)
        return self._right == count * (count - 1) and not self._wrong

    def started(self, number: int) -> None:
        self.sees[number] = set()
        moved = sum(number in self.sees[other] for other in self.running)
        self.running.add(number)
        self._right += moved
        self._wrong -= moved

    def ended(self, number: int) -> None:
        if number not in self.running:
            return
        self.running.discard(number)
        seen_by = sum(number in self.sees[other] for other in self.running)
        self._right -= seen_by
        self._wrong += seen_by
        right = len(self.sees[number] & self.running)
        self._right -= right
        self._wrong -= len(self.sees[number]) - right
        self.sees[number] = set()

    def up(self, observer: int, subject: int) -> None:
        """Of who has left, and still runs, nothing counts any more."""
        if observer in self.running and subject not in self.sees[observer]:
            self.sees[observer].add(subject)
            self._count(subject, 1)

    def down(self, time: float, observer: int, subject: int, *, is_false: bool) -> None:
        if observer not in self.running:
            return
        self.downs.append(Down(time, observer, subject, is_false))
        if subject in self.sees[observer]:
            self.sees[observer].discard(subject)
            self._count(subject, -1)

    def _count(self, subject: int, change: int) -> None:
        if subject in self.running:
            self._right += change
        else:
            self._wrong += change
