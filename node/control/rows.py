"""What the parts of a node say, as rows of plain values."""

from __future__ import annotations

from ...actors.connections import Connection
from ...actors.membership import MemberInfo, Members, is_secondary
from ...actors.tracker import PeerInfo
from ...transport import Role
from ..status import ConnectionRow, MemberRow, PeerRow

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
