"""How the command line tells times and peers."""

from __future__ import annotations

import json
import math
import time

import pytest

from rookery.node import PeerRow, screen


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
    values: dict[str, object] = dict.fromkeys(PeerRow.__slots__)
    values |= {"peer": "ab" * 32, "role": "primary", "state": "", "backoff": 0.0, "trusted": False, "blocked": False}
    return PeerRow(**{**values, **fields})  # type: ignore[arg-type]


def test_peers_are_shown_without_columns_that_are_empty_for_all(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    screen.peers([row(last_seen=time.time() - 61), row(backoff=3.0, trusted=True)], False)
    header = capsys.readouterr().out.splitlines()[1].split()
    assert header == ["peer", "role", "seen", "backoff", "trust"]


def test_peers_in_a_narrow_terminal_have_their_id_alone_on_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screen.peers(
        [row(last_seen=time.time() - 61, trusted=True, blocked_until=math.inf), row(address="tcp://a:1")], False
    )
    assert capsys.readouterr().out.splitlines() == [
        "ab" * 32,
        "    primary, seen 1m 1s ago, trusted, blocked for good",
        "ab" * 32,
        "    primary, tcp://a:1",
    ]


def test_peers_as_json_have_every_field_and_no_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    screen.peers([row(blocked=True, blocked_until=math.inf)], True)
    text = capsys.readouterr().out
    assert "Infinity" not in text
    (told,) = json.loads(text)
    assert set(told) == set(PeerRow.__slots__)
    assert (told["blocked"], told["blocked_until"]) == (True, None)


def test_no_peers_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    screen.peers([], False)
    assert capsys.readouterr().out == "no peers\n"
