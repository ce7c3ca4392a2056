"""Lists of peers as text."""

from __future__ import annotations

import pytest

from rookery.node.control.commands.peer_lists import read_peers, write_peers
from rookery.testing import Peers
from rookery.transport import Address

KNOWN = Peers()
ADA, BOB = (KNOWN.identity(name).peer for name in ("ada", "bob"))
A = Address.parse("tcp://10.0.0.1:7000")


def test_list_of_peers_is_read_with_comments_and_empty_lines() -> None:
    text = f"# our peers\n\n  {ADA}@{A}   # the first\n{BOB}\n"
    assert read_peers(text) == {ADA: A, BOB: None}


def test_list_that_was_written_reads_alike() -> None:
    peers = {ADA: A, BOB: None}
    assert read_peers(write_peers(peers)) == peers
    assert write_peers({str(ADA): str(A), str(BOB): None}) == write_peers(peers)
    assert (read_peers(""), write_peers({})) == ({}, "")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("abc", "line 2: .*64 hex digits"),
        (f"{BOB}@10.0.0.1:7000", "line 2: .*tcp://"),
        (f"{ADA}", "line 2: .* is listed twice"),
        (f"{BOB}@tcp://10.0.0.1:99999", "line 2: .*65535"),
    ],
)
def test_line_that_is_wrong_is_named(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_peers(f"{ADA}@{A}\n{line}\n")
