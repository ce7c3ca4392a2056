"""Rates, pending handshakes and hard limits through the engine, what who is refused is told of others, and what
strangers can have a node write into its log: a few lines each, and one that says how many were left out.
"""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from rookery import transport
from rookery.runtime.settings import SettingsError
from rookery.transport import Address, Direction, Endpoint, PeerId, PeerRecord, Reason, Ticket
from rookery.transport.core.codec import MAX_ALTERNATIVES, Reject, Welcome
from tests.transport.raw import RawPeer
from tests.transport.worlds import Node, RealWorld, SimulatedWorld, World

AT_ONCE = 64

NO_FOLDER = "no data folder, so the generation is random within the second: a restart may seem an earlier life"
UNLIMITED = {
    "engine.py: listening",
    "parts/inbound.py: near the limit of file descriptors: new connections are refused",  # once a minute by itself
    "parts/packets.py: packet of an unknown kind dropped",  # as this one
    f"parts/shared.py: {NO_FOLDER}",
    "parts/shared.py: SET_ASIDE",
}


def refused(world: World, dialler: Node, listener: Node) -> Reason:
    """Dial, and say why it failed."""
    known = len(dialler.gatekeeper.releases)
    dialler.dial(listener)
    world.until(lambda: len(dialler.gatekeeper.releases) > known)
    return dialler.gatekeeper.releases[-1][1]


