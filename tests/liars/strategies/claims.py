"""Lies about others, told as gossip: who is dead, who has left, in which life, at which incarnation."""

from __future__ import annotations

from collections.abc import Sequence

from tests.liars import protocol
from tests.liars.liar import Liar, Strategy
from tests.liars.protocol import ALIVE, DOWN, LEFT, SUSPECT, Envelope, Update


class OthersHaveLeft(Strategy):
    """Says of honest members that they have left, in a life that no clock will ever reach."""

    every = 5.0

    def tick(self, liar: Liar) -> None:
        left = [Update(key, 2**62, 0, LEFT) for key in liar.some(2)]
        liar.gossip(left, liar.victims)


class OthersHaveLeftThisLife(Strategy):
    """The same of the life that they have."""

    every = 2.0

    def tick(self, liar: Liar) -> None:
        liar.gossip([liar.claim(key, LEFT) for key in liar.some(2)], liar.victims)


class RunawayGenerations(Strategy):
    """Tells members that it holds a later life of them, again and again, and others that this life is Down."""

    every = 4.0

    def tick(self, liar: Liar) -> None:
        for key in liar.some(3):
            later = min(liar.known[key].generation + 2**32 - 1, 2**63 - 2)
            liar.say(key, protocol.TURN_UNDEAD, *protocol.turn_undead(later, 0, LEFT, liar.guess(1), 1))

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        if what == "restarted":
            for key in peers:
                held = liar.known.get(key)
                if held is not None:
                    liar.gossip([Update(key, held.generation + 2**32 - 1, 0, LEFT)], liar.victims)


class YouAreDead(Strategy):
    """Tells everybody all the time that it holds them Down."""

    def tick(self, liar: Liar) -> None:
        for key in liar.victims:
            held = liar.claim(key, DOWN)
            fields = protocol.turn_undead(held.generation, held.incarnation, held.state, held.proof, 1)
            liar.say(key, protocol.TURN_UNDEAD, *fields)


class DownInEachLife(Strategy):
    """Says of the same few members that they are Down, in each life that they go on under."""

    def begin(self, liar: Liar) -> None:
        self.whom = liar.some(3)

    def tick(self, liar: Liar) -> None:
        whom = [key for key in getattr(self, "whom", ()) if key in liar.known]
        liar.gossip([liar.claim(key, DOWN) for key in whom], liar.victims)


class DownAboveItsIncarnation(Strategy):
    """As `DownInEachLife`, of everybody, and one incarnation ahead, so that refuting the present one is not enough."""

    every = 3.0

    def tick(self, liar: Liar) -> None:
        liar.gossip([liar.claim(key, DOWN, above=1) for key in liar.some(4)], liar.victims)


class SuspectsEverybody(Strategy):
    """Never stops to suspect: everybody refutes, over and over."""

    every = 0.5

    def tick(self, liar: Liar) -> None:
        liar.gossip([liar.claim(key, SUSPECT) for key in liar.victims], liar.some(4))


class SpoilsProofs(Strategy):
    """Suspects at the held incarnation, which needs no proof, with one that is none: so refuting looks false."""

    every = 2.0

    def tick(self, liar: Liar) -> None:
        held = [liar.known[key] for key in liar.victims]
        liar.gossip(
            [
                Update(
                    each.key, each.generation, each.incarnation, SUSPECT, proof=b"?" * 16 if each.incarnation else b""
                )
                for each in held
            ],
            liar.victims,
        )


class InventsAccusers(Strategy):
    """Suspects in the name of eight honest members, to shorten the time that the accused have; keeps it from them."""

    every = 2.0

    def tick(self, liar: Liar) -> None:
        whom = liar.some(2)
        others = [key for key in liar.victims if key not in whom]
        liar.gossip([liar.claim(key, SUSPECT, above=1, accusers=others[:8]) for key in whom], others)


class RaisesIncarnations(Strategy):
    """Says of others that they have refuted a thousand times, up to where they cannot any more."""

    every = 0.5

    def tick(self, liar: Liar) -> None:
        liar.gossip([liar.claim(key, ALIVE, above=1000) for key in liar.some(3)], liar.victims)


class SuspectsAtTheLastIncarnation(Strategy):
    """Suspects at the highest incarnation there is, where no refutation is left."""

    every = 3.0

    def tick(self, liar: Liar) -> None:
        whom = liar.some(2)
        for above in range(0, protocol.MAX_INCARNATION + 1, 64):
            liar.gossip([liar.claim(key, SUSPECT, above=above) for key in whom], whom)


class SplitViews(Strategy):
    """Tells one half of the members that the other half is dead, and the other way round."""

    every = 2.0

    def tick(self, liar: Liar) -> None:
        victims = liar.victims
        half, other = victims[::2], victims[1::2]
        liar.gossip([liar.claim(key, DOWN) for key in other], half)
        liar.gossip([liar.claim(key, DOWN) for key in half], other)
        liar.gossip([Update(key, liar.known[key].generation + 7, 0, ALIVE) for key in half], other)


class VouchesForTheDead(Strategy):
    """Says of whoever has crashed that it has refuted, again and again, and is alive."""

    every = 0.5

    def __init__(self) -> None:
        self.dead: set[bytes] = set()
        self.above = 0

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        if what == "crashed":
            self.dead.update(peers)
        elif what == "restarted":
            self.dead.difference_update(peers)

    def tick(self, liar: Liar) -> None:
        self.above += 1
        dead = [key for key in sorted(self.dead) if key in liar.known]
        if dead:
            liar.gossip([liar.claim(key, ALIVE, above=self.above) for key in dead], liar.victims)


class RevivesTheDeadInANewLife(VouchesForTheDead):
    """The same with a new generation each time, which replaces whatever is held of the old one."""

    def tick(self, liar: Liar) -> None:
        self.above += 1
        dead = [key for key in sorted(self.dead) if key in liar.known]
        if dead:
            lives = [Update(key, liar.known[key].generation + self.above, 0, ALIVE) for key in dead]
            liar.gossip(lives, liar.victims)


class SpeaksForOthers(Strategy):
    """Sends packets that say they are from somebody else: a Gossip, an Ack, a farewell."""

    def tick(self, liar: Liar) -> None:
        for key in liar.victims:
            for other in liar.some(2):
                held = liar.known[other]
                later = Update(other, held.generation + 5, 0)
                liar.say(key, protocol.GOSSIP, updates=[liar.claim(other, LEFT)], src=held)
                liar.say(key, protocol.ACK, 7, src=later)


class HearsNothing(Strategy):
    """Is heard and hears nothing, without malice: it never answers, suspects everybody, and then holds them Down."""

    every = 1.0

    def tick(self, liar: Liar) -> None:
        number = int(liar.simulation.time * 1000)
        for key in liar.some(4):
            liar.say(key, protocol.SWIM_PING, number)
        liar.gossip([liar.claim(key, SUSPECT) for key in liar.victims], liar.some(3))
        liar.gossip([liar.claim(key, DOWN) for key in liar.some(2)], liar.some(3))

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        return envelope.swim is None or envelope.swim.kind != protocol.ANNOUNCE
