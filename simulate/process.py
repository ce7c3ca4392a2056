"""One member's process: running, stalled or gone, with what it has sent."""

import random

from ..actors.membership.swim import Config, MemberId, Outbox, Swim, Timer

__all__ = ["Arrived", "Process"]

Arrived = tuple[float, int, int, Timer | bytes]
"""Something for a stalled process: when, its rank, a running number, and what. Timers go before packets."""


def _next_life(identity: MemberId) -> MemberId:
    return MemberId(identity.key, identity.generation + 1)


class Process:
    """One life of a member; a restart is another one."""

    __slots__ = (
        "blocked",
        "bytes_sent",
        "is_running",
        "is_stalled",
        "number",
        "outbox",
        "packets_sent",
        "swim",
        "waiting",
    )

    def __init__(self, number: int, identity: MemberId, config: Config, rng: random.Random) -> None:
        """number: of the member."""
        self.number = number
        self.blocked: set[bytes] = set()
        self.swim = Swim.new(identity, config, rng, renew=_next_life, probeable=lambda key: key not in self.blocked)
        self.outbox = Outbox()
        self.is_running = True
        self.is_stalled = False
        self.waiting: list[Arrived] = []
        self.packets_sent = 0
        self.bytes_sent = 0
