"""Peers made from names, and the simulation that knows them."""

from __future__ import annotations

import hashlib
from typing import Any

from ..runtime import Mailbox, Simulation
from ..transport import Address, Identity, Life, OwnRecord, PeerId, PeerRecord
from .mocks import mock

NETWORK = "test"
"""The network of simulated records."""


class Peers:
    """Identities made from names, the same in every run."""

    def __init__(self) -> None:
        """Keys are derived at first use, lives likewise."""
        self._identities: dict[str, Identity] = {}
        self._lives: dict[tuple[PeerId, int], Life] = {}

    def identity(self, name: str) -> Identity:
        """The key of the peer called `name`."""
        identity = self._identities.get(name)
        if identity is None:
            seed = hashlib.sha256(f"rookery simulation {name}".encode()).digest()
            identity = self._identities[name] = Identity.from_seed(seed)
        return identity

    def add(self, name: str, identity: Identity) -> None:
        """From now on the peer called `name` has this key."""
        self._identities[name] = identity

    def life(self, name: str, generation: int = 1) -> Life:
        """A life of the peer called `name`: what it alone can show."""
        return self._life(self.identity(name), generation)

    def _life(self, identity: Identity, generation: int) -> Life:
        life = self._lives.get((identity.peer, generation))
        if life is None:
            life = self._lives[identity.peer, generation] = Life(identity, generation)
        return life

    def own(self, record: PeerRecord) -> OwnRecord:
        """The record of one of these peers and the life that begins with it, as its transport answers `record()`.

        Raises LookupError for a peer that is none of these.
        """
        identity = next((each for each in self._identities.values() if each.peer == record.peer), None)
        if identity is None:
            raise LookupError(f"the key of {record.peer.short} is not known here")
        return OwnRecord(record, self._life(identity, record.generation))

    def record(self, name: str, address: str = "tcp://10.0.0.1:7000", *, generation: int = 1) -> PeerRecord:
        """A signed record of the peer called `name`."""
        identity = self.identity(name)
        return PeerRecord.sign(
            identity,
            network=NETWORK,
            address=Address.parse(address),
            generation=generation,
            life=self._life(identity, generation),
        )


class PeerSimulation(Simulation):
    """A simulation that also makes peers and mock mailboxes; the fixture `simulation`."""

    def __init__(self, seed: int | str) -> None:
        """seed: of everything that happens by chance."""
        super().__init__(seed)
        self.known = Peers()

    def peers(self, *names: str) -> tuple[PeerId, ...]:
        """The ids of the peers called so."""
        return tuple(self.known.identity(name).peer for name in names)

    def mock(self, kind: type[Mailbox], name: str | None = None) -> Any:
        """A mock of this mailbox whose replies step this simulation; see `mock`."""
        return mock(kind, name, waits=self)
