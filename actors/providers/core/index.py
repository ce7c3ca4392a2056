"""Who says that it has which key: what an index member keeps for others.

* A provider is believed about itself, for a bounded number of keys and for the time that it says.
* The keys of one provider are in the order in which it told of them, so what is over stands first. Time is kept once
  for each batch, and hashes once for both ways to look: a key takes some 150 bytes.
* When all of the room is taken, a provider that has more than its share gives up its newest keys for one that has less.
* Of a key `MAX_HOLDERS` are kept. When they are full, one of a subnet that has few takes the place of one of the subnet
  that has the most.
* Who is gone is named no more from that moment; what it said is cleared away by `tidy`, in slices.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Hashable, Iterable
from itertools import islice

from msgspec import Struct, field

from ....transport.identity import PeerId

MAX_HOLDERS = 64
"""Providers that are kept of one key."""


class _Provider(Struct, eq=False):
    """One provider. keys: when it told of each, the oldest first. ttl: seconds, as it said last."""

    peer: PeerId
    subnet: Hashable
    ttl: float = 0.0
    keys: dict[bytes, float] = field(default_factory=dict)
    gone: bool = False

    def holds(self, hashed: bytes, now: float) -> bool:
        told = self.keys.get(hashed)
        return told is not None and not self.gone and told + self.ttl > now


class Named(Struct, frozen=True):
    """A provider of a key. age: seconds since it said so."""

    peer: PeerId
    age: float


class Index:
    """The part of the index that this node keeps."""

    def __init__(self, *, max_keys: int, max_keys_per_provider: int) -> None:
        """max_keys: of all providers together; one that several have counts for each."""
        self._max, self._max_of_one = max_keys, max_keys_per_provider
        self._providers: dict[PeerId, _Provider] = {}
        self._holders: dict[bytes, _Provider | tuple[_Provider, ...]] = {}
        self._leaving: deque[_Provider] = deque()
        self._turn: deque[_Provider] = deque()
        """All providers, in the order in which they are looked at: for what is over, and for who has too much."""
        self._total = 0

    def __len__(self) -> int:
        """Keys, each as often as it is held."""
        return self._total

    @property
    def num_providers(self) -> int:
        return len(self._providers)

    def keys_of(self, peer: PeerId) -> int:
        """How many keys of a provider are kept."""
        provider = self._providers.get(peer)
        return 0 if provider is None else len(provider.keys)

    def provide(self, peer: PeerId, subnet: Hashable, hashes: Iterable[bytes], ttl: float, now: float) -> int:
        """A provider says that it has these, for `ttl` seconds from now; how many of them are kept."""
        provider = self._providers.get(peer)
        if provider is None:
            provider = self._providers[peer] = _Provider(peer, subnet)
            self._turn.append(provider)
        provider.ttl = ttl
        keys, taken = provider.keys, 0
        for hashed in hashes:
            if hashed in keys:
                del keys[hashed]  # it goes to the end
                keys[hashed] = now
            elif not self._has_room(provider) or not self._add_holder(hashed, provider, now):
                continue
            else:
                keys[hashed] = now
                self._total += 1
            taken += 1
        return taken

    def withdraw(self, peer: PeerId, hashes: Iterable[bytes]) -> int:
        """A provider says that it has these no more; how many of them were kept."""
        provider = self._providers.get(peer)
        if provider is None:
            return 0
        taken_back = 0
        for hashed in hashes:  # which may name one twice
            if hashed in provider.keys:
                self._drop(provider, hashed)
                taken_back += 1
        return taken_back

    def forget(self, peer: PeerId) -> None:
        """A provider is gone."""
        provider = self._providers.pop(peer, None)
        if provider is not None:
            provider.gone = True
            self._leaving.append(provider)

    def holders(self, hashed: bytes, limit: int, now: float, rng: random.Random) -> list[Named]:
        """Who has a key, at most so many, chosen and ordered at random."""
        there = [provider for provider in self._holders_of(hashed) if provider.holds(hashed, now)]
        chosen = rng.sample(there, min(limit, len(there)))
        return [Named(provider.peer, now - provider.keys[hashed]) for provider in chosen]

    def tidy(self, now: float, limit: int) -> bool:
        """Clear away what is over, in at most so many steps; False if nothing of those who are gone is left."""
        left = limit
        while self._leaving and left > 0:
            provider = self._leaving[0]
            for hashed in list(islice(provider.keys, left)):
                self._drop(provider, hashed)
                left -= 1
            if not provider.keys:
                self._leaving.popleft()
                left -= 1
        for _ in range(len(self._turn)):
            if left <= 0:
                break
            provider = self._turn[0]
            left -= 1 + self._drop_old(provider, now, left)
            if provider.gone or not provider.keys:
                self._turn.popleft()
                if not provider.gone:
                    del self._providers[provider.peer]
                continue
            self._turn.rotate(-1)
        return bool(self._leaving)

    def _drop_old(self, provider: _Provider, now: float, limit: int) -> int:
        if provider.gone:
            return 0
        ended, over = now - provider.ttl, list[bytes]()
        for hashed, told in provider.keys.items():
            if told > ended or len(over) >= limit:
                break
            over.append(hashed)
        for hashed in over:
            self._drop(provider, hashed)
        return len(over)

    def _has_room(self, provider: _Provider) -> bool:
        """Whether one more of this provider is taken; if need be somebody who has too much makes room."""
        if len(provider.keys) >= self._max_of_one:
            return False
        if self._total < self._max:
            return True
        share = self._max // max(1, len(self._providers))
        if len(provider.keys) >= share:
            return False
        for _ in range(len(self._turn)):
            other = self._turn[0]
            if len(other.keys) > (0 if other.gone else share):
                self._drop_newest(other)
                return True
            self._turn.rotate(-1)
        return False

    def _holders_of(self, hashed: bytes) -> tuple[_Provider, ...]:
        found = self._holders.get(hashed, ())
        return found if isinstance(found, tuple) else (found,)

    def _add_holder(self, hashed: bytes, provider: _Provider, now: float) -> bool:
        """False if there are enough others."""
        found = self._holders.get(hashed)
        if found is None:
            self._holders[hashed] = provider
            return True
        there = found if isinstance(found, tuple) else (found,)
        if len(there) >= MAX_HOLDERS:
            gives_way = self._of_largest_subnet(there, provider.subnet, hashed, now)
            if gives_way is None:
                return False
            self._drop(gives_way, hashed)
            there = self._holders_of(hashed)
        self._holders[hashed] = (*there, provider)
        return True

    @staticmethod
    def _of_largest_subnet(
        there: tuple[_Provider, ...], subnet: Hashable, hashed: bytes, now: float
    ) -> _Provider | None:
        """Who has to go for one more of `subnet`: one that holds the key no more, else by the sizes of the subnets."""
        over = next((provider for provider in there if not provider.holds(hashed, now)), None)
        if over is not None:
            return over
        sizes = Counter(provider.subnet for provider in there)
        ((largest, size),) = sizes.most_common(1)
        if size <= sizes[subnet] + 1:
            return None
        return next(provider for provider in reversed(there) if provider.subnet == largest)

    def _drop(self, provider: _Provider, hashed: bytes) -> None:
        del provider.keys[hashed]
        self._unlink(provider, hashed)

    def _drop_newest(self, provider: _Provider) -> None:
        hashed, _ = provider.keys.popitem()  # of a dict the last is found at once, the first behind all deleted ones
        self._unlink(provider, hashed)

    def _unlink(self, provider: _Provider, hashed: bytes) -> None:
        self._total -= 1
        found = self._holders[hashed]
        if not isinstance(found, tuple):
            del self._holders[hashed]
            return
        others = tuple(each for each in found if each is not provider)
        self._holders[hashed] = others[0] if len(others) == 1 else others
