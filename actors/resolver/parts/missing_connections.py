"""Asking maintenance for connections that keys wait for (flows: fetch 2).

* A wish is a hint that maintenance may not follow, so it is repeated each `want_interval` while a key waits for the
  peer, and said once in between however many keys wait.
* For keys that any peer may answer, and that nobody connected can, one peer of the set is wished for in each
  `want_interval`, however many such keys there are: another each time, until there is a candidate or no such key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .... import runtime
from ....runtime import Message
from ....transport.identity import PeerId
from ...maintenance.mailbox import Mailbox as Maintenance
from ..core.fetcher import Fetcher
from ..metrics import BoundCounter


@dataclass(frozen=True, slots=True)
class WantAgain(Message):
    """To itself: repeat the wishes of keys that still wait."""


@dataclass(frozen=True, slots=True)
class WantAnother(Message):
    """To itself: wish for another peer, if keys are stuck still."""


class MissingConnections:
    """Who was wished for since the last repetition."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        fetcher: Fetcher[PeerId],
        maintenance: Maintenance | None,
        interval: float,
        counter: BoundCounter,
    ) -> None:
        """maintenance: without it nobody is wished for. interval: in seconds."""
        self._engine = engine
        self._fetcher = fetcher
        self._maintenance = maintenance
        self._interval = interval
        self._counter = counter
        self._wanted: set[PeerId] = set()
        self._timer_runs = False
        self._pausing = False  # somebody was wished for whom stuck keys need
        self._nobody = False  # there was nobody to wish for

    def consider(self, peers: Iterable[PeerId]) -> None:
        """Wish for those of these that a key waits for."""
        if self._maintenance is None:
            return
        for peer in peers:
            if peer not in self._wanted and self._fetcher.wants_link(peer):
                self._wanted.add(peer)
                self._maintenance.want(peer)
                self._counter.inc()
        if self._wanted and not self._timer_runs:
            self._timer_runs = True
            self._engine.after(self._interval, WantAgain())

    def consider_all(self) -> None:
        """Wish for everybody that a key waits for."""
        if self._maintenance is not None:
            self.consider(self._fetcher.wanted())

    def consider_stuck(self) -> None:
        """Wish for somebody, if keys are stuck and it is time. Costs nothing otherwise."""
        if self._maintenance is None or self._pausing or self._nobody or not self._fetcher.is_stuck:
            return
        peer = self._fetcher.another()
        if peer is None:
            self._nobody = True
            return
        self._pausing = True
        self._maintenance.want(peer)
        self._counter.inc()
        self._engine.after(self._interval, WantAnother())

    def may_want(self) -> None:
        """A link closed, or there is another set: somebody may be wished for again."""
        self._nobody = False

    def another(self) -> None:
        """The interval of that wish is over."""
        self._pausing = False
        self.consider_stuck()

    def again(self) -> None:
        """The interval is over: ask for every connection that keys still wait for."""
        self._timer_runs = False
        self._wanted.clear()
        self.consider_all()
