"""Transport between two processes over loopback, CURVE on, beside a bare pyzmq ROUTER loop with CURVE.

From a sending engine to a receiving engine, typed and counted as in production; the bare loop sends and receives one
message with each call. Names with `-threads` are of `ThreadRuntime`, the others of the default runtime. Names with
`-libp2p` and `-pyre` compare the default runtime with those, where they are installed (`pip install .[bench]`).

* `throughput-*`: messages per second of that size, from the first until the other side has counted them all.
* `round-trip`: seconds, 64 bytes; `-pinned`: both processes on one core; `-cpu`: processor seconds of both processes.
* `connect`: seconds until a message can be sent, handshake included, the first connection of both processes.
* `delay-*`: seconds, the median round trip of 64 bytes over a line of 100 Mbit/s while 16 MiB in messages of 64 KiB,
  given to be sent before, are on their way; `delay-worst-*`: the longest of each run, the median of the runs.
  `ordinary` is sent as the bulk is, `priority` with priority, `packet` as a packet.
* `bytes-per-connection`: resident bytes of the side that listens, at 1,000 connections, none of them busy.

Everything is measured in short slices of each in turn. Where other programs compete for the processor, a round trip is
mostly waiting for it: `chrt --rr 10 python -m benchmarks.transport` (as root) gives the figures of a machine at rest.
"""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.harness import Figure, Result, less_is_better, main, more_is_better, one_core
from benchmarks.transport_ends import RIVALS, Pair, Process, installed
from benchmarks.transport_line import Line

SIZES = {"64B": 64, "1KiB": 1024, "64KiB": 65_536, "1MiB": 1_048_576}
ORDINARY = "ordinary"
DEFAULT, OURS, BARE = "ours-loop", {"ours-loop": "", "ours-threads": "-threads"}, "bare"
PRESENT = tuple(rival for rival in RIVALS if installed(rival))
_TRIPS = 100  # of a slice
_SLICE = 0.25  # seconds of a stream: long against what the first message of it waits for
_RIVALS_SLICE = 0.1
_WARM, _CROWD = 100, 1000  # connections

Compare = Callable[[str, Figure, str, str, Figure], Result]


def throughput(quick: bool) -> Iterator[Result]:
    """Every size, in short slices of each end in turn; and in fresh processes, which differ from each other as well."""
    rounds, slices = (2, 2) if quick else (5, 5)
    rates: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in SIZES}
    for _ in range(rounds):
        with standing((*OURS, BARE, *PRESENT)) as pairs:
            for name, size in SIZES.items():
                _stream(pairs, size, slices, rates[name])
    for name, found in rates.items():
        yield from _beside(more_is_better, f"throughput-{name}", "messages/s", found)


def _stream(pairs: Mapping[str, Pair], size: int, slices: int, rates: dict[str, list[float]]) -> None:
    """Add each end's messages per second."""
    times = {end: _enough(pair, size, _RIVALS_SLICE if end in RIVALS else _SLICE) for end, pair in pairs.items()}
    for _ in range(slices):
        for end, pair in pairs.items():
            rates[end].append(times[end] / pair.stream(size, times[end]))


def _enough(pair: Pair, size: int, wanted: float) -> int:
    """How many messages take about so many seconds."""
    times = 16
    while (seconds := pair.stream(size, times)) < wanted / 4:
        times *= 4
    return max(8, int(times * wanted / seconds))


def round_trip(quick: bool) -> Iterator[Result]:
    """Scheduled freely, then with both processes on one core; and the processor time of both."""
    slices = 30 if quick else 150
    with standing((*OURS, BARE, *PRESENT)) as pairs:
        yield from _beside(less_is_better, "round-trip", "s", _trips(pairs, slices))
        cpu: dict[str, list[float]] = defaultdict(list)
        for _ in range(3 if quick else 11):
            for end, pair in pairs.items():
                cpu[end].append(_processor_time(pair, 5 * _TRIPS))
        yield from _beside(less_is_better, "round-trip-cpu", "s", cpu)
    with one_core(), standing((*OURS, BARE, *PRESENT)) as pairs:
        yield from _beside(less_is_better, "round-trip-pinned", "s", _trips(pairs, slices))


