"""Finding who has a key: what it costs to be found, to find, and to keep the index. Virtual time where it says so.

* `choose-10000`: seconds to choose the index members of a key, among 10,000. `index-bytes-per-key`, `index-keep`:
  memory of a key that is kept for another (Linux), and seconds to take it in.
* `told-N`: packets that a node with 1,000 keys sends in a minute among N members, its own and its answers to others'.
  `tell-100000-keys`: share of a core that telling 100,000 keys takes, among 1,000 members; `tell-100000-worst-turn`:
  seconds of the longest turn of it.
* `find-N`: virtual seconds to find the one holder among N members, 50 ms from each to each, 0.4 s to open a link;
  `find-N-messages`: packets for it. Beside flooding over connections that are there, 4, 8 or 20 each, with a hop limit
  of 7; times when that reaches no holder are left out.
* `eclipsed-1000`: the same where all index members of the key are liars: the worst of several.
* `have-N`: virtual seconds until half of N whole nodes have what one of them has, when all ask at the same moment;
  `have-N-last` until all have. The bounds of connections are 2/4/6 for 24, and 4/8/12 for 100. `--only
  having_thousand`: 1,000 with 10/20/30, of which 50 ask; hours of a core, and left out by default.
"""

from __future__ import annotations

import gc
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Result, by_itself, less_is_better, main, repeated
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

    yield by_itself("choose-10000", repeated(chosen, 3 if quick else 7), "s")


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
        yield by_itself("index-bytes-per-key", (resident() - before + hashes_too) / count, "bytes")
    yield by_itself("index-keep", taken, "s")


def telling(quick: bool) -> Iterator[Result]:
    """Announcers in the steady state."""
    for members in (100, 1000, 10_000):
        holder = Holder(members, 1000)
        holder.run(3600)
        before, hours = holder.sent, 1 if quick else 4
        holder.run(3600 * hours)
        yield by_itself(f"told-{members}", 2 * (holder.sent - before) / (60 * hours), "packets/min")
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
    yield by_itself("tell-100000-keys", (time.thread_time() - started) / 3600 * 100, "% of a core")
    yield by_itself("tell-100000-worst-turn", worst, "s")


def finding(quick: bool) -> Iterator[Result]:
    """Searches, beside flooding."""
    runs = 5 if quick else 25
    for members, degree in DEGREE.items():
        seekers = [Seeker(members, seed) for seed in range(runs)]
        ours = [seeker.find() for seeker in seekers]
        floods = [flood(members, degree, HOPS, seed) for seed in range(runs)]
        yield less_is_better(
            f"find-{members}", ours, "s", "flooding", [seconds for seconds, _ in floods if seconds < math.inf]
        )
        sent, messages = [seeker.sent for seeker in seekers], [count for _, count in floods]
        yield less_is_better(f"find-{members}-messages", sent, "packets", "flooding", messages)
    worst = 0.0
    for seed in range(runs):
        seeker = Seeker(1000, seed)
        seeker.forget_index()
        worst = max(worst, seeker.find())
    yield by_itself("eclipsed-1000", worst, "s")


def having(quick: bool) -> Iterator[Result]:
    """Whole nodes in a simulation."""
    for count in (24,) if quick else (24, 100):
        yield from _had(count, askers=count - 1)


def having_thousand(_quick: bool) -> Iterator[Result]:
    """The same with a thousand of them, of which 50 ask."""
    yield from _had(1000, askers=50)


def _had(count: int, askers: int) -> Iterator[Result]:
    waited = whole(count, askers)
    yield by_itself(f"have-{count}", waited, "s")
    yield by_itself(f"have-{count}-last", max(waited), "s")


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
    main("providers", choosing, keeping, telling, finding, having, on_request=(having_thousand,))
