"""The presets (membership: numbers), and every number checked when it is given."""

from dataclasses import replace

import pytest

from rookery.actors.membership.swim import Config, InvalidConfigError, Periodic

from .rig import ANN, QUIET, US, Rig, suspect


@pytest.mark.parametrize(
    ("size", "copies", "lan", "wan"),
    [(1, 10, 3.5, 30.0), (5, 10, 3.5, 30.0), (10, 10, 3.5, 30.0), (100, 12, 7.0, 60.0), (10_000, 20, 14.0, 120.0)],
)
def test_presets_scale_suspicion_and_copies_with_the_cluster(size: int, copies: int, lan: float, wan: float) -> None:
    assert Config.new_lan(size).suspect_to_down_after == pytest.approx(lan)
    assert Config.new_wan(size).suspect_to_down_after == pytest.approx(wan)
    assert Config.new_lan(size).max_transmissions == Config.new_wan(size).max_transmissions == copies


@pytest.mark.parametrize("size", [1, 5, 10, 100, 10_000])
def test_presets_without_a_size_follow_the_present_one(size: int) -> None:
    for free, fixed in ((Config.new_lan(), Config.new_lan(size)), (Config.new_wan(), Config.new_wan(size))):
        assert (free.max_transmissions, free.suspect_to_down_after) == (None, None)
        assert free.copies(size) == fixed.max_transmissions
        assert free.shortest_suspicion(size) == fixed.suspect_to_down_after


@pytest.mark.parametrize(("size", "periods"), [(1, 1), (32, 1), (33, 2), (64, 2), (65, 3), (128, 3), (1_000, 6)])
def test_sync_is_rarer_in_larger_clusters(size: int, periods: int) -> None:
    assert Config.new_lan().sync_period(size) == 30.0 * periods
    assert Config.simple().sync_period(size) is None


def test_D2_preset_copies_have_a_floor_of_ten() -> None:
    assert min(Config.new_lan(size).copies(size) for size in range(1, 200)) == 10
    assert min(Config.new_lan().copies(size) for size in range(1, 200)) == 10
    assert Config.simple().copies(1) == 10


def test_simple_preset_has_no_periodic_task() -> None:
    config = Config.simple()
    assert (config.periodic_announce, config.periodic_announce_to_down_members, config.periodic_gossip) == (None,) * 3


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("probe_period", 0),
        ("probe_period", float("nan")),
        ("probe_period", "1s"),
        ("probe_rtt", -1.0),
        ("probe_rtt", 1.5),
        ("suspect_to_down_after", float("inf")),
        ("remove_down_after", 0.0),
        ("remove_down_after", float("inf")),
        ("remove_down_after", True),
        ("num_indirect_probes", True),
        ("announce_to_seeds", 0.0),
        ("num_indirect_probes", 0),
        ("num_indirect_probes", 1.5),
        ("max_transmissions", 0),
        ("max_transmissions", 256),
        ("max_packet_size", 511),
        ("max_packet_size", 65_537),
        ("max_rejoins_per_minute", 0),
        ("max_broadcasts", 0),
        ("max_members", 0),
        ("broadcast_share", 0.0),
        ("broadcast_share", 1.1),
        ("broadcast_share", "half"),
        ("suspicion_mult", 0.5),
        ("suspicion_max_factor", 0.9),
        ("suspicion_max_factor", float("nan")),
        ("suspicion_confirmations", -1),
        ("suspicion_confirmations", 8),
        ("awareness_max_multiplier", 0),
        ("awareness_max_multiplier", 9),
        ("sync", 0.0),
    ],
)
def test_config_with_a_bad_value_names_field_value_and_what_is_allowed(field: str, value: object) -> None:
    with pytest.raises(InvalidConfigError, match=rf"^{field}: .* is not allowed; it must be .") as caught:
        replace(Config.simple(), **{field: value})  # type: ignore[arg-type]
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize(("frequency", "count"), [(0.0, 1), (1.0, 0)])
def test_periodic_with_a_bad_value_is_refused(frequency: float, count: int) -> None:
    with pytest.raises(InvalidConfigError):
        Periodic(frequency, count)


def test_preset_for_no_members_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match="cluster_size"):
        Config.new_lan(0)


@pytest.mark.parametrize("change", [{"probe_period": 2.0}, {"probe_rtt": 0.25}])
def test_set_config_with_another_probe_timer_is_refused_and_changes_nothing(change: dict[str, float]) -> None:
    rig = Rig()
    before = rig.swim.config
    with pytest.raises(InvalidConfigError, match="cannot change while running"):
        rig.swim.set_config(replace(before, **change))  # type: ignore[arg-type]
    assert rig.swim.config is before


@pytest.mark.parametrize("field", ["periodic_announce", "periodic_announce_to_down_members", "periodic_gossip", "sync"])
def test_set_config_may_end_a_periodic_task_but_not_begin_one(field: str) -> None:
    with_task = replace(Config.new_lan(5), periodic_announce=Periodic(30.0, 1))
    without = replace(with_task, **{field: None})  # type: ignore[arg-type]
    rig = Rig(with_task)
    rig.swim.set_config(without)
    assert rig.swim.config is without
    with pytest.raises(InvalidConfigError, match="cannot begin while running"):
        rig.swim.set_config(with_task)


def test_set_config_with_the_same_values_is_accepted() -> None:
    rig = Rig()
    rig.swim.set_config(replace(rig.swim.config))


def test_set_config_with_a_lower_bound_of_the_score_applies_it_at_once() -> None:
    rig = Rig(replace(QUIET, awareness_max_multiplier=8), knows=[ANN])
    for accused in range(4):
        rig.receive(ANN, updates=[suspect(US, accused)])
        rig.now += 30
    assert rig.swim.health == 4
    rig.swim.set_config(replace(rig.swim.config, awareness_max_multiplier=2))
    assert rig.swim.health == 1
