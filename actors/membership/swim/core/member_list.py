"""All members that we know, ourselves not included, by key; and which one to probe next.

* An update is stored or refused as a whole, by `supersedes`.
* Where our own evidence says that a member lives it is held Alive all the same, and the best of what others say, with
  proof, is its *claim*. The digest is over the claims, or two members with other evidence would never agree.
* Each active member is probed once per round, in random order; a member that joins during a round is probed in it.
* A requested member (its link closed) is probed next, but never two requested ones in a row, so that requests starve no
  other member.
"""

import random
from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct

from ..codec import digest, items_of
from ..member import Member, MemberId, State, supersedes

__all__ = ["Accept", "Change", "MemberList", "Pool"]


class Pool:
    """Adding, removing and drawing one key cost O(1); the order depends on calls and `rng` alone, never on hashes."""

    __slots__ = ("_keys", "_positions")

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._keys = list(keys)
        self._positions = {key: position for position, key in enumerate(self._keys)}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key: bytes) -> bool:
        return key in self._positions

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._keys)

    def copy(self) -> "Pool":
        return Pool(self._keys)

    def add(self, key: bytes) -> None:
        if key not in self._positions:
            self._positions[key] = len(self._keys)
            self._keys.append(key)

    def discard(self, key: bytes) -> None:
        if key in self._positions:
            self._swap(self._positions[key], len(self._keys) - 1)
            self._keys.pop()
            del self._positions[key]

    def sample(self, count: int, rng: random.Random, accept: Callable[[bytes], bool]) -> list[bytes]:
        """At most `count` distinct accepted keys, uniformly.

        A shuffle that stops as soon as enough are found, so the cost follows `count`, not the size of the pool.
        """
        chosen: list[bytes] = []
        for position in range(len(self._keys)):
            if len(chosen) == count:
                break
            self._swap(position, rng.randrange(position, len(self._keys)))
            if accept(self._keys[position]):
                chosen.append(self._keys[position])
        return chosen

    def _swap(self, one: int, other: int) -> None:
        keys = self._keys
        keys[one], keys[other] = keys[other], keys[one]
        self._positions[keys[one]] = one
        self._positions[keys[other]] = other


Accept = Callable[[bytes], bool]


class Change(Struct, frozen=True):
    """A stored update, and `previous`: what was held about its key before."""

    previous: Member | None
    update: Member

    @property
    def was_active(self) -> bool:
        return self.previous is not None and self.previous.is_active

    @property
    def replaced(self) -> MemberId | None:
        """The identity that was replaced by another generation of its key; None if none was."""
        return self.previous.id if self.previous is not None and self.previous.id != self.update.id else None

    @property
    def was_suspect(self) -> bool:
        """Whether exactly this identity was suspected before."""
        previous = self.previous
        return previous is not None and previous.state is State.SUSPECT and previous.id == self.update.id


