"""Rows: what the command line is told of members, and rows that travel packed."""

from __future__ import annotations

import json
import math

from msgspec.structs import asdict

from rookery.actors.membership import MemberInfo, Members, State
from rookery.actors.membership.core.tags import encode_tags
from rookery.node import BlockRow
from rookery.node.command import screen
from rookery.node.control.status import member_rows, pack, unpack
from rookery.testing import NETWORK, Peers
from rookery.transport import Address, PeerRecord

ANN = Peers().identity("ann")
HERE = Address.parse("tcp://10.0.0.1:7000")


def info(tags: dict[str, str], rtt: float | None = 0.0123) -> MemberInfo:
    record = PeerRecord.sign(ANN, network=NETWORK, address=HERE, generation=7, metadata=encode_tags(tags))
    return MemberInfo(ANN.peer, State.SUSPECT, 2, record, 1_000.0, rtt)


def test_row_of_a_member_says_all_that_is_known_in_values_that_travel() -> None:
    (row,) = member_rows(Members(others=(info({"role": "secondary", "zone": "a"}),)))
    assert json.loads(json.dumps(asdict(row))) == {
        "peer": str(ANN.peer),
        "state": "suspect",
        "address": "tcp://10.0.0.1:7000",
        "since": 1_000.0,
        "rtt": 0.0123,
        "role": "secondary",
        "generation": 7,
        "incarnation": 2,
        "tags": {"role": "secondary", "zone": "a"},
    }


def test_member_without_tags_is_a_primary() -> None:
    (row,) = member_rows(Members(others=(info({}),)))
    assert (row.role, row.tags) == ("primary", {})


def test_round_trip_is_shown_in_milliseconds_and_left_empty_when_there_was_none() -> None:
    assert screen._cell("rtt", 0.0123) == "12.3 ms"
    assert screen._cell("rtt", None) == ""


def test_rows_that_are_packed_are_the_same_afterwards() -> None:
    rows = (BlockRow("10.0.0.1", 5.0), BlockRow("10.0.0.0/24", math.inf))
    assert unpack(BlockRow, pack(rows)) == rows
    assert unpack(BlockRow, pack(())) == ()


def test_hundred_thousand_rows_are_packed_small() -> None:
    assert len(pack(tuple(BlockRow("ab" * 32, 1.0) for _ in range(100_000)))) < 8_000_000
