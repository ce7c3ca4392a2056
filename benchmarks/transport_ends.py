"""The two ends of a transport measurement, each in a process of its own, told what to do by lines of text.

`python -m benchmarks.transport_ends KIND` listens: it prints its address and serves until its input ends. With an
address behind the kind it dials, prints how long that took, and then answers each line with seconds:

* `stream SIZE TIMES`: until the other end has counted so many messages of that size.
* `trips TIMES`: per round trip of 64 bytes.
* `beside HOW`: of each round trip of 64 bytes while a bulk of messages is sent; several numbers. `ordinary`: sent as
  the bulk is; `priority`, `packet`: otherwise, by who can.
* `cpu`: of processor time used so far. The end that listens answers this one and the next too.
* `memory`: not seconds, but the bytes that are resident.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, runtime_checkable

from benchmarks.transport_line import Line
from benchmarks.transport_shared import CLIENT, SERVER
from rookery.transport import Identity

RIVALS = {"libp2p": "libp2p", "pyre": "pyre"}  # the package that each needs


class End(Protocol):
    """One end, whatever it is made of. An end that has dialled can be measured."""

    address: str

    def dial(self, address: str) -> float:
        """Connect; seconds until a message may be sent, handshake included."""

    def stream(self, payload: bytes, times: int) -> float:
        """Send so many; seconds until the other end has counted them all."""

    def trips(self, times: int) -> float:
        """Seconds per round trip of 64 bytes."""

    def close(self) -> None:
        """Stop."""


@runtime_checkable
class Busy(Protocol):
    """An end whose delay beside bulk can be measured."""

    def beside(self, how: str) -> list[float]:
        """Seconds of `BALLS` round trips, one begun every `BALL_EVERY` from when the bulk has been given to be sent."""


def installed(kind: str) -> bool:
    """Whether what a rival needs can be imported here."""
    return importlib.util.find_spec(RIVALS[kind]) is not None


def make(kind: str, identity: Identity) -> End:
    """An end of this kind. Imported late: a process loads what it measures."""
    if kind == "bare":
        from benchmarks.transport_bare import Bare

        return Bare(identity)
    if kind == "libp2p":
        from benchmarks.transport_libp2p import Libp2p

        return Libp2p(identity)
    if kind == "pyre":
        from benchmarks.transport_pyre import PyreEnd

        return PyreEnd(identity)
    from benchmarks.transport_ours import Ours

    return Ours(kind, identity)


class Process:
    """An end in a process of its own."""

    def __init__(self, *arguments: str, module: str = "benchmarks.transport_ends") -> None:
        """Start `module`; what it prints first is `greeting`."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.greeting = self._hear()

    def ask(self, *words: object) -> float:
        """The number it answers."""
        self._say(words)
        return float(self._hear())

    def ask_all(self, *words: object) -> list[float]:
        """The numbers it answers."""
        self._say(words)
        return [float(word) for word in self._hear().split()]

    def close(self) -> None:
        """Let it end."""
        self._process.communicate("", timeout=30)

    def _say(self, words: tuple[object, ...]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(map(str, words)) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> str:
        assert self._process.stdout is not None
        said = self._process.stdout.readline().strip()
        if not said:
            raise RuntimeError(f"the end of process {self.pid} ended with status {self._process.wait()}")
        return said


class Pair:
    """Two ends of one kind, connected."""

    def __init__(self, kind: str, line: Callable[[int], Line] | None = None) -> None:
        """Start both. line: what is made, for the port of one, to be between them."""
        self._server = Process(kind)
        self._line = None if line is None else line(int(self._server.greeting.rpartition(":")[2]))
        self._client = Process(kind, self._server.greeting if self._line is None else self._line.address)
        self.connect_seconds = float(self._client.greeting)

    def stream(self, size: int, times: int) -> float:
        """See `End`."""
        return self._client.ask("stream", size, times)

    def trips(self, times: int) -> float:
        """See `End`."""
        return self._client.ask("trips", times)

    def beside(self, how: str) -> list[float]:
        """See `Busy`."""
        return self._client.ask_all("beside", how)

    def cpu(self) -> float:
        """Seconds of processor time that both have used, in all their threads."""
        return self._client.ask("cpu") + self._server.ask("cpu")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()
        self._server.close()
        if self._line is not None:
            self._line.close()


def resident() -> int:
    """Bytes of this process's memory; needs /proc."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run(kind: str, address: str | None) -> None:
    """One of the two processes."""
    end = make(kind, SERVER if address is None else CLIENT)
    print(end.address if address is None else end.dial(address), flush=True)
    for line in sys.stdin:
        match line.split():
            case ["stream", size, times]:
                print(end.stream(bytes(int(size)), int(times)), flush=True)
            case ["trips", times]:
                print(end.trips(int(times)), flush=True)
            case ["beside", how] if isinstance(end, Busy):
                print(*end.beside(how), flush=True)
            case ["cpu"]:
                print(time.process_time(), flush=True)
            case ["memory"]:
                print(resident(), flush=True)
    end.close()


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
