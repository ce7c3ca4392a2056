"""Tells the providers which files are here as a whole, and has them look for those that are wanted.

The roots of such files are marked in the store, so that a node tells of them again when it starts.
"""

from __future__ import annotations

from typing import Any

from .... import runtime
from ...providers.mailbox import Mailbox as Providers
from ..core.keys import BlobKey
from ..stores import Store
from .work import WORK_TIMEOUT


class Roots:
    """Part of the engine. Without providers it marks, and nobody is told."""

    def __init__(self, engine: runtime.Engine[Any], store: Store, providers: Providers | None) -> None:
        """store: used on the pool."""
        self._engine = engine
        self._store = store
        self._providers = providers
        self._searched: set[BlobKey] = set()

    def tell_all(self) -> None:
        """The node starts: tell of every file that is here."""
        if self._providers is not None:
            found = self._engine.work(lambda: tuple(self._store.marked()))
            self._engine.on_reply(found, self._on_found, timeout=WORK_TIMEOUT)

    def add(self, root: BlobKey) -> None:
        """A file is here as a whole."""
        self._engine.on_reply(self._engine.work(self._store.mark, root), self._on_marked, timeout=WORK_TIMEOUT)
        if self._providers is not None:
            self._providers.provide((root,))

    def search(self, root: BlobKey) -> None:
        """A file is wanted, and not all of it is here."""
        if self._providers is not None and root not in self._searched:
            self._searched.add(root)
            self._providers.search(root)

    def end_search(self, root: BlobKey) -> None:
        """It is here, or wanted no more."""
        if self._providers is not None and root in self._searched:
            self._searched.discard(root)
            self._providers.end_search(root)

    def _on_found(self, roots: tuple[bytes, ...] | Exception) -> None:
        if isinstance(roots, Exception):
            self._engine.log.error("the files that are here cannot be listed, so nobody is told of them", error=roots)
        elif roots and self._providers is not None:
            self._engine.log.info("files that others are told of", files=len(roots))
            self._providers.provide(roots)

    def _on_marked(self, result: object) -> None:
        if isinstance(result, Exception):
            self._engine.log.error("a file will not be told of after a restart", error=result)
