"""What maintenance says of itself: events, log lines, and where it stands.

* Once per departure from the bounds, not in every round: `MaintenanceStarted` with `TooFewConnections` or
  `TooManyConnections` when work begins, `CannotTrim` if it gets stuck, `MaintenanceEnded` when it is over.
* Once per wait: `RoomWithheld` when a peer of the set could have the place of another, and has to wait for it.
* An operator reads a warning when nothing can be done about it, and a line when it is over. Who is connected to all
  peers that there are lacks nobody: that is a line, and no warning.
"""

from __future__ import annotations

from ....runtime import Subscribers
from ....runtime.log import Log
from ..core.actions import Action, Ask, Dial, Done, Trim, Wait, Withhold
from ..core.goal import Goal
from ..core.planner import Planner
from ..mailbox import (
    CannotTrim,
    Doing,
    Level,
    MaintenanceEnded,
    MaintenanceStarted,
    RoomWithheld,
    Standing,
    TooFewConnections,
    TooManyConnections,
)
from ..metrics import Metrics


class Announcements:
    """What was told, so that it is told once."""

    def __init__(self, goal: Goal, planner: Planner, log: Log, metrics: Metrics, subscribers: Subscribers) -> None:
        self._goal = goal
        self._planner = planner
        self._log = log
        self._metrics = metrics
        self._subscribers = subscribers
        self._active = self._ended = False
        self._since: float | None = None  # when the bounds were left; None while inside
        self._told_level = Level.IN_BAND
        self._warned = False
        self._told_all = False  # that it is connected to all known peers
        self._stuck = False
        self._trimming = False
        self._exhausted = False  # the last repair ended outside
        self._satisfied = True  # policy `all`: it ended with nobody left
        self._asked = 0
        self._last_standing = self.standing()

    def activated(self) -> None:
        """Maintenance was activated."""
        self._active = True

    def stopped(self) -> None:
        """Maintenance was shut down."""
        self._ended = True
        self.tell_standing()

    def before(self, action: Action, now: float) -> None:
        """Announce what this action begins or ends. Call it before the action is carried out."""
        match action:
            case Ask() | Trim():
                self._trimming = isinstance(action, Trim)
                self._exhausted = False
                if not self._goal.dial_all and not self._is_choosing(action):  # there a check asks even if all is well
                    self._begin(Level.TOO_MANY if self._trimming else Level.TOO_FEW, now)
            case Dial() if self._goal.dial_all:
                self._begin(Level.IN_BAND, now)
            case Done():
                self._trimming = False
                self._exhausted = not action.in_band
                self._satisfied = action.in_band
                self._metrics.checks.inc(self._level())
                self._end(now) if action.in_band else self._warn()
            case Withhold():
                self._withheld(action.until - now)
            case Wait():
                self._trimming = self._trimming and action.until is None

    def _is_choosing(self, action: Ask | Trim) -> bool:
        """Whether the number is right, and only some connections are to make place for others."""
        return action.listed if isinstance(action, Ask) else not self._goal.excess(self._planner.open) and action.spare

    def searched(self, asked: int) -> None:
        """So many peers were asked for others; the last time that there was one counts."""
        self._asked = asked or self._asked

    def cannot_trim(self) -> None:
        """A trim did not meet its target."""
        self._metrics.cannot_trim.inc()
        if not self._stuck:
            self._stuck = True
            self._subscribers.tell(CannotTrim(self._planner.open, self._goal.bounds.max_target))

    def standing_for_subscriber(self) -> Standing:
        """How it stands, for a new subscriber: it is told again when that changes."""
        self._last_standing = self.standing()
        return self._last_standing

    def tell_standing(self) -> None:
        """After everything: tell where it stands, if that is new."""
        if not self._goal.excess(self._planner.open):
            self._stuck = False
        if not self._subscribers:
            return
        standing = self.standing()
        if standing != self._last_standing:
            self._last_standing = standing
            self._subscribers.tell(standing)

    def _withheld(self, seconds: float) -> None:
        self._metrics.room_withheld.inc()
        self._log.info("no place for a peer of the set yet, as others did not stay", seconds=round(seconds, 3))
        self._subscribers.tell(RoomWithheld(seconds))

    # Events ----------------------------------------------------------------------------------------------------------

    def _begin(self, level: Level, now: float) -> None:
        planner, bounds = self._planner, self._goal.bounds
        if self._since is None:
            self._since = now
            self._log.debug("maintenance started", motive=planner.motive, open=planner.open)
            self._subscribers.tell(MaintenanceStarted(planner.motive, planner.open))
        if level is self._told_level:
            return
        self._told_level = level
        if level is Level.TOO_MANY:
            self._log.info("too many connections, trimming", open=planner.open, target=bounds.max_target)
            self._subscribers.tell(TooManyConnections(planner.open, bounds.max_target))
        else:
            self._subscribers.tell(TooFewConnections(planner.open, self._goal.dial_to))

    def _end(self, now: float) -> None:
        if self._since is None:
            return
        if self._warned:
            self._log.info("connections are in bounds again", **self._numbers())
        self._subscribers.tell(MaintenanceEnded(now - self._since, self._planner.open))
        self._since = None
        self._told_level = Level.IN_BAND
        self._warned = self._told_all = self._stuck = False
        self._asked = 0

    def _warn(self) -> None:
        if self.standing().has_all:
            if not self._told_all:
                self._told_all = True
                self._log.info("connected to all known peers", **self._numbers())
        elif not self._warned:
            self._warned = True
            if self._goal.excess(self._planner.open):
                self._log.warning("too many connections, and none that can be given up", **self._numbers())
            else:
                self._log.warning("too few connections, and nobody else to dial now", **self._numbers())

    def _numbers(self) -> dict[str, object]:
        return {"open": self._planner.open, "dial_to": self._goal.dial_to, "at_most": self._goal.want_to}

    # Where it stands -------------------------------------------------------------------------------------------------

    def standing(self) -> Standing:
        """How it stands; also an event whenever it changes."""
        return Standing(
            level=self._level(),
            doing=self._doing(),
            open=self._planner.open,
            low=None if self._goal.dial_all else self._goal.bounds.min_threshold,
            high=self._goal.want_to,
            surplus=self._planner.surplus,
            dialling=len(self._planner.dials),
            asked=self._asked,
            unconnected=None if self._goal.dial_all else self._planner.unconnected,
        )

    def _level(self) -> Level:
        connections = self._planner.open
        if self._goal.dial_all:
            enough = self._satisfied or connections >= self._goal.maximum
            return Level.IN_BAND if enough else Level.TOO_FEW
        if self._goal.bounds.too_many(connections):
            return Level.TOO_MANY
        return Level.TOO_FEW if self._goal.bounds.too_few(self._planner.useful) else Level.IN_BAND

    def _doing(self) -> Doing:
        if self._ended:
            return Doing.STOPPED
        if not self._active:
            return Doing.INACTIVE
        if self._trimming:
            return Doing.TRIMMING
        if self._planner.dials:
            return Doing.DIALLING
        if self._level() is Level.IN_BAND:
            return Doing.RESTING
        if self._stuck and self._goal.excess(self._planner.open):
            return Doing.STUCK
        return Doing.WAITING if self._exhausted else Doing.LOOKING
