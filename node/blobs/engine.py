"""The blobs engine: cuts files, fetches them, writes them, and gives blocks to others.

::

    get ──▶ job ──▶ pool: advance ──▶ what is lacking ──▶ resolver.fetch_all
                      ▲       │                               │
                      │       └── nothing ──▶ pool: write ──▶ report
                      └── all that arrived meanwhile ◀── deliver, a block each
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, zip_longest
from typing import TypeVar

from ... import runtime
from ...actors import resolver
from ...actors.resolver import FetchFailed, Outcome
from ...runtime import Counter, Feedback, Message, Reply
from ..stores import Store
from . import work
from .config import Config
from .download import Accepted, Download, Progress, Reason, Rejected
from .errors import BlobError, GetCancelled, GetTimedOut, MissingBlock, StorageFailed
from .jobs import Arrival, Job, Waiter, Wants, judge
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
from .serving import Give, Serving
from .work import Step
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


class Engine(runtime.Engine[Mailbox]):
    """Handlers, and the order of work of each download; what a block means is decided in `download` and `jobs`."""

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
        self._serving = Serving(self, store, config, self._metrics)
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
        return self._counted(put, self._metrics.puts)

    def on_get(self, message: Get) -> Reply[GetReport]:
        """Join the download of this file, or start one."""
        job = self._jobs.get(message.root)
        if job is None:
            job = self._jobs[message.root] = Job(message.root, Download(message.root))
        waiter = Waiter(next(self._numbers), message.destination, self.now(), message.timeout, Reply())
        job.waiters.append(waiter)
        if message.timeout is not None:
            waiter.timer = self.after(message.timeout, Expired(job.key, waiter.number))
        self._check(job, waiter)
        self._go_on(job)
        return self._counted(waiter.reply, self._metrics.gets)

    def on_cancel(self, message: Cancel) -> int:
        """End who waits; the file that is being written is finished."""
        job = self._jobs.get(message.root)
        waiting = [] if job is None else [waiter for waiter in job.waiters if not waiter.writing]
        for waiter in waiting:
            self._fail(message.root, waiter.number, GetCancelled(message.root, "cancelled"))
        return len(waiting)

    def on_expired(self, message: Expired) -> None:
        """The time of a get is over; the file that is being written is finished."""
        job = self._jobs.get(message.root)
        waiter = None if job is None else job.waiter(message.number)
        if job is None or waiter is None or waiter.writing or waiter.timeout is None:
            return
        progress = job.progress
        self._fail(job.key, waiter.number, GetTimedOut(job.key, waiter.timeout, progress.done, progress.total))

    def on_get_progress(self, message: GetProgress) -> Progress | Reply[Progress]:
        """Of the download, or of the store."""
        job = self._jobs.get(message.root)
        return job.progress if job else self.work(work.look, message.root, self._store, self._config.window)

    def on_has(self, message: Has) -> Reply[bool]:
        """Ask the store."""
        return self.work(work.has, message.root, self._store, self._config.window)

    def on_subscribe(self, message: Subscribe) -> None:
        """A second subscription changes nothing."""
        if all(mailbox is not message.subscriber for mailbox in self._subscribers):
            self._subscribers.append(message.subscriber)

    # The resolver's questions ----------------------------------------------------------------------------------------

    def on_produce(self, message: Produce) -> Reply[bytes | None]:
        """Another node asks for a block."""
        return self._serving.produce(message.block)

    def on_give(self, message: Give) -> None:
        """A block was held back long enough."""
        self._serving.give(message)

    def on_deliver(self, message: Deliver) -> Reply[Outcome]:
        """Hand a block to the download that waits for it."""
        reply: Reply[Outcome] = Reply()
        self._hand_over(Arrival(message.delivery.key, message.value, message.delivery.peer, reply))
        return reply

    def on_fetch_failed(self, message: FetchFailed) -> None:
        """The resolver gave a block up; whoever waits for it asks again, not at once."""
        for job in self._wants.settle(message.data_key):
            self.after(REFETCH_DELAY, Again(job.key))

    def on_again(self, message: Again) -> None:
        """Go on, if the file is still wanted."""
        if message.root in self._jobs:
            self._go_on(self._jobs[message.root])

    # A download ------------------------------------------------------------------------------------------------------

    def _go_on(self, job: Job) -> None:
        """One piece of work at a time: the next one takes everything that came meanwhile."""
        job.again = job.busy
        if job.busy or job.ended:
            return
        job.busy = True
        if job.complete:
            self._write(job, job.waiters[0])
        else:
            self._advance(job)

    def _advance(self, job: Job) -> None:
        arrived, job.arrived = job.arrived, []
        blocks = [(arrival.key, arrival.value) for arrival in arrived]
        step = self.work(work.advance, job.download, self._store, blocks, self._config.window)
        self.on_reply(step, lambda result: self._on_step(job, arrived, result), within=WORK_WITHIN)

    def _on_step(self, job: Job, arrived: list[Arrival], result: Step | Exception) -> None:
        """Continue `advance`. Verdicts go first, so that the resolver has them before it is asked for more."""
        job.busy = False
        step = Step((), (), job.progress, _as_failure(result)) if isinstance(result, Exception) else result
        for arrival, verdict in zip_longest(arrived, step.verdicts):
            self._judge(job, arrival, verdict)
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

    def _judge(self, job: Job, arrival: Arrival, verdict: Accepted | Rejected | None) -> None:
        outcome, settled = judge(self._wants, job, arrival, verdict)
        arrival.reply.set(outcome)
        self._metrics.blocks.inc(outcome.value)
        if outcome is Outcome.INVALID:
            self.log.warning("a peer sent a false block", peer=arrival.peer.short, block=arrival.key.hex())
        if verdict == Accepted():
            self._metrics.fetched_bytes.inc(by=len(arrival.value))
        for other in settled:
            if other is not job:
                self._go_on(other)

    def _want(self, job: Job, lacking: tuple[bytes, ...]) -> None:
        """Have the resolver fetch what is new among these, and nothing else for this job."""
        still = frozenset(lacking)
        self._drop(job, [key for key in job.requested if key not in still])
        fresh = self._wants.add(job, lacking)
        self._metrics.wanted.set(len(self._wants))
        if fresh and self._resolver.fetch_all(fresh) is Feedback.CLOSED:
            self._end(job, GetCancelled(job.key, "the resolver has stopped"))

    def _drop(self, job: Job, keys: list[bytes]) -> None:
        for key in self._wants.drop(job, keys):
            self._resolver.cancel(key)
