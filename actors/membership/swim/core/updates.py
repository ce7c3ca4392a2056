"""What an update does: to what we hold about other members, and to ourselves.

* What the owner says of its own life is believed. What others say of it needs the owner's proof: `sift` refuses the
  whole packet of who shows a false one, and leaves out what nothing here can be held against.
* About another member: stored or refused by precedence. What is stored is passed on and notified once.
* Another member accuses one or says it is Down, but our own evidence says that it lives: then it is held Alive, what is
  said is its claim, and is told to the accused and to nobody else.
* Another member says one is Down, and we have no evidence: it is Suspect until our own check has ended (`checks`). Who
  cannot be checked, as we have no address for it or block it, is believed to be Down.
* Who is first heard of as Down is held Down, and asked.
* About ourselves, Suspect or Down: we raise our incarnation above that, with its proof, and show it to some (once per
  packet).
* About ourselves, Left, or an accusation at the last incarnation: this life is over, by our own proof. We begin
  another, or become Undead when we cannot. An Undead member, as after leaving, never does (defects: D3).
* Nothing else that anybody says makes us begin another life.
"""

import math
from collections.abc import Iterable
from dataclasses import replace

from ..effects import (
    AddressInUse,
    Cheated,
    Defunct,
    MemberDown,
    MemberUp,
    Outbox,
    Refuted,
    Rejoin,
    RemoveDown,
    Rename,
    Suspected,
    UnknownLife,
)
from ..member import GENERATION_LIMIT, MAX_INCARNATION, Member, MemberId, State, supersedes
from ..proofs import Verdict
from . import suspicion
from .connection import update_connection_state
from .member_list import Change
from .state import REMEMBERED_AT_LEAST, ConnectionState, Core

__all__ = [
    "adopt",
    "apply_many",
    "become_undead",
    "begin_new_life",
    "forget",
    "has_room",
    "hear_directly",
    "sift",
    "store",
    "vouch",
]

_MINUTE = 60.0


# What others say ------------------------------------------------------------------------------------------------------


def sift(core: Core, updates: Iterable[Member], source: bytes, outbox: Outbox) -> list[Member] | None:
    """The updates that are proved, or need no proof as they do not go beyond what is; None if `source` lies of itself.

    A false proof of somebody else's life costs that update alone: who passes it on may have been shown another record
    of that life, and be honest. What says no more of a life than is held keeps the proof that was checked.
    """
    proved = []
    held_of = core.members.by_key.get
    for said in updates:
        update, held = said, held_of(said.id.key)
        if held is update:
            pass  # most updates are known already
        elif _needs_proof(core, held, update):
            known = held if held is not None and held.id == update.id else None
            verdict = core.proofs.check(update, known)
            if verdict is Verdict.FALSE:
                core.counters.forged_proofs += 1
                outbox.notify(Cheated(source, "a false proof", update))
                if update.id.key == source:
                    return None
                continue
            if verdict is Verdict.UNKNOWN:
                core.counters.unknown_lives += 1
                outbox.notify(UnknownLife(update, source))
                continue
        elif (
            held is not None and held.id == update.id and held.proof != update.proof and update.state is not State.LEFT
        ):
            update = replace(update, proof=held.proof)
        proved.append(update)
    return proved


def _needs_proof(core: Core, held: Member | None, update: Member) -> bool:
    """Whether the update would say more than its owner is known to have shown."""
    if update.id.key == core.identity.key:
        more = update.incarnation > core.incarnation or update.state is State.LEFT
        return more and update.id == core.identity
    if held is None or held.id != update.id:
        return held is None or supersedes(held, update)
    return (update.incarnation > held.incarnation or update.state is State.LEFT) and supersedes(held, update)


def apply_many(
    core: Core, updates: Iterable[Member], do_broadcast: bool, now: float, outbox: Outbox, *, heard: bool
) -> None:
    """Apply in order, then show our incarnation once if we were accused, then update the connection state.

    heard: another member says so, and the updates were sifted; else our own program does, which is believed.
    """
    accused = False
    own_key, held_of = core.identity.key, core.members.by_key.get
    for update in updates:
        key = update.id.key
        if key == own_key:
            accused |= _apply_to_ourselves(core, update, now, outbox)
        elif held_of(key) is update and update.state is not State.SUSPECT:
            pass  # most updates are known already, and equal ones are decoded to what is held
        elif heard:
            _hear(core, update, do_broadcast, now, outbox)
        else:
            store(core, update, do_broadcast, now, outbox)
    if accused:
        core.show_incarnation(outbox)
    update_connection_state(core, now, outbox)


