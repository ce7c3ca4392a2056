"""This node as a member, from the first `join` on: `Swim`, records and view, and the packets between them.

Nobody is a member by hearsay: `admission` says who becomes one. Of whom others tell is greeted, if its record is known,
and only when it answers it is SWIM's, which probes it and passes it on. Till then it is visible all the same, and Down
for subscribers when it is gone.

A peer without a known address is neither probed nor accused; nor is a peer that this node blocks (design: local
blocks). How a packet that comes in is handled is `incoming`'s matter, what goes along with outgoing ones `outgoing`'s.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any

from msgspec import Struct

from .... import runtime
from ....runtime import Message, Reply
from ....transport.address import Address
from ....transport.errors import DecodeError
from ....transport.identity import PeerId
from ....transport.mailbox import Mailbox as Transport
from ....transport.mailbox import OwnRecord, Packet
from ....transport.parts.limited_log import LimitedLog
from ....transport.record import PeerRecord
from ...tracker.mailbox import Mailbox as Tracker
from .. import swim
from ..config import Config
from ..core.admission import Admission
from ..core.local_blocks import LocalBlocks
from ..core.proofs import RecordProofs
from ..core.records import Records
from ..core.sender_limits import SenderLimits
from ..mailbox import Members
from ..metrics import Metrics
from ..swim import ConnectionState, MemberId, Outbox, Swim
from ..swim.effects import RemoveDown
from .events import Events
from .incoming import Incoming
from .intake import Intake
from .misconduct import Misconduct
from .outgoing import REQUEST_INTERVAL, Greet, Greetings, Outgoing, RecordRequests
from .snapshot import SavedMember, Snapshot
from .view import KnownMembers, View


class SwimTimer(Message, Struct, frozen=True):
    """A timer of SWIM is due."""

    timer: swim.Timer


class Session:
    """Part of the engine: everything that exists only while this node is a member, or after it has left."""

    def __init__(
        self,
        engine: runtime.Engine[Any],
        config: Config,
        own: OwnRecord,
        *,
        transport: Transport,
        tracker: Tracker,
        metrics: Metrics,
        blocks: LocalBlocks,
        log: LimitedLog,
        emit: Callable[[Message], object],
        rejoined: Callable[[MemberId], object],
        proved: Callable[[PeerId], object],
    ) -> None:
        """blocks: the blocks in force, kept by the engine. log: for what others cause. emit: takes each event.

        rejoined: called when this node goes on under another generation, for which there is no record yet.
        proved: called when a member has answered for the first time.
        """
        self._blocks = blocks
        self._blocked_before = blocks.peers  # as the address book says, perhaps as they have cheated
        self.records = Records(own.record.network, own.record.peer)
        self._outgoing = Outgoing(own.record, self.records, transport, metrics, engine.now)
        limits = SenderLimits(config.protocol)
        self._admission = Admission(
            own.record.peer,
            self.records,
            limits,
            period=config.protocol.probe_period,
            ask_again=REQUEST_INTERVAL,
            hides=self._hides,
            count=lambda outcome, by: metrics.newcomers.inc(outcome, by=by),
            count_record=metrics.records.inc,
        )
        self._proofs = RecordProofs(
            own.life, self._admission.record_of, self._admission.told_of, self._admission.may_follow
        )
        self.view = View(self.records)
        self.swim = Swim.new(
            MemberId(own.record.peer, own.record.generation),
            config.protocol,
            engine.rng,
            renew=lambda identity: MemberId(identity.key, identity.generation + 1),
            probeable=self._is_probeable,
            admits=self._admission.admits,
            connected=lambda key: key in self._admission.connected,
            proofs=self._proofs,
            settled=self._admission.settled,
        )
        self._admission.use(self.swim)
        self._known_members = KnownMembers(engine, self.swim, self._admission.unproved, self.records, self.view)
        self._engine = engine
        self._metrics = metrics
        self._events = Events(
            engine, self.view, self._outgoing, metrics, emit=emit, rejoined=rejoined, isolated=self._announce_to_seeds
        )
        misconduct = self._misconduct = Misconduct(
            engine, limits, transport, tracker, metrics, self._events, self._outgoing, log, self._shun
        )
        self._requests = RecordRequests(
            engine, self.view, self._admission, self._outgoing, metrics, is_probeable=self._is_probeable
        )
        self._outbox = Outbox()
        self._greetings = Greetings(engine, self.swim, self._outbox, self._admission, is_probeable=self._is_probeable)
        self._intake = Intake(
            engine,
            self.swim,
            self._outbox,
            self._admission,
            self.records,
            self.view,
            outgoing=self._outgoing,
            events=self._events,
            misconduct=misconduct,
            requests=self._requests,
            greetings=self._greetings,
            perform=self.perform_effects,
            proved=proved,
        )
        self._incoming = Incoming(
            engine,
            self.swim,
            self._outbox,
            self._admission,
            self.records,
            limits=limits,
            outgoing=self._outgoing,
            intake=self._intake,
            misconduct=misconduct,
            requests=self._requests,
            metrics=metrics,
        )

    # Commands ---------------------------------------------------------------------------------------------------------

    @property
    def own(self) -> PeerRecord:
        """This node's newest record."""
        return self._outgoing.own

    @property
    def has_left(self) -> bool:
        """Whether this node has left and not joined since."""
        return self.swim.connection_state is ConnectionState.UNDEAD

    def join(self, seeds: Iterable[tuple[PeerId, Address]]) -> None:
        """Replace the seeds, and announce this node to them, now and while it is isolated."""
        others = {peer: address for peer, address in seeds if peer != self.own.peer}
        self.records.set_seeds(others)
        self._announce_to_seeds()
        self.perform_effects()

    def add_discovered(self, records: Iterable[PeerRecord]) -> None:
        """Treat the owners of these records as seeds, but whom this node blocks since before it started.

        Announce to all seeds if this node is isolated.
        """
        before = self.records.seeds
        for record in records:
            if self.was_blocked(record.peer):
                continue
            with contextlib.suppress(DecodeError):
                self._intake.add_record(record)
            if record.peer in self.records:
                dropped = self.records.add_discovered(record.peer)
                if dropped is not None:
                    self._intake.drop_if_unused(dropped)
        if self.records.seeds != before and self.swim.connection_state is ConnectionState.DISCONNECTED:
            self._announce_to_seeds()
            self.perform_effects()

    def restore(self, members: Iterable[SavedMember]) -> None:
        """Take these members over from before the restart, with their states."""
        held = [each for each in members if self.records.add(each.record) or each.record.peer in self.records]
        self._intake.apply([each.member for each in held], self.own.peer, broadcast=False)

    def announce_to_some(self) -> None:
        """Announce this node to some members, after a restart."""
        for member in islice(self.swim.iter_members(), self.swim.config.num_indirect_probes):
            self.swim.announce(member.id, self._outbox)
        self.perform_effects()

    def _announce_to_seeds(self) -> None:
        self.swim.join([MemberId(peer, 0) for peer in self.records.seeds], self._engine.now(), self._outbox)

    def use_record(self, own: OwnRecord) -> bool:
        """Go over to this record of this node if it is newer than the present one; returns whether it was."""
        if not own.record.newer_than(self.own):
            return False
        self._proofs.life = own.life
        present = own.record.generation == self.swim.identity.generation
        self._outgoing.use_record(own.record, speaks=present and not self.has_left)
        return True

    @property
    def awaits_record(self) -> bool:
        """Whether `Swim` is in a later life than our record: nothing of it can be shown, so nothing is sent."""
        return self.own.generation < self.swim.identity.generation

    def resume(self) -> None:
        """Go on under the generation of our newest record, if that is later than the present one."""
        own = MemberId(self.own.peer, self.own.generation)
        if own.generation > self.swim.identity.generation:
            self.swim.change_identity(own, self._engine.now(), self._outbox)
            self._intake.follow()

    def leave(self) -> None:
        """Tell some members that this node has left."""
        self.swim.leave_cluster(self._outbox)
        self.perform_effects()

    def gossip(self) -> None:
        """Send waiting updates to some members."""
        self.swim.gossip(self._outbox)
        self.perform_effects()

    def members(self) -> Reply[Members]:
        """Every member whose record is known, Down ones too."""
        return self._known_members.members(self.own)

    def snapshot(self) -> Reply[Snapshot]:
        """The same members for the file."""
        return self._known_members.snapshot(self.own)

    # Packets, timers and connections ----------------------------------------------------------------------------------

    def on_timer(self, timer: swim.Timer) -> None:
        """Pass a due timer to SWIM; RemoveDown also drops what else is known of that member."""
        self.swim.handle_timer(timer, self._engine.now(), self._outbox)
        self.perform_effects()
        if isinstance(timer, RemoveDown) and self.swim.get(timer.member.key) is None:
            self._intake.forget(timer.member)

    def on_packet(self, packet: Packet) -> None:
        """Handle a packet as `incoming` says."""
        self._incoming.on_packet(packet)

    def on_opened(self, record: PeerRecord) -> None:
        """A connection opened: announce to the peer if it is no member yet, which ends isolation without a wait."""
        try:
            self._intake.add_record(record, presented=True)
        except DecodeError:
            return
        self._admission.connected.add(record.peer)
        self._intake.prove(record.peer)
        self._admission.unsettled.hear(record.peer, self._engine.now())
        self._intake.alive(record.peer)
        if not self.has_left and not self.view.is_active(record.peer):
            self.swim.announce(MemberId(record.peer, record.generation), self._outbox)
            self.perform_effects()

    def on_closed(self, peer: PeerId) -> None:
        """A connection closed: no evidence of death, but a reason to probe that peer next (flows: end of a link 6)."""
        self._admission.connected.discard(peer)
        self.swim.probe_next(peer)
        self._intake.drop_if_unused(peer)

    # Who becomes a member ---------------------------------------------------------------------------------------------

    def _shun(self, peer: PeerId, seconds: float) -> None:
        """Nobody probes whom it blocks, so a cheat would else stay Alive for as long, and its inventions with it."""
        now = self._engine.now()
        self._admission.shun(peer, now + seconds, now)
        held = self.swim.forget(peer, now, self._outbox)
        self._intake.follow()
        if held is not None:
            self._intake.forget(held.id)

    def on_greet(self, message: Greet) -> None:
        """Timer: greet those who have not answered."""
        self._greetings.on_greet(message)
        self._intake.follow()

    def request_missing_again(self) -> None:
        """Timer: ask again for the records that are still missing."""
        self._requests.ask_again()

    @property
    def num_waiting(self) -> int:
        """Keys whose updates wait for their records."""
        return len(self._admission.waiting)

    @property
    def num_unproved(self) -> int:
        """Members that have not answered this node yet."""
        return self._admission.unproved.num_visible

    @property
    def is_isolated(self) -> bool:
        """Whether no member has answered; or only seeds have, which told of others."""
        heard = [record.peer for record in self.view.visible if self.is_proved(record.peer)]
        return all(map(self.records.is_configured_seed, heard)) and (not heard or self._admission.told_of_others)

    def is_proved(self, peer: PeerId) -> bool:
        """Whether this member has answered this node itself at least once."""
        return peer not in self._admission.unproved

    # Effects of SWIM --------------------------------------------------------------------------------------------------

    def perform_effects(self) -> None:
        """Send, schedule and notify what SWIM left in its outbox, in that order, until it is empty."""
        while effects := self._outbox.drain():  # handling a notification may add more
            for effect in effects:
                self._perform(effect)

    def _perform(self, effect: swim.Effect) -> None:
        match effect:
            case swim.Send(to, data) if self.awaits_record:
                self._outgoing.hold_back(PeerId(to.key), data)
            case swim.Send(to, data):
                self._outgoing.send_swim_packet(PeerId(to.key), data)
            case swim.Schedule(timer, delay):
                self._engine.after(delay, SwimTimer(timer), rank=timer.rank)
            case swim.Notify(swim.UnknownLife(update, source)):
                self._intake.on_unknown_life(update, PeerId(source))
            case swim.Notify(swim.Answered(member)):
                self._intake.prove(PeerId(member.key))
            case swim.Notify(swim.Cheated() as cheated):
                self._misconduct.on_cheated(cheated)
            case swim.Notify(swim.MemberDown(member) as down):
                self._admission.unsettled.forget(PeerId(member.key))
                self._events.on_notification(down)
            case swim.Notify(notification):
                self._events.on_notification(notification)

    def _hides(self, peer: PeerId) -> bool:
        """Whether it may have cheated, or anybody who was banned may have invented it there."""
        return self.was_blocked(peer) or self._blocks.is_ip_blocked(self.records.address(peer))

    def was_blocked(self, peer: PeerId) -> bool:
        """Whether this node blocks the peer since before it started: for cheating, as far as is known."""
        return peer in self._blocked_before and self._blocks.is_blocked(peer, None)

    def _is_probeable(self, key: bytes) -> bool:
        peer = PeerId(key)
        address = self.records.address(peer)
        return address is not None and not self._blocks.is_blocked(peer, address)
