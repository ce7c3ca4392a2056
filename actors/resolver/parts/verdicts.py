"""Asks the consumer and brings back its verdict, whatever the consumer does.

* It answers at once, or with a `Reply` within `verdict_timeout`.
* Raising, dropping the reply, taking too long or answering nonsense is `UNANSWERED`, and reported.
* When the key is retired its open verdict is withdrawn: the consumer's `Reply` is cancelled, what it says is not heard.
* Replies are held weakly, so one that the consumer drops is noticed at once.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from .... import runtime
from ....runtime import Reply
from ....runtime.arguments import shortened
from ....transport.identity import PeerId
from ..core.decisions import Deliver, Outcome
from ..errors import BadAnswer
from ..mailbox import Part
from .application import Consumer, Delivery
from .gets import Tag, application_tags

Asked: TypeAlias = Deliver[PeerId, Tag]
Failed: TypeAlias = Callable[[Part, bytes | None, Exception], None]


class Verdicts:
    """The open verdicts, at most one per key."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        consumer: Consumer,
        verdict_timeout: float,
        *,
        judged: Callable[[Asked, Outcome], None],
        failed: Failed,
    ) -> None:
        """judged: told of late verdicts. failed: told of every failure of the consumer."""
        self._engine = engine
        self._consumer = consumer
        self._timeout = verdict_timeout
        self._judged = judged
        self._failed = failed
        self._open: dict[bytes, tuple[int, weakref.ref[Reply[Any]]]] = {}

    def deliver(self, asked: Asked) -> Outcome | None:
        """What the consumer says; None if it will say so later."""
        delivery = Delivery(asked.key, application_tags(asked.subscribers), asked.peer)
        try:
            answer = self._consumer.deliver(delivery, asked.value)
        except Exception as error:
            return self._outcome(asked.key, error)
        if not isinstance(answer, Reply):
            return self._outcome(asked.key, answer)
        reply: Reply[Any] = answer
        self._open[asked.key] = (asked.generation, weakref.ref(reply))
        self._engine.on_reply(reply, partial(self._on_answer, asked), timeout=self._timeout)
        return None

    def withdraw(self, key: bytes) -> None:
        """The verdict on this key, if one is open, is not needed any more."""
        _, reference = self._open.pop(key, (0, None))
        reply = reference() if reference is not None else None
        if reply is not None:
            reply.cancel()

    def withdraw_all(self) -> None:
        """Withdraw every open verdict: the engine stops."""
        for key in list(self._open):
            self.withdraw(key)

    def _on_answer(self, asked: Asked, answer: object) -> None:
        if self._open.get(asked.key, (0, None))[0] != asked.generation:
            return
        self.withdraw(asked.key)  # after a time-out the consumer need not go on
        self._judged(asked, self._outcome(asked.key, answer))

    def _outcome(self, key: bytes, answer: object) -> Outcome:
        match answer:
            case bool():
                return Outcome.COMPLETE if answer else Outcome.INVALID
            case Outcome():
                return answer
            case Exception():
                self._failed("consumer", key, answer)
            case _:
                self._failed("consumer", key, BadAnswer(f"a verdict is an Outcome or a bool, not {shortened(answer)}"))
        return Outcome.UNANSWERED
