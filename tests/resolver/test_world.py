"""Several resolvers on a network with latency and loss (flows: fetch)."""

from typing import Any

import pytest

from rookery.runtime import Reply
from tests.resolver.conftest import Verifier

KEY, OTHER = b"k", b"o"
value_of = Verifier.value_of


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
        net.simulation.run_until(lambda got=got: len(got.deliveries) == 2, timeout=120)
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
    net.simulation.run_until(lambda: net.blocks, timeout=1)
    net.nodes["alice"].fetch_targeted(KEY, [net.peer("carol")])
    net.simulation.run_until(lambda: (KEY, value_of(KEY)) in net.consumers["alice"].values, timeout=2)
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
    net.simulation.run_until(lambda: net.got("alice"), timeout=1)


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
    net.simulation.run_until(lambda: net.got("alice") == both, timeout=0.5)


def test_three_keys_from_one_peer_at_one_per_second_take_two_seconds(world: Any) -> None:
    net = world(request_rate=1.0, request_burst=1)
    held = {bytes([number]): b"x" for number in range(3)}
    net.add("alice")
    net.add("bob", held)
    net.connect_all()
    net.nodes["alice"].fetch_all(held)
    net.simulation.run_until(lambda: net.got("alice") == held, timeout=5)
    assert 2 < net.simulation.time < 2.1


def test_killed_server_is_replaced_at_once_by_another(world: Any) -> None:
    net = world(fetch_timeout=60.0)
    keys = {bytes([number]): bytes([number]) for number in range(40)}
    net.add("alice")
    net.add("bob", keys)
    net.add("carol", keys)
    net.connect_all()
    net.nodes["alice"].fetch_all(keys)
    net.simulation.run_until(lambda: len(net.got("alice")) == 10, timeout=5)
    net.cut("alice", "bob")
    net.simulation.run_until(lambda: net.got("alice") == keys, timeout=10)


@pytest.mark.parametrize("seed", range(25))
def test_shutdown_in_the_middle_of_everything_is_clean(world: Any, seed: int) -> None:
    net = world(seed)
    verdict: Reply[Any] = Reply()
    net.add("alice", {}, verdict)
    net.add("bob", {KEY: value_of(KEY), OTHER: value_of(OTHER)})
    net.connect_all()
    net.nodes["alice"].fetch_all([KEY, OTHER])
    waiting = net.nodes["alice"].get(b"x")
    net.simulation.run_until(lambda: net.consumers["alice"].deliveries, timeout=1)
    net.simulation.close()
    assert (verdict.done, waiting.done) == (True, True)
    before = list(net.consumers["alice"].deliveries)
    net.simulation.run(for_=60)
    assert net.consumers["alice"].deliveries == before


def test_node_that_holds_the_data_itself_asks_another_all_the_same(world: Any) -> None:
    net = world()
    net.add("alice", {KEY: value_of(KEY)})
    net.add("bob", {KEY: value_of(KEY)})
    net.connect_all()
    assert net.nodes["alice"].get(KEY).get(timeout=1) == value_of(KEY)
    assert (net.producers["alice"].asked, net.producers["bob"].asked) == ([], [KEY])
