"""What can be asked about the node as a whole."""

from __future__ import annotations

from msgspec import Struct

from ... import runtime
from ...runtime import Reply, Request, arguments
from .status import ConnectionRow, MemberRow, PeerRow, Status


class GetStatus(Request[Status], Struct, frozen=True):
    """The node at this moment."""


class GetPeers(Request[tuple[PeerRow, ...]], Struct, frozen=True):
    """Every peer that is known for any reason."""


class GetConnections(Request[tuple[ConnectionRow, ...]], Struct, frozen=True):
    """The open connections."""


class GetMembers(Request[tuple[MemberRow, ...]], Struct, frozen=True):
    """Every node that the membership knows."""


class WaitFor(Request[Status], Struct, frozen=True):
    """Answer when at least `connected` connections are open and `members` nodes alive. timeout: seconds, None: ever."""

    connected: int = 0
    members: int = 0
    timeout: float | None = None


class Mailbox(runtime.Mailbox):
    """How the application and the command line look at a node."""

    def status(self) -> Reply[Status]:
        """The node at this moment."""
        return self.ask(GetStatus())

    def peers(self) -> Reply[tuple[PeerRow, ...]]:
        """Every peer that is known for any reason, by id."""
        return self.ask(GetPeers())

    def connections(self) -> Reply[tuple[ConnectionRow, ...]]:
        """The open connections, oldest first."""
        return self.ask(GetConnections())

    def members(self) -> Reply[tuple[MemberRow, ...]]:
        """Every node that the membership knows, by id."""
        return self.ask(GetMembers())

    def wait(self, *, connected: int = 0, members: int = 0, timeout: float | None = None) -> Reply[Status]:
        """Answered as soon as at least `connected` connections are open and `members` nodes, this one too, alive.

        Fails with NotReached after `timeout` seconds. Raises ValueError unless that is above 0, and the numbers from 0
        to 2**31 - 1. Who no longer waits cancels the reply.
        """
        connected = arguments.whole(connected, "the number of connections", 0, arguments.MAX_COUNT)
        members = arguments.whole(members, "the number of members", 0, arguments.MAX_COUNT)
        if timeout is not None:
            timeout = arguments.seconds(timeout, "a wait")
        return self.ask(WaitFor(connected, members, timeout))
