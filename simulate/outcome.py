"""What one run of a scenario showed, and what many runs show together. Times are in virtual seconds."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

__all__ = ["Death", "Outcome", "Spread", "Summary"]


@dataclass(frozen=True, slots=True)
class Death:
    """How a crash, or a leave, became known. first, last: until the first and the last of the others knew.

    last is None if somebody still did not know at the end.
    """

    first: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    joined: from the last start until everybody saw everybody. healed: the same after each partition and restart; None
    if it never came to that. packets, bytes: sent in each second of the measurement, by the whole cluster. members: how
    many took part in it on average. false_downs, rejoins: when somebody healthy was called Down, and when it went on
    under a new generation, counted from the beginning of the measurement.
    """

    seed: int
    members: float
    joined: float | None
    deaths: tuple[Death, ...]
    healed: tuple[float | None, ...]
    packets: tuple[int, ...]
    bytes: tuple[int, ...]
    false_downs: tuple[float, ...]
    rejoins: tuple[float, ...]

    @property
    def packets_per_second(self) -> float:
        """Of one member."""
        return sum(self.packets) / len(self.packets) / self.members

    @property
    def bytes_per_second(self) -> float:
        """Of one member."""
        return sum(self.bytes) / len(self.bytes) / self.members


@dataclass(frozen=True, slots=True)
class Spread:
    """Median and largest of what was measured. missing: how often there was nothing to measure: it never happened."""

    median: float | None
    maximum: float | None
    count: int
    missing: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> "Spread":
        """Of values, None for what never happened. With one of these there is no largest one."""
        given = list(values)
        there = [value for value in given if value is not None]
        missing = len(given) - len(there)
        # What never happened is larger than all that did.
        ordered: Sequence[float] = sorted(there) + [float("inf")] * missing
        middle = statistics.median(ordered) if ordered else None
        return cls(
            None if middle is None or middle == float("inf") else middle,
            max(there) if there and not missing else None,
            len(given),
            missing,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """Many runs."""

    outcomes: tuple[Outcome, ...]

    def deaths(self) -> Iterator[Death]:
        """Of all runs."""
        return (death for outcome in self.outcomes for death in outcome.deaths)

    @property
    def first_heard(self) -> Spread:
        """From a death until the first one knew."""
        return Spread.of(death.first for death in self.deaths())

    @property
    def last_heard(self) -> Spread:
        """From a death until everybody knew."""
        return Spread.of(death.last for death in self.deaths())

    @property
    def dissemination(self) -> Spread:
        """From the first who knew to the last."""
        return Spread.of(
            None if death.first is None or death.last is None else death.last - death.first for death in self.deaths()
        )

    @property
    def joined(self) -> Spread:
        return Spread.of(outcome.joined for outcome in self.outcomes)

    @property
    def healed(self) -> Spread:
        return Spread.of(time for outcome in self.outcomes for time in outcome.healed)

    @property
    def packets_per_second(self) -> Spread:
        """Of one member."""
        return Spread.of(outcome.packets_per_second for outcome in self.outcomes)

    @property
    def bytes_per_second(self) -> Spread:
        """Of one member."""
        return Spread.of(outcome.bytes_per_second for outcome in self.outcomes)

    @property
    def false_downs(self) -> Spread:
        """In one run: how often a member was told that a healthy one is Down."""
        return Spread.of(float(len(outcome.false_downs)) for outcome in self.outcomes)

    @property
    def rejoins(self) -> Spread:
        """In one run: how often a healthy member had to go on under a new generation."""
        return Spread.of(float(len(outcome.rejoins)) for outcome in self.outcomes)
