"""The IPs that the gate lets in where only tracked peers may come.

* An IP is registered while at least one peer behind it may connect: two peers may share one (NAT).
* A peer whose IP is not known (a DNS name, no address yet) may come from anywhere: while there is one, none is refused.
* The egress IP counts, never the endpoint's where they differ.
* The gate gets a snapshot. It is made of many small parts, of which only those are made anew that have changed: with
  100,000 IPs a whole one would take longer than a handler may.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain
from typing import TypeVar

from .known_peer import Record
from .steps import Steps

T = TypeVar("T")
ANYWHERE = "anywhere"
_PARTS = 256


class IpSet(AbstractSet[str]):
    """An immutable set of IPs, canonical text."""

    __slots__ = ("_parts",)

    def __init__(self, parts: tuple[frozenset[str], ...]) -> None:
        """parts: by hash."""
        self._parts = parts

    @classmethod
    def _from_iterable(cls, items: Iterable[T]) -> AbstractSet[T]:
        """What `&`, `|` and `-` give."""
        return frozenset(items)

    def __contains__(self, ip: object) -> bool:
        return ip in self._parts[hash(ip) % _PARTS]

    def __eq__(self, other: object) -> bool:
        """Part by part: those that are the same objects cost nothing."""
        return self._parts == other._parts if isinstance(other, IpSet) else super().__eq__(other)

    __hash__ = None  # type: ignore[assignment]  # as of every set of the standard library that compares by content

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(chain.from_iterable(self._parts)))

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def __repr__(self) -> str:
        return f"<{len(self)} IPs>"


class Register:
    """Counts the peers behind each IP. `changed` is set when the answer of `ips` may have changed."""

    def __init__(self) -> None:
        self.changed = False
        self._anywhere = 0
        self._counts: list[dict[str, int]] = [{} for _ in range(_PARTS)]
        self._snapshots: list[frozenset[str]] = [frozenset()] * _PARTS
        self._stale: dict[int, None] = {}

    @property
    def ips(self) -> AbstractSet[str] | None:
        """The registered IPs; None while anybody may come from anywhere."""
        for _ in self.snapping():
            pass
        return None if self._anywhere else IpSet(tuple(self._snapshots))

    def snapping(self) -> Steps[None]:
        """Make the parts of the next snapshot, so that `ips` has little left to do."""
        for part in list(self._stale):
            self._snapshots[part] = frozenset(self._counts[part])
            del self._stale[part]
            yield 2

    def set(self, record: Record, ip: str | None) -> None:
        """The peer may come from `ip` now, from `ANYWHERE`, or (None) not at all."""
        if record.registered == ip:
            return
        if record.registered is not None:
            self._add(record.registered, -1)
        if ip is not None:
            self._add(ip, 1)
        record.registered = ip

    def _add(self, ip: str, by: int) -> None:
        if ip == ANYWHERE:
            self._anywhere += by
            self.changed = self.changed or self._anywhere in (0, by)
            return
        part = hash(ip) % _PARTS
        counts = self._counts[part]
        before = counts.pop(ip, 0)
        if before + by:
            counts[ip] = before + by
        if not before or not before + by:
            self._stale[part] = None
            self.changed = True
