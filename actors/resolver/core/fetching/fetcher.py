"""Bookkeeping of outgoing requests: which key is sent next, to whom, and when. Pure: no clock, no socket, no consumer.

A key that was added is in exactly one state until it is dropped:

    add_ready --> WAITING --sent--> ACTIVE --pop_response--> HELD (somebody judges the bytes)
                     ^                 | timed out, missing,          |
                     |                 v link closed, blocked         |
                     +------ as a retry, after a rest (Rounds) <------+ add_retry

* Order: fresh keys by time then key, then retries by time then key. An entry whose time has not come is skipped,
  whatever stands before or behind it (defects: R1). A key without a ready candidate hides nothing.
* Cost: O(log keys) per event and O(connected peers) per send; keys without a candidate are parked by peer (defects:
  R2). No event of one key takes long however many there are; see `KeyTable` and `pending.py`.
* Times are monotonic seconds, given as `now`; "never" is `math.inf` (defects: R4, R5).
* One send: `next` proposes an attempt, its owner asks the peer's bucket and the link, and reports `sent`, `limited` or
  `refused`, then calls `next` again. A limited peer is no failure. A refused one is charged `fetch_timeout` and rests
  for the retry delay, though its bucket keeps the token (defects: R3). The key goes to the next peer in the same turn.
* An untargeted fetch opens a set of targets, a targeted one widens a set and never narrows; see `KeyTargets`.
* An answer counts if its id is active and it comes from the link that was asked. Anything else has no effect.
* For a key that is stuck (`StuckKeys`) `another` names somebody to be connected with, one at a time, however many keys
  are. Who can find out who has a key takes it (`take_stuck`), and whom that names is asked first (`prefer`).
* Beside a request that is *overdue* (`Overdue`) another peer is asked too. The first answer with bytes counts, and ends
  the other requests (`overtaken`). While some are out, one that fails is no retry.
* The rating of an answer waits for the verdict (`rate_answer`); all other costs are charged at once.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from ..key_subscribers import Comparable
from .candidates import Candidates
from .key_targets import KeyTargets
from .named_holders import NamedHolders
from .overdue import Overdue
from .peers import Peers, Scores
from .requests import MINIMUM_REST, Active, Attempt, Requests
from .rounds import Rounds
from .stuck_keys import StuckKeys
from .waiting_keys import WaitingKeys

P = TypeVar("P", bound=Comparable)


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
        self._targets: KeyTargets[P] = KeyTargets()
        self._waiting: WaitingKeys[P] = WaitingKeys(self._targets)
        self._requests: Requests[P] = Requests(fetch_timeout)
        self._held: set[bytes] = set()
        self._rounds: Rounds[P] = Rounds(fetch_retry_delay)
        self._holders: NamedHolders[P] = NamedHolders()
        self._candidates = Candidates(self._peers, self.scores, self._targets, self._holders)
        self._stuck = StuckKeys(self._candidates, self._waiting)
        self._overdue = Overdue(self._requests, self._rounds, self._peers, self.scores, self._candidates, self._stuck)
        self._blocked: set[P] = set()

    # What is there

    def __contains__(self, key: bytes) -> bool:
        return key in self._waiting or self._requests.is_out(key) or key in self._held

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def active(self) -> int:
        return len(self._requests)

    @property
    def blocked(self) -> int:
        return len(self._blocked)

    def is_blocked(self, peer: P) -> bool:
        """Blocked here, still in the peer set, and not come back with a new link."""
        return peer in self._blocked

    def is_out(self, key: bytes) -> bool:
        """Whether a request for this key is out."""
        return self._requests.is_out(key)

    def targets(self, key: bytes) -> frozenset[P] | None:
        """The peers this key is restricted to, None for any. KeyError for an unknown key."""
        if key not in self:
            raise KeyError(key)
        targets = self._targets.of(key)
        return None if targets is None else frozenset(targets)

    def wants_link(self, peer: P) -> bool:
        """A waiting key names this peer, it may be asked, and only a connection is missing (flows: fetch 2)."""
        return self._waiting.waits_for(peer) and self._peers.lacks_link(peer)

    def wanted(self) -> tuple[P, ...]:
        """Everybody for whom `wants_link` holds, sorted. Costs a look at each peer of the set: for new sets only."""
        return tuple(sorted(filter(self._waiting.waits_for, self._peers.unlinked())))

    @property
    def is_stuck(self) -> bool:
        """Some key that any peer may answer has nobody who can, as far as is known."""
        return self._stuck.are_any

    def watch_stuck(self) -> None:
        """Keep for `take_stuck` every key for which `is_stuck` holds, or `IN_VAIN` peers were asked in vain."""
        self._stuck.watch()

    def take_stuck(self, limit: int) -> list[bytes]:
        """At most so many of the keys that have become so since they were taken; one may come again."""
        return self._stuck.take(limit)

    def prefer(self, key: bytes, peer: P) -> None:
        """Ask this peer before others for a key, if it is fetched, as the peer says that it has it."""
        if key not in self or self._targets.of(key) is not None or peer in self._blocked:
            return
        is_linked = peer in self._peers.linked
        if self._holders.add(key, peer, is_linked=is_linked) and is_linked:
            self._wake(key)

    def another(self) -> tuple[P | None, int]:
        """Somebody of the set to be connected with, of so many; None if all that can be dialled are. See `Peers`."""
        return self._peers.name_unlinked()

    @property
    def linked(self) -> AbstractSet[P]:
        """Who may be asked and has a connection, busy or not."""
        return self._peers.linked

    @property
    def allowed(self) -> frozenset[P]:
        """Whom the latest set lets be asked."""
        return self._peers.allowed

    @property
    def candidates(self) -> int:
        """Peers that each `next` looks at."""
        return self._peers.candidates

    # Keys

    def add_ready(self, key: bytes, now: float, targets: Iterable[P] | None = None) -> None:
        """A new key, to be sent as soon as possible; targets restrict it to these peers."""
        if key in self:
            raise AssertionError(f"key {key.hex()} is being fetched already")
        if targets is not None:
            self._targets.restrict(key, targets)
        self._wait(key, now, is_retry=False)

    def add_retry(self, key: bytes, now: float, peer: P) -> None:
        """A held key whose bytes, from this peer, were not good enough: ask again after the retry delay."""
        if key not in self._held:
            raise AssertionError(f"key {key.hex()} is not held")
        self._held.remove(key)
        self._retry(key, now, peer)

    def add_targets(self, key: bytes, targets: Iterable[P]) -> None:
        """Widen the key's set of targets; a key that any peer may answer stays so. It rests no longer."""
        self._waiting.widen(key, targets)
        self._wake(key)

    def clear_targets(self, key: bytes) -> None:
        """Let any peer answer this key. It rests no longer; its active request stays as it is."""
        self._wake(key)
        if self._targets.of(key) is None:
            return
        self._waiting.open_to_all(key)
        if key in self._waiting:
            self._stuck.waits(key)

    def drop(self, key: bytes) -> tuple[Active[P], ...]:
        """Stop everything about a key, if it is known; its requests that were out. The peers are not told."""
        requests = self.overtaken(key)
        self._waiting.take(key)
        self._held.discard(key)
        self._rounds.forget(key)
        self._targets.forget(key)
        self._holders.forget(key)
        self._stuck.forget(key)
        return requests

    # Sending

    def next(self, now: float) -> Attempt[P] | None:
        """The next request to try; None when no key has both its time and a ready peer, and so far as was looked.

        So call it again, not at once, while `wake_up` is not later than now.
        """
        if not self._waiting:
            return None
        self._wake_some()
        ready = self._peers.ready(now)
        entry = self._waiting.due(now, ready)
        if entry is None:
            return None
        is_retry, _, key = entry
        failed = self._rounds.failed(key)
        candidates = self._candidates.untried(key, ready, failed) or self._candidates.untried(key, ready, ())
        return self._attempt(key, candidates, is_retry=is_retry)

    def sent(self, attempt: Attempt[P], now: float) -> Active[P]:
        """The link accepted the request: the key is active until it is answered, or fails."""
        if not self._requests.is_out(attempt.key):
            self._waiting.take(attempt.key)
            if attempt.peer in self._rounds.failed(attempt.key):
                self._rounds.asked(attempt.key, self._candidates.of_round(attempt.key))
        self._peers.asked(attempt.peer, attempt.id)
        request = self._requests.start(attempt, now)
        self._overdue.watch(request, now)
        return request

    def overdue(self, now: float) -> Attempt[P] | None:
        """The next request to try beside one that is overdue; None if there is none. As with `next`, say what became
        of it and ask again.
        """
        found = self._overdue.next(now)
        return None if found is None else self._attempt(*found, is_retry=True)

    def overdue_at(self) -> float:
        """When `overdue` can first have something, infinity for never; a request that has ended is no reason."""
        return self._requests.overdue_at()

    def overtaken(self, key: bytes) -> tuple[Active[P], ...]:
        """End the requests that are out for a key, as another one was answered; these requests."""
        return tuple(self._end(request.id) for request in self._requests.of(key))

    def limited(self, attempt: Attempt[P], until: float, now: float) -> None:
        """The peer's rate limit allows nothing before `until`. Not a failure, and the id is not spent."""
        self._peers.rest(attempt.peer, max(until, now + MINIMUM_REST))
        self._requests.watch_again(attempt.key, now)

    def refused(self, attempt: Attempt[P], now: float) -> None:
        """The link did not take the request: the peer is charged and rests, the key stays where it is."""
        self._requests.spend_id()
        self._charge_failure(attempt.peer)
        self._peers.rest(attempt.peer, now + max(self._retry_delay, MINIMUM_REST))
        self._requests.watch_again(attempt.key, now)

    def wake_up(self) -> float:
        """When `next` can first have something: now, if not later than now; infinity if only an event can help."""
        if not self._waiting:
            return math.inf
        return -math.inf if self._rounds.is_waking else self._waiting.wake_up(self._peers.ready_at())

    # Requests that end

    def deadline(self) -> float:
        """The earliest deadline of the active requests, infinity for none."""
        return self._requests.deadline()

    def pop_active(self, now: float, limit: int) -> tuple[Active[P], ...]:
        """At most so many of the requests whose deadline has come; their peers are charged, their keys wait again."""
        timed_out: list[Active[P]] = []
        while len(timed_out) < limit and (first := self._requests.first()) is not None and first.deadline <= now:
            self._charge_failure(first.peer)
            if self._peers.is_rated(first.peer):
                self.scores.silent(first.peer)
            timed_out.append(self._fail(first.id, now))
        return tuple(timed_out)

    def pop_response(self, request_id: int, link: int) -> Active[P] | None:
        """The request that bytes from this link answer; its key is held. None for a late or forged answer."""
        self._heard(link)
        if not self._requests.answered_by(request_id, link):
            return None
        request = self._end(request_id)
        self._held.add(request.key)
        self._stuck.came(request.key)
        return request

    def pop_missing(self, request_id: int, link: int, now: float) -> Active[P] | None:
        """The request that "no data" answers: the peer is charged the time the key lost, and the key waits again."""
        self._heard(link)
        if not self._requests.answered_by(request_id, link):
            return None
        request = self._fail(request_id, now)
        if self._peers.is_rated(request.peer):
            self.scores.missing(request.peer, now - request.sent_at + self._retry_delay)
        return request

    def rate_answer(self, peer: P, elapsed: float, size: int) -> None:
        """Bytes that were judged: `elapsed` seconds from sending to receipt, `size` in bytes."""
        if self._peers.is_rated(peer):
            self.scores.answered(peer, elapsed, size)

    # Peers

    def open(self, peer: P, link: int, now: float) -> None:
        """A connection opened. A peer blocked here is welcome again: it could not connect were it still blocked."""
        self._blocked.discard(peer)
        before = self._peers.linked.copy()
        self._peers.open(peer, link)
        self._compare(before, now)

    def close(self, link: int, now: float) -> tuple[Active[P], ...]:
        """A connection closed: its requests fail now and not at their deadline. Nobody is charged."""
        peer = self._peers.peer_of(link)
        if peer in self._peers.linked:
            self._rounds.leave(peer, now)
        return tuple(self._fail(request_id, now) for request_id in self._peers.close(link))

    def block(self, peer: P, now: float) -> tuple[Active[P], ...]:
        """Exclude the peer until it opens a new link, and remove it from every set of targets; its requests fail."""
        self._blocked.add(peer)
        self._holders.discard(peer)
        self._waiting.block(peer)
        link = self._peers.link_of(peer)
        return () if link is None else self.close(link, now)

    def reconcile(
        self, index: int, primary: AbstractSet[P], secondary: AbstractSet[P] = frozenset(), *, now: float
    ) -> bool:
        """Who may be asked from now on; False (and no effect) unless the index grows. Active requests go on."""
        before = self._peers.linked.copy()
        is_newer = self._peers.reconcile(index, primary, secondary)
        if is_newer:
            self._blocked &= primary | secondary
        self._compare(before, now)
        return is_newer

    # Inside

    def _attempt(self, key: bytes, candidates: list[P], *, is_retry: bool) -> Attempt[P]:
        peer = self._candidates.choose(key, candidates, is_retry=is_retry)
        link = self._peers.link_of(peer)
        assert link is not None
        return Attempt(self._requests.next_id, key, peer, link)

    def _wait(self, key: bytes, at: float, *, is_retry: bool) -> None:
        self._waiting.add(key, at, is_retry=is_retry)
        self._stuck.waits(key)

    def _wake(self, key: bytes) -> None:
        """End the rest of a key that waits longer than the retry delay."""
        soonest = self._rounds.wake(key)
        if soonest is not None:
            self._waiting.hasten(key, soonest)

    def _wake_some(self) -> None:
        for key in self._rounds.to_wake():
            self._wake(key)

    def _heard(self, link: int) -> None:
        peer = self._peers.peer_of(link)
        if peer is not None:
            self.scores.heard(peer)

    def _retry(self, key: bytes, now: float, peer: P) -> None:
        self._rounds.fail(key, peer, self._peers.connected)
        self._stuck.failed(key, self._rounds.failed(key))
        self._wait(key, self._rounds.next_at(key, now, self._candidates.of_round(key)), is_retry=True)

    def _compare(self, before: AbstractSet[P], now: float) -> None:
        """Whoever is a candidate now, and was neither one `before` nor lately, may have any key; whoever was one
        lately, those that it has said it has meanwhile.
        """
        linked = self._peers.linked
        for peer in sorted(before - linked):
            self._rounds.leave(peer, now)
        came = sorted(linked - before)
        named = [key for peer in came for key in self._holders.came(peer)]
        if any(self._rounds.is_new(peer, now) for peer in came):
            self._rounds.welcome(tuple(linked & before), self._stuck.welcome())
        elif named:
            self._rounds.welcome_back(named)
        self._wake_some()

    def _end(self, request_id: int) -> Active[P]:
        request = self._requests.end(request_id)
        self._peers.ended(request.peer, request_id)
        return request

    def _fail(self, request_id: int, now: float) -> Active[P]:
        request = self._end(request_id)
        newest = self._requests.newest(request.key)
        if newest is None:
            self._retry(request.key, now, request.peer)
            return request
        self._rounds.fail(request.key, request.peer, self._peers.connected)
        if newest.sent_at <= request.sent_at:
            self._overdue.watch(newest, now)  # the one that failed may have been the one that was watched
        return request

    def _charge_failure(self, peer: P) -> None:
        if self._peers.is_rated(peer):
            self.scores.failed(peer)
