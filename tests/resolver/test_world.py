"""Several resolvers on a network with latency and loss: the behaviours of `reference/resolver.md` 8.1."""

import random
from typing import Any

import pytest

from rookery.actors import resolver
from rookery.actors.resolver import wire
from rookery.runtime import Reply
from rookery.transport import mailbox as transport

KEY, OTHER = b"k", b"o"


def value_of(key: bytes) -> bytes:
    return b"value of " + key


class Verifier:
    """Accepts exactly the true value of a key."""

    def __init__(self) -> None:
        self.values: list[tuple[bytes, bytes]] = []

    def deliver(self, delivery: resolver.Delivery, value: bytes) -> bool:
        self.values.append((delivery.key, value))
        return value == value_of(delivery.key)


def test_bytes_held_by_another_node_reach_the_consumer(world: Any) -> None:
    net = world()
    net.add("alice")
    net.add("bob", {KEY: value_of(KEY)})
    net.connect_all()
    assert net.nodes["alice"].get(KEY).get(timeout=1) == value_of(KEY)
    assert net.got("alice") == {KEY: value_of(KEY)}


def test_node_that_does_not_hold_the_data_leads_to_the_one_that_does(world: Any) -> None:
    net = world()
    net.add("alice")
    net.add("bob")
    net.add("carol", {KEY: value_of(KEY)})
    net.connect_all()
    assert net.nodes["alice"].get(KEY).get(timeout=2) == value_of(KEY)


def test_node_that_is_alone_asks_nobody_and_waits(world: Any) -> None:
    net = world()
    net.add("alice", {KEY: value_of(KEY)})
    net.connect_all()
    reply = net.nodes["alice"].get(KEY)
    net.simulation.run(for_=5)
    assert not reply.done
    assert net.producers["alice"].asked == []


def test_two_keys_of_two_holders_arrive_over_a_network_that_loses_half(world: Any) -> None:
    for seed in range(10):
        net = world(seed)
        net.loss = 0.5
        net.add("alice")
        net.add("bob", {KEY: value_of(KEY)})
        net.add("carol", {OTHER: value_of(OTHER)})
        net.nodes["alice"].fetch_all([KEY, OTHER])
        net.simulation.run(for_=1)
        net.connect_all()
        got = net.consumers["alice"]
        net.simulation.run_until(lambda got=got: len(got.deliveries) == 2, within=120)
        assert net.got("alice") == {KEY: value_of(KEY), OTHER: value_of(OTHER)}


def test_liar_is_blocked_exactly_once_for_twenty_keys_and_what_only_it_holds_never_comes(world: Any) -> None:
    keys = [bytes([number]) for number in range(20)]
    net = world(max_requests_per_peer=20)
    net.add("alice", consumer=Verifier())
    net.add("bob", dict.fromkeys([*keys, KEY], b"lie"))
    net.add("carol", {key: value_of(key) for key in keys})
    net.connect_all()
    alice = net.nodes["alice"]
    only_of_bob = alice.get(KEY)
    replies = [alice.get(key) for key in keys]
    assert [reply.get(timeout=30) for reply in replies] == [value_of(key) for key in keys]
    net.simulation.run(for_=30)
    assert net.blocks == [("alice", "bob")]
    assert not only_of_bob.done


def test_liar_among_the_targets_is_blocked_and_the_other_target_serves(world: Any) -> None:
    net = world()
    net.add("alice", consumer=Verifier())
    net.add("bob", {KEY: b"lie"})
    net.add("carol", {KEY: value_of(KEY)})
    net.add("dave", {KEY: value_of(KEY)})
    net.connect_all()
    net.nodes["alice"].fetch_targeted(KEY, [net.peer("bob")])
    net.simulation.run_until(lambda: net.blocks, within=1)
    net.nodes["alice"].fetch_targeted(KEY, [net.peer("carol")])
    net.simulation.run_until(lambda: (KEY, value_of(KEY)) in net.consumers["alice"].values, within=2)
    assert net.producers["dave"].asked == []


def test_holder_that_is_no_target_is_never_asked(world: Any) -> None:
    net = world()
    net.add("alice")
    net.add("bob")
    net.add("carol", {KEY: value_of(KEY)})
    net.connect_all()
    net.nodes["alice"].fetch_targeted(KEY, [net.peer("bob")])
    net.simulation.run(for_=3)
    assert net.producers["carol"].asked == []
    net.nodes["alice"].fetch(KEY)
    net.simulation.run_until(lambda: net.got("alice"), within=1)


def test_node_that_joins_later_serves_what_was_waited_for(world: Any) -> None:
    net = world()
    net.add("alice")
    net.add("bob")
    net.connect_all()
    reply = net.nodes["alice"].get(KEY)
    net.simulation.run(for_=1)
    net.add("carol", {KEY: value_of(KEY)})
    net.peer_set("alice", "bob", "carol")
    net.connect("alice", "carol")
    assert reply.get(timeout=1) == value_of(KEY)


def test_new_set_serves_and_an_old_peer_with_false_bytes_is_neither_asked_nor_blocked(world: Any) -> None:
    net = world()
    net.add("alice", consumer=Verifier())
    net.add("bob", {KEY: b"lie"})
    net.add("carol", {KEY: value_of(KEY)})
    net.connect_all()
    net.peer_set("alice", "carol")
    assert net.nodes["alice"].get(KEY).get(timeout=1) == value_of(KEY)
    assert (net.producers["bob"].asked, net.blocks) == ([], [])


