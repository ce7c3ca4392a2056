"""The control engine: knows how the node is, and carries out what comes through the control socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from ... import runtime
from ...actors.blobs import BlobProgress
from ...actors.connections import Counts, PeerConnected, PeerDisconnected
from ...actors.maintenance import Standing
from ...actors.membership import MemberDown, MemberUp
from ...actors.tracker import IpBlocked, IpUnblocked, PeerBlocked, PeerInfo, PeerUnblocked, Target
from ...config.sections import Control
from ...runtime import Message, Reply, Timer, Waiter
from ...transport.identity import PeerId
from .calls import Calls, SayProgress
from .command import SHORT, Context
from .mailbox import GetConnections, GetMembers, GetPeers, GetStatus, Mailbox, WaitFor
from .socket import ControlSocket
from .status import ConnectionRow, MemberRow, PeerRow, Status, connection_rows, member_rows, peer_rows

T = TypeVar("T")
U = TypeVar("U")
_NOT_LISTENING = "the listening socket is gone: nobody can connect until the node is started again"
_FRAMES_PER_TURN = 64


class WaitOver(Message, Struct, frozen=True):
    """To itself: the time of a wait is over."""

    number: int


class NotReached(runtime.Declined, TimeoutError):
    """The numbers were not reached in time; the text says how far it came."""


class _Waiter(Struct, eq=False):
    """One who waits. timer: ends it."""

    wanted: WaitFor
    reply: Reply[Status]
    timer: Timer | None = None


class Waiting:
    """All who wait, in the order in which they came."""

    def __init__(self) -> None:
        self._waiters: dict[int, _Waiter] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self, waiter: _Waiter) -> int:
        """Its number."""
        self._next += 1
        self._waiters[self._next] = waiter
        return self._next

    def look(self, status: Status) -> None:
        """Answer those whose numbers are reached."""
        for number, waiter in list(self._waiters.items()):
            if status.connected >= waiter.wanted.connected and status.members >= waiter.wanted.members:
                del self._waiters[number]
                if waiter.timer is not None:
                    waiter.timer.cancel()
                waiter.reply.set(status)

    def given_up(self, number: int) -> None:
        """Who waited has cancelled it."""
        waiter = self._waiters.pop(number, None)
        if waiter is not None:
            waiter.reply.cancel()
            if waiter.timer is not None:
                waiter.timer.cancel()

    def over(self, number: int, status: Status) -> None:
        """The time of one is over."""
        waiter = self._waiters.pop(number, None)
        if waiter is not None:
            wanted = waiter.wanted
            waiter.reply.fail(
                NotReached(
                    f"not within {wanted.timeout:g} s: {status.connected} of {wanted.connected} connections and "
                    f"{status.members} of {wanted.members} members"
                )
            )


class About(Struct, frozen=True):
    """What does not change while a node runs."""

    peer: PeerId
    address: str
    network: str
    pid: int
    source: str
    admission: str
    limits: str
    short_lived_places: int


class Engine(runtime.Engine[Mailbox]):
    """Listens to everybody's events, so that most questions are answered at once."""

    def __init__(
        self,
        config: Control,
        *,
        about: About,
        context: Context,
    ) -> None:
        """context: whom commands speak to; what their `stop` calls is called on this engine's thread."""
        super().__init__()
        self.handlers = {
            GetStatus: self.on_get_status,
            GetPeers: self.on_get_peers,
            GetConnections: self.on_get_connections,
            GetMembers: self.on_get_members,
            WaitFor: self.on_wait_for,
            WaitOver: self.on_wait_over,
            SayProgress: lambda message: self._calls.say_progress(message.underway),
            # events
            Counts: self.on_counts,
            PeerConnected: self.on_peer_connected,
            PeerDisconnected: lambda message: self._short_lived.discard(message.peer),
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
        self._actors = context.actors
        self._started = self.now()
        self._counts = Counts(open=0, closing=0)
        self._upkeep = "maintenance has not begun"
        self._blocked: set[Target] = set()
        self._short_lived: set[PeerId] = set()
        self._members: set[PeerId] = set()
        self._waiting = Waiting()
        self._calls = Calls(self, context, self._send, config.max_calls)
        self._socket: ControlSocket | None = None

    def on_start(self) -> None:
        """Listen to the others, then open the socket. Raises SocketTaken."""
        self._actors.connections.subscribe(self.mailbox, Counts, PeerConnected, PeerDisconnected)
        self._actors.maintenance.subscribe(self.mailbox, Standing)
        self._actors.tracker.subscribe(self.mailbox, PeerBlocked, PeerUnblocked, IpBlocked, IpUnblocked)
        self._actors.membership.subscribe(self.mailbox, MemberUp, MemberDown)
        self._actors.files.subscribe(self.mailbox)
        self._socket = ControlSocket(self._config.socket, max_calls=self._config.max_calls, left=self._calls.left)

    def on_stop(self) -> None:
        """Close the socket; whoever waits for an answer finds out that the node is gone."""
        if self._socket is not None:
            self._socket.close()

    def waiter(self) -> Waiter | None:
        """The control socket's."""
        return None if self._socket is None else self._socket.waiter()

    def poll(self) -> bool:
        """Take what clients sent."""
        return self._socket is not None and self._socket.poll(self._calls.take, _FRAMES_PER_TURN)

    def _send(self, client: bytes, frame: bytes) -> bool:
        return self._socket is not None and self._socket.send(client, frame)

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
            short_lived=len(self._short_lived),
            short_lived_places=about.short_lived_places,
            members=1 + len(self._members),
            blocked=len(self._blocked),
            upkeep=_NOT_LISTENING if self._has_lost_its_listening_socket() else self._upkeep,
            limits=about.limits,
        )

    def _has_lost_its_listening_socket(self) -> bool:
        try:
            return self.runtime.registry.total("transport_listening_lost_total") > 0
        except LookupError:  # no transport here
            return False

    def on_get_peers(self, _message: GetPeers) -> Reply[tuple[PeerRow, ...]]:
        """Ask who knows them. They may be many, so the pool makes the rows."""
        reply: Reply[tuple[PeerRow, ...]] = Reply()

        def answered(known: tuple[PeerInfo, ...] | Exception) -> None:
            if isinstance(known, Exception):
                reply.fail(known)
            else:
                self.on_reply(self.work(peer_rows, known), reply.resolve, timeout=SHORT)

        self.on_reply(self._actors.tracker.known(), answered, timeout=SHORT)
        return reply

    def on_get_connections(self, _message: GetConnections) -> Reply[tuple[ConnectionRow, ...]]:
        """Ask who counts them."""
        return self._then(self._actors.connections.connections(), connection_rows)

    def on_get_members(self, _message: GetMembers) -> Reply[tuple[MemberRow, ...]]:
        """Ask the membership."""
        return self._then(self._actors.membership.members(), member_rows)

    def on_wait_for(self, message: WaitFor) -> Reply[Status]:
        """Now, or when the numbers are there."""
        waiter = _Waiter(message, Reply())
        number = self._waiting.add(waiter)
        self.on_abandoned(lambda: self._waiting.given_up(number))
        if message.timeout is not None:
            waiter.timer = self.after(message.timeout, WaitOver(number))
        self._changed()
        return waiter.reply

    def on_wait_over(self, message: WaitOver) -> None:
        self._waiting.over(message.number, self.on_get_status(GetStatus()))

    # Events ----------------------------------------------------------------------------------------------------------

    def on_counts(self, message: Counts) -> None:
        self._counts = message
        self._changed()

    def on_peer_connected(self, message: PeerConnected) -> None:
        """A short-lived connection is among no counts."""
        if message.short_lived:
            self._short_lived.add(message.peer)

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
        self.on_reply(asked, answered.resolve, timeout=SHORT)
        return answered.map(rows)
