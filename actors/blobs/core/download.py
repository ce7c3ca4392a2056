"""What is still missing of a file: the plan of a download, as pure state.

    Download(key) --> wanted(limit) --> have it already: present(key)       --> complete
                        ^               fetched: accept(key, value)  |           or
                        +--------------------------------------------+        failure

Rules, each with a test in `tests/blobs/test_download.py`:

* `wanted` names at most `limit` blocks and goes on naming them until they are there, so a caller that keeps asking
  has a window of `limit` blocks under way and nothing to remember. They may arrive in any order.
* Memory is bounded by `limit` manifests per level, not by the size of the file: the tree is walked as blocks arrive,
  the manifests nearest to chunks first. A block that is wanted at many places at the same time is wanted once.
* With an `rng` the children of a manifest are named in random order. So those who fetch a file at the same time come to
  hold different parts of it, and have them from each other: in the file's order all of them would ask for the same
  part, which only the origin has. Without one they are named in the file's order.
* Ask the store before the network, for every wanted key: that is how a download resumes, and how a chunk that comes
  again later in the file costs nothing. `resume` does it.
* A value that does not hash to its key is `FALSE`: who sent it lies. One that does, and yet does not fit its place,
  is `BROKEN`: who made the file lied, every honest peer would send the same, and the download fails for good.
* Progress counts bytes of the file; the total is known once the root is there.
"""

import hashlib
import heapq
import random
from collections.abc import Sequence
from enum import Enum
from itertools import islice

from msgspec import Struct

from .keys import check_key
from .manifest import Manifest, ManifestError, Place


class Reason(Enum):
    """Why a block was rejected."""

    UNWANTED = "unwanted"
    """Not asked for, or already here: nobody's fault."""
    FALSE = "false"
    """Does not hash to its key: the sender's fault."""
    BROKEN = "broken"
    """Hashes to its key and does not fit the tree: the fault of who made the file."""


class Accepted(Struct, frozen=True):
    """The block belongs to the file; put it in the store."""


class Rejected(Struct, frozen=True):
    """The block was not used."""

    reason: Reason


class Progress(Struct, frozen=True):
    """Bytes of the file that are here, and all its bytes, unknown until the root is here.

    stage: of the search for who has the file, in words; empty without one.
    """

    done: int
    total: int | None
    stage: str = ""


class _Cursor(Struct):
    """How far the walk is in one manifest, which stands at `times` places in the file."""

    manifest: Manifest
    times: int
    order: Sequence[int]
    index: int = 0


class Download:
    """One file on its way in. Not safe for use by two threads at a time. Raises ValueError for a bad key."""

    def __init__(self, key: bytes, rng: random.Random | None = None) -> None:
        check_key(key)
        self.key = key
        self._rng = rng
        self.failure: str | None = None
        """Why the file can never be complete, whoever serves it."""
        self._done = 0
        self._total: int | None = None
        self._missing: dict[bytes, dict[Place | None, int]] = {key: {None: 1}}
        """Wanted blocks: at which places, each how many times. The root's place is None."""
        self._walk: list[tuple[int, int, _Cursor]] = []
        """A heap of the manifests whose children were not all named yet, by level and arrival."""
        self._arrivals = 0

    @property
    def progress(self) -> Progress:
        return Progress(self._done, self._total)

    @property
    def complete(self) -> bool:
        """Whether every block was accepted or present."""
        return self.failure is None and not self._missing and not self._walk

    def wanted(self, limit: int) -> list[bytes]:
        """At most `limit` keys that are missing, longest missing first; none once complete or failed."""
        while self._walk and len(self._missing) < limit:
            self._step()
        return list(islice(self._missing, limit))

    def present(self, key: bytes) -> bool:
        """Count a wanted chunk that the store has as done. False if its bytes are needed, or it is not wanted."""
        places = self._missing.get(key)
        if not places or any(place is None or place.level > 0 for place in places):
            return False
        self._settle(key, dict.fromkeys(places))
        return True

    def accept(self, key: bytes, value: bytes) -> Accepted | Rejected:
        """Take a block. Only `Reason.FALSE` is evidence against its sender."""
        places = self._missing.get(key)
        if places is None:
            return Rejected(Reason.UNWANTED)
        if hashlib.sha256(value).digest() != key:
            return Rejected(Reason.FALSE)
        try:
            fitted = {place: place.read(value) if place else Manifest.decode_root(value) for place in places}
        except ManifestError as error:
            self._fail(f"block {key.hex()}: {error}")
            return Rejected(Reason.BROKEN)
        self._settle(key, fitted)
        return Accepted()

    def _settle(self, key: bytes, fitted: dict[Place | None, Manifest | None]) -> None:
        places = self._missing.pop(key)
        for place, manifest in fitted.items():
            if place is None and manifest is not None:
                self._total = manifest.size
            if manifest is not None:
                self._open(manifest, places[place])
            elif place is not None:
                self._done += place.size * places[place]

    def _open(self, manifest: Manifest, times: int) -> None:
        if len(manifest) > 0:
            self._arrivals += 1
            order: Sequence[int] = range(len(manifest))
            if self._rng is not None:
                order = self._rng.sample(order, len(order))
            heapq.heappush(self._walk, (manifest.level, self._arrivals, _Cursor(manifest, times, order)))

    def _step(self) -> None:
        cursor = self._walk[0][2]
        key, place = cursor.manifest.child(cursor.order[cursor.index])
        places = self._missing.setdefault(key, {})
        places[place] = places.get(place, 0) + cursor.times
        cursor.index += 1
        if cursor.index == len(cursor.manifest):
            heapq.heappop(self._walk)

    def _fail(self, why: str) -> None:
        self.failure = why
        self._missing.clear()
        self._walk.clear()
