"""What a simulation plays: members, network, and what happens to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..actors.membership.config import Config
from ..runtime import Link
from ..runtime.settings import MILLISECOND, Problem, Seconds, Settings, option, required, section

__all__ = ["Event", "Network", "Scenario"]

_LASTING = ("restart", "stall", "partition")


@dataclass(frozen=True, slots=True)
class Event(Settings):
    """Something that happens to members drawn at random. The first member, through which all join, is spared."""

    action: Literal["crash", "leave", "restart", "stall", "partition"] = required(
        "crash: gone without a word. leave: gone with one. restart: a crash, and a new start `lasting` later. "
        "stall: a stopped process for `lasting`. partition: cut off from the others for `lasting`."
    )
    at: Seconds = option(0.0, "When, counted from the end of `warm_up`.", minimum=0)
    members: int = option(1, "How many members.", minimum=1)
    lasting: Seconds | None = option(None, "How long a stall, a partition or a restart takes.", minimum=MILLISECOND)
    every: Seconds | None = option(None, "Again after each so many seconds, to the same members.", minimum=MILLISECOND)

    def check(self) -> Iterable[Problem]:
        """Which actions last, and which can be repeated."""
        lasts = self.action in _LASTING
        if lasts and self.lasting is None:
            yield Problem(("lasting",), f"is missing: a {self.action} ends", "a time above 0")
        if not lasts and self.lasting is not None:
            yield Problem(("lasting",), f"a {self.action} does not last", f"only with {', '.join(_LASTING)}")
        if not lasts and self.every is not None:
            yield Problem(("every",), f"a {self.action} happens once", f"only with {', '.join(_LASTING)}")
        if self.lasting is not None and self.every is not None and self.every <= self.lasting:
            yield Problem(
                ("every",), f"{self.every:g} s is not longer than it lasts", f"above {self.lasting:g} seconds"
            )


@dataclass(frozen=True, slots=True)
class Network(Settings):
    """What every packet meets."""

    min_latency: Seconds = option(0.0005, "The shortest one-way time of a packet.", minimum=0)
    max_latency: Seconds = option(0.005, "The longest one; between both all are equally likely.", minimum=0)
    loss: float = option(0.0, "Which part of the packets is lost.", minimum=0, maximum=1)

    def check(self) -> Iterable[Problem]:
        """The rule between fields."""
        if self.max_latency < self.min_latency:
            yield Problem(("max_latency",), "is below min_latency", f"at least {self.min_latency:g} seconds")

    @property
    def link(self) -> Link:
        """The same for the simulator."""
        return Link(latency=self.min_latency, jitter=self.max_latency - self.min_latency, loss=self.loss)


@dataclass(frozen=True, slots=True)
class Scenario(Settings):
    """A cluster that is formed, rests for `warm_up`, and is watched for `duration` while the events happen."""

    members: int = option(50, "How many members start.", minimum=2, maximum=5_000)
    join_every: Seconds = option(0.1, "Time between two starts; each joins through the first.", minimum=0)
    warm_up: Seconds = option(40.0, "From the last start to the beginning of the measurement.", minimum=0)
    duration: Seconds = option(60.0, "How long is measured.", minimum=MILLISECOND)
    network: Network = section(Network, "What every packet meets.")
    membership: Config = section(Config, "The settings to be tried, as in node.yaml.")
    events: tuple[Event, ...] = option((), "What happens.")

    def check(self) -> Iterable[Problem]:
        """The rules between sections."""
        if self.membership.seeds:
            yield Problem(("membership", "seeds"), "mean nothing here: all join through the first member", "no seeds")
        needed = sum(event.members for event in self.events)
        for place, event in enumerate(self.events):
            if event.members >= self.members:
                yield Problem(
                    ("events", place, "members"),
                    f"{event.members} of {self.members} members, and the first is spared",
                    f"at most {self.members - 1}",
                )
                needed = 0
            if event.at >= self.duration:
                yield Problem(
                    ("events", place, "at"), "is after the end of the measurement", f"below {self.duration:g} seconds"
                )
        if needed >= self.members:
            yield Problem(
                ("events",),
                f"need {needed} of {self.members} members; the first is spared, and each member takes part in one",
                f"at most {self.members - 1} together",
            )
