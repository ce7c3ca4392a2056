"""Whole clusters in virtual time: a killed member is noticed, a healthy one is not lost, a run can be repeated."""

import math

import pytest

from rookery.actors.membership.swim import Config, Notification, Rejoin

from .cluster import Cluster

JOIN_TIMEOUT = 60.0


def joined(size: int, config: Config, seed: int, loss: float = 0.0) -> Cluster:
    cluster = Cluster(size, config, seed, loss=loss)
    cluster.run_until(cluster.is_full, timeout=JOIN_TIMEOUT)
    return cluster


def own_verdict_bound(size: int, config: Config) -> float:
    """The longest that a member alone needs: two probes of one target are at most 2m - 1 periods apart, m others;
    the verdict comes a period later, after one that may just have begun; then the suspicion runs.
    """
    return 2 * (size - 1) * config.probe_period + config.probe_period + config.shortest_suspicion(size)


def spread_bound(size: int, config: Config) -> float:
    """Longest time that gossip takes after the first verdict: each round reaches at least half as many again."""
    assert config.periodic_gossip is not None
    rounds = 2 * math.ceil(math.log2(size))
    return config.periodic_gossip.frequency * rounds


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.full)])
@pytest.mark.parametrize(("size", "config"), [(5, Config.new_lan(5)), (30, Config.new_lan(30)), (5, Config.simple())])
def test_killed_member_is_noticed_by_all_within_the_bound_of_the_config(size: int, config: Config, seed: int) -> None:
    cluster = joined(size, config, seed)
    cluster.kill(2)
    killed_at = cluster.now
    cluster.run_until(cluster.is_full, timeout=own_verdict_bound(size, config))
    told = cluster.deaths_told(2)
    assert set(told) == set(range(size)) - {2}
    assert min(told.values()) - killed_at >= config.shortest_suspicion(size)
    if config.periodic_gossip is not None:
        assert max(told.values()) - min(told.values()) <= spread_bound(size, config)
    assert all(cluster.deaths_told(number) == {} for number in range(size) if number != 2)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 3))])
def test_cluster_without_faults_never_suspects_anybody(seed: int) -> None:
    cluster = joined(10, Config.new_lan(10), seed)
    cluster.run(60)
    assert [peer.swim.counters.failed_probes for peer in cluster.peers] == [0] * 10
    assert [peer.swim.incarnation for peer in cluster.peers] == [0] * 10


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 10))])
def test_cluster_with_ten_percent_loss_keeps_every_healthy_member(seed: int) -> None:
    cluster = joined(30, Config.new_lan(30), seed, loss=0.1)
    cluster.run(25)
    assert sum(peer.swim.counters.failed_probes for peer in cluster.peers) > 0
    assert cluster.held_down() == set()
    assert cluster.is_full()
    assert not [note for _, _, note in cluster.log if isinstance(note, Rejoin)]


def test_killed_member_is_noticed_by_all_under_loss_too() -> None:
    cluster = joined(30, Config.new_lan(30), 1, loss=0.1)
    cluster.kill(7)
    cluster.run_until(cluster.is_full, timeout=own_verdict_bound(30, Config.new_lan(30)))
    assert set(cluster.deaths_told(7)) == set(range(30)) - {7}


def test_leaving_member_is_known_down_by_all_and_stays_away() -> None:
    config = Config.new_lan(5)
    cluster = joined(5, config, 0)
    leaver = cluster.peers[4]
    leaver.swim.leave_cluster(leaver.outbox)
    cluster.carry_out(4)
    cluster.run(1.0)
    assert all(cluster.active(number) == set(range(4)) - {number} for number in range(4))
    cluster.run(70)
    assert all(cluster.active(number) == set(range(4)) - {number} for number in range(4))


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.full)])
def test_partition_heals_by_announcing_to_members_held_down(seed: int) -> None:
    config = Config.new_lan(6)
    cluster = joined(6, config, seed)
    sides = {0, 1, 2}, {3, 4, 5}
    cluster.cut(lambda one, other: (one in sides[0]) != (other in sides[0]))
    cluster.run_until(
        lambda: all(cluster.active(number) == side - {number} for side in sides for number in side),
        timeout=2 * own_verdict_bound(6, config),  # who cannot reach half of all doubts itself first
    )
    cluster.cut(lambda one, other: False)
    assert config.periodic_announce_to_down_members is not None
    cluster.run_until(cluster.is_full, timeout=4 * config.periodic_announce_to_down_members.frequency)


@pytest.mark.parametrize("seed", [3, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(12) if seed != 3)])
def test_halves_see_each_other_within_a_second_of_the_first_contact(seed: int) -> None:
    cluster = joined(24, Config.new_lan(24), seed)
    cluster.cut(lambda one, other: (one < 12) != (other < 12))
    cluster.run(60)
    assert all(cluster.active(number) == set(range(12)) - {number} for number in range(12))
    cluster.cut(lambda one, other: False)
    cluster.run_until(lambda: any(len(cluster.active(number)) > 11 for number in range(24)), timeout=60)
    cluster.run_until(cluster.is_full, timeout=1.0)
    cluster.run(30)
    assert cluster.is_full()


def test_two_members_cut_from_each_other_find_together_again() -> None:
    cluster = joined(2, Config.new_lan(2), 0)
    cluster.cut(lambda one, other: True)
    cluster.run_until(lambda: cluster.active(0) == cluster.active(1) == set(), timeout=60)
    cluster.cut(lambda one, other: False)
    cluster.run_until(cluster.is_full, timeout=60)


def test_cluster_with_equal_seeds_has_equal_histories_and_with_another_seed_another() -> None:
    def history(seed: int) -> list[tuple[float, int, Notification]]:
        cluster = Cluster(8, Config.new_lan(8), seed, loss=0.1)
        cluster.run(5)
        cluster.kill(3)
        cluster.run(10)
        return cluster.log

    assert history(1) == history(1)
    assert history(1) != history(2)


def test_member_that_hears_nothing_but_is_heard_makes_nobody_begin_another_life() -> None:
    cluster = joined(10, Config.new_lan(10), 0)
    cluster.cut(lambda one, other: other == 3)
    cluster.run(120)
    assert not [note for _, _, note in cluster.log if isinstance(note, Rejoin)]
    assert {pair for pair in cluster.held_down() if 3 not in pair} == set()
    assert all(peer.swim.incarnation < 60 for peer in cluster.peers)
    cluster.cut(lambda one, other: False)
    cluster.run_until(cluster.is_full, timeout=140)
