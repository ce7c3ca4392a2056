"""Rows that travel packed."""

from __future__ import annotations

import math

from rookery.node import BlockRow
from rookery.node.control.status import pack, unpack


def test_rows_that_are_packed_are_the_same_afterwards() -> None:
    rows = (BlockRow("10.0.0.1", 5.0), BlockRow("10.0.0.0/24", math.inf))
    assert unpack(BlockRow, pack(rows)) == rows
    assert unpack(BlockRow, pack(())) == ()


def test_hundred_thousand_rows_are_packed_small() -> None:
    assert len(pack(tuple(BlockRow("ab" * 32, 1.0) for _ in range(100_000)))) < 8_000_000
