"""The members as others may see them: alive according to SWIM, and known by a signed record.

* A member becomes visible when it is active and its record is at least of the generation that SWIM names. So nobody
  can invent a member, or revive a dead one, by hearsay.
* A visible member stays visible until it is Down, also under a new generation whose record is still to come.
* An active member without such a record is *missing*: its record is asked for.
* Every change of the visible members is one event, in order.

`KnownMembers` lists them, and those that are Down, for `members()` and for the file: of many in slices, so that other
messages do not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, TypeVar

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Reply, Slices
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..core.newcomers import Unproved
from ..core.records import Records
from ..mailbox import MemberDown, MemberInfo, Members, MemberUp, MemberUpdated
from ..swim import Member, MemberId, State, Swim
from .snapshot import SavedMember, Snapshot

T = TypeVar("T")

_SLICE = 500  # members per turn of the engine

_RTT_GAIN = 0.125
"""Weight of the newest round trip time in the average; TCP's (RFC 6298)."""


class _Life(Struct):
    """A peer according to SWIM. since: unix seconds at which it became active, or Down. rtt: in seconds."""

    generation: int
    active: bool
    since: float
    rtt: float | None = None


class View:
    """The members, from SWIM's notifications and from records; each method returns the events that follow."""

    def __init__(self, records: Records) -> None:
        """records: the records of other peers."""
        self._records = records
        self._lives: dict[PeerId, _Life] = {}
        self._visible: dict[PeerId, None] = {}
        self._missing: dict[PeerId, None] = {}

    def __contains__(self, peer: PeerId) -> bool:
        """Whether SWIM knows this peer, active or Down."""
        return peer in self._lives

    @property
    def visible(self) -> Iterator[PeerRecord]:
        """The records of the visible members, in the order in which they became visible."""
        return (record for record in map(self._records.get, self._visible) if record is not None)

    @property
    def num_visible(self) -> int:
        return len(self._visible)

    @property
    def num_missing(self) -> int:
        return len(self._missing)

    def is_active(self, peer: PeerId) -> bool:
        """Whether the peer is active according to SWIM."""
        life = self._lives.get(peer)
        return life is not None and life.active

    def is_visible(self, peer: PeerId) -> bool:
        """Whether the peer is a visible member."""
        return peer in self._visible

    def since(self, peer: PeerId) -> float | None:
        """When the peer became active, or Down, in unix seconds; None if SWIM does not know it."""
        life = self._lives.get(peer)
        return None if life is None else life.since

    def rtt(self, peer: PeerId) -> float | None:
        """The average round trip time of our probes of the peer, in seconds; None before the first."""
        life = self._lives.get(peer)
        return None if life is None else life.rtt

    def add_round_trip(self, member: MemberId, seconds: float) -> None:
        """SWIM: the member answered a probe directly, after so many seconds."""
        life = self._lives.get(PeerId(member.key))
        if life is not None:
            life.rtt = seconds if life.rtt is None else life.rtt + _RTT_GAIN * (seconds - life.rtt)

    def up(self, member: MemberId, wall: float) -> list[Message]:
        """The member is active now, perhaps as it was before. wall: unix seconds."""
        peer = PeerId(member.key)
        life = self._lives.get(peer)
        if life is not None and life.active:  # it was unproved, and SWIM has it now
            life.generation = member.generation
        else:
            self._lives[peer] = _Life(member.generation, True, wall)
        return self._update_visibility(peer)

    def down(self, member: MemberId, wall: float) -> list[Message]:
        """SWIM: the member, which was active, is Down now. wall: unix seconds."""
        peer = PeerId(member.key)
        self._lives[peer] = _Life(member.generation, False, wall)
        self._missing.pop(peer, None)
        if peer not in self._visible:
            return []
        del self._visible[peer]
        return [MemberDown(peer)]

    def rename(self, new: MemberId) -> None:
        """SWIM: the member has a new generation."""
        peer = PeerId(new.key)
        life = self._lives.get(peer)
        if life is not None:
            life.generation = new.generation
            self._update_visibility(peer)

    def record_added(self, record: PeerRecord) -> list[Message]:
        """A newer record of a peer has been added to `Records`."""
        peer = record.peer
        if peer in self._visible:
            self._update_visibility(peer)
            return [MemberUpdated(peer, record)]
        return self._update_visibility(peer) if self.is_active(peer) else []

    def forget(self, member: MemberId) -> None:
        """SWIM has forgotten this Down member."""
        peer = PeerId(member.key)
        life = self._lives.get(peer)
        if life is not None and not life.active and life.generation == member.generation:
            del self._lives[peer]

    def compact(self) -> None:
        """Give back the room of those who are gone, which a dict keeps."""
        self._lives, self._visible = dict(self._lives), dict(self._visible)

    def take_missing(self, limit: int) -> tuple[PeerId, ...]:
        """The next peers, in turn, whose records are missing; at most `limit`."""
        chosen = tuple(self._missing)[:limit]
        for peer in chosen:
            del self._missing[peer]
            self._missing[peer] = None
        return chosen

    def _update_visibility(self, peer: PeerId) -> list[Message]:
        """Make the peer visible, or missing, by whether its record is known and new enough."""
        life, record = self._lives[peer], self._records.get(peer)
        if record is None or record.generation < life.generation:
            if life.active:
                self._missing[peer] = None
            return []
        self._missing.pop(peer, None)
        if not life.active or peer in self._visible:
            return []
        self._visible[peer] = None
        return [MemberUp(peer, record)]


