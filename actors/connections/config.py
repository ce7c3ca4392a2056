"""What can be configured about the choice of connections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...runtime.settings import MILLISECOND, Bytes, Problem, Seconds, Settings, option
from ...transport.identity import PeerId


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Settings of the connections actor. Defaults are go-libp2p's where it has them."""

    low_water: int | None = option(
        None,
        "Trimming by itself goes down to this many connections, protected ones and those in grace on top. In a node "
        "both marks follow from maintenance; without them nothing is trimmed unless somebody asks.",
        minimum=1,
    )
    high_water: int | None = option(
        None, "Trimming by itself begins when more connections than this are open.", minimum=1
    )
    grace_period: Seconds = option(
        60.0, "A peer that was first seen less than this ago is not given up, except in an emergency.", minimum=0.0
    )
    silence_period: Seconds = option(
        10.0, "Time between two checks whether there are too many connections.", minimum=MILLISECOND
    )
    close_timeout: Seconds = option(
        5.0,
        "Longest time a trim waits for the connections it closes; those left are in its report.",
        minimum=MILLISECOND,
    )
    protected: tuple[PeerId, ...] = option((), "Peers that are protected from the beginning, by the name `config`.")
    temporary_age: Seconds = option(
        60.0, "How long the tags of a peer are kept that is not connected and does not connect.", minimum=MILLISECOND
    )
    max_temporary: int = option(
        16_384, "Most peers with tags and without a connection; the oldest is forgotten for a new one.", minimum=1
    )
    max_tags: int = option(
        32,
        "Most tags of one peer, most names under which it is protected, and most decaying tags that are open; one more "
        "is refused.",
        minimum=1,
    )
    max_protected: int = option(
        16_384, "Most peers that are protected, connected or not; one more is refused.", minimum=1
    )

    decay_resolution: Seconds = option(
        60.0, "Time between two checks which decaying tags are due; no interval is shorter.", minimum=MILLISECOND
    )

    max_listener_backlog: int = option(
        16_384, "Events that wait for one slow listener; at one more it hears nothing from then on.", minimum=1
    )
    memory_limit: Bytes | None = option(
        None,
        "Resident memory of the process above which connections are given up, protected ones excepted. "
        "By default memory is not watched.",
        minimum=1,
    )
    memory_interval: Seconds = option(10.0, "Time between two checks of the memory.", minimum=MILLISECOND)
    memory_share: float = option(
        0.1,
        "Which part of the open connections is given up at each check that finds too much memory in use.",
        above=0.0,
        maximum=1.0,
    )

    def check(self) -> Iterable[Problem]:
        """The rules between fields."""
        low, high = self.low_water, self.high_water
        if (low is None) != (high is None):
            missing = "low_water" if low is None else "high_water"
            yield Problem((missing,), "is missing", "both water marks or neither")
        elif low is not None and high is not None and low > high:
            yield Problem(("low_water",), f"{low} is above high_water", f"at most {high}")
        if len(self.protected) > self.max_protected:
            yield Problem(
                ("protected",), f"{len(self.protected)} peers", f"at most max_protected, {self.max_protected}"
            )
