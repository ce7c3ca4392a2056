"""What the blobs engine knows of its downloads. Pure: it fetches nothing and reads no disk.

Rules, each with a test in `tests/blobs/test_jobs.py`:

* A block that several downloads want is asked for once, and given up when the last of them gives it up.
* A block that is in the store, whoever brought it, is wanted by no download any more.
* Only a value that does not hash to its key is held against its peer. When one download finds a block useless for
  itself and another wants it too, it is asked for again.
* A block that no download waits for is judged all the same: somebody may `get` it from the resolver itself.
* Who gave how much is kept for at most `MAX_PEERS` peers per download; the sum is always right.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from msgspec import Struct, field

from ....runtime import Reply, Timer
from ....transport.identity import PeerId
from ...resolver.core.decisions import Outcome
from ..core.download import Accepted, Download, Progress, Reason, Rejected
from ..core.keys import BlobKey
from ..mailbox import GetReport
from .paths import FileId

MAX_PEERS = 1024
"""Peers in one download's ledger."""


class Waiter(Struct, eq=False):
    """One get. seen: the folder as its caller has it. since: when it came, in monotonic seconds.

    waits: also if nobody has the file now.
    """

    number: int
    destination: str
    seen: FileId | None
    waits: bool
    since: float
    reply: Reply[GetReport]
    timer: Timer | None = None
    writing: bool = False


class Arrival(Struct, frozen=True):
    """A block that waits for its verdict."""

    key: bytes
    value: bytes
    peer: PeerId
    reply: Reply[Outcome]


class Ledger:
    """Who gave what."""

    def __init__(self) -> None:
        self.fetched = 0
        self._served: dict[PeerId, int] = {}
        self._false: dict[PeerId, int] = {}

    def accepted(self, peer: PeerId, size: int) -> None:
        """A good block of `size` bytes."""
        self.fetched += size
        self._add(self._served, peer, size)

    def rejected(self, peer: PeerId) -> None:
        """A false block."""
        self._add(self._false, peer, 1)

    @property
    def served(self) -> tuple[tuple[PeerId, int], ...]:
        """Bytes by peer."""
        return tuple(sorted(self._served.items()))

    @property
    def false(self) -> tuple[tuple[PeerId, int], ...]:
        """False blocks by peer."""
        return tuple(sorted(self._false.items()))

    @staticmethod
    def _add(table: dict[PeerId, int], peer: PeerId, by: int) -> None:
        if peer in table or len(table) < MAX_PEERS:
            table[peer] = table.get(peer, 0) + by


class Job(Struct, eq=False):
    """One download: for whom, and what is under way.

    `download` belongs to the pool while `busy`. requested: blocks asked for, in order. again: there is something new
    to look at when the present work is done. lost: the block that the store lost last. searched: what the last search
    for who has the file has done, in words. unreached: which holders cannot be reached, and why. fetched_before: bytes
    that had come when such a search ended last.
    """

    key: BlobKey
    download: Download
    progress: Progress = Progress(0, None)
    waiters: list[Waiter] = field(default_factory=list)
    requested: dict[bytes, None] = field(default_factory=dict)
    arrived: list[Arrival] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    busy: bool = False
    again: bool = False
    complete: bool = False
    ended: bool = False
    fetched_before: int | None = None
    lost: bytes | None = None
    searched: str = ""
    unreached: str = ""

    def waiter(self, number: int) -> Waiter | None:
        """The get of this number, if it has not ended."""
        return next((waiter for waiter in self.waiters if waiter.number == number), None)


class Wants:
    """Which downloads wait for which block."""

    def __init__(self) -> None:
        self._jobs: dict[bytes, list[Job]] = {}

    def __len__(self) -> int:
        """Blocks that somebody waits for."""
        return len(self._jobs)

    def first(self, key: bytes) -> Job | None:
        """The download that waits longest for this block."""
        jobs = self._jobs.get(key)
        return jobs[0] if jobs else None

    def add(self, job: Job, keys: Iterable[bytes]) -> list[bytes]:
        """`job` waits for these too; those that nobody waited for before."""
        fresh: list[bytes] = []
        for key in keys:
            if key in job.requested:
                continue
            job.requested[key] = None
            if key not in self._jobs:
                fresh.append(key)
            self._jobs.setdefault(key, []).append(job)
        return fresh

    def drop(self, job: Job, keys: Iterable[bytes]) -> list[bytes]:
        """`job` no longer waits for these; those that nobody waits for now."""
        unwanted: list[bytes] = []
        for key in list(keys):
            if key not in job.requested:
                continue
            del job.requested[key]
            self._jobs[key].remove(job)
            if not self._jobs[key]:
                del self._jobs[key]
                unwanted.append(key)
        return unwanted

    def end(self, key: bytes) -> list[Job]:
        """Nobody waits for this block any more; who did."""
        jobs = self._jobs.pop(key, [])
        for job in jobs:
            del job.requested[key]
        return jobs


def verify(key: bytes, value: bytes) -> Outcome:
    """What a block is worth to whoever asked the resolver for it. A hash of a megabyte takes about a millisecond."""
    return Outcome.COMPLETE if hashlib.sha256(value).digest() == key else Outcome.INVALID


def judge(wants: Wants, job: Job, arrival: Arrival, verdict: Accepted | Rejected | None) -> tuple[Outcome, list[Job]]:
    """What the resolver is told about a block, and the downloads that can go on because it is in the store.

    verdict: of the download that looked at it; None means that the store failed before, which is nobody's fault.
    """
    match verdict:
        case Accepted():
            job.ledger.accepted(arrival.peer, len(arrival.value))
            return Outcome.COMPLETE, wants.end(arrival.key)
        case Rejected(reason=Reason.UNWANTED):  # the store had it before it came
            return verify(arrival.key, arrival.value), wants.end(arrival.key)
        case Rejected(reason=Reason.FALSE):
            job.ledger.rejected(arrival.peer)
            return Outcome.INVALID, []
        case _:
            wants.drop(job, [arrival.key])
            if wants.first(arrival.key) is not None:
                return Outcome.AMBIGUOUS, []
            return Outcome.IGNORED if verdict is None else Outcome.COMPLETE, []
