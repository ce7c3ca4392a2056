"""The handshake of a connection from both its sides, and what becomes of two that would be the same connection.

Inbound (flows: accept): Hello, limits, ties, verdict, Welcome, Ready. What costs least is judged first. From the slot
on, every way out gives it back, and the ticket if there is one. Outbound (flows: dial): Welcome, verdict, Ready.

At most one connection per peer. When two want to be it (flows: ties), seen from the side that is dialled:

* our own dial to the peer is under way: the dial of the peer with the lower id goes on, the other one waits or ends;
* a connection lives: a newer generation of the peer, or the same side dialling again, replaces it (the peer restarted,
  or knows that the old one is dead); otherwise the old link is asked for a sign of life and wins if it gives one.

So a claim may wait for a dial or a link, and every end of either comes by here, where the claim then goes on.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from msgspec import Struct

from ...runtime import Message, Reply
from ..core.codec import NONCE_BYTES, VERSION, Control, Hello, Ready, Reject, Welcome, is_short_lived
from ..gatekeeper import Admitted, Claim, Direction, NotAdmitted, Ticket, Verdict
from ..identity import PeerId, possible_curve_key
from ..reasons import Reason
from ..record import PeerRecord
from ..wire import Route, Sent, Source
from .links import Dialling, Joining, Live
from .shared import Shared, cancel
from .short_lived import ShortLived

PROBE_TIME = 1.0  # seconds a live link has to give a sign of life when a second one wants its place
STALLED = 0.1  # seconds by which a timer is late that shows that this process stalled


class Tie(enum.Enum):
    """What an inbound claim to a peer does about our other business with that peer."""

    NONE = "none"  # there is none
    SUPERSEDE_DIAL = "supersede our dial"
    WAIT_FOR_DIAL = "wait for our dial"
    REPLACE_LINK = "replace the live link"
    PROBE_LINK = "ask the live link for a sign of life"


def decide_tie(me: PeerId, record: PeerRecord, live: Live | None, *, dialling: bool) -> Tie:
    """The rule above, for a peer that has dialled us and proved to be `record.peer`."""
    if live is not None:
        again = live.link.direction is Direction.IN
        newer = record.generation > live.link.record.generation
        return Tie.REPLACE_LINK if newer or again else Tie.PROBE_LINK
    if dialling:
        return Tie.SUPERSEDE_DIAL if record.peer < me else Tie.WAIT_FOR_DIAL
    return Tie.NONE


class ProbeOver(Message, Struct, frozen=True):
    """Timer: the live link gave no sign of life while this claim waited for one. due: monotonic seconds."""

    live: Live
    claim: Joining
    due: float


class Handshakes:
    """Peers' dials from their Hello on, ours from the Welcome on, and the ends of both. Their state is in the table."""

    def __init__(self, shared: Shared) -> None:
        """Part of one engine."""
        self._shared = shared
        self.short_lived = ShortLived(shared, self.close)
        self._awaiting_gate: list[tuple[int, Callable[[], object]]] = []

    # Inbound ---------------------------------------------------------------------------------------------------------

    def hello(self, route: Route, hello: Hello, source: Source) -> PeerRecord | None:
        """Somebody with the key `source.curve_key` says who it is; its record if it asks for packets and may ask."""
        shared = self._shared
        record = self._judge(hello, source)
        if isinstance(record, Reason):
            shared.note(source.ip, "inbound refused", reason=record.value, network=hello.network)
            waits = record is Reason.COOLDOWN
            shared.refuse(route, record, shared.alternatives_for(None, source.ip) if waits else ())
        elif hello.packets:
            return record
        else:
            self._claim(route, record, source, short_lived=is_short_lived(hello))
        return None

    def _judge(self, hello: Hello, source: Source) -> PeerRecord | Reason:
        shared = self._shared
        if shared.gate is None:
            return Reason.NO_GATE
        reason = shared.gate.check(source.ip, source.curve_key)
        if reason is not None:
            return reason
        if shared.handshake_limits.is_cooling(source.ip, shared.now()):
            return Reason.RATE
        if VERSION not in hello.versions:
            return Reason.VERSION
        if hello.network != shared.config.network:
            return Reason.NETWORK
        record = shared.judge_record(hello.record, hello.proof, connects=not hello.packets)
        if isinstance(record, PeerRecord):
            if record.peer == shared.me:
                return Reason.SELF
            if possible_curve_key(record.peer) != source.curve_key:
                return Reason.RECORD
        return record

    def _claim(self, route: Route, record: PeerRecord, source: Source, *, short_lived: bool) -> None:
        """Take a slot, then decide between this and whatever else goes on with the peer."""
        shared, peer = self._shared, record.peer
        dial, live = shared.links.dials.get(peer), shared.links.live.get(peer)
        tie = decide_tie(shared.me, record, live, dialling=dial is not None)
        for earlier in shared.links.joinings(peer):  # the same side dials again: its earlier try is dead
            self.drop(earlier, Reason.REPLACED)
        rival = _rival(live, dial)
        reason = self._take_inbound(peer, source.ip, rival, short_lived=short_lived)
        if reason is not None:
            facts = {} if short_lived else {"limit": shared.slots.limit(source.ip, rival=rival)}
            shared.note(source.ip, "inbound refused", peer=peer.short, reason=reason.value, **facts)
            shared.refuse(route, reason, shared.alternatives_for(peer, source.ip))
            return
        joining = Joining(route, source, record, shared.rng.randbytes(NONCE_BYTES), short_lived)
        joining.deadline = shared.deadline(shared.config.handshake_timeout, joining)
        shared.links.add_joining(joining)
        if tie is Tie.WAIT_FOR_DIAL and dial is not None:
            cancel(joining.deadline)  # the dial has its own
            dial.waiting = joining
            self._hurry(dial)
        elif tie is Tie.PROBE_LINK and live is not None:
            live.probe, live.probe_ping = joining, live.asked + 1  # a Pong to an earlier one says nothing of now
            shared.ping(live)
            self._wait_for_sign(live, joining)
        else:
            joining.replaces = live
            self._ask(joining)

    def _take_inbound(self, peer: PeerId, ip: str, rival: Direction | None, *, short_lived: bool) -> Reason | None:
        """A slot, or why there is none."""
        if short_lived:
            return self.short_lived.take_inbound(peer, ip)
        return self._shared.slots.take_inbound(ip, rival=rival)

    def _wait_for_sign(self, live: Live, claim: Joining) -> None:
        self._shared.after(PROBE_TIME, ProbeOver(live, claim, self._shared.now() + PROBE_TIME))

    def probe_over(self, message: ProbeOver) -> None:
        """A live link that had to give a sign of life did not. If this process stalled the sign may wait unread."""
        live, claim = message.live, message.claim
        if live.probe is not claim:
            return
        if self._shared.now() - message.due > STALLED:
            self._wait_for_sign(live, claim)
        else:
            self._place_is_free(live)

    def alive(self, live: Live) -> None:
        """The link whose place a claim wants has given its sign of life."""
        joining, live.probe = live.probe, None
        if joining is not None and self._current(joining):
            self.drop(joining, Reason.DUPLICATE)

    def _place_is_free(self, live: Live) -> None:
        """The link is dead or closed: the claim that waited for its place, if there is one, goes on."""
        joining, live.probe = live.probe, None
        if joining is not None and self._current(joining):
            joining.replaces = self._shared.links.live.get(joining.record.peer)
            self._ask(joining)

    def _ask(self, joining: Joining) -> None:
        shared = self._shared
        claim = Claim(
            joining.record.peer, joining.record, joining.source.ip, Direction.IN, supersedes=self._moved(joining)
        )
        reply = joining.asked = shared.gatekeeper.admit(claim)
        shared.on_reply(
            reply, lambda verdict: self._verdict(joining, reply, verdict), timeout=shared.config.verdict_timeout
        )

    def _moved(self, joining: Joining) -> Ticket | None:
        """The ticket whose reservation moves to this claim: of the link it replaces, or of the dial it supersedes."""
        if joining.replaces is not None:
            return joining.replaces.ticket
        dial = self._shared.links.dials.get(joining.record.peer)
        return dial.ticket if dial is not None else None

    def _verdict(self, joining: Joining, reply: Reply[Verdict], verdict: Verdict | Exception) -> None:
        shared = self._shared
        match verdict:
            case Admitted() if self._current(joining):
                joining.ticket = verdict.ticket
                self._when_gate(verdict.gate_version, lambda: self._welcome(joining, verdict))
            case Admitted():
                shared.release(verdict.ticket, Reason.LOST)
            case NotAdmitted():
                self.drop(joining, verdict.reason, verdict.alternatives)
            case _:
                self.drop(joining, Reason.TIMEOUT)
                reply.then(self._too_late)

    def _too_late(self, reply: Reply[Verdict]) -> None:
        """A verdict that came after its time still holds a ticket. Runs where the gatekeeper answers."""
        verdict = reply.result()
        if isinstance(verdict, Admitted):
            self._shared.gatekeeper.released(verdict.ticket, Reason.TIMEOUT)

    def _welcome(self, joining: Joining, verdict: Admitted) -> None:
        shared = self._shared
        if not self._current(joining):
            return
        dial = shared.links.dials.get(joining.record.peer)
        if dial is not None:  # the peer's own dial goes first, with a ticket of its own
            self._abandon(dial, Reason.SUPERSEDED, say_why=False)
        joining.admitted_as = shared.new_link(
            joining.record, Direction.IN, verdict.role, joining.source.ip, short_lived=joining.short_lived
        )
        welcome = shared.welcome(joining.nonce)
        if shared.send_control(joining.route, welcome) is not Sent.OK:
            self.drop(joining, Reason.LOST)

    def answered(self, joining: Joining, message: Control) -> None:
        """The claimant speaks again: Ready, if it is honest."""
        shared, link = self._shared, joining.admitted_as
        match message:
            case Ready(nonce=nonce) if nonce == joining.nonce and link is not None and joining.ticket is not None:
                shared.links.drop_joining(joining)
                cancel(joining.deadline)
                old = shared.links.live.get(link.peer)
                if old is not None:
                    self.close(old, Reason.REPLACED)
                key = joining.source.curve_key
                self._opened(Live(link, joining.ticket, joining.route, None, key, heard_at=shared.now()))
            case _:
                if not isinstance(message, Ready):
                    shared.metrics.invalid.inc("handshake")
                self.drop(joining, Reason.PROTOCOL)

    def drop(self, joining: Joining, reason: Reason, alternatives: tuple[PeerRecord, ...] = ()) -> None:
        """End a peer's handshake: refuse it, give its slot back, and its ticket if it has one."""
        shared = self._shared
        if not shared.links.drop_joining(joining):
            return
        cancel(joining.deadline)
        peer = joining.record.peer
        shared.note(joining.source.ip, "inbound refused", peer=peer.short, reason=reason.value)
        shared.refuse(joining.route, reason, alternatives)
        shared.give_back(Direction.IN, joining.source.ip, short_lived=joining.short_lived)
        shared.release(joining.ticket, reason)

    def stop(self) -> None:
        """Refuse whose handshake is under way. Before our links and dials end, which some of them wait for."""
        for joining in [joining for each in self._shared.links.joining.values() for joining in each]:
            self.drop(joining, Reason.SHUTDOWN)
            if joining.asked is not None and joining.ticket is None:  # the verdict is not handled any more
                joining.asked.then(self._too_late)

    def _current(self, joining: Joining) -> bool:
        return joining in self._shared.links.joining.get(joining.record.peer, ())

    # Outbound --------------------------------------------------------------------------------------------------------

    def take_outbound(self, *, short_lived: bool) -> Reason | None:
        """A slot for a dial, or why there is none."""
        return self.short_lived.take_outbound() if short_lived else self._shared.slots.take_outbound()

    def welcomed(self, dial: Dialling, welcome: Welcome) -> None:
        """The far end of our dial agrees."""
        shared = self._shared
        record = shared.judge_record(welcome.record, welcome.proof)
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
            shared.on_reply(
                shared.gatekeeper.admit(claim),
                lambda verdict: self._dial_verdict(dial, welcome.nonce, record, verdict),
                timeout=shared.config.verdict_timeout,
            )

    def _dial_verdict(self, dial: Dialling, nonce: bytes, record: PeerRecord, verdict: Verdict | Exception) -> None:
        if not self._shared.links.is_dialling(dial):
            return
        match verdict:
            case Admitted():
                self._when_gate(verdict.gate_version, lambda: self._open(dial, nonce, record, verdict))
            case NotAdmitted():
                self.fail(dial, verdict.reason)
            case _:
                self.fail(dial, Reason.TIMEOUT)

    def _open(self, dial: Dialling, nonce: bytes, record: PeerRecord, verdict: Admitted) -> None:
        shared = self._shared
        if not shared.links.is_dialling(dial) or dial.route is None or dial.endpoint is None:
            return
        if shared.send_control(dial.route, Ready(nonce)) is not Sent.OK:
            self.fail(dial, Reason.LOST)
            return
        self._forget(dial)
        shared.metrics.dials.inc("opened")
        link = shared.new_link(record, Direction.OUT, verdict.role, dial.endpoint.host, short_lived=dial.short_lived)
        self._opened(Live(link, verdict.ticket, dial.route, dial.endpoint, dial.curve_key, heard_at=shared.now()))
        if dial.waiting is not None:
            self.drop(dial.waiting, Reason.DUPLICATE)

    def fail(
        self, dial: Dialling, reason: Reason, *, alternatives: tuple[PeerRecord, ...] = (), say_why: bool = True
    ) -> None:
        """The dial is over: slot and ticket go back, and the peer's own dial goes on if it waited for ours."""
        shared, joining = self._shared, dial.waiting
        if not shared.links.is_dialling(dial):
            return
        shared.note(
            dial.host, "dial failed", peer=dial.ticket.peer.short, address=str(dial.address), reason=reason.value
        )
        self._abandon(dial, reason, say_why=say_why)
        if alternatives:
            shared.gatekeeper.hint(alternatives, dial.ticket.peer)
        if joining is not None and self._current(joining):
            joining.deadline = shared.deadline(shared.config.handshake_timeout, joining)
            self._ask(joining)

    def _hurry(self, dial: Dialling) -> None:
        """The peer's own dial waits for ours: ours gets no longer than a handshake, lest both run out of time."""
        shared = self._shared
        timeout = shared.config.handshake_timeout
        if dial.deadline is not None and dial.deadline.deadline > shared.now() + timeout:
            dial.deadline.cancel()
            dial.deadline = shared.deadline(timeout, dial)

    def _abandon(self, dial: Dialling, reason: Reason, *, say_why: bool) -> None:
        shared = self._shared
        self._forget(dial)
        shared.metrics.dials.inc(reason)
        if dial.route is not None:
            if say_why and dial.judged:
                shared.send_control(dial.route, Reject(reason))
                shared.shut_later(dial.route)
            else:
                shared.shut(dial.route)
        shared.give_back(Direction.OUT, "", short_lived=dial.short_lived)
        shared.release(dial.ticket, reason)

    def _forget(self, dial: Dialling) -> None:
        del self._shared.links.dials[dial.ticket.peer]
        cancel(dial.deadline)
        cancel(dial.share)

    def _opened(self, live: Live) -> None:
        self.short_lived.opened(live)
        self._shared.opened(live)

    # Ends, and the gate ----------------------------------------------------------------------------------------------

    def close(self, live: Live, reason: Reason, *, say_why: bool = True) -> None:
        """End a connection; a claim that waited for its place goes on. say_why: tell the other side."""
        if self._shared.closed(live, reason, say_why=say_why):
            self._place_is_free(live)

    def _when_gate(self, version: int, action: Callable[[], object]) -> None:
        """Run `action` once the gate is at least this new: a verdict may overtake the gate it was made under."""
        gate = self._shared.gate
        if gate is not None and gate.version >= version:
            action()
        else:
            self._awaiting_gate.append((version, action))

    def gate_changed(self) -> None:
        """Run what waited for this gate."""
        waiting, self._awaiting_gate = self._awaiting_gate, []
        for version, action in waiting:
            self._when_gate(version, action)


def _rival(live: Live | None, dial: Dialling | None) -> Direction | None:
    """Beside which of ours a claim wants a slot. What has another kind of slot leaves none to it."""
    if live is not None:
        return None if live.link.short_lived else live.link.direction
    return None if dial is None or dial.short_lived else Direction.OUT
