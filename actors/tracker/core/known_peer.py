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
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from ....transport.address import Address
from ....transport.gatekeeper import Role, Ticket
from ....transport.identity import PeerId
from ....transport.record import PeerRecord
from ..errors import IllegalTransition
from .pace import NO_WAIT, Pace


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


@dataclass(frozen=True, slots=True)
class Hold:
    """A ticket that is out. opened_at: since when its link is open, monotonic seconds; None while it is not."""

    ticket: Ticket
    opened_at: float | None = None


@dataclass(slots=True)
class Record:
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
    registered: str | None = None  # under which IP the gate knows it; kept by the register
    seen_at: float | None = None
    failed_at: float | None = None
    waits: Pace | None = None  # made when it first has to wait: most peers never do

    @property
    def pace(self) -> Pace:
        """What the peer has to wait for, to be changed."""
        if self.waits is None:
            self.waits = Pace()
        return self.waits

    @property
    def known_pace(self) -> Pace:
        """The same, to read."""
        return self.waits or NO_WAIT

    @property
    def status(self) -> Status:
        """Derived from the ticket that counts."""
        if self.hold is None:
            return Status.INERT
        return Status.RESERVED if self.hold.opened_at is None else Status.ACTIVE

    @property
    def listing(self) -> Role | None:
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

    def move(self, address: Address) -> bool:
        """Set the address that the membership has from the peer's own record; says whether it is another one."""
        before, self.address = self.address, address
        if self.waits is not None and before != address:
            self.waits.address_given()
        return before is not None and before != address

    def recall_address(self) -> None:
        """A set lists the peer without an address: then what the peer says of itself counts, if that is known."""
        if self.address is None and self.signed is not None:
            self.address = self.signed.address

    def forget_address(self) -> None:
        """No set lists the peer any more, so nobody vouches for its address."""
        self.address = None
        self.given = False

    def reserve(self, ticket: Ticket) -> None:
        """Hand out `ticket`. The ticket that counted, if any, is superseded."""
        if self.hold is not None and self.superseded is None:
            self.superseded = self.hold
        self.hold = Hold(ticket)

    def opened(self, now: float) -> None:
        """The link of the ticket that counts is there. Raises IllegalTransition unless RESERVED."""
        if self.hold is None or self.hold.opened_at is not None:
            raise IllegalTransition(f"a link to {self.peer.short} opened that nobody reserved ({self.status.value})")
        self.hold = replace(self.hold, opened_at=now)
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
