"""Members that this node knows only from others: the updates that wait for a record, and who has not answered yet.

* *Waiting*: updates about a key that is no member and whose record is not known. They are neither applied nor passed
  on. Each sender has so many, each for `WAITING_TIME`; its oldest goes first. A key counts for each of its senders, so
  that none can take the place of what another one says.
* *Unproved*: members whose record is known and that never answered this node: no packet of theirs came, and they have
  no connection. Each introducer, who told of them first, has so many, and so many new ones per minute, as each is an
  address that this node will probe and dial. Its oldest one goes first. Where room is scarce, a subnet has so many too.
* Seeds have more of both: a joiner learns of the whole cluster from them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import TypeVar

from ...transport.address import Address
from ...transport.core.buckets import TokenBuckets
from ...transport.core.subnets import network_at
from ...transport.identity import PeerId
from .swim.member import Member, supersedes

T = TypeVar("T", bound=Hashable)

PER_INTRODUCER = 64
"""Waiting updates of one sender, unproved members of one introducer, or of one subnet where room is scarce."""

PER_SEED = 1024
"""The same of one seed."""

WAITING_TIME = 10.0
"""Seconds for which an update waits for its record."""

_PACE = 60.0  # seconds in which an introducer that has used up its share gets a whole one again
_IPV4_PREFIX, _IPV6_PREFIX = 24, 48


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
            if update.is_active and self._asked.get(peer, now) <= now:
                wanted.append(peer)
                self._asked[peer] = now + self._ask_again
        return tuple(wanted)

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


class Unproved:
    """Members that have not answered this node, by introducer; the oldest first."""

    def __init__(self) -> None:
        self._introducers: OrderedDict[PeerId, tuple[PeerId, Hashable]] = OrderedDict()  # with the subnet
        self._of_introducer: dict[PeerId, dict[PeerId, None]] = {}
        self._of_subnet: dict[Hashable, dict[PeerId, None]] = {}
        self._pace = TokenBuckets(PER_INTRODUCER / _PACE, PER_INTRODUCER)
        self._pace_of_seeds = TokenBuckets(PER_SEED / _PACE, PER_SEED)

    def __len__(self) -> int:
        return len(self._introducers)

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._introducers

    def __iter__(self) -> Iterator[PeerId]:
        """The oldest first."""
        return iter(self._introducers)

    def may_add(self, introducer: PeerId, now: float, *, seed: bool) -> bool:
        """Whether the introducer may bring another one now; takes its turn if so."""
        return (self._pace_of_seeds if seed else self._pace).take(introducer, now)

    def add(
        self, peer: PeerId, introducer: PeerId, address: Address, *, limit: int | None, scarce: bool
    ) -> tuple[PeerId, ...]:
        """Add a member; returns those that go for it.

        limit: of the introducer; None for none. scarce: whether the subnet has a limit too.
        """
        subnet = _subnet(address)
        gone = []
        of_introducer = self._of_introducer.get(introducer, {})
        if limit is not None and len(of_introducer) >= limit:
            gone.append(next(iter(of_introducer)))
            self.discard(gone[-1])
        of_subnet = self._of_subnet.get(subnet, {})
        if scarce and len(of_subnet) >= PER_INTRODUCER:
            gone.append(next(iter(of_subnet)))
            self.discard(gone[-1])
        self._introducers[peer] = introducer, subnet
        self._of_introducer.setdefault(introducer, {})[peer] = None
        self._of_subnet.setdefault(subnet, {})[peer] = None
        return tuple(gone)

    def discard(self, peer: PeerId) -> bool:
        """It has answered, or is no member any more; returns whether it was unproved."""
        found = self._introducers.pop(peer, None)
        if found is None:
            return False
        introducer, subnet = found
        _remove(self._of_introducer, introducer, peer)
        _remove(self._of_subnet, subnet, peer)
        return True


def _remove(groups: dict[T, dict[PeerId, None]], group: T, peer: PeerId) -> None:
    peers = groups[group]
    del peers[peer]
    if not peers:
        del groups[group]


def _subnet(address: Address) -> Hashable:
    """A name is one of its own, as it is not looked up here."""
    ip = address.endpoint.ip
    return address.endpoint.host if ip is None else network_at(ip, _IPV4_PREFIX if ip.version == 4 else _IPV6_PREFIX)
