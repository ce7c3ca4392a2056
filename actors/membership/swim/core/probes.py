"""Failure detection: one probe per period, helpers for a target that does not answer, suspicion, and at last Down.

* A probe fails when its period ends, not when the answer is overdue.
* A probe whose indirect stage never ran is not judged; it is counted (defects: D7).
* A probe is not judged after this process has stalled: the answer may be waiting unread.
* When a suspect answers a probe its suspicion is passed on once more, so that it reaches the suspect by way of
  others: it may never have heard of it, as it may be cut off from its accusers, or block them.
* `suspicion` says how long a suspicion lasts.
* Our probes show our own health (Lifeguard): a probe that succeeds lowers the score by one, one that fails raises it
  by the number of helpers that sent no Nack, or by one without helpers. The higher the score, the slower we probe,
  and the longer we wait for answers.
* A suspect that has neither refuted nor renewed is declared Down, and only then sent TurnUndead (defects: D1).
* A member that we may not probe (a peer that this node blocks) is neither probed, nor asked for help, nor accused
  (design: local blocks).
"""

from ..effects import ChangeSuspectToDown, Outbox, ProbeFailed, ProbeRandomMember, SendIndirectProbe, SendNack
from ..member import Member, MemberId, State
from ..messages import ForwardedAck, IndirectPing, Nack, Ping, PingReq, TurnUndead
from .connection import update_connection_state
from .state import Core
from .suspicion import accusation, is_over
from .updates import store

__all__ = ["ask_helpers", "declare_down", "probe_random_member", "relay_ack", "relay_ping", "send_nack"]


_MAX_RELAYS = 256
_NACK_SHARE = 0.8
"""A Nack is sent after this part of the time from the PingReq to the end of the prober's period (Lifeguard paper)."""


def probe_random_member(core: Core, late: float, now: float, outbox: Outbox) -> None:
    """End a period: judge the last probe, begin the next. late: seconds by which this timer was overdue."""
    _judge(core, late, now, outbox)
    target = core.members.next_target(core.rng, core.probeable)
    core.probe.clear()
    if target is not None:
        _begin(core, target, now, outbox)
    core.arm(ProbeRandomMember, core.config.probe_period * core.slowness, now, outbox)


def _begin(core: Core, target: Member, now: float, outbox: Outbox) -> None:
    core.probe.begin(target, now)
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
        _repeat_suspicion(core, probe.target)
    elif probe.target is not None:
        core.counters.failed_probes += 1
        core.adjust_health(1 if probe.silent_helpers is None or not core.config.nack else probe.silent_helpers)
        outbox.notify(ProbeFailed(probe.target.id))
        _suspect(core, probe.target, now, outbox)


def _repeat_suspicion(core: Core, target: Member) -> None:
    """A suspect that answers has not heard of the suspicion, or its refutation is on its way: pass that on again."""
    held = core.members.holds(target.id)
    if held is not None and held.state is State.SUSPECT:
        core.queue(held)


def _suspect(core: Core, target: Member, now: float, outbox: Outbox) -> None:
    """Accuse the target as it was when the probe began, unless it has refuted or renewed since."""
    if core.members.holds(target.id) is not None and core.probeable(target.id.key):
        store(core, accusation(core, target), True, now, outbox, ours=True)


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
    for helper in core.members.choose_active(
        core.config.num_indirect_probes, core.rng, lambda key: key != target.key and core.probeable(key)
    ):
        probe.ask(helper.id)
        core.send(helper.id, PingReq(target, probe.number), outbox)


def relay_ping(core: Core, origin: MemberId, target: MemberId, number: int, outbox: Outbox) -> None:
    """Ping the target for `origin`, and remember that a Nack is due if it does not answer in time."""
    if core.probeable(target.key):
        core.send(target, IndirectPing(origin, number), outbox)
    if not core.config.nack:
        return
    nack = SendNack(origin, target, number)
    if len(core.relays) == _MAX_RELAYS:
        core.counters.refused_relays += 1
    elif nack not in core.relays:
        core.relays[nack] = None
        outbox.schedule(nack, _NACK_SHARE * (core.config.probe_period - core.config.probe_rtt))


def relay_ack(core: Core, origin: MemberId, target: MemberId, number: int, outbox: Outbox) -> None:
    """The target has answered: forward that to `origin`, to which no Nack is due now."""
    core.relays.pop(SendNack(origin, target, number), None)
    if core.probeable(origin.key):
        core.send(origin, ForwardedAck(target, number), outbox)


def send_nack(core: Core, nack: SendNack, outbox: Outbox) -> None:
    """The target has not answered in time: send the Nack."""
    if nack in core.relays:
        del core.relays[nack]
        if core.is_connected and core.probeable(nack.origin.key):
            core.send(nack.origin, Nack(nack.target, nack.number), outbox)


def declare_down(core: Core, timer: ChangeSuspectToDown, now: float, outbox: Outbox) -> None:
    """The time to refute may be over: then declare the suspect Down."""
    if not is_over(core, timer, now, outbox) or not core.probeable(timer.member.key):
        return
    if store(core, Member(timer.member, timer.incarnation, State.DOWN), True, now, outbox):
        update_connection_state(core, now, outbox)
        if core.config.notify_down_members:
            core.send(timer.member, TurnUndead(), outbox)
