"""What a node says of itself, in plain values that travel and print: peers and addresses are texts, times seconds."""

from __future__ import annotations

from typing import TypeVar

import msgpack
from msgspec import Struct
from msgspec.structs import astuple

from ...actors.connections import Connection
from ...actors.membership import MemberInfo, Members, is_secondary
from ...actors.tracker import PeerInfo
from ...transport import Role

R = TypeVar("R", bound=Struct)


class Status(Struct, frozen=True):
    """One node at one moment.

    peer: its id. address: what others dial. uptime: seconds. connected: open connections; closing: chosen to be closed
    and not yet gone. short_lived: connections for fetches beside those, of at most short_lived_places. members: how
    many nodes the membership holds for alive, this one included. blocked: peers.
    upkeep: one line that says why the connections are inside their bounds or not, and what is done about it.
    It says instead if the listening socket is gone, as nobody can connect then.
    limits: one line: the most connections, packet links and silent connections, and the file descriptors they are for.
    """

    peer: str
    address: str
    network: str
    pid: int
    uptime: float
    source: str
    admission: str
    connected: int
    closing: int
    short_lived: int
    short_lived_places: int
    members: int
    blocked: int
    upkeep: str
    limits: str


class PeerRow(Struct, frozen=True):
    """A peer that is known for any reason. role: "" for one that no peer set lists. state: "", `connecting` or
    `connected`. address: where it would be dialled.

    last_seen: when a link to it last opened or ended; last_failure: when a dial of it last failed; quiet_until: how
    long it is left alone; all unix seconds, None for never and for not at all. backoff: seconds, of its last failure.
    blocked_until: of the peer or of its IP, unix seconds, infinite for good, None without a block.
    """

    peer: str
    role: str
    state: str
    address: str | None
    last_seen: float | None
    last_failure: float | None
    quiet_until: float | None
    backoff: float
    trusted: bool
    blocked: bool
    blocked_until: float | None

    @property
    def connected(self) -> bool:
        """Whether there is a connection to it."""
        return self.state == "connected"


class BlockRow(Struct, frozen=True):
    """A block in force. target: a peer, an IP or a network of IPs. until: unix seconds, infinite for good."""

    target: str
    until: float


class ConnectionRow(Struct, frozen=True):
    """An open connection. direction: who dialled. ip: the other end's. address: what the peer says others dial.

    age: seconds since it opened. value: what the peer is worth, the sum of its tags. protections: why no trim closes
    it. in_grace: whether it is too new to be closed. short_lived: it is for a fetch, and counted nowhere.
    """

    peer: str
    direction: str
    role: str
    ip: str
    address: str | None
    age: float
    value: int
    tags: dict[str, int]
    protections: tuple[str, ...]
    in_grace: bool
    short_lived: bool


class MemberRow(Struct, frozen=True):
    """A node that the membership knows.

    state: `alive`, `suspect` or `down`. since: unix seconds at which it came up or went down. rtt: seconds that its
    answers take on average, None before the first. role: `primary` or `secondary`, as its tags say. generation: of its
    record: which life of the node it is. incarnation: how often it has objected to being suspected.
    """

    peer: str
    state: str
    address: str | None
    since: float
    rtt: float | None
    role: str
    generation: int
    incarnation: int
    tags: dict[str, str]


_STATES = {"inert": "", "reserved": "connecting", "active": "connected"}


def peer_rows(known: tuple[PeerInfo, ...]) -> tuple[PeerRow, ...]:
    """Of everybody, by id."""
    return tuple(
        PeerRow(
            peer=str(info.peer),
            role="" if info.role is None else info.role.value,
            state=_STATES[info.state.value],
            address=None if info.address is None else str(info.address),
            last_seen=info.last_seen,
            last_failure=info.last_failure,
            quiet_until=info.quiet_until,
            backoff=info.backoff,
            trusted=info.trusted,
            blocked=info.blocked_until is not None,
            blocked_until=info.blocked_until,
        )
        for info in sorted(known, key=lambda info: info.peer)
    )


def connection_rows(connections: tuple[Connection, ...]) -> tuple[ConnectionRow, ...]:
    """In the order given."""
    return tuple(
        ConnectionRow(
            peer=str(each.link.peer),
            direction=each.link.direction.value,
            role=each.link.role.value,
            ip=each.link.ip,
            address=None if each.link.record.address is None else str(each.link.record.address),
            age=each.age,
            value=each.value,
            tags=each.tags,
            protections=each.protections,
            in_grace=each.in_grace,
            short_lived=each.link.short_lived,
        )
        for each in connections
    )


def member_rows(members: Members) -> tuple[MemberRow, ...]:
    """Of every node but this one."""
    return tuple(_member_row(member) for member in members.others)


def _member_row(member: MemberInfo) -> MemberRow:
    address = member.record.address
    return MemberRow(
        peer=str(member.peer),
        state=member.state.name.lower(),
        address=None if address is None else str(address),
        since=member.since,
        rtt=member.rtt,
        role=Role.SECONDARY.value if is_secondary(member.record) else Role.PRIMARY.value,
        generation=member.record.generation,
        incarnation=member.incarnation,
        tags=dict(member.tags),
    )


def pack(rows: tuple[Struct, ...]) -> bytes:
    """Many rows as bytes, which the pool makes, so that the node has nothing to do but send them.

    They are of one kind, with fields of plain values: each becomes a list, in order of the fields.
    """
    if not rows:
        return b"\x90"
    packed: bytes = msgpack.packb([astuple(row) for row in rows])
    return packed


def unpack(kind: type[R], packed: bytes) -> tuple[R, ...]:
    """The rows again."""
    return tuple(kind(*values) for values in msgpack.unpackb(packed))
