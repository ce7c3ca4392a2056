"""What the tracker knows of one peer, and the life of its reservation.

::

              reserve                opened
    INERT ──────────────▶ RESERVED ──────────▶ ACTIVE
      ▲                    │  ▲  move: a newer claim of the peer takes over, with a new ticket
      └──── release ───────┴──┴──────────────────┘

* At most one ticket counts, in either direction: whoever holds it is connecting or connected.
* A claim may supersede the ticket that counts; the reservation moves to its new ticket, and the old one's release is
  void. If the new one is released unopened while the old one still lives, the old one counts again.
* Stale: an operator gave another address while reserved or active. It lasts until release, also if the address is
  changed back; a stale reservation never becomes a link.
* A link that nobody reserved is an IllegalTransition.

How soon it may be tried again is its `Pace`:

::

    cooldown    from an inbound reservation, or after a trim: no new reservation in either direction
    back-off    after a failed dial: a random part of a delay that grows with each failure; no dial
    rest        after a link that broke: no dial either, unless the node is short of connections

* Full jitter: the wait is anywhere between nothing and the delay. It also parts two peers that dial each other.
* A failure of our own making (our limit, a dial overtaken by the peer's, an address that changed) is no miss.
* A refusal that says "not now" or "you have me already" is no miss either, but waits the initial delay.
* The back-off after a refusal for want of room is no wait for a short-lived link, which needs none of that room.
* A short-lived link whose time is over costs nothing: it was for as long.
* A link that was opened is no miss, however it ends. Only one that broke costs the rest, never one that a side closed.
* One that ended in its first seconds was never whole, whatever the peer says of the end (it may have given up its
  handshake, or mean to have itself dialled): it costs the back-off, and no rest. So does, beside the rest, one that
  broke before it had lived as long as the rest.
* The back-off grows when that recurs. The delay starts anew after a link that lived as long as the rest, and at another
  address; but at one that the peer says itself only once in a rest, or it could have itself dialled without end.
"""

from __future__ import annotations

import enum
import random

from msgspec import Struct
from msgspec.structs import replace

from ....transport.address import Address
from ....transport.gatekeeper import Role, Ticket
from ....transport.identity import PeerId
from ....transport.reasons import Reason
from ....transport.record import PeerRecord
from ..config import Config
from ..errors import IllegalTransition

NEVER = float("-inf")
_OURS = frozenset({Reason.SUPERSEDED, Reason.REPLACED, Reason.STALE, Reason.ADDRESS_CHANGED})
_NOT_NOW = frozenset({Reason.LIMIT, Reason.QUEUED, Reason.DUPLICATE, Reason.COOLDOWN})
_DONE = frozenset({Reason.IDLE, Reason.TURN_OVER})
_BROKEN = frozenset({Reason.LOST, Reason.DEAD})
BRIEF = 5.0
"""Seconds that a link must have lived to be one that was lost: as long as the other side has for its handshake."""

BRIEFEST = 1.0
"""Seconds that a short-lived link must have lived to cost nothing: whose time is over has been there for longer."""


