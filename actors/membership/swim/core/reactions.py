"""How a packet is received: refuse, learn, answer, in this order (membership: states of a member).

1. Too long, undecodable, forged, or from ourselves: an error, and nothing has changed.
2. Not for us: ignored. A packet for an earlier life of ours is handled, and answered with our present identity:
   otherwise we would be probed under the old one until somebody else spreads the new one. An Announce is for any life
   of ours.
3. A false proof anywhere in it, or a life of its sender that nothing here proves: an error, and nothing has changed.
4. The sender is alive: every packet is a join, and evidence of life.
5. A sender that we hold Down, or of which we hold a later life, gets a TurnUndead (if configured), and its packet is
   ignored. One that answers a TurnUndead by its number hears us and lives: it is not Down, whether it could refute that
   or not.
6. Who is told that it is Down was out of touch with whoever tells it: it refutes, and asks one of those for the members
   once a period. So after a partition each side learns of all of the other.
7. The updates, then the items, then the answer to the message; only a Connected member answers. An item that the
   application's handler refuses raises an error after all this, and nothing else is lost.

A message without an entry in `_REACTIONS` has no meaning beside the updates and items that it carries. A message that
names ourselves as its third party is an error, raised after everything that it carries was applied.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from ..codec import decode_packet
from ..effects import Cheated, Outbox, RoundTrip
from ..errors import (
    CustomBroadcastError,
    DataFromOurselvesError,
    DataTooBigError,
    ForgedProofError,
    ForgedSenderError,
    IndirectForOurselvesError,
    UnknownLifeError,
)
from ..member import Member, MemberId, State, supersedes
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
from ..proofs import Verdict
from . import probes, sync
from .connection import update_connection_state
from .state import Core
from .updates import apply_many, hear_directly, sift, store, vouch

__all__ = ["PacketContext", "react", "receive"]


def receive(core: Core, data: bytes, now: float, outbox: Outbox, sender: bytes | None) -> None:
    if len(data) > core.config.max_packet_size:
        raise DataTooBigError(f"a packet of {len(data)} bytes; at most {core.config.max_packet_size} are accepted")
    packet = decode_packet(data, core.members.known)
    header = packet.header
    src = header.src
    _check_sender(core, src, sender)
    if not _is_for_us(core, header):
        return
    held = core.members.holds(src)
    if held is None or header.src_incarnation > held.incarnation:
        _check_life(core, header, outbox)
    news = _sift(core, packet, outbox)
    core.unheard_seeds.pop(src.key, None)
    if held is None or header.src_incarnation > held.incarnation:
        store(core, Member(src, header.src_incarnation, State.ALIVE, (), header.src_proof), True, now, outbox)
        held = core.members.holds(src)
    if held is None or not held.is_active:
        if src.key in core.members.by_key:  # else `max_members` are held
            _answer_down_sender(core, header, news, now, outbox)
        return
    hear_directly(core, src.key, now, outbox)
    known = core.stored
    apply_many(core, news, True, now, outbox, heard=True)
    refusal = _take_items(core, packet)
    if core.is_connected:
        if header.dst == core.identity or isinstance(header.message, Announce):
            context = PacketContext(src, packet.updates, core.stored > known, now)
            react(core, header.message, context, outbox)
        else:
            core.send(src, Gossip(), outbox)
    if refusal is not None:
        raise refusal


def _check_life(core: Core, header: Header, outbox: Outbox) -> None:
    """Check what the sender shows of its own life."""
    said = Member(header.src, header.src_incarnation, State.ALIVE, (), header.src_proof)
    known = core.members.get(header.src.key)
    if known is not None and not supersedes(known, said):
        return
    verdict = core.proofs.check(said, core.members.holds(header.src))
    if verdict is Verdict.FALSE:
        core.counters.forged_proofs += 1
        outbox.notify(Cheated(header.src.key, "a false proof of its own incarnation", said))
        raise ForgedProofError(f"{header.src} does not prove its incarnation {header.src_incarnation}")
    if verdict is Verdict.UNKNOWN:
        core.counters.unknown_lives += 1
        raise UnknownLifeError(f"nothing here proves {header.src}, which sent a packet")


def _sift(core: Core, packet: DecodedPacket, outbox: Outbox) -> list[Member]:
    """What the packet says of us and others, with proof."""
    header = packet.header
    said = (header.message.held,) if isinstance(header.message, TurnUndead) else packet.news
    if not said:
        return []
    news = sift(core, said, header.src.key, outbox)
    if news is None:
        raise ForgedProofError(f"an update in a packet of {header.src} has a false proof")
    return news


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


def _answer_down_sender(core: Core, header: Header, news: list[Member], now: float, outbox: Outbox) -> None:
    src, message, held = header.src, header.message, core.members.by_key[header.src.key]
    if isinstance(message, Ack) and held.id == src and held.state is State.DOWN:
        _, number = core.warned.get(src.key, (0.0, 0))
        if number == message.number:
            core.counters.disbelieved += 1
            vouch(core, src.key, now, outbox)
            hear_directly(core, src.key, now, outbox)
            update_connection_state(core, now, outbox)
            return
    core.warn(src, held, now, outbox)
    if isinstance(message, TurnUndead) and header.dst == core.identity:
        apply_many(core, news, True, now, outbox, heard=True)
        if not core.is_undead:
            _answer_turn_undead(core, src, message.number, now, outbox)
    update_connection_state(core, now, outbox)


def _answer_turn_undead(core: Core, src: MemberId, number: int, now: float, outbox: Outbox) -> None:
    """Show that we heard it. We were out of touch, so also ask for the members, one of the many that may tell us."""
    core.send(src, Ack(number), outbox)
    if now - core.reunited >= core.config.probe_period:
        core.reunited = now
        core.send(src, Announce(), outbox)


class PacketContext(Struct):
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
    answer = core.proofs.answer(core.identity, message.origin, message.number)
    core.send(context.src, IndirectAck(message.origin, message.number, answer), outbox)


def _on_indirect_ack(core: Core, message: IndirectAck, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.target)
    probes.relay_ack(core, message.target, context.src, message.number, message.answer, outbox)


def _on_forwarded_ack(core: Core, message: ForwardedAck, context: PacketContext, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.origin)
    probes.take_answer(core, context.src, message.origin, message.number, message.answer, context.now, outbox)


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
    _answer_turn_undead(core, context.src, message.number, context.now, outbox)


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
