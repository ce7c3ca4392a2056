"""Anti-entropy: now and then two members exchange their whole state, which repairs what gossip has missed.

    asker --SyncRequest(digest)--> other                        equal digests: nothing else is sent
          <--SyncPart(asks=1), SyncPart, ...--                  all members that the other holds active
          --SyncPart, ...-->                                    all members that the asker holds active

* The digest covers the active members and the sender itself, with incarnations and states. Mostly it is the same on
  both sides, and a sync costs one small packet.
* Parts are sent a few milliseconds apart, so that no receiver is flooded.
* Down members are not listed, or long forgotten ones would come back again and again. Instead, a member that lists as
  active what the other holds Down is sent that.
* The first sync comes soon, and is with one of our seeds: a joiner learns of the whole cluster from it. Then the wait
  doubles up to `Config.sync`, longer in large clusters. If a sync taught us something we may lack more, so the wait is
  short again.
* Sending is bounded: few transfers wait at a time, one per member. A request beyond that is not answered, and
  counted.
"""

from collections.abc import Iterable

from ..codec import MAX_UPDATES, MIN_UPDATE_BYTES, digest, encode_update
from ..effects import Outbox, PeriodicSync, SendSyncPart
from ..member import Member, MemberId
from ..messages import SyncPart, SyncRequest
from .state import Core
from .underway import Transfer

__all__ = [
    "begin_syncing",
    "feed_updates",
    "on_sync_part",
    "on_sync_request",
    "send_next_part",
    "sync_soon",
    "sync_with_anybody",
]

_MAX_TRANSFERS = 8
_PART_EVERY = 0.02  # seconds
_FIRST_SHARE = 8  # the first wait is this part of `Config.sync`


def begin_syncing(core: Core, now: float, outbox: Outbox) -> None:
    """We have become Connected: schedule the first sync soon, but not for all members that start together at once."""
    if core.config.sync is not None:
        core.joining = True
        core.sync_wait = core.config.sync / _FIRST_SHARE
        core.arm(PeriodicSync, core.first_delay(core.sync_wait), now, outbox)


def sync_with_anybody(core: Core, now: float, outbox: Outbox) -> None:
    """Send a SyncRequest to a random member, the first to a seed, and schedule the next one."""
    longest = core.config.sync_period(core.cluster_size)
    if longest is None:
        return
    core.arm(PeriodicSync, min(core.sync_wait, longest), now, outbox)
    core.sync_wait = min(2 * core.sync_wait, longest)
    seeds = _active_seeds(core) if core.joining else []
    core.joining = False
    for member in seeds or core.members.choose_active(1, core.rng, core.probeable):
        core.send(member.id, SyncRequest(_digest(core)), outbox)


def _active_seeds(core: Core) -> list[Member]:
    """One of the seeds that are active members; none if there is none."""
    held = [member for seed in core.seeds if (member := core.members.get(seed.key)) is not None]
    active = [member for member in held if member.is_active and core.probeable(member.id.key)]
    return [core.rng.choice(active)] if active else []


def on_sync_request(core: Core, src: MemberId, theirs: int, now: float, outbox: Outbox) -> None:
    """Begin to send our state unless the digests are equal."""
    if theirs != _digest(core) and _may_begin(core, src):
        _begin(core, Transfer(src, _actives_but(core, src), 1), now, outbox)


def on_sync_part(core: Core, src: MemberId, listed: Iterable[Member], asks: int, now: float, outbox: Outbox) -> None:
    """After its updates were applied: send deaths that the sender missed, and our state if it asks for that."""
    deaths = _deaths_among(core, listed)
    if (asks or deaths) and _may_begin(core, src):
        ours = _actives_but(core, src) if asks else []
        _begin(core, Transfer(src, [*ours, *deaths], 0), now, outbox)


def sync_soon(core: Core, now: float, outbox: Outbox) -> None:
    """Schedule the next sync soon, as this one has taught us something and we may lack more."""
    sync = core.config.sync
    if sync is not None and core.sync_wait > sync / _FIRST_SHARE:
        core.sync_wait = sync / _FIRST_SHARE
        core.arm(PeriodicSync, core.sync_wait, now, outbox)


def send_next_part(core: Core, now: float, outbox: Outbox) -> None:
    """Send one packet of the transfer that has waited longest, then let the others have their turns."""
    transfer = core.transfers.pop(next(iter(core.transfers)))
    core.send(transfer.to, SyncPart(transfer.asks), outbox, lambda room: _encode_next(core, transfer.keys, room))
    transfer.asks = 0
    if transfer.keys:
        core.transfers[transfer.to.key] = transfer
    if core.transfers:
        core.arm(SendSyncPart, _PART_EVERY, now, outbox)


def feed_updates(core: Core, asking: MemberId, room: int) -> list[bytes]:
    """The updates of a Feed: random active members, as many as fit; random, so that repeated announces find all."""
    limit = min(MAX_UPDATES, room // MIN_UPDATE_BYTES)
    chosen = core.members.choose_active(limit, core.rng, lambda key: key != asking.key)
    return _encode_next(core, [member.id.key for member in chosen], room)


def _may_begin(core: Core, to: MemberId) -> bool:
    """Whether there is room for a transfer; checked before listing anything, so that frequent requests cost nothing."""
    free = to.key not in core.transfers and len(core.transfers) < _MAX_TRANSFERS
    core.counters.refused_syncs += not free
    return free


def _begin(core: Core, transfer: Transfer, now: float, outbox: Outbox) -> None:
    core.transfers[transfer.to.key] = transfer
    if SendSyncPart not in core.awaited_timers:
        send_next_part(core, now, outbox)


def _digest(core: Core) -> int:
    return core.members.digest ^ digest(Member(core.identity, core.incarnation))


def _actives_but(core: Core, other: MemberId) -> list[bytes]:
    return [key for key in core.members.active_keys if key != other.key]


def _deaths_among(core: Core, listed: Iterable[Member]) -> list[bytes]:
    """The keys of members that are listed as active but that we hold Down."""
    held_of = core.members.by_key.get
    deaths = []
    for member in listed:
        held = held_of(member.id.key)
        if held is member or held is None or held.is_active or not member.is_active:
            continue
        if held.id.generation >= member.id.generation:
            deaths.append(member.id.key)
    return deaths


def _encode_next(core: Core, keys: list[bytes], room: int) -> list[bytes]:
    """Remove keys from the end of the list and encode their members, as many as fit."""
    taken: list[bytes] = []
    while keys and len(taken) < MAX_UPDATES:
        member = core.members.by_key.get(keys[-1])
        if member is not None:
            encoded = encode_update(member)
            if len(encoded) > room:
                break
            taken.append(encoded)
            room -= len(encoded)
        keys.pop()
    return taken
