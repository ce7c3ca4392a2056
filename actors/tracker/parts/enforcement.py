"""Has changes put into effect: the gate, whom transport disconnects, who is told, when the asker has its answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import ClassVar, TypeVar

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Overflow, Reply, Timer
from ....transport.gatekeeper import Gate
from ....transport.identity import PeerId
from ....transport.mailbox import Mailbox as Transport
from ....transport.reasons import Reason
from ..address_book.book import AddressBook
from ..core.known_peers import KnownPeers
from ..errors import NotInEffect, NotStored
from ..mailbox import DialableChanged, Mailbox
from ..metrics import Metrics

T = TypeVar("T")


class ExpireBlocks(Message, Struct, frozen=True):
    """The next block's time is over; the engine's own timer."""


class PushAdvice(Message, Struct, frozen=True):
    """To itself: what peers that are turned away are advised has changed."""

    overflow: ClassVar[Overflow] = Overflow.LATEST


class Enforcement:
    """What the engine calls after each change, on its thread."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        transport: Transport,
        peers: KnownPeers,
        metrics: Metrics,
        book: AddressBook,
        tell: Callable[[Message], object],
        *,
        timeout: float,
    ) -> None:
        """tell: what tells subscribers of an event. timeout: seconds that transport and the disk have to confirm."""
        self._engine = engine
        self._transport = transport
        self._peers = peers
        self._metrics = metrics
        self._book = book
        self._tell = tell
        self._timeout = timeout
        self.gate_version = 0
        """The version of the gate that was pushed last."""
        self._gate_reply: Reply[None] = Reply.of(None)
        self._expiry: tuple[float, Timer] | None = None

    def enforce(
        self,
        closes: Iterable[tuple[PeerId, Reason]],
        answer: T,
        *,
        stored: bool = False,
        disconnect: bool = True,
    ) -> Reply[T]:
        """Gate first, then the closes; `answer` when transport has confirmed all of it, else NotInEffect.

        stored: and when it is stored, else NotStored. disconnect: for the gate to end what it newly blocks.
        """
        self.update(disconnect=disconnect)
        waiting = [self._gate_reply]
        for peer, reason in closes:
            self._metrics.closes.inc(reason)
            waiting.append(self._transport.close(peer, reason))
        done: Reply[T] = Reply()
        left = len(waiting) + stored
        errors: list[runtime.Declined] = []

        def confirmed(result: object) -> None:
            nonlocal left
            left -= 1
            if isinstance(result, NotStored):
                errors.append(result)
            elif isinstance(result, Exception):
                self._metrics.not_in_effect.inc()
                self._engine.log.error("a change was not confirmed", why=str(result))
                errors.insert(0, NotInEffect(f"the change is made, but was not confirmed: {result}"))
            if left == 0:
                done.fail(errors[0]) if errors else done.set(answer)

        def written(result: object) -> None:
            silent = isinstance(result, runtime.ReplyTimeout)
            confirmed(NotStored("in force, but the disk does not answer") if silent else result)

        for reply in waiting:
            self._engine.on_reply(reply, confirmed, timeout=self._timeout)
        if stored:
            self._engine.on_reply(self._book.stored(), written, timeout=self._timeout)
        return done

    def update(self, *, disconnect: bool = True) -> None:
        """Push the gate if it has changed, wake the dialling side, follow the blocks' ends and the book."""
        self._push(self._peers.gate(self._engine.now()), disconnect=disconnect)
        if self._peers.advice.changed:
            self._engine.mailbox.tell(PushAdvice())
        queue = self._peers.queue
        if queue.changed:
            queue.changed = False
            self._tell(DialableChanged())
        self._follow_expiry()
        self._book.update()

    def push_advice(self) -> None:
        """Once for all changes of what peers are advised, since each is a small one and none is urgent."""
        self._push(self._peers.gate(self._engine.now(), with_advice=True))

    def _push(self, gate: Gate, *, disconnect: bool = True) -> None:
        if gate.version != self.gate_version:
            self.gate_version = gate.version
            self._gate_reply = self._transport.set_gate(gate, disconnect=disconnect).map(lambda _version: None)

    def _follow_expiry(self) -> None:
        """One timer, for the block that ends next."""
        until = self._peers.blocks.next_expiry()
        if self._expiry is not None and self._expiry[0] != until:
            self._expiry[1].cancel()
            self._expiry = None
        if self._expiry is None and until is not None:
            self._expiry = until, self._engine.after(until - self._engine.now(), ExpireBlocks())

    def expiry_fired(self) -> None:
        """The timer of the block that ended next has fired."""
        self._expiry = None
