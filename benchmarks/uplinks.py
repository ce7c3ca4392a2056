"""A file that many nodes get at once from one origin, where each has one uplink and one downlink: in virtual time.

Sixteen nodes begin at the same moment. Each node, the origin as well, sends and receives 12.5 MB/s at most, whoever
with, and 5 ms lie between any two. Nothing else limits them, and hashing and disks take no time. Virtual time leaves
nothing to the machine: a figure depends on the code and the seed alone; medians over seeds. The file has 8 MiB: one of
64 may never be had, as who waits longer than the resolver's `fetch_timeout` throws away what comes, and asks again.

* `origin-sent-16`: how often the origin sends the file, counted in bytes of all blocks that it gives, those that come
  in vain as well. Beside it once, which is the least.
* `all-have-16`: until the last node has the file, beside the physical limit: the time in which the origin sends it
  once, which is also the time in which a node receives it. What all of them need of all uplinks is less than that.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import Result, less_is_better, main
from rookery.runtime import Simulation
from rookery.testing import SimulatedNodes

LINE = 12_500_000  # bytes per second, each way
LATENCY = 0.005
NODES = 16
MIB = 1024 * 1024


def fetched_at_once(seed: int, nodes: int, size: int) -> tuple[float, float]:
    """How often the origin sent the file, and the seconds until all of so many nodes had it."""
    with Simulation(seed) as simulation, tempfile.TemporaryDirectory() as folder:
        world = SimulatedNodes(simulation)
        count = 1 + nodes
        connections = {"min_connections": count, "expected_connections": count, "max_connections": 2 * count}
        origin = world.start("0", maintenance=connections)
        others = [world.start(str(number), seeds=[origin], maintenance=connections) for number in range(1, count)]
        everybody = [origin, *others]
        world.run_until(lambda: all(len(node.connected()) == count - 1 for node in everybody), timeout=60)
        source = Path(folder) / "file"
        source.write_bytes(random.Random(seed).randbytes(size))
        key = origin.files.put(source).get(timeout=60)
        simulation.network.set_default(latency=LATENCY)
        for node in everybody:
            simulation.network.set_node(node.name, uplink=LINE, downlink=LINE)
        started = simulation.time
        gets = [node.files.get(key, Path(folder) / node.name) for node in others]
        world.run_until(lambda: all(get.done for get in gets), timeout=3600, every=0.01)
        seconds = simulation.time - started
        for get in gets:
            get.get(timeout=0)
        return origin.counted("blobs_served_bytes_total") / size, seconds


def measure(quick: bool) -> Iterator[Result]:
    """Both figures."""
    size = 8 * MIB
    runs = [fetched_at_once(seed, NODES, size) for seed in range(1 if quick else 3)]
    yield less_is_better(f"origin-sent-{NODES}", [sent for sent, _ in runs], "times", "once", 1.0)
    yield less_is_better(f"all-have-{NODES}", [seconds for _, seconds in runs], "s", "the lines", size / LINE)


if __name__ == "__main__":
    main("uplinks", measure)
