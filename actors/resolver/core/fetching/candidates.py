"""Who may be asked for a key, and who of them is asked.

* Of those who may be asked and are ready, whoever was asked in vain comes behind all others.
* Then whoever has said that they have the key. That holds in each round anew: also for who failed it in the one before.
* Between the rest decides what each has been like for any key (`Peers`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from ..key_subscribers import Comparable
from .key_targets import KeyTargets
from .named_holders import NamedHolders
from .peers import Peers, Scores

P = TypeVar("P", bound=Comparable)


class Candidates(Generic[P]):
    """For each key."""

    def __init__(self, peers: Peers[P], scores: Scores[P], targets: KeyTargets[P], holders: NamedHolders[P]) -> None:
        self._peers = peers
        self._scores = scores
        self._targets = targets
        self._holders = holders

    @property
    def are_any(self) -> bool:
        """Whether somebody who may be asked has a connection."""
        return bool(self._peers.linked)

    def are_open(self, key: bytes) -> bool:
        """Whether any peer may be asked for this key, and not its targets alone."""
        return self._targets.of(key) is None

    def of(self, key: bytes) -> set[P]:
        """Who may be asked for this key and has a connection, busy or not."""
        targets = self._targets.of(key)
        return self._peers.linked if targets is None else self._peers.linked.intersection(targets)

    def of_round(self, key: bytes) -> set[P]:
        """Whom a round of this key needs: all candidates, but for the silent that can be asked nothing more now."""
        candidates, mute = self.of(key), {peer for peer in self._peers.busy if self._scores.is_silent(peer)}
        return candidates - mute if mute else candidates

    def untried(self, key: bytes, ready: list[P], in_vain: Collection[P]) -> list[P]:
        """Who of the peers that are ready may be asked for this key, but for these."""
        targets = self._targets.of(key)
        if targets is None and not in_vain:
            return ready
        return [peer for peer in ready if (targets is None or peer in targets) and peer not in in_vain]

    def choose(self, key: bytes, candidates: list[P], *, is_retry: bool) -> P:
        """Whom of these candidates for the key to ask."""
        named = self._holders.of(key)
        return self._peers.choose([peer for peer in candidates if peer in named] or candidates, is_retry)
