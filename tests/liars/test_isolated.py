"""A newcomer all of whose contacts lie cannot be saved: what it says of that, and that one honest contact is enough."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from rookery.actors.tracker import StaticPeer
from rookery.runtime import Simulation
from rookery.testing import NETWORK, SimulatedNodes, WholeNode
from rookery.transport import Address
from tests.liars import protocol
from tests.liars.knowledge import Gang
from tests.liars.liar import Liar, Strategy
from tests.liars.protocol import ALIVE, DOWN, Envelope, Update
from tests.liars.strategies.invented import invented

BAND = {"min_connections": 1}
HONEST = {"first", "second", "third"}
SAYS = ("membership_changes_total", "Isolated")
SAYS_NOT = ("membership_changes_total", "Joined")


class _Feeds(Strategy):
    """Answers whoever announces itself with what a subclass says, and nobody ever tells of anybody honest."""

    def feed(self, liar: Liar) -> tuple[list[Update], list[bytes]]:
        return [], []

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        swim = envelope.swim
        if swim is None or swim.kind not in (protocol.ANNOUNCE, protocol.SYNC_REQUEST):
            return swim is None or swim.kind != protocol.SWIM_PING
        updates, records = self.feed(liar)
        liar.say(sender, protocol.FEED, updates=updates, records=records)
        return True


class TellsOfNobody(_Feeds):
    """Is a decent member of a cluster of two."""


class TellsOfTheDead(_Feeds):
    """Says of all honest members that they are Down, and of some of nobody that they are alive."""

    def feed(self, liar: Liar) -> tuple[list[Update], list[bytes]]:
        dead = [liar.claim(key, DOWN) for key in liar.victims]
        return [*dead, *(Update(bytes(invented(liar, number).peer), 1, 0, ALIVE) for number in range(20))], []


class TellsOfTheInvented(_Feeds):
    """Shows records of members that are nowhere."""

    def feed(self, liar: Liar) -> tuple[list[Update], list[bytes]]:
        keys = [invented(liar, number) for number in range(20)]
        updates = [Update(bytes(key.peer), liar.generation, 0, ALIVE) for key in keys]
        make = partial(protocol.record, network=NETWORK, generation=liar.generation)
        return updates, [make(key, address=f"tcp://10.99.0.{number}:7000") for number, key in enumerate(keys)]


class SaysNothing(Strategy):
    """Takes connections and answers no packet."""

    def packet(self, liar: Liar, sender: bytes, envelope: Envelope) -> bool:
        return True


class Place:
    """Three honest nodes, which know each other; and a liar that knows them."""

    def __init__(self, simulation: Simulation, strategy: Strategy) -> None:
        self.simulation = simulation
        self.nodes = SimulatedNodes(simulation)
        first = self.nodes.start("first", maintenance=BAND)
        self.honest = [
            first,
            *(self.nodes.start(name, seeds=[first], maintenance=BAND) for name in ("second", "third")),
        ]
        simulation.run(for_=5)
        identity = self.nodes.known.identity("liar")
        self.liar = Liar(simulation, self.nodes.internet, identity, strategy, name="liar", ip="10.66.0.1", gang=Gang())
        for node in self.honest:
            self.liar.learn(Update(bytes(node.peer), generation(node)))
            self.liar.addresses[bytes(node.peer)] = str(node.address)

    def newcomer(self, *seeds: WholeNode | StaticPeer) -> WholeNode:
        return self.nodes.start("newcomer", seeds=seeds, maintenance=BAND)

    @property
    def lying_seed(self) -> StaticPeer:
        return StaticPeer(self.liar.identity.peer, Address.parse(self.liar.address))

    def seen_by(self, node: WholeNode) -> set[str]:
        names = {each.peer: each.name for each in self.honest} | {self.liar.identity.peer: "liar"}
        return {names.get(each.peer, "nobody") for each in node.membership.members().get(timeout=5).active}


def generation(node: WholeNode) -> int:
    own = node.membership.members().get(timeout=5).own
    assert own is not None
    return own.generation


@pytest.fixture
def place(request: pytest.FixtureRequest, simulation: Simulation) -> Iterator[Place]:
    made = Place(simulation, request.param())
    yield made
    made.liar.close()


@pytest.mark.parametrize("place", [SaysNothing, TellsOfTheDead, TellsOfTheInvented], indirect=True)
def test_newcomer_whose_only_seed_lies_says_that_it_is_isolated(place: Place) -> None:
    newcomer = place.newcomer(place.lying_seed)
    place.simulation.run(for_=40)
    assert not place.seen_by(newcomer) & HONEST
    assert newcomer.counted(*SAYS) == 1


@pytest.mark.parametrize("place", [TellsOfNobody], indirect=True)
def test_newcomer_whose_only_seed_tells_of_nobody_is_one_of_two_members(place: Place) -> None:
    newcomer = place.newcomer(place.lying_seed)
    place.simulation.run(for_=40)
    assert place.seen_by(newcomer) == {"liar"}
    assert newcomer.counted(*SAYS) == 0


@pytest.mark.parametrize("place", [SaysNothing, TellsOfTheDead, TellsOfTheInvented], indirect=True)
def test_isolated_newcomer_that_is_given_an_honest_seed_joins_and_says_so(place: Place) -> None:
    newcomer = place.newcomer(place.lying_seed)
    place.simulation.run(for_=40)
    first, joined = place.honest[0], newcomer.counted(*SAYS_NOT)
    newcomer.membership.join([(first.peer, first.address)])
    place.nodes.run_until(lambda: place.seen_by(newcomer) >= HONEST, timeout=20)
    place.nodes.run_until(lambda: newcomer.counted(*SAYS_NOT) == joined + 1, timeout=30)
    assert newcomer.counted(*SAYS) == 1


@pytest.mark.parametrize("place", [SaysNothing, TellsOfNobody, TellsOfTheDead, TellsOfTheInvented], indirect=True)
def test_newcomer_with_one_honest_seed_beside_the_lying_one_joins(place: Place) -> None:
    newcomer = place.newcomer(place.lying_seed, place.honest[0])
    place.simulation.run(for_=40)
    assert place.seen_by(newcomer) >= HONEST
    assert newcomer.counted(*SAYS) == 0


def test_first_node_of_a_cluster_without_seeds_is_not_isolated(simulation: Simulation) -> None:
    node = SimulatedNodes(simulation).start("first", maintenance=BAND)
    simulation.run(for_=60)
    assert node.counted(*SAYS) == 0
