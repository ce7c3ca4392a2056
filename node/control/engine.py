"""The control engine: knows how the node is, and carries out what comes through the control socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ... import runtime
from ...actors.blobs import BlobProgress
from ...actors.connections import Counts
from ...actors.maintenance import Standing
from ...actors.membership import MemberDown, MemberUp
from ...actors.tracker import IpBlocked, IpUnblocked, PeerBlocked, PeerInfo, PeerUnblocked, Target
from ...config.sections import Control
from ...runtime import Message, Reply, Waiter
from ...transport.identity import PeerId
from ..status import ConnectionRow, MemberRow, PeerRow, Status
from .calls import Calls
from .command import SHORT
from .door import Door
from .mailbox import GetConnections, GetMembers, GetPeers, GetStatus, Mailbox, WaitFor
from .parts import Parts
from .rows import connection_rows, member_rows, peer_rows
from .waiting import Waiting, Wish

T = TypeVar("T")
U = TypeVar("U")
_FRAMES_PER_TURN = 64


@dataclass(frozen=True, slots=True)
class WaitOver(Message):
    """To itself: the time of a wait is over."""

    number: int


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while a node runs."""

    peer: PeerId
    address: str
    network: str
    pid: int
    source: str
    admission: str
    limits: str


class Engine(runtime.Engine[Mailbox]):
    """Listens to everybody's events, so that most questions are answered at once."""

    def __init__(
        self,
        config: Control,
        *,
        about: About,
        parts: Parts,
    ) -> None:
        """parts: whom commands speak to; what their `stop` calls is called on this engine's thread."""
        super().__init__()
        self.handlers = {
            GetStatus: self.on_get_status,
            GetPeers: self.on_get_peers,
            GetConnections: self.on_get_connections,
            GetMembers: self.on_get_members,
            WaitFor: self.on_wait_for,
            WaitOver: self.on_wait_over,
            # events
            Counts: self.on_counts,
            Standing: self.on_standing,
            PeerBlocked: lambda message: self._blocked.add(message.peer),
            PeerUnblocked: lambda message: self._blocked.discard(message.peer),
            IpBlocked: lambda message: self._blocked.add(message.target),
            IpUnblocked: lambda message: self._blocked.discard(message.target),
            MemberUp: self.on_member_up,
            MemberDown: self.on_member_down,
            BlobProgress: self.on_blob_progress,
        }
        self._config = config
        self._about = about
        self._actors = parts.actors
        self._started = self.now()
        self._counts = Counts(open=0, closing=0)
        self._upkeep = "maintenance has not begun"
        self._blocked: set[Target] = set()
        self._members: set[PeerId] = set()
        self._waiting = Waiting()
        self._calls = Calls(self, parts, config.max_calls)
        self._door: Door | None = None

    def on_start(self) -> None:
        """Listen to the others, then open the door. Raises SocketTaken."""
        self._actors.connections.subscribe(self.mailbox, Counts)
        self._actors.maintenance.subscribe(self.mailbox, Standing)
        self._actors.tracker.subscribe(self.mailbox, PeerBlocked, PeerUnblocked, IpBlocked, IpUnblocked)
        self._actors.membership.subscribe(self.mailbox, MemberUp, MemberDown)
        self._actors.files.subscribe(self.mailbox)
        self._door = Door(self._config.socket, max_calls=self._config.max_calls)
        self._calls.send = self._door.send

    def on_stop(self) -> None:
        """Close the door; whoever waits for an answer finds out that the node is gone."""
        if self._door is not None:
            self._door.close()

    def waiter(self) -> Waiter | None:
        """The door's socket."""
        return None if self._door is None else self._door.waiter()

    def poll(self) -> bool:
        """Take what clients sent."""
        return self._door is not None and self._door.poll(self._calls.take, _FRAMES_PER_TURN)

    # Questions -------------------------------------------------------------------------------------------------------

    def on_get_status(self, _message: GetStatus) -> Status:
        """From what the events said."""
        about = self._about
        return Status(
            peer=str(about.peer),
            address=about.address,
            network=about.network,
            pid=about.pid,
            uptime=self.now() - self._started,
            source=about.source,
            admission=about.admission,
            connected=self._counts.open,
            closing=self._counts.closing,
            members=1 + len(self._members),
            blocked=len(self._blocked),
            upkeep=self._upkeep,
            limits=about.limits,
        )

    def on_get_peers(self, _message: GetPeers) -> Reply[tuple[PeerRow, ...]]:
        """Ask who knows them. They may be many, so the pool makes the rows."""
        reply: Reply[tuple[PeerRow, ...]] = Reply()

        def told(known: tuple[PeerInfo, ...] | Exception) -> None:
            if isinstance(known, Exception):
                reply.fail(known)
            else:
                self.on_reply(self.work(peer_rows, known), reply.resolve, within=SHORT)

        self.on_reply(self._actors.tracker.known(), told, within=SHORT)
        return reply

    def on_get_connections(self, _message: GetConnections) -> Reply[tuple[ConnectionRow, ...]]:
        """Ask who counts them."""
        return self._then(self._actors.connections.connections(), connection_rows)

    def on_get_members(self, _message: GetMembers) -> Reply[tuple[MemberRow, ...]]:
        """Ask the membership."""
        return self._then(self._actors.membership.members(), member_rows)

    def on_wait_for(self, message: WaitFor) -> Reply[Status]:
        """Now, or when the numbers are there."""
        wish = Wish(message, Reply())
        number = self._waiting.add(wish)
        if message.within is not None:
            wish.timer = self.after(message.within, WaitOver(number))
        self._changed()
        return wish.reply

    def on_wait_over(self, message: WaitOver) -> None:
        self._waiting.over(message.number, self.on_get_status(GetStatus()))

    # Events ----------------------------------------------------------------------------------------------------------

    def on_counts(self, message: Counts) -> None:
        self._counts = message
        self._changed()

    def on_standing(self, message: Standing) -> None:
        self._upkeep = message.explain()

    def on_member_up(self, message: MemberUp) -> None:
        self._members.add(message.peer)
        self._changed()

    def on_member_down(self, message: MemberDown) -> None:
        self._members.discard(message.peer)

    def on_blob_progress(self, message: BlobProgress) -> None:
        self._calls.progress(message)

    def _changed(self) -> None:
        if self._waiting:
            self._waiting.look(self.on_get_status(GetStatus()))

    def _then(self, asked: Reply[T], rows: Callable[[T], U]) -> Reply[U]:
        """What `rows` makes of the answer, on this engine's thread. What it raises fails the question, not the node."""
        answered: Reply[T] = Reply()
        self.on_reply(asked, answered.resolve, within=SHORT)
        return answered.map(rows)
