"""The asking side of a resolver: performs what the core decides, sends what is due, and wakes up in time.

* After each event `end_turn` sends at most `SENDS_PER_TURN` requests, fewer among very many peers; what is due beyond
  that waits behind the messages that came meanwhile, so neither can starve the other. Time-outs come in slices too.
* One timer stands for the earliest deadline and the earliest time at which a key can be sent. It is only ever moved
  forward; when it rings too early it is set again.
* Decisions are performed in the order in which the core gave them; those of a verdict that is given at once follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from msgspec import Struct

from .... import runtime
from ....runtime import EngineGone, Lane, Message, Overflow, Reply, Timer
from ....transport.channel import Channel
from ....transport.identity import PeerId
from ...connections.mailbox import Mailbox as Connections
from ...maintenance.mailbox import Mailbox as Maintenance
from ...providers.mailbox import Mailbox as Providers
from ...tracker.core.peer_sets import PeerSet
from ...tracker.mailbox import Mailbox as Tracker
from ..config import Config
from ..core.codec import Request, encode
from ..core.decisions import Accepted, Block, Cause, Decision, Deliver, Ended, Outcome, Reason, Retired, Retry
from ..core.fetching.fetcher import Fetcher
from ..core.fetching.requests import Attempt
from ..core.key_subscribers import UnusableSubscriber
from ..core.wanted_keys import WantedKeys
from ..errors import FetchCancelled, FetchError, FetchRetired, FetchTimedOut
from ..mailbox import Fetch, FetchFailed, InvalidData
from ..metrics import Metrics
from .application import Consumer
from .awaited_answers import AwaitedAnswers
from .busy_peers import BusyPeers
from .finding import Finding
from .gets import Gets, Tag, tag
from .missing_connections import MissingConnections
from .verdicts import Asked, Failed, Verdicts

SENDS_PER_TURN = 32
"""Requests that may leave before the next message is looked at."""

PEERS_PER_TURN = 4096
"""Peers that may be compared for them: each request goes to the best of all that are ready."""

TIME_OUTS_PER_TURN = 64
"""Requests that are given up before the next message is looked at."""

INITIAL_SCORE = 0.1
"""Seconds; where the scores start while no peer has answered anything."""

BLOCK_TIMEOUT = 30.0
"""Seconds for the tracker to say that a block is in force; it is logged if it does not."""

Decisions = Iterable[Decision[PeerId, Tag]]


class Tick(Message, Struct, frozen=True):
    """To itself: a request's deadline has come, or a key's time."""


class SendMore(Message, Struct, frozen=True):
    """To itself: the last turn sent as much as one turn may."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.LATEST


class GiveUp(Message, Struct, frozen=True):
    """To itself: the time of a `get` is over."""

    number: int


