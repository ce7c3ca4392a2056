"""What an update does: to what we hold about other members, and to ourselves.

* About another member: stored or refused by precedence. What is stored is passed on and notified once.
* About ourselves, Suspect: we raise our incarnation above the accusation and gossip (once per packet).
* About ourselves, Down: we renew our identity, or become Undead when we cannot. An Undead member, as after leaving,
  never renews by itself (defects: D3).
"""

from collections.abc import Iterable

from ..effects import (
    AddressInUse,
    Defunct,
    MemberDown,
    MemberUp,
    Outbox,
    Refuted,
    Rejoin,
    RemoveDown,
    Rename,
    Suspected,
)
from ..member import MAX_INCARNATION, Member, MemberId, State, is_implausible
from . import suspicion
from .connection import update_connection_state
from .member_list import Change
from .state import ConnectionState, Core

__all__ = [
    "adopt",
    "apply_many",
    "become_undead",
    "forget",
    "rejoin_or_become_undead",
    "store",
]

_MINUTE = 60.0
_MAX_GENERATION_JUMP = 1 << 42
"""The most by which a rejoin may raise the generation: 139 years of milliseconds. No clock that was set back needs
more; a larger jump is an attempt to make us run out of generations."""


def apply_many(core: Core, updates: Iterable[Member], do_broadcast: bool, now: float, outbox: Outbox) -> None:
    """Apply in order, then gossip once if we were accused, then update the connection state."""
    accused = False
    own_key, held_of = core.identity.key, core.members.by_key.get
    for update in updates:
        key = update.id.key
        if key == own_key:
            accused |= _apply_to_ourselves(core, update, now, outbox)
        elif held_of(key) is update and update.state is not State.SUSPECT:
            pass  # most updates are known already, and `codec` gives the same object for equal ones
        elif not _is_refused_jump(core, update):
            store(core, update, do_broadcast, now, outbox)
    if accused:
        core.gossip(core.config.num_indirect_probes, outbox)
    update_connection_state(core, now, outbox)


def store(core: Core, update: Member, do_broadcast: bool, now: float, outbox: Outbox, *, ours: bool = False) -> bool:
    """Store an update about another member unless precedence refuses it; returns whether it was stored.

    `ours`: it is a suspicion because our own probe failed.
    """
    known = core.members.by_key
    if update.id.key not in known:
        if not core.admits(update):  # may forget another member
            return False
        if len(known) >= core.config.max_members:
            core.counters.refused_members += 1
            return False
    change = core.members.apply(update)
    if change is None:
        if update.state is State.SUSPECT and core.members.get(update.id.key) == update:
            suspicion.on_suspect(core, update, ours, now, outbox)
        return False
    core.stored += 1
    core.unheard_seeds.pop(update.id.key, None)
    if do_broadcast:
        core.queue(update)
    _notify_of(core, change, outbox)
    if update.state is State.SUSPECT:
        suspicion.on_suspect(core, update, ours, now, outbox)
    else:
        core.suspicions.pop(update.id.key, None)
    return True


def forget(core: Core, key: bytes, outbox: Outbox) -> Member | None:
    """Forget a member; what was held, if any. The caller updates the connection state."""
    held = core.members.get(key)
    if held is not None:
        core.members.forget(key)
        core.backlog.discard(key)
        core.suspicions.pop(key, None)
        if held.is_active:
            outbox.notify(MemberDown(held.id))
    return held


def _notify_of(core: Core, change: Change, outbox: Outbox) -> None:
    update = change.update
    if not update.is_active:
        outbox.schedule(RemoveDown(update.id), core.config.remove_down_after)
    if change.replaced is not None:
        outbox.notify(Rename(change.replaced, update.id))
    if update.is_active != change.was_active:
        outbox.notify(
            MemberUp(update.id) if update.is_active else MemberDown(update.id, left=update.state is State.LEFT)
        )
    if change.was_suspect and update.state is State.ALIVE:
        outbox.notify(Refuted(update.id))
    elif update.state is State.SUSPECT and not change.was_suspect:
        outbox.notify(Suspected(update.id))


def _is_refused_jump(core: Core, update: Member) -> bool:
    held = core.members.get(update.id.key)
    refused = held is not None and is_implausible(held, update, core.config.max_incarnation_jump)
    core.counters.refused_incarnation_jumps += refused
    return refused


def _apply_to_ourselves(core: Core, update: Member, now: float, outbox: Outbox) -> bool:
    """Apply an update about ourselves; returns whether we were accused and should gossip."""
    if update.id != core.identity:
        core.counters.foreign_generations += 1
    elif not update.is_active:
        rejoin_or_become_undead(core, now, outbox)
    elif update.state is State.SUSPECT and not core.is_undead:
        return _refute(core, update.incarnation, now, outbox)
    return False


def _refute(core: Core, accused_at: int, now: float, outbox: Outbox) -> bool:
    if accused_at - core.incarnation > core.config.max_incarnation_jump:
        core.counters.refused_incarnation_jumps += 1
        return False
    if accused_at >= core.incarnation:
        if accused_at == MAX_INCARNATION:
            rejoin_or_become_undead(core, now, outbox)
            return False
        core.incarnation = accused_at + 1  # not queued: every header carries it, and receivers pass it on
        core.counters.refutations += 1
        core.adjust_health(+1)
    return True


def rejoin_or_become_undead(core: Core, now: float, outbox: Outbox, later: int = 0) -> None:
    """Renew our identity after we were declared Down, or become Undead.

    `later`: the generation of a later life of ours that another member holds, and that we must surpass: a node whose
    clock, and so its generation, was set back comes back by one renewal. The caller updates the connection state.
    """
    if core.is_undead:
        return
    last = core.identity
    if later - last.generation > _MAX_GENERATION_JUMP:
        core.counters.refused_generation_jumps += 1
    elif later > last.generation:
        last = MemberId(last.key, later)
    renewed = core.renew(last)
    if renewed is None or renewed.key != last.key or renewed.generation <= last.generation:
        become_undead(core, outbox)
    elif _may_rejoin(core, now):
        core.rejoins.append(now)
        core.address_in_use = False
        adopt(core, renewed, outbox)
        outbox.notify(Rejoin(renewed))
    else:
        core.counters.withheld_rejoins += 1
        if not core.address_in_use:
            core.address_in_use = True
            outbox.notify(AddressInUse(core.identity))


def _may_rejoin(core: Core, now: float) -> bool:
    while core.rejoins and now - core.rejoins[0] >= _MINUTE:
        core.rejoins.popleft()
    return len(core.rejoins) < core.config.max_rejoins_per_minute


def adopt(core: Core, new: MemberId, outbox: Outbox) -> None:
    """Go on as `new`: the old identity is reported Down in one gossip round, members are kept.

    We never stay in our own list or backlog (defects: D8, D10). The caller updates the connection state.
    """
    was_undead, last = core.is_undead, Member(core.identity, core.incarnation, State.DOWN)
    core.identity, core.incarnation = new, 0
    core.connection_state = ConnectionState.DISCONNECTED
    core.has_left = False
    core.new_epoch()
    core.members.forget(new.key)
    core.backlog.discard(new.key)
    if not was_undead:
        core.queue(last)
    core.gossip(core.config.num_indirect_probes, outbox)


def become_undead(core: Core, outbox: Outbox) -> None:
    """Become Undead: Down for good. Notified on the transition only (defects: D9)."""
    if not core.is_undead:
        core.connection_state = ConnectionState.UNDEAD
        core.new_epoch()
        outbox.notify(Defunct())
