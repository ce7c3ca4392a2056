"""Discovery's engine: looks up each source in its time, and hands what it finds to the tracker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct

from ... import runtime
from ...runtime import Lane, Message, Overflow, Subscribe, Subscribers, Timer
from ...transport.errors import DecodeError
from ...transport.mailbox import Mailbox as Transport
from ...transport.mailbox import OwnRecord
from ...transport.record import PeerRecord
from ..membership.mailbox import Mailbox as Membership
from ..tracker.mailbox import Mailbox as Tracker
from .config import Config
from .core.schedule import Schedule
from .core.text_forms import HttpAddress, StaticRecord
from .mailbox import Found, Heard, Mailbox, SourceFailed, SourceRecovered, Wake
from .metrics import Metrics
from .parts.lan import Lan
from .parts.sources import MAX_FOUND, Dns, LookupResult, Source, Static

if TYPE_CHECKING:
    from http import HTTPStatus

    from .parts.record_server import RecordServer

ANSWER_TIMEOUT = 5.0  # seconds; transport answers from memory
LOOKUP_TIMEOUT = 600.0  # seconds; a lookup of many hosts that do not answer takes its time


class Watched(Struct, eq=False):
    """A source and how it is doing."""

    source: Source
    schedule: Schedule
    timer: Timer | None = None
    works: bool | None = None  # None before the first lookup


@dataclass(frozen=True, slots=True)
class LookupDue(Message):
    """Timer: the next lookup of this source is due."""

    watched: Watched = field(compare=False)


class Served(Message, Struct, frozen=True):
    """To itself, from the record server: a request was answered like this."""

    lane: ClassVar[Lane] = Lane.DATA
    overflow: ClassVar[Overflow] = Overflow.REJECT
    status: HTTPStatus


class Engine(runtime.Engine[Mailbox]):
    """Handlers only; when to look up a source is decided in `core/schedule`."""

    def __init__(
        self,
        config: Config,
        *,
        transport: Transport,
        tracker: Tracker,
        membership: Membership | None = None,
        sources: Sequence[Source] | None = None,
    ) -> None:
        """Start it once transport listens: what is published of this node is where it can be dialled.

        membership: takes what is found as seeds. sources: instead of those of the configuration.
        """
        super().__init__()
        self._subscribers = Subscribers()
        self.handlers = {
            Wake: self.on_wake,
            LookupDue: lambda message: self.start_lookup(message.watched),
            Heard: self.on_heard,
            Subscribe: self._subscribers.add,
            Served: lambda message: self._metrics.served.inc(message.status.name.lower()),
        }
        self._config = config
        self._transport = transport
        self._tracker = tracker
        self._membership = membership
        self._metrics = Metrics(self.runtime.registry)
        self._own: PeerRecord | None = None
        self._watched = [
            Watched(source, Schedule(floor=config.floor, interval=config.interval, rng=self.rng))
            for source in (self._configured_sources() if sources is None else sources)
        ]
        self._server: RecordServer | None = None

    @property
    def record_address(self) -> HttpAddress | None:
        """Where this node's record is served."""
        return None if self._server is None else self._server.address

    def on_start(self) -> None:
        """Serve the record, and look up every source. Raises CannotServe."""
        if self._config.record_listen is not None:
            from .parts.record_server import RecordServer  # an HTTP server takes long to import

            self._server = RecordServer(self._config.record_listen, self._record_text, self._on_answered)
            self.log.info("serving this node's record", at=str(self._server.address))
        for watched in self._watched:
            source = watched.source
            source.listen(partial(self._heard, source.name))
            self.start_lookup(watched)

    def on_stop(self) -> None:
        """Let go of sockets and threads; what cannot be closed does not keep the rest open."""
        closing = [(watched.source.name, watched.source.close) for watched in self._watched]
        if self._server is not None:
            closing.append(("record_listen", self._server.close))
        for name, close in closing:
            try:
                close()
            except Exception as error:
                self.log.error("a source could not be closed", source=name, error=error)

    def on_wake(self, _message: Wake) -> None:
        for watched in self._watched:
            watched.schedule.wake()
            self._plan(watched)

    def _heard(self, source: str, encoded: bytes) -> None:
        """On a thread of the source."""
        self.mailbox.tell(Heard(source, encoded))

    def on_heard(self, message: Heard) -> None:
        self._hint(message.source, (message.encoded,))

    # A lookup --------------------------------------------------------------------------------------------------------

    def start_lookup(self, watched: Watched) -> None:
        """Ask for our record first, which a source may publish and which tells us from others."""
        watched.schedule.begin()
        self.on_reply(self._transport.record(), lambda own: self._lookup_as(watched, own), timeout=ANSWER_TIMEOUT)

    def _lookup_as(self, watched: Watched, own: OwnRecord | Exception) -> None:
        if isinstance(own, Exception):
            self._end_lookup(watched, own)
            return
        self._own = own.record
        source = watched.source
        work = self.work(source.lookup, own.record, serial=f"discovery {source.name}", abandon=True)
        self.on_reply(work, lambda result: self._end_lookup(watched, result), timeout=LOOKUP_TIMEOUT)

    def _end_lookup(self, watched: Watched, result: LookupResult | Exception) -> None:
        name = watched.source.name
        if isinstance(result, Exception):
            self._note_outcome(watched, False, str(result) or type(result).__name__)
        else:
            for failure in result.failures:
                self._metrics.records.inc(name, "failed")
                self.log.debug("no record", source=name, why=failure)
            self._note_outcome(watched, bool(result.records) or not result.failures, "; ".join(result.failures[:3]))
            self._hint(name, result.records)
        watched.schedule.end(self.now())
        self._plan(watched)

    def _plan(self, watched: Watched) -> None:
        due_at = watched.schedule.due_at
        if due_at is None:
            return
        if watched.timer is not None:
            watched.timer.cancel()
        watched.timer = self.after(due_at - self.now(), LookupDue(watched))

    def _note_outcome(self, watched: Watched, works: bool, why: str) -> None:
        name = watched.source.name
        self._metrics.lookups.inc(name, "worked" if works else "failed")
        before, watched.works = watched.works, works
        if not works and before is not False:
            self.log.warning("discovery source failed", source=name, why=why)
            self._subscribers.tell(SourceFailed(name, why))
        elif works and before is False:
            self.log.info("discovery source works again", source=name)
            self._subscribers.tell(SourceRecovered(name))

    # What was found --------------------------------------------------------------------------------------------------

    def _hint(self, source: str, encoded: Sequence[bytes]) -> None:
        """To the tracker, which checks the signatures on the pool."""
        own = self._own
        if own is None:  # before the first lookup
            self._metrics.records.inc(source, "early", by=len(encoded))
            return
        records = tuple(self._read(source, own, encoded[:MAX_FOUND]))
        if len(encoded) > MAX_FOUND:
            self._metrics.records.inc(source, "too_many", by=len(encoded) - MAX_FOUND)
        if not records:
            return
        accepted = self._tracker.hint(records).accepted
        if self._membership is not None:
            self._membership.discovered(records)
        self._metrics.records.inc(source, "hinted" if accepted else "refused", by=len(records))
        if accepted:
            self.log.debug("records found", source=source, records=len(records))
            self._subscribers.tell(Found(source, records))

    def _read(self, source: str, own: PeerRecord, encoded: Iterable[bytes]) -> Iterable[PeerRecord]:
        for each in encoded:
            try:
                record = PeerRecord.decode(each, network=own.network, verify=False)
            except DecodeError as error:
                self._metrics.records.inc(source, "invalid")
                self.log.debug("no record of this network", source=source, error=str(error))
                continue
            if record.peer == own.peer:
                self._metrics.records.inc(source, "own")
            else:
                yield record

    # The record server's threads -------------------------------------------------------------------------------------

    def _record_text(self) -> str | None:
        try:
            return str(StaticRecord.of(self._transport.record().get(timeout=ANSWER_TIMEOUT).record))
        except (runtime.EngineGone, runtime.ReplyTimeout):
            return None

    def _on_answered(self, status: HTTPStatus) -> None:
        self.mailbox.tell(Served(status))

    def _configured_sources(self) -> list[Source]:
        config = self._config
        named = [
            Dns(
                address,
                max_hosts=config.max_hosts,
                fetch_timeout=config.fetch_timeout,
                rng=self.runtime.random(str(address)),
            )
            for address in config.dns
        ]
        static = [Static(config.records)] if config.records else []
        return [*static, *named, *([Lan(config.lan_interfaces)] if config.lan else [])]
