"""Answers the requests of others, with bounded work (flows: serve; defects: R9, R11).

* Every request that is decoded is answered: with the value, or with "no data" when there is none, when the producer
  raised or took longer than `serve_timeout`, when the value is too large, and when too much is being worked on.
* A serve takes one of `max_serves` and of its peer's `max_serves_per_peer` places until the producer answers or its
  time is over, also if the link closes: reconnecting frees nothing. A producer that answers at once takes no place.
* What the producer says after its time is over is not sent. Nothing is sent over another link than the request's.
* Answers are outside the quota of our own requests, so these cannot starve them.
"""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import Reply, ReplyDropped, ReplyTimeout
from ....transport.channel import Channel
from ....transport.identity import PeerId
from ..config import Config
from ..core.codec import Missing, Request, Response, encode
from ..errors import BadAnswer, ValueTooLarge
from ..metrics import Metrics
from .application import Producer, Value
from .awaited_answers import AwaitedAnswers
from .verdicts import Failed


class Serve(Struct, frozen=True):
    """One request that is being answered."""

    link: int
    peer: PeerId
    request: Request
    since: float  # monotonic seconds


class Server:
    """The serving side of a resolver: what the producer works on, in total and by peer."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        config: Config,
        producer: Producer,
        *,
        channel: Channel,
        is_open: Callable[[int], bool],
        failed: Failed,
        metrics: Metrics,
        awaited: AwaitedAnswers,
    ) -> None:
        """channel: without a quota. is_open: whether a link is. failed: told of every failure of the producer.

        awaited: told of the answers that are owed.
        """
        self._engine = engine
        self._config = config
        self._producer = producer
        self._channel = channel
        self._is_open = is_open
        self._failed = failed
        self._metrics = metrics
        self._awaited = awaited
        self._of_peer: Counter[PeerId] = Counter()
        self._active = 0

    def on_request(self, serve: Serve) -> None:
        """Ask the producer and answer, now or when its reply is filled; "no data" where too much is worked on."""
        if not self._has_room(serve.peer):
            self._send_missing(serve, "busy")
            return
        try:
            answer = self._producer.produce(serve.request.key)
        except Exception as error:
            self._on_value(serve, error)
            return
        if not isinstance(answer, Reply):
            self._on_value(serve, answer)
            return
        self._count(serve, +1)
        reply: Reply[Any] = answer
        handler = partial(self._on_answer, serve, weakref.ref(reply))
        self._engine.on_reply(reply, handler, timeout=self._config.serve_timeout)

    def _on_answer(self, serve: Serve, reference: weakref.ref[Reply[Any]], answer: object) -> None:
        self._count(serve, -1)
        reply = reference()
        if reply is not None:
            reply.cancel()  # has an effect only when its time is over: the producer need not go on
        self._on_value(serve, answer)

    def _on_value(self, serve: Serve, answer: object) -> None:
        match answer:
            case bytes():
                self._send_value(serve, answer, len(answer))
            case memoryview() if answer.c_contiguous:
                self._send_value(serve, answer, answer.nbytes)
            case None:
                self._send_missing(serve, "missing")
            case ReplyDropped():
                self._send_missing(serve, "missing")  # the producer let go of it: it has no data
            case ReplyTimeout():
                self._failed("producer", serve.request.key, answer)
                self._send_missing(serve, "timed out")
            case Exception():
                self._failed("producer", serve.request.key, answer)
                self._send_missing(serve, "failed")
            case _:
                error = BadAnswer(f"a value is bytes or None, not {type(answer).__name__}")
                self._failed("producer", serve.request.key, error)
                self._send_missing(serve, "failed")

    def _send_value(self, serve: Serve, value: Value, size: int) -> None:
        limit = self._config.max_value
        if size > limit:
            self._failed("producer", serve.request.key, ValueTooLarge(size, limit))
            self._send_missing(serve, "too large")
        elif self._send(serve, encode(Response(serve.request.id, value))):
            self._metrics.serves.inc("data")
            self._metrics.served_bytes.inc(by=size)
            self._metrics.serve_seconds.inc(by=self._engine.now() - serve.since)
        else:
            self._send_missing(serve, "not sent")  # a short answer may find room where a long one did not

    def _send_missing(self, serve: Serve, result: str) -> None:
        self._metrics.serves.inc(result)
        if not self._is_open(serve.link):
            self._metrics.answers_lost.inc("link closed")
        elif not self._send(serve, encode(Missing(serve.request.id))):
            self._metrics.answers_lost.inc("refused")

    def _send(self, serve: Serve, payload: bytes) -> bool:
        if not self._is_open(serve.link):
            return False
        first = serve.request.priority and self._config.priority_responses
        return self._channel.send(serve.link, serve.peer, payload, self._engine.now(), priority=first).accepted

    def _has_room(self, peer: PeerId) -> bool:
        return self._active < self._config.max_serves and self._of_peer[peer] < self._config.max_serves_per_peer

    def _count(self, serve: Serve, by: int) -> None:
        peer = serve.peer
        self._awaited.change(serve.link, by)
        self._active += by
        self._metrics.serving.set(self._active)
        self._of_peer[peer] += by
        if not self._of_peer[peer]:
            del self._of_peer[peer]
