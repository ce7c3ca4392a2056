"""Who may connect: `node.tracker`."""

from __future__ import annotations

from ..arguments import Arguments
from ..command import Command, Pending, same
from ..parts import Parts


def block(node: Parts, arguments: Arguments) -> Pending:
    blocked = node.actors.tracker.block(arguments.peer("peer"), arguments.seconds("duration"))
    return Pending(blocked.map(lambda answer: {"until": answer.until}))


def unblock(node: Parts, arguments: Arguments) -> Pending:
    return Pending(node.actors.tracker.unblock(arguments.peer("peer")).map(same))


COMMANDS = {
    "block": Command(block, ("peer", "duration")),
    "unblock": Command(unblock, ("peer",)),
}
