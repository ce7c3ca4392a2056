"""Giving blocks to others, no faster than `serve_rate`.

A block comes from the store, so it was verified, whether its file is whole or still on its way in.
"""

from __future__ import annotations

from msgspec import Struct

from ....runtime import Engine, Message, Reply
from ..config import Config
from ..core.pacer import Pacer
from ..mailbox import Mailbox
from ..metrics import Metrics
from ..stores import Store
from .roots import Roots

READ_TIMEOUT = 60.0
"""Seconds; the resolver gives up long before."""
BURST = 0.25
"""Seconds of `serve_rate` that a node may save up while nobody asks."""


class Give(Message, Struct, frozen=True, eq=False):
    """To the engine itself: an answer that was held back may leave."""

    reply: Reply[bytes | None]
    value: bytes


class Serving:
    """The part of the blobs engine that gives. Runs on its thread."""

    def __init__(
        self, engine: Engine[Mailbox], store: Store, config: Config, metrics: Metrics, *, roots: Roots
    ) -> None:
        """engine: whose pool, clock and timers are used. roots: told which blocks were given, and which are missing."""
        self._engine = engine
        self._store = store
        self._metrics = metrics
        self._roots = roots
        rate = config.serve_rate
        self._pacer = None if rate is None else Pacer(rate, burst=rate * BURST, patience=config.serve_patience)

    def produce(self, block: bytes) -> Reply[bytes | None]:
        """The block when its time has come, None if it is not here or its time is too far off."""
        if self._pacer is not None and self._pacer.delay(self._engine.now()) is None:
            self._metrics.serves.inc("refused")
            return Reply.of(None)
        reply: Reply[bytes | None] = Reply()
        read = self._engine.work(self._store.get, block)
        self._engine.on_reply(read, lambda value: self._on_read(block, reply, value), timeout=READ_TIMEOUT)
        return reply

    def give(self, message: Give) -> None:
        """Answer now."""
        self._metrics.serves.inc("given")
        self._metrics.served_bytes.inc(by=len(message.value))
        message.reply.set(message.value)

    def _on_read(self, block: bytes, reply: Reply[bytes | None], value: bytes | Exception | None) -> None:
        """Continue `produce`."""
        if isinstance(value, Exception):
            self._metrics.serves.inc("failed")
            reply.fail(value)
        elif value is None:
            self._metrics.serves.inc("missing")
            self._roots.missing(block)
            reply.set(None)
        else:
            self._roots.given(block)
            self._pace(Give(reply, value))

    def _pace(self, give: Give) -> None:
        now = self._engine.now()
        delay = 0.0 if self._pacer is None else self._pacer.send(len(give.value), now)
        if delay is None:  # others were read in the meantime
            self._metrics.serves.inc("refused")
            give.reply.set(None)
        elif delay > 0:
            self._engine.after(delay, give)
        else:
            self.give(give)
