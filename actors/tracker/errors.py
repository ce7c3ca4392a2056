"""What the tracker answers instead of doing what it was asked."""

from __future__ import annotations

from ...runtime.errors import Declined
from ...transport.identity import PeerId
from .core.blocks import Target

MAX_SET_ID = 2**64 - 1
"""The highest id that a peer set can have."""


class StaleSetId(Declined):
    """The id of a peer set is not above the newest one. `newest` + 1 would do."""

    def __init__(self, id: int, newest: int) -> None:
        """id: the refused one."""
        allowed = f"allowed is {newest + 1} or more" if newest < MAX_SET_ID else "there is no higher id"
        super().__init__(f"peer set {id} is not newer than {newest}: {allowed}")
        self.id = id
        self.newest = newest


class PeerSetTooLarge(Declined):
    """A peer set lists more peers, this node included, than `max_peers_per_set`. Nothing was changed."""

    def __init__(self, size: int, limit: int) -> None:
        """size: the different peers of both roles, and this node."""
        super().__init__(f"a peer set of {size} peers, this node included: allowed are {limit}")
        self.size = size
        self.limit = limit


class SourceIsStatic(Declined):
    """The peer set stands in the configuration (`source: static`), so nobody may track another."""


class CannotBlock(Declined):
    """A block of this node itself, or one in the address book of an id that nobody can own. Nothing was changed."""

    def __init__(self, target: Target, why: str, what: str = "blocked") -> None:
        """why: what is wrong with the id. what: was to be done."""
        super().__init__(f"{target} cannot be {what}: {why}")
        self.target = target


class CannotTrust(Declined):
    """Trust in this node itself. Nothing was changed."""

    def __init__(self, peer: PeerId, why: str, what: str = "trusted") -> None:
        """why: what is wrong with the id. what: was to be done."""
        super().__init__(f"{peer} cannot be {what}: {why}")
        self.peer = peer


class NotInEffect(Declined):
    """The change is made here, but transport did not confirm it in time: links may be alive that should not be."""


class IllegalTransition(RuntimeError):
    """Transport reported a link that nobody reserved: a defect, so the node stops."""


class NotStored(Declined):
    """The change is in force, but it could not be written, so a restart would forget it. It is tried again."""
