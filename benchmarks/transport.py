"""Transport between two processes over loopback, CURVE on, beside a bare pyzmq ROUTER loop with CURVE.

From a sending engine to a receiving engine, typed and counted as in production; the bare loop sends and receives one
message with each call. Names with `-threads` are of `ThreadRuntime`, the others of the node's default runtime.

* `throughput-*`: messages per second of that size. `round-trip`: seconds, 64 bytes; `-pinned`: both on one core.
* `connect`: seconds from dial to open, handshake included.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from benchmarks.harness import Result, less_is_better, main, more_is_better, one_core
from benchmarks.transport_ends import Pair

SIZES = {"64B": (64, 200_000), "1KiB": (1024, 100_000), "64KiB": (65_536, 4_000), "1MiB": (1_048_576, 250)}
ENDS = ("ours-loop", "ours-threads", "bare")


def throughput(runs: int, share: float) -> Iterator[Result]:
    """Every size, the three in turn."""
    pairs = {name: Pair(name) for name in ENDS}
    try:
        for size_name, (size, most) in SIZES.items():
            payload, times = bytes(size), max(50, int(most * share))
            rates: dict[str, list[float]] = {name: [] for name in ENDS}
            for _ in range(runs):
                for name, pair in pairs.items():
                    rates[name].append(times / pair.end.stream(payload, times))
            medians = {name: statistics.median(values) for name, values in rates.items()}
            for name, suffix in (("ours-loop", ""), ("ours-threads", "-threads")):
                full = f"throughput-{size_name}{suffix}"
                yield more_is_better(full, medians[name], "messages/s", "pyzmq", medians["bare"])
    finally:
        for pair in pairs.values():
            pair.__exit__(None, None, None)


def round_trips(name: str, runs: int, times: int) -> Iterator[Result]:
    """Both runtimes beside the bare loop."""
    seconds: dict[str, list[float]] = {end: [] for end in ENDS}
    pairs = {end: Pair(end) for end in ENDS}
    try:
        for _ in range(runs):
            for end, pair in pairs.items():
                seconds[end].append(pair.end.round_trips(times))
    finally:
        for pair in pairs.values():
            pair.__exit__(None, None, None)
    bare = statistics.median(seconds["bare"])
    for end, suffix in (("ours-loop", ""), ("ours-threads", "-threads")):
        yield less_is_better(f"{name}{suffix}", statistics.median(seconds[end]), "s", "pyzmq", bare)


def connects(runs: int) -> Iterator[Result]:
    """One connection each, in fresh processes."""
    seconds: list[float] = []
    for _ in range(runs):
        with Pair("ours-loop") as pair:
            seconds.append(pair.connect_seconds)
    yield Result("connect", statistics.median(seconds), "s")


def measure(quick: bool) -> Iterator[Result]:
    """Every figure."""
    runs, share = (3, 0.3) if quick else (7, 1.0)
    yield from throughput(runs, share)
    yield from round_trips("round-trip", runs, 1000 if quick else 4000)
    with one_core():
        yield from round_trips("round-trip-pinned", runs, 1000 if quick else 4000)
    yield from connects(3 if quick else 9)


if __name__ == "__main__":
    main("transport", measure)
