"""Five real members over real transport in one simulated world."""

from __future__ import annotations

import socket

import pytest

from rookery.actors import membership
from rookery.transport import PeerId

from ..nodes import FIVE, LAN, Cluster, Node, notice_bound


def without(nodes: list[Node], *gone: Node) -> set[PeerId]:
    return {node.peer for node in nodes} - {node.peer for node in gone}


def test_cluster_of_five_with_one_seed_sees_everybody_and_tracks_everybody(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    for node in nodes:
        members = node.mailbox.members().get(timeout=1)
        assert members.own == node.record
        assert {info.peer: info.record for info in members.active} == {
            other.peer: other.record for other in nodes if other is not node
        }
        assert [info.peer for info in members.others] == sorted(info.peer for info in members.others)
        assert {info.state for info in members.others} == {membership.State.ALIVE}
        assert node.heard(membership.Joined) == [membership.Joined()]


def test_cluster_without_faults_stays_as_it_is(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    sets = [len(node.sets) for node in nodes]
    cluster.run(35)
    assert [len(node.sets) for node in nodes] == sets
    assert [node.heard(membership.MemberDown) for node in nodes] == [[]] * 5
    assert [node.counted("protocol_events", "failed_probes") for node in nodes] == [0] * 5


def test_crashed_member_is_noticed_by_all_within_the_bound_of_the_config(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    cluster.crash(nodes[2])
    started = cluster.now
    cluster.until(cluster.is_full, timeout=notice_bound(5, LAN))
    assert cluster.now - started >= LAN.protocol.shortest_suspicion(5)
    for node in cluster.nodes.values():
        assert [event.peer for event in node.heard(membership.MemberDown)] == [nodes[2].peer]
        (gone,) = set(node.mailbox.members().get(timeout=1).others) - set(node.mailbox.members().get(timeout=1).active)
        assert (gone.peer, gone.state) == (nodes[2].peer, membership.State.DOWN)


def test_crashed_first_member_is_noticed_too_so_the_seed_is_nobody_special(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    cluster.crash(nodes[0])
    cluster.until(cluster.is_full, timeout=notice_bound(5, LAN))


def test_crashed_member_that_starts_again_elsewhere_is_found_at_its_new_address(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    cluster.crash(nodes[4])
    cluster.run(2.0)  # its generation is unix time in seconds
    again = cluster.start("erin")
    again.join(nodes[0])

    def is_found(node: Node) -> bool:
        updates = node.heard(membership.MemberUpdated)
        return bool(updates) and updates[-1].record == again.record

    cluster.until(lambda: cluster.is_full() and all(map(is_found, nodes[:4])), timeout=40)
    for node in nodes[:4]:
        infos = {info.peer: info for info in node.mailbox.members().get(timeout=1).active}
        assert infos[again.peer].record == again.record
        assert infos[again.peer].record.address == again.address


def test_leaving_member_is_known_gone_before_its_leave_resolves_or_shortly_after(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    nodes[3].mailbox.leave().get(timeout=1)
    cluster.crash(nodes[3])
    cluster.until(cluster.is_full, timeout=LAN.max_peer_set_delay + 0.5)
    assert all(node.sees() == without(nodes, node, nodes[3]) for node in cluster.nodes.values())


def test_leaving_member_that_stays_running_does_not_come_back_by_itself(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    nodes[3].mailbox.leave().get(timeout=1)
    del cluster.nodes["dave"]
    cluster.run(70)
    assert cluster.is_full()


def test_member_that_joins_again_after_leaving_has_a_newer_generation(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    before = nodes[3].record
    nodes[3].mailbox.leave().get(timeout=1)
    cluster.run(2.0)
    nodes[3].join(nodes[1])
    cluster.until(cluster.is_full, timeout=40)
    assert nodes[3].record.generation > before.generation
    assert {info.record for info in nodes[0].mailbox.members().get(timeout=1).active} >= {nodes[3].record}


def test_partition_splits_the_views_and_heals(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    left, right = list(FIVE[:2]), list(FIVE[2:])
    cluster.simulation.network.partition(left, right)
    # Few accuse, and they doubt themselves, so Lifeguard's times are long.
    cluster.until(lambda: nodes[0].sees() == {nodes[1].peer}, timeout=150)
    cluster.until(lambda: nodes[4].sees() == {nodes[2].peer, nodes[3].peer}, timeout=150)
    cluster.simulation.network.heal()
    announce = LAN.protocol.periodic_announce_to_down_members
    assert announce is not None
    cluster.until(cluster.is_full, timeout=4 * announce.frequency)


def test_isolated_member_finds_back_by_its_seed_long_before_the_others_look_for_it(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    cluster.simulation.network.partition(["erin"], list(FIVE[:4]))
    cluster.until(lambda: nodes[4].heard(membership.Isolated) and not nodes[0].sees() >= {nodes[4].peer}, timeout=60)
    cluster.simulation.network.heal()
    cluster.until(cluster.is_full, timeout=20)


def test_paused_member_that_was_held_dead_comes_back_in_the_same_life(cluster: Cluster) -> None:
    nodes = cluster.start_joined()
    before = nodes[1].record
    nodes[1].host.pause()
    cluster.run(notice_bound(5, LAN))
    assert nodes[0].sees() == without(nodes, nodes[0], nodes[1])
    nodes[1].host.resume()
    cluster.until(cluster.is_full, timeout=140)
    assert nodes[1].heard(membership.Rejoined) == []
    assert before in {info.record for info in nodes[0].mailbox.members().get(timeout=1).active}


def test_seed_that_starts_last_is_found_by_those_that_wait_for_it(cluster: Cluster) -> None:
    early = [cluster.start(name) for name in FIVE[1:3]]
    address = "tcp://10.0.0.3:20000"
    seed = cluster.known.record("alice", address)
    for node in early:
        node.mailbox.join([seed]).get(timeout=1)
    cluster.run(10)
    assert [node.sees() for node in early] == [set(), set()]
    late = cluster.start("alice")
    assert str(late.address) == address
    late.join()
    cluster.until(cluster.is_full, timeout=30)


def test_loss_of_ten_percent_kills_nobody(cluster: Cluster) -> None:
    cluster.simulation.network.set_default(loss=0.1, resend=0.2)
    nodes = cluster.start_joined()
    cluster.run(20)
    assert [node.heard(membership.MemberDown) for node in nodes] == [[]] * 5


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(2, 12))])
def test_cluster_with_equal_seeds_has_equal_digests(seed: int) -> None:
    def digest() -> str:
        world = Cluster(seed)
        with world.simulation:
            nodes = world.start_joined()
            world.crash(nodes[2])
            world.until(world.is_full, timeout=notice_bound(5, LAN))
            return world.simulation.digest()

    assert digest() == digest()


def test_cluster_with_another_seed_has_another_digest() -> None:
    digests = set()
    for seed in (1, 2):
        world = Cluster(seed)
        with world.simulation:
            world.start_joined()
            digests.add(world.simulation.digest())
    assert len(digests) == 2


def test_members_that_advertise_names_join_and_are_not_suspected(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(request.node.nodeid)

    def resolve(host: str, port: int, **_options: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (cluster.nodes[host.split(".", maxsplit=1)[0]].ip, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    nodes = [cluster.start(name, host=f"{name}.example") for name in FIVE]
    nodes[0].join()
    for node in nodes[1:]:
        node.join(nodes[0])
    cluster.until(cluster.is_full, timeout=40)
    cluster.run(120)
    assert cluster.is_full()
    assert not any(node.heard(membership.MemberDown) for node in nodes)
    cluster.simulation.close()
