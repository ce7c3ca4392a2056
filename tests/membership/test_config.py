"""What can be configured, and what comes of it."""

from __future__ import annotations

import pytest

from rookery.actors import membership
from rookery.actors.membership import swim
from rookery.runtime.settings import SettingsError, declared

PEER = "11" * 32


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("lan", swim.Config.new_lan(200)),
        ("wan", swim.Config.new_wan(200)),
        ("simple", swim.Config.simple()),
    ],
)
def test_preset_gives_the_protocols_own(preset: str, expected: swim.Config) -> None:
    assert membership.Config(preset=preset, cluster_size=200).protocol == expected  # type: ignore[arg-type]


def test_default_is_lan_for_as_many_as_there_are_and_tells_the_dead_so() -> None:
    assert membership.Config().protocol == swim.Config.new_lan()
    assert membership.Config().protocol.notify_down_members


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("probe_period", 3.0),
        ("probe_rtt", 0.25),
        ("num_indirect_probes", 7),
        ("max_transmissions", 12),
        ("suspect_to_down_after", 9.0),
        ("remove_down_after", 60.0),
        ("max_packet_size", 1400),
        ("notify_down_members", False),
        ("announce_to_seeds", 1.0),
        ("suspicion_mult", 6.0),
        ("suspicion_confirmations", 1),
        ("suspicion_max_factor", 2.0),
        ("awareness_max_multiplier", 1),
        ("nack", False),
        ("buddy", False),
        ("distrust_late_timers", False),
        ("sync", 10.0),
    ],
)
def test_what_is_set_takes_the_place_of_the_presets(name: str, value: object) -> None:
    config = membership.Config(**{name: value})  # type: ignore[arg-type]
    assert getattr(config.protocol, name) == value
    assert getattr(membership.Config().protocol, name) != value


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 0.0, -1.0, True])
def test_member_cannot_be_remembered_for_ever_or_for_no_time(value: float) -> None:
    with pytest.raises(SettingsError, match="remove_down_after"):
        membership.Config(remove_down_after=value)


def test_sync_of_zero_is_none_at_all() -> None:
    assert membership.Config(sync=0.0).protocol.sync is None


def test_bounds_are_those_of_the_protocol() -> None:
    for name in ("suspicion_confirmations", "awareness_max_multiplier"):
        setting = next(setting for setting in declared(membership.Config) if setting.name == name)
        for value in (setting.option.minimum, setting.option.maximum):
            assert value is not None
            assert getattr(membership.Config(**{name: int(value)}).protocol, name) == value  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"probe_rtt": 1.0}, "probe_rtt: probe_rtt is 1 s and probe_period 1 s"),
        ({"probe_period": 0.5}, "probe_period: probe_rtt is 0.5 s and probe_period 0.5 s"),
        ({"peer_set_delay": 2.0}, "max_peer_set_delay: is below peer_set_delay"),
        ({"max_packet_size": 511}, "max_packet_size: 511 is too small"),
        ({"max_packet_size": 16_385}, "max_packet_size: 16385 is too large"),
        ({"max_transmissions": 256}, "max_transmissions: 256 is too large"),
        ({"cluster_size": 0}, "cluster_size: 0 is too small"),
        ({"preset": "moon"}, "preset: 'moon' is not one of the choices"),
        ({"probe_period": 0.0}, "probe_period: 0.0 is too small"),
    ],
)
def test_contradiction_is_refused_with_what_is_allowed(settings: dict[str, object], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        membership.Config(**settings)  # type: ignore[arg-type]


def test_seed_is_written_as_it_is_read() -> None:
    text = f"{PEER}@tcp://10.0.0.1:7000"
    seed = membership.Seed.parse(text)
    assert str(seed) == text
    assert membership.Config(seeds=(seed,)).seeds == (seed,)


@pytest.mark.parametrize("text", ["tcp://10.0.0.1:7000", f"{PEER}@10.0.0.1:7000", "ab@tcp://10.0.0.1:7000", ""])
def test_seed_that_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        membership.Seed.parse(text)
