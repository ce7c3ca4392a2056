"""What the parts of transport's engine share: the wire, the table of links, and how a link begins and ends.

It knows none of the parts, and calls none.

Order on open: slot, verdict, handshake done, `Opened` to observers and receivers, then the first data.
Order on close: delivery stops, `Closed` to the same, `released` to the gatekeeper. Exactly one of each.
"""

from __future__ import annotations

import hashlib
import hmac
from itertools import count

from msgspec import Struct

from ... import runtime
from ...runtime import Message, Timer
from ..config import Config
from ..core.buckets import TokenBuckets
from ..core.codec import (
    MAX_ALTERNATIVES,
    REJECT_VERSION,
    SHORT_LIVED,
    VERSION,
    Bye,
    Control,
    Hello,
    Ping,
    Reject,
    Welcome,
    encode_control,
)
from ..core.floods import Floods
from ..core.handshake_limits import HandshakeLimits
from ..core.slots import Slots
from ..errors import DecodeError
from ..gatekeeper import Direction, Gate, Link, Role, Ticket
from ..identity import Identity, PeerId
from ..identity.generation import SET_ASIDE, Generations, Unusable, first, first_without_memory
from ..identity.life import Life
from ..mailbox import Closed, Gatekeeper, Mailbox, Opened, OwnRecord
from ..metrics import Metrics
from ..reasons import Reason
from ..record import PeerRecord
from ..wire import Route, Sent, Wire
from .limited_log import LimitedLog
from .links import Live, Table

_SAY_AGAIN = 0.005  # seconds


class Shut(Message, Struct, frozen=True):
    """Timer: the last words on this route have had their time."""

    route: Route


class SayBye(Message, Struct, frozen=True):
    """Timer: the wire was full when this route's last word was said."""

    route: Route
    reason: Reason


class Late(Message, Struct, frozen=True):
    """Timer: this handshake or dial took too long."""

    what: object


class Receiver(Struct, eq=False):
    """Who takes a channel, and what each peer may send on it."""

    mailbox: runtime.Mailbox
    inbound: TokenBuckets
    max_message: int  # bytes