def test_secondary_peer_is_served_and_asked_only_if_configured(world: Any) -> None:
    net = world(ask="primary")
    net.add("alice", {KEY: value_of(KEY)})
    net.add("bob", {OTHER: value_of(OTHER)})
    net.connect_all()
    net.peer_set("alice", secondary=("bob",))
    from_secondary = net.nodes["alice"].get(OTHER)
    assert net.nodes["bob"].get(KEY).get(timeout=1) == value_of(KEY)
    net.simulation.run(for_=2)
    assert not from_secondary.done


def test_two_keys_spill_over_to_two_peers_whose_quota_is_one_per_second(world: Any) -> None:
    net = world(request_rate=1.0, request_burst=1)
    both = {KEY: value_of(KEY), OTHER: value_of(OTHER)}
    net.add("alice")
    net.add("bob", both)
    net.add("carol", both)
    net.connect_all()
    net.nodes["alice"].fetch_all([KEY, OTHER])
    net.simulation.run_until(lambda: net.got("alice") == both, within=0.5)


def test_three_keys_from_one_peer_at_one_per_second_take_two_seconds(world: Any) -> None:
    net = world(request_rate=1.0, request_burst=1)
    held = {bytes([number]): b"x" for number in range(3)}
    net.add("alice")
    net.add("bob", held)
    net.connect_all()
    net.nodes["alice"].fetch_all(held)
    net.simulation.run_until(lambda: net.got("alice") == held, within=5)
    assert 2 < net.simulation.time < 2.1


def test_killed_server_is_replaced_at_once_by_another(world: Any) -> None:
    net = world(fetch_timeout=60.0)
    keys = {bytes([number]): bytes([number]) for number in range(40)}
    net.add("alice")
    net.add("bob", keys)
    net.add("carol", keys)
    net.connect_all()
    net.nodes["alice"].fetch_all(keys)
    net.simulation.run_until(lambda: len(net.got("alice")) == 10, within=5)
    net.cut("alice", "bob")
    net.simulation.run_until(lambda: net.got("alice") == keys, within=10)


class Flooder:
    """Answers with the data, and asks for things all the time."""

    def __init__(self, net: Any, name: str) -> None:
        self.net, self.name = net, name

    def flood(self, times: int) -> None:
        for number in range(times):
            payload = wire.encode(wire.Request(number, KEY))
            for link_id, pair in self.net._links.items():
                if self.name in pair:
                    self.net._hubs[self.name].tell(transport.Send(link_id, 16, payload))


def hostile(world: Any, seed: int) -> Any:
    """A node among a liar, a silent one, a flooder, one that stalls on half of its keys, and three honest ones."""
    keys = [bytes([number]) for number in range(12)]
    true = {key: value_of(key) for key in keys}
    rng = random.Random(seed)
    stalled: list[Reply[Any]] = []

    def stall() -> Reply[Any]:
        stalled.append(Reply())
        return stalled[-1]

    net = world(seed, fetch_timeout=0.4, request_rate=100.0, request_burst=100, max_requests_per_peer=4)
    net.loss = 0.05
    net.add("alice", consumer=Verifier())
    net.add("liar", dict.fromkeys(keys, b"lie"))
    net.add("silent", dict.fromkeys(keys, stall))
    net.add("flooder", {})
    net.add("stalls", {key: true[key] if key in keys[:6] else stall for key in keys})
    for number, name in enumerate(("bob", "carol", "dave")):
        net.add(name, {key: true[key] for index, key in enumerate(keys) if index % 3 == number or rng.random() < 0.3})
    net.connect_all()
    Flooder(net, "flooder").flood(50)
    replies = [net.nodes["alice"].get(key) for key in keys]
    assert [reply.get(timeout=60) for reply in replies] == [true[key] for key in keys]
    assert set(net.blocks) <= {("alice", "liar")}
    return net


@pytest.mark.parametrize("seed", range(3))
def test_every_key_that_an_honest_peer_holds_arrives_among_hostile_peers_and_only_the_liar_is_blocked(
    world: Any, seed: int
) -> None:
    hostile(world, seed)


@pytest.mark.full
@pytest.mark.parametrize("first", range(20, 200, 20))
def test_every_key_arrives_among_hostile_peers_for_many_seeds(world: Any, first: int) -> None:
    for seed in range(first, first + 20):
        hostile(world, seed)


def test_same_seed_gives_the_same_digest_and_another_seed_another(world: Any) -> None:
    def run(seed: int) -> str:
        digest: str = hostile(world, seed).simulation.digest()
        return digest

    first, again, other = run(1), run(1), run(2)
    assert first == again != other


@pytest.mark.parametrize("seed", range(5))
def test_shutdown_in_the_middle_of_everything_is_clean(world: Any, seed: int) -> None:
    net = world(seed)
    verdict: Reply[Any] = Reply()
    net.add("alice", {}, verdict)
    net.add("bob", {KEY: value_of(KEY), OTHER: value_of(OTHER)})
    net.connect_all()
    net.nodes["alice"].fetch_all([KEY, OTHER])
    waiting = net.nodes["alice"].get(b"x")
    net.simulation.run_until(lambda: net.consumers["alice"].deliveries, within=1)
    net.simulation.close()
    assert (verdict.done, waiting.done) == (True, True)
    before = list(net.consumers["alice"].deliveries)
    net.simulation.run(for_=60)
    assert net.consumers["alice"].deliveries == before
