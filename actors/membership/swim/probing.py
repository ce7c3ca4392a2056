"""Failure detection: one probe per period, helpers for a silent target, suspicion, and at last Down.

* The verdict about a probe falls when its period ends, not when an answer is overdue.
* A probe whose indirect stage never had its turn gives no verdict; it is counted (defects: D7).
* A verdict after our clock stood still is none: the answer may be waiting in our inbox.
* A suspect that answers a probe is told again, by way of others, as it may never have heard that it is suspected: those
  who spoke of it may have been cut off from it, or be blocked by it.
* How long a suspicion lasts is `suspicion`'s.
* How well we are ourselves shows in our probes (Lifeguard): one that succeeds makes the score better by one, one that
  fails worse by the helpers that did not even send a Nack, or by one without helpers. The worse, the slower we probe,
  and the longer we wait for answers.
* Down is declared if the suspect neither refuted nor renewed, and only then is it told (defects: D1).
* Whom we may not probe (a peer that we block) we neither probe, nor ask for help, nor accuse (design: local blocks).
"""

from .applying import store, update_connection_state
from .core import Core
from .member import Member, MemberId, State
from .messages import ForwardedAck, IndirectPing, Nack, Ping, PingReq, TurnUndead
from .notifications import ProbeFailed
from .outbox import Outbox
from .suspicion import accusation, is_over
from .timers import ChangeSuspectToDown, ProbeRandomMember, SendIndirectProbe, SendNack

__all__ = ["ask_helpers", "declare_down", "probe_random_member", "relay_ack", "relay_ping", "send_nack"]

_MAX_RELAYS = 256
_NACK_SHARE = 0.8
"""Of the time that the helper has before the prober's verdict; so does the Lifeguard paper."""


def probe_random_member(core: Core, late: float, now: float, outbox: Outbox) -> None:
    """End of a period, so many seconds after it was due: judge the last probe, begin the next."""
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
    """A suspect that answers us has not heard that it is one, or its refutation has not come: pass it on once more."""
    held = core.members.holds(target.id)
    if held is not None and held.state is State.SUSPECT:
        core.queue(held)


def _suspect(core: Core, target: Member, now: float, outbox: Outbox) -> None:
    """Accuse the target as it was when the probe began; one that refuted or renewed since is left alone."""
    if core.members.holds(target.id) is not None and core.probeable(target.id.key):
        store(core, accusation(core, target), True, now, outbox, ours=True)


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


def relay_ping(core: Core, origin: MemberId, target: MemberId, number: int, outbox: Outbox) -> None:
    """`origin` asks us to ping the target for it."""
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
    """The target has answered, so no Nack is due."""
    core.relays.pop(SendNack(origin, target, number), None)
    if core.probeable(origin.key):
        core.send(origin, ForwardedAck(target, number), outbox)


def send_nack(core: Core, nack: SendNack, outbox: Outbox) -> None:
    """The target has not answered in time."""
    if nack in core.relays:
        del core.relays[nack]
        if core.is_connected and core.probeable(nack.origin.key):
            core.send(nack.origin, Nack(nack.target, nack.number), outbox)


def declare_down(core: Core, timer: ChangeSuspectToDown, now: float, outbox: Outbox) -> None:
    """The time to refute is over."""
    if not is_over(core, timer, now, outbox) or not core.probeable(timer.member.key):
        return
    if store(core, Member(timer.member, timer.incarnation, State.DOWN), True, now, outbox):
        update_connection_state(core, now, outbox)
        if core.config.notify_down_members:
            core.send(timer.member, TurnUndead(), outbox)
