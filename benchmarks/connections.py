"""Choosing which connections to give up, beside go-libp2p's figures.

All of it is one thread that computes, so what is measured is that thread's time on the processor: what else the machine
does meanwhile does not count.

* `select-N`: from a table of N peers with a connection each to the list of the fifth that goes, in milliseconds. The
  baseline is go-libp2p's, 0.6, 10 and 250 ms on two cores of a Xeon: its best, and not measured here.
* `tag-N`, `protect-N`: one call to set and take away, in microseconds, in a table of N peers. They do not grow with N.
* `decay-N`: one peer's part of a tick in which all N peers' tags are due, in microseconds.
* `longest-handler-N`: the longest time that one message took while the engine trimmed N connections to four fifths and
  saw each close, in milliseconds, without the pauses of Python's garbage collector; `longest-pause-N` is with them.
* `bytes-per-peer`: memory of a table for each peer with one connection and one tag, the link itself not counted.
"""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from time import process_time

from benchmarks.harness import Result, by_itself, less_is_better, main, repeated
from rookery.actors import connections
from rookery.actors.connections import bump, decay
from rookery.actors.connections.core.decaying_tags import DecayingTags
from rookery.actors.connections.core.peer_table import PeerTable
from rookery.actors.connections.core.trim import Mode, choose
from rookery.runtime import Engine, Message, Simulation
from rookery.transport import mailbox as transport
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Direction, Link, Role
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason
from rookery.transport.record import PeerRecord

GO = {1_000: 0.6, 10_000: 10.0, 100_000: 250.0}  # ms
KEPT = 0.8
ADDRESS = Address.parse("tcp://10.0.0.1:7000")
WEIGHTS = (0, 0, 0, 1, 5, 10, 20)


def peers(count: int) -> list[PeerId]:
    """As many different ids, spread as keys are; nobody need be able to own them."""
    return [PeerId((number * 0x9E3779B97F4A7C15 % 2**256).to_bytes(32, "little")) for number in range(1, count + 1)]


def links(count: int) -> list[Link]:
    """One for each of as many peers, half of them inbound."""
    made = []
    for id, peer in enumerate(peers(count)):
        record = PeerRecord(peer, ADDRESS, 1, b"", "test", bytes(16), bytes(16), bytes(64))
        made.append(Link(id, peer, (Direction.IN, Direction.OUT)[id % 2], Role.PRIMARY, "10.0.0.1", float(id), record))
    return made


def table(opened: list[Link]) -> PeerTable:
    """These links, of peers with different tags and ages."""
    made = PeerTable(
        secret=b"secret",
        grace=0.0,
        temporary_age=60.0,
        max_temporary=1000,
        max_tags=32,
        max_protected=10**6,
        ended=lambda _peer: None,
    )
    for link in opened:
        made.opened(link, link.id / 1000)
        made.tag(link.peer, "useful", WEIGHTS[link.id % len(WEIGHTS)], 0.0)
    made.expire(1e6, len(opened) + 1)
    return made


def selected(opened: list[Link]) -> float:
    """Milliseconds to choose."""
    full, quota = table(opened), int(len(opened) * (1 - KEPT))
    started = process_time()
    victims = choose(full, quota, Mode())
    passed = process_time() - started
    assert len(victims) == quota
    return passed * 1e3


