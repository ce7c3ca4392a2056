"""Lies that wait for their moment: a join, a restart, a crash, a partition; and what was true once, said again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from tests.liars import protocol
from tests.liars.liar import Liar, Strategy
from tests.liars.protocol import ALIVE, DOWN, FORWARDED_ACK, LEFT, NACK, PING_REQ, Envelope, Update


def soon(liar: Liar, action: Callable[[], object], times: int, every: float = 0.2) -> None:
    """Several times from now on."""
    for number in range(times):
        liar.later(number * every, action)


class LiesAtJoins(Strategy):
    """Whoever joins is told that all are dead, and all are told that it is."""

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        if what == "joined":
            for key in peers:
                soon(liar, partial(self._lie, liar, key), times=40)

    def _lie(self, liar: Liar, key: bytes) -> None:
        if key in liar.known:
            others = [other for other in liar.victims if other != key]
            liar.gossip([liar.claim(key, DOWN)], others)
            liar.gossip([liar.claim(other, DOWN) for other in others], [key])


class LiesAtRestarts(Strategy):
    """Whoever restarts has left, says this one: in its new life as in the next ones."""

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        if what == "restarted":
            for key in peers:
                soon(liar, partial(self._lie, liar, key), times=40)

    def _lie(self, liar: Liar, key: bytes) -> None:
        if key in liar.known:
            held = liar.known[key].generation
            now = int(liar.simulation.wall() * 1000)
            lies = [Update(key, generation, 0, LEFT) for generation in (held, held + 1, now, now + 60_000)]
            for lie in lies:
                liar.gossip([lie], [other for other in liar.victims if other != key])


class LiesAtPartitions(Strategy):
    """Reaches both sides of a partition: tells each that the other has left, and when it is healed says so again."""

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        if what == "parted":
            self.side = set(peers)
            soon(liar, lambda: self._lie(liar), times=30)
        elif what == "healed":
            soon(liar, lambda: self._lie(liar), times=60)

    def _lie(self, liar: Liar) -> None:
        here = [key for key in liar.victims if key in self.side]
        there = [key for key in liar.victims if key not in self.side]
        liar.gossip([liar.claim(key, DOWN, above=1) for key in there], here)
        liar.gossip([liar.claim(key, DOWN, above=1) for key in here], there)


class ReplaysOldClaims(Strategy):
    """Keeps every update and record that it ever heard, and says them again when they are no longer true."""

    every = 1.0

    def __init__(self) -> None:
        self.updates: dict[Update, None] = {}
        self.records: dict[bytes, None] = {}

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        if envelope.swim is not None:
            self.updates.update(dict.fromkeys((envelope.swim.src, *envelope.swim.updates)))
        self.records.update(dict.fromkeys(envelope.records))
        return False

    def tick(self, liar: Liar) -> None:
        others = [update for update in self.updates if update.key != liar.key]
        said = liar.rng.sample(others, min(len(others), 40))
        records = liar.rng.sample(list(self.records), min(len(self.records), 16))
        liar.gossip(said, liar.some(4), records)
        for update in said[:4]:
            liar.gossip([replace(update, state=DOWN)], liar.some(3))


class ReplaysPackets(Strategy):
    """Sends on, byte by byte, the packets that others have sent to it."""

    def __init__(self) -> None:
        self.heard: list[Envelope] = []

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        self.heard = [*self.heard[-199:], envelope]
        return False

    def tick(self, liar: Liar) -> None:
        for envelope in liar.rng.sample(self.heard, min(len(self.heard), 10)):
            for key in liar.some(2):
                liar.send(key, protocol.packet(envelope.swim, envelope.records, envelope.wanted))


class FalseHelpers(Strategy):
    """Helps with probes, together with all its like: says that the dead answer and the living do not."""

    def __init__(self) -> None:
        self.dead: set[bytes] = set()

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        if what == "crashed":
            self.dead.update(peers)
        elif what == "restarted":
            self.dead.difference_update(peers)

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        swim = envelope.swim
        if swim is None or swim.kind not in (PING_REQ, protocol.INDIRECT_PING):
            return False
        if swim.kind == PING_REQ:
            if protocol.third(swim)[0] in self.dead:
                liar.say(sender, FORWARDED_ACK, *protocol.false_answer(*protocol.third(swim)))
            else:
                liar.say(sender, NACK, *protocol.third(swim))
        return True

    def tick(self, liar: Liar) -> None:
        dead = [key for key in sorted(self.dead) if key in liar.known]
        liar.gossip([liar.claim(key, ALIVE) for key in dead], liar.victims)
        living = [key for key in liar.some(2) if key not in self.dead]
        liar.gossip([liar.claim(key, protocol.SUSPECT) for key in living], liar.some(2))


class GuessesAcks(Strategy):
    """Answers probes that were meant for the dead: ForwardedAcks of every number that may be awaited."""

    every = 0.2

    def __init__(self) -> None:
        self.dead: set[bytes] = set()
        self.numbers: dict[bytes, int] = {}

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        if what == "crashed":
            self.dead.update(peers)
        elif what == "restarted":
            self.dead.difference_update(peers)

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        if envelope.swim is not None and envelope.swim.kind in (protocol.SWIM_PING, PING_REQ):
            self.numbers[sender] = envelope.swim.fields[-1]
        return False

    def tick(self, liar: Liar) -> None:
        for key in sorted(self.dead & liar.known.keys()):
            for sender, last in self.numbers.items():
                for number in range(last, last + 6):
                    liar.say(sender, FORWARDED_ACK, *protocol.false_answer(key, liar.known[key].generation, number))
