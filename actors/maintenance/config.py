"""What can be configured about the number of connections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ...runtime.settings import MILLISECOND, Problem, Seconds, Settings, option
from .core.goal import Bounds

Policy = Literal["all", "band"]


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Settings of maintenance. Defaults are Tezos's where it has them."""

    policy: Literal["all", "band"] | None = option(
        None,
        "Whom to dial: `all` primary peers, or as many as the `band` needs. None lets the node choose by the source of "
        "its peer sets: `all` for static and application, `band` for membership; without a node it means `band`.",
    )
    min_connections: int = option(10, "The number of connections below which the node is badly off.", minimum=0)
    expected_connections: int = option(50, "The number of connections that is right.", minimum=0)
    max_connections: int = option(100, "The number of connections that is never aimed above.", minimum=1)
    maintenance_idle_time: Seconds = option(
        120.0, "Longest time between two checks while nothing happens and all is well.", minimum=MILLISECOND
    )
    time_between_looking_for_peers: Seconds = option(
        5.0,
        "Longest time between two rounds while connections are missing and nobody can be dialled.",
        minimum=MILLISECOND,
    )
    floor_between_rounds: Seconds = option(
        1.0, "Shortest time between two rounds, whoever asks for them; up to half more at random.", minimum=MILLISECOND
    )
    max_concurrent_dials: int = option(10, "How many dials may be under way at once.", minimum=1)
    private_mode: bool = option(
        False,
        "Ask nobody for peers, tell nobody of any. One switch with tracker.admission: private, for the whole node.",
    )
    max_subnet_share: float = option(
        0.5,
        "Share of the connections below which the node is short that one public subnet (/24, IPv6: /48) may have: more "
        "of it count for nothing, and are not dialled. Trusted peers are dialled all the same.",
        above=0.0,
        maximum=1.0,
    )
    max_records_per_subnet: int = option(
        16, "Peers of one subnet that one answer of a peer may name, and that one answer of ours does.", minimum=1
    )
    time_between_answers: Seconds = option(
        5.0, "How often one peer that asks for others is answered, beyond the second time.", minimum=MILLISECOND
    )

    def check(self) -> Iterable[Problem]:
        """The three numbers ascend."""
        if not self.min_connections <= self.expected_connections <= self.max_connections:
            yield Problem(
                ("expected_connections",),
                f"{self.expected_connections} is not between min_connections and max_connections",
                f"from {self.min_connections} to {self.max_connections}, ascending",
            )

    def bounds(self) -> Bounds:
        """Thresholds and targets for these numbers."""
        return Bounds.of(self.min_connections, self.expected_connections, self.max_connections)
