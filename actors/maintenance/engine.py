"""The maintenance engine: carries out what `planner.py` says, and tells it what came of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import assert_never

from ... import runtime
from ...runtime import Message, Reply, Timer
from ...transport import mailbox as transport
from ...transport.identity import PeerId
from ..connections import mailbox as connections
from ..connections.mailbox import Counts, PeerDisconnected, TrimReport
from ..tracker import mailbox as tracker
from ..tracker.mailbox import Candidates, DialableChanged, DialResult, Failed, Opened, Refused
from .config import Config
from .errors import MaintenanceStopped
from .goal import Goal
from .mailbox import Activate, Mailbox, Maintain, Report, Shutdown, Want
from .metrics import Metrics
from .planner import Ask, Dial, Done, Outcome, Pacing, Planner, Trim, Wait

ANSWER_WITHIN = 5.0  # seconds; the tracker answers from memory
DIAL_WITHIN = 60.0  # seconds; longer than any dial and its parking last
TRIM_WITHIN = 60.0  # seconds; longer than connections waits for closes, twice


class Phase(enum.Enum):
    """The life of maintenance."""

    INACTIVE = "inactive"
    ACTIVE = "active"
    STOPPED = "stopped"


class Situation(enum.StrEnum):
    """What a check found."""

    IN_BAND = "in_band"
    TOO_FEW = "too_few"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Look(Message):
    """To itself: the time of the next look has come."""


class Engine(runtime.Engine[Mailbox]):
    """Handlers only; whom to dial and when is decided in `planner.py`."""

    def __init__(
        self,
        config: Config,
        *,
        tracker: tracker.Mailbox,
        connections: connections.Mailbox,
        transport: transport.Mailbox,
    ) -> None:
        """tracker: whom it asks and dials through. connections: who counts and trims.

        transport: where peers will be exchanged on a channel of their own; dials and closes never go there directly.
        """
        super().__init__()
        self.handlers = {
            Activate: self.on_activate,
            Maintain: self.on_maintain,
            Want: self.on_want,
            Shutdown: self.on_shutdown,
            # events
            Counts: self.on_counts,
            PeerDisconnected: self.on_peer_disconnected,
            DialableChanged: self.on_dialable_changed,
            # from itself
            Look: self.on_look,
        }
        self._tracker = tracker
        self._connections = connections
        self._metrics = Metrics(self.runtime.registry)
        self._goal = Goal(config.bounds(), config.max_connections, dial_all=config.policy == "all")
        pacing = Pacing(
            floor=config.floor_between_rounds,
            looking=config.time_between_looking_for_peers,
            idle=config.maintenance_idle_time,
            dials=config.max_concurrent_dials,
        )
        self._planner = Planner(self._goal, pacing, self.rng)
        self._phase = Phase.INACTIVE
        self._situation = Situation.IN_BAND
        self._waiting: list[Reply[Report]] = []
        self._dialled = self._opened = self._trimmed = 0  # since the last report
        self._timer: Timer | None = None
        self._timer_at: float | None = None

    def on_start(self) -> None:
        """Listen to the triggers."""
        self._connections.subscribe(self.mailbox, Counts, PeerDisconnected)
        self._tracker.subscribe(self.mailbox, DialableChanged)

    # Messages --------------------------------------------------------------------------------------------------------

    def on_activate(self, _message: Activate) -> None:
        """Begin with a look."""
        if self._phase is Phase.STOPPED:
            self.log.warning("maintenance cannot be activated after its shutdown")
        elif self._phase is Phase.INACTIVE:
            self._phase = Phase.ACTIVE
            self._proceed()

    def on_maintain(self, _message: Maintain) -> Reply[Report]:
        """Look soon; the answer comes when the repair is over."""
        if self._phase is Phase.STOPPED:
            raise MaintenanceStopped("maintenance was shut down")
        reply: Reply[Report] = Reply()
        self._waiting.append(reply)
        self._planner.hinted()
        self._proceed()
        return reply

    def on_want(self, message: Want) -> None:
        """A wish for the next round."""
        self._planner.wanted(message.peer)
        self._proceed()

    def on_counts(self, message: Counts) -> None:
        """The number that everything is about."""
        self._planner.counted(message.open)
        self._proceed()

    def on_peer_disconnected(self, message: PeerDisconnected) -> None:
        """Whom we dialled may be dialled again; when, says the tracker with `DialableChanged`."""
        self._planner.lost(message.peer)

    def on_dialable_changed(self, _message: DialableChanged) -> None:
        """There may be somebody new to dial."""
        self._planner.hinted()
        self._proceed()

    def on_look(self, _message: Look) -> None:
        """The timer: the planner knows what is due."""
        self._timer = self._timer_at = None
        self._proceed()

    def on_shutdown(self, _message: Shutdown) -> None:
        """Stop for good. Dials under way belong to the tracker; their ends are ignored here."""
        self._phase = Phase.STOPPED
        self._set_timer(None)
        waiting, self._waiting = self._waiting, []
        for reply in waiting:
            reply.fail(MaintenanceStopped("maintenance was shut down before the check was over"))

    # Carrying out ----------------------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        """Do what the planner says until it says wait."""
        while self._phase is Phase.ACTIVE:
            step = self._planner.next(self.now())
            match step:
                case Dial():
                    self._dial(step.peer)
                case Ask():
                    self._ask(step)
                case Trim():
                    self._trim(step.target)
                case Done():
                    self._report(step)
                case Wait():
                    self._set_timer(step.until)
                    break
                case _:
                    assert_never(step)
        self._metrics.dialling.set(len(self._planner.dials))

    def _ask(self, step: Ask) -> None:
        """Ask the tracker whom to dial."""
        self._metrics.rounds.inc()
        reply = self._tracker.dialable(step.limit, step.exclude, urgent=step.urgent)
        self.on_reply(reply, self._on_candidates, within=ANSWER_WITHIN)

    def _on_candidates(self, answer: Candidates | Exception) -> None:
        """Continue `ask`. No answer means no candidates."""
        if isinstance(answer, Exception):
            self._unanswered("candidates", answer)
            self._planner.candidates((), None, self.now())
        else:
            self._planner.candidates(answer.peers, answer.next_at, self.now())
        self._proceed()

    def _dial(self, peer: PeerId) -> None:
        """Dial through the tracker."""
        self.on_reply(self._tracker.dial(peer), lambda result: self._on_dialled(peer, result), within=DIAL_WITHIN)

    def _on_dialled(self, peer: PeerId, result: DialResult | Exception) -> None:
        """Continue `dial`. No answer counts as a failure."""
        match result:
            case Opened():
                outcome = Outcome.OPENED
                self._opened += 1
            case Refused():
                outcome = Outcome.REFUSED
                self.log.debug("dial refused", peer=peer.short, reason=result.reason)
            case Failed():
                outcome = Outcome.FAILED
                self.log.info("dial failed", peer=peer.short, reason=result.reason)
            case Exception():
                outcome = Outcome.FAILED
                self._unanswered("dial", result)
            case _:
                assert_never(result)
        self._dialled += outcome is not Outcome.REFUSED
        self._metrics.dials.inc(outcome)
        self._planner.dial_ended(peer, outcome, self.now())
        self._proceed()

    def _trim(self, target: int) -> None:
        """Let connections choose whom to give up."""
        self.log.info("too many connections, trimming", open=self._planner.open, target=target)
        self.on_reply(self._connections.trim_open_connections(target), self._on_trimmed, within=TRIM_WITHIN)

    def _on_trimmed(self, answer: TrimReport | Exception) -> None:
        """Continue `trim`."""
        if isinstance(answer, Exception):
            self._unanswered("trim", answer)
            closed, short = 0, True
        else:
            closed, short = len(answer.closed), answer.short_by > 0
        self._trimmed += closed
        if short or not closed:
            self._metrics.cannot_trim.inc()
        self._planner.trimmed(closed, short=short, now=self.now())
        self._proceed()

    def _unanswered(self, question: str, error: Exception) -> None:
        """Another actor gave no answer; the safe one is taken instead."""
        self._metrics.unanswered.inc(question)
        self.log.warning("no answer", question=question, error=repr(error))

    def _report(self, done: Done) -> None:
        """Answer who waits, and tell the operator if the situation changed."""
        report = Report(done.in_band, self._planner.open, self._dialled, self._opened, self._trimmed)
        self._dialled = self._opened = self._trimmed = 0
        self._notice(done.in_band)
        waiting, self._waiting = self._waiting, []
        for reply in waiting:
            reply.set(report)

    def _notice(self, in_band: bool) -> None:
        """One line when it begins, one when it is over: repeated, it would only alarm."""
        situation = Situation.IN_BAND
        if not in_band:
            situation = Situation.TOO_MANY if self._goal.excess(self._planner.open) else Situation.TOO_FEW
        self._metrics.checks.inc(situation)
        if situation is self._situation:
            return
        self._situation = situation
        fields = {"open": self._planner.open, "dial_to": self._goal.dial_to, "at_most": self._goal.want_to}
        if situation is Situation.IN_BAND:
            self.log.info("connections are in bounds again", **fields)
        elif situation is Situation.TOO_FEW:
            self.log.warning("too few connections, and nobody else to dial now", **fields)
        else:
            self.log.warning("too many connections, and none that can be given up", **fields)

    def _set_timer(self, until: float | None) -> None:
        """Look at `until`, and at no other time."""
        if until == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = until
        self._timer = None if until is None else self.after(until - self.now(), Look())
