"""The content of one packet: a SWIM packet, signed records beside it, and the peers whose records the sender asks for.

    envelope = [2, swim, [record, ...], [peer, ...]]

* Each of the three parts may be empty; `swim` is then zero bytes.
* At most 32 records of at most 1,088 bytes, and 32 peers of 32 bytes, as 32 signatures are checked in a few
  milliseconds. A peer that wants more asks again.
* Input that breaks a rule raises DecodeError and nothing else, and a length that the packet claims allocates nothing.
  The records themselves are checked by `records`.
"""

from __future__ import annotations

from typing import Self

import msgpack
from msgspec import Struct

from ....runtime.arguments import shortened
from ....transport.core.untrusted import unpack
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.record import MAX_RECORD_BYTES
from ..config import MAX_SWIM_BYTES
from ..swim.codec import encode_header, keys_named_in
from ..swim.member import KEY_BYTES, Member, MemberId
from ..swim.messages import (
    Ack,
    Announce,
    Broadcast,
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

MAX_RECORDS = 32
MAX_WANTED = 32
_VERSION = 2
_PARTS = 4
_NOBODY = MemberId(bytes(KEY_BYTES), 0)


def _head(message: Message) -> bytes:
    return encode_header(Header(_NOBODY, 0, _NOBODY, message))[:3]  # the array's head, version and kind


_TURN_UNDEAD = TurnUndead(Member(_NOBODY))
_FEED_HEAD, _TURN_UNDEAD_HEAD, _ANNOUNCE_HEAD = _head(Feed()), _head(_TURN_UNDEAD), _head(Announce())
_MESSAGES: tuple[Message, ...] = (
    *(Ping(0), Ack(0), PingReq(_NOBODY, 0), IndirectPing(_NOBODY, 0), IndirectAck(_NOBODY, 0)),
    *(ForwardedAck(_NOBODY, 0), Nack(_NOBODY, 0), Announce(), Feed(), Gossip(), _TURN_UNDEAD, Broadcast()),
    *(SyncRequest(0), SyncPart(0)),
)
_KINDS = {_head(message): type(message).__name__ for message in _MESSAGES}


class Envelope(Struct, frozen=True):
    """One packet's content. records: encoded. wanted: the peers whose records the sender asks for."""

    swim: bytes = b""
    records: tuple[bytes, ...] = ()
    wanted: tuple[PeerId, ...] = ()

    def encode(self) -> bytes:
        """The bytes of the packet, at most 53,000."""
        packed: bytes = msgpack.packb((_VERSION, self.swim, self.records, self.wanted))
        return packed

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a packet. Raises DecodeError, which says what is wrong."""
        match unpack(data, "envelope", items=max(MAX_RECORDS, MAX_WANTED), size=MAX_SWIM_BYTES):
            case [version, *_] if type(version) is not int or version != _VERSION:
                raise DecodeError(f"envelope of version {shortened(version)}: allowed is {_VERSION}")
            case [_, bytes(swim), list(records), list(wanted)]:
                return cls(
                    swim,
                    _byte_strings(records, "a record", MAX_RECORD_BYTES),
                    tuple(_peer(key) for key in _byte_strings(wanted, "a wanted peer", KEY_BYTES)),
                )
            case _:
                raise DecodeError(f"envelope: not an array of {_PARTS} parts of the right types")


def kinds_of(envelope: Envelope) -> list[str]:
    """What a packet of another peer is, as the limits of senders count it; its SWIM packet by the first bytes."""
    kinds = [_KINDS.get(envelope.swim[: len(_FEED_HEAD)], "other")] if envelope.swim else []
    if envelope.wanted:
        kinds.append("wanted")
    return kinds or ["records"]


def named_in_feed(packet: bytes) -> list[PeerId] | None:
    """The members that a Feed of ours names; None if the SWIM packet is anything else."""
    return named_in(packet) if packet.startswith(_FEED_HEAD) else None


def named_in(packet: bytes) -> list[PeerId]:
    """The members of whom a SWIM packet of ours tells."""
    return [PeerId(key) for key in keys_named_in(packet)]


def is_turn_undead(packet: bytes) -> bool:
    """Whether a SWIM packet of ours tells its receiver that we hold it Down."""
    return packet.startswith(_TURN_UNDEAD_HEAD)


def is_announce(packet: bytes) -> bool:
    """Whether a SWIM packet of ours asks its receiver for the members."""
    return packet.startswith(_ANNOUNCE_HEAD)


def _byte_strings(items: list[object], what: str, max_bytes: int) -> tuple[bytes, ...]:
    for item in items:
        if not isinstance(item, bytes) or len(item) > max_bytes:
            raise DecodeError(f"envelope: {what} is at most {max_bytes} bytes")
    return tuple(item for item in items if isinstance(item, bytes))


def _peer(key: bytes) -> PeerId:
    try:
        return PeerId(key)
    except ValueError as error:
        raise DecodeError(f"envelope: {error}") from None
