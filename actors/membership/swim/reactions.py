"""What a Connected member does on each kind of message, up to the answer (membership: how news travels).

A message without an entry in `_REACTIONS` has no meaning beside the updates and items that it carries. A message that
names ourselves as its third party is an error, raised after everything that it carries was applied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import probing, sync
from .applying import rejoin_or_become_undead, update_connection_state
from .core import Core
from .errors import IndirectForOurselvesError
from .member import Member, MemberId
from .messages import (
    Ack,
    Announce,
    Feed,
    ForwardedAck,
    IndirectAck,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PingReq,
    SyncPart,
    SyncRequest,
    TurnUndead,
)
from .notifications import RoundTrip
from .outbox import Outbox

__all__ = ["PacketContext", "react"]


@dataclass(slots=True)
class PacketContext:
    """Sender and updates of the packet that a message came in. `learned`: it taught us something. `now`: in seconds."""

    src: MemberId
    updates: tuple[Member, ...]
    learned: bool
    now: float


def react(core: Core, message: Message, context: PacketContext, outbox: Outbox) -> None:
    """Do what the message asks for. Raises IndirectForOurselvesError."""
    reaction = _REACTIONS.get(type(message))
    if reaction is not None:
        reaction(core, message, context, outbox)


def _on_ping(core: Core, message: Ping, context: PacketContext, outbox: Outbox) -> None:
    core.send(context.src, Ack(message.number), outbox)


def _on_ack(core: Core, message: Ack, context: PacketContext, outbox: Outbox) -> None:
    if core.probe.ack(context.src, message.number):
        outbox.notify(RoundTrip(context.src, context.now - core.probe.began))


def _on_ping_req(core: Core, message: PingReq, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.target)
    probing.relay_ping(core, context.src, message.target, message.number, outbox)


def _on_indirect_ping(core: Core, message: IndirectPing, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.origin)
    core.send(context.src, IndirectAck(message.origin, message.number), outbox)


def _on_indirect_ack(core: Core, message: IndirectAck, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.target)
    probing.relay_ack(core, message.target, context.src, message.number, outbox)


def _on_forwarded_ack(core: Core, message: ForwardedAck, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.origin)
    core.probe.forwarded_ack(context.src, message.origin, message.number)


def _on_nack(core: Core, message: Nack, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.target)
    core.probe.nack(context.src, message.target, message.number)


def _on_announce(core: Core, message: Announce, context: PacketContext, outbox: Outbox) -> None:
    core.send(context.src, Feed(), outbox, lambda room: sync.feed_updates(core, context.src, room))


def _on_sync_request(core: Core, message: SyncRequest, context: PacketContext, outbox: Outbox) -> None:
    sync.on_sync_request(core, context.src, message.digest, context.now, outbox)


def _on_sync_part(core: Core, message: SyncPart, context: PacketContext, outbox: Outbox) -> None:
    sync.on_sync_part(core, context.src, context.updates, message.asks, context.now, outbox)
    if context.learned:
        sync.sync_soon(core, context.now, outbox)


def _on_turn_undead(core: Core, message: TurnUndead, context: PacketContext, outbox: Outbox) -> None:
    rejoin_or_become_undead(core, context.now, outbox, message.later)
    update_connection_state(core, context.now, outbox)


def _refuse_ourselves(core: Core, third: MemberId) -> None:
    if third.key == core.identity.key:
        raise IndirectForOurselvesError(f"an indirect message names {third}, which is us, as the third party")


_REACTIONS: dict[type[Message], Callable[[Core, Any, PacketContext, Outbox], None]] = {
    Ping: _on_ping,
    Ack: _on_ack,
    PingReq: _on_ping_req,
    IndirectPing: _on_indirect_ping,
    IndirectAck: _on_indirect_ack,
    ForwardedAck: _on_forwarded_ack,
    Nack: _on_nack,
    Announce: _on_announce,
    SyncRequest: _on_sync_request,
    SyncPart: _on_sync_part,
    TurnUndead: _on_turn_undead,
}
