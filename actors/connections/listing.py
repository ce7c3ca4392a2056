"""The list of connections, made in slices: it may be long."""

from __future__ import annotations

from collections.abc import Callable, Generator

from ...transport.gatekeeper import Link
from .messages import Connection
from .table import Peer, Table


def listing(
    table: Table, tags_of: Callable[[Peer], dict[str, int]], now: Callable[[], float]
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


def _row(table: Table, peer: Peer, link: Link, tags_of: Callable[[Peer], dict[str, int]], now: float) -> Connection:
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
