"""A peer's signed statement of where it is: what membership, peer exchange and discovery pass around.

* A record names network, peer, address, generation, metadata, and what the rest of this life is proved by: the end of
  its chain and the hash of its farewell (`identity.life`). The peer signs all of them, so nobody else can move a peer,
  carry it into another network, change its metadata, raise its incarnation or say that it has left.
* The address may be missing: such a peer dials others and cannot be dialled.
* The greater generation is the newer record (`generation` says where it begins; it rises with each renewal).
* Bounds: network 1 to 64 characters, each printable ASCII (space to tilde), generation an unsigned 64-bit integer,
  metadata at most 512 bytes, chain and farewell 16 bytes each, the whole at most 1,088 bytes.
* One record has one encoding; any other bytes, and any changed bit, are a `DecodeError`. Nothing else is raised.
* A record of another network is refused before its signature is looked at.
* Each record's signature is checked once per process, as long as it is among the 4,096 good ones that are kept: so many
  of each source that none pushes out those of another.

The encoding is the msgpack array
`[2, network, peer, address or nil, generation, metadata, chain, farewell, signature]`, every item in its shortest form;
the signature covers `rookery-record-2`, a zero byte, and the same array without its last item.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Self

import msgpack

from ..runtime.arguments import shortened
from .address import MAX_ADDRESS_TEXT, Address
from .core.untrusted import unpack
from .errors import DecodeError
from .identity import SIGNATURE_BYTES, Identity, PeerId
from .identity import verify as verify_signature
from .identity.life import PROOF_BYTES, Life
from .identity.verified import FairCache

MAX_NETWORK_NAME = 64
MAX_METADATA_BYTES = 512
MAX_RECORD_BYTES = 1088
MAX_GENERATION = 2**64 - 1
_VERSION = 2
_DOMAIN = b"rookery-record-2\0"
_FIELDS = 9

_KEPT = 4096


def check_network(name: str) -> str:
    """Return `name` if it may name a network; `ValueError` says what is allowed."""
    if not (1 <= len(name) <= MAX_NETWORK_NAME and name.isascii() and name.isprintable()):
        raise ValueError(
            f"network name {shortened(name)}: allowed are 1 to {MAX_NETWORK_NAME} printable ASCII characters"
        )
    return name


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """A peer's own statement. Fields are checked for form when it is made, the signature by `decode` or `verify`.

    chain, farewell: of the life that begins with this generation, see `Life.chain` and `Life.farewell_hash`.
    """

    peer: PeerId
    address: Address | None  # None: cannot be dialled
    generation: int
    metadata: bytes = field(repr=False)
    network: str
    chain: bytes = field(repr=False)
    farewell: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    _encoded: bytes | None = field(default=None, init=False, repr=False, compare=False)  # kept at the first use

    def __post_init__(self) -> None:
        check_network(self.network)
        if isinstance(self.generation, bool) or not 0 <= self.generation <= MAX_GENERATION:
            raise ValueError(f"record generation {self.generation}: allowed is 0 to 2^64 - 1")
        if len(self.metadata) > MAX_METADATA_BYTES:
            raise ValueError(f"record metadata of {len(self.metadata)} bytes: allowed are {MAX_METADATA_BYTES}")
        for what, proof in (("chain", self.chain), ("farewell", self.farewell)):
            if len(proof) != PROOF_BYTES:
                raise ValueError(f"record {what} of {len(proof)} bytes: allowed are exactly {PROOF_BYTES}")
        if len(self.signature) != SIGNATURE_BYTES:
            raise ValueError(f"record signature of {len(self.signature)} bytes: allowed are exactly {SIGNATURE_BYTES}")

    @classmethod
    def sign(
        cls,
        identity: Identity,
        *,
        network: str,
        address: Address | None,
        generation: int,
        metadata: bytes = b"",
        life: Life | None = None,
    ) -> Self:
        """Make the record of `identity`; `ValueError` if a field is out of its bounds.

        life: of this identity and generation, where it is there already; to make it takes 0.5 ms.
        """
        if life is None:
            life = Life(identity, generation)
        elif (life.peer, life.generation) != (identity.peer, generation):
            raise ValueError(f"{life} is not the life of {identity.peer.short} in generation {generation}")
        ends = life.chain, life.farewell_hash
        draft = cls(identity.peer, address, generation, metadata, network, *ends, bytes(SIGNATURE_BYTES))
        return replace(draft, signature=identity.sign(draft._signed_bytes()))

    def encode(self) -> bytes:
        """Return the record's only encoding, at most 1,088 bytes."""
        encoded = self._encoded
        if encoded is None:
            encoded = _pack([*self._statement(), self.signature])
            object.__setattr__(self, "_encoded", encoded)
        return encoded

    @staticmethod
    def decode(data: bytes, *, network: str, verify: bool = True, source: PeerId | None = None) -> PeerRecord:
        """Read a record of `network`; `DecodeError` for anything else. source: the peer that sent it.

        With `verify=False` the signature is not looked at; call `verify` before the record is believed.
        """
        record = _read(data, source)
        if record.network != network:
            raise DecodeError(f"record of network {record.network!r}: allowed is {network!r}")
        if verify and not record.verify(source=source):
            raise DecodeError(f"record of peer {record.peer.short}: the signature is not that peer's")
        return record

    def verify(self, *, source: PeerId | None = None) -> bool:
        """Tell whether the peer signed this record; about 0.1 ms the first time, a few microseconds afterwards.

        source: the peer that sent it, whose share of what is remembered it takes; None for all that have no sender.
        """
        digest = hashlib.sha256(self.encode()).digest()
        if digest in _verified:
            return True
        if not verify_signature(self.peer, self.signature, self._signed_bytes()):
            return False
        _verified.add(digest, True, source)
        return True

    def may_be_told(self, ip: str) -> bool:
        """Whether a peer that speaks from `ip` can use the address: loopback means something on one machine only."""
        if self.address is None:
            return False
        own = self.address.endpoint.ip
        return own is None or not own.is_loopback or ip_address(ip).is_loopback

    def newer_than(self, other: PeerRecord) -> bool:
        """Tell whether this record replaces `other`, of the same peer and network; `ValueError` if of another."""
        if (self.peer, self.network) != (other.peer, other.network):
            raise ValueError(f"records of {self.peer.short} and {other.peer.short}, or of two networks, have no order")
        return self.generation > other.generation

    def _statement(self) -> list[object]:
        address = None if self.address is None else str(self.address)
        ends = self.chain, self.farewell
        return [_VERSION, self.network, self.peer, address, self.generation, self.metadata, *ends]

    def _signed_bytes(self) -> bytes:
        return _DOMAIN + _pack(self._statement())


