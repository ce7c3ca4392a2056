"""What every inbox of a runtime looks like from outside: its depth, the age of what waits, and what was lost.

Nothing here costs the sender or the engine anything per message. Depth and counters are read when somebody looks. The
age comes from marks: `sample` drops one into each lane that has something waiting, and what waits is at least as old as
a mark that has not come through. The same marks show an engine that does not turn at all.
"""

from __future__ import annotations

from ..actor.mailbox import Mailbox
from ..actor.message import Lane
from ..metrics import Registry

_LANES = (Lane.URGENT, Lane.CONTROL, Lane.DATA)


class Probe:
    """The marks in one inbox: at most one per lane."""

    __slots__ = ("_inbox", "_since", "reported")

    def __init__(self, mailbox: Mailbox) -> None:
        """No marks yet."""
        self._inbox = mailbox.inbox
        self._since: dict[Lane, float] = {}
        self.reported = False

    def sample(self, now: float) -> None:
        """Put marks where there are none: into lanes that hold something, and ahead of all if the engine is awake."""
        inbox = self._inbox
        if inbox.closed:
            return
        wanted = (not inbox.parked, inbox.control_lane, inbox.data_lane)
        for lane, wants in zip(_LANES, wanted, strict=True):
            if wants and lane not in self._since:
                self._since[lane] = now
                inbox.mark(lane, lambda lane=lane: self._since.pop(lane, None))  # type: ignore[misc]

    @property
    def depth(self) -> int:
        """Messages that wait, without marks."""
        return max(0, self._inbox.depth - len(self._since))

    def age(self, now: float) -> float:
        """Seconds the oldest waiting message has waited at least; 0 if none waits."""
        since = self._since.copy().values()
        return now - min(since) if since and self.depth else 0.0

    def stalled(self, now: float) -> float:
        """Seconds the engine has not taken the next item, though it is awake."""
        since = self._since.get(Lane.URGENT)
        return 0.0 if since is None else now - since


class InboxMetrics:
    """Exports every mailbox of one runtime; brought up to date when the registry is read."""

    def __init__(self, registry: Registry) -> None:
        """Declare the metrics."""
        engine = ("engine",)
        self.probes: dict[str, tuple[Mailbox, Probe]] = {}
        self._depth = registry.gauge("runtime_inbox_depth", "Messages that wait.", labels=engine)
        self._oldest = registry.gauge(
            "runtime_inbox_oldest_seconds",
            "How long the oldest message has waited at least, by sampling.",
            labels=engine,
        )
        self._counters = {
            name: registry.counter(f"runtime_{name}_total", help, labels=engine)
            for name, help in (
                ("backoff", "Messages over a limit that were kept."),
                ("rejected", "Messages over a limit that were refused."),
                ("dead_letters", "Messages to an engine that is gone."),
            )
        }

    def add(self, mailbox: Mailbox) -> None:
        """Export this mailbox too."""
        self.probes[mailbox.name] = (mailbox, Probe(mailbox))

    def update(self, now: float) -> None:
        """Bring the metrics up to date."""
        for name, (mailbox, probe) in self.probes.copy().items():
            self._depth.set(probe.depth, name)
            self._oldest.set(probe.age(now), name)
            for attribute, counter in self._counters.items():
                counter.advance(getattr(mailbox.inbox, attribute), name)
