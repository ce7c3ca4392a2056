"""One `Swim` with its outbox drained into lists, so that a test reads like a dialogue."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace

from rookery.actors.membership.swim import (
    BroadcastHandler,
    Config,
    Member,
    MemberId,
    Notification,
    Notify,
    Outbox,
    Proofs,
    Schedule,
    Send,
    State,
    Swim,
    Timer,
    Trusting,
)
from rookery.actors.membership.swim.broadcasts import NoBroadcasts
from rookery.actors.membership.swim.codec import decode_packet, encode_header, encode_item, encode_packet, encode_update
from rookery.actors.membership.swim.effects import BeginCheck, CheckSuspect, ProbeRandomMember
from rookery.actors.membership.swim.messages import DecodedPacket, Gossip, Header, Message, Ping

QUIET = replace(Config.simple(), jitter=False, notify_down_members=True)
"""No periodic task, so that a test sees only what it provokes."""


def name(number: int, generation: int = 1) -> MemberId:
    return MemberId(number.to_bytes(32, "big"), generation)


US, ANN, BOB, CAROL, DAVE = (name(number) for number in range(5))


def alive(member: MemberId, incarnation: int = 0) -> Member:
    return Member(member, incarnation)


def suspect(member: MemberId, incarnation: int = 0) -> Member:
    return Member(member, incarnation, State.SUSPECT)


def down(member: MemberId, incarnation: int = 0) -> Member:
    return Member(member, incarnation, State.DOWN)


def left(member: MemberId, incarnation: int = 0) -> Member:
    return Member(member, incarnation, State.LEFT)


def next_life(identity: MemberId) -> MemberId:
    return MemberId(identity.key, identity.generation + 1)


def encode(
    src: MemberId,
    dst: MemberId,
    message: Message,
    updates: Iterable[Member] = (),
    incarnation: int = 0,
    items: Iterable[bytes] = (),
    proof: bytes = b"",
) -> bytes:
    header = encode_header(Header(src, incarnation, dst, message, proof))
    return encode_packet(header, [encode_update(update) for update in updates], [encode_item(item) for item in items])


class Rig:
    """`packets`, `timers` and `notes` grow until a test takes them."""

    def __init__(
        self,
        config: Config = QUIET,
        *,
        knows: Iterable[MemberId] = (),
        renew: Callable[[MemberId], MemberId | None] = next_life,
        seed: int = 0,
        handler: BroadcastHandler | None = None,
        proofs: Proofs | None = None,
        me: MemberId = US,
    ) -> None:
        self.blocked: set[bytes] = set()
        self.connected: set[bytes] = set()
        self.newly: set[bytes] = set()
        """Who has not settled."""

        self.swim = Swim.with_custom_broadcast(
            me,
            config,
            random.Random(seed),
            handler or NoBroadcasts(),
            renew=renew,
            probeable=lambda key: key not in self.blocked,
            connected=lambda key: key in self.connected,
            proofs=proofs or Trusting(),
            settled=lambda: (lambda key: key not in self.newly) if self.newly else None,
        )
        self.outbox = Outbox()
        self.now = 0.0
        self.packets: list[tuple[MemberId, DecodedPacket]] = []
        self.timers: list[tuple[Timer, float]] = []
        self._due: dict[Timer, float] = {}
        self.notes: list[Notification] = []
        self.learn(*(alive(member) for member in knows))
        self.notes.clear()

    def drain(self) -> None:
        for effect in self.outbox.drain():
            match effect:
                case Send(to, data):
                    self.packets.append((to, decode_packet(data)))
                case Schedule(timer, delay):
                    self.timers.append((timer, delay))
                    self._due[timer] = self.now + delay
                case Notify(notification):
                    self.notes.append(notification)

    def learn(self, *updates: Member) -> None:
        """As if from a saved state: nothing is passed on."""
        self.swim.apply_many(updates, False, self.now, self.outbox)
        self.drain()

    def receive(
        self,
        src: MemberId,
        message: Message | None = None,
        updates: Iterable[Member] = (),
        incarnation: int = 0,
        dst: MemberId | None = None,
        items: Iterable[bytes] = (),
        proof: bytes = b"",
    ) -> None:
        data = encode(src, dst or self.swim.identity, message or Gossip(), updates, incarnation, items, proof)
        try:
            self.swim.handle_data(data, self.now, self.outbox)
        finally:
            self.drain()

    def fire(self, kind: type[Timer], late: float = 0.0) -> Timer:
        """Hand back the oldest waiting timer of this kind when it is due; `late` seconds later if given."""
        index = next(index for index, (timer, _) in enumerate(self.timers) if isinstance(timer, kind))
        timer, _ = self.timers.pop(index)
        self.now = max(self.now, self._due.pop(timer)) + late
        self.hand_back(timer)
        return timer

    def pass_check(self) -> int:
        """Let the next check of ours go as far as its end; returns the number of its ping."""
        self.fire(BeginCheck)
        number = next(message.number for _, message in self.messages() if isinstance(message, Ping))
        for _ in range(2):
            self.fire_newest(CheckSuspect)
        return number

    def pass_check_in_time(self) -> None:
        """Let the check begin that is planned for the newest suspicion, and go as far as its end."""
        self.fire_newest(CheckSuspect)
        self.pass_check()

    def fire_newest(self, kind: type[Timer]) -> None:
        """Hand back the newest waiting timer of this kind when it is due."""
        index = max(index for index, (timer, _) in enumerate(self.timers) if isinstance(timer, kind))
        self.timers.insert(0, self.timers.pop(index))
        self.fire(kind)

    def messages(self) -> list[tuple[MemberId, Message]]:
        """The newest first."""
        return [(to, packet.header.message) for to, packet in reversed(self.packets)]

    def hand_back(self, timer: Timer) -> None:
        self.swim.handle_timer(timer, self.now, self.outbox)
        self.drain()

    def waiting(self, kind: type[Timer]) -> list[float]:
        return [delay for timer, delay in self.timers if isinstance(timer, kind)]

    def take_packets(self) -> list[tuple[MemberId, DecodedPacket]]:
        packets, self.packets = self.packets, []
        return packets

    def take_messages(self) -> list[tuple[MemberId, Message]]:
        return [(to, packet.header.message) for to, packet in self.take_packets()]

    def take_notes(self) -> list[Notification]:
        notes, self.notes = self.notes, []
        return notes

    def held(self, member: MemberId) -> Member | None:
        return next((held for held in self.swim.iter_membership_state() if held.id.key == member.key), None)

    def is_active(self, member: MemberId) -> bool:
        return member in [held.id for held in self.swim.iter_members()]


def probing(rig: Rig) -> tuple[MemberId, int]:
    """Begin a probe; returns its target and number."""
    rig.packets.clear()
    rig.fire(ProbeRandomMember)
    ((target, ping),) = [(to, message) for to, message in rig.take_messages() if isinstance(message, Ping)]
    return target, ping.number
