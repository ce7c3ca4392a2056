"""The members as others may see them: alive according to SWIM, and known by a signed record.

* A member becomes visible when it is active and its record is at least of the generation that SWIM names. So nobody
  can invent a member, or revive a dead one, by hearsay.
* A visible member stays visible until it is Down, also under a new generation whose record is still to come.
* An active member without such a record is *missing*: its record is asked for.
* Every change of the visible members is one event, in order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ....runtime import Message
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..core.records import Records
from ..mailbox import MemberDown, MemberUp, MemberUpdated
from ..swim import MemberId

_RTT_GAIN = 0.125
"""Weight of the newest round trip time in the average; TCP's (RFC 6298)."""


@dataclass(slots=True)
class _Life:
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