class Shared(runtime.Engine[Mailbox]):
    """State and verbs of the engine that its parts use. The parts hold no state that is here."""

    def __init__(
        self,
        config: Config,
        *,
        identity: Identity,
        gatekeeper: Gatekeeper,
        observers: tuple[runtime.Mailbox, ...],
        generations: Generations | None,
    ) -> None:
        super().__init__()
        self.config = config
        self.identity = identity
        self.me = identity.peer
        self.gatekeeper = gatekeeper
        self.observers = observers
        self.metrics = Metrics(self.runtime.registry)
        self.gate: Gate | None = None
        self.links = Table()
        self.slots = Slots(
            total=config.max_connections,
            inbound=config.max_inbound,
            per_ip=config.max_per_ip,
            per_subnet=config.max_per_subnet,
            share_per_ip=config.max_inbound_share_per_ip,
            short_lived=config.short_lived_places,
        )
        self.handshake_limits = HandshakeLimits(
            per_ip=(config.handshakes_per_ip, config.handshake_burst),
            per_subnet=(config.handshakes_per_subnet, config.handshake_burst),
            max_pending=config.max_pending_handshakes,
        )
        self.floods = Floods(config.flood_drops)
        self.limited_log = LimitedLog(self, self.metrics.log_lines_left_out)
        self.receivers: dict[int, Receiver] = {}
        self.packet_receivers: dict[int, runtime.Mailbox] = {}  # by kind
        self.generations = generations
        self.life = Life(identity, self._first_generation())
        self.record = PeerRecord.sign(
            identity,
            network=config.network,
            address=config.advertise,
            generation=self.life.generation,
            life=self.life,
        )
        self.wire: Wire
        self._link_ids = count(1)

    # Begin -----------------------------------------------------------------------------------------------------------

    def _first_generation(self) -> int:
        """That of this life, stored before anybody hears of it."""
        if self.generations is None:
            generation = first_without_memory(self.wall(), self.rng)
            self.log.info(
                "no data folder, so the generation is random within the second: a restart may seem an earlier life",
                generation=generation,
            )
            return generation
        stored = self.generations.load()
        if isinstance(stored, Unusable):
            self.log.warning(SET_ASIDE, why=str(stored))
            stored = None
        generation = first(self.wall(), stored)
        self.generations.store(generation)
        return generation

    @property
    def own(self) -> OwnRecord:
        """Our record, as it stands now."""
        return OwnRecord(self.record, self.life)

    def new_link(
        self, record: PeerRecord, direction: Direction, role: Role, ip: str, *, short_lived: bool = False
    ) -> Link:
        """A link with the next id, opened now."""
        return Link(next(self._link_ids), record.peer, direction, role, ip, self.now(), record, short_lived)

    def give_back(self, direction: Direction, ip: str, *, short_lived: bool) -> None:
        """The slot of a dial, handshake or link that is over."""
        (self.slots.short_lived if short_lived else self.slots).give_back(direction, ip)

    def opened(self, live: Live) -> None:
        """The connection is there: enter it, then tell everybody."""
        link = live.link
        self.wire.limit(live.route, None)  # it may have been a packet link before
        self.links.by_route[live.route] = self.links.live[link.peer] = self.links.by_id[link.id] = live
        self.metrics.connections.add(1, link.direction)
        self.note(link.ip, "connected", peer=link.peer.short, direction=link.direction.value, link=link.id)
        self.emit(Opened(link))

    # End -------------------------------------------------------------------------------------------------------------

    def closed(self, live: Live, reason: Reason, *, say_why: bool) -> bool:
        """The connection is over: take it out, then tell everybody; False if it was before. For `Handshakes.close`.

        say_why: tell the other side.
        """
        link = live.link
        if self.links.by_id.pop(link.id, None) is None:
            return False
        del self.links.live[link.peer]
        cancel(live.retry)
        unconfirmed = self._count_loss(live)
        self.metrics.connections.add(-1, link.direction)
        self.metrics.closed.inc(reason)
        self.note(
            link.ip,
            "disconnected",
            peer=link.peer.short,
            reason=reason.value,
            link=link.id,
            lost=live.lost,
            unconfirmed=unconfirmed,
            unclaimed=live.unclaimed,
        )
        if say_why:
            sent = self.send_control(live.route, Bye(reason))
            self.shut_later(live.route)
            if sent is Sent.FULL:
                self.after(_SAY_AGAIN, SayBye(live.route, reason))
        else:
            self.shut(live.route)
        self.emit(Closed(link.id, link.peer, reason, live.lost, unconfirmed))
        self.give_back(link.direction, link.ip, short_lived=link.short_lived)
        self.release(live.ticket, reason)
        return True

    def shut(self, route: Route) -> None:
        """Nothing of this route is handed up from now on."""
        self.links.by_route.pop(route, None)
        cancel(self.links.closing.pop(route, None))
        self.wire.sever(route)

    def shut_later(self, route: Route) -> None:
        """As `shut`, but let what was sent leave first; what comes meanwhile is ignored."""
        self.links.by_route.pop(route, None)
        if self.config.close_grace == 0:
            self.wire.sever(route)
        elif route not in self.links.closing:
            self.links.closing[route] = self.after(self.config.close_grace, Shut(route))

    def say_bye(self, message: SayBye) -> None:
        """The last word again, while its route is not shut."""
        if message.route in self.links.closing and self.send_control(message.route, Bye(message.reason)) is Sent.FULL:
            self.after(_SAY_AGAIN, message)

    def refuse(self, route: Route, reason: Reason, alternatives: tuple[PeerRecord, ...] = ()) -> None:
        """Tell who said Hello why not, and from a node that is not private who may be asked instead; then shut."""
        self.metrics.refused.inc(reason)
        named = () if self.gate is None or self.gate.is_private else alternatives[:MAX_ALTERNATIVES]
        self.send_control(route, Reject(reason, tuple(record.encode() for record in named)))
        self.shut_later(route)

    def refuse_version(self, route: Route) -> None:
        """Tell who speaks another version of the protocol that we do not; then shut."""
        self.metrics.refused.inc(Reason.VERSION)
        self.wire.send(route, [REJECT_VERSION])
        self.shut_later(route)

    def alternatives_for(self, peer: PeerId | None, ip: str) -> tuple[PeerRecord, ...]:
        """Whom else a peer may dial when it is turned away for now: some of those connected to us or in the gate."""
        named = self.gate.alternatives if self.gate is not None else ()
        records = {each.peer: each for each in (*named, *(live.link.record for live in self.links.by_id.values()))}
        known = [each for each in records.values() if each.peer != peer and each.may_be_told(ip)]
        return tuple(self.rng.sample(known, min(len(known), MAX_ALTERNATIVES)))

    def release(self, ticket: Ticket | None, reason: Reason) -> None:
        """The gatekeeper's reservation is over."""
        if ticket is not None:
            self.gatekeeper.released(ticket, reason)

    # Tell ------------------------------------------------------------------------------------------------------------

    def emit(self, event: Opened | Closed) -> None:
        """Observers first, in their order, then the receivers of channels in the order of their numbers."""
        reached: list[runtime.Mailbox] = []
        for mailbox in (*self.observers, *(self.receivers[number].mailbox for number in sorted(self.receivers))):
            if mailbox not in reached:
                reached.append(mailbox)
                mailbox.tell(event)

    def send_control(self, route: Route, message: Control) -> Sent:
        """One control frame, now."""
        return self.wire.send(route, [encode_control(message)])

    def ping(self, live: Live) -> Sent:
        """Ask a connection for a sign of life."""
        sent = self.send_control(live.route, Ping(live.received))
        live.asked += sent is Sent.OK
        return sent

    # Log ------------------------------------------------------------------------------------------------------------

    def note(self, ip: str, event: str, **facts: object) -> None:
        """A line of level info that the far end, at this IP, can cause: written while it causes few."""
        self.limited_log.note(ip, event, ip=ip, **facts)

    def warn(self, ip: str, event: str, **facts: object) -> None:
        """As `note`, a warning."""
        self.limited_log.warn(ip, event, ip=ip, **facts)

    # Introduce and check ---------------------------------------------------------------------------------------------

    def hello(self, *, packets: bool, short_lived: bool = False) -> Hello:
        """Ours. packets: for a packet link, not a connection. short_lived: for a connection of that kind."""
        extensions = ((SHORT_LIVED, 1),) if short_lived else ()
        return Hello((VERSION,), self.config.network, self.record.encode(), packets, self.proof(self.me), extensions)

    def welcome(self, nonce: bytes) -> Welcome:
        """Ours. nonce: what Ready has to repeat; of a packet link nothing is."""
        return Welcome(VERSION, nonce, self.record.encode(), self.proof(self.me))

    def proof(self, prover: PeerId) -> bytes | None:
        """That `prover` holds the network key; CURVE has proven already that it speaks, and to whom."""
        if self.config.network_key is None:
            return None
        return hmac.digest(bytes.fromhex(self.config.network_key), b"rookery-proof-1\0" + prover, hashlib.sha256)

    def judge_record(self, record: bytes, proof: bytes | None, *, connects: bool = False) -> PeerRecord | Reason:
        """The sender's record if it is valid in this network and its proof holds; else what is wrong.

        connects: the sender wants a connection, so whoever must wait for one is told before the signature is paid for.
        """
        try:
            known = PeerRecord.decode(record, network=self.config.network, verify=False)
        except DecodeError as error:
            self.log.debug("record refused", error=str(error))
            return Reason.RECORD
        expected = self.proof(known.peer)
        if expected is not None and not hmac.compare_digest(expected, proof or b""):
            return Reason.NETWORK
        waits = self.gate.check_connection(known.peer, self.now()) if connects and self.gate is not None else None
        if waits is not None:
            return waits
        return known if known.verify() else Reason.RECORD

    def read_alternatives(self, records: tuple[bytes, ...]) -> tuple[PeerRecord, ...]:
        """What of a Reject's records is valid; the rest is ignored."""
        valid: list[PeerRecord] = []
        for data in records:
            try:
                valid.append(PeerRecord.decode(data, network=self.config.network))
            except DecodeError:
                self.metrics.invalid.inc("alternative")
        return tuple(valid)

    def deadline(self, seconds: float, what: object) -> Timer:
        """A timer for a handshake or dial."""
        return self.after(seconds, Late(what))

    def _count_loss(self, live: Live) -> int:
        """Enter what a link loses at its end; how many messages are unconfirmed."""
        for messages in (live.first.messages, live.outbox.messages):
            if messages:
                self.metrics.lost.inc("closed", by=len(messages))
                live.lost += len(messages)
                messages.clear()
        unconfirmed = live.sent - live.confirmed
        if unconfirmed:
            self.metrics.unconfirmed.inc(by=unconfirmed)
        return unconfirmed


def cancel(timer: Timer | None) -> None:
    """Cancel a timer that may not have been set."""
    if timer is not None:
        timer.cancel()
