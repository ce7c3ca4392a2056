"""Two nodes' mDNS on the loopback interface of this network namespace; prints what each heard. Run by `test_lan`."""

from __future__ import annotations

import json
import threading

from rookery.actors.discovery.parts.lan import Lan
from rookery.testing import Peers
from rookery.transport import PeerRecord


def main() -> None:
    """Publish, hear each other, publish a newer record, hear that."""
    known = Peers()
    heard: dict[str, list[bytes]] = {"alice": [], "bob": []}
    changed = threading.Condition()

    def listener(name: str) -> object:
        def hear(encoded: bytes) -> None:
            with changed:
                heard[name].append(encoded)
                changed.notify_all()

        return hear

    def wait(name: str, record: PeerRecord) -> bool:
        with changed:
            return changed.wait_for(lambda: record.encode() in heard[name], timeout=20)

    nodes = {"alice": Lan(("lo",)), "bob": Lan(("127.0.0.1",))}
    for name, node in nodes.items():
        node.listen(listener(name))  # type: ignore[arg-type]
    alice, bob = known.record("alice", "tcp://127.0.0.1:7001"), known.record("bob", "tcp://127.0.0.1:7002")
    results = [nodes["alice"].lookup(alice), nodes["bob"].lookup(bob)]
    found = [wait("alice", bob), wait("bob", alice)]
    moved = known.record("bob", "tcp://127.0.0.1:7003", generation=9)
    nodes["bob"].lookup(moved)
    found.append(wait("alice", moved))
    for node in nodes.values():
        node.close()
    print(json.dumps({"failures": [result.failures for result in results], "found": found}))


if __name__ == "__main__":
    main()
