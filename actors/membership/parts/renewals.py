"""Has transport sign newer records of this node: for other tags, and for the lives that `Swim` begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Reply, Timer
from ....transport.mailbox import Mailbox as Transport
from ....transport.mailbox import OwnRecord
from ..config import Config
from ..core.tag_changes import Step, TagChanges
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
    """Timer: the tags may be changed once more."""


class Renewals:
    """Part of the engine."""

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
        self._tags = TagChanges(encode_tags(config.tags))
        self._setting: list[Reply[None]] = []  # of the tags that wait
        self._pause: Timer | None = None
        self._renewing: Timer | None = None
        self._renew_after = _RENEW_AFTER

    # Tags -------------------------------------------------------------------------------------------------------------

    @property
    def metadata(self) -> bytes:
        """The tags that were set last, as they are in a record."""
        return self._tags.wanted

    def on_set_tags(self, message: SetTags) -> Reply[None]:
        reply: Reply[None] = Reply()
        self._tags.wanted = message.metadata
        self._setting.append(reply)
        self.change_tags()
        return reply

    def on_set_tags_again(self, _message: SetTagsAgain) -> None:
        self._pause = None
        self.change_tags()

    def change_tags(self) -> None:
        """Go over to the tags that were set last, as far as that is to be now."""
        session, now = self._session(), self._engine.now()
        step = self._tags.step(None if session is None else session.own.metadata, now)
        if step is Step.PAUSE and self._pause is None:
            self._pause = self._engine.after(self._tags.ready_at(now) - now, SetTagsAgain())
        elif step is Step.DONE:
            _answer(self._take_setting(), None)
        elif step is Step.SIGN and session is not None:
            setting = self._take_setting()
            renewed = self._transport.renew(session.swim.identity.generation, self.metadata)
            self._engine.on_reply(renewed, lambda own: self._on_new_tags(own, setting), timeout=_ANSWER_TIMEOUT)

    def _take_setting(self) -> list[Reply[None]]:
        setting, self._setting = self._setting, []
        return setting

    def _on_new_tags(self, own: OwnRecord | Exception, setting: list[Reply[None]]) -> None:
        self._tags.signed()
        session = self._session()
        if isinstance(own, OwnRecord) and session is not None and session.use_record(own) and not session.has_left:
            session.resume()
        _answer(setting, own if isinstance(own, Exception) else None)
        if self._setting:
            self.change_tags()

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


def _answer(replies: Iterable[Reply[None]], outcome: Exception | None) -> None:
    for reply in replies:
        reply.resolve(outcome)