def _hear(core: Core, update: Member, do_broadcast: bool, now: float, outbox: Outbox) -> None:
    """Apply what another member says about a third."""
    held = core.members.by_key.get(update.id.key)
    if held is not None and not supersedes(held, update):
        if held.state is State.DOWN and update.is_active and held.id == update.id:
            core.warn(held.id, held, now, outbox)  # somebody knows it alive: it may never have heard of its death
        elif update.state is State.SUSPECT:
            store(core, update, do_broadcast, now, outbox)
    elif update.state is State.DOWN and held is not None:
        _hear_death(core, held, update, do_broadcast, now, outbox)
    elif update.state is State.SUSPECT and held is not None and held.id == update.id and core.connected(update.id.key):
        _disbelieve(core, update, now, outbox)
    elif store(core, update, do_broadcast, now, outbox) and update.state is State.DOWN:
        core.warn(update.id, update, now, outbox)


def _hear_death(core: Core, held: Member, update: Member, do_broadcast: bool, now: float, outbox: Outbox) -> None:
    """Another member says that one which we know is Down."""
    key = update.id.key
    if not held.is_active or not core.probeable(key):
        store(core, update, do_broadcast, now, outbox)
        return
    running = suspicion.find(core, update)
    since = -1.0 if running is None else running.began
    if held.id == update.id and core.is_fresh(key, since, now):
        _disbelieve(core, update, now, outbox)
    elif running is not None and running.failed:
        store(core, update, do_broadcast, now, outbox)
    else:
        store(core, Member(update.id, update.incarnation, State.SUSPECT, (), update.proof), False, now, outbox)
        core.members.claim(update)
        suspicion.decide_soon(core, update, now, outbox)
        core.warn(update.id, update, now, outbox)  # it can refute that sooner than many checks have their turn


def _disbelieve(core: Core, update: Member, now: float, outbox: Outbox) -> None:
    core.counters.disbelieved += 1
    core.members.claim(update)
    vouch(core, update.id.key, now, outbox)
    core.warn(update.id, update, now, outbox)


# What we hold ---------------------------------------------------------------------------------------------------------


def store(core: Core, update: Member, do_broadcast: bool, now: float, outbox: Outbox, *, ours: bool = False) -> bool:
    """Store an update about another member unless precedence refuses it; returns whether it was stored.

    `ours`: it is a suspicion because our own probe failed.
    """
    known = core.members.by_key
    if update.id.key not in known:
        if not core.admits(update):  # may forget another member
            return False
        if len(known) >= core.config.max_members and not (update.is_active and _make_room(core, now, outbox)):
            core.counters.refused_members += 1
            return False
        core.greetings.pop(update.id.key, None)
        core.held_since[update.id.key] = now if update.is_active else -math.inf
        if core.first_since is None:
            core.first_since = now
    change = core.members.apply(update)
    if change is None:
        if update.state is State.SUSPECT and core.members.get(update.id.key) == update:
            suspicion.on_suspect(core, update, ours, now, outbox)
        return False
    core.stored += 1
    core.unheard_seeds.pop(update.id.key, None)
    if change.replaced is not None:
        core.heard.pop(update.id.key, None)  # it was another life that we heard
    if do_broadcast:
        core.queue(update)
    _notify_of(core, change, now, outbox)
    if update.state is State.SUSPECT:
        suspicion.on_suspect(core, update, ours, now, outbox)
    else:
        core.suspicions.pop(update.id.key, None)
    return True


def has_room(core: Core, now: float) -> bool:
    """Whether another member can be held: less than `max_members` are, or a dead one can go for it.

    Not one whose death was heard of just now: what others say of its life is still under way, and would bring it back.
    """
    if len(core.members.by_key) < core.config.max_members:
        return True
    oldest = next(iter(core.died.values()), now)
    return now - oldest >= REMEMBERED_AT_LEAST


