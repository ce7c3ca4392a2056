"""Which keys that any peer may answer nobody connected can, as far as is known, and who finds somebody for them.

* A key is *stuck* while nobody connected may be asked, or once everybody who is has failed it or is silent. At most
  `MAX_STUCK` of those that were failed are remembered, as one is reason enough for a connection.
* Who searches for each key takes them as they come (`watch`, `take`), and somewhat sooner: once `IN_VAIN` peers did not
  deliver it.
* A new candidate may have any key, so with it none of them is stuck.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from typing import Generic, TypeVar

from ..key_subscribers import Comparable
from .candidates import Candidates
from .waiting_keys import WaitingKeys

P = TypeVar("P", bound=Comparable)

MAX_STUCK = 64
"""Keys that everybody failed and that are remembered as such."""

IN_VAIN = 3
"""Peers that do not deliver a key, and are enough to look for who has it while the others are asked."""


class StuckKeys(Generic[P]):
    """Only of keys that any peer may answer: the others have nobody but their targets."""

    def __init__(self, candidates: Candidates[P], waiting: WaitingKeys[P]) -> None:
        """None yet, and nobody takes them."""
        self._candidates = candidates
        self._waiting = waiting
        self._failed: dict[bytes, None] = {}
        self._newly: dict[bytes, None] | None = None  # None while nobody takes them
        self._unlinked: Iterator[bytes] | None = None  # the keys that waited when the last candidate went

    @property
    def are_any(self) -> bool:
        """Whether there are some."""
        return bool(self._failed) or (self._waiting.untargeted > 0 and not self._candidates.are_any)

    def failed(self, key: bytes, in_vain: Collection[P]) -> None:
        """These were asked for the key, and nobody has delivered it."""
        if not self._candidates.are_open(key):
            return
        candidates = self._candidates.of_round(key)
        is_stuck = len(in_vain) >= len(candidates) > 0 and candidates <= set(in_vain)
        if is_stuck and len(self._failed) < MAX_STUCK:
            self._failed[key] = None
        if self._newly is not None and (is_stuck or len(in_vain) >= IN_VAIN):
            self._newly[key] = None

    def waits(self, key: bytes) -> None:
        """The key waits from now on."""
        if self._newly is not None and not self._candidates.are_any and self._candidates.are_open(key):
            self._newly[key] = None

    def came(self, key: bytes) -> None:
        """Bytes came for the key."""
        self._failed.pop(key, None)

    def forget(self, key: bytes) -> None:
        """Nobody wants the key any more."""
        self._failed.pop(key, None)
        if self._newly is not None:
            self._newly.pop(key, None)

    def welcome(self) -> list[bytes]:
        """There is a new candidate; the keys that were stuck until now."""
        stuck = list(self._failed)
        self._failed.clear()
        return stuck

    def watch(self) -> None:
        """From now on keep for `take` whatever becomes stuck."""
        self._newly = {}

    def take(self, limit: int) -> list[bytes]:
        """At most so many of the keys that have become so since they were taken; one may come again."""
        newly = self._newly
        if newly is None:
            return []
        if self._candidates.are_any:
            self._unlinked = None
        elif self._unlinked is None:
            self._unlinked = iter(tuple(self._waiting))
        taken = list(islice(newly, limit))
        for key in taken:
            del newly[key]
        if self._unlinked is not None:
            untargeted = (key for key in self._unlinked if key in self._waiting and self._candidates.are_open(key))
            taken += islice(untargeted, limit - len(taken))
        return taken
