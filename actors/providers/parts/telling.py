"""Tells the index members of this node's keys: carries out what the announcer says."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, ClassVar

from msgspec import Struct

from .... import runtime
from ....runtime import Lane, Message, Overflow, Slices
from ....transport.identity import PeerId
from ..config import Config
from ..core.announcing import Announcer
from ..core.codec import Provide
from ..core.index import Index
from ..core.ring import key_hash
from ..metrics import Metrics
from .alarm import Alarm
from .post import Post

KEYS_PER_SLICE = 1000


class TellDue(Message, Struct, frozen=True):
    """Timer: something is to be told."""


class TellMore(Message, Struct, frozen=True):
    """To itself: the last turn did as much as one turn may."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.LATEST


class Telling:
    """Part of the engine."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        config: Config,
        announcer: Announcer,
        index: Index,
        post: Post,
        metrics: Metrics,
        *,
        me: PeerId,
    ) -> None:
        """index: of this node, which may be an index member of its own keys."""
        self._engine = engine
        self._config = config
        self._announcer = announcer
        self._index = index
        self._post = post
        self._metrics = metrics
        self._me = me
        self._hashing = Slices(engine, KEYS_PER_SLICE, lane=Lane.DATA)
        self._alarm = Alarm(engine, TellDue(), TellMore())

    def provide(self, channel: int, keys: tuple[bytes, ...]) -> None:
        """This node has these keys from now on."""
        self._hashing.run(self._take(channel, keys), lambda _none: self.run())

    def withdraw(self, channel: int, keys: tuple[bytes, ...]) -> None:
        """It does not have them any more."""
        self._hashing.run(self._give_up(channel, keys), lambda _none: self.run())

    def provided(self, peer: PeerId, number: int, taken: int) -> None:
        """An index member has answered."""
        told = self._announcer.answered(peer, number, self._engine.now())
        if told is None:
            self._metrics.unmatched.inc()
            return
        self._metrics.not_taken.inc(by=max(0, told - taken))
        self.run()

    def on_due(self) -> None:
        """The timer rang."""
        self._alarm.rang()
        self.run()

    def run(self) -> None:
        """Tell what is to be told now, and see to it that there is another turn in time."""
        now = self._engine.now()
        for tell in self._announcer.poll(now):
            if tell.to != self._me:
                self._post.send(tell.to, Provide(tell.number, tell.seconds, tell.hashes))
                continue
            if tell.seconds:
                taken = self._index.provide(self._me, self._me, tell.hashes, tell.seconds, now)
                self._metrics.not_taken.inc(by=len(tell.hashes) - taken)
            else:
                self._index.withdraw(self._me, tell.hashes)
            self._announcer.answered(self._me, tell.number, now)
        self._alarm.set(self._announcer.wake_at(now))

    def _take(self, channel: int, keys: Iterable[bytes]) -> Generator[int, None, None]:
        beyond = 0
        for key in keys:
            hashed = key_hash(channel, key)
            if hashed in self._announcer or len(self._announcer) < self._config.max_provided:
                self._announcer.provide((hashed,), self._engine.now())
            else:
                beyond += 1
            yield 1
        if beyond:
            self._metrics.not_provided.inc(by=beyond)
            self._engine.log.warning("keys that nobody is told of", keys=beyond, allowed=self._config.max_provided)

    def _give_up(self, channel: int, keys: Iterable[bytes]) -> Generator[int, None, None]:
        for key in keys:
            self._announcer.withdraw((key_hash(channel, key),), self._engine.now())
            yield 1
