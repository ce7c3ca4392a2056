"""The tracker with very many peers: what it costs to ask, to track, to tell and to remember.

* `dialable-100000`: seconds to ask for 50 candidates of 100,000 known peers, a tenth of which failed lately.
* `track-10000`: seconds from `track` of 10,000 new peers, with 100,000 known, until it has taken effect.
* `track-10000-slice`: the longest that one handler of the tracker ran meanwhile, seconds of CPU, without Python's
  collector of cycles; `collector-pause`: the longest that this one took, which grows with all objects of a process.
* `fan-out-100`: seconds from `track` to the last of 100 subscribers, for each of them.
* `bytes-per-peer`: what a tracked peer takes, address included; `bytes-per-hinted-peer`: one that a record named.
* `growth-dialable`, `growth-track`: the power of n by which cost grows, up to 100,000; n log n would be about 1.1 here.

There is no baseline: commonware, which the tracker learns from, has measured nothing of this.
"""

from __future__ import annotations

import gc
import itertools
import math
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from benchmarks.harness import Result, by_itself, main, repeated
from rookery import runtime, transport
from rookery.actors import tracker
from rookery.actors.tracker.core.directory import Directory
from rookery.runtime import LoopRuntime
from rookery.transport import Address, Endpoint, Identity, PeerId, PeerRecord, Reason
from rookery.transport.address import IP

KNOWN = 100_000
NEW = 10_000
CONFIG = tracker.Config(source="application", admission="tracked", max_peers_per_set=2 * KNOWN)
BOOK = tracker.Config(max_hinted_peers=2 * KNOWN, max_hinted_per_subnet=KNOWN)
RNG = random.Random(1)
ME = PeerId(RNG.randbytes(32))


def peers(count: int) -> dict[PeerId, Address | None]:
    """Peers that nobody knew, each with an IP of its own."""
    return {Identity.from_seed(RNG.randbytes(32)).peer: address(number) for number in range(count)}


def address(number: int) -> Address:
    ip: IP = ip_address(0x0A000000 + number)
    return Address(Endpoint(str(ip), 7000))


def directory(count: int) -> Directory:
    """One that knows so many peers."""
    made = Directory(CONFIG, ME, random.Random(2))
    made.track(1, tracker.TrackedPeers(peers(count)), 0.0)
    return made


