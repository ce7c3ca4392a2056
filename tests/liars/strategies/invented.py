"""Members that do not exist, with records and without, and records that are not what they seem."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import count

from rookery.testing import NETWORK
from rookery.transport import Identity
from tests.liars import protocol
from tests.liars.liar import Liar, Strategy
from tests.liars.protocol import ALIVE, DOWN, Envelope, Update


def invented(liar: Liar, number: int) -> Identity:
    """A key of nobody."""
    identity = Identity.from_seed(hashlib.sha256(f"{liar.name} invents {number}".encode()).digest())
    liar.gang.invented.add(bytes(identity.peer))
    return identity


class InventsMembers(Strategy):
    """Hundreds of members of which there is no record."""

    def __init__(self) -> None:
        self.made = 0

    def tick(self, liar: Liar) -> None:
        if self.made < 600:
            keys = [hashlib.sha256(f"{liar.name} {self.made + each}".encode()).digest() for each in range(150)]
            self.made += len(keys)
            liar.gossip([Update(key, 1, 0, ALIVE) for key in keys], liar.some(1))


class InventsMembersWithRecords(Strategy):
    """Hundreds with good records, at addresses where nobody is."""

    each = 16

    def __init__(self) -> None:
        self.numbers = count()
        self.left = 320

    def address(self, number: int) -> str:
        return f"tcp://10.99.{number >> 8}.{number & 255}:7000"

    def tick(self, liar: Liar) -> None:
        if self.left <= 0:
            return
        self.left -= self.each
        updates, records = [], []
        for number in (next(self.numbers) for _ in range(self.each)):
            identity = invented(liar, number)
            records.append(protocol.record(identity, NETWORK, self.address(number), liar.generation))
            updates.append(Update(bytes(identity.peer), liar.generation, 0, ALIVE))
        for key in liar.some(2):
            liar.say(key, protocol.GOSSIP, updates=updates, records=records)
            liar.say(key, protocol.FEED, updates=updates, records=records)


class InventsMembersAtHonestAddresses(InventsMembersWithRecords):
    """The same at the addresses of honest nodes, so that these dial each other under false names."""

    def begin(self, liar: Liar) -> None:
        self.there = [liar.addresses[key] for key in liar.victims]

    def address(self, number: int) -> str:
        there = getattr(self, "there", None) or ["tcp://10.99.0.1:7000"]
        return there[number % len(there)]


class InventsMembersOfOneSubnet(InventsMembersWithRecords):
    """The same, all of them in the subnet of an honest node."""

    def address(self, number: int) -> str:
        return f"tcp://10.0.0.{2 + number % 250}:{7000 + number // 250}"


class FloodsSignatures(Strategy):
    """Good signatures without end, for one node: one key with a new record each time, 31 in a packet."""

    every = 0.1

    def __init__(self) -> None:
        self.generations = count(1)
        self.left = 1500

    def tick(self, liar: Liar) -> None:
        if self.left <= 0:
            return
        self.left -= 31
        identity = invented(liar, 0)
        made = [
            protocol.record(identity, NETWORK, "tcp://10.98.0.1:7000", liar.generation + next(self.generations))
            for _ in range(31)
        ]
        update = Update(bytes(identity.peer), liar.generation, 0, ALIVE)
        liar.say(liar.victims[0], protocol.GOSSIP, updates=[update], records=made)


class ForgesRecords(Strategy):
    """Records of honest members at other addresses and in later lives, under the signatures that they had."""

    def tick(self, liar: Liar) -> None:
        for key in liar.some(4):
            data = liar.records[key]
            forged = [
                protocol.forged(data, address=liar.address),
                protocol.forged(data, generation=liar.known[key].generation + 100),
            ]
            later = Update(key, liar.known[key].generation + 100, 0, ALIVE)
            liar.gossip([later], liar.some(3), forged)


class ContradictsItself(Strategy):
    """Signs two lives of one generation, at two addresses, and shows each to one half; every few seconds two others."""

    caught = True

    def __init__(self) -> None:
        self.ticks = 0
        self.there = ""

    def tick(self, liar: Liar) -> None:
        if self.ticks % 8 == 0:
            self.there = f"tcp://10.97.0.{1 + liar.rng.randrange(200)}:7000"
            liar.renew(liar.generation + 1)
        self.ticks += 1
        liar.incarnation = self.ticks % 8 // 4
        for number, key in enumerate(liar.victims):
            life = number % 2
            address = self.there if life else liar.address
            shown = protocol.record(liar.identity, NETWORK, address, liar.generation, life=life)
            update = protocol.own(liar.identity, liar.generation, liar.incarnation, life=life)
            liar.record = shown
            liar.say(key, protocol.GOSSIP, src=update, updates=[update])


class ComesAndGoes(Strategy):
    """Leaves and comes back under a new generation, several times a second."""

    every = 0.2

    def tick(self, liar: Liar) -> None:
        gone = Update(liar.key, liar.generation, liar.incarnation, protocol.LEFT)
        liar.gossip([gone], liar.some(3))
        liar.renew(liar.generation + 1)
        liar.gossip([liar.me], liar.some(3))


class KeysThatComeOnce(Strategy):
    """Genuine members, one after the other: each joins, answers, and leaves for good a second later."""

    every = 0.5

    def __init__(self) -> None:
        self.number = 0

    def tick(self, liar: Liar) -> None:
        if self.number < 20:
            self.number += 1
            helper = liar.helper(f"once{self.number}", liar.ip)
            helper.start([(key, liar.addresses[key]) for key in liar.some(3)])
            helper.later(1.0, lambda: self._leave(liar, helper))

    def _leave(self, liar: Liar, helper: Liar) -> None:
        proof = protocol.farewell_of(helper.identity, helper.generation)
        gone = Update(helper.key, helper.generation, helper.incarnation, protocol.LEFT, proof=proof)
        for each in (helper, liar):
            each.gossip([gone], liar.victims, [helper.record])
        liar.later(1.0, helper.close)


class PoisonsTheExchange(Strategy):
    """Answers Bootstrap, and whoever did not ask, with a hundred records of nobody."""

    every = 5.0

    def records(self, liar: Liar) -> Iterator[bytes]:
        for number in range(100):
            identity = invented(liar, number)
            yield protocol.record(identity, NETWORK, f"tcp://10.96.{number}.1:7000", liar.generation)

    def begin(self, liar: Liar) -> None:
        self.frames = protocol.on_channel(protocol.EXCHANGE, [protocol.ADVERTISE, list(self.records(liar))])
        for key in liar.victims:
            liar.connect(key)

    def tick(self, liar: Liar) -> None:
        for key in liar.victims if hasattr(self, "frames") else ():
            liar.on_connection(key, self.frames)
            liar.on_connection(key, protocol.on_channel(protocol.EXCHANGE, [protocol.BOOTSTRAP]))

    def message(self, liar: Liar, sender: bytes, channel: int, message: list[object]) -> bool:
        if channel == protocol.EXCHANGE and message[0] == protocol.BOOTSTRAP and hasattr(self, "frames"):
            liar.on_connection(sender, self.frames)
        return channel == protocol.EXCHANGE


class PoisonsFeeds(Strategy):
    """Who announces itself here is told that all others are dead, and of members that do not exist."""

    every = 3.0

    def lies(self, liar: Liar, sender: bytes) -> list[Update]:
        dead = [liar.claim(key, DOWN) for key in liar.victims if key != sender]
        nobody = [bytes(invented(liar, number).peer) for number in range(20)]
        return [*dead, *(Update(key, liar.generation, 0, ALIVE) for key in nobody)]

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        if envelope.swim is not None and envelope.swim.kind == protocol.ANNOUNCE:
            liar.say(sender, protocol.FEED, updates=self.lies(liar, sender))
            return True
        return False

    def tick(self, liar: Liar) -> None:
        for key in liar.some(3):
            liar.say(key, protocol.FEED, updates=self.lies(liar, key))


class PoisonsSyncs(Strategy):
    """Asks for syncs all the time, with digests that are never right, and lists the living as dead."""

    every = 2.0

    def tick(self, liar: Liar) -> None:
        for key in liar.victims:
            liar.say(key, protocol.SYNC_REQUEST, liar.rng.getrandbits(62))
        for key in liar.some(4):
            self._answer(liar, key, asks=1)

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        if envelope.swim is not None and envelope.swim.kind == protocol.SYNC_REQUEST:
            self._answer(liar, sender, asks=0)
            return True
        return False

    def _answer(self, liar: Liar, to: bytes, *, asks: int) -> None:
        others = [key for key in liar.victims if key != to]
        lies = [liar.claim(key, liar.rng.choice((ALIVE, DOWN)), above=liar.rng.randrange(3)) for key in others]
        liar.say(to, protocol.SYNC_PART, asks, updates=lies)
