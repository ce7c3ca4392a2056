"""The settings of connections, alone and in a node."""

from __future__ import annotations

from pathlib import Path

import pytest

from rookery.actors.connections import Config
from rookery.config import NodeConfig
from rookery.config.errors import ConfigError
from rookery.config.node import load
from rookery.runtime.settings import SettingsError
from tests.connections.worlds import peer_of


def test_C17_water_marks_are_checked_with_each_other() -> None:
    with pytest.raises(SettingsError, match="low_water: 20 is above high_water .*at most 10"):
        Config(low_water=20, high_water=10)
    with pytest.raises(SettingsError, match="low_water: 0 is too small"):
        Config(low_water=0, high_water=10)
    with pytest.raises(SettingsError, match=r"high_water: is missing .*both water marks or neither"):
        Config(low_water=1)
    with pytest.raises(SettingsError, match=r"low_water: is missing .*both water marks or neither"):
        Config(high_water=1)


def test_more_peers_protected_by_configuration_than_there_may_be_are_refused() -> None:
    peers = tuple(map(peer_of, range(3)))
    with pytest.raises(SettingsError, match="protected: 3 peers .*at most max_protected, 2"):
        Config(protected=peers, max_protected=2)


def test_water_marks_of_a_node_follow_from_its_maintenance() -> None:
    keeping = NodeConfig().connections
    assert (keeping.low_water, keeping.high_water) == (68, 84)


def test_node_that_dials_all_peers_has_no_water_marks(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("tracker: {source: application}")
    assert load(tmp_path).connections.high_water is None


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("connections: {low_water: 68, high_water: 85}", "high_water: 85 contradicts maintenance"),
        ("connections: {low_water: 60, high_water: 84}", "low_water: 60 contradicts maintenance"),
        (
            "tracker: {source: application}\nconnections: {low_water: 68, high_water: 84}",
            "trims whom maintenance.policy all dials again",
        ),
    ],
)
def test_water_marks_that_contradict_maintenance_are_refused(tmp_path: Path, yaml: str, said: str) -> None:
    (tmp_path / "node.yaml").write_text(yaml)
    with pytest.raises(ConfigError, match=said):
        load(tmp_path)


def test_water_marks_that_maintenance_has_too_may_be_written(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("connections: {low_water: 68, high_water: 84}")
    assert load(tmp_path).connections.high_water == 84
