"""A tracker with its book in a process of its own, for tests that kill it.

It says what was done, a JSON line for each deed once the tracker has answered: the number of the deed, and the moment
of the monotonic clock, which all processes share.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import count
from typing import Any

from rookery.actors import tracker
from rookery.runtime import LoopRuntime
from rookery.testing import mock
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from tests.tracker.address_book.books import KNOWN, NETWORK, peer

PEERS = 200
ROUND = 1_000_000  # deeds of one process have numbers from here to the next
MOST = 60_000  # what a port can count to


def main() -> None:
    """Arguments: the book, the file to write to, and the number to go on from."""
    net: Any = mock(transport.Mailbox)
    net.control.answer(transport.SetGate, lambda message: message.gate.version)
    net.control.answer(transport.Close, None)
    storage = tracker.SqliteStorage(sys.argv[1], network=NETWORK)
    peers = [KNOWN.identity(f"peer {number}").peer for number in range(PEERS)]
    with LoopRuntime("child") as runtime, open(sys.argv[2], "a") as said:
        config = tracker.Config(source="application")
        mine = runtime.start(tracker.Engine, config, transport=net, me=peer("me"), storage=storage)

        mine.track(1, {each: address(0) for each in peers}).get(timeout=5)
        for number in count(int(sys.argv[3])):
            deed = what(number)
            match deed:
                case "move":
                    mine.overwrite({peers[whose(number)]: address(number)}).get(timeout=5)
                case "block":
                    mine.block(peer(f"bad {whose(number)}"), 3600.0).get(timeout=5)
                case "unblock":
                    mine.unblock(peer(f"bad {whose(number)}")).get(timeout=5)
            said.write(json.dumps([number, time.monotonic()]) + "\n")
            said.flush()
            time.sleep(0.001)  # it need not be fast, only busy


def what(number: int) -> str:
    """What is done under this number. In every other round only what is written with delay."""
    return "move" if number % 2 or number // ROUND % 2 == 0 else "block" if number % 4 else "unblock"


def whose(number: int) -> int:
    """Whom it is done to: what a block did, an unblock ends some time later."""
    if what(number) == "move":
        return number % PEERS
    return number % 40 if what(number) == "block" else (number + 22) % 40


def address(number: int) -> Address:
    """Where a peer is after its move of this number."""
    return Address.parse(f"tcp://10.0.0.1:{1 + number % MOST}")


if __name__ == "__main__":
    main()
