"""Who was asked for each key in vain, and when it is asked for again (flows: fetch 2).

* A key is asked of each candidate once: a *round*. Within it, and after the first one, a retry waits for the retry
  delay; after each further round in vain twice as long as after the one before, up to `MAX_REST` times the delay. So a
  key that nobody has costs each candidate little.
* A silent candidate keeps no round open. While it is asked, and all others failed, these have their rest and then are
  asked again, each when the request before is overdue; nor is it waited for while it can be asked nothing more.
* A new candidate, a new target or a new wish for the key ends that rest, and the next one begins short. After a new
  candidate very many keys may have to be woken, so `to_wake` names a few at a time. Who was a candidate lately is none:
  it is asked when the rest is over, or a peer that reconnects all the time would end all rests each time. It ends the
  rest of those keys alone that it has said, meanwhile, that it has.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Generic, TypeVar

from ..key_subscribers import Comparable
from ..key_table import KeyTable
from .requests import MINIMUM_REST

P = TypeVar("P", bound=Comparable)

MAX_REST = 32
"""Times the retry delay: how long a key rests after a round in vain, at most."""

NEW_AGAIN_AFTER = 16
"""Times the longest rest: who was no candidate for so long is new when it comes back. 51 s, if the delay is 0.1."""

_WOKEN_AT_ONCE = 64
_MOST_GONE = 4096  # former candidates that are remembered; the one that went first is forgotten


class Rounds(Generic[P]):
    """Who failed each key in its round, and when it is asked again. retry_delay: in seconds."""

    def __init__(self, retry_delay: float) -> None:
        self._retry_delay = retry_delay
        self._failed: KeyTable[tuple[P, ...]] = KeyTable()
        self._in_vain: KeyTable[tuple[int, float]] = KeyTable()
        """After a round in vain: how many times the retry delay the next one costs; when it could be asked without."""
        self._anew_at: dict[bytes, float] = {}
        """When those are asked again who failed a key that is out, at somebody who does not answer."""
        self._gone: OrderedDict[P, float] = OrderedDict()  # who was a candidate, and till when
        self._waking: deque[Iterator[bytes]] = deque()

    def failed(self, key: bytes) -> tuple[P, ...]:
        """Who was asked for the key in this round and did not deliver."""
        return self._failed.get(key) or ()

    def fail(self, key: bytes, peer: P, linked: Collection[P]) -> None:
        """The peer did not deliver the key. linked: who has a connection."""
        # Whoever left and returns may have the data by now; this also bounds the list by the connected peers.
        others = (each for each in self.failed(key) if each != peer)
        self._failed[key] = (*(each for each in others if each in linked), peer)

    def asked(self, key: bytes, candidates: AbstractSet[P]) -> None:
        """A request for the key is out, to one who failed it: in a new round, if all candidates had."""
        if self._is_over(key, candidates):
            self._failed.pop(key)

    def next_at(self, key: bytes, now: float, candidates: AbstractSet[P]) -> float:
        """When a key that one of these candidates, all there are for it, failed just now is asked for again."""
        self._anew_at.pop(key, None)
        soonest = now + self._retry_delay
        in_vain = self._in_vain.get(key)
        if not self._is_over(key, candidates):
            if in_vain is not None:
                self._in_vain[key] = (in_vain[0], soonest)
            return soonest
        times = 1 if in_vain is None else in_vain[0]
        self._in_vain[key] = (min(2 * times, MAX_REST), soonest)
        return soonest if times == 1 else now + max(self._retry_delay, MINIMUM_REST) * times

    def begins_anew(self, key: bytes, now: float, others: AbstractSet[P], takes: float) -> bool:
        """Whether a round begins now for a key that is asked for still, of who does not answer: all others failed it,
        and had their rest. takes: seconds that a round takes then.
        """
        if not self._is_over(key, others):
            return False
        if key not in self._anew_at:
            self._anew_at[key] = self.next_at(key, now, others) - takes
        if self._anew_at[key] > now:
            return False
        self._failed.pop(key)
        del self._anew_at[key]
        return True

    def _is_over(self, key: bytes, candidates: AbstractSet[P]) -> bool:
        failed = self.failed(key)
        return len(failed) >= len(candidates) > 0 and candidates <= set(failed)

    def wake(self, key: bytes) -> float | None:
        """End the key's rest; when it can be asked for then. None for a key without rounds in vain."""
        self._anew_at.pop(key, None)
        in_vain = self._in_vain.pop(key)
        return None if in_vain is None else in_vain[1]

    def to_wake(self) -> list[bytes]:
        """Some of the keys to be woken for a candidate, until there are none."""
        keys: list[bytes] = []
        while self._waking and len(keys) < _WOKEN_AT_ONCE:
            keys += islice(self._waking[0], _WOKEN_AT_ONCE - len(keys))
            if len(keys) < _WOKEN_AT_ONCE:
                self._waking.popleft()
        return keys

    @property
    def is_waking(self) -> bool:
        """Whether there are keys to be woken still."""
        return bool(self._waking)

    def forget(self, key: bytes) -> None:
        """Nobody wants the key any more."""
        self._failed.pop(key)
        self._in_vain.pop(key)
        self._anew_at.pop(key, None)

    # Candidates

    def leave(self, peer: P, now: float) -> None:
        """The peer is no candidate any more."""
        self._gone.pop(peer, None)
        self._gone[peer] = now
        if len(self._gone) > _MOST_GONE:
            self._gone.popitem(last=False)

    def is_new(self, peer: P, now: float) -> bool:
        """Whether somebody who is a candidate since just now has not been one lately."""
        span = NEW_AGAIN_AFTER * MAX_REST * max(self._retry_delay, MINIMUM_REST)
        return now - self._gone.get(peer, -math.inf) >= span

    def welcome(self, others: tuple[P, ...], stuck: Iterable[bytes]) -> None:
        """There is a new candidate beside these others: nothing is stuck, and all that rests is to be woken."""
        for key in stuck:
            self._failed[key] = others
        self._waking.clear()
        if len(self._in_vain):
            self._waking.append(iter(self._in_vain))

    def welcome_back(self, keys: Iterable[bytes]) -> None:
        """Who was a candidate lately is one again, and said meanwhile that it has these keys: they are to be woken."""
        self._waking.append(iter(keys))
