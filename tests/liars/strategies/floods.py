"""More than a node should have to work for one peer, and many keys of one person."""

from __future__ import annotations

from functools import partial

from rookery.testing import NETWORK
from tests.liars import protocol
from tests.liars.liar import Liar, Strategy
from tests.liars.protocol import Update


class FloodsPings(Strategy):
    """Pings of the transport, 20,000 within a second, on a connection with one node."""

    every = 0.1
    burst = 2000

    def __init__(self) -> None:
        self.left = 10

    def begin(self, liar: Liar) -> None:
        self.whom = liar.some(1)
        for key in self.whom:
            liar.connect(key)

    def tick(self, liar: Liar) -> None:
        if self.left <= 0:
            return
        for key in getattr(self, "whom", ()):
            frames = protocol.ping(0)
            if liar.on_connection(key, frames):
                self.left -= 1
                for _ in range(self.burst - 1):
                    liar.on_connection(key, frames)


class FloodsProbes(Strategy):
    """Announces, pings and requests for indirect pings, as many as the quota of packets lets through."""

    every = 0.1

    def __init__(self) -> None:
        self.number = 0

    def tick(self, liar: Liar) -> None:
        if not 30 < liar.simulation.time < 40:
            return
        for key in liar.some(1):
            for _ in range(12):
                self.number += 1
                liar.say(key, protocol.ANNOUNCE)
                liar.say(key, protocol.SYNC_REQUEST, self.number)
                for other in liar.some(2):
                    held = liar.known[other]
                    liar.say(key, protocol.PING_REQ, other, held.generation, self.number)


class AsksForRecords(Strategy):
    """Asks for 32 records in each packet, for nothing."""

    every = 0.05

    def tick(self, liar: Liar) -> None:
        if liar.simulation.time < 45:
            for key in liar.some(2):
                liar.send(key, protocol.packet(None, [liar.record], liar.victims[: protocol.MAX_WANTED]))


class Crowd(Strategy):
    """Keys from one IP, each of which connects to everybody: a quarter of 66 of each liar, and 66 at most of all."""

    number = 66

    def ip(self, liar: Liar, number: int) -> str:
        return "10.66.99.1"

    def begin(self, liar: Liar) -> None:
        for number in range(self.number // 4 + 1):
            liar.later(number * 0.2, partial(self._add, liar, number))

    def _add(self, liar: Liar, number: int) -> None:
        if liar.gang.crowd == self.number:
            return
        liar.gang.crowd += 1
        helper = liar.helper(f"sybil{number}", self.ip(liar, number))
        seeds = [(key, liar.addresses[key]) for key in liar.some(1)]
        helper.start(seeds)
        for key in liar.victims:
            helper.addresses[key] = liar.addresses[key]
            helper.connect(key)


class CrowdOfManySubnets(Crowd):
    """The same, each from a subnet of its own."""

    def ip(self, liar: Liar, number: int) -> str:
        return f"10.{70 + int(liar.name[-1])}.{number}.1"


class HalfHandshakes(Strategy):
    """Hellos that are never followed by a Ready, from helper after helper."""

    every = 0.5

    def __init__(self) -> None:
        self.number = 0

    def tick(self, liar: Liar) -> None:
        if self.number >= 60:
            return
        self.number += 1
        helper = liar.helper(f"half{self.number}", liar.ip, _NeverReady())
        for key in liar.victims:
            helper.addresses[key] = liar.addresses[key]
            helper.connect(key)


class _NeverReady(Strategy):
    """Only says Hello."""

    says_ready = False


class NeverAnswers(Strategy):
    """Takes requests for values and never answers one; is as quiet about probes of others."""

    def begin(self, liar: Liar) -> None:
        for key in liar.victims:
            liar.connect(key)

    def message(self, liar: Liar, sender: bytes, channel: int, message: list[object]) -> bool:
        return channel == protocol.BLOBS


class AnswersWrongly(NeverAnswers):
    """Answers each request with another value than was asked for."""

    def message(self, liar: Liar, sender: bytes, channel: int, message: list[object]) -> bool:
        if channel == protocol.BLOBS and message[0] == protocol.REQUEST:
            liar.on_connection(sender, protocol.on_channel(channel, [protocol.RESPONSE, message[1], b"wrong"]))
        return channel == protocol.BLOBS


class AnswersLate(NeverAnswers):
    """Says after nearly 5 s that it does not have the value."""

    def message(self, liar: Liar, sender: bytes, channel: int, message: list[object]) -> bool:
        if channel == protocol.BLOBS and message[0] == protocol.REQUEST:
            frames = protocol.on_channel(channel, [protocol.MISSING, message[1]])
            liar.later(4.5, lambda: liar.on_connection(sender, frames))
        return channel == protocol.BLOBS


class FloodsRequests(NeverAnswers):
    """Asks for values that nobody has, as fast as it goes, and takes no answer."""

    every = 0.1

    def __init__(self) -> None:
        self.left = 12

    def tick(self, liar: Liar) -> None:
        if self.left > 0 and liar.on_connection(liar.victims[0], protocol.ping(0)):
            self.left -= 1
            for number in range(500):
                frames = protocol.on_channel(protocol.BLOBS, [protocol.REQUEST, number, liar.rng.randbytes(32), 0])
                liar.on_connection(liar.victims[0], frames)


class NewLifeInEachHello(Strategy):
    """Dials again and again, each time with a record of a new generation."""

    every = 0.5

    def __init__(self) -> None:
        self.left = 40

    def tick(self, liar: Liar) -> None:
        self.left -= 1
        if self.left < 0:
            return
        liar.renew(liar.generation + 1)
        for key in liar.some(2):
            helper = liar.helper(f"hello{liar.generation}", liar.ip)
            helper.addresses[key] = liar.addresses[key]
            helper.record = protocol.record(helper.identity, NETWORK, helper.address, liar.generation)
            helper.connect(key)
            liar.gossip([Update(helper.key, liar.generation, 0, protocol.ALIVE)], [key], [helper.record])
            liar.later(2.0, helper.close)
