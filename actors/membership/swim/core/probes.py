"""Failure detection: one probe per period, helpers for a target that does not answer, and suspicion.

* A probe fails when its period ends, not when the answer is overdue; and not if the target was heard meanwhile, or a
  connection says that it lives.
* A probe whose indirect stage never ran is not judged; it is counted (defects: D7).
* A probe is not judged after this process has stalled: the answer may be waiting unread.
* What a helper forwards counts only with the target's own proof that it has answered, for this probe and for us. A
  helper looks at that first, so that no target can make it a liar.
* `suspicion` says how long a suspicion lasts, and `checks` what ends it.
* Our probes show our own health (Lifeguard): a probe that succeeds lowers the score by one, one that fails raises it
  by the number of helpers that sent no Nack, or by one without helpers. The higher the score, the slower we probe,
  and the longer we wait for answers.
* While some members are *settled*, and others have come only lately, the others get at most every second probe, their
  failures say nothing of our health, and they are asked for help last. So who comes and dies all the time does not keep
  us from seeing the death of a member of old.
* A member that we may not probe (a peer that this node blocks) is neither probed, nor asked for help, nor accused
  (design: local blocks).
* Who is no member yet may be asked whether it is there: directly, then through helpers. Nothing that we hold depends
  on the answer, nor does our health on its absence, and no update is spent on it.
"""

from ..effects import Answered, Cheated, Outbox, ProbeFailed, ProbeRandomMember, SendIndirectProbe, SendNack
from ..member import Member, MemberId
from ..messages import ForwardedAck, IndirectPing, Nack, Ping, PingReq
from .checks import decide_at_once, was_asked
from .state import Core
from .suspicion import accusation
from .underway import Greeting
from .updates import hear_directly, store

__all__ = ["ask_helpers", "greet", "probe_random_member", "relay_ack", "relay_ping", "send_nack", "take_answer"]


_MAX_RELAYS = 256
_NACK_SHARE = 0.8
"""A Nack is sent after this part of the time from the PingReq to the end of the prober's period (Lifeguard paper)."""


def probe_random_member(core: Core, late: float, now: float, outbox: Outbox) -> None:
    """End a period: judge the last probe, begin the next. late: seconds by which this timer was overdue."""
    _judge(core, late, now, outbox)
    settled, core.settled_turn = core.settled(), not core.settled_turn
    target = core.members.next_target(core.rng, core.probeable, settled if core.settled_turn else None)
    core.probe.clear()
    if target is not None:
        _begin(core, target, now, outbox)
    core.arm(ProbeRandomMember, core.config.probe_period * core.slowness, now, outbox)


def _begin(core: Core, target: Member, now: float, outbox: Outbox) -> None:
    core.probe.begin(target, now, core.next_number())
    core.send(target.id, Ping(core.probe.number), outbox)
    wait = core.config.probe_rtt * core.slowness
    outbox.schedule(SendIndirectProbe(target.id, core.expect_timer(SendIndirectProbe, wait, now)), wait)


def _judge(core: Core, late: float, now: float, outbox: Outbox) -> None:
    probe = core.probe
    if core.clock_stalled(late):
        core.adjust_health(+1)
    elif not probe.is_complete:
        core.counters.incomplete_probe_cycles += 1
    elif probe.target is not None and probe.succeeded:
        core.adjust_health(-1)
    elif probe.target is not None and not core.is_fresh(probe.target.id.key, probe.began, now):
        core.counters.failed_probes += 1
        settled = core.settled()
        if settled is None or settled(probe.target.id.key):
            core.adjust_health(1 if probe.silent_helpers is None or not core.config.nack else probe.silent_helpers)
        outbox.notify(ProbeFailed(probe.target.id))
        _suspect(core, probe.target, now, outbox)


def _suspect(core: Core, target: Member, now: float, outbox: Outbox) -> None:
    """Accuse the target as it was when the probe began, unless it has refuted or renewed since."""
    if core.members.holds(target.id) is not None and core.probeable(target.id.key):
        accused = accusation(core, target)
        store(core, accused, True, now, outbox, ours=True)
        decide_at_once(core, accused, now, outbox)


