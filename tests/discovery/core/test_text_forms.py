"""Records and addresses as a configuration writes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.discovery import HttpAddress, StaticRecord
from rookery.actors.discovery.core.text_forms import read_text
from rookery.transport import DecodeError


def test_record_round_trips_through_its_text(known_record: Any) -> None:
    text = str(StaticRecord.of(known_record))
    assert StaticRecord.parse(text).decode(known_record.network) == known_record
    assert "=" not in text


def test_record_of_another_network_is_refused_by_name(known_record: Any) -> None:
    with pytest.raises(DecodeError, match="allowed is 'elsewhere'"):
        StaticRecord.of(known_record).decode("elsewhere")


@pytest.mark.parametrize("text", ["no record!", "a", "\u00e9", "====", "A" * 2000])
def test_text_that_is_no_record_is_refused_and_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="allowed"):
        StaticRecord.parse(text)


@given(st.binary(max_size=2000))
def test_any_answer_is_read_or_refused_and_nothing_else(body: bytes) -> None:
    try:
        read_text(body)
    except DecodeError:
        pass


@pytest.mark.parametrize("text", ["http://peers.example:7080", "http://10.0.0.1:1", "http://[::1]:7080"])
def test_http_address_round_trips_through_its_text(text: str) -> None:
    assert str(HttpAddress.parse(text)) == text
    assert HttpAddress.parse(f"{text}/") == HttpAddress.parse(text)


@pytest.mark.parametrize(
    "text",
    ["peers.example:7080", "https://peers.example:7080", "http://peers.example", "http://peers.example:99999",
     "http://peers.example:7080/record", "http://user@peers.example:7080", "http://:7080", "http://[::1:7080", ""],
)  # fmt: skip
def test_text_that_is_no_http_address_is_refused_and_says_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        HttpAddress.parse(text)


@pytest.mark.parametrize("host", ["224.0.0.1", "255.255.255.255", "0.1.2.3", "[ff02::1]", "256.1.1.1"])
def test_http_address_of_no_host_is_refused_as_other_addresses_are(host: str) -> None:
    with pytest.raises(ValueError, match="allowed is the IP of one host|no IPv4 address"):
        HttpAddress.parse(f"http://{host}:7080")
