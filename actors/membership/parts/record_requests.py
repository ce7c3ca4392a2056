"""Asks for the records that are missing: at who told of their owners, and now and then at another member."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .... import runtime
from ....runtime import Message, Timer
from ....transport.identity import PeerId
from ..core.admission import Admission
from ..core.envelope import MAX_RECORDS, MAX_WANTED
from ..metrics import Metrics
from .outgoing import Outgoing
from .view import View

REQUEST_INTERVAL = 1.0
"""Seconds until missing records are asked for again, at another member."""


@dataclass(frozen=True, slots=True)
class RequestMissing(Message):
    """Timer: ask another member for the records that are still missing."""


class RecordRequests:
    """Part of the session."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        view: View,
        admission: Admission,
        outgoing: Outgoing,
        metrics: Metrics,
        *,
        is_probeable: Callable[[bytes], bool],
    ) -> None:
        """view, admission: which records are missing. is_probeable: whether a member may be asked."""
        self._engine = engine
        self._view = view
        self._admission = admission
        self._outgoing = outgoing
        self._metrics = metrics
        self._is_probeable = is_probeable
        self._timer: Timer | None = None

    @property
    def num_missing(self) -> int:
        """How many records are missing."""
        return self._view.num_missing + len(self._admission.waiting)

    def ask(self, peer: PeerId) -> None:
        """Ask a peer for the records that its updates wait for, and others that are missing."""
        wanted = self._admission.waiting.ask(peer, self._engine.now(), MAX_RECORDS - 1)  # its own may come too
        wanted += self._view.take_missing(MAX_WANTED - len(wanted))
        if wanted:
            self._outgoing.request_records(peer, wanted)
            self.wait()

    def wait(self) -> None:
        """See that they are asked for again."""
        if self._timer is None:
            self._timer = self._engine.after(REQUEST_INTERVAL, RequestMissing())

    def ask_again(self) -> None:
        """The timer is due: ask who told of their owners, and a random member."""
        self._timer = None
        waiting, unproved = self._admission.waiting, self._admission.unproved
        self._metrics.newcomers.inc("expired", by=waiting.expire(self._engine.now()))
        for sender in waiting.senders:
            self.ask(sender)
        visible = (record.peer for record in self._view.visible)
        others = [peer for peer in visible if peer not in unproved and self._is_probeable(peer)]
        if self._view.num_missing and others:
            self.ask(self._engine.rng.choice(others))
        if self.num_missing:
            self.wait()
