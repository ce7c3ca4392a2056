"""Going through every wanted key, in slices: `retain` and `clear` (design: actors; defects: R14).

* It looks at the keys that are wanted when it comes by; the engine lets later commands wait until it is done.
* The predicate is the application's: the first time it raises, that is reported and everything else is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import Any

from ....transport.identity import PeerId
from ..core.decisions import Decision
from ..core.wanted_keys import WantedKeys
from ..mailbox import Predicate
from .gets import APPLICATION, Tag
from .verdicts import Failed

KEYS_PER_SLICE = 256
"""Keys that are looked at in one turn."""


def retain_in_slices(
    wanted: WantedKeys[PeerId, Tag],
    predicate: Predicate | None,
    *,
    perform: Callable[[Iterable[Decision[PeerId, Tag]]], Any],
    failed: Failed,
) -> Generator[int, None, None]:
    """Drop whom the predicate does not keep; yields after each slice how many keys it has looked at.

    predicate: None drops everybody, each `get` too.
    """
    is_over = False

    def keeps(key: bytes, tag: Tag) -> bool:
        nonlocal is_over
        number, subscriber = tag
        if predicate is None:
            return False
        if is_over or number != APPLICATION:
            return True
        try:
            return bool(predicate(key, subscriber))
        except Exception as error:
            is_over = True
            failed("predicate", key, error)
            return True

    keys = iter(wanted)
    while not is_over:
        some = tuple(islice(keys, KEYS_PER_SLICE))
        perform(wanted.retain(keeps, some))
        if len(some) < KEYS_PER_SLICE:
            return
        yield len(some)
