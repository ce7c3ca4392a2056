"""The parts of a node that commands speak to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .mailbox import Mailbox

if TYPE_CHECKING:
    from ..composition import Actors


@dataclass(frozen=True, slots=True)
class Parts:
    """control: the control engine's own mailbox. stop: ends the node, some time later; returns at once."""

    control: Mailbox
    actors: Actors
    stop: Callable[[], object]
