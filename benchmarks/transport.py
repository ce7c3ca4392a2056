"""Transport between two processes over loopback, CURVE on, beside a bare pyzmq ROUTER loop with CURVE.

From a sending engine to a receiving engine, typed and counted as in production; the bare loop sends and receives one
message with each call. Names with `-threads` are of `ThreadRuntime`, the others of the node's default runtime.

* `throughput-*`: messages per second of that size, from the first until the other side has counted them all.
* `round-trip`: seconds, 64 bytes; `-pinned`: both processes on one core; `-cpu`: processor seconds of both processes.
* `connect`: seconds from dial to open, handshake included.

Everything is measured in short slices of each in turn. Where other programs compete for the processor, a round trip is
mostly waiting for it: `chrt --rr 10 python -m benchmarks.transport` (as root) gives the figures of a machine at rest.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from benchmarks.harness import Result, less_is_better, main, more_is_better, one_core
from benchmarks.transport_ends import Pair

SIZES = {"64B": 64, "1KiB": 1024, "64KiB": 65_536, "1MiB": 1_048_576}
SUFFIXES = {"ours-loop": "", "ours-threads": "-threads"}
ENDS = (*SUFFIXES, "bare")
_TRIPS = 100  # of a slice
_SLICE = 0.12  # seconds of a stream


def throughput(quick: bool) -> Iterator[Result]:
    """Every size, in short slices of each end in turn."""
    with standing(ENDS) as pairs:
        for name, size in SIZES.items():
            rates = _rates(pairs, size, 9 if quick else 31)
            for end, suffix in SUFFIXES.items():
                yield more_is_better(f"throughput-{name}{suffix}", rates[end], "messages/s", "pyzmq", rates["bare"])


def _rates(pairs: Mapping[str, Pair], size: int, slices: int) -> dict[str, float]:
    """Messages per second of each end: the median of its slices."""
    rates: dict[str, list[float]] = {end: [] for end in pairs}
    times = {end: max(8, _enough(pair, size)) for end, pair in pairs.items()}
    for _ in range(slices):
        for end, pair in pairs.items():
            rates[end].append(times[end] / pair.stream(size, times[end]))
    return {end: statistics.median(each) for end, each in rates.items()}


def _enough(pair: Pair, size: int) -> int:
    """How many messages take about as long as a slice."""
    times = 16
    while (seconds := pair.stream(size, times)) < _SLICE / 4:
        times *= 4
    return int(times * _SLICE / seconds)


def round_trip(quick: bool) -> Iterator[Result]:
    """Scheduled freely, then with both processes on one core; and the processor time of both."""
    slices = 40 if quick else 150
    with standing(ENDS) as pairs:
        yield from _round_trips("round-trip", pairs, slices)
        yield from _processor_times(pairs, 20 * _TRIPS)
    with one_core(), standing(ENDS) as pairs:
        yield from _round_trips("round-trip-pinned", pairs, slices)


def _round_trips(name: str, pairs: Mapping[str, Pair], slices: int) -> Iterator[Result]:
    """Many short slices of each end in turn, all pairs standing: a change of the machine's speed meets all alike."""
    seconds: dict[str, list[float]] = {end: [] for end in pairs}
    for pair in pairs.values():
        pair.trips(_TRIPS)  # warm
    for _ in range(slices):
        for end, pair in pairs.items():
            seconds[end].append(pair.trips(_TRIPS))
    yield from _beside_bare(name, {end: statistics.median(each) for end, each in seconds.items()})


def _processor_times(pairs: Mapping[str, Pair], trips: int) -> Iterator[Result]:
    seconds: dict[str, float] = {}
    for end, pair in pairs.items():
        before = pair.cpu()
        pair.trips(trips)
        seconds[end] = (pair.cpu() - before) / trips
    yield from _beside_bare("round-trip-cpu", seconds)


def _beside_bare(name: str, seconds: Mapping[str, float]) -> Iterator[Result]:
    for end, suffix in SUFFIXES.items():
        yield less_is_better(f"{name}{suffix}", seconds[end], "s", "pyzmq", seconds["bare"])


def connect(quick: bool) -> Iterator[Result]:
    """One connection each, in fresh processes."""
    seconds: list[float] = []
    for _ in range(3 if quick else 9):
        with Pair("ours-loop") as pair:
            seconds.append(pair.connect_seconds)
    yield Result("connect", statistics.median(seconds), "s")


@contextmanager
def standing(kinds: Iterable[str]) -> Iterator[dict[str, Pair]]:
    """A connected pair of each kind."""
    with ExitStack() as stack:
        yield {kind: stack.enter_context(Pair(kind)) for kind in kinds}


if __name__ == "__main__":
    main("transport", throughput, round_trip, connect)
