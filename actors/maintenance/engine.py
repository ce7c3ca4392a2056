"""The maintenance engine: carries out what `core/planner.py` says, and tells it what came of it."""

from __future__ import annotations

import enum
import math
from typing import assert_never

from msgspec import Struct

from ... import runtime
from ...runtime import Message, Reply, Subscribe, Subscribers, Timer
from ...transport import mailbox as transport
from ...transport.address import Subnet
from ...transport.identity import PeerId
from ...transport.mailbox import Closed, Opened, Received
from ...transport.reasons import Reason
from ..connections import mailbox as connections
from ..connections.mailbox import Counts, PeerConnected, PeerDisconnected, TrimReport
from ..discovery import mailbox as discovery
from ..tracker import mailbox as tracker
from ..tracker.mailbox import Candidates, DialableChanged, Dialled, DialResult, Failed, PeerSetUpdate, Refused
from .config import Config
from .core.actions import Ask, Dial, DialOutcome, Done, Motive, Pacing, Search, Trim, Wait, Withhold
from .core.exchange_rules import ExchangeLimits
from .core.fetch_wishes import NO_PLACE, FetchWishes
from .core.goal import Goal
from .core.planner import Planner
from .errors import MaintenanceStopped
from .mailbox import (
    Activate,
    GetStanding,
    Mailbox,
    Maintain,
    NotReached,
    Report,
    Shutdown,
    Standing,
    Want,
    WantForFetch,
)
from .metrics import Metrics
from .parts.announcements import Announcements
from .parts.peer_exchange import PeerExchange

ANSWER_TIMEOUT = 5.0  # seconds; the tracker answers from memory
DIAL_TIMEOUT = 60.0  # seconds; longer than any dial and its parking last
TRIM_TIMEOUT = 60.0  # seconds; longer than connections waits for closes, twice

_BROKEN = frozenset({Reason.LOST, Reason.DEAD})


class Phase(enum.Enum):
    """Maintenance dials and trims only while it is active; once stopped it stays so."""

    INACTIVE = "inactive"
    ACTIVE = "active"
    STOPPED = "stopped"


class CheckDue(Message, Struct, frozen=True):
    """To itself: the time of the next check has come."""


