"""What a peer that misbehaves takes from another one, in processes of their own over loopback.

An honest peer sends and gets `RATE` messages a second of 64 bytes. The value is what arrives of them per second while a
second peer misbehaves, the baseline what arrives without that peer; a ratio of 0.8 is the least that is promised.

* `fairness-flooder`: the second peer pours messages over its quota as fast as it can, is closed for that, and dials
  again at once.
* `fairness-stalled`: the second peer is stopped (SIGSTOP) while the node goes on sending to it as well.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from benchmarks.fairness_peer import Pacer, Peer
from benchmarks.harness import Result, main, more_is_better
from benchmarks.transport_shared import SERVER
from rookery.transport import Identity, PeerId


class Other:
    """A peer in another process."""

    def __init__(self, role: str, server: Peer) -> None:
        self.peer: PeerId = Identity.from_seed(role.encode().ljust(32)).peer
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fairness_peer", role, str(server.address)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        json.loads(_pipe(self.process.stdout).readline())  # it is connected
        while self.peer not in server.counter.links and not server.counter.received.get(self.peer):
            time.sleep(0.001)

    def received(self) -> int:
        """How many messages it has got."""
        stdin = _pipe(self.process.stdin)
        stdin.write("\n")
        stdin.flush()
        return int(json.loads(_pipe(self.process.stdout).readline()))

    def kill(self) -> None:
        """Whatever its state."""
        self.process.kill()
        self.process.communicate()


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe


@contextmanager
def other(role: str, server: Peer) -> Iterator[Other]:
    """A peer that is gone afterwards."""
    started = Other(role, server)
    try:
        yield started
    finally:
        started.kill()


def rate(count: Callable[[], int], seconds: float) -> float:
    """How many more per second."""
    before, began = count(), time.perf_counter()
    time.sleep(seconds)
    return (count() - before) / (time.perf_counter() - began)


def beside_flooder(seconds: float) -> tuple[float, float]:
    """What arrives from the honest peer: with the flooder, and without."""
    server = Peer(SERVER)
    try:
        with other("honest", server) as honest:

            def heard() -> int:
                return server.counter.received.get(honest.peer, 0)

            time.sleep(0.5)  # warm
            alone = rate(heard, seconds)
            opened = server.counter.opened
            with other("flooder", server):
                beside = rate(heard, seconds)
                assert server.counter.opened > opened, "it did not flood"
    finally:
        server.host.stop()
    return beside, alone


def beside_stalled(seconds: float) -> tuple[float, float]:
    """What arrives at the honest peer: with the stalled one, and without."""
    server = Peer(SERVER)
    try:
        with other("honest", server) as honest:
            served = [honest.peer]
            pacer = Pacer(server, served)
            try:
                time.sleep(0.5)  # warm
                alone = rate(honest.received, seconds)
                with other("idle", server) as stalled:
                    stalled.process.send_signal(signal.SIGSTOP)
                    served.append(stalled.peer)
                    beside = rate(honest.received, seconds)
            finally:
                pacer.stop()
    finally:
        server.host.stop()
    return beside, alone


def measure(quick: bool) -> Iterator[Result]:
    """Both."""
    runs, seconds = (3, 2.0) if quick else (5, 6.0)
    for name, measured in (("fairness-flooder", beside_flooder), ("fairness-stalled", beside_stalled)):
        pairs = [measured(seconds) for _ in range(runs)]
        beside, alone = zip(*pairs, strict=True)
        yield more_is_better(name, beside, "messages/s", "alone", alone)


if __name__ == "__main__":
    main("fairness", measure)