def _trips(pairs: Mapping[str, Pair], slices: int) -> dict[str, list[float]]:
    """Seconds of each: many short slices in turn, so that a change of the machine's speed meets all alike."""
    for pair in pairs.values():
        pair.trips(_TRIPS)  # warm
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(slices):
        for end, pair in pairs.items():
            found[end].append(pair.trips(_TRIPS))
    return found


def _processor_time(pair: Pair, trips: int) -> float:
    before = pair.cpu()
    pair.trips(trips)
    return (pair.cpu() - before) / trips


def delay(quick: bool) -> Iterator[Result]:
    """Beside bulk, each way to send in turn, the bare loop's only way among them."""
    found: dict[str, list[list[float]]] = defaultdict(list)
    with ExitStack() as stack:
        pairs = {end: stack.enter_context(Pair(end, Line)) for end in (*OURS, BARE)}
        for _ in range(2 if quick else 5):
            for end, pair in pairs.items():
                for how in (ORDINARY,) if end == BARE else (ORDINARY, "priority", "packet"):
                    found[f"{how}{OURS.get(end, end)}"].append(pair.beside(how))
    bare = found.pop(f"{ORDINARY}{BARE}")
    picks: dict[str, Callable[[list[float]], float]] = {"delay": statistics.median, "delay-worst": max}
    for name, pick in picks.items():
        theirs = [*map(pick, bare)]
        for how, runs in found.items():
            yield less_is_better(f"{name}-{how}", [*map(pick, runs)], "s", "pyzmq", theirs)


def connect(quick: bool) -> Iterator[Result]:
    """One connection each, in fresh processes."""
    seconds: dict[str, list[float]] = {end: [] for end in (*OURS, BARE, *PRESENT)}
    for _ in range(3 if quick else 15):
        for end, each in seconds.items():
            with Pair(end) as pair:
                each.append(pair.connect_seconds)
    yield from _beside(less_is_better, "connect", "s", seconds)


def memory(quick: bool) -> Iterator[Result]:
    """What a thousand connections take, beyond the first hundred."""
    if not Path("/proc/self/statm").exists():
        print("bytes-per-connection: left out, needs /proc", file=sys.stderr)
        return
    found = {end: [_bytes_per_connection(end) for _ in range(1 if quick else 3)] for end in (*OURS, BARE)}
    yield from _beside(less_is_better, "bytes-per-connection", "bytes", found)


def _bytes_per_connection(end: str) -> float:
    server = Process(end)
    crowd = Process(end, server.greeting, module="benchmarks.transport_crowd")
    crowd.ask(_WARM)
    before = server.ask("memory")
    crowd.ask(_CROWD)
    taken = (server.ask("memory") - before) / _CROWD
    crowd.close()
    server.close()
    return taken


def _beside(compare: Compare, name: str, unit: str, found: Mapping[str, list[float]]) -> Iterator[Result]:
    """Both runtimes beside the bare loop, and the default one beside each rival."""
    for end, suffix in OURS.items():
        yield compare(f"{name}{suffix}", found[end], unit, "pyzmq", found[BARE])
    for rival in PRESENT:
        if rival in found:
            yield compare(f"{name}-{rival}", found[DEFAULT], unit, rival, found[rival])


@contextmanager
def standing(kinds: Iterable[str]) -> Iterator[dict[str, Pair]]:
    """A connected pair of each kind."""
    with ExitStack() as stack:
        yield {kind: stack.enter_context(Pair(kind)) for kind in kinds}


if __name__ == "__main__":
    for absent in set(RIVALS) - set(PRESENT):
        print(f"{absent}: not installed, left out (pip install .[bench])", file=sys.stderr)
    main("transport", throughput, round_trip, delay, connect, memory)
