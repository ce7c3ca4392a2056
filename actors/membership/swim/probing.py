"""Failure detection: one probe per period, helpers for a silent target, suspicion, and at last Down.

* The verdict about a probe falls when its period ends, not when an answer is overdue.
* A probe whose indirect stage never had its turn gives no verdict; it is counted (defect D7).
* Only who failed a probe itself runs a suspicion timer; hearing "Suspect" starts none.
* Down is declared if the suspect neither refuted nor renewed, and only then is it told (defect D1).
* Whom we may not probe (a peer that we block) we neither probe, nor ask for help, nor accuse (FLOWS 2.1).
"""

from .applying import judge_connection, store
from .core import Core
from .member import Member, State
from .messages import Ping, PingReq, TurnUndead
from .outbox import Outbox
from .timers import ChangeSuspectToDown, ProbeRandomMember, SendIndirectProbe

__all__ = ["ask_helpers", "declare_down", "probe_random_member"]


def probe_random_member(core: Core, now: float, outbox: Outbox) -> None:
    """End of a period: judge the last probe, begin the next."""
    _judge(core, now, outbox)
    target = core.members.next_target(core.rng, core.probeable)
    core.probe.clear()
    if target is not None:
        _begin(core, target, now, outbox)
    core.arm(ProbeRandomMember, core.config.probe_period, now, outbox)


def _begin(core: Core, target: Member, now: float, outbox: Outbox) -> None:
    core.probe.begin(target)
    core.send(target.id, Ping(core.probe.number), outbox)
    wait = core.config.probe_rtt
    outbox.schedule(SendIndirectProbe(target.id, core.expect(SendIndirectProbe, wait, now)), wait)


def _judge(core: Core, now: float, outbox: Outbox) -> None:
    probe = core.probe
    if not probe.is_complete:
        core.counters.incomplete_probe_cycles += 1
    elif probe.target is not None and not probe.succeeded:
        core.counters.failed_probes += 1
        _suspect(core, probe.target, now, outbox)


def _suspect(core: Core, target: Member, now: float, outbox: Outbox) -> None:
    """Accuse the target as it was when the probe began; one that refuted or renewed since is left alone."""
    held = core.members.holds(target.id)
    if held is None or not core.probeable(target.id.key):
        return
    suspicion = Member(target.id, target.incarnation, State.SUSPECT)
    if store(core, suspicion, True, outbox) or held == suspicion:
        timer = ChangeSuspectToDown(target.id, target.incarnation, core.epoch)
        outbox.schedule(timer, core.config.suspect_to_down_after)


def ask_helpers(core: Core, outbox: Outbox) -> None:
    """The direct answer is overdue."""
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


def declare_down(core: Core, timer: ChangeSuspectToDown, now: float, outbox: Outbox) -> None:
    """The time to refute is over."""
    held = core.members.holds(timer.member)
    if timer.token != core.epoch or held is None or held.incarnation != timer.incarnation:
        return
    if not core.probeable(timer.member.key):
        return
    if store(core, Member(timer.member, timer.incarnation, State.DOWN), True, outbox):
        judge_connection(core, now, outbox)
        if core.config.notify_down_members:
            core.send(timer.member, TurnUndead(), outbox)
