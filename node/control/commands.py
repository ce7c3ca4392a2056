"""The table of all commands of the control socket. A topic more is a line more."""

from __future__ import annotations

from collections.abc import Mapping

from ...runtime.arguments import shortened
from .arguments import Arguments, BadArguments
from .command import Command, Pending
from .parts import Parts
from .protocol import Plain
from .topics import connections, files, node, tracker

TABLE: Mapping[str, Command] = {
    **node.COMMANDS,
    **files.COMMANDS,
    **tracker.COMMANDS,
    **connections.COMMANDS,
}


def begin(parts: Parts, command: str, given: Mapping[str, Plain]) -> Pending:
    """Start a command. Raises BadArguments, or what the command itself refuses with."""
    entry = TABLE.get(command)
    if entry is None:
        raise BadArguments(f"unknown command {shortened(command)} (allowed: {', '.join(TABLE)})")
    try:
        return entry.run(parts, Arguments(given, entry.arguments))
    except ValueError as error:
        raise BadArguments(str(error)) from None
