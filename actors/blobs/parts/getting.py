"""Getting files: the order of work of each download. What a block means is decided in `download` and `jobs`.

::

    join ──▶ job ──▶ pool: advance ──▶ what is lacking ──▶ resolver.fetch_all
                       ▲       │                               │
                       │       └── nothing ──▶ pool: write ──▶ report
                       └── all that arrived meanwhile ◀── delivered, a block each
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count, zip_longest

from msgspec import Struct
from msgspec.structs import replace

from .... import runtime
from ....runtime import Feedback, Message, Reply
from ....transport.identity import PeerId
from ...resolver import mailbox as resolver
from ...resolver.core.decisions import Outcome
from ..core.download import Accepted, Download, Progress, Rejected
from ..core.keys import BlobKey
from ..errors import BlobError, GetCancelled, GetTimedOut, MissingBlock, NobodyHasIt
from ..mailbox import BlobProgress, Get, GetReport, Mailbox
from ..metrics import Metrics
from ..stores import Store
from . import work
from .jobs import Arrival, Job, Waiter, Wants, judge, verify
from .paths import FileId
from .roots import Roots
from .work import WORK_TIMEOUT, Step, as_failure, ending

REFETCH_DELAY = 1.0
"""Seconds before a block that the resolver gave up is asked for again."""


class Expired(Message, Struct, frozen=True):
    """To the engine itself: the time of a get is over."""

    root: BlobKey
    number: int
    timeout: float


class Again(Message, Struct, frozen=True):
    """To the engine itself: go on with a download."""

    root: BlobKey


class Getting:
    """The part of the blobs engine that gets. Runs on its thread."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        store: Store,
        resolver: resolver.Mailbox,
        window: int,
        metrics: Metrics,
        tell: Callable[[BlobProgress], object],
        *,
        roots: Roots,
    ) -> None:
        """engine: whose pool, clock, timers and log are used. window: blocks under way of each file. tell: an event.

        roots: told which files are wanted, and which are here.
        """
        self._engine = engine
        self._store = store
        self._resolver = resolver
        self._window = window
        self._metrics = metrics
        self._jobs: dict[BlobKey, Job] = {}
        self._wants = Wants()
        self._numbers = count(1)
        self._tell = tell
        self._roots = roots

    def join(self, get: Get) -> Reply[GetReport]:
        """Wait for the download of this file, or start one."""
        job = self._jobs.get(get.root)
        if job is None:
            job = self._jobs[get.root] = Job(get.root, self._download(get.root))
            self._metrics.downloads.set(len(self._jobs))
        waiter = Waiter(next(self._numbers), get.destination, get.seen, get.wait, self._engine.now(), Reply())
        job.waiters.append(waiter)
        if get.timeout is not None:
            waiter.timer = self._engine.after(get.timeout, Expired(job.key, waiter.number, get.timeout))
        self._check(job, waiter)
        self._go_on(job)
        return waiter.reply

    def _check(self, job: Job, waiter: Waiter) -> None:
        """Gigabytes are not fetched for a place where they cannot be written, as far as is known by now."""
        checked = self._engine.work(work.check, waiter.destination, job.progress.total or 0, waiter.seen)
        self._engine.on_reply(checked, lambda result: self._on_checked(job, waiter, result), timeout=WORK_TIMEOUT)

    def _download(self, root: BlobKey) -> Download:
        """A new one. It has a generator of its own, since it is used on the pool."""
        return Download(root, random.Random(self._engine.rng.getrandbits(64)))

    def cancel(self, root: BlobKey) -> int:
        """End who waits; the file that is being written is finished."""
        job = self._jobs.get(root)
        waiting = [] if job is None else [waiter for waiter in job.waiters if not waiter.writing]
        for waiter in waiting:
            self._fail(root, waiter.number, GetCancelled(root, "somebody cancelled it"))
        return len(waiting)

    def expire(self, message: Expired) -> None:
        """The time of a get is over; the file that is being written is finished."""
        job = self._jobs.get(message.root)
        if job is not None:
            done, total = job.progress.done, job.progress.total
            error = GetTimedOut(job.key, message.timeout, done, total, searched=_in_words(job))
            self._fail(job.key, message.number, error)

    def progress(self, root: BlobKey) -> Progress | None:
        """How far a download is, None if there is none."""
        job = self._jobs.get(root)
        return None if job is None else job.progress

    def deliver(self, key: bytes, value: bytes, peer: PeerId) -> Reply[Outcome]:
        """A block came."""
        reply: Reply[Outcome] = Reply()
        self._hand_over(Arrival(key, value, peer, reply))
        return reply

    def search_ended(self, root: bytes, searched: str, *, nobody: bool, whole: bool) -> None:
        """Those who were to be asked who has a file have been, of all members if `whole`.

        A get that does not wait ends if nobody has it, or if no block came from those who say so since the last time.
        """
        job = self._jobs.get(BlobKey(root))
        if job is None:
            return
        job.searched = searched
        if not (nobody or whole):
            return
        idle, job.fetched_before = job.fetched_before == job.ledger.fetched, job.ledger.fetched
        if idle or (nobody and job.progress.total is None):
            for waiter in [waiter for waiter in job.waiters if not waiter.waits]:
                came = job.progress
                self._fail(job.key, waiter.number, NobodyHasIt(job.key, _in_words(job), came.done, came.total))

    def search_progress(self, root: bytes, stage: str, unreached: str) -> None:
        """How far the search for who has a file is, and which holders cannot be reached, in words."""
        job = self._jobs.get(BlobKey(root))
        if job is not None:
            job.unreached = unreached
            self._tell_progress(job, replace(job.progress, stage=stage))

    def fetch_failed(self, key: bytes) -> None:
        """The resolver gave a block up; whoever waits for it asks again, not at once."""
        for job in self._wants.end(key):
            self._engine.after(REFETCH_DELAY, Again(job.key))

    def again(self, root: BlobKey) -> None:
        """Go on, if the file is still wanted."""
        if root in self._jobs:
            self._go_on(self._jobs[root])

    def stop(self) -> None:
        """End every get."""
        for job in list(self._jobs.values()):
            self._end(job, GetCancelled(job.key, "the node stops"))

    # Going on --------------------------------------------------------------------------------------------------------

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
        step = self._engine.work(work.advance, job.download, self._store, blocks, self._window)
        self._engine.on_reply(step, lambda result: self._on_step(job, arrived, result), timeout=WORK_TIMEOUT)

    def _on_step(self, job: Job, arrived: list[Arrival], result: Step | Exception) -> None:
        """Continue `advance`. Verdicts go first, so that the resolver has them before it is asked for more."""
        job.busy = False
        step = Step((), (), job.progress, as_failure(result)) if isinstance(result, Exception) else result
        for arrival, verdict in zip_longest(arrived, step.verdicts):
            self._judge(job, arrival, verdict)
        if job.ended:
            return
        sized = job.progress.total is None and step.progress.total is not None
        self._tell_progress(job, replace(step.progress, stage=job.progress.stage))
        if step.error is not None:
            self._end(job, step.error)
            return
        self._want(job, step.lacking)
        if step.complete and not job.complete:
            self._roots.end_search(job.key)
            self._roots.add(job.key)
        elif step.lacking:
            self._roots.search(job.key)
        job.complete = step.complete
        if sized and not job.complete:
            for waiter in job.waiters:
                self._check(job, waiter)
        if job.complete or job.again or job.arrived:
            self._go_on(job)

    def _judge(self, job: Job, arrival: Arrival, verdict: Accepted | Rejected | None) -> None:
        outcome, released = judge(self._wants, job, arrival, verdict)
        arrival.reply.set(outcome)
        self._metrics.blocks.inc(outcome.value)
        if outcome is Outcome.INVALID:
            self._engine.log.warning("a peer sent a false block", peer=arrival.peer.short, block=arrival.key.hex())
        if verdict == Accepted():
            self._metrics.fetched_bytes.inc(by=len(arrival.value))
        if job.ended and released:  # others asked anew, after this one had given the block up
            self._resolver.cancel(arrival.key)
        for other in released:
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
        self._metrics.wanted.set(len(self._wants))

    def _tell_progress(self, job: Job, progress: Progress) -> None:
        if progress == job.progress:
            return
        job.progress = progress
        self._tell(BlobProgress(job.key, progress.done, progress.total, progress.stage))

    def _write(self, job: Job, waiter: Waiter) -> None:
        waiter.writing = True
        written = self._engine.work(work.write, job.key, self._store, waiter.destination, waiter.seen)
        self._engine.on_reply(written, lambda result: self._on_written(job, waiter, result), timeout=WORK_TIMEOUT)

    def _on_written(self, job: Job, waiter: Waiter, result: int | Exception) -> None:
        """Continue `write`, with the next get of this file if there is one."""
        job.busy = waiter.writing = False
        if job.ended:
            return
        if isinstance(result, MissingBlock) and result.key != job.lost:
            self._metrics.lost.inc()
            self._engine.log.warning("the store lost a block while a file was written", block=result.key.hex())
            job.lost, job.complete, job.download = result.key, False, self._download(job.key)
        elif isinstance(result, Exception):
            self._finish(job, waiter, as_failure(result))
        else:
            self._finish(job, waiter, self._report(job, waiter, result))
        self._go_on(job)

    def _report(self, job: Job, waiter: Waiter, size: int) -> GetReport:
        ledger = job.ledger
        return GetReport(job.key, size, self._engine.now() - waiter.since, ledger.fetched, ledger.served, ledger.false)

    # How it ends -----------------------------------------------------------------------------------------------------

    def _on_checked(self, job: Job, waiter: Waiter, result: FileId | Exception) -> None:
        """Continue `get`."""
        if isinstance(result, Exception):
            self._fail(job.key, waiter.number, as_failure(result))

    def _fail(self, root: BlobKey, number: int, error: BlobError) -> None:
        """End one get, unless it has ended or its file is being written."""
        job = self._jobs.get(root)
        waiter = None if job is None else job.waiter(number)
        if job is not None and waiter is not None and not waiter.writing:
            self._finish(job, waiter, error)

    def _finish(self, job: Job, waiter: Waiter, result: GetReport | BlobError) -> None:
        """Answer one get; a download that nobody waits for is over."""
        job.waiters.remove(waiter)
        if waiter.timer is not None:
            waiter.timer.cancel()
        self._metrics.gets.inc(ending(result))
        waiter.reply.resolve(result)
        if not job.waiters and not job.ended:
            self._end(job, None)

    def _end(self, job: Job, error: BlobError | None) -> None:
        """Forget a download. `error` is for who still waits; what came stays in the store."""
        job.ended = True
        del self._jobs[job.key]
        self._roots.end_search(job.key)
        self._metrics.downloads.set(len(self._jobs))
        self._drop(job, list(job.requested))
        arrived, job.arrived = job.arrived, []
        for arrival in arrived:
            self._hand_over(arrival)
        for waiter in list(job.waiters):
            assert error is not None, "a download ends without an error only when nobody waits"
            self._finish(job, waiter, error)

    def _hand_over(self, arrival: Arrival) -> None:
        job = self._wants.first(arrival.key)
        if job is None:
            arrival.reply.set(verify(arrival.key, arrival.value))
        else:
            job.arrived.append(arrival)
            self._go_on(job)


def _in_words(job: Job) -> str:
    """What was done to find who has the file, and which of them cannot be reached."""
    return "; ".join(filter(None, (job.searched, job.unreached)))
