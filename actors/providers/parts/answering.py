"""Answers other members: keeps what they say of their keys, names holders, and says what this node has."""

from __future__ import annotations

from typing import Any

from .... import runtime
from ....transport.core.buckets import TokenBuckets
from ....transport.identity import PeerId
from ...maintenance.mailbox import Mailbox as Maintenance
from ..core.announcing import Announcer
from ..core.codec import MAX_NAMED, MAX_SECONDS, Have, Having, Holders, Message, Provide, Provided, Who
from ..core.index import Index
from ..core.members import Members
from ..core.ring import subnet_of
from ..metrics import Metrics
from .post import Post

LIMITS: dict[type[Message], tuple[float, int]] = {
    Provide: (20.0, 64),
    Who: (50.0, 200),
    Have: (128.0, 256),
}
"""Questions that one peer may ask in a second, and at once, by kind."""
NAMES = (1000.0, 16_384)
"""Holders that are named to all askers, in a second and at once; beyond, one in each answer."""
DIALS, DIALS_OF_ONE = (1.0, 8), (1 / 60, 1)
"""Connections that are asked for because others wish it: of all, and of one peer; a second, and at once."""


class Answering:
    """Part of the engine."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        index: Index,
        announcer: Announcer,
        members: Members,
        post: Post,
        metrics: Metrics,
        *,
        me: PeerId,
        maintenance: Maintenance | None,
    ) -> None:
        """announcer: knows what this node has. maintenance: asked to dial who cannot dial this node."""
        self._engine = engine
        self._index = index
        self._announcer = announcer
        self._members = members
        self._post = post
        self._metrics = metrics
        self._me = me
        self._maintenance = maintenance
        self._limits = {kind: TokenBuckets(*limit) for kind, limit in LIMITS.items()}
        self._names = TokenBuckets(*NAMES)
        self._dials, self._dials_of_one = TokenBuckets(*DIALS), TokenBuckets(*DIALS_OF_ONE)

    def admits(self, peer: PeerId, message: Message) -> bool:
        """Whether a question of a member is looked at: not too many."""
        limit = self._limits.get(type(message))
        if limit is not None and not limit.take(peer, self._engine.now()):
            self._metrics.refused.inc("too_many")
            return False
        return True

    def provide(self, peer: PeerId, message: Provide) -> None:
        """A member says that it has some keys, or has them no more."""
        hashes = message.hashes
        if message.seconds == 0:
            self._index.withdraw(peer, hashes)
            taken = len(hashes)
        else:
            subnet = subnet_of(self._members.address(peer))
            taken = self._index.provide(peer, subnet, hashes, message.seconds, self._engine.now())
            self._metrics.not_kept.inc(by=len(hashes) - taken)
        self._post.send(peer, Provided(message.number, taken))

    def who(self, peer: PeerId, message: Who) -> None:
        """A member looks for a key."""
        hashed = message.hashed
        holders: list[tuple[int, bytes]] = []
        for named in self._index.holders(hashed, MAX_NAMED, self._engine.now(), self._engine.rng):
            record = self._members.record(named.peer)
            if record is not None and named.peer != peer:
                holders.append((min(int(named.age), MAX_SECONDS), record.encode()))
        taken = self._names.take_many("all", len(holders), self._engine.now())
        if taken < len(holders):
            self._metrics.not_named.inc(by=len(holders) - max(1, taken))
            del holders[max(1, taken) :]
        nearer = [
            record.encode()
            for other in self._members.ring.index_members(hashed)
            if other not in (self._me, peer) and (record := self._members.record(other)) is not None
        ]
        self._post.send(peer, Holders(message.number, tuple(holders), tuple(nearer)))

    def have(self, peer: PeerId, message: Have) -> None:
        """A member asks what this node has."""
        which = sum(1 << place for place, hashed in enumerate(message.hashes) if hashed in self._announcer)
        self._post.send(peer, Having(message.number, which))
        if message.dial and which:
            self._dial(peer)

    def _dial(self, peer: PeerId) -> None:
        now = self._engine.now()
        if self._maintenance is None or not self._members.is_secondary(self._me) or self._members.is_secondary(peer):
            return  # this node can be dialled, or neither can
        if self._dials.ready_at("all", now) <= now and self._dials_of_one.take(peer, now):
            self._dials.take("all", now)
            self._metrics.wants.inc("asked")
            self._maintenance.want_for_fetch(peer)
        else:
            self._metrics.wants.inc("over_budget")
