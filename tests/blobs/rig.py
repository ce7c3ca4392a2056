"""The blobs engine between a mock resolver and a store; the test plays the peers."""

import hashlib
from typing import Any

from rookery.actors import blobs, providers, resolver
from rookery.actors.blobs import BlobKey, TreeBuilder
from rookery.actors.blobs.stores import Store
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.actors.resolver import Delivery, Outcome
from rookery.runtime import Reply
from rookery.transport.identity import PeerId

CHUNK = 128
UNKNOWN = hashlib.sha256(b"unknown").digest()


def noise(size: int, seed: bytes = b"noise") -> bytes:
    return hashlib.shake_256(seed).digest(size)


def put_bytes(data: bytes, store: Store, chunk_size: int = CHUNK) -> BlobKey:
    tree = TreeBuilder(store, chunk_size)
    for start in range(0, len(data), chunk_size):
        tree.add(data[start : start + chunk_size])
    return BlobKey(tree.finish())


class Rig:
    """`source` is what the other peers have, `store` what this node has."""

    def __init__(
        self,
        simulation: Any,
        store: Store | None = None,
        *,
        node: str = "node",
        providers: providers.Mailbox | None = None,
        **settings: Any,
    ) -> None:
        self.simulation = simulation
        self.node = simulation.node(node)
        self.source = MemoryStore()
        self.store = MemoryStore() if store is None else store
        self.resolver = simulation.mock(resolver.Mailbox)
        self.blobs: Any = self.node.start(
            blobs.Engine,
            blobs.Config(**{"chunk_size": CHUNK, "window": 4, **settings}),
            store=self.store,
            resolver=self.resolver,
            providers=providers,
        )
        self.asked: list[bytes] = []
        """What the resolver has been asked for and not told to forget, nor given."""
        self._seen = 0

    def stop(self) -> None:
        """The engine stops, with its node."""
        self.node.stop()

    def peer(self, name: str) -> PeerId:
        (peer,) = self.simulation.peers(name)
        return PeerId(peer)

    def news(self) -> list[tuple[str, bytes]]:
        """What the resolver was told since the last call: ("fetch" or "cancel", key)."""
        self.simulation.settle()
        messages = self.resolver.control.received()
        new, self._seen = messages[self._seen :], len(messages)
        told: list[tuple[str, bytes]] = []
        for message in new:
            if isinstance(message, resolver.FetchAll):
                told += [("fetch", fetch.data_key) for fetch in message.fetches]
            elif isinstance(message, resolver.Cancel):
                told.append(("cancel", message.data_key))
        for verb, key in told:
            self.asked.append(key) if verb == "fetch" else self.asked.remove(key)
        return told

    def fetched(self) -> list[bytes]:
        """What the resolver was asked for since the last call; it was told nothing else."""
        news = self.news()
        assert all(verb == "fetch" for verb, _ in news)
        return [key for _, key in news]

    def deliver(self, key: bytes, value: bytes | None = None, peer: str = "bob") -> Reply[Outcome]:
        """A block comes from a peer; by default the true one."""
        if value is None:
            value = self.source.get(key)
            assert value is not None
        reply: Reply[Outcome] = self.blobs.deliver(Delivery(key, ((),), self.peer(peer)), value)
        return reply

    def verdict(self, key: bytes, value: bytes | None = None, peer: str = "bob") -> Outcome:
        outcome = self.deliver(key, value, peer).get(timeout=1)
        if outcome in (Outcome.COMPLETE, Outcome.IGNORED) and key in self.asked:
            self.asked.remove(key)
        return outcome

    def serve(self, blocks: int = 1_000_000, peer: str = "bob") -> list[bytes]:
        """Answer what is asked for, until nothing is or so many blocks came. What came, in order."""
        served: list[bytes] = []
        self.news()
        while self.asked and len(served) < blocks:
            served.append(self.asked[0])
            assert self.verdict(self.asked[0], peer=peer) is Outcome.COMPLETE
            self.news()
        return served

    def count(self, name: str, *labels: str) -> float:
        value: float = self.node.registry.value(f"blobs_{name}", *labels)
        return value