def seconds(action: Callable[[], object]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


# Asking --------------------------------------------------------------------------------------------------------------


def dialable(count: int, runs: int) -> list[float]:
    """Seconds for 50 candidates, when a tenth of the peers failed lately and 50 are being dialled."""
    made = directory(count)
    for peer in itertools.islice(list(made.window.all.primary), count // 10):
        reserved = made.reserve(peer, 0.0)
        assert isinstance(reserved, tuple)
        made.release(reserved[0], Reason.UNREACHABLE, 0.0)
    exclude = frozenset(made.dialable(50, (), 1.0)[0])
    return repeated(lambda: seconds(lambda: made.dialable(50, exclude, 2.0)), runs)


# Tracking ------------------------------------------------------------------------------------------------------------


class Net(runtime.Engine[transport.Mailbox]):
    """Confirms everything at once."""

    mailbox_type = transport.Mailbox

    def __init__(self) -> None:
        super().__init__()
        self.handlers = {
            transport.SetGate: lambda message: message.gate.version,
            transport.Close: lambda _message: None,
        }


class ListenerMailbox(runtime.Mailbox):
    """Somebody who wants to know the peer sets."""


class Listener(runtime.Engine[ListenerMailbox]):
    """Notes when it heard last."""

    def __init__(self, heard: list[float]) -> None:
        super().__init__()
        self.handlers = {tracker.PeerSetUpdate: lambda _message: heard.append(time.perf_counter())}


class Watch:
    """From now on, how long each handler of an engine runs, and how long the collector did; CPU seconds."""

    def __init__(self, engine: runtime.Engine[Any]) -> None:
        self.took: list[float] = []
        self.collected: list[float] = [0.0]
        self._began = 0.0
        gc.callbacks.append(self._collects)
        for kind, handler in list(engine.dispatch.items()):
            engine.dispatch[kind] = self._timed(handler)

    def _collects(self, phase: str, _info: object) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            self.collected.append(time.thread_time() - self._began)

    def _timed(self, handler: Callable[[Any], object]) -> Callable[[Any], object]:
        def run(item: object) -> object:
            started, collections = time.thread_time(), len(self.collected)
            try:
                return handler(item)
            finally:
                self.took.append(time.thread_time() - started - sum(self.collected[collections:]))

        return run

    def close(self) -> None:
        gc.callbacks.remove(self._collects)


@dataclass(frozen=True, slots=True)
class Tracked:
    """Seconds until a set has taken effect, of the longest handler meanwhile, and of the longest collection."""

    total: float
    slice: float
    collection: float


def track(known: int, new: int, runs: int) -> list[Tracked]:
    """Of several trackers."""
    before = tracker.TrackedPeers(peers(known))
    return [_track(before, new) for _ in range(runs)]


def _track(before: tracker.TrackedPeers, new: int) -> Tracked:
    with LoopRuntime() as host:
        book = host.start(tracker.Engine, CONFIG, transport=host.start(Net), me=ME)
        book.track(1, before).get(timeout=60)
        peer_set = tracker.TrackedPeers(peers(new))
        gc.collect()
        watch = Watch(host.engines[-1])
        total = seconds(lambda: book.track(2, peer_set).get(timeout=60))
        watch.close()
        return Tracked(total, max(watch.took), max(watch.collected))


def tracking(count: int, runs: int) -> float:
    """CPU seconds to track so many peers where nobody is known, without the collector."""
    peer_set = tracker.TrackedPeers(peers(count))

    def once() -> float:
        made = Directory(CONFIG, ME, random.Random(2))
        gc.collect()
        gc.disable()
        started = time.thread_time()
        made.track(1, peer_set, 0.0)
        took = time.thread_time() - started
        gc.enable()
        return took

    return statistics.median(repeated(once, runs))


def fan_out(subscribers: int, runs: int) -> list[float]:
    """Seconds per subscriber, from the tracker's first word to the last one's ear."""
    with LoopRuntime() as host:
        heard: list[float] = []
        book = host.start(tracker.Engine, CONFIG, transport=host.start(Net), me=ME)
        for _ in range(subscribers):
            book.subscribe(host.start(Listener, heard), tracker.PeerSetUpdate)
        took = []
        for number in range(runs):
            heard.clear()
            started = time.perf_counter()
            book.track(number + 1, peers(1)).get(timeout=60)
            while len(heard) < subscribers:
                time.sleep(0.0005)
            took.append((max(heard) - started) / subscribers)
        return took


# Remembering ---------------------------------------------------------------------------------------------------------


def bytes_per_tracked_peer(count: int) -> float:
    """Of a peer that `track` named, with its address."""
    return _bytes(count, lambda: directory(count))


def bytes_per_hinted_peer(count: int) -> float:
    """Of a peer that its own signed record named."""

    def learn() -> Directory:
        made = Directory(BOOK, ME, random.Random(2))
        for number in range(count):
            peer, signature = PeerId(RNG.randbytes(32)), RNG.randbytes(64)
            record = PeerRecord(peer, address(number), 1_700_000_000, b"", "default", bytes(16), bytes(16), signature)
            assert made.learn(record, 0.0)
        return made

    return _bytes(count, learn)


def _bytes(count: int, make: Callable[[], Directory]) -> float:
    gc.collect()
    tracemalloc.start()
    try:
        made = make()
        gc.collect()
        assert len(made.peers) == count
        return tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()


def exponent(small: tuple[int, float], large: tuple[int, float]) -> float:
    """The power of n by which cost grows from one size to another."""
    return math.log(large[1] / small[1]) / math.log(large[0] / small[0])


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    runs = 3 if quick else 9
    asked = {count: dialable(count, 50) for count in (KNOWN // 10, KNOWN)}
    yield by_itself(f"dialable-{KNOWN}", asked[KNOWN], "s")
    tracked = track(KNOWN, NEW, runs)
    yield by_itself(f"track-{NEW}", [one.total for one in tracked], "s")
    yield by_itself(f"track-{NEW}-slice", [one.slice for one in tracked], "s")
    yield by_itself("collector-pause", [one.collection for one in tracked], "s")
    yield by_itself("fan-out-100", fan_out(100, runs), "s")
    yield by_itself("bytes-per-peer", bytes_per_tracked_peer(KNOWN), "bytes")
    yield by_itself("bytes-per-hinted-peer", bytes_per_hinted_peer(KNOWN), "bytes")
    yield by_itself(
        "growth-dialable", exponent(*((count, statistics.median(took)) for count, took in asked.items())), "exponent"
    )
    grown = {count: tracking(count, 3) for count in (KNOWN // 8, KNOWN)}
    yield by_itself("growth-track", exponent(*grown.items()), "exponent")


if __name__ == "__main__":
    main("tracker", measure)
