"""The simulated cluster: its faults do what they say, and its books are right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from rookery.actors.membership.swim import Config, MemberDown, Notification, Rename, State, Timer
from rookery.runtime import Link
from rookery.simulate import LAN as LAN_LINK
from rookery.simulate import Cluster, ConditionTimeout
from rookery.simulate.process import Process

LAN = replace(Config.new_lan(5), notify_down_members=True)


def formed(count: int = 5, seed: int = 1, **changes: Any) -> Cluster:
    """A cluster in which everybody sees everybody."""
    cluster = Cluster(LAN, seed=seed, link=replace(LAN_LINK, **changes))
    cluster.start(count, every=0.1)
    cluster.run(count * 0.1)
    cluster.run_until(lambda: cluster.views.is_exact, timeout=60)
    return cluster


def held(cluster: Cluster, observer: int, subject: int) -> State | None:
    key = cluster.processes[subject].swim.identity.key
    states = {member.id.key: member.state for member in cluster.processes[observer].swim.iter_membership_state()}
    return states.get(key)


def really_exact(cluster: Cluster) -> bool:
    """By asking every member, which the views do not."""
    running = cluster.views.running
    keys = {number: cluster.processes[number].swim.identity.key for number in running}
    return all(
        {member.id.key for member in cluster.processes[number].swim.iter_members()}
        == {keys[other] for other in running - {number}}
        for number in running
    )


def test_cluster_forms_and_the_views_say_so_exactly_when_the_members_do() -> None:
    cluster = Cluster(LAN, seed=1)
    cluster.start(6, every=0.3)
    exact = []
    for _ in range(40):
        cluster.run(0.1)
        assert cluster.views.is_exact is really_exact(cluster)
        exact.append(cluster.views.is_exact and len(cluster.processes) == 6)
    assert exact[-1]
    assert not exact[0]


def test_views_stay_right_through_crash_restart_leave_partition_and_stall() -> None:
    cluster = formed(8, loss=0.1)
    cluster.crash(3)
    cluster.stall(4, 6.0)
    cluster.run(1.0)
    cluster.partition([5, 6])
    steps: list[Callable[[], object]] = [
        lambda: cluster.restart(3),
        lambda: cluster.leave(7),
        cluster.heal,
        lambda: cluster.restart(7),
        lambda: None,
    ]
    for step in steps:
        for _ in range(8):
            cluster.run(1.7)
            assert cluster.views.is_exact is really_exact(cluster)
        step()
    cluster.run_until(lambda: cluster.views.is_exact, timeout=120)
    assert really_exact(cluster)


def test_crashed_member_is_told_by_each_of_the_others_and_is_no_false_down() -> None:
    cluster = formed()
    cluster.crash(2)
    assert not cluster.views.is_exact
    cluster.run_until(lambda: cluster.views.is_exact, timeout=30)
    assert sorted(down.observer for down in cluster.views.downs) == [0, 1, 3, 4]
    assert {(down.subject, down.is_false) for down in cluster.views.downs} == {(2, False)}


def test_crashed_member_started_again_is_another_life_and_the_old_ones_timers_are_gone() -> None:
    cluster = formed()
    before = cluster.processes[2]
    cluster.crash(2)
    cluster.restart(2)
    sent = before.packets_sent
    cluster.run_until(lambda: cluster.views.is_exact, timeout=60)
    assert before.packets_sent == sent
    assert cluster.processes[2].swim.identity.generation == before.swim.identity.generation + 1
    assert cluster.sent[0] > sum(process.packets_sent for process in cluster.processes)


def test_member_started_again_under_the_same_generation_comes_back_too() -> None:
    cluster = formed()
    cluster.restart(2, same_generation=True)
    cluster.run_until(lambda: cluster.views.is_exact, timeout=60)


def test_stalled_member_does_nothing_and_then_reads_its_overdue_timers_before_its_packets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = formed()
    stalled, hand = cluster.processes[3], cluster._hand
    handed: list[bool] = []

    def note(process: Process, what: Timer | bytes) -> None:
        if process is stalled:
            handed.append(isinstance(what, bytes))
        hand(process, what)

    cluster.stall(3, 3.0)
    sent = stalled.packets_sent
    cluster.run(2.9)
    assert stalled.packets_sent == sent
    in_order_of_arrival = [isinstance(what, bytes) for *_, what in sorted(stalled.waiting, key=lambda item: item[0])]
    assert in_order_of_arrival != sorted(in_order_of_arrival)  # a packet came before some timer was due
    monkeypatch.setattr(cluster, "_hand", note)
    cluster.run(0.1 + 1e-9)  # sums of fractions are not exact
    assert handed[: len(in_order_of_arrival)] == sorted(in_order_of_arrival)
    assert stalled.packets_sent > sent


def test_member_that_is_stalled_for_long_is_down_but_not_falsely() -> None:
    cluster = formed()
    cluster.stall(3, 25.0)
    cluster.run(25.0)
    assert {down.subject for down in cluster.views.downs} == {3}
    assert not any(down.is_false for down in cluster.views.downs)
    cluster.run_until(lambda: cluster.views.is_exact, timeout=90)
    assert cluster.views.rejoins == []  # it had to come back, and rightly so


def test_crash_during_a_stall_ends_the_member_for_good() -> None:
    cluster = formed()
    cluster.stall(3, 2.0)
    cluster.run(1.0)
    cluster.crash(3)
    sent = cluster.processes[3].packets_sent
    cluster.run_until(lambda: cluster.views.is_exact, timeout=60)
    assert cluster.processes[3].packets_sent == sent


def test_leaving_member_is_known_gone_at_once_and_its_process_ends() -> None:
    cluster = formed()
    cluster.leave(4)
    cluster.run_until(lambda: cluster.views.is_exact, timeout=2)
    cluster.run(1.0)
    assert not cluster.processes[4].is_running


def test_partition_cuts_the_sides_and_its_downs_are_not_false() -> None:
    cluster = formed(6)
    cluster.partition([4, 5])
    cluster.run(40)
    assert held(cluster, 0, 4) is held(cluster, 4, 0) is State.DOWN
    assert held(cluster, 0, 1) is held(cluster, 4, 5) is State.ALIVE
    cluster.heal()
    cluster.run_until(lambda: cluster.views.is_exact, timeout=200)
    assert not any(down.is_false for down in cluster.views.downs)


def test_blocked_member_is_alive_for_everybody_else_and_not_accused_by_who_blocks_it() -> None:
    cluster = formed(6)
    cluster.block(1, 2)
    cluster.run(90)
    assert cluster.views.downs == []
    assert held(cluster, 0, 2) is held(cluster, 5, 2) is State.ALIVE


def test_down_of_a_member_that_was_there_all_the_time_is_false_and_its_rejoin_needless() -> None:
    cluster = formed()
    liar, victim = cluster.processes[1], cluster.processes[2].swim.identity
    accusation = next(member for member in liar.swim.iter_members() if member.id == victim)
    liar.swim.apply_many([replace(accusation, state=State.LEFT)], True, cluster.now, liar.outbox)
    cluster._carry_out(liar)
    cluster.run(5)
    assert cluster.views.downs
    assert all(down.is_false and down.subject == 2 for down in cluster.views.downs)
    assert [number for _, number in cluster.views.rejoins] == [2]


def test_member_that_lies_about_another_is_believed_by_nobody() -> None:
    cluster = formed()
    liar, victim = cluster.processes[1], cluster.processes[2].swim.identity
    accusation = next(member for member in liar.swim.iter_members() if member.id == victim)
    liar.swim.apply_many([replace(accusation, state=State.DOWN)], True, cluster.now, liar.outbox)
    cluster._carry_out(liar)
    cluster.run(5)
    assert {(down.observer, down.subject) for down in cluster.views.downs} == {(1, 2)}
    assert cluster.views.rejoins == []
    assert cluster.views.is_exact


def test_lost_packets_are_sent_and_counted_but_nothing_arrives() -> None:
    cluster = Cluster(LAN, seed=1, link=replace(LAN_LINK, loss=1.0))
    cluster.start(2)
    cluster.run(5)
    packets, size = cluster.sent
    assert packets > 0
    assert size > packets
    assert held(cluster, 0, 1) is None
    with pytest.raises(ConditionTimeout, match="not within 3 virtual seconds"):
        cluster.run_until(lambda: cluster.views.is_exact, timeout=3)


@pytest.mark.parametrize("wrong", [{"latency": -0.1}, {"jitter": -0.1}, {"loss": 1.5}, {"loss": -0.1}])
def test_link_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least 0|from 0 to 1"):
        replace(LAN_LINK, **wrong)


def test_latency_is_within_its_bounds() -> None:
    arrivals: list[float] = []
    cluster = Cluster(LAN, seed=1, link=Link(latency=1.0, jitter=0.5), heed=lambda time, *_: arrivals.append(time))
    cluster.start(2)
    cluster.run(10)
    assert 1.0 <= arrivals[0] <= 1.5


def test_equal_seeds_have_equal_histories_and_others_another() -> None:
    def history(seed: int) -> list[tuple[float, int, Notification]]:
        log: list[tuple[float, int, Notification]] = []
        cluster = Cluster(LAN, seed=seed, link=replace(LAN_LINK, loss=0.1), heed=lambda *what: log.append(what))
        cluster.start(8, every=0.1)
        cluster.run(5)
        cluster.crash(3)
        cluster.stall(4, 2.0)
        cluster.run(15)
        return log

    first = history(1)
    assert first == history(1)
    assert any(isinstance(note, MemberDown) for _, _, note in first)
    assert not any(isinstance(note, Rename) for _, _, note in first)
    assert first != history(2)
