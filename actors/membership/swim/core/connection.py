"""Our connection state, and the tasks that repeat: announces and gossip.

* The connection state is updated after each operation that could change it, never only with the next packet (defects:
  D4).
* A task first schedules its next run, then works. One that a new configuration has ended stays ended.
"""

from collections.abc import Iterable

from ..effects import (
    Active,
    AnnounceToSeeds,
    Idle,
    Outbox,
    PeriodicAnnounce,
    PeriodicAnnounceDown,
    PeriodicGossip,
    ProbeRandomMember,
)
from ..member import MemberId
from ..messages import Announce
from . import suspicion, sync
from .state import ConnectionState, Core

__all__ = [
    "announce_to_active",
    "announce_to_down",
    "announce_to_seeds",
    "announce_to_seeds_again",
    "push_gossip",
    "update_connection_state",
]

_MAX_BACKOFF = 8


def announce_to_active(core: Core, now: float, outbox: Outbox) -> None:
    task = core.config.periodic_announce
    if task is not None:
        core.arm(PeriodicAnnounce, task.frequency, now, outbox)
        chosen = core.members.choose_active(task.num_members, core.rng, core.probeable)
        _announce(core, (member.id for member in chosen), outbox)


def announce_to_down(core: Core, now: float, outbox: Outbox) -> None:
    task = core.config.periodic_announce_to_down_members
    if task is not None:
        core.arm(PeriodicAnnounceDown, task.frequency, now, outbox)
        chosen = core.members.choose_down(task.num_members, core.rng, core.probeable)
        _announce(core, (member.id for member in chosen), outbox)
        _announce(core, _absent_seed(core, {member.id.key for member in chosen}), outbox)


def _absent_seed(core: Core, announced_to: set[bytes]) -> list[MemberId]:
    """A random seed that is no active member: it may have come back knowing nobody, or be in another partition."""
    active = set(core.members.active_keys)
    absent = [seed for seed in core.seeds if seed.key not in active | announced_to and core.probeable(seed.key)]
    return [core.rng.choice(absent)] if absent else []


def push_gossip(core: Core, now: float, outbox: Outbox) -> None:
    task = core.config.periodic_gossip
    if task is not None:
        core.arm(PeriodicGossip, task.frequency, now, outbox)
        if len(core.backlog):
            core.gossip(task.num_members, outbox)
        elif len(core.broadcasts):
            core.gossip_broadcasts(task.num_members, outbox)


def announce_to_seeds_again(core: Core, now: float, outbox: Outbox) -> None:
    """Announce again while we are isolated or nothing was heard of a seed; the wait doubles, up to eight times.

    While isolated we announce to all seeds, else to a few of the silent ones, as those may be gone for good.
    """
    wait = core.config.announce_to_seeds
    silent = core.silent_seeds()
    if wait is None or (core.is_connected and not silent):
        return
    core.seed_attempts += 1
    core.arm(AnnounceToSeeds, wait * min(2**core.seed_attempts, _MAX_BACKOFF), now, outbox)
    if core.is_connected:
        few = min(len(silent), core.config.num_indirect_probes)
        _announce(core, core.rng.sample(silent, few), outbox)
    else:
        announce_to_seeds(core, outbox)


def announce_to_seeds(core: Core, outbox: Outbox) -> None:
    _announce(core, (seed for seed in core.seeds if core.probeable(seed.key)), outbox)


def _announce(core: Core, to: Iterable[MemberId], outbox: Outbox) -> None:
    for member in to:
        if member.key != core.identity.key:
            core.send(member, Announce(), outbox)


def update_connection_state(core: Core, now: float, outbox: Outbox) -> None:
    """Become Connected if an active member is known, else Disconnected; Undead stays Undead."""
    if core.is_undead:
        return
    if core.members.num_active and not core.is_connected:
        _connect(core, now, outbox)
    elif not core.members.num_active and core.is_connected:
        core.connection_state = ConnectionState.DISCONNECTED
        core.seed_attempts = 0
        core.new_epoch()
        outbox.notify(Idle())
    if not core.is_connected:
        _keep_announcing(core, now, outbox)
    elif core.unheard_seeds and AnnounceToSeeds not in core.awaited_timers and core.silent_seeds():
        _announce_to_seeds_later(core, now, outbox)


def _connect(core: Core, now: float, outbox: Outbox) -> None:
    config = core.config
    core.connection_state = ConnectionState.CONNECTED
    core.seed_attempts = 0
    core.awaited_timers.clear()
    core.arm(ProbeRandomMember, core.first_delay(config.probe_period), now, outbox)
    for kind, task in (
        (PeriodicAnnounce, config.periodic_announce),
        (PeriodicAnnounceDown, config.periodic_announce_to_down_members),
        (PeriodicGossip, config.periodic_gossip),
    ):
        if task is not None:
            core.arm(kind, core.first_delay(task.frequency), now, outbox)
    sync.begin_syncing(core, now, outbox)
    suspicion.await_checks(core, now, outbox)
    outbox.notify(Active())


def _keep_announcing(core: Core, now: float, outbox: Outbox) -> None:
    """An isolated node goes on trying members it holds Down, and its seeds (defects: D11)."""
    down = core.config.periodic_announce_to_down_members
    if down is not None and PeriodicAnnounceDown not in core.awaited_timers:
        core.arm(PeriodicAnnounceDown, core.first_delay(down.frequency), now, outbox)
    if core.seeds and AnnounceToSeeds not in core.awaited_timers:
        _announce_to_seeds_later(core, now, outbox)


def _announce_to_seeds_later(core: Core, now: float, outbox: Outbox) -> None:
    wait = core.config.announce_to_seeds
    if wait is not None:
        core.arm(AnnounceToSeeds, wait, now, outbox)
