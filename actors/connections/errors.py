"""What the connections actor answers when it cannot do what was asked."""

from __future__ import annotations

from ...runtime.errors import Declined
from ...transport.identity import PeerId


class IsThisNode(Declined):
    """The node itself was to be valued or protected. It has no connections to itself, so nothing was changed."""


def check_other(peer: PeerId, me: PeerId | None) -> PeerId:
    """The peer. Raises IsThisNode if it is this node, `me`."""
    if peer == me:
        raise IsThisNode(f"{peer} is this node: it has no connections to itself")
    return peer


class TooMany(Declined):
    """As many tags, or protected peers, as the configuration allows. Nothing was changed. limit: how many that are."""

    def __init__(self, what: str, limit: int, setting: str) -> None:
        """what: there would be one more of. setting: its name in the configuration."""
        super().__init__(f"{what}: allowed are {limit} (connections.{setting})")
        self.limit = limit


class NoLowWater(Declined):
    """A trim without a target needs a low water mark, and there is none."""


class NoTracker(Declined):
    """Blocks live in the tracker, and this connection manager was composed without one."""


class LimitTooLow(Declined):
    """Transport's hard limit is below the high water mark, so trimming would never begin.

    high_water, limit: the two numbers.
    """

    def __init__(self, high_water: int, limit: int) -> None:
        super().__init__(
            f"the high water mark of connections is {high_water}, and transport refuses more than {limit}: trimming "
            f"would never begin (allowed: a high_water of at most {limit}, or a higher transport.max_connections)"
        )
        self.high_water = high_water
        self.limit = limit


class TagTaken(Declined):
    """A decaying tag of this name is open."""


class TagClosed(Declined):
    """This decaying tag is closed."""
