"""Short-lived connections between nodes whose other places are taken."""

from __future__ import annotations

from rookery.transport import Direction, PeerId, Reason, Ticket
from rookery.transport.core.short_lived import IDLE, LOOK_EVERY, PATIENCE, QUIET, TURN
from tests.transport.worlds import Node, SimulatedWorld


def asks(asker: Node, other: Node) -> Ticket:
    ticket = Ticket(next(asker.tickets), other.peer, Direction.OUT)
    asker.net.dial(ticket, other.address, short_lived=True)
    return ticket


def full(world: SimulatedWorld) -> tuple[Node, Node]:
    """A node whose only place is taken, and by whom. It has two short-lived ones, one of them for its own dials."""
    holder, friend = world.node("holder", max_connections=1, reserved_outbound=0), world.node("friend")
    world.connected(friend, holder)
    return holder, friend


def test_full_node_takes_a_short_lived_connection_until_it_is_idle(simulated: SimulatedWorld) -> None:
    holder, friend = full(simulated)
    asker = simulated.node("asker")
    asks(asker, holder)
    simulated.until(lambda: asker.links() and len(holder.links()) == 2)
    assert [link.short_lived for link in asker.links()] == [True]
    assert holder.link_to(asker).short_lived
    simulated.pass_time(IDLE - 1)
    asker.net.send(asker.link_to(holder).id, 16, b"more")
    simulated.pass_time(IDLE - 1)
    assert asker.links()
    simulated.pass_time(1 + 2 * LOOK_EVERY)
    assert asker.links() == []
    assert Reason.IDLE in asker.closed()
    assert [link.peer for link in holder.links()] == [friend.peer]
    assert holder.counted_slots() == 1


def test_flood_of_short_lived_askers_costs_a_node_no_other_connection(simulated: SimulatedWorld) -> None:
    holder, friend = full(simulated)
    askers = [simulated.node(f"asker-{number}") for number in range(12)]
    for _ in range(20):
        for asker in askers:
            asks(asker, holder)
        simulated.pass_time(1)
        there = [link for link in holder.links() if link.peer != friend.peer]
        assert len(there) <= 1
        assert all(link.short_lived for link in there)
    assert holder.link_to(friend).short_lived is False
    assert holder.counted("refused", Reason.QUEUED) > 0
    own = simulated.node("own")
    asks(holder, own)
    simulated.until(lambda: own.links())  # one place is its own


def test_askers_have_the_place_in_turn_and_each_has_to_leave_it_in_time(simulated: SimulatedWorld) -> None:
    holder, _friend = full(simulated)
    first, second = simulated.node("first"), simulated.node("second")
    asks(first, holder)
    simulated.until(lambda: first.links())
    waited = 0.0
    while not second.links() and waited < 2 * TURN:
        asks(second, holder)
        first.net.send(first.link_to(holder).id, 16, b"still busy")
        simulated.pass_time(1)
        waited += 1
    assert TURN - QUIET <= waited <= TURN + PATIENCE
    assert first.closed() == [Reason.TURN_OVER]


def test_quiet_connection_gives_its_place_to_who_waits(simulated: SimulatedWorld) -> None:
    holder, _friend = full(simulated)
    first, second = simulated.node("first"), simulated.node("second")
    asks(first, holder)
    simulated.until(lambda: first.links())
    simulated.pass_time(QUIET + 0.1)
    asks(second, holder)
    simulated.until(lambda: second.links(), timeout=1)
    assert first.closed() == [Reason.TURN_OVER]


def test_short_lived_connection_does_not_become_another_beyond_the_limit(simulated: SimulatedWorld) -> None:
    holder, friend = full(simulated)
    asker = simulated.node("asker")
    asks(asker, holder)
    simulated.until(lambda: asker.links())
    asker.net.close(holder.peer, Reason.REQUESTED)
    ticket = asker.dial(holder)  # the far end may still have the other
    simulated.until(lambda: asker.gatekeeper.releases)
    simulated.pass_time(1)
    assert (ticket, Reason.TOO_MANY) in asker.gatekeeper.releases
    assert friend.peer in {link.peer for link in holder.links()}


def test_connection_is_not_idle_while_a_long_answer_is_on_its_way(simulated: SimulatedWorld) -> None:
    holder, _friend = full(simulated)
    asker = simulated.node("asker")
    asks(asker, holder)
    simulated.until(lambda: asker.links() and len(holder.links()) == 2)
    asker.net.answers_awaited(asker.link_to(holder).id, 1)
    answer = bytes(65_000)
    simulated.simulation.network.set_link("holder", "asker", bandwidth=len(answer) / (IDLE + 1.5))
    holder.net.send(holder.link_to(asker).id, 16, answer)
    simulated.pass_time(IDLE + 2)
    assert asker.payloads() == [answer]
    asker.net.answers_awaited(asker.link_to(holder).id, -1)
    simulated.pass_time(IDLE - 1)
    assert asker.links()
    simulated.pass_time(1 + 2 * LOOK_EVERY)
    assert (asker.links(), holder_links(holder, asker)) == ([], [])
    asker.net.answers_awaited(1, 1)  # it is gone
    simulated.pass_time(1)


def holder_links(holder: Node, asker: Node) -> list[PeerId]:
    """With the asker."""
    return [link.peer for link in holder.links() if link.peer == asker.peer]


def test_connection_over_which_its_node_owes_an_answer_is_taken_when_its_turn_is_over(
    simulated: SimulatedWorld,
) -> None:
    holder, _friend = full(simulated)
    first, second = simulated.node("first"), simulated.node("second")
    asks(first, holder)
    simulated.until(lambda: first.links() and len(holder.links()) == 2)
    holder.net.answers_awaited(holder.link_to(first).id, 1)
    first.net.answers_awaited(first.link_to(holder).id, 1)
    waited = 0.0
    while not second.links() and waited < 2 * TURN:
        asks(second, holder)
        simulated.pass_time(1)
        waited += 1
    assert TURN - QUIET <= waited <= TURN + PATIENCE
    assert first.closed() == [Reason.TURN_OVER]


def test_place_of_our_own_is_free_for_the_next_peer_once_the_first_has_nothing_for_us(
    simulated: SimulatedWorld,
) -> None:
    asker, _friend = full(simulated)
    first, second = simulated.node("first"), simulated.node("second")
    asks(asker, first)
    simulated.until(lambda: first.links())
    asker.net.answers_awaited(asker.link_to(first).id, 1)
    asker.net.answers_awaited(asker.link_to(first).id, -1, in_vain=True)
    asks(asker, second)
    simulated.until(lambda: second.links(), timeout=QUIET / 2)
    assert first.closed() == [Reason.IDLE], "it is not to be dialled again for it"
