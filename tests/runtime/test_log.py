"""Events with fields, on the standard library's logging."""

from __future__ import annotations

import logging

import pytest

from rookery.runtime.log import Log


def test_event_carries_its_source_and_its_fields_whatever_they_are_called(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rookery"):
        Log("tracker").info("peer refused", event="an event", self="me", level=3)
    (record,) = caplog.records
    assert record.message == "peer refused"
    assert record.__dict__["source"] == "tracker"
    assert record.__dict__["fields"] == {"event": "an event", "self": "me", "level": 3}


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_event_below_the_level_is_not_written(caplog: pytest.LogCaptureFixture, level: str) -> None:
    with caplog.at_level(getattr(logging, level.upper()) + 1, "rookery"):
        getattr(Log("tracker"), level)("hidden")
    assert caplog.records == []


def test_error_carries_the_exceptions_traceback(caplog: pytest.LogCaptureFixture) -> None:
    Log("tracker").error("engine failed", error=OSError("disk"), engine="tracker")
    assert "OSError: disk" in caplog.text
