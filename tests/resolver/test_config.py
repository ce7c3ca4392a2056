"""What can be configured, and what contradicts itself."""

import pytest

from rookery.actors.resolver import Config, max_message_size
from rookery.actors.resolver.core.codec import MAX_ID, OVERHEAD, Response, encode
from rookery.runtime.settings import SettingsError
from rookery.transport import config as transport


def test_defaults_fit_each_other_and_transports_largest_message() -> None:
    assert Config().max_message == transport.Config().max_message
    assert Config().max_value == transport.Config().max_message - OVERHEAD


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_serves": 4, "max_serves_per_peer": 5}, "max_serves_per_peer: is above max_serves (allowed: at most 4)"),
        (
            {"request_rate": 100.0, "inbound_rate": 199.0},
            "inbound_rate: is below twice request_rate (allowed: at least 200)",
        ),
        (
            {"request_burst": 100, "inbound_burst": 199},
            "inbound_burst: is below twice request_burst (allowed: at least 200)",
        ),
        ({"fetch_timeout": 0.0}, "fetch_timeout: 0.0 is too small (allowed: at least 0.001 seconds)"),
        ({"ask": "secondary"}, "ask: 'secondary' is not one of the choices (allowed: all, primary)"),
    ],
)
def test_contradicting_settings_are_refused_with_what_is_allowed(settings: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        Config(**settings)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_retry_delay_of_zero_is_allowed() -> None:
    assert Config(fetch_retry_delay=0.0).fetch_retry_delay == 0


def test_largest_message_of_a_value_carries_it_and_nothing_larger() -> None:
    size = max_message_size(100_000)
    assert Config(max_message=size).max_value == 100_000
    assert len(encode(Response(MAX_ID, bytes(100_000)))) <= size
