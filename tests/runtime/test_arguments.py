"""How errors quote what they refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.discovery.core.text_forms import HttpAddress, StaticRecord
from rookery.actors.tracker import parse_target
from rookery.runtime.arguments import shortened
from rookery.transport.address import Address, parse_peer
from rookery.transport.identity import PeerId
from rookery.transport.record import check_network

LARGE = "9" * 7_000_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@pytest.mark.parametrize("given", ["short", b"short", 7, -7, 1.5, None, True, [1, "a"], {"a": 1}, (1,), "\udcff", "\0"])
def test_a_short_input_is_quoted_as_it_is(given: object) -> None:
    assert shortened(given) == repr(given)


@pytest.mark.parametrize(
    "given",
    [
        LARGE,
        LARGE.encode(),
        10**5000,
        -(10**100_000),
        [LARGE] * 1000,
        {str(number): LARGE for number in range(60_000)},
        PeerId(b"\7" * 32),
        range(10**12),
        "\U0010ffff" * 10_000,
        [[[LARGE] * 10] * 10] * 10,
    ],
    ids=["text", "bytes", "number", "negative number", "list", "mapping", "peer", "other", "wide text", "nested"],
)
def test_a_large_input_is_quoted_by_its_beginning(given: object) -> None:
    assert len(shortened(given)) < 1000


@given(VALUES)
def test_whatever_is_quoted_is_one_short_line(value: object) -> None:
    shown = shortened(value)
    assert shown.splitlines() == [shown]
    shown.encode()  # no surrogate is left in it


@pytest.mark.parametrize(
    "parse",
    [parse_target, PeerId.parse, Address.parse, parse_peer, check_network, StaticRecord.parse, HttpAddress.parse],
)
@pytest.mark.parametrize(
    "prefix", ["", "10.0.0.1/", "10.0.0.0/8/", "http://a:", f"{'7' * 64}@tcp://", "tcp://a:1?egress="]
)
def test_an_error_of_a_parser_is_not_as_large_as_its_input(parse: object, prefix: str) -> None:
    assert callable(parse)
    with pytest.raises(ValueError, match=".") as refused:
        parse(prefix + LARGE)
    assert len(str(refused.value)) < 1000
