"""Asking maintenance for connections that keys wait for (flows: fetch 2).

* A wish is a hint that maintenance may not follow, so it is repeated each `want_interval` while a key waits for the
  peer, and said once in between however many keys wait.
* For keys that any peer may answer, and that nobody connected can, one peer of the set is wished for at a time, at the
  pace of `core/wishes.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Timer
from ....transport.identity import PeerId
from ...maintenance.mailbox import Mailbox as Maintenance
from ..core.fetching.fetcher import Fetcher
from ..core.wishes import Wishes
from ..metrics import BoundCounter


class WantAgain(Message, Struct, frozen=True):
    """To itself: repeat the wishes of keys that still wait."""


class WantAnother(Message, Struct, frozen=True):
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
        self._wishes: Wishes[PeerId] = Wishes(interval)
        self._another: Timer | None = None  # at the end of the pause after a wish
        self._another_at = math.inf

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
        fetcher, wishes = self._fetcher, self._wishes
        if self._maintenance is None or not fetcher.is_stuck:
            return
        now, allowed = self._engine.now(), len(fetcher.allowed)
        if not wishes.is_due(now, fetcher.linked, allowed):
            return
        peer, unlinked = fetcher.another()
        if peer is None:
            wishes.nobody()
        else:
            self._maintenance.want(peer)
            self._counter.inc()
            wishes.wished(peer, now, unlinked, allowed)
        self._wake_up()

    def may_want(self) -> None:
        """A link closed, or there is another set: somebody may be wished for again."""
        self._wishes.may_wish()

    def somebody_new(self) -> None:
        """The set lists somebody whom the one before did not."""
        self._wishes.somebody_new(self._engine.now())
        self._wake_up()

    def another(self) -> None:
        """The time of that wish is over."""
        self._another, self._another_at = None, math.inf
        self._wishes.over(is_stuck=self._fetcher.is_stuck)
        self.consider_stuck()

    def _wake_up(self) -> None:
        """Set the timer to the end of the pause, if there is one."""
        now, at = self._engine.now(), self._wishes.until
        if at == self._another_at:
            return
        if self._another is not None:
            self._another.cancel()
        self._another, self._another_at = None, math.inf
        if now < at < math.inf:
            self._another_at = at
            self._another = self._engine.after(at - now, WantAnother())

    def again(self) -> None:
        """The interval is over: ask for every connection that keys still wait for."""
        self._timer_runs = False
        self._wanted.clear()
        self.consider_all()
