"""How a packet is received: refuse, learn, answer, in this order (membership: states of a member).

1. Too long, undecodable, forged, or from ourselves: an error, and nothing has changed.
2. Not for us: ignored. A packet for an earlier life of ours is handled, and answered with our present identity:
   otherwise we would be probed under the old one until somebody else spreads the new one. An Announce is for any life
   of ours.
3. The sender is alive: every packet is a join.
4. A sender that we hold Down, or of which we hold a later life, gets a TurnUndead (if configured), and its packet is
   ignored.
5. Two members that hold each other Down were out of touch, and the first to learn of it gives way: it renews, forgets
   all members that it holds Down (they may all have been cut off from it), and announces itself.
6. The updates, then the items, then the answer to the message; only a Connected member answers. An item that the
   application's handler refuses raises an error after all this, and nothing else is lost.

A message without an entry in `_REACTIONS` has no meaning beside the updates and items that it carries. A message that
names ourselves as its third party is an error, raised after everything that it carries was applied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..codec import decode_packet
from ..effects import Outbox, RoundTrip
from ..errors import (
    CustomBroadcastError,
    DataFromOurselvesError,
    DataTooBigError,
    ForgedSenderError,
    IndirectForOurselvesError,
)
from ..member import Member, MemberId
from ..messages import (
    Ack,
    Announce,
    DecodedPacket,
    Feed,
    ForwardedAck,
    Gossip,
    Header,
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
from . import probes, sync
from .connection import update_connection_state
from .state import Core
from .updates import apply_many, rejoin_or_become_undead, store

__all__ = ["PacketContext", "react", "receive"]


def receive(core: Core, data: bytes, now: float, outbox: Outbox, sender: bytes | None) -> None:
    if len(data) > core.config.max_packet_size:
        raise DataTooBigError(f"a packet of {len(data)} bytes; at most {core.config.max_packet_size} are accepted")
    packet = decode_packet(data)
    header = packet.header
    _check_sender(core, header.src, sender)
    core.unheard_seeds.pop(header.src.key, None)
    if not _is_for_us(core, header):
        return
    held = core.members.holds(header.src)
    if held is None or header.src_incarnation > held.incarnation:
        # From the owner itself, so its incarnation may have risen by any amount.
        store(core, Member(header.src, header.src_incarnation), True, now, outbox)
        held = core.members.holds(header.src)
    if held is None or not held.is_active:
        if header.src.key in core.members.by_key:  # else `max_members` are held
            _answer_down_sender(core, header, now, outbox)
        return
    known = core.stored
    apply_many(core, packet.updates, True, now, outbox)
    refusal = _take_items(core, packet)
    if core.is_connected:
        if header.dst == core.identity or isinstance(header.message, Announce):
            context = PacketContext(header.src, packet.updates, core.stored > known, now)
            react(core, header.message, context, outbox)
        else:
            core.send(header.src, Gossip(), outbox)
    if refusal is not None:
        raise refusal


def _take_items(core: Core, packet: DecodedPacket) -> CustomBroadcastError | None:
    """Pass all items to the handler; returns the first refusal."""
    first = None
    for item in packet.items:
        try:
            core.broadcasts.take(item, packet.header.src, core.config, core.copies)
        except CustomBroadcastError as refusal:
            core.counters.refused_broadcasts += 1
            first = first or refusal
    return first


def _check_sender(core: Core, src: MemberId, sender: bytes | None) -> None:
    if sender is not None and src.key != sender:
        raise ForgedSenderError(f"a packet in the name of {src} came from {sender.hex()[:8]}")
    if src.key == core.identity.key:
        raise DataFromOurselvesError(f"a packet from {src}, which is our own key")


def _is_for_us(core: Core, header: Header) -> bool:
    dst, own = header.dst, core.identity
    if dst.key != own.key:
        return False
    return dst.generation <= own.generation or isinstance(header.message, Announce)


def _answer_down_sender(core: Core, header: Header, now: float, outbox: Outbox) -> None:
    message = header.message
    if not isinstance(message, TurnUndead):
        if core.config.notify_down_members and not core.is_undead:
            core.send(header.src, TurnUndead(_later_life(core, header.src)), outbox)
    elif header.dst == core.identity:
        rejoin_or_become_undead(core, now, outbox, message.later)
        if core.identity != header.dst:
            core.forget_down()
            store(core, Member(header.src, header.src_incarnation), True, now, outbox)
            core.send(header.src, Announce(), outbox)
    update_connection_state(core, now, outbox)


def _later_life(core: Core, identity: MemberId) -> int:
    held = core.members.get(identity.key)
    return held.id.generation if held is not None and held.id.generation > identity.generation else 0


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
    probes.relay_ping(core, context.src, message.target, message.number, outbox)


def _on_indirect_ping(core: Core, message: IndirectPing, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.origin)
    core.send(context.src, IndirectAck(message.origin, message.number), outbox)


def _on_indirect_ack(core: Core, message: IndirectAck, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.target)
    probes.relay_ack(core, message.target, context.src, message.number, outbox)


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
