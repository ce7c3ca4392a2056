"""Structured logging on top of the standard library.

One event per line: a fixed sentence and its fields. The library never configures handlers; `rookery.node.logs` does.
"""

from __future__ import annotations

import logging

logging.getLogger("rookery").addHandler(logging.NullHandler())


class Log:
    """A logger that takes an event's fields as keyword arguments: `log.info("peer refused", peer=peer.short)`."""

    __slots__ = ("_logger", "_source")

    def __init__(self, source: str, logger: str = "rookery") -> None:
        """source: who speaks, as the engine's name. logger: the standard library logger to write to."""
        self._source = source
        self._logger = logging.getLogger(logger)

    def debug(self, event: str, /, **fields: object) -> None:
        """For developers: every step."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """For operators: what the node does."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """For operators: somebody should look."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, /, *, error: BaseException | None = None, **fields: object) -> None:
        """The node cannot go on as it should; with the exception's traceback if given."""
        self._write(logging.ERROR, event, fields, error)

    def _write(self, level: int, event: str, fields: dict[str, object], error: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            extra = {"source": self._source, "fields": fields}
            self._logger.log(level, "%s", event, extra=extra, exc_info=error)
