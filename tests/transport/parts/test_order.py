"""The order of events (design: order), over random schedules: one recorder hears what everybody of a node is told.

* Open: slot, verdict, `Opened` to the observer, then to the receiver, then the first data.
* Close: delivery stops, `Closed` to the observer, then to the receiver, the slot back, `released`; only then, and never
  before, `Opened` again. A link that is replaced keeps its ticket, which has moved to its successor.
* Each exactly once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from rookery import runtime, transport
from rookery.runtime import Feedback, Message
from rookery.transport import Claim, Reason, Ticket, Verdict
from tests.transport.parts.test_schedules import check_tickets
from tests.transport.worlds import Node, SimulatedWorld

QUICK, FULL = range(60), range(60, 1000)


@dataclass(frozen=True, slots=True)
class Heard:
    """who: `observer`, `receiver` or `gatekeeper`. slots: that the hard limits counted at that moment."""

    who: str
    what: Message | Claim | tuple[Ticket, Reason]
    slots: int


class Recorder:
    """Writes down what a node's observer, receiver and gatekeeper are told, in one log."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.log: list[Heard] = []
        for who, mailbox in (("observer", node.observer), ("receiver", node.receiver)):
            mailbox.tell = self._telling(who, mailbox.tell)
        admit, released = node.gatekeeper.admit, node.gatekeeper.released

        def recorded_admit(claim: Claim) -> runtime.Reply[Verdict]:
            self._write("gatekeeper", claim)
            return admit(claim)

        def recorded_released(ticket: Ticket, reason: Reason) -> Feedback:
            self._write("gatekeeper", (ticket, reason))
            return released(ticket, reason)

        node.gatekeeper.admit, node.gatekeeper.released = recorded_admit, recorded_released  # type: ignore[method-assign]

    def _telling(self, who: str, tell: Callable[[Message], Feedback]) -> Callable[[Message], Feedback]:
        def recorded(message: Message) -> Feedback:
            self._write(who, message)
            if who == "receiver" and isinstance(message, transport.Opened):  # the earliest that anybody can send
                self.node.net.send(message.link.id, 16, b"first")
            return tell(message)

        return recorded

    def _write(self, who: str, what: Message | Claim | tuple[Ticket, Reason]) -> None:
        self.log.append(Heard(who, what, self.node.counted_slots()))


def check(log: list[Heard]) -> None:
    """The order above, for a node with one peer."""
    link: transport.Link | None = None
    for before, heard, after in zip([None, *log], log, [*log[1:], None], strict=False):
        match heard:
            case Heard("gatekeeper", Claim(), slots):
                assert slots > (link is not None), "a verdict was asked for without a slot"
            case Heard("observer", transport.Opened(opened), slots):
                assert link is None, "opened before the old link was closed"
                assert slots > 0
                assert any(is_claim(earlier.what, opened) for earlier in log[: log.index(heard)])
                assert after is not None
                assert (after.who, after.what) == ("receiver", heard.what)
                link = opened
            case Heard("receiver", transport.Opened()):
                assert before is not None
                assert (before.who, before.what) == ("observer", heard.what)
            case Heard("receiver", transport.Received(link_id)):
                assert link is not None, "data without a link"
                assert link_id == link.id
            case Heard("observer", transport.Closed(link_id)):
                assert link is not None, "closed without a link"
                assert link_id == link.id
                assert after is not None
                assert (after.who, after.what) == ("receiver", heard.what)
                link = None
            case Heard("receiver", transport.Closed(reason=reason), slots):
                assert before is not None
                assert (before.who, before.what) == ("observer", heard.what)
                if reason is not Reason.REPLACED:
                    assert after is not None
                    assert is_release(after.what, heard.what)
                    assert after.slots == slots - 1, "the slot is back before the ticket is"
            case Heard("gatekeeper", (Ticket(), Reason())):
                pass
            case _:
                raise AssertionError(f"nobody expects {heard}")


def is_claim(what: object, link: transport.Link) -> bool:
    return isinstance(what, Claim) and (what.peer, what.direction) == (link.peer, link.direction)


def is_release(what: object, closed: object) -> bool:
    return (
        isinstance(closed, transport.Closed)
        and isinstance(what, tuple)
        and (what[0].peer, what[1]) == (closed.peer, closed.reason)
    )


def run(seed: int) -> list[str]:
    """A random schedule of dials, closings and messages; the kinds of the events that there were."""
    world, rng = SimulatedWorld(f"order {seed}"), random.Random(seed)
    world.simulation.network.set_default(latency=0.005, jitter=rng.choice([0.0, 0.001, 0.05]))
    nodes = world.node("alice"), world.node("bob")
    recorders = [Recorder(node) for node in nodes]
    for _ in range(rng.randrange(4, 20)):
        node, other = rng.choice([nodes, nodes[::-1]])
        match rng.choice(["dial", "dial", "send", "send", "close", "close_link", "partition", "block"]):
            case "dial":
                node.dial(other)
            case "send" if node.links():
                for number in range(rng.randrange(1, 5)):
                    node.net.send(node.links()[-1].id, 16, b"%d" % number)
            case "close":
                node.net.close(other.peer, Reason.REQUESTED)
            case "close_link" if node.links():
                node.net.close_link(node.links()[-1].id, Reason.TRIMMED)
            case "partition" if rng.random() < 0.3:
                world.simulation.network.partition(["alice"], ["bob"])
                world.pass_time(rng.choice([0.1, 9.0]))
                world.simulation.network.heal()
            case "block" if rng.random() < 0.3:
                node.open_gate(blocked=frozenset({other.identity.curve_public}))
                node.open_gate()
            case _:
                pass
        if rng.random() < 0.7:
            world.pass_time(rng.choice([0.0, 0.001, 0.006, 0.02, 0.3]))
    world.pass_time(30)
    for recorder in recorders:
        check(recorder.log)
        check_tickets(recorder.node)
    world.close()
    return [type(heard.what).__name__ for recorder in recorders for heard in recorder.log]


def test_events_of_any_schedule_come_in_their_order_and_exactly_once() -> None:
    seen = [kind for seed in QUICK for kind in run(seed)]
    assert min(seen.count(kind) for kind in ("Opened", "Closed", "Received", "Claim", "tuple")) > 100  # each was seen


@pytest.mark.full
@pytest.mark.parametrize("seed", FULL)
def test_events_of_any_schedule_come_in_their_order_and_exactly_once_many(seed: int) -> None:
    run(seed)
