"""Lists every known member, for `members()` and for the snapshot: of many in slices, so that other messages do not
wait.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from .... import runtime
from ....runtime import Reply, Slices
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..core.newcomers import Unproved
from ..core.records import Records
from ..mailbox import MemberInfo, Members
from ..swim import Member, State, Swim
from .snapshot import SavedMember, Snapshot
from .view import View

T = TypeVar("T")
_SLICE = 500  # members per turn of the engine


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
