"""Makes trims: one at a time, in slices, reported to everybody who shares it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from .... import runtime
from ....runtime import Lane, Message, Reply, Timer
from ....transport import mailbox as transport
from ....transport.gatekeeper import Link
from ....transport.reasons import Reason
from ..config import Config
from ..core.peer_table import PeerTable
from ..core.reports import TrimReport
from ..core.trim import GATHERED_PER_SLICE, Aim, RunningTrim, Selection, Trigger, report
from ..mailbox import Mailbox
from ..metrics import Metrics

EXPIRED_PER_SLICE = 1000


class CloseTimeout(Message, Struct, frozen=True):
    """To itself: the trim has waited long enough."""


class Trims:
    """The trim that runs, and those that wait for it to end."""

    def __init__(
        self,
        engine: runtime.Engine[Mailbox],
        config: Config,
        table: PeerTable,
        metrics: Metrics,
        *,
        transport: transport.Mailbox,
        changed: Callable[[], object],
    ) -> None:
        """changed: called when the counts may have."""
        self.last_at: float | None = None
        self._engine = engine
        self._config = config
        self._table = table
        self._metrics = metrics
        self._transport = transport
        self._changed = changed
        self._running: RunningTrim | None = None
        self._replies: list[Reply[TrimReport]] = []  # of who shares it
        self._timer: Timer | None = None
        self._next: list[tuple[Aim, Reply[TrimReport]]] = []

    @property
    def is_running(self) -> bool:
        """Whether a trim is under way."""
        return self._running is not None

    def request(self, aim: Aim) -> Reply[TrimReport]:
        """Trim, or share the trim that runs if it goes as far, or else the next one."""
        reply: Reply[TrimReport] = Reply()
        self._take(aim, reply)
        return reply

    def give_up(self, link: Link, trigger: Trigger) -> None:
        """Close this one, whatever trims are under way."""
        self._table.begin_closing(link)
        self._transport.close_link(link.id, Reason.TRIMMED)
        self._metrics.trimmed.inc(trigger)

    def closed(self, link_id: int) -> None:
        """A link is gone; perhaps the trim is done with it."""
        if self._running is not None:
            self._running.closed(link_id)
            self._end_if_over()

    def time_out(self) -> None:
        """Report without the connections that did not close."""
        if self._running is not None:
            self._end(self._running)

    # Parts -----------------------------------------------------------------------------------------------------------

    def _take(self, aim: Aim, reply: Reply[TrimReport]) -> None:
        if self._running is None:
            self._start(aim, reply)
        elif self._running.serves(aim, self._table):
            self._replies.append(reply)
        else:
            self._next.append((aim, reply))

    def _start(self, aim: Aim, reply: Reply[TrimReport]) -> None:
        """Without a victim the report is there at once."""
        self.last_at = now = self._engine.now()
        self._metrics.trims.inc(aim.trigger)
        expired = not self._table.expire(now, EXPIRED_PER_SLICE)
        if expired and not aim.possible(self._table):
            self._report(report(aim, self._table), aim, [reply])
            return
        self._engine.log.info("trimming connections", trigger=aim.trigger, target=aim.target, open=self._table.open)
        self._running, self._replies = RunningTrim(aim, Selection(self._table, aim.mode), now), [reply]
        if len(self._table.peers) > GATHERED_PER_SLICE:
            self._engine.next_slice(self._go_on, lane=Lane.CONTROL)  # the snapshot was a slice by itself
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Choose and close the victims of one slice."""
        trim, now = self._running, self._engine.now()
        if trim is None:
            return
        if self._table.expire(now, EXPIRED_PER_SLICE):
            self._engine.next_slice(self._go_on, lane=Lane.CONTROL)
            return
        victims = trim.slice(self._table)
        if victims:
            self._changed()
            for link in victims:
                self._transport.close_link(link.id, Reason.TRIMMED)
            self._metrics.trimmed.inc(trim.aim.trigger, by=len(victims))
        if trim.is_choosing:
            self._engine.next_slice(self._go_on, lane=Lane.CONTROL)
        elif trim.waiting and self._timer is None:
            self._timer = self._engine.after(self._config.close_timeout, CloseTimeout())
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self._running is not None and self._running.is_over:
            self._end(self._running)

    def _end(self, trim: RunningTrim) -> None:
        """Report, and go on with whoever wanted more, the strictest first."""
        if self._timer is not None:
            self._timer.cancel()
        self._running = self._timer = None
        self._metrics.trim_seconds.inc(by=self._engine.now() - trim.since)
        self._report(trim.report(self._table), trim.aim, self._replies)
        waiting, self._next = self._next, []
        for aim, reply in sorted(waiting, key=lambda each: each[0].strictness, reverse=True):
            self._take(aim, reply)

    def _report(self, report: TrimReport, aim: Aim, replies: list[Reply[TrimReport]]) -> None:
        if report.short_by:
            for why in ("protected", "in_grace", "unclosed"):
                if getattr(report, why):
                    self._metrics.short.inc(why)
            log = self._engine.log.info if aim.trigger is Trigger.EXPLICIT else self._engine.log.warning
            log(
                "trim did not reach its target",
                target=aim.target,
                short_by=report.short_by,
                protected=report.protected,
                in_grace=report.in_grace,
                unclosed=report.unclosed,
            )
        for reply in replies:
            reply.set(report)
