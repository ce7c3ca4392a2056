"""What others tell of keys that are no members and whose records are not known: it waits for these.

It is neither applied nor passed on. Each sender has so many updates, each for `WAITING_TIME`; its oldest goes first. A
key counts for each of its senders, so that none can take the place of what another one says.
"""

from __future__ import annotations

from collections import OrderedDict

from ....transport.identity import PeerId
from ..swim.member import Member, supersedes

WAITING_TIME = 10.0
"""Seconds for which an update waits for its record."""


class Waiting:
    """Updates that wait for a record, by sender."""

    def __init__(self, ask_again: float) -> None:
        """ask_again: seconds until the record of a key that was asked for is asked for again."""
        self._ask_again = ask_again
        self._by_sender: dict[PeerId, OrderedDict[PeerId, tuple[Member, float]]] = {}  # with when it is forgotten
        self._senders: dict[PeerId, dict[PeerId, None]] = {}  # of each key
        self._asked: dict[PeerId, float] = {}

    def __len__(self) -> int:
        """Keys."""
        return len(self._senders)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._senders

    @property
    def senders(self) -> tuple[PeerId, ...]:
        """Whose updates wait."""
        return tuple(self._by_sender)

    def add(self, sender: PeerId, update: Member, now: float, limit: int) -> int:
        """Let an update wait, in place of an older one of the sender about the key; how many were dropped for it."""
        peer, updates = PeerId(update.id.key), self._by_sender.setdefault(sender, OrderedDict())
        before = updates.get(peer)
        if before is not None:
            if supersedes(before[0], update):
                updates[peer] = (update, before[1])
            return 0
        dropped = 0
        while len(updates) >= limit:
            self._drop(sender, next(iter(updates)))
            dropped += 1
        self._by_sender[sender] = updates  # dropping the last one took it out
        updates[peer] = (update, now + WAITING_TIME)
        self._senders.setdefault(peer, {})[sender] = None
        return dropped

    def take(self, peer: PeerId, generation: int) -> list[tuple[PeerId, Member]]:
        """What waits about lives of the key that are no later than its record, with the senders; then it is gone.

        Each sender's, as a liar's may be false whose seems to be the newest.
        """
        told = [(sender, self._by_sender[sender][peer][0]) for sender in self._senders.get(peer, ())]
        found = [(sender, update) for sender, update in told if update.id.generation <= generation]
        for sender, _ in found:
            self._drop(sender, peer)
        return found

    def forget(self, peer: PeerId) -> None:
        """Drop what waits for this record."""
        for sender in tuple(self._senders.get(peer, ())):
            self._drop(sender, peer)

    def ask(self, sender: PeerId, now: float, limit: int) -> tuple[PeerId, ...]:
        """Whose records to ask this sender for, at most `limit`: of active members, and not asked for just now."""
        wanted: list[PeerId] = []
        for peer, (update, _) in self._by_sender.get(sender, {}).items():
            if len(wanted) == limit:
                break
            if update.is_active and self._asked.get(peer, now) <= now and self._is_its_turn(peer, sender):
                wanted.append(peer)
                self._asked[peer] = now + self._ask_again
                self._senders[peer][sender] = self._senders[peer].pop(sender)
        return tuple(wanted)

    def _is_its_turn(self, peer: PeerId, sender: PeerId) -> bool:
        """Those who say that a member is alive are asked in turn: one of them may have nothing, and always be first."""
        telling = (each for each in self._senders[peer] if self._by_sender[each][peer][0].is_active)
        return next(telling, None) == sender

    def expire(self, now: float) -> int:
        """Drop what has waited for too long; how many updates."""
        expired = 0
        for sender in tuple(self._by_sender):
            updates = self._by_sender[sender]
            while updates and next(iter(updates.values()))[1] <= now:
                self._drop(sender, next(iter(updates)))
                expired += 1
        return expired

    def _drop(self, sender: PeerId, peer: PeerId) -> None:
        updates, senders = self._by_sender[sender], self._senders[peer]
        del updates[peer], senders[sender]
        if not updates:
            del self._by_sender[sender]
        if not senders:
            del self._senders[peer]
            self._asked.pop(peer, None)