def test_handshakes_over_the_rate_of_an_ip_are_refused_before_they_cost_more(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", handshake_burst=2, handshakes_per_ip=0.001)
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    told = [refused(world, alice, bob) for _ in range(3)]
    assert told == [Reason.NOT_TRACKED, Reason.NOT_TRACKED, Reason.AUTHENTICATION]
    assert bob.counted("refused", Reason.RATE) == 1
    assert len(bob.gatekeeper.claims) == 2


def test_handshakes_over_the_rate_of_a_subnet_are_refused_whatever_their_ip(simulated: SimulatedWorld) -> None:
    bob = simulated.node("bob", handshake_burst=2, handshakes_per_subnet=0.001)
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    told = [refused(simulated, simulated.node(name), bob) for name in ("alice", "carol", "dave")]
    assert told == [Reason.NOT_TRACKED, Reason.NOT_TRACKED, Reason.AUTHENTICATION]
    assert bob.counted("refused", Reason.RATE) == 1


def test_handshakes_of_several_ips_count_for_their_subnet(real: RealWorld) -> None:
    bob = real.node("bob", handshake_burst=2, handshakes_per_subnet=0.001)
    for number, ip in enumerate(["127.0.0.2", "127.0.0.3"]):
        with RawPeer(bob, real.known.identity(f"raw {number}"), ip=ip) as raw:
            raw.hello()
            assert isinstance(raw.hear(), Welcome)
    with RawPeer(bob, real.known.identity("third"), ip="127.0.0.4"):
        real.until(lambda: bob.counted("refused", Reason.RATE) == 1)
    assert {claim.ip for claim in bob.gatekeeper.claims} == {"127.0.0.2", "127.0.0.3"}


def test_handshake_over_the_pending_limit_is_refused_until_another_says_hello(real: RealWorld) -> None:
    bob = real.node("bob", max_pending_handshakes=2)
    with RawPeer(bob, real.known.identity("older")) as older:
        older.encrypted()
        with RawPeer(bob, real.known.identity("newer")) as newer:
            newer.encrypted()
            with RawPeer(bob, real.known.identity("third")):
                real.until(lambda: bob.counted("refused", Reason.PENDING) == 1)
            newer.join()
            with RawPeer(bob, real.known.identity("fourth")) as fourth:
                fourth.join()
                real.until(lambda: len(bob.links()) == 2)


def test_source_ip_mapped_into_ipv6_is_the_ipv4_one(real: RealWorld) -> None:
    try:
        bob = real.node("bob", listen=Endpoint("::", 0))
    except transport.BindError:
        pytest.skip("no IPv6 here")
    alice = real.node("alice")
    ipv4 = Address.parse(f"tcp://127.0.0.1:{bob.address.endpoint.port}")
    alice.dial(bob, address=ipv4)
    real.until(lambda: bob.links())
    assert bob.links()[0].ip == "127.0.0.1"
    real.get(bob.net.close(alice.peer, Reason.REQUESTED))
    real.until(lambda: not alice.links())
    bob.open_gate(blocked_ips=frozenset({"127.0.0.1"}))
    alice.dial(bob, address=ipv4)
    real.until(lambda: bob.counted("refused", Reason.BLOCKED) == 1)


@pytest.mark.parametrize(
    "limit",
    [
        {"max_connections": 2, "reserved_outbound": 0, "max_inbound_share_per_ip": 1.0},
        {"max_connections": 3, "reserved_outbound": 1, "max_inbound_share_per_ip": 1.0},
        {"max_per_subnet": 2},
    ],
    ids=["total", "inbound", "subnet"],
)
def test_connection_over_a_hard_limit_is_refused_and_told_of_those_that_are_connected(
    world: World, limit: dict[str, Any]
) -> None:
    bob = world.node("bob", **limit)
    others = [world.node(name) for name in ("carol", "dave")]
    for other in others:
        world.connected(other, bob)
    alice = world.node("alice")
    assert refused(world, alice, bob) is Reason.TOO_MANY
    assert bob.counted("refused", Reason.TOO_MANY) == 1
    world.until(lambda: alice.gatekeeper.hints)
    assert {(hint.peer, hint.address) for hint in alice.gatekeeper.hints} == {
        (each.peer, each.address) for each in others
    }
    assert len(bob.links()) == 2


def test_connection_over_the_limit_of_its_ip_is_refused_and_another_ip_is_not(simulated: SimulatedWorld) -> None:
    bob = simulated.node("bob", max_per_ip=1)
    simulated.one_machine = True
    here, there = simulated.node("alice"), simulated.node("carol")
    simulated.one_machine = False
    simulated.connected(here, bob)
    assert refused(simulated, there, bob) is Reason.TOO_MANY
    simulated.connected(simulated.node("dave"), bob)


def test_ip_has_a_quarter_of_the_inbound_slots_while_half_are_taken_on_loopback_too(real: RealWorld) -> None:
    bob = real.node("bob", max_connections=12, reserved_outbound=0)
    with ExitStack() as stack:
        for number in range(6):
            raw = stack.enter_context(RawPeer(bob, real.known.identity(f"sybil {number}")))
            raw.join()
            real.until(lambda: len(bob.links()) == number + 1)  # noqa: B023
        with RawPeer(bob, real.known.identity("one too many")) as raw:
            raw.hello()
            told = raw.hear()
            assert isinstance(told, Reject)
            assert told.reason is Reason.TOO_MANY
        with RawPeer(bob, real.known.identity("from elsewhere"), ip="127.0.0.2") as raw:
            raw.join()
            real.until(lambda: len(bob.links()) == 7)


def test_dial_over_the_hard_total_is_released_without_a_connect(world: World) -> None:
    alice, bob, carol = world.node("alice", max_connections=1), world.node("bob"), world.node("carol")
    world.connected(alice, bob)
    assert refused(world, alice, carol) is Reason.LIMIT
    assert carol.gatekeeper.claims == []


def test_dial_and_packet_to_an_id_that_nobody_can_have_end_at_once_and_the_node_lives(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    for nobody in (PeerId(bytes(32)), PeerId((2).to_bytes(32, "little"))):  # of small order; not on the curve
        ticket = Ticket(99, nobody, Direction.OUT)
        alice.net.dial(ticket, bob.address)
        world.until(lambda: alice.gatekeeper.releases[-1:] == [(ticket, Reason.AUTHENTICATION)])  # noqa: B023
        alice.net.send_packet(nobody, bob.address, b"x")
    world.connected(alice, bob)
    world.until(lambda: alice.counted("packets", "dropped") == 2)


@pytest.mark.parametrize("jitter", range(10))
def test_simultaneous_dials_of_full_nodes_leave_one_connection_and_one_slot(
    simulated: SimulatedWorld, jitter: int
) -> None:
    """The claim that competes with our own dial needs a second slot for a moment."""
    simulated.simulation.network.set_default(latency=0.01)
    full = {"max_connections": 1, "reserved_outbound": 0}
    alice, bob = simulated.node("alice", **full), simulated.node("bob", **full)
    alice.dial(bob)
    simulated.pass_time(0.004 * jitter)
    bob.dial(alice)
    simulated.pass_time(5)
    assert len(alice.links()) == len(bob.links()) == 1
    assert alice.counted_slots() == bob.counted_slots() == 1
    assert alice.counted("refused", Reason.TOO_MANY) == bob.counted("refused", Reason.TOO_MANY) == 0


def test_restarted_peer_takes_the_place_of_its_old_link_in_a_full_node(world: World) -> None:
    bob, alice = world.node("bob", max_connections=1, reserved_outbound=0), world.node("alice")
    world.connected(alice, bob)
    again = world.node_again("alice")
    world.get(again.net.renew(alice.engine.record.generation + 1))
    again.dial(bob)
    world.until(lambda: again.links() and bob.closed() == [Reason.REPLACED])
    assert len(bob.links()) == bob.counted_slots() == 1


def test_slot_of_a_connection_that_ended_can_be_taken_again(world: World) -> None:
    bob, alice, carol = world.node("bob", max_connections=1, reserved_outbound=0), world.node("alice"), world.node("c")
    world.connected(alice, bob)
    assert refused(world, carol, bob) is Reason.TOO_MANY
    world.get(bob.net.close(alice.peer, Reason.REQUESTED))
    world.connected(carol, bob)


def test_alternatives_are_at_most_eight_and_only_of_those_that_can_be_dialled(simulated: SimulatedWorld) -> None:
    bob = simulated.node("bob", max_connections=12, reserved_outbound=0)
    others = [simulated.node(f"peer {number}") for number in range(10)]
    hidden = [Node(simulated, f"hidden {number}", listen_at_once=False) for number in range(2)]  # no address
    for each in hidden:
        each.open_gate()
    for other in [*others, *hidden]:
        other.dial(bob)
    simulated.until(lambda: len(bob.links()) == 12)
    alice = simulated.node("alice")
    assert refused(simulated, alice, bob) is Reason.TOO_MANY
    assert len(alice.gatekeeper.hints) == len(set(alice.gatekeeper.hints)) == MAX_ALTERNATIVES
    assert {hint.peer for hint in alice.gatekeeper.hints} <= {other.peer for other in others}


def test_alternatives_of_the_gatekeepers_refusal_reach_the_dialling_gatekeeper(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    bob.gatekeeper.alternatives = (record := world.known.record("carol"),)
    assert refused(world, alice, bob) is Reason.NOT_TRACKED
    world.until(lambda: alice.gatekeeper.hints == [record])


def test_alternatives_of_the_gatekeeper_beyond_eight_are_left_out(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    bob.gatekeeper.alternatives = records = tuple(world.known.record(f"peer {number}") for number in range(9))
    assert refused(world, alice, bob) is Reason.NOT_TRACKED
    world.until(lambda: alice.gatekeeper.hints == list(records[:MAX_ALTERNATIVES]))


def test_alternatives_that_are_false_are_counted_and_not_passed_on(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob")
    true = world.known.record("carol")
    false = PeerRecord.sign(world.known.identity("dave"), network="another", address=true.address, generation=1)
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    bob.gatekeeper.alternatives = (false, true)
    assert refused(world, alice, bob) is Reason.NOT_TRACKED
    world.until(lambda: alice.gatekeeper.hints == [true])
    assert alice.counted("invalid", "alternative") == 1


def test_private_node_tells_nobody_of_others(world: World) -> None:
    alice, bob, carol = world.node("alice"), world.node("bob", max_connections=1, reserved_outbound=0), world.node("c")
    bob.open_gate(packets=frozenset({carol.identity.curve_public}))
    world.connected(carol, bob)
    assert refused(world, alice, bob) is Reason.TOO_MANY
    bob.gatekeeper.refuse_with, bob.gatekeeper.alternatives = Reason.PRIVATE, (world.known.record("dave"),)
    world.get(bob.net.close(carol.peer, Reason.REQUESTED))
    assert refused(world, alice, bob) is Reason.PRIVATE
    assert alice.gatekeeper.hints == []


def test_loopback_address_is_told_to_nobody_elsewhere(simulated: SimulatedWorld) -> None:
    bob = simulated.node("bob", max_connections=1, reserved_outbound=0)
    carol = simulated.node("carol", advertise=Address.parse("tcp://127.0.0.1:7000"))
    simulated.connected(carol, bob)
    alice = simulated.node("alice")
    assert refused(simulated, alice, bob) is Reason.TOO_MANY
    assert alice.gatekeeper.hints == []


def test_dial_ends_with_the_answer_that_ends_it_and_not_at_a_timer(simulated: SimulatedWorld) -> None:
    """One way takes 10 ms: connect and its answer, Hello and Welcome. A wrong key needs the first two only."""
    simulated.simulation.network.set_default(latency=0.01)
    alice, bob, carol = simulated.node("alice"), simulated.node("bob"), simulated.node("carol")
    alice.dial(bob)
    simulated.until(lambda: alice.links())
    assert alice.links()[0].opened_at == pytest.approx(0.04)
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    assert refused(simulated, carol, bob) is Reason.NOT_TRACKED
    assert simulated.simulation.now() == pytest.approx(0.08)
    bob.dial(carol, address=alice.address)
    simulated.until(lambda: bob.gatekeeper.releases)
    assert bob.gatekeeper.releases[0][1] is Reason.AUTHENTICATION
    assert simulated.simulation.now() == pytest.approx(0.10)


def test_node_that_conceals_itself_is_dialled_but_its_record_tells_no_address(world: World) -> None:
    alice, bob = world.node("alice"), world.node("bob", conceal=True)
    world.connected(alice, bob)
    assert alice.link_to(bob).record.address is None
    assert world.get(bob.net.renew(0)).record.address is None


def test_config_that_advertises_and_conceals_is_refused() -> None:
    with pytest.raises(SettingsError, match="conceal: contradicts advertise"):
        transport.Config(conceal=True, advertise=Address.parse("tcp://192.0.2.1:7000"))


# Log ------------------------------------------------------------------------------------------------------------------


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [record.__dict__["fields"] for record in caplog.records if record.getMessage() == event]


@pytest.fixture
def bob(simulated: SimulatedWorld) -> Node:
    bob = simulated.node("bob", handshakes_per_ip=1e6, handshakes_per_subnet=1e6)
    bob.gatekeeper.refuse_with = Reason.NOT_TRACKED
    return bob


def dials(simulated: SimulatedWorld, bob: Node, name: str, times: int) -> None:
    alice = simulated.node(name)
    for number in range(1, times + 1):
        alice.dial(bob)
        simulated.until(lambda: len(alice.gatekeeper.releases) == number)  # noqa: B023


def test_refusals_of_one_ip_are_logged_some_times_all_counted_and_the_rest_is_told_in_one_line(
    simulated: SimulatedWorld, bob: Node, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "rookery"):
        dials(simulated, bob, "alice", 200)
        logged = len(lines(caplog, "inbound refused"))
        assert AT_ONCE <= logged < AT_ONCE + 5
        assert bob.counted("refused", Reason.NOT_TRACKED) == 200
        assert bob.counted("log_lines_left_out") == 200 - logged
        assert lines(caplog, "log lines left out") == []
        simulated.pass_time(11)
        said = [each for each in lines(caplog, "log lines left out") if each["most_of"] == "10.0.0.2"]
        assert said == [{"lines": 200 - logged, "most_of": "10.0.0.2", "of_it": 200 - logged}]
        simulated.pass_time(60)
        assert len([each for each in lines(caplog, "log lines left out") if each["most_of"] == "10.0.0.2"]) == 1


def test_refusals_of_another_ip_are_logged_meanwhile(
    simulated: SimulatedWorld, bob: Node, caplog: pytest.LogCaptureFixture
) -> None:
    dials(simulated, bob, "alice", 100)
    with caplog.at_level(logging.INFO, "rookery"):
        dials(simulated, bob, "carol", 1)
    assert [each["ip"] for each in lines(caplog, "inbound refused")] == ["10.0.0.3"]


def test_refusal_of_one_more_than_there_may_be_names_the_setting(
    simulated: SimulatedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    bob = simulated.node("bob", max_connections=4, reserved_outbound=1)
    simulated.one_machine = True
    carol, dave = simulated.node("carol"), simulated.node("dave")
    simulated.one_machine = False
    with caplog.at_level(logging.INFO, "rookery"):
        simulated.connected(carol, bob)
        assert refused(simulated, dave, bob) is Reason.TOO_MANY
        for name in ("alice", "erin"):
            simulated.connected(simulated.node(name), bob)
        assert refused(simulated, simulated.node("frank"), bob) is Reason.TOO_MANY
    said = [(each["reason"], each["limit"]) for each in lines(caplog, "inbound refused")]
    assert said == [("too_many", "max_inbound_share_per_ip"), ("too_many", "reserved_outbound")]


def test_line_that_a_far_end_can_cause_goes_through_the_limit() -> None:
    """`note` and `warn`; what is written directly is here by name."""
    root = Path(transport.__file__).parent
    written = re.compile(r"\blog\.(?:info|warning)\(\s*(.*?)[,)]\s*(?:\w+=|$|\))", re.DOTALL)
    found = {
        f"{path.relative_to(root)}: {match.group(1).strip().strip(chr(34))}"
        for path in [root / "engine.py", root / "channel.py", *(root / "parts").glob("*.py")]
        if path.name != "limited_log.py"  # has the limit
        for match in written.finditer(path.read_text())
    }
    assert found == UNLIMITED
