"""Asking maintenance for connections that keys wait for (flows: fetch 2).

* A wish is a hint that maintenance may not follow, so it is repeated each `want_interval` while a key waits for the
  peer, and said once in between however many keys wait.
* For keys that any peer may answer, and that nobody connected can, one peer of the set is wished for at a time, however
  many such keys there are: another each time, until there is a candidate or no such key. The next one follows at once
  when the last one is connected and cannot help either. If it does not come, the next follows after `PROMPT_SHARE` of
  the interval, for the first `MAX_PROMPT` in vain, each named once; then after the interval, until somebody is new.
* Where connections are few, each that comes may cost another. So once as many were wished for as the set has peers, the
  interval is kept whoever comes, or a key that nobody has would cost one every second.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .... import runtime
from ....runtime import Message, Timer
from ....transport.identity import PeerId
from ...maintenance.mailbox import Mailbox as Maintenance
from ..core.fetcher import Fetcher
from ..metrics import BoundCounter

PROMPT_SHARE = 0.05
"""Of the interval: what a wished-for peer has to be connected in before the next one is wished for."""

MAX_PROMPT = 8
"""Peers that may be wished for in vain before the whole interval is kept."""


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
        self._pause: Timer | None = None  # after somebody was wished for whom stuck keys need
        self._is_long = False  # it lasts the interval
        self._last: PeerId | None = None  # who that was
        self._in_vain = 0  # how many were, since somebody of them came
        self._turn = 0  # how many were, since the set had somebody new or nobody was for a while
        self._wished_at = -math.inf
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
        if self._maintenance is None or self._nobody or not self._fetcher.is_stuck or self._awaits_the_last():
            return
        peer, unlinked = self._fetcher.another()
        if peer is None:
            self._nobody = True
            return
        if self._engine.now() - self._wished_at > 2 * self._interval:
            self._turn = 0
        self._wished_at = self._engine.now()
        self._last = peer
        self._in_vain += 1
        self._turn += 1
        self._maintenance.want(peer)
        self._counter.inc()
        self._wait(long=self._in_vain >= min(unlinked, MAX_PROMPT) or self._all_were_wished_for)

    @property
    def _all_were_wished_for(self) -> bool:
        return self._turn >= len(self._fetcher.allowed)

    def _wait(self, *, long: bool) -> None:
        self._is_long = long
        self._pause = self._engine.after(self._interval * (1 if long else PROMPT_SHARE), WantAnother())

    def _awaits_the_last(self) -> bool:
        """Whether the one who was wished for last may still come."""
        if self._last is not None and self._fetcher.is_candidate(self._last):
            self._last = None
            self._in_vain = 0
            if self._pause is not None and not self._all_were_wished_for:
                self._pause.cancel()
                self._pause = None
        return self._pause is not None

    def may_want(self) -> None:
        """A link closed, or there is another set: somebody may be wished for again."""
        self._nobody = False

    def somebody_new(self) -> None:
        """The set lists somebody whom the one before did not."""
        self._in_vain = self._turn = 0
        if self._pause is not None and self._is_long:
            self._pause.cancel()
            self._wait(long=False)

    def another(self) -> None:
        """The time of that wish is over."""
        self._pause = None
        if not self._fetcher.is_stuck:
            self._in_vain = 0
        self.consider_stuck()

    def again(self) -> None:
        """The interval is over: ask for every connection that keys still wait for."""
        self._timer_runs = False
        self._wanted.clear()
        self.consider_all()