def ask_helpers(core: Core, outbox: Outbox) -> None:
    """The direct answer is overdue: ask helpers to ping the target, if it is still an active member."""
    probe = core.probe
    probe.stage_two_reached = True
    if probe.target is None or probe.succeeded:
        return
    target = probe.target.id
    held = core.members.holds(target)
    if held is None or not held.is_active:
        return
    for helper in core.choose_helpers(target.key, core.config.num_indirect_probes):
        probe.ask(helper.id)
        core.send(helper.id, PingReq(target, probe.number), outbox)


def greet(core: Core, target: MemberId, by: bytes | None, now: float, outbox: Outbox) -> None:
    """Ask one who is no member whether it is there; with `by`, also through helpers: that member, and a few others."""
    greeting = core.greetings.get(target.key)
    if greeting is None or greeting.target != target:
        greeting = core.greetings[target.key] = Greeting(target, core.next_number(), {})
    core.send(target, Ping(greeting.number), outbox, lambda _room: [])
    if by is None:
        return
    first, count = core.members.get(by), core.config.num_indirect_probes
    helpers = [first] if first is not None and first.is_active and core.probeable(by) else []
    if core.helped_greetings.take(now):
        helpers += core.members.choose_active(
            count - len(helpers), core.rng, lambda key: key not in (by, target.key) and core.probeable(key)
        )
    for helper in helpers:
        greeting.helpers[helper.id] = None
        core.send(helper.id, PingReq(target, greeting.number), outbox)


def relay_ping(core: Core, origin: MemberId, target: MemberId, number: int, outbox: Outbox) -> None:
    """Ping the target for `origin`, and remember that, and that a Nack is due if it does not answer in time."""
    if core.probeable(target.key):
        core.send(target, IndirectPing(origin, number), outbox)
    nack = SendNack(origin, target, number)
    if len(core.relays) == _MAX_RELAYS:
        core.counters.refused_relays += 1
    elif nack not in core.relays:
        core.relays[nack] = None
        outbox.schedule(nack, _NACK_SHARE * (core.config.probe_period - core.config.probe_rtt))


def relay_ack(core: Core, origin: MemberId, target: MemberId, number: int, answer: bytes, outbox: Outbox) -> None:
    """The target has answered: forward that to `origin`, to which no Nack is due now. Only if that was asked for."""
    relay = SendNack(origin, target, number)
    if relay not in core.relays:
        return
    if not core.proofs.check_answer(target, origin, number, answer):
        _refuse_answer(core, target, outbox)
        return
    del core.relays[relay]
    if core.probeable(origin.key):
        core.send(origin, ForwardedAck(target, number, answer), outbox)


def take_answer(
    core: Core, helper: MemberId, target: MemberId, number: int, answer: bytes, now: float, outbox: Outbox
) -> None:
    """A helper forwards the target's answer to our probe, to our check, or to our question to who is no member."""
    is_probe = core.probe.awaits(helper, target, number)
    is_greeting = _was_greeted(core, helper, target, number)
    if not is_probe and not is_greeting and not was_asked(core, helper, target, number):
        return
    if not core.proofs.check_answer(target, core.identity, number, answer):
        _refuse_answer(core, helper, outbox)
        return
    if is_greeting:
        del core.greetings[target.key]
        outbox.notify(Answered(target))
        return
    if is_probe:
        core.probe.succeeded = True
    held = core.members.holds(target)
    if held is not None and held.is_active:
        hear_directly(core, target.key, now, outbox)


def _was_greeted(core: Core, helper: MemberId, target: MemberId, number: int) -> bool:
    greeting = core.greetings.get(target.key)
    return (
        greeting is not None and (greeting.target, greeting.number) == (target, number) and helper in greeting.helpers
    )


def _refuse_answer(core: Core, cheat: MemberId, outbox: Outbox) -> None:
    core.counters.forged_proofs += 1
    outbox.notify(Cheated(cheat.key, "a false answer to a probe"))


def send_nack(core: Core, nack: SendNack, outbox: Outbox) -> None:
    """The target has not answered in time: send the Nack, if configured."""
    if nack in core.relays:
        del core.relays[nack]
        if core.config.nack and core.is_connected and core.probeable(nack.origin.key):
            core.send(nack.origin, Nack(nack.target, nack.number), outbox)