class KnownMembers:
    """Part of the session: lists the known members."""

    def __init__(
        self, engine: runtime.Engine[Any], swim: Swim, unproved: Unproved, records: Records, view: View
    ) -> None:
        """swim, unproved, records, view: what is known of the members."""
        self._engine = engine
        self._slices = Slices(engine, _SLICE)
        self._swim = swim
        self._unproved = unproved
        self._records = records
        self._view = view

    def members(self, own: PeerRecord) -> Reply[Members]:
        """Every member whose record is known, Down ones too, in the order of their ids."""
        return self._collect(
            lambda found: Members(
                own, tuple(sorted((info for info, _ in found), key=lambda info: info.peer)), self._swim.health
            )
        )

    def snapshot(self, own: PeerRecord) -> Reply[Snapshot]:
        """The same members for the file, but for the unproved; the active ones first."""

        def make(found: list[tuple[MemberInfo, Member]]) -> Snapshot:
            found.sort(key=lambda each: each[1].state)
            members = tuple(_saved(info.record, member) for info, member in found if info.peer not in self._unproved)
            return Snapshot(own.network, own.peer, self._engine.wall(), members)

        return self._collect(make)

    def _collect(self, make: Callable[[list[tuple[MemberInfo, Member]]], T]) -> Reply[T]:
        return self._slices.run(self._infos(), make)

    def _infos(self) -> Generator[int, None, list[tuple[MemberInfo, Member]]]:
        records, view, found = self._records, self._view, list[tuple[MemberInfo, Member]]()
        for member in (*self._swim.iter_membership_state(), *(each.told for each in self._unproved)):
            peer = PeerId(member.id.key)
            record, since = records.get(peer), view.since(peer)
            if record is not None and since is not None and (not member.is_active or view.is_visible(peer)):
                info = MemberInfo(peer, member.state, member.incarnation, record, since, view.rtt(peer))
                found.append((info, member))
            yield 1
        return found


def _saved(record: PeerRecord, member: Member) -> SavedMember:
    """As the file remembers the member: by a record of another life nothing is proved but that this one began."""
    if record.generation == member.id.generation:
        return SavedMember(record, member.incarnation, member.state, member.proof)
    return SavedMember(record, 0, State.ALIVE if member.is_active else State.DOWN)
