"""How long a suspect has to refute: the more members accuse it, the shorter (membership: lifeguard).

* An accuser is a member whose own probe failed. The time runs at every member that hears of the suspicion, so the
  suspect is not saved if an accuser dies itself.
* A single accuser may be the sick one: then the suspect has `suspicion_max_factor` times the shortest time. Each
  further accuser shortens the time, and with `suspicion_confirmations` of them it is the shortest.
* The accusers travel with the suspicion, as the last bytes of their keys. A new accuser is passed on like an update.
* Before the time can be over we check for ourselves: `checks`. That begins in the last part of the shortest time, so
  that news of a death is no slower for it, and if the time turns out longer, again in its last part.
* A timer that comes late shows that this process stalled, and a refutation may be waiting unread: the suspect gets
  one more period.
* Without confirmations (`Config.simple`) Foca's rule holds: a fixed time, which runs only where the own probe failed.
"""

import math
from collections.abc import Iterable

from ..effects import BeginCheck, ChangeSuspectToDown, CheckSuspect, Outbox
from ..member import ACCUSER_BYTES, Member, State
from .state import Core
from .underway import Check, Suspicion

__all__ = [
    "accusation",
    "await_checks",
    "decide_soon",
    "find",
    "is_over",
    "on_suspect",
    "plan_check",
    "suspicion_timeout",
    "want_check",
]

_LAST_PERIODS, _FIRST_TURN = 2.0, 1.4
"""A check begins at a random time between these, in probe periods before the end of the suspicion. It takes one period,
and others have heard of the suspicion a little earlier, and of its end."""


def suspicion_timeout(confirmations: int, expected: int, shortest: float, longest: float) -> float:
    """Seconds that a suspicion lasts from its beginning. confirmations: its accusers without the first.

    expected: with so many it lasts `shortest`, with none of them `longest`. With 0 expected it always lasts `shortest`.
    """
    if expected < 1:
        return shortest
    share = math.log(confirmations + 1) / math.log(expected + 1)
    return max(shortest, longest - (longest - shortest) * share)


def accusation(core: Core, target: Member) -> Member:
    """Our own suspicion of the target, as it was when its probe began."""
    accuser = core.identity.key[-ACCUSER_BYTES:]
    return Member(target.id, target.incarnation, State.SUSPECT, (accuser,), target.proof)


def on_suspect(core: Core, update: Member, ours: bool, now: float, outbox: Outbox) -> None:
    """Begin or shorten the time of a suspect, by an update that is new or may add accusers. ours: our probe failed."""
    running = find(core, update)
    if running is not None:
        running.failed |= ours
    if running is not None and running.token:
        _confirm(core, running, update.accusers, now, outbox)
    elif ours or core.config.suspicion_confirmations:
        _begin(core, update, ours, now, outbox)


def find(core: Core, update: Member) -> Suspicion | None:
    """The accusation of this life at this incarnation, if one is undecided."""
    running = core.suspicions.get(update.id.key)
    if running is None or (running.member, running.incarnation) != (update.id, update.incarnation):
        return None
    return running


def decide_soon(core: Core, update: Member, now: float, outbox: Outbox) -> Suspicion:
    """The member is said to be Down: decide as soon as we have checked."""
    running = find(core, update)
    if running is None:
        running = core.suspicions[update.id.key] = Suspicion(update.id, update.incarnation, now, 0, {})
    running.due = True
    if not running.failed:
        want_check(core, running, now, outbox)
    return running


def want_check(core: Core, running: Suspicion, now: float, outbox: Outbox) -> None:
    """Check the member ourselves, as soon as it is its turn, unless that is under way."""
    if running.check is None:
        running.check = Check(core.next_number())
        core.checks.append(running.member.key)
        await_checks(core, now, outbox)


def await_checks(core: Core, now: float, outbox: Outbox) -> None:
    """See that the next check that waits will begin."""
    if core.checks and BeginCheck not in core.awaited_timers:
        core.arm(BeginCheck, max(0.0, core.check_free - now), now, outbox)


def plan_check(core: Core, running: Suspicion, now: float, outbox: Outbox) -> None:
    """Check the member in the last part of the time that it has at least; or, if that is over, of what it has now."""
    if running.check is not None or running.due:
        return
    period = core.config.probe_period * core.slowness
    end = running.deadline
    if not running.was_checked:
        end = min(end, running.began + core.config.shortest_suspicion(core.cluster_size))
    elif end - now <= _LAST_PERIODS * period:
        return
    begin = max(now, end - core.rng.uniform(_FIRST_TURN, _LAST_PERIODS) * period)
    running.check_token = core.next_token()
    outbox.schedule(CheckSuspect(running.member, running.check_token), begin - now)


def is_over(core: Core, timer: ChangeSuspectToDown, now: float, outbox: Outbox) -> Suspicion | None:
    """The accusation whose time is over; if this process has stalled it gets one more period."""
    running = core.suspicions.get(timer.member.key)
    if running is None or running.token != timer.token:
        return None
    if core.clock_stalled(now - running.deadline):
        _wait(core, running, now + core.config.probe_period * core.slowness, now, outbox)
        return None
    return running


def _begin(core: Core, update: Member, ours: bool, now: float, outbox: Outbox) -> None:
    config, size = core.config, core.cluster_size
    # With too few others to confirm, the shortest time holds at once.
    expected = config.suspicion_confirmations if size - 2 >= config.suspicion_confirmations else 0
    running = find(core, update) or Suspicion(update.id, update.incarnation, now, expected, {}, failed=ours)
    running.expected, running.accusers = expected, dict.fromkeys(update.accusers[: expected + 1])
    core.suspicions[update.id.key] = running
    _wait(core, running, now + _length(core, running), now, outbox)


def _confirm(core: Core, running: Suspicion, accusers: Iterable[bytes], now: float, outbox: Outbox) -> None:
    before = len(running.accusers)
    for accuser in accusers:
        if len(running.accusers) <= running.expected:
            running.accusers[accuser] = None
    if len(running.accusers) == before:
        return
    held = core.members.by_key[running.member.key]
    core.queue(Member(running.member, running.incarnation, State.SUSPECT, tuple(running.accusers), held.proof))
    deadline = running.began + _length(core, running)
    if deadline < running.deadline:
        _wait(core, running, max(now, deadline), now, outbox)


def _length(core: Core, running: Suspicion) -> float:
    shortest = core.config.shortest_suspicion(core.cluster_size)
    longest = shortest * core.config.suspicion_max_factor
    return suspicion_timeout(max(0, len(running.accusers) - 1), running.expected, shortest, longest)


def _wait(core: Core, running: Suspicion, deadline: float, now: float, outbox: Outbox) -> None:
    running.deadline, running.token = deadline, core.next_token()
    outbox.schedule(ChangeSuspectToDown(running.member, running.incarnation, running.token), deadline - now)
    plan_check(core, running, now, outbox)
