"""Going through every wanted key, in slices: `retain` and `clear` (DESIGN section 2, R14).

* It looks at the keys that are wanted when it comes by; the engine lets later commands wait until it is done.
* The predicate is the application's: the first time it raises, that is reported and everything else is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from ...transport.identity import PeerId
from .effects import Effect
from .gets import APPLICATION, Tag
from .inflight import Inflight
from .judge import Failed
from .mailbox import Predicate

SLICE = 256
"""Keys that are looked at in one turn."""


class Prune:
    """Call it for each slice; it says whether there is another."""

    def __init__(
        self,
        inflight: Inflight[PeerId, Tag],
        predicate: Predicate | None,
        *,
        perform: Callable[[Iterable[Effect[PeerId, Tag]]], Any],
        failed: Failed,
    ) -> None:
        """predicate: None drops everybody, each `get` too."""
        self._inflight = inflight
        self._predicate = predicate
        self._perform = perform
        self._failed = failed
        self._keys: Iterator[bytes] | None = None
        self._is_over = False

    def __call__(self) -> bool:
        """Look at the next slice."""
        if self._keys is None:
            self._keys = iter(self._inflight)
        chunk = tuple(islice(self._keys, SLICE))
        self._perform(self._inflight.retain(self._keeps, chunk))
        return not self._is_over and len(chunk) == SLICE

    def _keeps(self, key: bytes, tag: Tag) -> bool:
        number, subscriber = tag
        if self._predicate is None:
            return False
        if self._is_over or number != APPLICATION:
            return True
        try:
            return bool(self._predicate(key, subscriber))
        except Exception as error:
            self._is_over = True
            self._failed("predicate", key, error)
            return True
