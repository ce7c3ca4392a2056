"""Lists every known member, for `members()` and for the snapshot: of many in slices, so that other messages do not
wait.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from ... import runtime
from ...runtime import Reply, Slices
from ...transport.identity import PeerId
from ...transport.record import PeerRecord
from .mailbox import MemberInfo, Members
from .records import Records
from .snapshot import SavedMember, Snapshot
from .swim import Swim
from .view import View

T = TypeVar("T")
_SLICE = 500  # members per turn of the engine


class KnownMembers:
    """Part of the session: lists the known members."""

    def __init__(self, engine: runtime.Engine[Any], swim: Swim, records: Records, view: View) -> None:
        """swim, records, view: what is known of the members."""
        self._engine = engine
        self._slices = Slices(engine, _SLICE)
        self._swim = swim
        self._records = records
        self._view = view

    def members(self, own: PeerRecord) -> Reply[Members]:
        """Every member whose record is known, Down ones too, in the order of their ids."""
        return self._collect(
            lambda infos: Members(own, tuple(sorted(infos, key=lambda info: info.peer)), self._swim.health)
        )

    def snapshot(self, own: PeerRecord) -> Reply[Snapshot]:
        """The same members for the file; the active ones first."""

        def make(infos: list[MemberInfo]) -> Snapshot:
            infos.sort(key=lambda info: info.state)
            members = tuple(SavedMember(info.record, info.incarnation, info.state) for info in infos)
            return Snapshot(own.network, own.peer, self._engine.wall(), members)

        return self._collect(make)

    def _collect(self, make: Callable[[list[MemberInfo]], T]) -> Reply[T]:
        return self._slices.run(self._infos(), make)

    def _infos(self) -> Generator[int, None, list[MemberInfo]]:
        records, view, found = self._records, self._view, list[MemberInfo]()
        for member in self._swim.iter_membership_state():
            peer = PeerId(member.id.key)
            record, since = records.get(peer), view.since(peer)
            if record is not None and since is not None and (not member.is_active or view.is_visible(peer)):
                found.append(MemberInfo(peer, member.state, member.incarnation, record, since, view.rtt(peer)))
            yield 1
        return found
