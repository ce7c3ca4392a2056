"""Finding who has a key: what it costs to be found, to find, and to keep the index. Virtual time where it says so.

* `choose-10000`: seconds to choose the index members of a key, among 10,000. `index-bytes-per-key`: memory of a key
  that is kept for another (Linux).
* `told-N`: packets that a node with 1,000 keys sends in a minute among N members, its own and its answers to others'.
  `tell-100000-keys`: share of a core that telling 100,000 keys takes, among 1,000 members, and `-worst-turn` of it.
* `find-N`: virtual seconds to find the one holder among N members, 50 ms from each to each, 0.4 s to open a link;
  `find-N-messages`. Beside flooding over connections that are there, 4, 8 or 20 each, with a hop limit of 7.
* `eclipsed-1000`: the same where all index members of the key are liars: the worst of several.
* `have-N`: virtual seconds until half of N whole nodes have what one of them has, when all ask at the same moment;
  `have-N-last` until all have. The bounds of connections are 2/4/6, 4/8/12 and 10/20/30.
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Result, less_is_better, main, median
from benchmarks.providers_world import Holder, Seeker, flood, hashes, peers, ring_of
from benchmarks.resolver_pending import resident
from rookery.actors.providers.core.index import Index
from rookery.runtime import Simulation
from rookery.testing import SimulatedNodes, WholeNode

DEGREE = {24: 4, 100: 8, 1000: 20}
BOUNDS = {24: (2, 4, 6), 100: (4, 8, 12), 1000: (10, 20, 30)}
HOPS = 7


def choosing(quick: bool) -> Iterator[Result]:
    """The ring."""
    ring, keys = ring_of(peers(10_000)), hashes(20_000)

    def chosen() -> float:
        started = time.thread_time()
        for key in keys:
            ring.index_members(key)
        return (time.thread_time() - started) / len(keys)

    yield Result("choose-10000", median(chosen, 3 if quick else 7), "s")


def keeping(quick: bool) -> Iterator[Result]:
    """The index: 300 keys of each provider in a batch, as many as 1,000 members with 100,000 keys each give one."""
    count, known = (100_000 if quick else 300_000), peers(1000)
    keys = hashes(count)
    batches = [keys[start : start + 300] for start in range(0, count, 300)]
    del keys
    gc.collect()
    before = resident() if sys.platform == "linux" else 0
    index = Index(max_keys=10**7, max_keys_per_provider=10**6)
    started = time.thread_time()
    for number, batch in enumerate(batches):
        index.provide(known[number % len(known)], number % 250, batch, 7200.0, float(number))
    taken = (time.thread_time() - started) / count
    gc.collect()
    if sys.platform == "linux":
        hashes_too = count * 64  # the batches above hold them, and a node's packets do not
        yield Result("index-bytes-per-key", (resident() - before + hashes_too) / count, "bytes")
    yield Result("index-keep", taken, "s/key")


def telling(quick: bool) -> Iterator[Result]:
    """Announcers in the steady state."""
    for members in (100, 1000, 10_000):
        holder = Holder(members, 1000)
        holder.run(3600)
        before, hours = holder.sent, 1 if quick else 4
        holder.run(3600 * hours)
        yield Result(f"told-{members}", 2 * (holder.sent - before) / (60 * hours), "packets/min")
    holder = Holder(1000, 100_000)
    worst = 0.0
    while holder.now < 60:
        started = time.thread_time()
        holder.announcer.poll(holder.now)
        worst = max(worst, time.thread_time() - started)
        holder.run(0.05)
    holder.run(3600)
    started = time.thread_time()
    holder.run(3600)
    yield Result("tell-100000-keys", (time.thread_time() - started) / 3600 * 100, "% of a core")
    yield Result("tell-100000-worst-turn", worst, "s")


def finding(quick: bool) -> Iterator[Result]:
    """Searches, beside flooding."""
    runs = 5 if quick else 25
    for members, degree in DEGREE.items():
        seekers = [Seeker(members, seed) for seed in range(runs)]
        ours = statistics.median(seeker.find() for seeker in seekers)
        floods = [flood(members, degree, HOPS, seed) for seed in range(runs)]
        theirs = statistics.median(seconds for seconds, _ in floods)
        yield less_is_better(f"find-{members}", ours, "s", "flooding", theirs)
        sent = statistics.median(seeker.sent for seeker in seekers)
        messages = statistics.median(count for _, count in floods)
        yield less_is_better(f"find-{members}-messages", sent, "packets", "flooding", messages)
    worst = 0.0
    for seed in range(runs):
        seeker = Seeker(1000, seed)
        seeker.forget_index()
        worst = max(worst, seeker.find())
    yield Result("eclipsed-1000", worst, "s")


def having(quick: bool) -> Iterator[Result]:
    """Whole nodes in a simulation."""
    for count in (24,) if quick else (24, 100, 1000):
        waited = whole(count, askers=count - 1 if count < 1000 else 50)
        yield Result(f"have-{count}", statistics.median(waited), "s")
        yield Result(f"have-{count}-last", max(waited), "s")


def whole(count: int, askers: int) -> list[float]:
    """Virtual seconds that each of so many askers waits for a file that one node has."""
    low, expected, high = BOUNDS[count]
    upkeep = {"min_connections": low, "expected_connections": expected, "max_connections": high}
    with Simulation(seed=count) as simulation, tempfile.TemporaryDirectory() as folder:
        simulation.network.set_default(latency=0.05)
        nodes = SimulatedNodes(simulation)
        there: list[WholeNode] = []
        for number in range(count):
            there.append(nodes.start(f"node-{number}", seeds=there[:1], maintenance=upkeep))
            if number % 10 == 9:
                simulation.run(for_=0.3)
        simulation.run(for_=60)
        holder, *others = there[count // 2 :] + there[: count // 2]
        source = Path(folder, "source")
        source.write_bytes(bytes(1000))
        key = holder.files.put(source).get(timeout=5)
        simulation.run(for_=5)
        start = simulation.time
        replies = {node.name: node.files.get(key, Path(folder, node.name)) for node in others[:askers]}
        waited: dict[str, float] = {}
        while len(waited) < len(replies) and simulation.time < start + 120:
            simulation.run(for_=0.1)
            new = [name for name, reply in replies.items() if reply.done and name not in waited]
            waited |= dict.fromkeys(new, simulation.time - start)
        return [waited.get(name, 120.0) for name in replies]


if __name__ == "__main__":
    main("providers", choosing, keeping, telling, finding, having)