class Client:
    """What is wanted, and what becomes of it."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        config: Config,
        *,
        me: PeerId | None,
        channel: Channel,
        consumer: Consumer,
        tracker: Tracker,
        maintenance: Maintenance | None,
        connections: Connections | None,
        providers: Providers | None,
        metrics: Metrics,
        failed: Failed,
        emit: Callable[[Message], None],
        awaited: AwaitedAnswers,
    ) -> None:
        """me: nobody else is this node. channel: with the quota of our requests.

        providers: find who has a key; without them peers are wished for at random.
        failed: told of application code that failed. emit: tells events. awaited: told of requests that are out.
        """
        self._engine = engine
        self._config = config
        self._channel = channel
        self._tracker = tracker
        self._metrics = metrics
        self._failed = failed
        self._emit = emit
        self._awaited = awaited
        self.fetcher: Fetcher[PeerId] = Fetcher(
            me=me,
            fetch_timeout=config.fetch_timeout,
            fetch_retry_delay=config.fetch_retry_delay,
            initial_score=min(INITIAL_SCORE, config.fetch_timeout),
            max_requests_per_peer=config.max_requests_per_peer,
            rng=engine.rng,
        )
        self.wanted: WantedKeys[PeerId, Tag] = WantedKeys(self.fetcher)
        self.missing_connections = MissingConnections(
            engine, self.fetcher, maintenance, config.want_interval, metrics.wants
        )
        self._finding = None if providers is None else Finding(self.fetcher, providers, channel.number)
        self._gets = Gets()
        self._busy = BusyPeers(connections)
        self._verdicts = Verdicts(engine, consumer, config.verdict_timeout, judged=self._on_late_verdict, failed=failed)
        self._timer: Timer | None = None
        self._timer_at = math.inf

    # What is wanted

    def fetch(self, fetch: Fetch) -> None:
        """Want a key for each of its subscribers."""
        for subscriber in fetch.subscribers:
            try:
                self.wanted.fetch(fetch.data_key, tag(subscriber), self._engine.now(), fetch.targets)
            except UnusableSubscriber as error:
                self._failed("subscriber", fetch.data_key, error)
        self.missing_connections.consider(fetch.targets or ())

    def get(self, key: bytes, timeout: float | None, reply: Reply[bytes]) -> None:
        """Want a key; its value answers this reply. timeout: seconds, None for no limit."""
        number = self._gets.add(key, timeout, reply)
        if timeout is not None:
            self._gets.started(number, self._engine.after(timeout, GiveUp(number)))
        self.wanted.fetch(key, (number, ()), self._engine.now())

    def give_up(self, number: int) -> None:
        """The time of this `get` is over."""
        waiting = self._gets.give_up(number)
        if waiting is not None and waiting.timeout is not None:
            self.perform(self.wanted.retain(lambda _key, tag: tag != (number, ()), [waiting.key]))
            waiting.reply.fail(FetchTimedOut(waiting.key, waiting.timeout))

    # What happens

    def respond(self, link: int, request_id: int, value: bytes) -> None:
        """A peer answered with bytes: they go before the consumer."""
        self._answered(self.wanted.respond(link, request_id, value, self._engine.now()))
        self._metrics.fetched_bytes.inc(by=len(value))

    def missing(self, link: int, request_id: int) -> None:
        """A peer answered that it has no data: another is asked."""
        self._answered(self.wanted.missing(link, request_id, self._engine.now()))

    def opened(self, peer: PeerId, link: int) -> None:
        """A link to this peer opened: it may be asked."""
        self.fetcher.open(peer, link, self._engine.now())

    def found(self, channel: int, key: bytes, peer: PeerId) -> None:
        """A peer says that it has a key, of this channel or another."""
        if self._finding is not None:
            self._finding.found(channel, key, peer)

    def closed(self, peer: PeerId, link: int) -> None:
        """A connection is gone: its requests fail now."""
        self.perform(self.wanted.closed(link, self._engine.now()))
        self.missing_connections.may_want()
        self.missing_connections.consider((peer,))

    def reconcile(self, index: int, latest: PeerSet) -> None:
        """Ask the peers of this set from now on. index: of the set, which only grows."""
        secondary = latest.secondary if self._config.ask == "all" else ()
        before = self.fetcher.allowed
        if self.fetcher.reconcile(index, frozenset(latest.primary), frozenset(secondary), now=self._engine.now()):
            self.missing_connections.may_want()
            if not self.fetcher.allowed <= before:
                self.missing_connections.somebody_new()
            self.missing_connections.consider_all()

    def tick(self) -> None:
        """The timer rang: fail the requests whose deadline has come."""
        self._timer_at = math.inf
        self.perform(self.wanted.expire(self._engine.now(), TIME_OUTS_PER_TURN))

    def stop(self) -> None:
        """The engine ends: nobody hears a verdict any more, and nobody gets a value."""
        self._busy.stop()
        self._verdicts.withdraw_all()
        self._gets.fail_all(EngineGone(f"{self._engine.name} stopped before it had the value"))

    def end_turn(self) -> None:
        """The end of each turn: send what is due, and see to it that there is another turn in time."""
        self._send()
        now = self._engine.now()
        wake_up = self.fetcher.wake_up()
        if wake_up <= now:
            self._engine.mailbox.tell(SendMore())
            wake_up = math.inf
        self._wake_at(min(wake_up, self.fetcher.deadline(), max(self.fetcher.overdue_at(), now)))
        if self._finding is not None:
            if self._finding.consider():
                self._engine.mailbox.tell(SendMore())
        else:
            self.missing_connections.consider_stuck()
        self._busy.say()

    def observe(self) -> None:
        """Bring the gauges up to date: before they are read, since that is far rarer than a turn."""
        metrics = self._metrics
        metrics.live.set(len(self.wanted))
        metrics.waiting.set(self.fetcher.waiting)
        metrics.active.set(self.fetcher.active)
        metrics.judging.set(self.wanted.delivering)
        metrics.excluded.set(self.fetcher.blocked)

    def _send(self) -> None:
        now = self._engine.now()
        for _ in range(min(SENDS_PER_TURN, 1 + PEERS_PER_TURN // (1 + self.fetcher.candidates))):
            attempt = self.fetcher.next(now)
            if attempt is None:
                break
            self._try(attempt, now)
        for _ in range(SENDS_PER_TURN):
            attempt = self.fetcher.overdue(now)
            if attempt is None:
                return
            self._metrics.overdue.inc()
            self._try(attempt, now)

    def _try(self, attempt: Attempt[PeerId], now: float) -> None:
        payload = encode(Request(attempt.id, attempt.key, self._config.priority_responses))
        first = self._config.priority_requests
        if self._channel.send(attempt.link, attempt.peer, payload, now, priority=first).accepted:
            self.fetcher.sent(attempt, now)
            self._busy.change(attempt.peer, +1)
            self._awaited.change(attempt.link, +1)
        elif (ready_at := self._channel.check(attempt.peer, now)) > now:
            self._metrics.limited.inc()
            self.fetcher.limited(attempt, ready_at, now)
        else:
            self._metrics.refused.inc()
            self.fetcher.refused(attempt, now)

    def _wake_at(self, at: float) -> None:
        if at >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._engine.after(max(0.0, at - self._engine.now()), Tick())

    # What the core decides

    def perform(self, decisions: Decisions) -> None:
        """Carry out these decisions, in order."""
        for decision in decisions:
            following = self._perform(decision)
            if following:  # of a verdict that was given at once; its delivery was the last decision
                self.perform(following)

    def _perform(self, decision: Decision[PeerId, Tag]) -> Decisions:
        metrics = self._metrics
        match decision:
            case Deliver():
                outcome = self._verdicts.deliver(decision)
                return () if outcome is None else self._verdict(decision, outcome)
            case Ended(request, cause):
                metrics.requests.inc(cause.value)
                self._busy.change(request.peer, -1)
                self._awaited.ended(request.link, with_data=cause is Cause.ANSWERED)
            case Accepted(_, _, seconds):
                metrics.fetched.inc()
                metrics.fetch_seconds.inc(by=seconds)
            case Retry(key, cause):
                metrics.retries.inc(cause.value)
                self.missing_connections.consider(
                    sorted(self.fetcher.targets(key) or ()) if key in self.fetcher else ()
                )
            case Block(peer, key):
                self._block(peer, key)
            case Retired(key, reason):
                self._retired(key, reason)
        return ()

    def _verdict(self, asked: Asked, outcome: Outcome) -> Decisions:
        decisions = self.wanted.verdict(asked.key, asked.generation, outcome, self._engine.now())
        if decisions:
            self._metrics.verdicts.inc(outcome.value)
            if outcome is Outcome.COMPLETE:
                self._gets.answer(asked.subscribers, asked.value)
            elif outcome is Outcome.UNANSWERED:
                self._gets.fail(asked.subscribers, FetchRetired(asked.key, Reason.UNANSWERED))
        return decisions

    def _on_late_verdict(self, asked: Asked, outcome: Outcome) -> None:
        self.perform(self._verdict(asked, outcome))
        self.end_turn()

    def _block(self, peer: PeerId, key: bytes) -> None:
        self._metrics.blocks.inc()
        self._engine.log.warning("peer sent false data and is blocked", peer=peer.short, key=key.hex())
        self._emit(InvalidData(key, peer))
        reply = self._tracker.block(peer, self._config.block_duration, at_least=True)
        self._engine.on_reply(reply, partial(self._on_blocked, peer), timeout=BLOCK_TIMEOUT)

    def _on_blocked(self, peer: PeerId, answer: object) -> None:
        if isinstance(answer, Exception):
            # It is not asked again all the same, as long as this link lasts.
            self._engine.log.error("peer could not be blocked", error=answer, peer=peer.short)

    def _retired(self, key: bytes, reason: Reason) -> None:
        self._metrics.retired.inc(reason.value)
        self._verdicts.withdraw(key)
        if self._finding is not None:
            self._finding.retired(key)
        if reason in (Reason.CONTRADICTED, Reason.UNANSWERED):
            self._engine.log.warning("key given up", key=key.hex(), reason=reason.value)
            self._emit(FetchFailed(key, reason))
        if self._gets.waits_for(key):
            error: FetchError = FetchCancelled(key) if reason is Reason.CANCELLED else FetchRetired(key, reason)
            self._gets.fail_key(key, error)

    def _answered(self, decisions: Decisions) -> None:
        if not decisions:
            self._metrics.unmatched.inc()
        self.perform(decisions)
