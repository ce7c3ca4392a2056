"""What a node writes: one event per line, for people or as JSON objects. Only `rookery run` configures it.

::

    2026-01-31 12:00:00.123 INFO  transport  listening  on=tcp://127.0.0.1:7000 peer=8a88e3dd
    {"time": "2026-01-31T12:00:00.123Z", "level": "info", "source": "transport", "event": "listening", "on": ...}

* Times are UTC. Peers are shown by the first 8 of their digits.
* An event is one line whatever its fields contain: what does not print is escaped, a text with spaces is quoted.
* An error's traceback is a field `traceback` in JSON, and follows on lines of its own, each after `  | `, for people.
* A field cannot hide what every line has: in JSON it gets an underscore behind its name.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from ..config.sections import Log
from ..transport.identity import PeerId

_FIXED = ("time", "level", "source", "event", "traceback")


def configure(config: Log, stream: TextIO) -> logging.Handler:
    """Write the node's events to `stream` from now on. Give the handler to `end` when it is over."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if config.format == "json" else HumanFormatter())
    logger = logging.getLogger("rookery")
    logger.addHandler(handler)
    logger.setLevel(config.level.upper())
    logger.propagate = False
    return handler


def end(handler: logging.Handler) -> None:
    """Undo `configure`."""
    logger = logging.getLogger("rookery")
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


class HumanFormatter(logging.Formatter):
    """Time, level, source, event, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """See the module's head."""
        time = datetime.fromtimestamp(record.created, UTC)
        head = f"{time:%Y-%m-%d %H:%M:%S}.{int(record.msecs):03} {record.levelname:<7} {_source(record):<11} "
        fields = "".join(f" {name}={_quoted(_shown(value))}" for name, value in _fields(record).items())
        line = head + printable(record.getMessage()) + (f" {fields}" if fields else "")
        trace = _traceback(self, record)
        return "\n".join([line, *(f"  | {printable(text)}" for text in trace.splitlines())])


class JsonFormatter(logging.Formatter):
    """One JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """See the module's head."""
        time = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "source": _source(record),
            "event": record.getMessage(),
        }
        for name, value in _fields(record).items():
            line[f"{name}_" if name in _FIXED else name] = value if _is_json(value) else _shown(value)
        trace = _traceback(self, record)
        return json.dumps(line | {"traceback": trace} if trace else line)


def _source(record: logging.LogRecord) -> str:
    return str(getattr(record, "source", record.name.removeprefix("rookery.")))


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields = getattr(record, "fields", {})
    return fields if isinstance(fields, Mapping) else {}


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""


def _is_json(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float)) or type(value) is str


def _shown(value: object) -> str:
    if isinstance(value, PeerId):
        return value.short
    return value.hex() if isinstance(value, bytes) else str(value)


def _quoted(text: str) -> str:
    return text if text and text.isprintable() and not set(text) & set(' "=') else json.dumps(text)


def printable(text: str) -> str:
    """On one line whatever it holds: texts may come from strangers, who are to write to no terminal."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
