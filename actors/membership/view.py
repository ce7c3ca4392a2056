"""Who is a member, as others may see it: alive by SWIM's word, and known by a signed record.

* A member becomes visible when it is active and its record is at least of the generation that SWIM names. So nobody
  can make up a member, or bring a dead one back, by hearsay.
* A visible member stays visible until it is Down, also under a new generation whose record is still to come.
* An active member without such a record is *missing*: its record is asked for.
* Every change is an event, in order; none comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...runtime import Message
from ...transport.identity import PeerId
from ...transport.record import PeerRecord
from .mailbox import MemberDown, MemberUp, MemberUpdated
from .records import Records
from .swim import MemberId

_RTT_GAIN = 0.125
"""Weight of the newest time; that of TCP (RFC 6298)."""


@dataclass(slots=True)
class _Life:
    """What SWIM says of a peer. since: unix seconds at which it became active, or Down. rtt: see MemberInfo."""

    generation: int
    active: bool
    since: float
    rtt: float | None = None


class View:
    """The members, fed with SWIM's notifications and with records; answers the events that follow."""

    def __init__(self, records: Records) -> None:
        """records: where they are looked up."""
        self._records = records
        self._lives: dict[PeerId, _Life] = {}
        self._visible: dict[PeerId, None] = {}
        self._missing: dict[PeerId, None] = {}

    def __contains__(self, peer: PeerId) -> bool:
        """Whether SWIM has told of this peer, active or Down."""
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
        """Whether the peer is active by SWIM's word."""
        life = self._lives.get(peer)
        return life is not None and life.active

    def is_visible(self, peer: PeerId) -> bool:
        """Whether others may see the peer as a member."""
        return peer in self._visible

    def since(self, peer: PeerId) -> float | None:
        """When the peer became what it is, in unix seconds."""
        life = self._lives.get(peer)
        return None if life is None else life.since

    def rtt(self, peer: PeerId) -> float | None:
        """How long its answers take, in seconds."""
        life = self._lives.get(peer)
        return None if life is None else life.rtt

    def add_round_trip(self, member: MemberId, seconds: float) -> None:
        """SWIM: a probe was answered directly."""
        life = self._lives.get(PeerId(member.key))
        if life is not None:
            life.rtt = seconds if life.rtt is None else life.rtt + _RTT_GAIN * (seconds - life.rtt)

    def up(self, member: MemberId, wall: float) -> list[Message]:
        """SWIM: the active set gained a member."""
        peer = PeerId(member.key)
        self._lives[peer] = _Life(member.generation, True, wall)
        return self._update_visibility(peer)

    def down(self, member: MemberId, wall: float) -> list[Message]:
        """SWIM: a member that was active is Down."""
        peer = PeerId(member.key)
        self._lives[peer] = _Life(member.generation, False, wall)
        self._missing.pop(peer, None)
        if peer not in self._visible:
            return []
        del self._visible[peer]
        return [MemberDown(peer)]

    def rename(self, new: MemberId) -> None:
        """SWIM: a member has a new generation."""
        peer = PeerId(new.key)
        life = self._lives.get(peer)
        if life is not None:
            life.generation = new.generation
            self._update_visibility(peer)

    def record_added(self, record: PeerRecord) -> list[Message]:
        """There is a newer record of this peer."""
        peer = record.peer
        if peer in self._visible:
            self._update_visibility(peer)
            return [MemberUpdated(peer, record)]
        return self._update_visibility(peer) if self.is_active(peer) else []

    def forget(self, member: MemberId) -> None:
        """SWIM does not remember this Down member any more."""
        peer = PeerId(member.key)
        life = self._lives.get(peer)
        if life is not None and not life.active and life.generation == member.generation:
            del self._lives[peer]

    def take_missing(self, limit: int) -> tuple[PeerId, ...]:
        """Whose records to ask for now: the next ones in turn."""
        chosen = tuple(self._missing)[:limit]
        for peer in chosen:
            del self._missing[peer]
            self._missing[peer] = None
        return chosen

    def _update_visibility(self, peer: PeerId) -> list[Message]:
        """Is the record of an active member there, and current?"""
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