class Pace(Struct):
    """When one peer may be reserved and dialled; monotonic seconds."""

    reservable_at: float = NEVER
    retry_at: float = NEVER
    rest_until: float = NEVER
    crowded_until: float = NEVER  # it had no room among its connections; a short-lived one needs none
    delay: float = 0.0  # the last back-off delay; 0 before the first
    last_miss: float | None = None
    moved_at: float = NEVER  # when the peer's own word of another address last ended the waits

    @property
    def is_fresh(self) -> bool:
        """Whether there is nothing to wait for, and no miss."""
        return self.quiet_until == NEVER and self.last_miss is None

    @property
    def dial_at(self) -> float:
        """When a dial that somebody insists on may start."""
        return max(self.short_lived_at, self.crowded_until)

    @property
    def short_lived_at(self) -> float:
        """When such a dial for a short-lived connection may."""
        return max(self.reservable_at, self.retry_at)

    @property
    def quiet_until(self) -> float:
        """When the peer is dialled without anybody insisting."""
        return max(self.dial_at, self.rest_until)

    def accepted(self, config: Config, now: float) -> None:
        """An inbound connection was reserved."""
        self.reservable_at = now + config.cooldown

    def dial_failed(
        self, reason: Reason, config: Config, rng: random.Random, now: float, *, short_lived: bool = False
    ) -> bool:
        """A dial ended without a link; True if that is a miss."""
        if reason in _OURS:
            return False
        if reason in _NOT_NOW:
            self.retry_at = now + rng.uniform(0, config.backoff_initial)
            return False
        wait = self._grown(config, rng)
        if reason is Reason.TOO_MANY and not short_lived:
            self.crowded_until = now + wait
        else:
            self.retry_at = now + wait
        self.last_miss = now
        return True

    def link_opened(self) -> None:
        """The peer can be reached: it has missed nothing."""
        self.last_miss = None

    def link_ended(
        self,
        reason: Reason,
        lived: float,
        config: Config,
        rng: random.Random,
        now: float,
        *,
        short_lived: bool = False,
    ) -> None:
        """A link that was open `lived` seconds is over."""
        if short_lived and reason in _DONE and lived >= BRIEFEST:
            return
        whole = lived >= config.rest_after_loss
        if whole:
            self.delay = 0.0
        if reason is Reason.TRIMMED:
            self.reservable_at = now + config.cooldown
        if reason in _BROKEN and lived >= BRIEF:
            self.rest_until = now + config.rest_after_loss
            costs = not whole
        elif lived < BRIEF:
            costs = reason is not Reason.ADDRESS_CHANGED
        else:
            costs = reason is not Reason.TRIMMED and reason not in _OURS
        if costs:
            self._back_off(config, rng, now)

    def address_given(self) -> None:
        """Another address: what failed at the old one says nothing. The cooldown stays."""
        self.retry_at = self.rest_until = self.crowded_until = NEVER
        self.delay = 0.0
        self.last_miss = None

    def address_said(self, config: Config, now: float) -> None:
        """The same, but it is the peer that says so."""
        if now - self.moved_at >= config.rest_after_loss:
            self.address_given()
            self.moved_at = now

    def _back_off(self, config: Config, rng: random.Random, now: float) -> None:
        self.retry_at = now + self._grown(config, rng)

    def _grown(self, config: Config, rng: random.Random) -> float:
        """How long to wait now, which is longer each time."""
        grown = self.delay * config.backoff_factor if self.delay else config.backoff_initial
        self.delay = min(grown, config.backoff_cap)
        return rng.uniform(0, self.delay)


NO_WAIT = Pace()  # of whoever has none of its own; never changed


class Status(enum.Enum):
    """Whether a peer is being connected to."""

    INERT = "inert"
    RESERVED = "reserved"
    ACTIVE = "active"


class Given(enum.Enum):
    """What an address given is beside the one that was known.

    FIRST: there was no other. CONFIRMED: another, and the one that the peer itself names, which is connected. Neither
    makes anything stale.
    """

    SAME = "same"
    FIRST = "first"
    CONFIRMED = "confirmed"
    CHANGED = "changed"


class Hold(Struct, frozen=True):
    """A ticket that is out. opened_at: since when its link is open, monotonic seconds; None while it is not."""

    ticket: Ticket
    opened_at: float | None = None
    short_lived: bool = False


