"""Maintenance's settings."""

from __future__ import annotations

import pytest

from rookery.actors.maintenance import Bounds, Config
from rookery.runtime.settings import SettingsError


def test_config_by_default_has_the_bounds_of_the_reference() -> None:
    assert Config().bounds() == Bounds(23, 36, 68, 84)


@pytest.mark.parametrize("numbers", [(5, 4, 6), (1, 9, 8)])
def test_config_with_numbers_that_do_not_ascend_is_refused(numbers: tuple[int, int, int]) -> None:
    least, expected, most = numbers
    with pytest.raises(SettingsError, match=r"expected_connections: .* ascending"):
        Config(min_connections=least, expected_connections=expected, max_connections=most)


def test_config_has_the_names_and_defaults_of_the_reference() -> None:
    config = Config()
    assert (config.min_connections, config.expected_connections, config.max_connections) == (10, 50, 100)
    assert (config.maintenance_idle_time, config.time_between_looking_for_peers) == (120.0, 5.0)
    assert config.private_mode is False
