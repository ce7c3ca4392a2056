"""The commands of the control socket, a module for each part of the node that they speak to.

A module has two halves. What a node does: `COMMANDS`, a table of name, function, and the names of its arguments. A
function is handed the node's context and the arguments of one call, starts what is asked, and returns a `Pending`. And
what a client offers: the same methods as the node's own part has, blocking. The words on the command line are in
`rookery.node.command`, which alone loads click. A subject more is a module more, and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping

from ....runtime.arguments import shortened
from ..arguments import Arguments, BadArguments
from ..command import Command, Context, Pending
from ..protocol import Plain
from . import connections, files, node, tracker

TABLE: Mapping[str, Command] = {
    **node.COMMANDS,
    **files.COMMANDS,
    **tracker.COMMANDS,
    **connections.COMMANDS,
}


def always(command: str) -> bool:
    """Whether a place is kept for this command; see `Command`."""
    return command in TABLE and TABLE[command].always


def begin(context: Context, command: str, given: Mapping[str, Plain]) -> Pending:
    """Start a command. Raises BadArguments, or what the command itself refuses with."""
    entry = TABLE.get(command)
    if entry is None:
        raise BadArguments(f"unknown command {shortened(command)} (allowed: {', '.join(TABLE)})")
    try:
        return entry.run(context, Arguments(given, entry.arguments))
    except ValueError as error:
        raise BadArguments(str(error)) from None
