"""The outbound flow (flows: dial): slot, name, connect, Hello, verdict, Ready.

Every way out of a dial gives its slot back and reports its ticket released exactly once.

* What a resolver answers is untrusted input: each address is read by itself, at most `MAX_ADDRESSES` are kept, and they
  are tried in the resolver's order, each for its share of the dial's time. The peer's own word ends the dial, whichever
  address it came from.
* A packet link to the address becomes the connection once it is up: an answer to its Hello is none to the dial's. Until
  then the dial waits for it; if it ends, before or after, the dial opens a route of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from ...runtime import Message
from ..address import Endpoint, is_global
from ..core.codec import VERSION, Bye, Control, Hello, Ready, Reject, Welcome
from ..gatekeeper import Admitted, Claim, Direction, Refused, Ticket
from ..identity import PeerId, possible_curve_key
from ..mailbox import Dial
from ..reasons import Reason
from ..record import PeerRecord
from ..wire import Sent
from .base import Core, cancel
from .links import Dialling, Live, PacketLink

MAX_ADDRESSES = 8
"""Most addresses of one name that are tried."""
_MOST_READ = 256  # answers of a resolver that are looked at
_RETRY_ENDPOINT = 0.05  # seconds until an endpoint that another dial has is tried again
_NAME_THREADS = 4  # a resolver may take its time; it takes none of the pool's


@dataclass(frozen=True, slots=True)
class TryConnect(Message):
    """Timer: the endpoint may be free now."""

    dial: Dialling


@dataclass(frozen=True, slots=True)
class AttemptOver(Message):
    """Timer: the present attempt of a dial has had its share of the time."""

    dial: Dialling


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a name stands for. refused: what of the answer cannot be dialled, and why."""

    endpoints: tuple[Endpoint, ...] = ()
    refused: tuple[str, ...] = ()


def resolve(dial: Dialling) -> Resolved:
    """The addresses of a dial's name. Blocks. Raises whatever the resolver raises."""
    if dial.over:
        return Resolved()  # it waited behind other names for too long
    return look_up(dial.address.endpoint)


def look_up(name: Endpoint) -> Resolved:
    """The addresses of a name. Blocks. Raises whatever the resolver raises."""
    return read_answers(socket.getaddrinfo(name.host, name.port, type=socket.SOCK_STREAM), name.port)


def read_answers(answers: Iterable[object], port: int) -> Resolved:
    """What of a resolver's answers can be dialled, in its order, each once.

    answers: as `socket.getaddrinfo` gives them, of any family, scope and kind of address, and any number.
    """
    endpoints: dict[Endpoint, None] = {}
    refused: dict[str, None] = {}
    for answer in islice(answers, _MOST_READ):
        match _read_answer(answer, port):
            case Endpoint() as endpoint:
                endpoints[endpoint] = None
            case str(why):
                refused[why] = None
    return Resolved(tuple(endpoints), tuple(refused))


