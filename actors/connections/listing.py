"""The list of connections, made in slices: it may be long."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from ...runtime import Reply
from .messages import Connection
from .table import Peer, Table

LISTED_PER_SLICE = 500


class Listing:
    """The open connections, oldest first, each as it is when its slice comes."""

    def __init__(self, table: Table, tags_of: Callable[[Peer], dict[str, int]]) -> None:
        """Those that are in the table now; who is gone when its slice comes is left out."""
        self.reply: Reply[tuple[Connection, ...]] = Reply()
        self._table = table
        self._tags_of = tags_of
        self._left = iter(table.link_ids())
        self._rows: list[Connection] = []

    def slice(self, now: float) -> bool:
        """List some more; False once the reply is given."""
        ids = list(islice(self._left, LISTED_PER_SLICE))
        for id in ids:
            row = self._row(id, now)
            if row is not None:
                self._rows.append(row)
        if len(ids) == LISTED_PER_SLICE:
            return True
        self.reply.set(tuple(self._rows))
        return False

    def _row(self, link_id: int, now: float) -> Connection | None:
        table = self._table
        found = table.find(link_id)
        if found is None:
            return None
        peer, link = found
        tags = self._tags_of(peer)
        return Connection(
            link=link,
            value=peer.value,
            tags=tags,
            protections=tuple(sorted(table.protections.get(peer.id, ()))),
            busy=table.busy.get(peer.id, 0),
            in_grace=table.in_grace(peer, now),
            age=now - link.opened_at,
        )
