"""What a message makes a Connected member do: from its kind to the answer (membership: how news travels).

A message that is not in the table only brings something. A third party that is ourselves is an error, after everything
that came along was applied.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import probing, sync
from .applying import judge_connection, rejoin_or_become_undead
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

__all__ = ["Heard", "react"]


@dataclass(slots=True)
class Heard:
    """What a message came with. `learned`: some of its updates were news. `now` in seconds."""

    src: MemberId
    updates: tuple[Member, ...]
    learned: bool
    now: float


def react(core: Core, message: Message, heard: Heard, outbox: Outbox) -> None:
    """Raises IndirectForOurselvesError."""
    reaction = _REACTIONS.get(type(message))
    if reaction is not None:
        reaction(core, message, heard, outbox)


def _on_ping(core: Core, message: Ping, heard: Heard, outbox: Outbox) -> None:
    core.send(heard.src, Ack(message.number), outbox)


def _on_ack(core: Core, message: Ack, heard: Heard, outbox: Outbox) -> None:
    if core.probe.ack(heard.src, message.number):
        outbox.notify(RoundTrip(heard.src, heard.now - core.probe.began))


def _on_ping_req(core: Core, message: PingReq, heard: Heard, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.target)
    probing.relay_ping(core, heard.src, message.target, message.number, outbox)


def _on_indirect_ping(core: Core, message: IndirectPing, heard: Heard, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.origin)
    core.send(heard.src, IndirectAck(message.origin, message.number), outbox)


def _on_indirect_ack(core: Core, message: IndirectAck, heard: Heard, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.target)
    probing.relay_ack(core, message.target, heard.src, message.number, outbox)


def _on_forwarded_ack(core: Core, message: ForwardedAck, heard: Heard, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.origin)
    core.probe.forwarded_ack(heard.src, message.origin, message.number)


def _on_nack(core: Core, message: Nack, heard: Heard, outbox: Outbox) -> None:
    _refuse_ourselves(core, message.target)
    core.probe.nack(heard.src, message.target, message.number)


def _on_announce(core: Core, message: Announce, heard: Heard, outbox: Outbox) -> None:
    core.send(heard.src, Feed(), outbox, lambda room: sync.feed(core, heard.src, room))


def _on_sync_request(core: Core, message: SyncRequest, heard: Heard, outbox: Outbox) -> None:
    sync.take_request(core, heard.src, message.digest, heard.now, outbox)


def _on_sync_part(core: Core, message: SyncPart, heard: Heard, outbox: Outbox) -> None:
    sync.take_part(core, heard.src, heard.updates, message.asks, heard.now, outbox)
    if heard.learned:
        sync.hasten(core, heard.now, outbox)


def _on_turn_undead(core: Core, message: TurnUndead, heard: Heard, outbox: Outbox) -> None:
    rejoin_or_become_undead(core, heard.now, outbox, message.later)
    judge_connection(core, heard.now, outbox)


def _refuse_ourselves(core: Core, third: MemberId) -> None:
    if third.key == core.identity.key:
        raise IndirectForOurselvesError(f"an indirect message names {third}, which is us, as the third party")


_REACTIONS: dict[type[Message], Callable[[Core, Any, Heard, Outbox], None]] = {
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
