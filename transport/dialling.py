"""The outbound flow (FLOWS 3.1, steps 4 to 7): slot, name, connect, Hello, verdict, Ready.

Every way out of a dial gives its slot back and reports its ticket released exactly once.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from ..runtime import Message
from .address import Endpoint, canonical_ip, is_global
from .codec import VERSION, Control, Hello, Ready, Reject, Welcome
from .core import Core, cancel
from .gatekeeper import Admitted, Claim, Direction, Refused, Ticket
from .identity import PeerId, possible_curve_key
from .links import Dialling, Live
from .mailbox import Dial
from .reasons import Reason
from .record import PeerRecord
from .wire import Sent

_RETRY_ENDPOINT = 0.05  # seconds until an endpoint that another dial has is tried again


@dataclass(frozen=True, slots=True)
class TryConnect(Message):
    """Timer: the endpoint may be free now."""

    dial: Dialling


def resolve(host: str, port: int) -> tuple[str, ...]:
    """The IPs of a name, canonical and in the resolver's order. Blocks; for the worker pool."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(canonical_ip(ip_address(entry[4][0]))) for entry in found))


class DiallingPart:
    """Our dials. Their state is in the table."""

    def __init__(self, core: Core) -> None:
        """Part of one engine."""
        self._core = core

    def start(self, message: Dial) -> None:
        """Take a slot and find out where to connect to."""
        core, peer = self._core, message.ticket.peer
        key = possible_curve_key(peer)
        if key is None:
            self._refuse(message.ticket, Reason.AUTHENTICATION)
            return
        reason = self._impossible(peer, key) or core.slots.take_outbound()
        if reason is not None:
            self._refuse(message.ticket, reason)
            return
        dial = core.links.dials[peer] = Dialling(message.ticket, message.address, key)
        dial.deadline = core.deadline(core.config.dial_timeout, dial)
        endpoint = message.address.endpoint
        if endpoint.is_numeric:
            self._resolved(dial, (endpoint.host,))
        else:
            core.on_reply(
                core.work(resolve, endpoint.host, endpoint.port),
                lambda ips: self._resolved(dial, ips),
                within=core.config.dial_timeout,
            )

    def _refuse(self, ticket: Ticket, reason: Reason) -> None:
        self._core.metrics.dials.inc(reason)
        self._core.release(ticket, reason)

    def _impossible(self, peer: PeerId, key: bytes) -> Reason | None:
        if peer == self._core.me:
            return Reason.SELF
        if self._core.gate is not None and key in self._core.gate.blocked:
            return Reason.BLOCKED
        if peer in self._core.links.live or peer in self._core.links.dials:
            return Reason.DUPLICATE
        return None

    def _resolved(self, dial: Dialling, ips: tuple[str, ...] | Exception) -> None:
        core = self._core
        if not self._current(dial):
            return
        if isinstance(ips, Exception):
            core.log.debug("name not resolved", endpoint=str(dial.address.endpoint), error=str(ips))
            ips = ()
        usable = [Endpoint(ip, dial.address.endpoint.port) for ip in ips if self._usable(ip)]
        allowed = [each for each in usable if core.gate is None or core.gate.admits_dial(dial.ticket.peer, each)]
        if not allowed:
            self.fail(dial, Reason.GATED if usable else Reason.UNRESOLVED)
            return
        dial.endpoint = core.rng.choice(allowed)
        self.connect(dial)

    def _usable(self, ip: str) -> bool:
        core = self._core
        blocked = core.gate is not None and core.gate.blocks_ip(ip)
        return not blocked and (core.config.allow_private_ips or is_global(ip_address(ip)))

    def connect(self, dial: Dialling) -> None:
        """Have the wire connect, or wait while another of our dials has the endpoint."""
        core = self._core
        if not self._current(dial) or dial.route is not None or dial.endpoint is None:
            return
        if any(live.endpoint == dial.endpoint for live in core.links.by_id.values()):
            self.fail(dial, Reason.ADDRESS_IN_USE)  # a live link there has proven that it is somebody else's
            return
        packets = core.links.packets.get(dial.ticket.peer)
        if packets is not None and packets.endpoint == dial.endpoint:
            self._promote(dial, packets.route, up=packets.up)
            return
        dial.route = core.wire.connect(dial.endpoint, dial.curve_key)
        if dial.route is None:
            core.after(_RETRY_ENDPOINT, TryConnect(dial))
        else:
            core.links.by_route[dial.route] = dial

    def _promote(self, dial: Dialling, route: bytes, *, up: bool) -> None:
        """Turn our packet link to the peer into the dial: what is encrypted already need not be again."""
        core = self._core
        packets = core.links.packets.pop(dial.ticket.peer)
        core.links.packet_routes.pop(route, None)
        cancel(packets.deadline)
        core.metrics.packets.inc("dropped", by=len(packets.queue))
        dial.route = route
        core.links.by_route[route] = dial
        if up:
            self.up(dial)

    def up(self, dial: Dialling) -> None:
        """Encrypted, and the far end has the key we dialled."""
        core = self._core
        hello = Hello((VERSION,), core.config.network, core.record.encode(), packets=False, proof=core.proof(core.me))
        if dial.route is not None and core.send_control(dial.route, hello) is not Sent.OK:
            self.fail(dial, Reason.LOST)

    def said(self, dial: Dialling, message: Control) -> None:
        """The far end answered our Hello."""
        match message:
            case Welcome() if not dial.judged:
                self._welcomed(dial, message)
            case Welcome(proof=None):
                pass  # an answer to the packet link this dial was made of
            case Reject():
                alternatives = self._core.read_alternatives(message.alternatives)
                self._core.log.info(
                    "dial refused by the peer", peer=dial.ticket.peer.short, reason=message.reason.value
                )
                self.fail(dial, message.reason, alternatives=alternatives, words=False)
            case _:
                self._core.metrics.invalid.inc("handshake")
                self.fail(dial, Reason.PROTOCOL)

    def _welcomed(self, dial: Dialling, welcome: Welcome) -> None:
        core = self._core
        record = core.judge_record(welcome.record, welcome.proof)
        if welcome.version != VERSION:
            self.fail(dial, Reason.VERSION)
        elif isinstance(record, Reason):
            self.fail(dial, record)
        elif record.peer != dial.ticket.peer:
            self.fail(dial, Reason.WRONG_PEER)
        else:
            assert dial.endpoint is not None
            dial.judged = True
            claim = Claim(record.peer, record, dial.endpoint.host, Direction.OUT, ticket=dial.ticket)
            core.on_reply(
                core.gatekeeper.admit(claim),
                lambda verdict: self._verdict(dial, welcome.nonce, record, verdict),
                within=core.config.verdict_timeout,
            )

    def _verdict(
        self, dial: Dialling, nonce: bytes, record: PeerRecord, verdict: Admitted | Refused | Exception
    ) -> None:
        if not self._current(dial):
            return
        match verdict:
            case Admitted():
                self._core.when_gate(verdict.gate_version, lambda: self._open(dial, nonce, record, verdict))
            case Refused():
                self.fail(dial, verdict.reason)
            case _:
                self.fail(dial, Reason.TIMEOUT)

    def _open(self, dial: Dialling, nonce: bytes, record: PeerRecord, verdict: Admitted) -> None:
        core = self._core
        if not self._current(dial) or dial.route is None or dial.endpoint is None:
            return
        if core.send_control(dial.route, Ready(nonce)) is not Sent.OK:
            self.fail(dial, Reason.LOST)
            return
        self._forget(dial)
        core.metrics.dials.inc("opened")
        link = core.new_link(record, Direction.OUT, verdict.role, dial.endpoint.host)
        core.opened(Live(link, verdict.ticket, dial.route, dial.endpoint, dial.curve_key, heard_at=core.now()))
        if dial.waiting is not None:
            core.drop(dial.waiting, Reason.DUPLICATE)

    def fail(
        self,
        dial: Dialling,
        reason: Reason,
        *,
        alternatives: tuple[PeerRecord, ...] = (),
        words: bool = True,
    ) -> None:
        """The dial is over: slot and ticket go back, and the peer's own dial goes on if it waited for ours."""
        core = self._core
        if not self._current(dial):
            return
        self._abandon(dial, reason, words=words)
        core.slots.give_back(Direction.OUT, "")
        core.log.info("dial failed", peer=dial.ticket.peer.short, address=str(dial.address), reason=reason.value)
        core.release(dial.ticket, reason)
        if alternatives:
            core.gatekeeper.hint(alternatives, dial.ticket.peer)
        if dial.waiting is not None:
            core.dial_ended(dial.waiting)

    def hurry(self, dial: Dialling) -> None:
        """The peer's own dial waits for ours: ours gets no longer than a handshake, lest both run out of time."""
        core = self._core
        within = core.config.handshake_timeout
        if dial.deadline is not None and dial.deadline.deadline > core.now() + within:
            dial.deadline.cancel()
            dial.deadline = core.deadline(within, dial)

    def supersede(self, dial: Dialling) -> None:
        """The peer's own dial goes first, with a ticket of its own."""
        self._abandon(dial, Reason.SUPERSEDED, words=False)
        self._core.slots.give_back(Direction.OUT, "")
        self._core.release(dial.ticket, Reason.SUPERSEDED)

    def _abandon(self, dial: Dialling, reason: Reason, *, words: bool) -> None:
        self._forget(dial)
        self._core.metrics.dials.inc(reason)
        if dial.route is not None:
            if words and dial.judged:
                self._core.send_control(dial.route, Reject(reason))
                self._core.shut_later(dial.route)
            else:
                self._core.shut(dial.route)

    def _forget(self, dial: Dialling) -> None:
        del self._core.links.dials[dial.ticket.peer]
        cancel(dial.deadline)

    def _current(self, dial: Dialling) -> bool:
        return self._core.links.dials.get(dial.ticket.peer) is dial