def per_call(calls: Callable[[PeerId], object], ids: list[PeerId]) -> float:
    """Microseconds for one peer, over 10,000 of them."""
    some = ids[:: max(1, len(ids) // 10_000)]
    started = process_time()
    for peer in some:
        calls(peer)
    return (process_time() - started) / len(some) * 1e6


def tagged(full: PeerTable, peer: PeerId) -> None:
    """Set a tag and take it away."""
    full.tag(peer, "other", 5, 0.0)
    full.untag(peer, "other")


def protected(full: PeerTable, peer: PeerId) -> None:
    """Protect and unprotect."""
    full.protect(peer, "friend")
    full.unprotect(peer, "friend")


def decayed(full: PeerTable, ids: list[PeerId]) -> float:
    """Microseconds for each peer of a tick in which all are due."""
    decaying = DecayingTags(full, resolution=1.0, now=0.0)
    tag, _ = decaying.register("seen", 1.0, decay.fixed(1), bump.sum_unbounded(), 0.0)
    for peer in ids:
        decaying.bump(tag, peer, 100, 0.0)
    started = process_time()
    decaying.tick(1.0)
    while decaying.sweep(500):
        pass
    return (process_time() - started) / len(ids) * 1e6


class Sink(Engine[transport.Mailbox]):
    """A transport that closes what it is told to, at once."""

    def __init__(self, links: list[Link]) -> None:
        super().__init__()
        self.handlers = {transport.CloseLink: self.on_close_link}
        self.links = links
        self.observer: connections.Mailbox

    def on_close_link(self, message: transport.CloseLink) -> None:
        """Gone."""
        peer = self.links[message.link_id].peer
        self.observer.tell(transport.Closed(message.link_id, peer, Reason.TRIMMED))


class Timed(connections.Engine):
    """Measures how long each message takes."""

    def __init__(self, config: connections.Config, *, transport: transport.Mailbox) -> None:
        super().__init__(config, transport=transport)
        self.handlers = {kind: partial(self.timed, handler) for kind, handler in self.handlers.items()}
        self.longest = 0.0

    def timed(self, handler: Callable[[Message], object], message: Message) -> object:
        """As ever."""
        started = process_time()
        try:
            return handler(message)
        finally:
            self.longest = max(self.longest, process_time() - started)


def longest_handler(opened: list[Link], *, collecting: bool) -> float:
    """Milliseconds of the longest message of a trim, from the request to the report."""
    with Simulation(1) as simulation:
        sink, conns = simulation.mailbox(transport.Mailbox), simulation.mailbox(connections.Mailbox)
        simulation.start(sink, Sink, opened)
        simulation.start(conns, Timed, connections.Config(grace_period=0.0), transport=sink)
        timed: Timed = next(engine for engine in simulation.engines if isinstance(engine, Timed))
        next(engine for engine in simulation.engines if isinstance(engine, Sink)).observer = conns
        for link in opened:
            conns.tell(transport.Opened(link))
            conns.ask(connections.TagPeer(link.peer, "useful", WEIGHTS[link.id % len(WEIGHTS)]))
        simulation.settle()
        timed.longest = 0.0
        gc.collect()
        if not collecting:
            gc.disable()
        try:
            report = conns.trim_open_connections(int(len(opened) * KEPT)).get(timeout=60)
        finally:
            gc.enable()
        assert (len(report.closed), report.short_by) == (len(opened) - int(len(opened) * KEPT), 0)
        return timed.longest * 1e3


def bytes_per_peer(opened: list[Link]) -> float:
    """What a table takes for each."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    full = table(opened)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert full.open == len(opened)
    return taken / len(opened)


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    runs = 3 if quick else 7
    opened = links(max(GO))
    for count, go in GO.items():
        times = runs * (10 if count < 100_000 else 1)
        ours = repeated(partial(selected, opened[:count]), times)
        yield less_is_better(f"select-{count}", ours, "ms", "go-libp2p", go)
    for count, (name, calls) in itertools.product(GO, (("tag", tagged), ("protect", protected))):
        ids, full = [link.peer for link in opened[:count]], table(opened[:count])
        yield by_itself(f"{name}-{count}", repeated(partial(per_call, partial(calls, full), ids), runs), "us")
    for count in GO:
        ids, full = [link.peer for link in opened[:count]], table(opened[:count])
        yield by_itself(f"decay-{count}", repeated(partial(decayed, full, ids), runs), "us")
    for name, collecting in (("longest-handler", False), ("longest-pause", True)):
        longest = repeated(partial(longest_handler, opened, collecting=collecting), 1 if quick else runs)
        yield by_itself(f"{name}-{len(opened)}", longest, "ms")
    yield by_itself("bytes-per-peer", bytes_per_peer(opened), "bytes")


if __name__ == "__main__":
    main("connections", measure)
