"""Our dials until the far end answers (flows: dial): slot, name, connect, Hello. What follows is in `handshake.py`.

* The addresses of a name are tried in the resolver's order, each for its share of the dial's time. The peer's own word
  ends the dial, whichever address it came from.
* A packet link to the address becomes the connection once it is up: an answer to its Hello is none to the dial's. Until
  then the dial waits for it; if it ends, before or after, the dial opens a route of its own.
"""

from __future__ import annotations

from itertools import islice

from msgspec import Struct

from ...runtime import Message
from ..address import Endpoint, is_global
from ..core.codec import Bye, Control, Reject, Welcome
from ..gatekeeper import Ticket
from ..identity import PeerId, possible_curve_key
from ..mailbox import Dial
from ..reasons import Reason
from ..wire import Sent
from .handshake import Handshakes
from .links import Dialling, PacketLink
from .name_lookup import MAX_ADDRESSES, NameLookUps, Resolved
from .shared import Shared, cancel

_RETRY_ENDPOINT = 0.05  # seconds until an endpoint that another dial has is tried again


class TryConnect(Message, Struct, frozen=True):
    """Timer: the endpoint may be free now."""

    dial: Dialling


class AttemptOver(Message, Struct, frozen=True):
    """Timer: the present attempt of a dial has had its share of the time."""

    dial: Dialling


