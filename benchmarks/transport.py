"""Transport between two processes over loopback, CURVE on, beside a bare pyzmq ROUTER loop with CURVE.

From a sending engine to a receiving engine, typed and counted as in production; the bare loop sends and receives one
message with each call. Names with `-threads` are of `ThreadRuntime`, the others of the node's default runtime.

* `throughput-*`: messages per second of that size. `round-trip`: seconds, 64 bytes; `-pinned`: both on one core.
* `connect`: seconds from dial to open, handshake included.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.harness import Result, less_is_better, main, more_is_better, one_core
from benchmarks.transport_ends import Pair

SIZES = {"64B": (64, 200_000), "1KiB": (1024, 100_000), "64KiB": (65_536, 4_000), "1MiB": (1_048_576, 250)}
SUFFIXES = {"ours-loop": "", "ours-threads": "-threads"}
ENDS = (*SUFFIXES, "bare")
_TRIPS = 100  # of a slice


def throughput(quick: bool) -> Iterator[Result]:
    """Every size, the three in turn."""
    runs, share = (9, 0.25) if quick else (25, 0.5)
    with standing(ENDS) as pairs:
        for size_name, (size, most) in SIZES.items():
            payload, times = bytes(size), max(50, int(most * share))
            rates: dict[str, list[float]] = {name: [] for name in ENDS}
            for _ in range(runs):
                for name, pair in pairs.items():
                    rates[name].append(times / pair.end.stream(payload, times))
            bare = statistics.median(rates["bare"])
            for end, suffix in SUFFIXES.items():
                name = f"throughput-{size_name}{suffix}"
                yield more_is_better(name, statistics.median(rates[end]), "messages/s", "pyzmq", bare)


def round_trip(quick: bool) -> Iterator[Result]:
    """Scheduled freely, then with both processes on one core."""
    yield from _round_trips("round-trip", 40 if quick else 150)
    with one_core():
        yield from _round_trips("round-trip-pinned", 40 if quick else 150)


def _round_trips(name: str, slices: int) -> Iterator[Result]:
    """Many short slices of each end in turn, all pairs standing: a change of the machine's speed meets all alike."""
    seconds: dict[str, list[float]] = {end: [] for end in ENDS}
    with standing(ENDS) as pairs:
        for pair in pairs.values():
            pair.end.round_trips(_TRIPS)  # warm
        for _ in range(slices):
            for end, pair in pairs.items():
                seconds[end].append(pair.end.round_trips(_TRIPS))
    bare = statistics.median(seconds["bare"])
    for end, suffix in SUFFIXES.items():
        yield less_is_better(f"{name}{suffix}", statistics.median(seconds[end]), "s", "pyzmq", bare)


def connect(quick: bool) -> Iterator[Result]:
    """One connection each, in fresh processes."""
    seconds: list[float] = []
    for _ in range(3 if quick else 9):
        with Pair("ours-loop") as pair:
            seconds.append(pair.connect_seconds)
    yield Result("connect", statistics.median(seconds), "s")


@contextmanager
def standing(names: Iterable[str]) -> Iterator[dict[str, Pair]]:
    """A connected pair of each name."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(Pair(name)) for name in names}


if __name__ == "__main__":
    main("transport", throughput, round_trip, connect)
