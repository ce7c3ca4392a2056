"""The members in a file, so that a node that restarts knows them at once.

    file   = SHA-256 of the rest, [2, network, own peer, unix seconds, [member, ...]] as msgpack
    member = [record, incarnation, state, proof]

* The file is replaced as a whole (`runtime.files`), on the pool, with at most 16,384 members: a crash leaves the
  previous one.
* A file that is corrupt, of a later version or with a false record or proof is quarantined as `NAME.corrupt`, with the
  reason logged; the node then starts as if there were none. A file of another network or node stays until it is
  overwritten.
* A file of an earlier version is set aside as `NAME.version-N`: the records in it prove nothing in this one.
* The file is trusted no more than a stranger: each record is signed by its own peer, and SWIM finds out who is alive.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Self

import msgpack
from msgspec import Struct

from ....runtime.files import check_folder, read_file, replace_file
from ....transport.core.untrusted import unpack
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.record import MAX_RECORD_BYTES, PeerRecord
from ..core.proofs import shows
from ..swim import PROOF_BYTES, Member, MemberId, State

NOT_LOADED = "no members from the file"
"""What is logged of one that cannot be used."""
MAX_MEMBERS = 16_384
MAX_BYTES = MAX_MEMBERS * (MAX_RECORD_BYTES + 16 + PROOF_BYTES)
_VERSION = 2
_DIGEST = hashlib.sha256().digest_size


class SnapshotError(Exception):
    """There is something at the file's place that is no file to be read and replaced; the text names it."""


class UnusableSnapshot(Exception):
    """The file is not a usable snapshot; the text says why."""

    suffix = ".corrupt"
    """What the name of the file gets."""


class EarlierSnapshot(UnusableSnapshot):
    """It is of an earlier version."""

    def __init__(self, version: int) -> None:
        self.suffix = f".version-{version}"
        super().__init__(
            f"it is of version {version}, whose records prove nothing in version {_VERSION}: it is set aside with "
            f"{self.suffix} behind its name"
        )


class SavedMember(Struct, frozen=True):
    """A member in the file, as it was when the file was written. proof: of its incarnation, of Left its farewell."""

    record: PeerRecord
    incarnation: int
    state: State
    proof: bytes = b""

    @property
    def member(self) -> Member:
        """This member as `Swim` takes it."""
        life = MemberId(self.record.peer, self.record.generation)
        return Member(life, self.incarnation, self.state, (), self.proof)


class Snapshot(Struct, frozen=True):
    """The content of the file. own: the node that wrote it. at: unix seconds at which it did."""

    network: str
    own: PeerId
    at: float
    members: tuple[SavedMember, ...] = ()

    def encode(self) -> bytes:
        """The bytes of the file, with the first 16,384 members."""
        members = [
            (each.record.encode(), each.incarnation, int(each.state), each.proof) for each in self.members[:MAX_MEMBERS]
        ]
        packed = bytes(msgpack.packb((_VERSION, self.network, self.own, self.at, members)))
        return hashlib.sha256(packed).digest() + packed

    @classmethod
    def decode(cls, data: bytes, *, network: str, own: PeerId) -> Self | None:
        """Decode a file; None if another network's or node's. Raises UnusableSnapshot."""
        if len(data) > MAX_BYTES:
            raise UnusableSnapshot(f"it has more than {MAX_BYTES} bytes")
        if hashlib.sha256(data[_DIGEST:]).digest() != data[:_DIGEST]:
            raise UnusableSnapshot("its checksum is wrong")
        match unpack(data[_DIGEST:], "it", UnusableSnapshot, items=MAX_MEMBERS, text=-1, size=MAX_RECORD_BYTES):
            case [int(version), *_] if 1 <= version < _VERSION:
                raise EarlierSnapshot(int(version))
            case [int(version), *_] if version != _VERSION:
                raise UnusableSnapshot(f"it is of version {version}, not {_VERSION}")
            case [_, str(found), bytes(key), float(at), list(members)]:
                if (found, key) != (network, own):
                    return None
                return cls(network, own, at, tuple(_saved_member(each, network) for each in members))
            case _:
                raise UnusableSnapshot("it is no list of members")


def _saved_member(item: object, network: str) -> SavedMember:
    match item:
        case [bytes(record), int(incarnation), int(state), bytes(proof)]:
            try:
                saved = SavedMember(PeerRecord.decode(record, network=network), incarnation, State(state), proof)
                proved = shows(saved.record.chain, saved.record.farewell, saved.member)
            except (DecodeError, ValueError) as error:  # or something is out of bounds
                raise UnusableSnapshot(f"a member in it is wrong: {error}") from None
            if not proved:
                raise UnusableSnapshot("a member in it is wrong: its proof is not that of its record")
            return saved
        case _:
            raise UnusableSnapshot("a member in it is no record with incarnation, state and proof")


def check(path: Path) -> None:
    """See that the file can be read and replaced, or made. Raises SnapshotError. Changes nothing."""
    try:
        check_folder(path.parent)
        read_file(path, 0)
    except FileNotFoundError:
        pass  # to be made
    except OSError as error:
        raise SnapshotError(f"cannot read {path}: {error.strerror or error}") from error


def foresee(path: Path, *, network: str, own: PeerId) -> str | None:
    """What will be logged of the file when a node begins with it; None if nothing. Changes nothing."""
    try:
        Snapshot.decode(read_file(path, MAX_BYTES), network=network, own=own)
    except FileNotFoundError:
        pass
    except (UnusableSnapshot, OSError) as error:
        return f"{NOT_LOADED}: {path}: {error}"
    return None


def save(path: Path, snapshot: Snapshot) -> int:
    """Write the file; returns its size in bytes. Raises OSError."""
    data = snapshot.encode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(path, data)
    return len(data)


def load(path: Path, *, network: str, own: PeerId) -> Snapshot | UnusableSnapshot | None:
    """Read the file; None if there is none for this node. An unusable file is set aside. Raises OSError."""
    try:
        return Snapshot.decode(read_file(path, MAX_BYTES), network=network, own=own)
    except FileNotFoundError:
        return None
    except UnusableSnapshot as error:
        os.replace(path, path.with_name(path.name + error.suffix))
        return error
