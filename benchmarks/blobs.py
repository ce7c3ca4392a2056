"""Files between whole nodes of a simulation, each of which gives 1 MB/s at most: megabytes per virtual second.

Virtual time leaves nothing to the machine: a figure depends on the code and the seed alone; medians over seeds.

* `origin-16`: sixteen nodes get, at the same time, a file that one origin has; all their copies together.
* `swarm-8`: one node gets a file that eight have.

The baseline of both is one node that gets the file from one origin. A node may save up a quarter of a second of what it
gives, so eight can be a little more than eight times as fast.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.harness import Result, main, more_is_better
from rookery.runtime import Simulation
from rookery.testing import SimulatedNodes

RATE = 1_000_000  # bytes per second
CHUNK = 64 * 1024


def rate(seed: int, *, holders: int, getters: int, size: int) -> float:
    """MB/s that all getters receive, from the first request until the last of them has the file."""
    with Simulation(seed) as simulation, tempfile.TemporaryDirectory() as folder:
        nodes = SimulatedNodes(simulation)
        count = holders + getters
        settings: dict[str, Any] = {
            "blobs": {"serve_rate": RATE, "chunk_size": CHUNK},
            "maintenance": {"min_connections": count, "expected_connections": count, "max_connections": 2 * count},
        }
        first = nodes.start("0", **settings)
        everybody = [first, *(nodes.start(str(number), seeds=[first], **settings) for number in range(1, count))]
        nodes.run_until(lambda: all(len(node.connected()) == count - 1 for node in everybody), timeout=60)
        source = Path(folder) / "file"
        source.write_bytes(random.Random(seed).randbytes(size))
        keys = {node.files.put(source).get(timeout=60) for node in everybody[:holders]}
        (key,) = keys
        started = simulation.time
        gets = [node.files.get(key, Path(folder) / node.name) for node in everybody[holders:]]
        nodes.run_until(lambda: all(get.done for get in gets), timeout=3600, every=0.01)
        for get in gets:
            get.get(timeout=0)
        return getters * size / 1e6 / (simulation.time - started)


def measure(quick: bool) -> Iterator[Result]:
    """Both figures."""
    seeds = range(1) if quick else range(3)
    mib = 1024 * 1024

    def rates(holders: int, getters: int, size: int) -> list[float]:
        return [rate(seed, holders=holders, getters=getters, size=size) for seed in seeds]

    alone = rates(1, 1, 16 * mib)
    yield more_is_better("origin-16", rates(1, 16, 4 * mib if quick else 8 * mib), "MB/s", "one origin", alone)
    yield more_is_better("swarm-8", rates(8, 1, 16 * mib), "MB/s", "one origin", alone)


if __name__ == "__main__":
    main("blobs", measure)
