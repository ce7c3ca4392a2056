"""Bookkeeping of outgoing requests: which key is sent next, to whom, and when. Pure: no clock, no socket, no consumer.

A key that was added is in exactly one state until it is dropped:

    add_ready --> WAITING --sent--> ACTIVE --pop_response--> HELD (somebody judges the bytes)
                     ^                 | timed out, missing,          |
                     |                 v link closed, blocked         |
                     +------ as a retry, after fetch_retry_delay <----+ add_retry

* Order: fresh keys by time then key, then retries by time then key. An entry whose time has not come is skipped,
  whatever stands before or behind it (R1). A key without a ready candidate hides nothing.
* Cost: O(log keys) per event and O(connected peers) per send; keys without a candidate are parked by peer (R2).
* Times are monotonic seconds, given as `now` (R4); "never" is `math.inf` (R5).
* One send: `next` proposes an attempt, its owner asks the peer's bucket and the link, and reports `sent`, `limited` or
  `refused`, then calls `next` again. A limited peer is no failure. A refused one is charged `fetch_timeout`; its bucket
  has given a token for nothing (R3), so it rests for the retry delay. The key goes to the next peer in the same turn.
* Targets (`reference/resolver.md` section 5): None means any peer; a set, even an empty one, means only these. An
  untargeted fetch opens a set, a targeted one widens a set and never narrows. There is no fallback. A blocked peer
  leaves every set, and can be named anew.
* An answer counts if its id is active and it comes from the link that was asked. Anything else has no effect.
* The rating of an answer waits for the verdict (`rate_answer`); all other costs are charged at once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, TypeVar

from .peers import Peers
from .pending import Entry, Pending
from .requests import Active, Attempt, Requests
from .scores import Scores
from .subscribers import Comparable

P = TypeVar("P", bound=Comparable)

MINIMUM_REST = 0.001
"""Seconds that a limited or refusing peer is left alone at least: a delay of zero must not become a busy loop."""


@dataclass(slots=True)
class _Key(Generic[P]):
    targets: dict[P, int] | None  # each with the number of blocks the peer had when it was named
    entry: Entry | None = None  # while WAITING
    request: int | None = None  # while ACTIVE
    failed: set[P] | None = None  # who was asked in this round and did not deliver


class Fetcher(Generic[P]):
    """`fetch_timeout` (above 0) and `fetch_retry_delay` (0 allowed) are seconds; `me` is never asked."""

    def __init__(
        self,
        *,
        me: P | None,
        fetch_timeout: float,
        fetch_retry_delay: float,
        initial_score: float,
        max_requests_per_peer: int,
        rng: random.Random,
    ) -> None:
        self._retry_delay = fetch_retry_delay
        self.scores: Scores[P] = Scores(initial_score, fetch_timeout)
        self._peers = Peers(me, max_requests_per_peer, self.scores, rng)
        self._keys: dict[bytes, _Key[P]] = {}
        self._pending: Pending[P] = Pending(self._is_current)
        self._waiting = 0
        self._requests: Requests[P] = Requests(fetch_timeout)
        self._blocks: dict[P, int] = {}
        self._blocked: set[P] = set()

    # What is there

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def active(self) -> int:
        return len(self._requests)

    @property
    def blocked(self) -> int:
        return len(self._blocked)

    def is_blocked(self, peer: P) -> bool:
        """Blocked here, still in the peer set, and not come back with a new link."""
        return peer in self._blocked

    def targets(self, key: bytes) -> frozenset[P] | None:
        """The peers this key is restricted to, None for any. KeyError for an unknown key."""
        targets = self._targets(self._keys[key])
        return None if targets is None else frozenset(targets)

    def wants_link(self, peer: P) -> bool:
        """A waiting key names this peer, it may be asked, and only a connection is missing (FLOWS 3.7.1)."""
        return self._pending.waits_for(peer) and self._peers.lacks_link(peer)

    def wanted(self) -> tuple[P, ...]:
        """Everybody for whom `wants_link` holds, sorted. Costs one look at each target: for new peer sets only."""
        return tuple(sorted(filter(self.wants_link, self._pending.targets())))

    # Keys

    def add_ready(self, key: bytes, now: float, targets: Iterable[P] | None = None) -> None:
        """A new key, to be sent as soon as possible; targets restrict it to these peers."""
        if key in self._keys:
            raise AssertionError(f"key {key.hex()} is being fetched already")
        self._keys[key] = record = _Key(None if targets is None else self._named(targets))
        self._wait(record, Entry(is_retry=False, not_before=now, key=key))

    def add_retry(self, key: bytes, now: float, peer: P) -> None:
        """A held key whose bytes, from this peer, were not good enough: ask again after the retry delay."""
        record = self._keys[key]
        if record.entry is not None or record.request is not None:
            raise AssertionError(f"key {key.hex()} is waiting or active already")
        self._retry(record, key, now, peer)

    def add_targets(self, key: bytes, targets: Iterable[P]) -> None:
        """Widen the key's set of targets. A key that any peer may answer stays so."""
        record = self._keys[key]
        if record.targets is None:
            return
        present = self._targets(record) or ()
        added = {peer: blocks for peer, blocks in self._named(targets).items() if peer not in present}
        record.targets.update(added)
        if record.entry is not None:
            self._pending.push(record.entry, added)

    def clear_targets(self, key: bytes) -> None:
        """Let any peer answer this key. Its time and its active request stay as they are."""
        record = self._keys[key]
        if record.targets is None:
            return
        entry = record.entry
        if entry is not None:
            self._take(record)
        record.targets = None
        if entry is not None:
            self._wait(record, Entry(*entry))

    def drop(self, key: bytes) -> Active[P] | None:
        """Stop everything about a key, if it is known; its request, if one was out. The peer is not told."""
        record = self._keys.get(key)
        if record is None:
            return None
        request = None if record.request is None else self._end(record.request)
        if record.entry is not None:
            self._take(record)
        del self._keys[key]
        return request

    # Sending

    def next(self, now: float) -> Attempt[P] | None:
        """The next request to try; None when no key has both its time and a ready peer."""
        if not self._waiting:
            return None
        ready = self._peers.ready(now)
        entry = self._pending.due(now, ready)
        if entry is None:
            return None
        record = self._keys[entry.key]
        targets = self._targets(record)
        candidates = ready if targets is None else [peer for peer in ready if peer in targets]
        peer = self._peers.choose(candidates, entry.is_retry, record.failed or ())
        link = self._peers.link_of(peer)
        assert link is not None
        return Attempt(self._requests.next_id, entry.key, peer, link)

    def sent(self, attempt: Attempt[P], now: float) -> Active[P]:
        """The link accepted the request."""
        record = self._keys[attempt.key]
        self._take(record)
        if record.failed and attempt.peer in record.failed:
            record.failed.clear()  # everybody ready had failed: a new round begins
        record.request = attempt.id
        self._peers.asked(attempt.peer, attempt.id)
        return self._requests.start(attempt, now)

    def limited(self, attempt: Attempt[P], until: float, now: float) -> None:
        """The peer's rate limit allows nothing before `until`. Not a failure, and the id is not spent."""
        self._peers.rest(attempt.peer, max(until, now + MINIMUM_REST))

    def refused(self, attempt: Attempt[P], now: float) -> None:
        """The link did not take the request: the peer is charged and rests, the key stays where it is."""
        self._requests.spend_id()
        self._charge_failure(attempt.peer)
        self._peers.rest(attempt.peer, now + max(self._retry_delay, MINIMUM_REST))

    def wake_up(self) -> float:
        """When `next` can first have something: now, if not later than now; infinity if only an event can help."""
        return self._pending.wake_up(self._peers.ready_at()) if self._waiting else math.inf

    # Requests that end

    def deadline(self) -> float:
        """The earliest deadline of the active requests, infinity for none."""
        return self._requests.deadline()

    def pop_active(self, now: float) -> tuple[Active[P], ...]:
        """The requests whose deadline has come; their peers are charged and their keys wait again."""
        timed_out: list[Active[P]] = []
        while (first := self._requests.first()) is not None and first.deadline <= now:
            self._charge_failure(first.peer)
            timed_out.append(self._fail(first.id, now))
        return tuple(timed_out)

    def pop_response(self, request_id: int, link: int) -> Active[P] | None:
        """The request that bytes from this link answer; its key is held. None for a late or forged answer."""
        return self._end(request_id) if self._requests.answered_by(request_id, link) else None

    def pop_missing(self, request_id: int, link: int, now: float) -> Active[P] | None:
        """The request that "no data" answers: the peer is charged the time it took, the key waits again."""
        if not self._requests.answered_by(request_id, link):
            return None
        request = self._fail(request_id, now)
        if self._peers.is_rated(request.peer):
            self.scores.missing(request.peer, now - request.sent_at)
        return request

    def rate_answer(self, peer: P, elapsed: float, size: int) -> None:
        """Bytes that were judged: `elapsed` seconds from sending to receipt, `size` in bytes."""
        if self._peers.is_rated(peer):
            self.scores.answered(peer, elapsed, size)

    # Peers

    def open(self, peer: P, link: int) -> None:
        """A connection opened. A peer blocked here is welcome again: it could not connect were it still blocked."""
        self._blocked.discard(peer)
        self._peers.open(peer, link)

    def close(self, link: int, now: float) -> tuple[Active[P], ...]:
        """A connection closed: its requests fail now and not at their deadline. Nobody is charged."""
        return tuple(self._fail(request_id, now) for request_id in self._peers.close(link))

    def block(self, peer: P, now: float) -> tuple[Active[P], ...]:
        """Exclude the peer until it opens a new link, and remove it from every set of targets; its requests fail."""
        self._blocked.add(peer)
        self._blocks[peer] = self._blocks.get(peer, 0) + 1
        self._pending.drop(peer)
        link = self._peers.link_of(peer)
        return () if link is None else self.close(link, now)

    def reconcile(self, index: int, allowed: AbstractSet[P]) -> bool:
        """Who may be asked from now on; False (and no effect) unless the index grows. Active requests go on."""
        is_newer = self._peers.reconcile(index, allowed)
        if is_newer:
            self._blocked &= allowed
        return is_newer

    # Inside

    def _is_current(self, entry: Entry) -> bool:
        record = self._keys.get(entry.key)
        return record is not None and record.entry is entry

    def _named(self, targets: Iterable[P]) -> dict[P, int]:
        return {peer: self._blocks.get(peer, 0) for peer in targets}

    def _targets(self, record: _Key[P]) -> list[P] | None:
        if record.targets is None:
            return None
        return [peer for peer, blocks in record.targets.items() if blocks == self._blocks.get(peer, 0)]

    def _wait(self, record: _Key[P], entry: Entry) -> None:
        record.entry = entry
        self._waiting += 1
        self._pending.push(entry, self._targets(record))

    def _take(self, record: _Key[P]) -> None:
        record.entry = None
        self._waiting -= 1
        self._pending.forget(self._targets(record))

    def _retry(self, record: _Key[P], key: bytes, now: float, peer: P) -> None:
        # Whoever left and returns may have the data by now; this also bounds the set by the connected peers.
        record.failed = {each for each in record.failed or () if self._peers.link_of(each) is not None} | {peer}
        self._wait(record, Entry(is_retry=True, not_before=now + self._retry_delay, key=key))

    def _end(self, request_id: int) -> Active[P]:
        request = self._requests.end(request_id)
        self._keys[request.key].request = None
        self._peers.ended(request.peer, request_id)
        return request

    def _fail(self, request_id: int, now: float) -> Active[P]:
        request = self._end(request_id)
        self._retry(self._keys[request.key], request.key, now, request.peer)
        return request

    def _charge_failure(self, peer: P) -> None:
        if self._peers.is_rated(peer):
            self.scores.failed(peer)
