"""What is told of connections and their peers: values made from the table, as of one moment."""

from __future__ import annotations

from collections.abc import Callable, Generator

from msgspec import Struct

from ....transport.gatekeeper import Link
from .peer import Peer
from .peer_table import PeerTable


class TagInfo(Struct, frozen=True):
    """What is known of a peer. first_seen: monotonic seconds. value: the sum of all `tags`, decaying ones among them.

    conns: its open connections by link id, oldest first.
    """

    first_seen: float
    value: int
    tags: dict[str, int]
    conns: dict[int, Link]


class Info(Struct, frozen=True):
    """What there is. eligible, in_grace, protected: the open connections by whether a trim may close them.

    temporary: peers with tags and without a connection. low_water, high_water: None if it trims only when asked.
    last_trim: monotonic seconds, None before the first. grace_period: seconds.
    """

    open: int
    closing: int
    eligible: int
    in_grace: int
    protected: int
    temporary: int
    low_water: int | None
    high_water: int | None
    grace_period: float
    last_trim: float | None


class Connection(Struct, frozen=True):
    """An open connection with what is known of its peer. protections: the names, in order. age: seconds it is open."""

    link: Link
    value: int
    tags: dict[str, int]
    protections: tuple[str, ...]
    busy: int
    in_grace: bool
    age: float


class TrimReport(Struct, frozen=True):
    """What a trim did. closed: links that are gone.

    short_by: by how many the connections that are left are above the target. Why: `protected` and `in_grace` ones may
    not be closed (an emergency closes them too), and `unclosed` ones were told to and did not end in time.
    """

    closed: tuple[Link, ...]
    short_by: int
    protected: int = 0
    in_grace: int = 0
    unclosed: int = 0


def list_connections(
    table: PeerTable, tags_of: Callable[[Peer], dict[str, int]], now: Callable[[], float]
) -> Generator[int, None, tuple[Connection, ...]]:
    """The connections that are in the table now, oldest first; yields after each one.

    Each is listed as it is when its turn comes; who is gone by then is left out.
    """
    rows: list[Connection] = []
    for link_id in table.link_ids():
        found = table.find(link_id)
        if found is not None:
            rows.append(_row(table, *found, tags_of, now()))
        yield 1
    return tuple(rows)


def _row(table: PeerTable, peer: Peer, link: Link, tags_of: Callable[[Peer], dict[str, int]], now: float) -> Connection:
    tags = tags_of(peer)  # the value of a peer is brought up to date by it
    return Connection(
        link=link,
        value=peer.value,
        tags=tags,
        protections=tuple(sorted(table.protections.get(peer.id, ()))),
        busy=table.busy.get(peer.id, 0),
        in_grace=table.in_grace(peer, now),
        age=now - link.opened_at,
    )
