"""The tables of the address book's file, its versions and rows.

* `PRAGMA user_version` counts the migrations that a file has had. Migration n makes version n out of n - 1; what stands
  here once never changes, a change is one migration more.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from ....transport.address import Address
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.record import PeerRecord, address_of_version_1
from .storage import PeerEntry

APPLICATION_ID = 0x526F6F6B  # "Rook": that a file with tables is ours
_PEER = "BLOB PRIMARY KEY CHECK (typeof(peer) = 'blob' AND length(peer) = 32)"

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        f"""CREATE TABLE peers (
            peer {_PEER}, address TEXT, signed BLOB, source BLOB, seen_at REAL, failed_at REAL, missed_at REAL,
            delay REAL NOT NULL, reservable_at REAL, retry_at REAL, rest_until REAL, saved_at REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE TABLE blocks (target TEXT PRIMARY KEY, until REAL NOT NULL, saved_at REAL NOT NULL) WITHOUT ROWID",
        f"CREATE TABLE trust (peer {_PEER}, trusted INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    ),
)

PEER_COLUMNS = (
    "peer",
    "address",
    "signed",
    "source",
    "seen_at",
    "failed_at",
    "missed_at",
    "delay",
    "reservable_at",
    "retry_at",
    "rest_until",
    "saved_at",
)
COLUMNS = {
    "peers": PEER_COLUMNS,
    "blocks": ("target", "until", "saved_at"),
    "trust": ("peer", "trusted"),
    "facts": ("name", "value"),
}
"""What the newest version has, to tell a file of ours from one that only says so."""
HEAD_BYTES = 100
"""How much of the beginning of a file `check_head` reads."""
_HEAD = struct.Struct(">60x i 4x I 28x")  # the header of SQLite's files: user version and application id
_MOMENTS = ("seen_at", "failed_at", "missed_at", "reservable_at", "retry_at", "rest_until")  # None for never


class TooNew(Exception):
    """The file has had migrations that this program does not know. found, known: versions."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(f"version {found}, and this program knows {known}")
        self.found = found
        self.known = known


class Foreign(Exception):
    """A database, but no address book."""


def migrate(connection: sqlite3.Connection, migrations: Sequence[Sequence[str]] = MIGRATIONS) -> int:
    """Bring a file to the newest version, in one transaction, or make its tables; the version it had.

    Raises TooNew or Foreign, with nothing changed, or what SQLite raises.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables and application != APPLICATION_ID:
        raise Foreign("it is another program's database")
    if version > len(migrations):
        raise TooNew(version, len(migrations))
    if version < 0 or bool(version) != bool(tables):
        raise Foreign(f"it has {tables} tables and says that it is version {version}")
    if version < len(migrations):
        with transaction(connection):
            for statement in chain.from_iterable(migrations[version:]):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
    return int(version)


def check_head(head: bytes) -> None:
    """Raise TooNew if a file that begins like this is an address book that `migrate` refuses as such."""
    if len(head) == HEAD_BYTES:
        version, application = _HEAD.unpack(head)
        if application == APPLICATION_ID and version > len(MIGRATIONS):
            raise TooNew(version, len(MIGRATIONS))


def check_whole(connection: sqlite3.Connection) -> None:
    """Look whether a file is whole. Raises Foreign, or what SQLite raises."""
    (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise Foreign(str(said))


def check_tables(connection: sqlite3.Connection) -> None:
    """Look whether a file of the newest version has the tables it should have. Raises Foreign."""
    for table, columns in COLUMNS.items():
        found = tuple(name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})"))
        if found != columns:
            raise Foreign(f"its table {table} has the columns {', '.join(found) or 'of none'}")


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of what is done inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have done so by itself
            connection.execute("ROLLBACK")
        raise


def to_row(entry: PeerEntry) -> tuple[Any, ...]:
    """An entry as a row of `peers`. An address that the peer's own record says is not written twice."""
    row = {name: getattr(entry, name) for name in PEER_COLUMNS}
    signed = entry.signed
    row["address"] = None if signed is not None and signed.address == entry.address else str(entry.address)
    row["signed"] = None if signed is None else signed.encode()
    return tuple(row.values())


def from_row(values: tuple[Any, ...], network: str) -> PeerEntry:
    """The entry in a row. Raises ValueError or TypeError for what nobody wrote.

    Signatures are not looked at: the file is as private as the key, and 100,000 of them would take ten seconds. Of a
    record of protocol version 1 the address is left, which is worth a try; the next write of that peer drops the rest.
    """
    row = dict(zip(PEER_COLUMNS, values, strict=True))
    signed, address = (None, None) if row["signed"] is None else _read_signed(row["signed"], network)
    if signed is not None and signed.peer != row["peer"]:
        raise ValueError("the record of another peer")
    if row["address"] is not None:
        address = Address.parse(row["address"])
    if address is None:
        raise ValueError("no address")
    return PeerEntry(
        peer=PeerId(row["peer"]),
        address=address,
        signed=signed,
        source=None if row["source"] is None else PeerId(row["source"]),
        delay=float(row["delay"]),
        saved_at=float(row["saved_at"]),
        **{name: None if row[name] is None else float(row[name]) for name in _MOMENTS},
    )


def _read_signed(data: bytes, network: str) -> tuple[PeerRecord | None, Address | None]:
    """The record of a row, and the address that it says. DecodeError for what is none."""
    try:
        record = PeerRecord.decode(data, network=network, verify=False)
    except DecodeError:
        return None, address_of_version_1(data)
    return record, record.address
