"""Compose a node of your own: epochs drive the tracker, and a database stands behind a resolver.

    python examples/compose.py [FOLDER]

The application keeps rows in SQLite, under the SHA-256 of their value. In each epoch it knows who takes part and which
rows there should be. Its nodes connect to the epoch's peers and fetch the rows they miss. Here two of them run in one
process, and each has what the other misses. Neither membership nor blobs are needed, so they are not started.
"""

from __future__ import annotations

import hashlib
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from rookery import transport
from rookery.actors import connections, maintenance, resolver, tracker
from rookery.config import load
from rookery.config.node import GENERATION
from rookery.node.new import make_node
from rookery.runtime import Reply, ThreadRuntime
from rookery.transport import Address, PeerId, keyfile

CHANNEL = 16  # 16 to 255 are the application's
YAML = """
transport: {network: compose, listen: "tcp://127.0.0.1:0"}
tracker: {source: application, admission: tracked}
"""
TABLES = """
CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, value BLOB);
CREATE TABLE IF NOT EXISTS peers (epoch INTEGER, peer BLOB, address TEXT);
CREATE TABLE IF NOT EXISTS expected (epoch INTEGER, key BLOB);
"""


@dataclass(frozen=True, slots=True)
class Epoch:
    """Who takes part from now on, and which rows are not here yet."""

    id: int
    addresses: dict[PeerId, Address | None]
    missing_keys: list[bytes]