class KnownPeer(Struct):
    """One peer. given: whether an operator set the address, rather than the peer's own signed record.

    source: who named the peer first; None if that was no peer.
    seen_at: when a link of it last opened or ended; failed_at: when a dial of it last failed. Monotonic seconds.
    """

    peer: PeerId
    address: Address | None = None
    given: bool = False
    signed: PeerRecord | None = None
    source: PeerId | None = None
    primary_sets: int = 0
    secondary_sets: int = 0
    seed: bool = False
    stale: bool = False
    hold: Hold | None = None
    superseded: Hold | None = None
    registered: str | None = None  # under which IP the gate lets it in; kept by `RegisteredIps`
    seen_at: float | None = None
    failed_at: float | None = None
    waits: Pace | None = None  # made when it first has to wait: most peers never do

    @property
    def pace(self) -> Pace:
        """What the peer has to wait for, to be changed; its own from now on."""
        if self.waits is None:
            self.waits = Pace()
        return self.waits

    @property
    def known_pace(self) -> Pace:
        """What the peer has to wait for, to be read; `NO_WAIT` for the many that never had to."""
        return self.waits or NO_WAIT

    @property
    def status(self) -> Status:
        """Derived from the ticket that counts."""
        if self.hold is None:
            return Status.INERT
        return Status.RESERVED if self.hold.opened_at is None else Status.ACTIVE

    @property
    def role(self) -> Role | None:
        """The best role in any tracked set; None if no set lists the peer."""
        if self.primary_sets or self.seed:
            return Role.PRIMARY
        return Role.SECONDARY if self.secondary_sets else None

    def enlist(self, role: Role, by: int) -> None:
        """A set with the peer in this role came (1) or went (-1)."""
        if role is Role.PRIMARY:
            self.primary_sets += by
        else:
            self.secondary_sets += by
        if self.primary_sets < 0 or self.secondary_sets < 0:
            raise IllegalTransition(f"peer {self.peer.short} left a set it was not in")

    def give_address(self, address: Address) -> Given:
        """Set the address that an operator gives, by `track` or `overwrite`."""
        before, self.given = self.address, True
        if address == before:
            return Given.SAME
        self.address = address
        if self.waits is not None:
            self.waits.address_given()
        if before is None:
            return Given.FIRST
        if self.status is Status.ACTIVE and self.signed is not None and self.signed.address == address:
            return Given.CONFIRMED
        self.stale = self.hold is not None
        return Given.CHANGED

    def _move(self, address: Address, config: Config, now: float) -> bool:
        before, self.address = self.address, address
        if self.waits is not None and before != address:
            self.waits.address_said(config, now)
        return before is not None and before != address

    def recall_address(self) -> None:
        """A set lists the peer without an address: then what the peer says of itself counts, if that is known."""
        if self.address is None and self.signed is not None:
            self.address = self.signed.address

    def is_newer(self, signed: PeerRecord) -> bool:
        """Whether a hint says more than is known: it is of a later generation, or gives back an address that went."""
        before = self.signed
        if before is None or signed.generation > before.generation:
            return True
        return signed.generation == before.generation and self.address is None and signed.address is not None

    def is_another(self, signed: PeerRecord) -> bool:
        """Whether it is of the generation that is known, and says something else."""
        before = self.signed
        return before is not None and signed.generation == before.generation and signed != before

    def believe(self, signed: PeerRecord, config: Config, now: float) -> bool:
        """Take in what the membership has of a listed peer; says whether the address is another one now.

        An older record moves the peer, too: the membership hears from it there, and a newer may be of a life before.
        """
        is_newer = self.signed is None or signed.generation > self.signed.generation
        if is_newer or self.is_another(signed):
            self.signed = signed
        if signed.address is None or (self.given and not (is_newer and config.learn_addresses)):
            return False
        return self._move(signed.address, config, now)

    def forget_address(self) -> None:
        """No set lists the peer any more, so nobody vouches for its address."""
        self.address = None
        self.given = False

    def reserve(self, ticket: Ticket, *, short_lived: bool = False) -> None:
        """Hand out `ticket`. The ticket that counted, if any, is superseded."""
        if self.hold is not None and self.superseded is None:
            self.superseded = self.hold
        self.hold = Hold(ticket, short_lived=short_lived)

    def opened(self, now: float, *, short_lived: bool = False) -> None:
        """The link of the ticket that counts is there. Raises IllegalTransition unless RESERVED."""
        if self.hold is None or self.hold.opened_at is not None:
            raise IllegalTransition(f"a link to {self.peer.short} opened that nobody reserved ({self.status.value})")
        self.hold = replace(self.hold, opened_at=now, short_lived=short_lived)
        self.seen_at = now
        self.superseded = None

    def release(self, ticket: Ticket) -> Hold | None:
        """Take `ticket` back; what it held, or None if the release is void."""
        if self.superseded is not None and self.superseded.ticket == ticket:
            self.superseded = None
            return None
        if self.hold is None or self.hold.ticket != ticket:
            return None
        ended, self.hold, self.superseded = self.hold, self.superseded, None
        if self.hold is None:
            self.stale = False
        return ended
