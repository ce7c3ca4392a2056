"""The receive path: refuse, learn, answer, in this order (membership reference 2 and 4.7).

1. Too big, undecodable, forged, or from ourselves: an error, nothing has changed.
2. Not for this identity of ours: ignored. An Announce is for any identity of our key.
3. The sender is alive: every packet is a join.
4. A sender that we hold Down, or under a newer generation, is told so (if configured) and not listened to.
5. The updates, the application's items, then the answer to the message; only a Connected member answers. An item that
   the application's handler refuses is an error after all this, and none of it is lost.
"""

from .applying import apply_many, judge_connection, rejoin_or_become_undead, store
from .codec import decode_packet
from .core import Core
from .errors import (
    CustomBroadcastError,
    DataFromOurselvesError,
    DataTooBigError,
    ForgedSenderError,
    IndirectForOurselvesError,
)
from .member import Member, MemberId
from .messages import (
    Ack,
    Announce,
    Feed,
    ForwardedAck,
    Header,
    IndirectAck,
    IndirectPing,
    Packet,
    Ping,
    PingReq,
    TurnUndead,
)
from .outbox import Outbox

__all__ = ["receive"]


def receive(core: Core, data: bytes, now: float, outbox: Outbox, sender: bytes | None) -> None:
    if len(data) > core.config.max_packet_size:
        raise DataTooBigError(f"a packet of {len(data)} bytes; at most {core.config.max_packet_size} are accepted")
    packet = decode_packet(data)
    header = packet.header
    _check_sender(core, header.src, sender)
    if not _is_for_us(core, header):
        return
    # The owner's own word: no bound on how far its incarnation may have moved.
    store(core, Member(header.src, header.src_incarnation), True, outbox)
    held = core.members.holds(header.src)
    if held is None or not held.is_active:
        _answer_the_dead(core, header, now, outbox)
        return
    apply_many(core, packet.updates, True, now, outbox)
    refusal = _take_items(core, packet)
    if core.is_connected:
        _react(core, header, now, outbox)
    if refusal is not None:
        raise refusal


def _take_items(core: Core, packet: Packet) -> CustomBroadcastError | None:
    """The first refusal; what comes behind it is taken all the same."""
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
    if isinstance(header.message, Announce):
        return header.dst.key == core.identity.key
    return header.dst == core.identity


def _answer_the_dead(core: Core, header: Header, now: float, outbox: Outbox) -> None:
    """Two members that hold each other Down must both get to renew, without telling each other for ever."""
    before = core.identity
    told_down = isinstance(header.message, TurnUndead)
    if told_down:
        rejoin_or_become_undead(core, now, outbox)
    may_answer = not core.is_undead and (core.identity != before or not told_down)
    if core.config.notify_down_members and may_answer:
        core.send(header.src, TurnUndead(), outbox)
    judge_connection(core, now, outbox)


def _react(core: Core, header: Header, now: float, outbox: Outbox) -> None:
    src = header.src
    match header.message:
        case Ping(number):
            core.send(src, Ack(number), outbox)
        case Ack(number):
            core.probe.ack(src, number)
        case PingReq(target, number):
            _relay(core, target, IndirectPing(src, number), outbox)
        case IndirectPing(origin, number):
            _refuse_ourselves(core, origin)
            core.send(src, IndirectAck(origin, number), outbox)
        case IndirectAck(target, number):
            _relay(core, target, ForwardedAck(src, number), outbox)
        case ForwardedAck(origin, number):
            _refuse_ourselves(core, origin)
            core.probe.forwarded_ack(src, origin, number)
        case Announce():
            core.send(src, Feed(), outbox)
        case TurnUndead():
            rejoin_or_become_undead(core, now, outbox)
            judge_connection(core, now, outbox)
        case _:  # Feed, Gossip and Broadcast only bring something
            pass


def _relay(core: Core, to: MemberId, message: IndirectPing | ForwardedAck, outbox: Outbox) -> None:
    _refuse_ourselves(core, to)
    if core.probeable(to.key):
        core.send(to, message, outbox)


def _refuse_ourselves(core: Core, third: MemberId) -> None:
    if third.key == core.identity.key:
        raise IndirectForOurselvesError(f"an indirect message names {third}, which is us, as the third party")