_verified: FairCache[bool] = FairCache(_KEPT)
_decoded: FairCache[PeerRecord] = FairCache(_KEPT)


def _read(data: bytes, source: PeerId | None) -> PeerRecord:
    """Decode form and bounds, not the signature. The same records come again and again, from everybody."""
    record = _decoded.get(data)
    if record is None:
        record = _decode(data)
        _decoded.add(data, record, source)
    return record


def _decode(data: bytes) -> PeerRecord:
    if len(data) > MAX_RECORD_BYTES:
        raise DecodeError(f"record of {len(data)} bytes: allowed are {MAX_RECORD_BYTES}")
    match unpack(data, "record", items=_FIELDS, text=MAX_ADDRESS_TEXT, size=MAX_METADATA_BYTES):
        case [int(version), *_] if version != _VERSION:
            raise DecodeError(f"record of version {version}: this node speaks {_VERSION}")
        case [
            _,
            str(network),
            bytes(peer),
            str() | None as text,
            int(generation),
            bytes(metadata),
            bytes(chain),
            bytes(farewell),
            bytes(signature),
        ]:
            try:
                address = None if text is None else Address.parse(text)
                name = sys.intern(network)  # of thousands of records it is the same
                record = PeerRecord(PeerId(peer), address, generation, metadata, name, chain, farewell, signature)
            except ValueError as error:
                raise DecodeError(f"record: {error}") from None
        case _:
            raise DecodeError(f"record: not an array of version {_VERSION} with {_FIELDS} items of the right types")
    # Also catches what compares equal yet is written otherwise: 1.0 for 1, a longer integer, an upper-case host.
    if record.encode() != data:
        raise DecodeError("record: not written in its shortest form")
    return record


def address_of_version_1(data: bytes) -> Address | None:
    """The address in a record of protocol version 1, which is no more than a hint: nobody can check its signature here.

    None if it says none. `DecodeError` for anything but such a record.
    """
    match unpack(data, "record", items=7, text=MAX_ADDRESS_TEXT, size=MAX_METADATA_BYTES):
        case [1, str(), bytes(), None, int(), bytes(), bytes()]:
            return None
        case [1, str(), bytes(), str(text), int(), bytes(), bytes()]:
            try:
                return Address.parse(text)
            except ValueError as error:
                raise DecodeError(f"record: {error}") from None
    raise DecodeError("record: not one of version 1")


def _pack(items: list[object]) -> bytes:
    packed: bytes = msgpack.packb(items)
    return packed
