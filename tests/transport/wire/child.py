"""A node in a process of its own, for tests that stop or kill processes. Told over stdin, answers in JSON lines."""

from __future__ import annotations

import json
import sys
from typing import Any

from rookery import transport
from rookery.transport import Address, Direction, Endpoint, Ticket
from tests.transport.worlds import Node, RealWorld


def main() -> None:
    """Arguments: the name, and the transport settings as JSON."""
    world = RealWorld()
    settings: dict[str, Any] = json.loads(sys.argv[2])
    if "listen" in settings:
        settings["listen"] = Endpoint.parse(settings["listen"], listen=True)
    node = world.node(sys.argv[1], **settings)
    print(json.dumps(str(node.address)), flush=True)
    for line in sys.stdin:
        match line.split():
            case ["dial", name, address]:
                ticket = Ticket(1, world.known.identity(name).peer, Direction.OUT)
                node.net.dial(ticket, Address.parse(address))
            case ["counts"]:
                print(json.dumps(counts(node)), flush=True)
    world.close()


def counts(node: Node) -> dict[str, Any]:
    """What the node has seen so far."""
    return {
        "received": len(node.receiver.control.received(transport.Received)),
        "dropped": node.counted("dropped", "inbox") + node.counted("dropped", "quota"),
        "links": len(node.links()),
        "closed": [reason.value for reason in node.closed()],
    }


if __name__ == "__main__":
    main()
