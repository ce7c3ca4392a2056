"""The rules at the head of `node/logs.py`."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.config.sections import Log as Settings
from rookery.node import logs
from rookery.runtime.log import Log
from rookery.transport import PeerId

PEER = PeerId.fromhex("8a88e3dd" + "00" * 28)


class Written:
    """What a node that is configured so writes."""

    def __init__(self, settings: Settings) -> None:
        self.stream = io.StringIO()
        self.handler = logs.configure(settings, self.stream)
        self.log = Log("transport")

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().split("\n")[:-1]


@pytest.fixture
def human() -> Iterator[Written]:
    written = Written(Settings())
    yield written
    logs.end(written.handler)


@pytest.fixture
def as_json() -> Iterator[Written]:
    written = Written(Settings(format="json"))
    yield written
    logs.end(written.handler)


def test_event_for_people_is_one_line_with_its_fields(human: Written) -> None:
    human.log.info("listening", on="tcp://127.0.0.1:7000", links=3)
    (line,) = human.lines
    assert line[24:] == "INFO    transport   listening  on=tcp://127.0.0.1:7000 links=3"


def test_event_without_fields_ends_with_its_sentence(human: Written) -> None:
    human.log.warning("left the cluster")
    assert human.lines[0][24:] == "WARNING transport   left the cluster"


def test_event_as_json_is_one_object(as_json: Written) -> None:
    as_json.log.info("listening", on="tcp://127.0.0.1:7000", links=3, ok=True, nothing=None)
    (line,) = as_json.lines
    said = json.loads(line)
    assert said.pop("time").endswith("Z")
    assert said == {
        "level": "info", "source": "transport", "event": "listening", "on": "tcp://127.0.0.1:7000", "links": 3,
        "ok": True, "nothing": None,
    }  # fmt: skip


def test_peers_are_shown_in_short(human: Written, as_json: Written) -> None:
    human.log.info("refused", peer=PEER)
    assert human.lines[0].endswith("peer=8a88e3dd")
    assert json.loads(as_json.lines[0])["peer"] == "8a88e3dd"


@given(text=st.text(max_size=50), event=st.text(max_size=20))
def test_event_is_one_line_whatever_is_in_it(text: str, event: str) -> None:
    for formatter in (logs.HumanFormatter(), logs.JsonFormatter()):
        record = logging.makeLogRecord({"name": "rookery", "msg": "%s", "args": (event,), "fields": {"text": text}})
        line = formatter.format(record)
        assert line.isprintable()


def test_text_with_spaces_is_quoted_for_people(human: Written) -> None:
    human.log.info("refused", why='says "no"', empty="")
    assert human.lines[0].endswith(r'why="says \"no\"" empty=""')


def test_field_cannot_hide_what_every_line_has(as_json: Written) -> None:
    as_json.log.info("refused", source="mine", level=9)
    said = json.loads(as_json.lines[0])
    assert (said["source"], said["source_"], said["level"], said["level_"]) == ("transport", "mine", "info", 9)


def error() -> Exception:
    try:
        int("what\nis wrong")
    except ValueError as caught:
        return caught
    raise AssertionError


def test_traceback_follows_on_marked_lines_for_people(human: Written) -> None:
    human.log.error("failed", error=error())
    first, *rest = human.lines
    assert first[24:] == "ERROR   transport   failed"
    assert rest
    assert all(line.startswith("  | ") for line in rest)


def test_traceback_is_a_field_of_the_json_object(as_json: Written) -> None:
    as_json.log.error("failed", error=error())
    (line,) = as_json.lines
    assert "ValueError: invalid literal" in json.loads(line)["traceback"]


def test_level_leaves_out_what_is_below_it() -> None:
    written = Written(Settings(level="warning"))
    written.log.info("unheard")
    written.log.warning("heard")
    logs.end(written.handler)
    assert [line[44:] for line in written.lines] == ["heard"]


def test_end_undoes_the_configuration() -> None:
    logger = logging.getLogger("rookery")
    before = (list(logger.handlers), logger.level, logger.propagate)
    logs.end(Written(Settings(level="debug")).handler)
    assert (list(logger.handlers), logger.level, logger.propagate) == before
