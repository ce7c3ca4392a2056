"""The connections there are, and what is known of their peers: pure state, by link and by peer.

::

    opened ──▶ open ──closing──▶ closing ──closed──▶ gone
                 └────────────────closed──────────────▲

Rules:

* A link counts once: as open, or as closing. `closed` takes it out of whichever. A short-lived one counts as neither,
  and no trim chooses it: it has a place of its own, and ends by itself.
* Opening a known link or closing an unknown one changes nothing and says so.
* Each open link is *protected* (its peer is), or *in grace* (its peer was first seen less than `grace` ago), or
  *eligible*. The three numbers are kept, so that asking costs nothing.
* A peer's value is the sum of its tags. It may be negative. Its tags go with its last connection; its protections stay.
* Tagging a peer that has no connection makes a *temporary* entry. It ends when the peer connects, which keeps the tags
  and begins the grace anew, or with its age, or when there are too many and it is the oldest.
* Protections are names, not counted: protected twice by one name, unprotected once, it is not protected by it.
* A peer has at most so many tags and protections, and at most so many peers are protected: one more is refused.
* Busy is a number per peer, reported by whoever has work under way with it; it never falls below zero.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ....transport.gatekeeper import Link
from ....transport.identity import PeerId
from ..errors import TooMany
from .peer import Peer, State, seniority, tiebreak


class PeerTable:
    """Links from `Opened` to `Closed`, tags, protections. Times are monotonic seconds, given as `now`."""

    def __init__(
        self,
        *,
        secret: bytes,
        grace: float,
        temporary_age: float,
        max_temporary: int,
        max_tags: int,
        max_protected: int,
        ended: Callable[[PeerId], object],
    ) -> None:
        """secret: at most 64 bytes that nobody else knows. max_tags: of one peer, and names that protect it.

        ended: called with each peer whose entry ends: its tags, decaying ones too, are gone.
        """
        self.peers: dict[PeerId, Peer] = {}
        self.protections: dict[PeerId, set[str]] = {}
        self.busy: dict[PeerId, int] = {}
        self.open = 0
        self.closing = 0
        self._secret = secret
        self._grace = grace
        self._temporary_age = temporary_age
        self._max_temporary = max_temporary
        self._max_tags = max_tags
        self._max_protected = max_protected
        self._ended = ended
        self._links: dict[int, Peer] = {}
        self._states = [0] * len(State)  # open links
        self._in_grace: OrderedDict[PeerId, Peer] = OrderedDict()  # connected, oldest first
        self._temporary: OrderedDict[PeerId, Peer] = OrderedDict()  # oldest first

    # Counts ----------------------------------------------------------------------------------------------------------

    def count(self, state: State) -> int:
        """Open connections in this state, as of the last `expire`."""
        return self._states[state]

    @property
    def temporary(self) -> int:
        """Peers with tags and without a connection."""
        return len(self._temporary)

    def in_grace(self, peer: Peer, now: float) -> bool:
        """Whether the peer was first seen less than the grace ago, protected or not."""
        return peer.first_seen > now - self._grace

    def expire(self, now: float, limit: int) -> bool:
        """Let at most `limit` entries grow out of their grace, or end with their age; whether there are more."""
        grace_over, too_old = now - self._grace, now - self._temporary_age
        more = all(self._end_oldest(self._in_grace, grace_over, self._end_grace) for _ in range(limit))
        return all(self._end_oldest(self._temporary, too_old, self._end) for _ in range(limit)) or more

    # Links -----------------------------------------------------------------------------------------------------------

    def has_peer(self, peer: PeerId) -> bool:
        """Whether a link to `peer` is open or closing."""
        known = self.peers.get(peer)
        return known is not None and not known.is_temporary

    def link_ids(self) -> tuple[int, ...]:
        """Every link, open or closing, in the order they opened."""
        return tuple(self._links)

    def find(self, link_id: int) -> tuple[Peer, Link] | None:
        """An open link and its peer."""
        peer = self._links.get(link_id)
        found = [link for link in (*peer.links, *peer.short_lived) if link.id == link_id] if peer is not None else []
        return (peer, found[0]) if peer is not None and found else None

    def opened(self, link: Link, now: float) -> bool:
        """A link is there. False, and nothing changes, if it is known."""
        if link.id in self._links:
            return False
        peer = self.peers.get(link.peer)
        if peer is None:
            peer = self.peers[link.peer] = self._new_peer(link.peer, now)
        if peer.is_temporary:
            self._temporary.pop(peer.id, None)
            self._set_first_seen(peer, now)
            self._in_grace[peer.id] = peer
            self._update_state(peer)
        self._links[link.id] = peer
        if link.short_lived:
            peer.short_lived = (*peer.short_lived, link)
        else:
            self._set_links(peer, (*peer.links, link))
        return True

    def closed(self, link_id: int) -> Link | None:
        """A link is gone. None, and nothing changes, if it is not known."""
        peer = self._links.pop(link_id, None)
        if peer is None:
            return None
        (link,) = [each for each in (*peer.links, *peer.closing, *peer.short_lived) if each.id == link_id]
        if link.short_lived:
            peer.short_lived = _without(peer.short_lived, link)
        elif link in peer.closing:
            peer.closing = _without(peer.closing, link)
            self.closing -= 1
        else:
            self._set_links(peer, _without(peer.links, link))
        if peer.is_temporary:
            self._end(peer)
        return link

    def begin_closing(self, link: Link) -> bool:
        """An open link was chosen to be closed. False, and nothing changes, if it is not open."""
        peer = self._links.get(link.id)
        if peer is None or link not in peer.links:
            return False
        self._set_links(peer, _without(peer.links, link))
        peer.closing = (*peer.closing, link)
        self.closing += 1
        return True

    # Tags ------------------------------------------------------------------------------------------------------------

    def tag(self, peer: PeerId, name: str, weight: int, now: float) -> None:
        """Set a tag. Raises TooMany, with nothing changed."""
        known = self.peers.get(peer)
        if known is not None and name not in known.tags and len(known.tags) >= self._max_tags:
            raise TooMany(f"{peer} has {len(known.tags)} tags", self._max_tags, "max_tags")
        entry = self.entry(peer, now)
        entry.value += weight - entry.tags.get(name, 0)
        entry.tags[name] = weight

    def untag(self, peer: PeerId, name: str) -> bool:
        """Take a tag away; False if there is none."""
        entry = self.peers.get(peer)
        if entry is None or name not in entry.tags:
            return False
        entry.value -= entry.tags.pop(name)
        return True

    def weight(self, peer: PeerId, name: str) -> int:
        """What a tag is worth; 0 without it."""
        entry = self.peers.get(peer)
        return entry.tags.get(name, 0) if entry is not None else 0

    def entry(self, peer: PeerId, now: float) -> Peer:
        """The peer's entry, a temporary one if there is none."""
        known = self.peers.get(peer)
        if known is None:
            if len(self._temporary) >= self._max_temporary:
                self._end(next(iter(self._temporary.values())))
            known = self.peers[peer] = self._temporary[peer] = self._new_peer(peer, now)
        return known

    def shift(self, peer: PeerId, change: int) -> None:
        """A decaying tag of a known peer is worth so much more now."""
        self.peers[peer].value += change

    # Protections and work --------------------------------------------------------------------------------------------

    def protect(self, peer: PeerId, name: str) -> None:
        """Protect a peer, known or not, in a name. Raises TooMany, with nothing changed."""
        names = self.protections.get(peer)
        if names is None:
            if len(self.protections) >= self._max_protected:
                raise TooMany(f"{len(self.protections)} peers are protected", self._max_protected, "max_protected")
            names = self.protections[peer] = set()
        if name not in names and len(names) >= self._max_tags:
            raise TooMany(f"{peer} is protected under {len(names)} names", self._max_tags, "max_tags")
        names.add(name)
        self._update_state(self.peers.get(peer))

    def unprotect(self, peer: PeerId, name: str) -> bool:
        """End the protection in that name; whether another one protects the peer still."""
        names = self.protections.get(peer, set())
        if names == {name}:
            del self.protections[peer]
            self._update_state(self.peers.get(peer))
            return False
        names.discard(name)
        return bool(names)

    def add_busy(self, peer: PeerId, delta: int) -> bool:
        """More or less is under way with a peer. False if that would be less than nothing; then it is nothing."""
        now = self.busy.get(peer, 0) + delta
        if now > 0:
            self.busy[peer] = now
        else:
            self.busy.pop(peer, None)
        entry = self.peers.get(peer)
        if entry is not None:
            entry.busy = max(now, 0)
            self._update_tiebreak(entry)
        return now >= 0

    # Parts -----------------------------------------------------------------------------------------------------------

    def _new_peer(self, id: PeerId, now: float) -> Peer:
        peer = Peer(id, now, 0, busy=self.busy.get(id, 0))
        self._set_first_seen(peer, now)
        self._update_state(peer)
        return peer

    def _set_first_seen(self, peer: Peer, now: float) -> None:
        """First seen now."""
        peer.first_seen = now
        peer.seniority = seniority(peer.id, now, self._secret)

    def _set_links(self, peer: Peer, links: tuple[Link, ...]) -> None:
        """Change the open links of a peer, and all counts with them."""
        change = len(links) - len(peer.links)
        peer.links = links
        self.open += change
        self._states[peer.state] += change
        if links:
            self._update_tiebreak(peer)

    def _update_tiebreak(self, peer: Peer) -> None:
        peer.tiebreak = tiebreak(peer)

    def _update_state(self, peer: Peer | None) -> None:
        """Find the state of a peer anew; its open links move with it."""
        if peer is None:
            return
        self._states[peer.state] -= len(peer.links)
        if peer.id in self.protections:
            peer.state = State.PROTECTED
        else:
            peer.state = State.IN_GRACE if peer.id in self._in_grace else State.ELIGIBLE
        self._states[peer.state] += len(peer.links)

    def _end_oldest(self, queue: OrderedDict[PeerId, Peer], until: float, end: Callable[[Peer], None]) -> bool:
        """Let the oldest of a queue go if it was first seen at `until` or before."""
        peer = next(iter(queue.values()), None)
        if peer is None or peer.first_seen > until:
            return False
        end(peer)
        return True

    def _end_grace(self, peer: Peer) -> None:
        del self._in_grace[peer.id]
        self._update_state(peer)

    def _end(self, peer: Peer) -> None:
        del self.peers[peer.id]
        self._in_grace.pop(peer.id, None)
        self._temporary.pop(peer.id, None)
        self._ended(peer.id)


def _without(links: tuple[Link, ...], gone: Link) -> tuple[Link, ...]:
    return tuple([link for link in links if link is not gone]) if len(links) > 1 else ()