def _make_room(core: Core, now: float, outbox: Outbox) -> bool:
    """As many are held as may be: forget who is dead for the longest time; False if nobody is for long enough."""
    if not has_room(core, now):
        return False
    member = core.members.by_key[next(iter(core.died))].id
    core.forget(member.key)
    outbox.schedule(RemoveDown(member), 0.0)  # as if its time was over
    core.counters.forgotten_for_room += 1
    return True


def forget(core: Core, key: bytes, outbox: Outbox) -> Member | None:
    """Forget a member; what was held, if any. The caller updates the connection state."""
    held = core.members.get(key)
    core.greetings.pop(key, None)
    if held is not None:
        core.forget(key)
        core.suspicions.pop(key, None)
        if held.is_active:
            outbox.notify(MemberDown(held.id))
    return held


def vouch(core: Core, key: bytes, now: float, outbox: Outbox) -> None:
    """Our own evidence says that a member lives: hold it Alive, whatever is said, and pass that on no more.

    The caller updates the connection state.
    """
    core.suspicions.pop(key, None)
    change = core.members.vouch(key)
    if change is not None:
        core.backlog.discard(key)
        _notify_of(core, change, now, outbox)


def hear_directly(core: Core, key: bytes, now: float, outbox: Outbox) -> None:
    """An active member has shown that it lives: what is said of it is told to it, and passed on no more.

    The caller updates the connection state.
    """
    core.heard[key] = now
    held = core.members.by_key[key]
    if held.state is not State.SUSPECT:
        return
    said = core.members.claims.get(key, held)
    running = core.suspicions.get(key)
    if running is not None and running.due:
        core.counters.disbelieved += 1
        vouch(core, key, now, outbox)
    core.backlog.discard(key)
    core.warn(held.id, said, now, outbox)


def _notify_of(core: Core, change: Change, now: float, outbox: Outbox) -> None:
    update = change.update
    if update.is_active:
        core.died.pop(update.id.key, None)
    else:
        core.remove_later(update.id, now, outbox)
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


# Ourselves ------------------------------------------------------------------------------------------------------------


def _apply_to_ourselves(core: Core, update: Member, now: float, outbox: Outbox) -> bool:
    """Apply an update about ourselves; returns whether we were accused and should gossip."""
    if update.id != core.identity:
        core.counters.foreign_generations += 1
    elif core.is_undead or update.state is State.ALIVE:
        pass
    elif update.state is State.LEFT or update.incarnation == MAX_INCARNATION:
        begin_new_life(core, now, outbox)
    elif update.incarnation < core.incarnation:
        shown = core.shown.take(now)
        core.counters.withheld_refutations += not shown
        return shown
    elif core.refutable.take(now):
        core.incarnation = update.incarnation + 1  # not queued: every header carries it, and receivers pass it on
        core.counters.refutations += 1
        core.adjust_health(1 if core.slowed.take(now) else 0)
        return True
    else:
        core.counters.withheld_refutations += 1
    return False


def begin_new_life(core: Core, now: float, outbox: Outbox, later: int = 0) -> None:
    """Go on under another generation, as our own proof says that this life is over; or become Undead.

    `later`: the generation of a later life of ours, by our own signature, that the new one must surpass. The caller
    updates the connection state.
    """
    if core.is_undead:
        return
    last = MemberId(core.identity.key, max(core.identity.generation, later))
    renewed = core.renew(last) if last.generation + 1 < GENERATION_LIMIT else None
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
    """Go on as `new`, with the members kept; one round of gossip says so, and that another key of ours has left.

    We never stay in our own list or backlog (defects: D8, D10). The caller updates the connection state.
    """
    last = core.identity
    farewell = Member(last, core.incarnation, State.LEFT, (), core.proofs.farewell(last))
    say = not core.is_undead and new.key != last.key
    core.identity, core.incarnation = new, 0
    core.connection_state = ConnectionState.DISCONNECTED
    core.has_left = False
    core.new_epoch()
    core.forget(new.key)
    if say:
        core.queue(farewell)
    core.gossip(core.config.num_indirect_probes, outbox)


def become_undead(core: Core, outbox: Outbox) -> None:
    """Become Undead: Down for good. Notified on the transition only (defects: D9)."""
    if not core.is_undead:
        core.connection_state = ConnectionState.UNDEAD
        core.new_epoch()
        outbox.notify(Defunct())
