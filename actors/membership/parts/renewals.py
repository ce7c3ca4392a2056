"""Has transport sign newer records of this node: for other tags, and for the lives that `Swim` begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Reply, Timer
from ....transport.core.buckets import TokenBuckets
from ....transport.mailbox import Mailbox as Transport
from ....transport.mailbox import OwnRecord
from ..config import Config
from ..core.sender_limits import TAG_CHANGES
from ..core.tags import encode_tags
from ..mailbox import Rejoined, SetTags
from ..metrics import Metrics
from ..swim import MemberId
from .session import Session

_ANSWER_TIMEOUT = 10.0  # seconds; transport answers at once
_RENEW_AFTER, _LONGEST_RENEW_AFTER = 1.0, 60.0  # seconds from a renewal that failed to the next try; doubled each time


class RenewAgain(Message, Struct, frozen=True):
    """Timer: transport has given no record of the present life; ask once more."""


class SetTagsAgain(Message, Struct, frozen=True):
    """Timer: the tags may be changed once more, to those that were set last."""


class Renewals:
    """Part of the engine. metadata: the tags that were set last, as they are in a record."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        config: Config,
        transport: Transport,
        metrics: Metrics,
        *,
        session: Callable[[], Session | None],
        emit: Callable[[Rejoined], object],
    ) -> None:
        """session: gives the present session, None before the first `join`. emit: takes the event."""
        self._engine = engine
        self._transport = transport
        self._metrics = metrics
        self._session = session
        self._emit = emit
        self.metadata = encode_tags(config.tags)
        self._tag_changes = TokenBuckets(*TAG_CHANGES)
        self._awaiting_tags: list[Reply[None]] = []
        self._renewing: Timer | None = None
        self._renew_after = _RENEW_AFTER

    # Tags -------------------------------------------------------------------------------------------------------------

    def on_set_tags(self, message: SetTags) -> Reply[None] | None:
        """The tags are part of our record, so other tags need a new record, and that a new generation.

        The others take in only so many of these, so the tags wait if they are changed more often.
        """
        self.metadata = message.metadata
        session, now = self._session(), self._engine.now()
        if session is None or session.own.metadata == message.metadata:
            return None
        reply: Reply[None] = Reply()
        if self._tag_changes.take(None, now):
            self._change_tags(session, [reply])
        else:
            if not self._awaiting_tags:
                self._engine.after(self._tag_changes.ready_at(None, now) - now, SetTagsAgain())
            self._awaiting_tags.append(reply)
        return reply

    def on_set_tags_again(self, _message: SetTagsAgain) -> None:
        """Go over to the tags that were set last, for all who wait."""
        waiting, self._awaiting_tags = self._awaiting_tags, []
        session = self._session()
        if session is not None:
            self._tag_changes.take(None, self._engine.now())
            self._change_tags(session, waiting)

    def _change_tags(self, session: Session, replies: list[Reply[None]]) -> None:
        renewed = self._transport.renew(session.swim.identity.generation, self.metadata)
        self._engine.on_reply(renewed, lambda own: self._on_new_tags(own, replies), timeout=_ANSWER_TIMEOUT)

    def _on_new_tags(self, own: OwnRecord | Exception, replies: list[Reply[None]]) -> None:
        session = self._session()
        if isinstance(own, OwnRecord) and session is not None and session.use_record(own) and not session.has_left:
            session.resume()
        for reply in replies:
            if isinstance(own, Exception):
                reply.fail(own)
            else:
                reply.set(None)

    # Lives ------------------------------------------------------------------------------------------------------------

    def rejoin(self, member: MemberId) -> None:
        """`Swim` goes on as `member`: ask transport to sign its record. Until it is there nothing can be sent."""
        self._engine.log.warning("this life is over, going on under a new generation", generation=member.generation)
        self._renew(member)

    def _renew(self, member: MemberId) -> None:
        self._engine.on_reply(self._transport.renew(member.generation - 1), self._on_renewed, timeout=_ANSWER_TIMEOUT)

    def _on_renewed(self, own: OwnRecord | Exception) -> None:
        session = self._session()
        if isinstance(own, Exception):
            self._metrics.renewals.inc("failed")
            self._engine.log.error(
                "no record of the new generation, trying again", seconds=self._renew_after, error=own
            )
            if self._renewing is None:
                self._renewing = self._engine.after(self._renew_after, RenewAgain())
                self._renew_after = min(2 * self._renew_after, _LONGEST_RENEW_AFTER)
            return
        self._metrics.renewals.inc("signed")
        self._renew_after = _RENEW_AFTER
        if session is not None and session.use_record(own):
            if not session.has_left:
                session.resume()  # a no-op unless the record is of a still later life
            self._emit(Rejoined(own.record))

    def on_renew_again(self, _message: RenewAgain) -> None:
        """Nothing to do if there is a record by now, or the node has left: it renews when it joins again."""
        self._renewing = None
        session = self._session()
        if session is not None and session.awaits_record and not session.has_left:
            self._renew(session.swim.identity)