class Dials:
    """Our dials. Their state is in the table."""

    def __init__(self, shared: Shared, handshakes: Handshakes, names: NameLookUps) -> None:
        """Part of one engine."""
        self._shared = shared
        self._handshakes = handshakes
        self._names = names

    def start(self, message: Dial) -> None:
        """Take a slot and find out where to connect to."""
        shared, peer = self._shared, message.ticket.peer
        key = possible_curve_key(peer)
        if key is None:
            self._refuse(message.ticket, Reason.AUTHENTICATION)
            return
        reason = self._impossible(peer, key) or self._handshakes.take_outbound(short_lived=message.short_lived)
        if reason is not None:
            self._refuse(message.ticket, reason)
            return
        dial = shared.links.dials[peer] = Dialling(message.ticket, message.address, key, message.short_lived)
        dial.deadline = shared.deadline(shared.config.dial_timeout, dial)
        endpoint = message.address.endpoint
        if endpoint.is_numeric:
            self._resolved(dial, Resolved((endpoint,)))
        else:
            self._names.ask(
                peer, endpoint, lambda resolved: self._resolved(dial, resolved), lambda: shared.links.is_dialling(dial)
            )

    def _refuse(self, ticket: Ticket, reason: Reason) -> None:
        self._shared.metrics.dials.inc(reason)
        self._shared.release(ticket, reason)

    def _impossible(self, peer: PeerId, key: bytes) -> Reason | None:
        if peer == self._shared.me:
            return Reason.SELF
        if self._shared.gate is not None and key in self._shared.gate.blocked:
            return Reason.BLOCKED
        if peer in self._shared.links.live or peer in self._shared.links.dials:
            return Reason.DUPLICATE
        return None

    def _resolved(self, dial: Dialling, resolved: Resolved | Exception) -> None:
        shared = self._shared
        if not self._shared.links.is_dialling(dial):
            return
        if isinstance(resolved, Exception):
            resolved = Resolved(refused=(f"{type(resolved).__name__}: {resolved}"[:200],))
        if resolved.refused:
            shared.log.debug("name not resolved", address=str(dial.address), refused="; ".join(resolved.refused[:3]))
        usable = [endpoint for endpoint in resolved.endpoints if self._usable(endpoint)]
        allowed = (each for each in usable if shared.gate is None or shared.gate.admits_dial(dial.ticket.peer, each))
        dial.untried.extend(islice(allowed, MAX_ADDRESSES))
        self._try_next(dial, Reason.GATED if usable else Reason.UNRESOLVED)

    def _usable(self, endpoint: Endpoint) -> bool:
        shared = self._shared
        blocked = shared.gate is not None and shared.gate.blocks_ip(endpoint.host)
        return not blocked and (shared.config.allow_private_ips or (endpoint.ip is not None and is_global(endpoint.ip)))

    def _try_next(self, dial: Dialling, reason: Reason) -> None:
        """Go on with the next address of the name. reason: why the dial fails if there is none."""
        while dial.untried:
            dial.endpoint = dial.untried.popleft()
            if self._usable(dial.endpoint):  # still: a block may have come meanwhile
                self._begin_attempt(dial)
                self.connect(dial)
                return
        self._handshakes.fail(dial, reason)

    def _begin_attempt(self, dial: Dialling) -> None:
        """An attempt behind which there are others has its share of the time that is left; the last has all of it."""
        shared, others = self._shared, len(dial.untried) + dial.adopted
        cancel(dial.share)
        if others and dial.deadline is not None:
            left = max(dial.deadline.deadline - shared.now(), 0.0)
            dial.share = shared.after(left / (others + 1), AttemptOver(dial))

    def attempt_over(self, message: AttemptOver) -> None:
        """An address has had its time."""
        if self._shared.links.is_dialling(message.dial):
            self.ended(message.dial, Reason.TIMEOUT)

    def ended(self, dial: Dialling, reason: Reason) -> None:
        """This attempt failed. Until the peer has answered, another way to it may do."""
        if dial.judged:
            self._handshakes.fail(dial, reason, say_why=False)
            return
        self._shared.log.debug(
            "attempt failed", peer=dial.ticket.peer.short, endpoint=str(dial.endpoint), reason=reason.value
        )
        if dial.route is not None:
            self._shared.shut(dial.route)
        dial.route, was_packet_link, dial.adopted = None, dial.adopted, False
        if was_packet_link:  # its end says nothing of a connection
            self._begin_attempt(dial)
            self.connect(dial)
        else:
            self._try_next(dial, reason)

    def connect(self, dial: Dialling) -> None:
        """Have the wire connect, or wait while another of our dials or a packet link's handshake has the endpoint."""
        shared = self._shared
        if not self._shared.links.is_dialling(dial) or dial.route is not None or dial.endpoint is None:
            return
        if any(live.endpoint == dial.endpoint for live in shared.links.by_id.values()):
            self._try_next(dial, Reason.ADDRESS_IN_USE)  # a live link there has proven that it is somebody else's
            return
        packets = shared.links.packets.get(dial.ticket.peer)
        if packets is not None and packets.endpoint == dial.endpoint:
            if packets.up:
                self._promote(dial, packets)
            return  # else `packet_link_changed` goes on
        dial.route = shared.wire.connect(dial.endpoint, dial.curve_key)
        if dial.route is None:
            shared.after(_RETRY_ENDPOINT, TryConnect(dial))
        else:
            shared.links.by_route[dial.route] = dial

    def packet_link_changed(self, peer: PeerId) -> None:
        """Our packet link to this peer is up, or over: a dial may wait for that."""
        dial = self._shared.links.dials.get(peer)
        if dial is not None:
            self.connect(dial)

    def _promote(self, dial: Dialling, packets: PacketLink) -> None:
        """Turn our packet link to the peer into the dial: what is encrypted already need not be again."""
        shared = self._shared
        shared.links.drop_packet_link(packets)
        dial.route, dial.adopted = packets.route, True
        shared.links.by_route[dial.route] = dial
        self._begin_attempt(dial)
        self.up(dial)

    def up(self, dial: Dialling) -> None:
        """Encrypted, and the far end has the key we dialled."""
        shared = self._shared
        hello = shared.hello(packets=False, short_lived=dial.short_lived)
        if dial.route is not None and shared.send_control(dial.route, hello) is not Sent.OK:
            self.ended(dial, Reason.LOST)

    def said(self, dial: Dialling, message: Control) -> None:
        """The far end answered our Hello."""
        match message:
            case Welcome() if not dial.judged:
                self._handshakes.welcomed(dial, message)
            case Bye() if dial.adopted and not dial.judged:
                self.ended(dial, Reason.LOST)  # the last word on the packet link; it may not have read our Hello
            case Reject():
                alternatives = self._shared.read_alternatives(message.alternatives)
                self._shared.note(
                    dial.host, "dial refused by the peer", peer=dial.ticket.peer.short, reason=message.reason.value
                )
                self._handshakes.fail(dial, message.reason, alternatives=alternatives, say_why=False)
            case _:
                self._shared.metrics.invalid.inc("handshake")
                self._handshakes.fail(dial, Reason.PROTOCOL)
