"""The blobs engine: cuts files, fetches them, writes them, and gives blocks to others.

::

    get ──▶ job ──▶ pool: advance ──▶ what is lacking ──▶ resolver.fetch_all
              ▲         ▲       │                               │
              │         │       └── nothing ──▶ pool: write ──▶ report
              │         └── all that arrived meanwhile ◀── deliver, one block each
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count, zip_longest
from typing import TypeVar

from ... import runtime
from ...actors import resolver
from ...actors.resolver import FetchFailed, Outcome
from ...runtime import Feedback, Message, Reply
from ..stores import Store
from . import work
from .config import Config
from .download import Accepted, Download, Progress, Reason
from .errors import BlobError, GetCancelled, GetTimedOut, MissingBlock, StorageFailed
from .jobs import Arrival, Job, Waiter, Wants
from .keys import BlobKey
from .mailbox import (
    BlobProgress,
    Cancel,
    Deliver,
    Get,
    GetProgress,
    GetReport,
    Has,
    Mailbox,
    Produce,
    Put,
    Subscribe,
)
from .metrics import Metrics
from .pacer import Pacer
from .work import Step, Verdict
from .writing import check_destination

T = TypeVar("T")

WORK_WITHIN = 7 * 86_400.0
"""Seconds. Work on the pool has no limit of its own: a large file on a slow disk takes as long as it takes."""
REFETCH_DELAY = 1.0
"""Seconds before a block that the resolver gave up is asked for again."""


@dataclass(frozen=True, slots=True)
class Expired(Message):
    """To itself: the time of a get is over."""

    root: BlobKey
    number: int


@dataclass(frozen=True, slots=True)
class Again(Message):
    """To itself: go on with a download."""

    root: BlobKey


@dataclass(frozen=True, slots=True, eq=False)
class Give(Message):
    """To itself: an answer that was held back may leave."""

    reply: Reply[bytes | None]
    value: bytes


class Engine(runtime.Engine[Mailbox]):
    """Handlers, and the order of work of each download; what a block means is decided in `download`."""

    def __init__(self, config: Config, *, store: Store, resolver: resolver.Mailbox) -> None:
        """store: this engine's own from now on; closed when it stops. resolver: whose producer and consumer it is."""
        super().__init__()
        self.handlers = {
            Put: self.on_put,
            Get: self.on_get,
            Cancel: self.on_cancel,
            GetProgress: self.on_get_progress,
            Has: self.on_has,
            Subscribe: self.on_subscribe,
            # from the resolver
            Produce: self.on_produce,
            Deliver: self.on_deliver,
            FetchFailed: self.on_fetch_failed,
            # from itself
            Give: self.on_give,
            Expired: self.on_expired,
            Again: self.on_again,
        }
        self._config = config
        self._store = store
        self._resolver = resolver
        self._metrics = Metrics(self.runtime.registry)
        rate = config.serve_rate
        self._pacer = None if rate is None else Pacer(rate, burst=rate / 4, patience=config.serve_patience)
        self._jobs: dict[BlobKey, Job] = {}
        self._wants = Wants()
        self._numbers = count(1)
        self._subscribers: list[runtime.Mailbox] = []

    def on_start(self) -> None:
        """Hear of blocks that the resolver gives up."""
        self._resolver.subscribe(self.mailbox, FetchFailed)

    def on_stop(self) -> None:
        """End every get. Closing the store also ends what the pool is doing with it."""
        for job in list(self._jobs.values()):
            self._end(job, GetCancelled(job.key, "the node stops"))
        self._store.close()

    # Files -----------------------------------------------------------------------------------------------------------

    def on_put(self, message: Put) -> Reply[BlobKey]:
        """Cut it on the pool."""
        put = self.work(work.put, message.path, self._store, self._config.chunk_size)
        return self._counted(put, self._metrics.puts.inc)

    def on_get(self, message: Get) -> Reply[GetReport]:
        """Join the download of this file, or start one."""
        job = self._jobs.get(message.root)
        if job is None:
            job = self._jobs[message.root] = Job(message.root, Download(message.root))
            self._metrics.downloads.set(len(self._jobs))
        waiter = Waiter(next(self._numbers), message.destination, self.now(), message.timeout)
        if message.timeout is not None:
            waiter.timer = self.after(message.timeout, Expired(job.key, waiter.number))
        job.waiters.append(waiter)
        # Gigabytes are not fetched for a place where they cannot be written.
        checked = self.work(check_destination, message.destination)
        self.on_reply(checked, lambda result: self._on_checked(job, waiter, result), within=WORK_WITHIN)
        self._go_on(job)
        return self._counted(waiter.reply, self._metrics.gets.inc)

    def on_cancel(self, message: Cancel) -> int:
        """End who waits; who is written to already is not disturbed."""
        job = self._jobs.get(message.root)
        waiting = [] if job is None else [waiter for waiter in job.waiters if not waiter.writing]
        for waiter in waiting:
            self._fail(message.root, waiter, GetCancelled(message.root, "cancelled"))
        return len(waiting)

    def on_expired(self, message: Expired) -> None:
        """A get's time is over, unless it is writing."""
        job = self._jobs.get(message.root)
        waiter = None if job is None else job.waiter(message.number)
        if job is None or waiter is None or waiter.writing or waiter.timeout is None:
            return
        error = GetTimedOut(job.key, waiter.timeout, job.progress.done, job.progress.total)
        self._fail(job.key, waiter, error)

    def on_get_progress(self, message: GetProgress) -> Progress | Reply[Progress]:
        """Of the download, or of the store."""
        job = self._jobs.get(message.root)
        if job is not None:
            return job.progress
        return self.work(work.look, message.root, self._store, self._config.window)

    def on_has(self, message: Has) -> Reply[bool]:
        """Ask the store."""
        return self.work(work.has, message.root, self._store, self._config.window)

    def on_subscribe(self, message: Subscribe) -> None:
        """A second subscription changes nothing."""
        if all(mailbox is not message.subscriber for mailbox in self._subscribers):
            self._subscribers.append(message.subscriber)

    # Blocks for others -----------------------------------------------------------------------------------------------

    def on_produce(self, message: Produce) -> Reply[bytes | None] | None:
        """Read it, and hold it back as long as `serve_rate` says."""
        if self._pacer is not None and self._pacer.delay(self.now()) is None:
            self._metrics.serves.inc("refused")
            return None
        reply: Reply[bytes | None] = Reply()
        read = self.work(self._store.get, message.block)
        self.on_reply(read, lambda value: self._on_read(reply, value), within=WORK_WITHIN)
        return reply

    def _on_read(self, reply: Reply[bytes | None], value: bytes | None | Exception) -> None:
        """Continue `produce`."""
        if isinstance(value, Exception):
            self._metrics.serves.inc("failed")
            reply.fail(value)
        elif value is None:
            self._metrics.serves.inc("missing")
            reply.set(None)
        else:
            self._pace(reply, value)

    def _pace(self, reply: Reply[bytes | None], value: bytes) -> None:
        delay = 0.0 if self._pacer is None else self._pacer.send(len(value), self.now())
        if delay is None:
            self._metrics.serves.inc("refused")
            reply.set(None)
        elif delay > 0:
            self.after(delay, Give(reply, value))
        else:
            self.on_give(Give(reply, value))

    def on_give(self, message: Give) -> None:
        """Its time has come."""
        self._metrics.serves.inc("given")
        self._metrics.served_bytes.inc(by=len(message.value))
        message.reply.set(message.value)

    # Blocks for us ---------------------------------------------------------------------------------------------------

    def on_deliver(self, message: Deliver) -> Reply[Outcome]:
        """Hand it to the download that waits for it."""
        reply: Reply[Outcome] = Reply()
        self._hand_over(Arrival(message.delivery.key, message.value, message.delivery.peer, reply))
        return reply

    def on_fetch_failed(self, message: FetchFailed) -> None:
        """The resolver gave a block up; whoever waits for it asks again, not at once."""
        for job in self._wants.settle(message.data_key):
            self.after(REFETCH_DELAY, Again(job.key))

    def on_again(self, message: Again) -> None:
        """Go on, if it is still wanted."""
        job = self._jobs.get(message.root)
        if job is not None:
            self._go_on(job)

    def _hand_over(self, arrival: Arrival) -> None:
        job = self._wants.first(arrival.key)
        if job is None:
            arrival.reply.set(Outcome.IGNORED)
            return
        job.arrived.append(arrival)
        self._go_on(job)

    # A download ------------------------------------------------------------------------------------------------------

    def _go_on(self, job: Job) -> None:
        """One piece of work at a time: the next one takes everything that came meanwhile."""
        job.again = job.busy
        if job.busy or job.ended:
            return
        if job.complete:
            self._write(job, job.waiters[0])
            return
        job.busy = True
        arrived, job.arrived = job.arrived, []
        blocks = [(arrival.key, arrival.value) for arrival in arrived]
        step = self.work(work.advance, job.download, self._store, blocks, self._config.window)
        self.on_reply(step, lambda result: self._on_step(job, arrived, result), within=WORK_WITHIN)

    def _on_step(self, job: Job, arrived: list[Arrival], result: Step | Exception) -> None:
        """Continue `go_on`: verdicts first, so that the resolver knows them before it is asked for more."""
        job.busy = False
        step = Step((), (), job.progress, _failure(result)) if isinstance(result, Exception) else result
        for arrival, verdict in zip_longest(arrived, step.verdicts):
            arrival.reply.set(self._judge(job, arrival, verdict))
        if job.ended:
            return
        self._tell_progress(job, step.progress)
        if step.error is not None:
            self._end(job, step.error)
            return
        self._want(job, step.lacking)
        job.complete = step.complete
        if job.complete or job.again or job.arrived:
            self._go_on(job)

    def _judge(self, job: Job, arrival: Arrival, verdict: Verdict | None) -> Outcome:
        """What the resolver is told. No verdict means that the store failed: nobody's fault."""
        key, peer = arrival.key, arrival.peer
        reason = None if verdict is None else "accepted" if isinstance(verdict, Accepted) else verdict.reason
        self._metrics.blocks.inc(getattr(reason, "value", reason) or "unjudged")
        if isinstance(verdict, Accepted):
            job.ledger.accepted(peer, len(arrival.value))
            self._metrics.fetched_bytes.inc(by=len(arrival.value))
            self._settle(job, key)
            return Outcome.COMPLETE
        if reason is Reason.FALSE:
            job.ledger.rejected(peer)
            self.log.warning("a peer sent a false block", peer=peer.short, block=key.hex())
            return Outcome.INVALID
        if reason is Reason.UNWANTED:
            self._settle(job, key)
            return Outcome.IGNORED
        self._wants.drop(job, [key])
        return Outcome.COMPLETE if self._wants.first(key) is None else Outcome.AMBIGUOUS