class Database:
    """The application's data: a resolver's producer and consumer.

    A resolver calls `produce` and `deliver` on its own thread, which must not wait for a disk. So all of SQLite runs on
    one thread of the runtime's pool, and they return a `Reply`.
    """

    def __init__(self, path: Path, runtime: ThreadRuntime) -> None:
        """Open the file, or make it. runtime: whose pool is used; stop it before `close`."""
        self._sql = sqlite3.connect(path, check_same_thread=False)
        self._sql.executescript(TABLES)
        self._runtime = runtime
        self._stored: SimpleQueue[bytes] = SimpleQueue()

    # For the resolver

    def produce(self, key: bytes) -> Reply[bytes | None]:
        """The value of a row, None if it is not here."""
        return self._runtime.work(self._read, key, serial="database")

    def deliver(self, delivery: resolver.Delivery, value: bytes) -> Reply[resolver.Outcome]:
        """Store what a peer gave, if it is what was asked for; else the resolver blocks the peer and asks another."""
        return self._runtime.work(self._store, delivery.key, value, serial="database")

    # For the application

    def put(self, value: bytes) -> bytes:
        """Store a row; its key."""
        key = hashlib.sha256(value).digest()
        self._runtime.work(self._store, key, value, serial="database").get(timeout=5)
        return key

    def get(self, key: bytes) -> bytes | None:
        """The value of a row, None if it is not here."""
        return self.produce(key).get(timeout=5)

    def begin(self, epoch: int, addresses: dict[PeerId, Address], expected: list[bytes]) -> None:
        """A new epoch begins."""
        self._runtime.work(self._begin, epoch, addresses, expected, serial="database").get(timeout=5)

    def epochs(self) -> list[Epoch]:
        """Every epoch so far, oldest first."""
        return self._runtime.work(self._epochs, serial="database").get(timeout=5)

    def wait(self, keys: list[bytes], timeout: float) -> None:
        """Return when these rows have come. Raises `queue.Empty` if none comes for `timeout` seconds."""
        left = set(keys)
        while left:
            left.discard(self._stored.get(timeout=timeout))

    def close(self) -> None:
        """Close the file."""
        self._sql.close()

    # On the pool's thread

    def _read(self, key: bytes) -> bytes | None:
        row = self._sql.execute("SELECT value FROM rows WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def _store(self, key: bytes, value: bytes) -> resolver.Outcome:
        if hashlib.sha256(value).digest() != key:
            return resolver.Outcome.INVALID
        with self._sql:
            self._sql.execute("INSERT OR IGNORE INTO rows VALUES (?, ?)", (key, value))
        self._stored.put(key)
        return resolver.Outcome.COMPLETE

    def _begin(self, epoch: int, addresses: dict[PeerId, Address], expected: list[bytes]) -> None:
        peers = [(epoch, bytes(peer), str(address)) for peer, address in addresses.items()]
        with self._sql:
            self._sql.executemany("INSERT INTO peers VALUES (?, ?, ?)", peers)
            self._sql.executemany("INSERT INTO expected VALUES (?, ?)", [(epoch, key) for key in expected])

    def _epochs(self) -> list[Epoch]:
        found: dict[int, Epoch] = {}
        for epoch, peer, address in self._sql.execute("SELECT epoch, peer, address FROM peers ORDER BY epoch"):
            found.setdefault(epoch, Epoch(epoch, {}, [])).addresses[PeerId(peer)] = Address.parse(address)
        for epoch, key in self._sql.execute("SELECT epoch, key FROM expected WHERE key NOT IN (SELECT key FROM rows)"):
            found[epoch].missing_keys.append(key)
        return list(found.values())


@dataclass(frozen=True, slots=True)
class Application:
    """What this program does with a node: its database, and the two mailboxes that it talks to."""

    peer: PeerId
    address: Address
    database: Database
    peers: tracker.Mailbox
    data: resolver.Mailbox

    def follow_epochs(self) -> None:
        """Track each epoch's peers, and fetch the rows that are missing."""
        for epoch in self.database.epochs():
            self.peers.track(epoch.id, epoch.addresses).get(timeout=5)  # raises StaleSetId, PeerSetTooLarge
            self.data.fetch_all(epoch.missing_keys)


@contextmanager
def application(folder: Path) -> Iterator[Application]:
    """One node, from the `node.yaml` in `folder`. Leaving stops its engines in reverse order, then closes the file."""
    config = load(folder)
    identity = keyfile.load(config.key)
    config.data.mkdir(mode=0o700, exist_ok=True)
    generations = transport.GenerationFile(config.data / GENERATION, identity.peer)  # so that a restart is told apart
    runtime = ThreadRuntime(identity.peer.short)
    with closing(Database(folder / "app.sqlite", runtime)) as database, runtime:
        net = runtime.mailbox(transport.Mailbox)  # mailboxes first: they queue until their engine starts
        peers = runtime.mailbox(tracker.Mailbox)
        conns = runtime.mailbox(connections.Mailbox)
        upkeep = runtime.mailbox(maintenance.Mailbox)
        data = runtime.mailbox(resolver.Mailbox)
        observers = (conns, peers)
        runtime.start(
            net,
            transport.Engine,
            config.transport,
            identity=identity,
            gatekeeper=peers,
            observers=observers,
            generations=generations,
        )
        runtime.start(peers, tracker.Engine, config.tracker, transport=net, me=identity.peer)
        runtime.start(conns, connections.Engine, config.connections, transport=net)
        runtime.start(upkeep, maintenance.Engine, config.maintenance, tracker=peers, connections=conns, transport=net)
        runtime.start(
            data,
            resolver.Engine,
            config.resolver,
            transport=net,
            tracker=peers,
            maintenance=upkeep,
            connections=conns,
            channel=CHANNEL,
            producer=database,
            consumer=database,
        )
        address = net.listen().get(timeout=5)  # every channel is registered by now
        upkeep.activate()
        yield Application(identity.peer, address, database, peers, data)


def main(folder: Path) -> None:
    """Two nodes, a row on each, and an epoch in which both rows are expected on both."""
    for name in ("alice", "bob"):
        make_node(folder / name, YAML)
    with application(folder / "alice") as alice, application(folder / "bob") as bob:
        rows = [alice.database.put(b"written by alice"), bob.database.put(b"written by bob")]
        addresses = {alice.peer: alice.address, bob.peer: bob.address}
        for node in (alice, bob):
            node.database.begin(1, addresses, expected=rows)
            node.follow_epochs()
        for name, node in (("alice", alice), ("bob", bob)):
            node.database.wait(rows, timeout=20)
            print(name, "has", [node.database.get(key) for key in rows])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder_name:
            main(Path(folder_name))