def _read_answer(answer: object, port: int) -> Endpoint | str:
    """One answer as an endpoint, or why it is none."""
    match answer:
        case (_, _, _, _, (str(ip), _)):
            zone: object = 0
        case (_, _, _, _, (str(ip), _, _, zone)):
            pass
        case _:
            return "an address that is no IP"
    try:
        endpoint = Endpoint(ip, port).dialable()
    except ValueError as error:
        return str(error)
    if endpoint.ip is None:
        return f"{ip[:80]!r} is no IP"
    return f"{ip} has a zone, which means something on one machine only" if zone else endpoint


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
            self._resolved(dial, Resolved((endpoint,)))
        else:
            core.on_reply(
                core.work(resolve, dial, serial=f"names {dial.ticket.id % _NAME_THREADS}"),
                lambda resolved: self._resolved(dial, resolved),
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

    def _resolved(self, dial: Dialling, resolved: Resolved | Exception) -> None:
        core = self._core
        if not self._current(dial):
            return
        if isinstance(resolved, Exception):
            resolved = Resolved(refused=(f"{type(resolved).__name__}: {resolved}"[:200],))
        if resolved.refused:
            core.log.debug("name not resolved", address=str(dial.address), refused="; ".join(resolved.refused[:3]))
        usable = [endpoint for endpoint in resolved.endpoints if self._usable(endpoint)]
        allowed = (each for each in usable if core.gate is None or core.gate.admits_dial(dial.ticket.peer, each))
        dial.untried.extend(islice(allowed, MAX_ADDRESSES))
        self._try_next(dial, Reason.GATED if usable else Reason.UNRESOLVED)

    def _usable(self, endpoint: Endpoint) -> bool:
        core = self._core
        blocked = core.gate is not None and core.gate.blocks_ip(endpoint.host)
        return not blocked and (core.config.allow_private_ips or (endpoint.ip is not None and is_global(endpoint.ip)))

    def _try_next(self, dial: Dialling, reason: Reason) -> None:
        """Go on with the next address of the name. reason: why the dial fails if there is none."""
        while dial.untried:
            dial.endpoint = dial.untried.popleft()
            if self._usable(dial.endpoint):  # still: a block may have come meanwhile
                self._begin_attempt(dial)
                self.connect(dial)
                return
        self.fail(dial, reason)

    def _begin_attempt(self, dial: Dialling) -> None:
        """An attempt behind which there are others has its share of the time that is left; the last has all of it."""
        core, others = self._core, len(dial.untried) + dial.adopted
        cancel(dial.share)
        if others and dial.deadline is not None:
            left = max(dial.deadline.deadline - core.now(), 0.0)
            dial.share = core.after(left / (others + 1), AttemptOver(dial))

    def attempt_over(self, message: AttemptOver) -> None:
        """An address has had its time."""
        if self._current(message.dial):
            self.ended(message.dial, Reason.TIMEOUT)

    def ended(self, dial: Dialling, reason: Reason) -> None:
        """This attempt failed. Until the peer has answered, another way to it may do."""
        if dial.judged:
            self.fail(dial, reason, words=False)
            return
        self._core.log.debug(
            "attempt failed", peer=dial.ticket.peer.short, endpoint=str(dial.endpoint), reason=reason.value
        )
        if dial.route is not None:
            self._core.shut(dial.route)
        dial.route, was_packet_link, dial.adopted = None, dial.adopted, False
        if was_packet_link:  # its end says nothing of a connection
            self._begin_attempt(dial)
            self.connect(dial)
        else:
            self._try_next(dial, reason)

    def connect(self, dial: Dialling) -> None:
        """Have the wire connect, or wait while another of our dials or a packet link's handshake has the endpoint."""
        core = self._core
        if not self._current(dial) or dial.route is not None or dial.endpoint is None:
            return
        if any(live.endpoint == dial.endpoint for live in core.links.by_id.values()):
            self._try_next(dial, Reason.ADDRESS_IN_USE)  # a live link there has proven that it is somebody else's
            return
        packets = core.links.packets.get(dial.ticket.peer)
        if packets is not None and packets.endpoint == dial.endpoint:
            if packets.up:
                self._promote(dial, packets)
            return  # else what becomes of it is told by `packets_judged`
        dial.route = core.wire.connect(dial.endpoint, dial.curve_key)
        if dial.route is None:
            core.after(_RETRY_ENDPOINT, TryConnect(dial))
        else:
            core.links.by_route[dial.route] = dial

    def packets_judged(self, peer: PeerId) -> None:
        """Our packet link to this peer is up, or over: a dial may wait for that."""
        dial = self._core.links.dials.get(peer)
        if dial is not None:
            self.connect(dial)

    def _promote(self, dial: Dialling, packets: PacketLink) -> None:
        """Turn our packet link to the peer into the dial: what is encrypted already need not be again."""
        core = self._core
        del core.links.packets[packets.peer]
        core.links.packet_routes.pop(packets.route, None)
        dial.route, dial.adopted = packets.route, True
        core.links.by_route[dial.route] = dial
        self._begin_attempt(dial)
        self.up(dial)

    def up(self, dial: Dialling) -> None:
        """Encrypted, and the far end has the key we dialled."""
        core = self._core
        hello = Hello((VERSION,), core.config.network, core.record.encode(), packets=False, proof=core.proof(core.me))
        if dial.route is not None and core.send_control(dial.route, hello) is not Sent.OK:
            self.ended(dial, Reason.LOST)

    def said(self, dial: Dialling, message: Control) -> None:
        """The far end answered our Hello."""
        match message:
            case Welcome() if not dial.judged:
                self._welcomed(dial, message)
            case Bye() if dial.adopted and not dial.judged:
                self.ended(dial, Reason.LOST)  # the last word on the packet link; it may not have read our Hello
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
            cancel(dial.share)
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
        dial.over = True
        cancel(dial.deadline)
        cancel(dial.share)

    def _current(self, dial: Dialling) -> bool:
        return self._core.links.dials.get(dial.ticket.peer) is dial
