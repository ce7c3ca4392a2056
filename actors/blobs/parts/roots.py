"""Tells the providers which files are here as a whole, and has them look for those that are wanted.

* The roots of such files are marked in the store, so that a node tells of them again when it starts.
* A file is told of until a part of it is found missing or damaged: when its root is asked for, when it is fetched here,
  or when some block is asked for that is not here, soon after its root was given. Then the whole of it is looked at.
  Others ask for what was never here as well, so that is done for one file at a time, and for each rarely.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

from .... import runtime
from ...providers.mailbox import Mailbox as Providers
from ..core.keys import BlobKey
from ..metrics import Metrics
from ..stores import Store
from . import work
from .work import WORK_TIMEOUT

SUSPECTED, MAX_SUSPECTED = 60.0, 64
"""Seconds after its root was given in which a missing block may be a file's, and how many such files are known."""
LOOK_AGAIN, BETWEEN_LOOKS = 600.0, 10.0
"""Seconds until a file is looked at again for such a block, and from one such look to the next."""


class Roots:
    """Part of the engine. Without providers it marks, and nobody is told."""

    def __init__(
        self, engine: runtime.Engine[Any], store: Store, providers: Providers | None, window: int, metrics: Metrics
    ) -> None:
        """store: used on the pool. window: blocks of a file that are looked at together."""
        self._engine = engine
        self._store = store
        self._providers = providers
        self._window = window
        self._metrics = metrics
        self._searched: set[BlobKey] = set()
        self._here: dict[bytes, int] = {}  # as a whole, as far as is known; with a number, another one each time
        self._number = 0
        self._given: OrderedDict[bytes, float] = OrderedDict()  # until when a missing block may be of it
        self._looked_at: OrderedDict[bytes, float] = OrderedDict()
        self._look_from = 0.0  # when the next look may begin; infinite during one

    def tell_all(self) -> None:
        """The node starts: tell of every file that is here."""
        if self._providers is not None:
            found = self._engine.work(lambda: tuple(self._store.marked()))
            self._engine.on_reply(found, self._on_found, timeout=WORK_TIMEOUT)

    def add(self, root: BlobKey) -> None:
        """A file is here as a whole."""
        self._is_here(root)
        self._engine.on_reply(self._engine.work(self._store.mark, root), self._on_marked, timeout=WORK_TIMEOUT)
        if self._providers is not None:
            self._providers.provide((root,))

    def lost(self, root: bytes) -> None:
        """A part of a file is not here; that is no news of one that never was here as a whole."""
        if self._here.pop(root, None) is None:
            return
        self._metrics.lost_files.inc()
        self._engine.log.warning("a file is not here any more as a whole, and others are told so", root=root.hex())
        self._engine.on_reply(self._engine.work(self._store.unmark, root), self._on_unmarked, timeout=WORK_TIMEOUT)
        if self._providers is not None:
            self._providers.withdraw((root,))

    def search(self, root: BlobKey) -> None:
        """A file is wanted, and not all of it is here."""
        self.lost(root)
        if self._providers is not None and root not in self._searched:
            self._searched.add(root)
            self._providers.search(root)

    def end_search(self, root: BlobKey) -> None:
        """It is here, or wanted no more."""
        if self._providers is not None and root in self._searched:
            self._searched.discard(root)
            self._providers.end_search(root)

    # What others ask for ----------------------------------------------------------------------------------------------

    def given(self, block: bytes) -> None:
        """Somebody got a block."""
        now = self._engine.now()
        if block in self._here and self._looked_at.get(block, -LOOK_AGAIN) + LOOK_AGAIN <= now:
            self._given[block] = now + SUSPECTED
            self._given.move_to_end(block)
            if len(self._given) > MAX_SUSPECTED:
                self._given.popitem(last=False)

    def missing(self, block: bytes) -> None:
        """Somebody asked for a block that is not here: a root, or perhaps a part of what was given last."""
        self.lost(block)
        now = self._engine.now()
        while self._looked_at and next(iter(self._looked_at.values())) + LOOK_AGAIN <= now:
            self._looked_at.popitem(last=False)
        while self._given and now >= self._look_from:
            root, until = self._given.popitem()
            if now < until and root in self._here:
                self._looked_at[root], self._look_from = now, math.inf
                self._look(root, self._here[root])

    def _look(self, root: bytes, number: int) -> None:
        """Whether a file is here as a whole."""
        looked = self._engine.work(work.has, root, self._store, self._window)

        def looked_at(result: bool | Exception) -> None:
            self._look_from = self._engine.now() + BETWEEN_LOOKS
            if isinstance(result, Exception):
                self._engine.log.error("a file cannot be looked at", root=root.hex(), error=result)
            elif not result and self._here.get(root) == number:
                self.lost(root)

        self._engine.on_reply(looked, looked_at, timeout=WORK_TIMEOUT)

    def _is_here(self, root: bytes) -> None:
        self._number += 1
        self._here[root] = self._number

    def _on_found(self, roots: tuple[bytes, ...] | Exception) -> None:
        if isinstance(roots, Exception):
            self._engine.log.error("the files that are here cannot be listed, so nobody is told of them", error=roots)
        elif roots and self._providers is not None:
            self._engine.log.info("files that others are told of", files=len(roots))
            for root in roots:
                self._is_here(root)
            self._providers.provide(roots)

    def _on_marked(self, result: object) -> None:
        if isinstance(result, Exception):
            self._engine.log.error("a file will not be told of after a restart", error=result)

    def _on_unmarked(self, result: object) -> None:
        if isinstance(result, Exception):
            self._engine.log.error("a file that is not here will be told of after a restart", error=result)
