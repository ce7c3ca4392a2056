"""The peers of the fairness measurement, each in a process of its own.

`python -m benchmarks.fairness_peer flooder ADDRESS`: dials, pours messages over its quota, dials again when it is
closed. `honest` dials, sends `RATE` messages a second and counts what comes; asked by a line on stdin it prints the
count. `idle` dials and does nothing.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import ClassVar

from benchmarks.transport_ours import Everybody
from benchmarks.transport_shared import SERVER
from rookery import runtime, transport
from rookery.runtime import Limit, LoopRuntime
from rookery.transport import (
    Address,
    Closed,
    Direction,
    Gate,
    Identity,
    Opened,
    Quota,
    Received,
    Ticket,
)

OPEN, NARROW = 16, 17
"""Channels: one for the honest, with room for all they send, and one of which the flooder exceeds the quota."""
NARROW_QUOTA = Quota(100.0, 200)
RATE = 30_000
PAYLOAD = bytes(64)
_STEP = 0.005  # seconds between two portions


class CounterMailbox(runtime.Mailbox):
    """Receives both channels."""

    limits: ClassVar = {Received: Limit(1_000_000, 2**30)}


class Counter(runtime.Engine[CounterMailbox]):
    """Counts what comes, by peer. Written by its engine alone, read by anybody."""

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {Received: self.on_received, Opened: self.on_opened, Closed: self.on_closed}
        self.received: dict[transport.PeerId, int] = {}
        self.links: dict[transport.PeerId, int] = {}
        self.opened = 0

    def on_received(self, message: Received) -> None:
        """One more."""
        self.received[message.peer] = self.received.get(message.peer, 0) + 1

    def on_opened(self, message: Opened) -> None:
        """A link to send on."""
        self.links[message.link.peer] = message.link.id
        self.opened += 1

    def on_closed(self, message: Closed) -> None:
        """No more."""
        self.links.pop(message.peer, None)


class Peer:
    """A node's transport on the node's default runtime, and a counter."""

    def __init__(self, identity: Identity) -> None:
        self.host = LoopRuntime(identity.peer.short)
        self.net = self.host.mailbox(transport.Mailbox)
        self.host.start(self.net, transport.Engine, transport.Config(), identity=identity, gatekeeper=Everybody())
        mailbox = self.host.start(Counter)
        (self.counter,) = (engine for engine in self.host.engines if isinstance(engine, Counter))
        self.net.register(OPEN, mailbox, Quota(1e9, 1_000_000_000)).get(timeout=5)
        self.net.register(NARROW, mailbox, NARROW_QUOTA).get(timeout=5)
        self.address = self.net.listen().get(timeout=5)
        self.net.set_gate(Gate(1)).get(timeout=5)

    def connect(self, address: Address, timeout: float = 10.0) -> bool:
        """Dial the server; whether there is a link in time."""
        self.net.dial(Ticket(1, SERVER.peer, Direction.OUT), address)
        deadline = time.monotonic() + timeout
        while SERVER.peer not in self.counter.links and time.monotonic() < deadline:
            time.sleep(0.001)
        return SERVER.peer in self.counter.links


class Pacer:
    """Sends `RATE` messages a second to some peers until it is stopped; the peers may change meanwhile."""

    def __init__(self, peer: Peer, to: list[transport.PeerId]) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._send, args=(peer, to))
        self._thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        self._thread.join()

    def _send(self, peer: Peer, to: list[transport.PeerId]) -> None:
        portion, due = int(RATE * _STEP), time.monotonic()
        while not self._stop.is_set():
            for other in to:
                link = peer.counter.links.get(other)
                for _ in range(portion if link is not None else 0):
                    peer.net.send(link or 0, OPEN, PAYLOAD)
            due += _STEP
            time.sleep(max(0.0, due - time.monotonic()))


def flood(peer: Peer, address: Address) -> None:
    """As fast as it goes, for ever."""
    while True:
        link = peer.counter.links.get(SERVER.peer)
        if link is None:
            peer.connect(address, timeout=0.1)
        elif not peer.net.send(link, NARROW, PAYLOAD).accepted:
            time.sleep(0.001)


def main() -> None:
    """Arguments: the role, and the server's address."""
    role, address = sys.argv[1], Address.parse(sys.argv[2])
    peer = Peer(Identity.from_seed(role.encode().ljust(32)))
    assert peer.connect(address)
    print(json.dumps(role), flush=True)
    if role == "flooder":
        flood(peer, address)
    pacer = Pacer(peer, [SERVER.peer] if role == "honest" else [])
    for _ in sys.stdin:
        print(json.dumps(peer.counter.received.get(SERVER.peer, 0)), flush=True)
    pacer.stop()
    peer.host.stop()


if __name__ == "__main__":
    main()