class Engine(runtime.Engine[Mailbox]):
    """Handlers only; `core/planner.py` decides whom to dial and when, `parts/announcements.py` what to say of it."""

    def __init__(
        self,
        config: Config,
        *,
        tracker: tracker.Mailbox,
        connections: connections.Mailbox,
        transport: transport.Mailbox,
        channel: int | None = None,
        discovery: discovery.Mailbox | None = None,
        secondary: bool = True,
    ) -> None:
        """tracker: whom it asks and dials through. connections: who counts and trims.

        transport: where peers are exchanged on `channel`, without one not at all; dials and closes never go there.
        discovery: woken when connections are missing. secondary: whether a set's secondary peers are asked for data, so
        that connections with them are of use.
        """
        super().__init__()
        self._metrics = Metrics(self.runtime.registry)
        self._subscribers = Subscribers()
        self._exchange = PeerExchange(
            self,
            ExchangeLimits(config.max_records_per_subnet, config.time_between_answers, config.private_mode),
            channel=channel,
            transport=transport,
            tracker=tracker,
            metrics=self._metrics,
            emit=self._subscribers.tell,
            changed=self._recount,
        )
        self.handlers = {
            Activate: self.on_activate,
            Maintain: self.on_maintain,
            Want: self.on_want,
            WantForFetch: self.on_want_for_fetch,
            Shutdown: self.on_shutdown,
            GetStanding: self.on_get_standing,
            Subscribe: self.on_subscribe,
            # events
            Counts: self.on_counts,
            PeerConnected: self.on_peer_connected,
            PeerDisconnected: self.on_peer_disconnected,
            DialableChanged: self.on_dialable_changed,
            PeerSetUpdate: self.on_peer_set_update,
            # peer exchange
            Opened: self._exchange.on_opened,
            Closed: self._exchange.on_closed,
            Received: self._exchange.on_received,
            # from itself
            CheckDue: self.on_check_due,
        }
        self._config = config
        self._tracker = tracker
        self._connections = connections
        self._discovery = discovery
        self._goal = Goal(
            config.bounds(),
            config.max_connections,
            dial_all=config.policy == "all",
        )
        pacing = Pacing(
            floor=config.floor_between_rounds,
            looking=config.time_between_looking_for_peers,
            idle=config.maintenance_idle_time,
            dials=config.max_concurrent_dials,
        )
        self._planner = Planner(self._goal, pacing, self.rng)
        self._fetch_wishes = FetchWishes(self.rng)
        self._per_subnet = max(1, int(config.max_subnet_share * config.bounds().min_threshold))
        self._open = 0
        self._reached: set[PeerId] = set()  # with a connection of any kind
        self._linked: set[PeerId] = set()
        self._others: set[PeerId] = set()  # of those, whom the set does not list
        self._counts_secondary = secondary
        self._set: frozenset[PeerId] = frozenset()  # of the latest set, who may be asked for data
        self._primary: frozenset[PeerId] | None = None  # of policy `all`, once there is a set; else nobody is left out
        self._phase = Phase.INACTIVE
        self._announcements = Announcements(self._goal, self._planner, self.log, self._metrics, self._subscribers)
        self._waiting: list[Reply[Report]] = []
        self._dialled = self._opened = self._trimmed = 0  # since the last report
        self._timer: Timer | None = None
        self._timer_at: float | None = None

    def on_start(self) -> None:
        """Listen to the triggers, and to the peers."""
        self._connections.subscribe(self.mailbox, Counts, PeerConnected, PeerDisconnected)
        self._tracker.subscribe(self.mailbox, DialableChanged, PeerSetUpdate)
        self._exchange.start()

    # Messages --------------------------------------------------------------------------------------------------------

    def on_activate(self, _message: Activate) -> None:
        """Begin with a check. After `shutdown` only a log line comes of it."""
        if self._phase is Phase.STOPPED:
            self.log.warning("maintenance cannot be activated after its shutdown")
        elif self._phase is Phase.INACTIVE:
            self._phase = Phase.ACTIVE
            self._announcements.activated()
            self._proceed()

    def on_maintain(self, _message: Maintain) -> Reply[Report]:
        """Check soon; the answer comes when the repair is over."""
        if self._phase is Phase.STOPPED:
            raise MaintenanceStopped("maintenance was shut down")
        reply: Reply[Report] = Reply()
        self._waiting.append(reply)
        self._planner.trigger(Motive.EXTERNAL)
        self._proceed()
        return reply

    def on_want(self, message: Want) -> None:
        """Dial this peer in the next round, if there is room."""
        self._planner.wanted(message.peer)
        self._proceed()

    def on_want_for_fetch(self, message: WantForFetch) -> None:
        """Dial this peer at once, in a short-lived place if there is no room, until it is connected."""
        if not message.needed:
            self._fetch_wishes.forget(message.peer)
        elif message.peer not in self._reached:
            dropped = self._fetch_wishes.want(message.peer, self.now())
            if dropped is not None:
                self._metrics.wishes_dropped.inc()
                self._subscribers.tell(NotReached(dropped, "too many are wanted at once", waits=False))
        self._proceed()

    def on_counts(self, message: Counts) -> None:
        """Another number of connections is open: check whether that is too few or too many."""
        self._open = message.open
        self._recount()

    def _recount(self) -> None:
        """Of one public subnet no more than its share counts; with policy `all` others say who the peers are."""
        if self._goal.dial_all or not self._set:
            self._planner.counted(self._open, self._surplus())
        else:
            known = len(self._linked) - len(self._others)
            surplus = self._surplus()
            # A link is counted before its peer is told, and a closing one no more, though its peer is there still.
            listed = min(self._open, max(known, self._open - len(self._others)))
            crowded = self._surplus(self._set) if self._others else surplus
            self._planner.counted(
                self._open,
                surplus,
                listed=max(0, listed - crowded),
                others=len(self._others),
                absent=len(self._set) - known,
            )
        self._proceed()

    def _surplus(self, among: frozenset[PeerId] | None = None) -> int:
        return min(self._open, sum(self._crowded_subnets(among).values()))

    def _crowded_subnets(self, among: frozenset[PeerId] | None = None) -> dict[Subnet, int]:
        return {} if self._goal.dial_all else self._exchange.rules.crowded_subnets(self._per_subnet, among)

    def on_peer_connected(self, message: PeerConnected) -> None:
        """One more peer that is connected, so none that is tried again. A short-lived connection counts nowhere."""
        self._reached.add(message.peer)
        self._fetch_wishes.forget(message.peer)
        if message.short_lived:
            return
        self._linked.add(message.peer)
        if message.peer not in self._set:
            self._others.add(message.peer)
        self._planner.found(message.peer, self.now())
        self._recount()

    def on_peer_disconnected(self, message: PeerDisconnected) -> None:
        """Whom we dialled may be dialled again; when, says the tracker with `DialableChanged`."""
        self._reached.discard(message.peer)
        if message.short_lived:
            return
        self._linked.discard(message.peer)
        self._others.discard(message.peer)
        self._planner.lost(message.peer, self.now(), broken=message.reason in _BROKEN)
        self._recount()

    def on_dialable_changed(self, _message: DialableChanged) -> None:
        """There may be somebody new to dial."""
        self._planner.trigger(Motive.NEW_PEER)
        self._proceed()

    def on_peer_set_update(self, message: PeerSetUpdate) -> None:
        """Whom policy `all` means, and who of the others may be asked for data."""
        if self._goal.dial_all:
            self._primary = frozenset(message.all.primary)
            self._planner.trigger(Motive.NEW_PEER)
            self._proceed()
            return
        latest = message.latest
        peers = frozenset(latest.primary + latest.secondary if self._counts_secondary else latest.primary)
        if peers != self._set:
            self._set = peers
            self._others = self._linked - peers
            self._planner.set_changed(peers)
            self._recount()

    def on_check_due(self, _message: CheckDue) -> None:
        """The timer rang: the planner knows what is due."""
        self._timer = self._timer_at = None
        self._proceed()

    def on_get_standing(self, _message: GetStanding) -> Standing:
        """Answer the situation that the last `Standing` told."""
        return self._announcements.standing()

    def on_subscribe(self, message: Subscribe) -> None:
        """Tell of events from now on, and `Standing` at once."""
        self._subscribers.add(message)
        if Standing in message.kinds:
            message.subscriber.tell(self._announcements.standing_for_subscriber())

    def on_shutdown(self, _message: Shutdown) -> None:
        """Stop for good. Dials under way belong to the tracker; their ends are ignored here."""
        self._phase = Phase.STOPPED
        self._set_timer(None)
        self._announcements.stopped()
        waiting, self._waiting = self._waiting, []
        for reply in waiting:
            reply.fail(MaintenanceStopped("maintenance was shut down before the check was over"))

    # Carrying out ----------------------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        """Do what the planner says until it says wait."""
        self._dial_for_fetches()
        while self._phase is Phase.ACTIVE:
            action = self._planner.next(self.now())
            self._announcements.before(action, self.now())
            match action:
                case Dial():
                    self._dial(action.peer)
                case Ask():
                    self._ask(action)
                case Search():
                    self._search(action)
                case Trim():
                    self._trim(action)
                case Done():
                    self._report(action)
                case Withhold():
                    pass  # it was announced
                case Wait():
                    fetch_at = self._fetch_wishes.next_at(self.now())
                    until = math.inf if action.until is None else action.until
                    self._set_timer(None if until == fetch_at == math.inf else min(until, fetch_at))
                    break
                case _:
                    assert_never(action)
        self._metrics.dialling.set(len(self._planner.dials))
        self._announcements.tell_standing()

    def _dial_for_fetches(self) -> None:
        """Follow the wishes of fetches that are due."""
        while self._phase is Phase.ACTIVE and (peer := self._fetch_wishes.take(self.now())) is not None:
            crowded = self._fetch_wishes.is_crowded(peer)
            if not crowded and self._planner.dials_at_once(peer, self.now()):
                self._dial(peer)
            else:
                self._dial_short_lived(peer)

    def _dial_short_lived(self, peer: PeerId) -> None:
        self._metrics.short_lived.inc()
        reply = self._tracker.dial(peer, short_lived=True)
        self.on_reply(reply, lambda result: self._on_short_lived(peer, result), timeout=DIAL_TIMEOUT)

    def _on_short_lived(self, peer: PeerId, result: DialResult | Exception) -> None:
        """A dial beside the others ended."""
        if isinstance(result, Exception):
            self._unanswered("dial", result)
        self._tried(peer, result, short_lived=True)
        self._proceed()

    def _tried(self, peer: PeerId, result: DialResult | Exception, *, short_lived: bool) -> None:
        """A fetch may wait for this peer: it is told why it has to go on waiting."""
        reason = "no answer" if isinstance(result, Exception) else getattr(result, "reason", None)
        if self._fetch_wishes.ended(peer, reason, self.now(), short_lived=short_lived):
            self._subscribers.tell(NotReached(peer, str(reason), reason in NO_PLACE))

    def _ask(self, action: Ask) -> None:
        """Ask the tracker whom to dial."""
        self._metrics.rounds.inc()
        among = self._set if action.listed else None
        avoid = self._crowded_subnets(among)
        reply = self._tracker.dialable(action.limit, action.exclude, urgent=action.urgent, avoid=avoid, among=among)
        self.on_reply(reply, self._on_candidates, timeout=ANSWER_TIMEOUT)

    def _on_candidates(self, answer: Candidates | Exception) -> None:
        """The tracker answered. No answer means no candidates."""
        if isinstance(answer, Exception):
            self._unanswered("candidates", answer)
            self._planner.candidates((), None, self.now())
        else:
            peers = [peer for peer in answer.peers if self._primary is None or peer in self._primary]
            self._planner.candidates(peers, answer.next_at, self.now())
        self._proceed()

    def _search(self, action: Search) -> None:
        """Ask the peers for peers. A private node does without, and leaves discovery asleep."""
        if self._config.private_mode:
            asked = 0
        else:
            asked = self._exchange.search()
            self._metrics.searches.inc()
            if action.wake and self._discovery is not None:
                self._discovery.wake()
        self._announcements.searched(asked)
        self._planner.searched(asked, self.now())

    def _dial(self, peer: PeerId) -> None:
        """Have the tracker dial this peer, which knows where it is and whether it may be dialled."""
        self.on_reply(self._tracker.dial(peer), lambda result: self._on_dialled(peer, result), timeout=DIAL_TIMEOUT)

    def _on_dialled(self, peer: PeerId, result: DialResult | Exception) -> None:
        """A dial ended. No answer counts as a failure."""
        match result:
            case Dialled():
                outcome = DialOutcome.OPENED
                self._opened += 1
            case Refused():
                outcome = DialOutcome.REFUSED
                self.log.debug("dial refused", peer=peer.short, reason=result.reason)
            case Failed():
                outcome = DialOutcome.FAILED
                self.log.info("dial failed", peer=peer.short, reason=result.reason)
            case Exception():
                outcome = DialOutcome.FAILED
                self._unanswered("dial", result)
            case _:
                assert_never(result)
        self._dialled += outcome is not DialOutcome.REFUSED
        self._metrics.dials.inc(outcome)
        self._planner.dial_ended(peer, outcome, self.now())
        self._tried(peer, result, short_lived=False)
        self._proceed()

    def _trim(self, action: Trim) -> None:
        """Let connections choose whom to give up."""
        spare = self._set if action.spare else frozenset()
        reply = self._connections.trim_open_connections(action.target, spare=spare)
        self.on_reply(reply, lambda answer: self._on_trimmed(action, answer), timeout=TRIM_TIMEOUT)

    def _on_trimmed(self, action: Trim, answer: TrimReport | Exception) -> None:
        """Connections trimmed. No answer counts as nobody closed."""
        closed, short, passing = 0, True, False
        if isinstance(answer, Exception):
            self._unanswered("trim", answer)
        else:
            closed, short, passing = len(answer.closed), answer.short_by > 0, answer.in_grace > 0
        self._trimmed += closed
        if (short or not closed) and (passing or not action.spare) and self._goal.excess(self._planner.open):
            self._announcements.cannot_trim()
        self._planner.trimmed(closed, short=short, now=self.now(), passing=passing)
        self._proceed()

    def _unanswered(self, question: str, error: Exception) -> None:
        """Another actor gave no answer; the safe one is taken instead."""
        self._metrics.unanswered.inc(question)
        self.log.warning("no answer", question=question, error=repr(error))

    def _report(self, done: Done) -> None:
        """Answer those who wait for the end of the repair."""
        report = Report(done.in_band, self._planner.open, self._dialled, self._opened, self._trimmed)
        self._dialled = self._opened = self._trimmed = 0
        waiting, self._waiting = self._waiting, []
        for reply in waiting:
            reply.set(report)

    def _set_timer(self, until: float | None) -> None:
        """Check at `until`, and at no other time."""
        if until == self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = until
        self._timer = None if until is None else self.after(until - self.now(), CheckDue())