class MemberList:
    """No operation walks through all members, except a new round of probes, `active_keys` and iteration."""

    __slots__ = (
        "_active",
        "_down",
        "_requested",
        "_took_requested",
        "_unprobed",
        "by_key",
        "claims",
        "digest",
        "known",
    )

    def __init__(self) -> None:
        self.by_key: dict[bytes, Member] = {}
        """The members by key. Read only: `apply`, `vouch` and `forget` change it."""
        self.known: dict[tuple[object, ...], Member] = {}
        """The same members by their items, for the codec; without suspects, whose accusers vary. Read only."""
        self.claims: dict[bytes, Member] = {}
        """What is said of members that we know better: by key, each supersedes what is held. Read only."""
        self.digest = 0
        """The combined digest of all members that are active as is said: equal for equal lists, in any order."""

        self._active = Pool()
        self._down = Pool()
        self._unprobed = Pool()
        self._requested: dict[bytes, None] = {}
        self._took_requested = {False: False, True: False}  # in turns of all, and of some rather than others

    @property
    def num_active(self) -> int:
        return len(self._active)

    @property
    def active_keys(self) -> list[bytes]:
        """The keys of the active members, in no order."""
        return list(self._active)

    def __iter__(self) -> Iterator[Member]:
        return iter(tuple(self.by_key.values()))

    def get(self, key: bytes) -> Member | None:
        return self.by_key.get(key)

    def holds(self, identity: MemberId) -> Member | None:
        """What we hold about exactly this identity."""
        held = self.by_key.get(identity.key)
        return held if held is not None and held.id == identity else None

    def apply(self, update: Member) -> Change | None:
        """Store an update if it supersedes what is held; None if it was refused."""
        key = update.id.key
        held = self.by_key.get(key)
        if held is not None and not supersedes(held, update):
            return None
        claim = self.claims.get(key)
        was = held if claim is None else claim
        if claim is not None and not supersedes(update, claim):
            del self.claims[key]
            claim = None
        self._hold(update)
        if claim is None:  # else it is what is said, now as before
            if was is not None and was.is_active:
                self.digest ^= digest(was)
            if update.is_active:
                self.digest ^= digest(update)
        self._sort(update)
        return Change(held, update)

    def claim(self, update: Member) -> bool:
        """Note what is said of a held member although we know better; returns whether it is more than was said."""
        key = update.id.key
        if not supersedes(self.claims.get(key, self.by_key[key]), update):
            return False
        self.digest ^= self._share(key)
        self.claims[key] = update
        self.digest ^= self._share(key)
        return True

    def vouch(self, key: bytes) -> Change | None:
        """Hold a Suspect or Down member Alive, as it was; what was held becomes its claim. None if it is neither."""
        held = self.by_key[key]
        if held.state not in (State.SUSPECT, State.DOWN):
            return None
        update = Member(held.id, held.incarnation, State.ALIVE, (), held.proof)
        self.claims.setdefault(key, held)
        self._hold(update)
        self._sort(update)
        return Change(held, update)

    def forget(self, key: bytes) -> None:
        self.digest ^= self._share(key)
        self.claims.pop(key, None)
        held = self.by_key.pop(key, None)
        if held is not None:
            self.known.pop(items_of(held), None)
        self._drop(key)
        self._down.discard(key)

    def choose_active(self, count: int, rng: random.Random, accept: Accept) -> list[Member]:
        return [self.by_key[key] for key in self._active.sample(count, rng, accept)]

    def choose_down(self, count: int, rng: random.Random, accept: Accept) -> list[Member]:
        return [self.by_key[key] for key in self._down.sample(count, rng, accept)]

    def probe_next(self, key: bytes) -> None:
        """Probe this member next, if it is active."""
        if key in self._active:
            self._requested[key] = None

    def next_target(self, rng: random.Random, probeable: Accept, rather: Accept | None = None) -> Member | None:
        """The member to probe now; None if there is none to probe. rather: one of these, in this round or again.

        One that is to be probed next comes before, in every second turn; in turns for some, only one of these.
        """
        key = self._take_requested(probeable, rather)
        if key is None and rather is not None:
            key = self._draw_of(rng, probeable, rather)
        key = key or self._draw(rng, probeable)
        if key is None:
            self._unprobed = self._active.copy()
            key = self._draw(rng, probeable)
        if key is None:
            return None
        self._unprobed.discard(key)
        return self.by_key[key]

    def _hold(self, update: Member) -> None:
        before = self.by_key.get(update.id.key)
        if before is not None:
            self.known.pop(items_of(before), None)
        self.by_key[update.id.key] = update
        if update.state is not State.SUSPECT:
            self.known[items_of(update)] = update

    def _share(self, key: bytes) -> int:
        """The part of the digest that is this member's."""
        said = self.claims.get(key) or self.by_key.get(key)
        return digest(said) if said is not None and said.is_active else 0

    def _sort(self, update: Member) -> None:
        """Put the member among the active ones or the Down ones, as is held now."""
        key = update.id.key
        if not update.is_active:
            self._drop(key)
            if update.state is State.DOWN:
                self._down.add(key)
            else:
                self._down.discard(key)  # a member that has left is not announced to
        elif key not in self._active:
            self._down.discard(key)
            self._active.add(key)
            self._unprobed.add(key)

    def _take_requested(self, probeable: Accept, rather: Accept | None) -> bytes | None:
        for_some = rather is not None
        if self._took_requested[for_some]:
            self._took_requested[for_some] = False
            return None
        while (key := next((key for key in self._requested if rather is None or rather(key)), None)) is not None:
            del self._requested[key]
            if probeable(key):
                self._took_requested[for_some] = True
                return key
        return None

    def _draw_of(self, rng: random.Random, probeable: Accept, accept: Accept) -> bytes | None:
        for pool in (self._unprobed, self._active):
            for key in pool.sample(1, rng, lambda key: accept(key) and probeable(key)):
                return key
        return None

    def _draw(self, rng: random.Random, probeable: Accept) -> bytes | None:
        return next(iter(self._unprobed.sample(1, rng, probeable)), None)

    def _drop(self, key: bytes) -> None:
        self._active.discard(key)
        self._unprobed.discard(key)
        self._requested.pop(key, None)
