"""How the command line tells times and peers."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable

import pytest
from msgspec.structs import asdict, replace

from rookery.node import BlockRow, ConnectionRow, MemberRow, PeerRow
from rookery.node.command import screen

Lines = Callable[[int | None, Callable[[], object]], list[str]]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.4, "0s"),
        (59.6, "1m"),
        (61, "1m 1s"),
        (3600, "1h"),
        (7265, "2h 1m"),
        (90_061, "1d 1h"),
        (86_405, "1d"),
    ],
)
def test_span_has_its_two_largest_units(seconds: float, text: str) -> None:
    assert screen.span(seconds) == text


def test_moments_are_told_as_ages() -> None:
    assert (screen.ago(None, 100.0), screen.ago(40.0, 100.0), screen.ago(101.0, 100.0)) == ("", "1m ago", "0s ago")
    assert (screen.ahead(None, 100.0), screen.ahead(160.0, 100.0)) == ("", "1m more")
    assert screen.ahead(math.inf, 100.0) == "for good"


def row(**fields: object) -> PeerRow:
    values: dict[str, object] = dict.fromkeys(PeerRow.__struct_fields__)
    values |= {"peer": "ab" * 32, "role": "primary", "state": "", "backoff": 0.0, "trusted": False, "blocked": False}
    return PeerRow(**{**values, **fields})  # type: ignore[arg-type]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Lines:
    """`lines(80, show)`: what `show` prints in a terminal of 80 columns, or (None) where there is none."""

    def shown(width: int | None, show: Callable[[], object]) -> list[str]:
        monkeypatch.setattr(screen, "_width", lambda: width)
        show()
        return capsys.readouterr().out.splitlines()

    return shown


def test_peers_are_shown_without_columns_that_are_empty_for_all(lines: Lines) -> None:
    known = [row(last_seen=time.time() - 61), row(backoff=3.0, trusted=True)]
    header = lines(160, lambda: screen.peers(known, False))[0].split()
    assert header == ["peer", "role", "seen", "backoff", "trust"]


def test_peers_in_a_narrow_terminal_have_their_id_alone_on_a_line(lines: Lines) -> None:
    known = [row(last_seen=time.time() - 61, trusted=True, blocked_until=math.inf), row(address="tcp://a:1")]
    assert lines(80, lambda: screen.peers(known, False)) == [
        "ab" * 32,
        "    primary, seen 1m 1s ago, trusted, blocked for good",
        "ab" * 32,
        "    primary, tcp://a:1",
    ]


MEMBER = MemberRow("cd" * 32, "alive", f"tcp://{'a' * 60}.example:7000", 1e9, 0.0123, "primary", 7, 0, {"role": "x"})
CONNECTION = ConnectionRow(
    "cd" * 32, "in", "primary", "10.0.0.1", None, 7.0, 3, {"useful": 3}, ("operator",), True, False
)
TABLES: dict[str, Callable[[], object]] = {
    "members": lambda: screen.rows("members", [asdict(MEMBER), asdict(MEMBER)], False),
    "peers": lambda: screen.peers([row(peer="cd" * 32, address=MEMBER.address), row(peer="cd" * 32)], False),
    "connections": lambda: screen.connections([CONNECTION, CONNECTION], False),
    "blocks": lambda: screen.rows("blocks", [asdict(BlockRow("cd" * 32, until)) for until in (math.inf, 5.0)], False),
}


@pytest.mark.parametrize("show", TABLES.values(), ids=list(TABLES))
def test_row_that_is_piped_is_one_line_with_the_whole_id_and_as_many_columns_as_the_head(
    lines: Lines, show: Callable[[], object]
) -> None:
    head, *others = lines(None, show)
    assert len(others) == 2
    assert all("cd" * 32 in line for line in others)
    columns = [re.split(r" {2,}", line) for line in (head, *others)]
    assert len({len(each) for each in columns}) == 1


@pytest.mark.parametrize("show", TABLES.values(), ids=list(TABLES))
@pytest.mark.parametrize("width", [80, 100])
def test_line_in_a_terminal_is_no_longer_than_it_unless_one_word_is(
    lines: Lines, width: int, show: Callable[[], object]
) -> None:
    shown = lines(width, show)
    assert sum("cd" * 32 in line for line in shown) == 2
    assert [line for line in shown if len(line) > width and len(line.split()) > 1] == []
    assert len(shown) <= 10


def test_connection_for_a_fetch_is_shown_as_short_lived_in_the_table_and_as_json(lines: Lines) -> None:
    open = [CONNECTION, replace(CONNECTION, short_lived=True)]
    _, kept, short_lived = lines(None, lambda: screen.connections(open, False))
    assert (kept.split("  ")[-1], short_lived.split("  ")[-1]) == ("operator in grace", "short-lived")
    told = json.loads("".join(lines(None, lambda: screen.connections(open, True))))
    assert [row["short_lived"] for row in told] == [False, True]


def test_name_from_a_stranger_writes_neither_a_second_line_nor_to_the_terminal(lines: Lines) -> None:
    rows = [{"peer": "a", "tags": {"x\ny": "\x1b[2J\u202e"}}]
    assert lines(None, lambda: screen.rows("members", rows, False)) == ["peer  tags", r"a     x\ny=\x1b[2J\u202e"]


@pytest.mark.parametrize("seconds", [1e300, -1e300, math.inf, -math.inf, math.nan, 2.6e11, -1e12, 0.0, 253402300800.0])
def test_every_number_of_seconds_can_be_told(lines: Lines, seconds: float) -> None:
    told = [screen.moment(seconds), screen.span(seconds), screen.ago(seconds, 1e9), screen.ahead(seconds, 1e9)]
    assert all(0 < len(each) < 40 for each in told)
    values = {"peer": "a", "until": seconds, "since": seconds, "rtt": seconds, "age": seconds}
    assert len(lines(None, lambda: screen.rows("blocks", [values, values], False))) == 3
    lines(None, lambda: screen.facts(values, False))
    assert json.loads("".join(lines(None, lambda: screen.rows("blocks", [values], True))))[0]["peer"] == "a"


def test_moment_beyond_the_calendar_is_told_in_words() -> None:
    assert (screen.moment(2.6e11), screen.moment(-1e12)) == ("after the year 9999", "before the year 1")
    assert screen.span(1e12) == "1000 years and more"


def test_peers_as_json_have_every_field_and_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    screen.peers([row(blocked=True, blocked_until=math.inf)], True)
    text = capsys.readouterr().out
    assert "Infinity" not in text
    (told,) = json.loads(text)
    assert set(told) == set(PeerRow.__struct_fields__)
    assert (told["blocked"], told["blocked_until"]) == (True, None)


def test_no_peers_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    screen.peers([], False)
    assert capsys.readouterr().out == "no peers\n"


def test_peer_that_is_connected_is_seen_now(capsys: pytest.CaptureFixture[str]) -> None:
    screen.peers([row(last_seen=time.time() - 2000, state="connected"), row(last_seen=time.time() - 61)], False)
    _header, connected, other = capsys.readouterr().out.splitlines()
    assert " now " in connected
    assert "1m 1s ago" in other


def test_time_without_an_end_is_not_said_to_be_more_twice() -> None:
    assert screen.ahead(1e12, 0.0) == "1000 years and more"
    assert screen.ahead(60.0, 0.0) == "1m more"
