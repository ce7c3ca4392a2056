"""A death is seen and not heard: our own check of an accused member, and the verdict.

                 probe_rtt            probe_period
waits --> pinged ---------> helpers asked ----------> judged: the accused was heard, or it was not

* A check waits for its turn: at most two begin in a second. The others postpone their own verdict.
* Any packet of the accused shows that it lives, and so does its answer to a helper, which carries its own proof.
* When the time of a suspicion is over, or another member says Down, then who was heard lately is held Alive, whatever
  is said; and only who did not answer a probe of ours since it was accused is held Down. Who neither spoke nor was
  checked is checked first.
* A member that we may not probe is not declared Down by us: what others say is believed (design: local blocks).
* A check is not judged after this process has stalled, and begins again: the answer may be waiting unread.
"""

from ..effects import ChangeSuspectToDown, CheckSuspect, Outbox
from ..member import Member, MemberId, State
from ..messages import Ping, PingReq
from . import suspicion
from .connection import update_connection_state
from .state import Core
from .underway import Check, Suspicion
from .updates import store, vouch

__all__ = ["begin_next", "decide_at_once", "declare_down", "take_step", "was_asked"]

_EVERY = 0.5
"""Seconds from the beginning of one check to that of the next."""


def begin_next(core: Core, now: float, outbox: Outbox) -> None:
    """It is the turn of the check that has waited longest, if it is still wanted."""
    while core.checks:
        running = core.suspicions.get(core.checks.popleft())
        if running is None or running.check is None or running.check.began is not None:
            continue
        if core.is_fresh(running.member.key, running.began, now) or not core.probeable(running.member.key):
            running.check = None
            _decide_if_due(core, running, now, outbox)
            continue
        core.check_free = now + _EVERY
        _ping(core, running, running.check, now, outbox)
        break
    suspicion.await_checks(core, now, outbox)


def take_step(core: Core, timer: CheckSuspect, now: float, outbox: Outbox) -> None:
    """The timer of a check is due."""
    running = core.suspicions.get(timer.member.key)
    if running is None or (running.member, running.check_token) != (timer.member, timer.number):
        return
    check = running.check
    if check is None:
        suspicion.want_check(core, running, now, outbox)
    elif check.began is None:
        pass  # it waits already
    elif core.clock_stalled(now - check.step):
        check.number = core.next_number()
        _ping(core, running, check, now, outbox)
    elif check.helpers is None:
        _ask_helpers(core, running, check, now, outbox)
    else:
        _judge(core, running, check.began, now, outbox)


def was_asked(core: Core, helper: MemberId, target: MemberId, number: int) -> bool:
    """Whether an answer that a helper forwards is to a check that it was asked to help with."""
    running = core.suspicions.get(target.key)
    if running is None or running.member != target or running.check is None:
        return False
    return running.check.number == number and helper in (running.check.helpers or ())


def declare_down(core: Core, timer: ChangeSuspectToDown, now: float, outbox: Outbox) -> None:
    """The time to refute may be over: then decide."""
    running = suspicion.is_over(core, timer, now, outbox)
    if running is not None:
        running.token = 0
        _decide(core, running, now, outbox)


def decide_at_once(core: Core, accused: Member, now: float, outbox: Outbox) -> None:
    """Our own probe failed, and others say already that the member is Down."""
    running = suspicion.find(core, accused)
    claim = core.members.claims.get(accused.id.key)
    if running is not None and claim is not None and claim.state is State.DOWN:
        _decide(core, running, now, outbox)


def _ping(core: Core, running: Suspicion, check: Check, now: float, outbox: Outbox) -> None:
    check.began, check.helpers = now, None
    core.counters.checks += 1
    core.send(running.member, Ping(check.number), outbox)
    _wait(core, running, check, core.config.probe_rtt, now, outbox)


def _ask_helpers(core: Core, running: Suspicion, check: Check, now: float, outbox: Outbox) -> None:
    target = running.member
    chosen = core.choose_helpers(target.key, core.config.num_indirect_probes)
    check.helpers = tuple(helper.id for helper in chosen)
    for helper in check.helpers:
        core.send(helper, PingReq(target, check.number), outbox)
    _wait(core, running, check, core.config.probe_period - core.config.probe_rtt, now, outbox)


def _wait(core: Core, running: Suspicion, check: Check, wait: float, now: float, outbox: Outbox) -> None:
    wait *= core.slowness
    check.step, running.check_token = now + wait, core.next_token()
    outbox.schedule(CheckSuspect(running.member, running.check_token), wait)


def _judge(core: Core, running: Suspicion, began: float, now: float, outbox: Outbox) -> None:
    running.check, running.was_checked = None, True
    if not core.is_fresh(running.member.key, began, now):
        running.failed = True
    _decide_if_due(core, running, now, outbox)
    if core.suspicions.get(running.member.key) is running and running.token:
        suspicion.plan_check(core, running, now, outbox)


def _decide_if_due(core: Core, running: Suspicion, now: float, outbox: Outbox) -> None:
    if running.due:
        _decide(core, running, now, outbox)


def _decide(core: Core, running: Suspicion, now: float, outbox: Outbox) -> None:
    """Alive, Down, or first a check."""
    key, held = running.member.key, core.members.holds(running.member)
    if held is None or held.state is not State.SUSPECT or held.incarnation != running.incarnation:
        core.suspicions.pop(key, None)
        return
    claim = core.members.claims.get(key)
    if core.is_fresh(key, running.began, now):
        core.counters.disbelieved += 1
        vouch(core, key, now, outbox)
        core.warn(running.member, claim or held, now, outbox)
    elif not core.probeable(key):
        del core.suspicions[key]
        if claim is not None:
            store(core, claim, True, now, outbox)
    elif running.failed:
        store(core, Member(held.id, held.incarnation, State.DOWN, (), held.proof), True, now, outbox)
        if not running.due:
            core.warn(held.id, core.members.by_key[key], now, outbox)
    else:
        running.due = True
        suspicion.want_check(core, running, now, outbox)
    update_connection_state(core, now, outbox)
