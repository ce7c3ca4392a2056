"""A node in a process of its own, for tests that stop or kill processes. Told over stdin, answers in JSON lines."""

from __future__ import annotations

import json
import sys

from rookery import transport
from tests.transport.worlds import RealWorld


def main() -> None:
    """Arguments: the name, and the transport settings as JSON."""
    world = RealWorld()
    node = world.node(sys.argv[1], **json.loads(sys.argv[2]))
    print(json.dumps(str(node.address)), flush=True)
    for line in sys.stdin:
        if line.strip() == "counts":
            received = len(node.receiver.received(transport.Received))
            dropped = node.counted("dropped", "inbox") + node.counted("dropped", "quota")
            print(json.dumps({"received": received, "dropped": dropped, "links": len(node.links())}), flush=True)
    world.close()


if __name__ == "__main__":
    main()
