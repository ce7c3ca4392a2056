"""The inbound flow (flows: accept): Hello, limits, ties, verdict, Welcome, Ready.

What costs least is judged first. From the slot on, every way out gives it back, and the ticket if there is one.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime import Message, Reply
from ..core.codec import NONCE_BYTES, VERSION, Control, Hello, Ready, Welcome
from ..gatekeeper import Admitted, Claim, Direction, Refused, Ticket, Verdict
from ..identity import possible_curve_key
from ..reasons import Reason
from ..record import PeerRecord
from ..wire import Route, Sent, Source
from .base import Core, cancel
from .dialling import DiallingPart
from .links import Joining, Live, Tie, settle
from .packets import PacketsPart

PROBE_TIME = 1.0  # seconds a live link has to give a sign of life when a second one wants its place


@dataclass(frozen=True, slots=True)
class ProbeOver(Message):
    """Timer: the live link gave no sign of life while this claim waited for one."""

    live: Live
    claim: Joining


class AcceptingPart:
    """Peers' dials. Their state is in the table."""

    def __init__(self, core: Core, dialling: DiallingPart, packets: PacketsPart) -> None:
        """Part of one engine."""
        self._core = core
        self._dialling = dialling
        self._packets = packets

    def hello(self, route: Route, hello: Hello, source: Source) -> None:
        """Somebody with the key `source.curve_key` says who it is."""
        core = self._core
        record = self._judge(hello, source)
        if isinstance(record, Reason):
            core.log.info("inbound refused", reason=record.value, ip=source.ip, network=hello.network)
            core.refuse(route, record, core.alternatives_for(None, source.ip) if record is Reason.COOLDOWN else ())
        elif hello.packets:
            self._packets.accept(route, record, source)
        else:
            self._claim(route, record, source)

    def _judge(self, hello: Hello, source: Source) -> PeerRecord | Reason:
        core = self._core
        if core.gate is None:
            return Reason.NO_GATE
        reason = core.gate.check(source.ip, source.curve_key)
        if reason is not None:
            return reason
        if VERSION not in hello.versions:
            return Reason.VERSION
        if hello.network != core.config.network:
            return Reason.NETWORK
        record = core.judge_record(hello.record, hello.proof, connects=not hello.packets)
        if isinstance(record, PeerRecord):
            if record.peer == core.me:
                return Reason.SELF
            if possible_curve_key(record.peer) != source.curve_key:
                return Reason.RECORD
        return record

    def _claim(self, route: Route, record: PeerRecord, source: Source) -> None:
        """Take a slot, then settle with whatever else goes on with this peer."""
        core, peer = self._core, record.peer
        dial, live = core.links.dials.get(peer), core.links.live.get(peer)
        tie = settle(core.me, record, live, dialling=dial is not None)
        for earlier in core.links.joinings(peer):  # the same side dials again: its earlier try is dead
            core.drop(earlier, Reason.REPLACED)
        rival = live.link.direction if live is not None else Direction.OUT if dial is not None else None
        reason = core.slots.take_inbound(source.ip, rival=rival)
        if reason is not None:
            core.log.info("inbound refused", peer=peer.short, reason=reason.value, ip=source.ip)
            core.refuse(route, reason, core.alternatives_for(peer, source.ip))
            return
        joining = Joining(route, source, record, core.rng.randbytes(NONCE_BYTES))
        joining.deadline = core.deadline(core.config.handshake_timeout, joining)
        core.links.add_joining(joining)
        if tie is Tie.WAIT_FOR_DIAL and dial is not None:
            cancel(joining.deadline)  # the dial has its own
            dial.waiting = joining
            self._dialling.hurry(dial)
        elif tie is Tie.PROBE_LINK and live is not None:
            live.probe, live.probe_ping = joining, live.asked + 1  # a Pong to an earlier one says nothing of now
            core.ping(live)
            core.after(PROBE_TIME, ProbeOver(live, joining))
        else:
            joining.replaces = live
            self._ask(joining)

    def dial_ended(self, joining: Joining) -> None:
        """Our own dial, which this claim waited for, has failed."""
        if self._current(joining):
            joining.deadline = self._core.deadline(self._core.config.handshake_timeout, joining)
            self._ask(joining)

    def link_judged(self, live: Live, alive: bool) -> None:
        """The link that this claim wants to replace is alive, or is not."""
        joining, live.probe = live.probe, None
        if joining is None or not self._current(joining):
            return
        if alive:
            self._core.drop(joining, Reason.DUPLICATE)
        else:
            joining.replaces = self._core.links.live.get(joining.record.peer)
            self._ask(joining)

    def _ask(self, joining: Joining) -> None:
        core = self._core
        claim = Claim(
            joining.record.peer, joining.record, joining.source.ip, Direction.IN, supersedes=self._moved(joining)
        )
        reply = joining.asked = core.gatekeeper.admit(claim)
        core.on_reply(reply, lambda verdict: self._verdict(joining, reply, verdict), within=core.config.verdict_timeout)

    def _moved(self, joining: Joining) -> Ticket | None:
        """The ticket whose reservation moves to this claim: of the link it replaces, or of the dial it supersedes."""
        if joining.replaces is not None:
            return joining.replaces.ticket
        dial = self._core.links.dials.get(joining.record.peer)
        return dial.ticket if dial is not None else None

    def _verdict(self, joining: Joining, reply: Reply[Verdict], verdict: Verdict | Exception) -> None:
        core = self._core
        match verdict:
            case Admitted() if self._current(joining):
                joining.ticket = verdict.ticket
                core.when_gate(verdict.gate_version, lambda: self._welcome(joining, verdict))
            case Admitted():
                core.release(verdict.ticket, Reason.LOST)
            case Refused():
                core.drop(joining, verdict.reason, verdict.alternatives)
            case _:
                core.drop(joining, Reason.TIMEOUT)
                reply.then(self._too_late)

    def _too_late(self, reply: Reply[Verdict]) -> None:
        """A verdict that came after its time still holds a ticket. Runs where the gatekeeper answers."""
        verdict = reply.result()
        if isinstance(verdict, Admitted):
            self._core.gatekeeper.released(verdict.ticket, Reason.TIMEOUT)

    def _welcome(self, joining: Joining, verdict: Admitted) -> None:
        core = self._core
        if not self._current(joining):
            return
        dial = core.links.dials.get(joining.record.peer)
        if dial is not None:
            self._dialling.supersede(dial)
        joining.admitted_as = core.new_link(joining.record, Direction.IN, verdict.role, joining.source.ip)
        welcome = Welcome(VERSION, joining.nonce, core.record.encode(), core.proof(core.me))
        if core.send_control(joining.route, welcome) is not Sent.OK:
            core.drop(joining, Reason.LOST)

    def said(self, joining: Joining, message: Control) -> None:
        """The claimant speaks again: Ready, if it is honest."""
        core, link = self._core, joining.admitted_as
        match message:
            case Ready(nonce=nonce) if nonce == joining.nonce and link is not None and joining.ticket is not None:
                core.links.drop_joining(joining)
                cancel(joining.deadline)
                old = core.links.live.get(link.peer)
                if old is not None:
                    core.close(old, Reason.REPLACED)
                key = joining.source.curve_key
                core.opened(Live(link, joining.ticket, joining.route, None, key, heard_at=core.now()))
            case _:
                if not isinstance(message, Ready):
                    core.metrics.invalid.inc("handshake")
                core.drop(joining, Reason.PROTOCOL)

    def stop(self) -> None:
        """Refuse whose handshake is under way. Before our links and dials end, which some of them wait for."""
        for joining in [joining for each in self._core.links.joining.values() for joining in each]:
            self._core.drop(joining, Reason.SHUTDOWN)
            if joining.asked is not None and joining.ticket is None:  # the verdict is not handled any more
                joining.asked.then(self._too_late)

    def _current(self, joining: Joining) -> bool:
        return joining in self._core.links.joining.get(joining.record.peer, ())
