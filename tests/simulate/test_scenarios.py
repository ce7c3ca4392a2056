"""Scenarios: what they refuse, what a run of one shows, and how many runs are put together."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors.membership import Config
from rookery.runtime.settings import SettingsError
from rookery.simulate import Event, Network, Outcome, Scenario, Spread, Summary, simulate


def play(*events: Event, seed: int = 1, members: int = 6, duration: float = 40.0, **changes: Any) -> Outcome:
    return simulate(
        Scenario(
            members=members,
            warm_up=10.0,
            duration=duration,
            membership=Config(cluster_size=members),
            events=events,
            **changes,
        ),
        seed,
    )


def test_quiet_cluster_shows_its_joining_and_its_load_and_nothing_else() -> None:
    outcome = play()
    assert outcome.joined is not None
    assert 0 <= outcome.joined < 5
    assert outcome.members == 6
    assert 1.9 < outcome.packets_per_second < 2.2
    assert outcome.bytes_per_second > 50 * outcome.packets_per_second
    assert len(outcome.packets) == len(outcome.bytes) == 40
    assert (outcome.deaths, outcome.healed, outcome.false_downs, outcome.rejoins) == ((), (), (), ())


def test_crash_shows_when_the_first_and_the_last_knew() -> None:
    outcome = play(Event("crash", at=3.0, members=2))
    assert len(outcome.deaths) == 2
    for death in outcome.deaths:
        assert death.first is not None
        assert death.last is not None
        assert Config(cluster_size=6).protocol.shortest_suspicion(6) <= death.first <= death.last < 30
    assert 4 < outcome.members < 6
    assert outcome.false_downs == ()


def test_crash_just_before_the_end_is_known_to_nobody() -> None:
    (death,) = play(Event("crash", at=39.0)).deaths
    assert (death.first, death.last) == (None, None)


def test_leave_is_known_within_a_second() -> None:
    (death,) = play(Event("leave", at=3.0)).deaths
    assert death.last is not None
    assert death.last < 1


def test_partition_shows_how_long_healing_took_and_is_no_false_alarm() -> None:
    outcome = play(Event("partition", members=3, lasting=20.0), duration=150.0)
    (healed,) = outcome.healed
    assert healed is not None
    assert outcome.false_downs == outcome.rejoins == ()


def test_partition_that_outlasts_the_measurement_has_not_healed() -> None:
    assert play(Event("partition", members=3, at=30.0, lasting=9.9)).healed == (None,)


def test_restart_and_stall_happen_again_to_the_same_members() -> None:
    outcome = play(Event("restart", lasting=1.0, every=15.0), Event("stall", lasting=2.0, every=10.0))
    assert len(outcome.healed) == 3
    assert None not in outcome.healed
    assert outcome.false_downs == ()


def test_the_same_seed_crashes_the_same_member_under_other_settings() -> None:
    def crash(config: Config) -> Outcome:
        return simulate(
            Scenario(members=6, warm_up=10.0, duration=30.0, membership=config, events=(Event("crash"),)), 3
        )

    slow, fast = crash(Config(suspect_to_down_after=8.0)), crash(Config(suspect_to_down_after=2.0))
    assert slow.deaths[0].first is not None
    assert fast.deaths[0].first is not None
    assert slow.deaths[0].first > fast.deaths[0].first + 2
    assert crash(Config()) == crash(Config())


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: Event("stall"), "lasting"),
        (lambda: Event("crash", lasting=1.0), "lasting"),
        (lambda: Event("crash", every=1.0), "every"),
        (lambda: Event("stall", lasting=5.0, every=5.0), "every"),
        (lambda: Network(min_latency=0.2, max_latency=0.1), "max_latency"),
        (lambda: Network(loss=1.1), "loss"),
        (lambda: Scenario(members=1), "members"),
        (lambda: Scenario(members=3, events=(Event("crash", members=3),)), r"events\[0\].members"),
        (lambda: Scenario(duration=9.0, events=(Event("crash"), Event("crash", at=9.0))), r"events\[1\].at"),
    ],
)
def test_scenario_that_makes_no_sense_is_refused_with_the_place(make: Any, where: str) -> None:
    with pytest.raises(SettingsError, match=where):
        make()


def test_scenario_whose_events_need_more_members_than_there_are_is_refused() -> None:
    with pytest.raises(SettingsError, match="events: .* each member takes part in one"):
        Scenario(members=5, events=(Event("crash", members=3), Event("stall", members=2, lasting=1.0)))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Spread(None, None, 0, 0)),
        ([3.0, 1.0, 2.0], Spread(2.0, 3.0, 3, 0)),
        ([1.0, None, 2.0], Spread(2.0, None, 3, 1)),
        ([1.0, None, None], Spread(None, None, 3, 2)),
        ([1.0, None], Spread(None, None, 2, 1)),
    ],
)
def test_spread_holds_what_never_happened_for_larger_than_all_that_did(
    values: list[float | None], expected: Spread
) -> None:
    assert Spread.of(values) == expected


def test_summary_puts_the_runs_together() -> None:
    runs = Summary(tuple(play(Event("crash", at=2.0), seed=seed) for seed in (1, 2, 3)))
    assert runs.first_heard.count == runs.last_heard.count == runs.dissemination.count == 3
    assert runs.first_heard.median is not None
    assert runs.last_heard.maximum is not None
    assert runs.first_heard.median <= runs.last_heard.maximum
    assert runs.false_downs == Spread(0.0, 0.0, 3, 0)
    assert runs.rejoins == Spread(0.0, 0.0, 3, 0)
    assert runs.joined.missing == runs.healed.count == 0
