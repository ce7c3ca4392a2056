"""What happens to a wanted key, from the first fetch until nobody wants it. Pure: each method returns decisions.

Whether a key is live is answered here and only here. A live key is in one state:

    FRESH, RETRY, ACTIVE   in the fetcher's hands
    VALIDATING             bytes came, the consumer has not called them complete
    REDELIVERING           complete for those who asked first; the same bytes are before those who came late

A verdict names the generation of its delivery; one that is not the key's present delivery has no effect. Else:

    outcome      VALIDATING                                     REDELIVERING
    COMPLETE     rate, accept; late ones get the same bytes,    as there, but neither rated nor accepted twice
                 or the key is retired
    AMBIGUOUS    rate, drop the bytes, retry                    drop the bytes, retry; not rated twice
    INVALID      rate, block the peer, drop the bytes, retry    the consumer contradicts itself: retired, nobody blocked
    IGNORED      retired with all its subscribers, not rated    the same
    UNANSWERED   late ones get the same bytes, or retired       the same

UNANSWERED is ours (defects: R12): a consumer that fails blames no peer, and since those it failed for leave the
key, it is not asked forever. There is no overall deadline: a key lives until one of these, or until it is cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct

from .decisions import Accepted, Block, Cause, Decision, Deliver, Ended, Outcome, Reason, Retired, Retry
from .fetching.fetcher import Fetcher
from .fetching.requests import Active
from .key_subscribers import Comparable, KeySubscribers

P = TypeVar("P", bound=Comparable)
S = TypeVar("S", bound=Comparable)


class _Answer(Struct, Generic[P, S]):
    """Bytes of a peer that the consumer judges. elapsed: seconds from request to answer."""

    value: bytes
    peer: P
    elapsed: float
    generation: int
    delivered: tuple[S, ...]
    accepted: bool = False


class WantedKeys(Generic[P, S]):
    """The engine sends with `fetcher.next` and tells `fetcher` who may be asked; all else comes through here."""

    def __init__(self, fetcher: Fetcher[P]) -> None:
        self.fetcher = fetcher
        self._subscribers: KeySubscribers[S] = KeySubscribers()
        self._answers: dict[bytes, _Answer[P, S]] = {}
        self._generation = 0

    def __contains__(self, key: bytes) -> bool:
        return key in self._subscribers

    def __len__(self) -> int:
        return len(self._subscribers)

    def __iter__(self) -> Iterator[bytes]:
        """The live keys, in a reproducible order; they may change meanwhile. One that stays is seen exactly once."""
        return iter(self._subscribers)

    @property
    def delivering(self) -> int:
        """How many keys wait for a verdict of the consumer."""
        return len(self._answers)

    # Demand

    def fetch(self, key: bytes, subscriber: S, now: float, targets: Iterable[P] | None = None) -> None:
        """Want a key, from these peers or (None) from any. A live key gets one more subscriber, not a request."""
        is_live = key in self._subscribers
        self._subscribers.add(key, subscriber, now)
        if not is_live:
            self.fetcher.add_ready(key, now, targets)
        elif targets is None:
            self.fetcher.clear_targets(key)
        else:
            self.fetcher.add_targets(key, targets)

    def cancel(self, key: bytes) -> tuple[Decision[P, S], ...]:
        """Nobody wants this key any more. Empty if nobody did."""
        return self._retire(key, Reason.CANCELLED) if key in self._subscribers else ()

    def retain(
        self, predicate: Callable[[bytes, S], bool], keys: Iterable[bytes] | None = None
    ) -> tuple[Decision[P, S], ...]:
        """Drop the subscribers for which the predicate is false, and the keys that have none left.

        Looks at all keys, or at these only: so that an engine can go through very many in slices.
        """
        decisions: list[Decision[P, S]] = []
        for key in self if keys is None else keys:
            if key in self._subscribers and not self._subscribers.retain(key, predicate):
                decisions += self._retire(key, Reason.CANCELLED)
        return tuple(decisions)

    def clear(self) -> tuple[Decision[P, S], ...]:
        """Cancel everything."""
        return self.retain(lambda _key, _subscriber: False)

    # Answers

    def respond(self, link: int, request_id: int, value: bytes, now: float) -> tuple[Decision[P, S], ...]:
        """Bytes came over this link. Empty if they answer nothing that is out: late, repeated or forged."""
        request = self.fetcher.pop_response(request_id, link)
        if request is None:
            return ()
        answer: _Answer[P, S] = _Answer(value, request.peer, now - request.sent_at, 0, ())
        self._answers[request.key] = answer
        others = [Ended(other, Cause.OVERTAKEN) for other in self.fetcher.overtaken(request.key)]
        return (Ended(request, Cause.ANSWERED), *others, self._deliver(request.key, answer))

    def missing(self, link: int, request_id: int, now: float) -> tuple[Decision[P, S], ...]:
        """ "No data" came over this link. Empty as for `respond`."""
        request = self.fetcher.pop_missing(request_id, link, now)
        return () if request is None else self._failed((request,), Cause.MISSING)

    def expire(self, now: float, limit: int) -> tuple[Decision[P, S], ...]:
        """Fail at most so many of the requests whose deadline has come."""
        return self._failed(self.fetcher.pop_active(now, limit), Cause.TIMED_OUT)

    def closed(self, link: int, now: float) -> tuple[Decision[P, S], ...]:
        """Fail the requests of a link that closed."""
        return self._failed(self.fetcher.close(link, now), Cause.LINK_CLOSED)

    def verdict(self, key: bytes, generation: int, outcome: Outcome, now: float) -> tuple[Decision[P, S], ...]:
        """What the consumer said. Empty if that delivery is no longer the key's: cancelled, or an older one."""
        answer = self._answers.get(key)
        if answer is None or answer.generation != generation:
            return ()
        match outcome:
            case Outcome.COMPLETE:
                return self._complete(key, answer, now)
            case Outcome.AMBIGUOUS:
                return self._ambiguous(key, answer, now)
            case Outcome.INVALID if answer.accepted:
                return self._retire(key, Reason.CONTRADICTED)
            case Outcome.INVALID:
                return self._invalid(key, answer, now)
            case Outcome.IGNORED:
                return self._retire(key, Reason.IGNORED)
            case Outcome.UNANSWERED:
                return self._to_the_rest(key, answer, Reason.UNANSWERED)

    # Verdicts

    def _complete(self, key: bytes, answer: _Answer[P, S], now: float) -> tuple[Decision[P, S], ...]:
        decisions: list[Decision[P, S]] = []
        if not answer.accepted:
            answer.accepted = True
            self._rate(answer)
            decisions.append(Accepted(key, answer.peer, now - self._subscribers.since(key)))
        return (*decisions, *self._to_the_rest(key, answer, Reason.FULFILLED))

    def _ambiguous(self, key: bytes, answer: _Answer[P, S], now: float) -> tuple[Decision[P, S], ...]:
        if not answer.accepted:
            self._rate(answer)
        self._ask_again(key, answer, now)
        return (Retry(key, Outcome.AMBIGUOUS),)

    def _invalid(self, key: bytes, answer: _Answer[P, S], now: float) -> tuple[Decision[P, S], ...]:
        self._rate(answer)
        self._ask_again(key, answer, now)
        is_known = self.fetcher.is_blocked(answer.peer)
        failed = self._failed(self.fetcher.block(answer.peer, now), Cause.LINK_CLOSED)
        block = () if is_known else (Block(answer.peer, key),)
        return *block, Retry(key, Outcome.INVALID), *failed

    def _to_the_rest(self, key: bytes, answer: _Answer[P, S], reason: Reason) -> tuple[Decision[P, S], ...]:
        """Those who got the bytes leave; those who came late get the same bytes, or the key is retired."""
        if self._subscribers.satisfy(key, answer.delivered):
            return (self._deliver(key, answer),)
        return self._retire(key, reason)

    # Inside

    def _deliver(self, key: bytes, answer: _Answer[P, S]) -> Deliver[P, S]:
        self._generation += 1
        answer.generation = self._generation
        answer.delivered = self._subscribers.of(key)
        return Deliver(key, answer.generation, answer.delivered, answer.value, answer.peer)

    def _rate(self, answer: _Answer[P, S]) -> None:
        self.fetcher.rate_answer(answer.peer, answer.elapsed, len(answer.value))

    def _ask_again(self, key: bytes, answer: _Answer[P, S], now: float) -> None:
        del self._answers[key]
        self.fetcher.add_retry(key, now, answer.peer)

    def _failed(self, requests: Iterable[Active[P]], cause: Cause) -> tuple[Decision[P, S], ...]:
        decisions: list[Decision[P, S]] = []
        for request in requests:
            decisions.append(Ended(request, cause))
            if not self.fetcher.is_out(request.key):
                decisions.append(Retry(request.key, cause))
        return tuple(decisions)

    def _retire(self, key: bytes, reason: Reason) -> tuple[Decision[P, S], ...]:
        requests = self.fetcher.drop(key)
        answer = self._answers.pop(key, None)
        self._subscribers.drop(key)
        retired = Retired(key, reason, None if answer is None else answer.generation)
        return (*(Ended(request, Cause.CANCELLED) for request in requests), retired)
