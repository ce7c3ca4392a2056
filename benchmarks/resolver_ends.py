"""The two ends of a resolver measurement: in each process a transport, a tracker and a resolver on one loop.

`python -m benchmarks.resolver_ends SIZE COUNT` has so many values of that size: it prints who and where it is, and
serves until its input ends. With that line behind, the other end connects to it and answers each line with seconds:

* `fetch`: all the values; each is compared, byte by byte, before it is called complete.
* `one-by-one TIMES`: per value, each asked for when the last one is there.

Both ends can compute the values. A real consumer compares a hash, which is not what is to be measured here.
"""

from __future__ import annotations

import sys
import time

from benchmarks.transport_shared import CLIENT, SERVER
from rookery import transport
from rookery.actors import resolver, tracker
from rookery.runtime import LoopRuntime, Reply
from rookery.transport import Address, Identity

CHANNEL = 16
RATE = 5e8  # messages per second: it is not the quotas that are measured
BURST = 5 * 10**8
DISTINCT = 16


def values(size: int, count: int) -> dict[bytes, bytes]:
    """Key -> value. Keys share `DISTINCT` values: it is not the memory's speed that is to be compared."""
    made = [number.to_bytes(8, "big") * (size // 8) for number in range(DISTINCT)]
    return {number.to_bytes(32, "big"): made[number % DISTINCT] for number in range(count)}


class Application:
    """Has values, and judges values."""

    def __init__(self, held: dict[bytes, bytes]) -> None:
        self._held = held
        self.mailbox: resolver.Mailbox | None = None
        self.left: list[bytes] = []  # keys to be asked for one by one
        self.outstanding = 0
        self.done: Reply[None] = Reply()

    def produce(self, key: bytes) -> bytes | None:
        """For the other end."""
        return self._held.get(key)

    def deliver(self, delivery: resolver.Delivery, value: bytes) -> bool:
        """From the other end."""
        if value != self._held[delivery.key]:
            return False
        if self.left and self.mailbox is not None:
            self.mailbox.fetch(self.left.pop())
        self.outstanding -= 1
        if not self.outstanding:
            self.done.set(None)
        return True


class End:
    """A small node."""

    def __init__(self, identity: Identity, held: dict[bytes, bytes]) -> None:
        """held: what it has, or what it is to fetch."""
        self.identity = identity
        self.keys = list(held)
        self.host = LoopRuntime(identity.peer.short)
        self.net = self.host.mailbox(transport.Mailbox)
        self.peers = self.host.mailbox(tracker.Mailbox)
        self.data = self.host.mailbox(resolver.Mailbox)
        self.application = Application(held)
        self.application.mailbox = self.data
        config = resolver.Config(
            max_requests_per_peer=128,
            request_rate=RATE,
            request_burst=BURST,
            inbound_rate=2 * RATE,
            inbound_burst=2 * BURST,
        )
        network = transport.Config(backlog_bytes=2**30)
        self.host.start(
            self.net, transport.Engine, network, identity=identity, gatekeeper=self.peers, observers=(self.peers,)
        )
        tracked = tracker.Config(source="application", admission="open")
        self.host.start(self.peers, tracker.Engine, tracked, transport=self.net, me=identity.peer)
        self.host.start(
            self.data,
            resolver.Engine,
            config,
            transport=self.net,
            tracker=self.peers,
            channel=CHANNEL,
            producer=self.application,
            consumer=self.application,
        )
        self.address = self.net.listen().get(timeout=5)

    def dial(self, peer: transport.PeerId, address: Address) -> None:
        """Connect."""
        self.peers.track(1, {peer: address}).get(timeout=5)
        opened = self.peers.dial(peer).get(timeout=10)
        assert isinstance(opened, tracker.Dialled), opened

    def fetch(self) -> float:
        """See the module."""
        self._begin(len(self.keys))
        started = time.perf_counter()
        self.data.fetch_all(self.keys)
        self.application.done.get(timeout=120)
        return time.perf_counter() - started

    def one_by_one(self, times: int) -> float:
        """See the module."""
        self._begin(times)
        self.application.left = [self.keys[number % len(self.keys)] for number in range(times - 1)]
        started = time.perf_counter()
        self.data.fetch(self.keys[-1])
        self.application.done.get(timeout=120)
        return (time.perf_counter() - started) / times

    def _begin(self, outstanding: int) -> None:
        self.application.done = Reply()
        self.application.outstanding = outstanding


def run(size: int, count: int, other: list[str]) -> None:
    """One of the two processes. other: `PEER ADDRESS` of the end that has the values."""
    end = End(CLIENT if other else SERVER, values(size, count))
    if other:
        peer, address = other
        end.dial(transport.PeerId.parse(peer), Address.parse(address))
        print("connected", flush=True)
    else:
        print(end.identity.peer, end.address, flush=True)
    for line in sys.stdin:
        match line.split():
            case ["fetch"]:
                print(end.fetch(), flush=True)
            case ["one-by-one", times]:
                print(end.one_by_one(int(times)), flush=True)
            case ["cpu"]:
                print(time.process_time(), flush=True)
    end.host.stop()


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
