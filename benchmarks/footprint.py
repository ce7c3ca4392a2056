"""What a node takes before it does anything: time to start, memory, threads, and the processor while nothing happens.

Each in processes of their own. `bare` is an interpreter that does nothing, `libraries` one that imports what Rookery is
built on (pyzmq, msgpack, msgspec, cryptography, pykka, PyYAML, click), `libp2p` is py-libp2p, where it is installed.

* `import`, `version`, `status`, `check`: seconds of an import of `Node`, `rookery --version`, `rookery status` of a
  node that runs, and `rookery config check`, from the start of the process to its end, beside `bare`. `-cpu`: of the
  processor. `import-libraries`, `import-libp2p`: the same import beside those.
* `listening`: seconds from the start of `rookery run` until its control socket answers.
* `memory`, `threads`: of a node that has started, and has had nothing to do for some seconds. Linux.
* `idle`, `idle-20`: per cent of a core that a node takes while nothing happens, alone and with 20 connections. Linux.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.harness import Result, by_itself, less_is_better, main
from rookery.node import Client, Cluster
from rookery.node.control import NoNode
from rookery.runtime.hosts.workers import IDLE

NOTHING = (sys.executable, "-c", "pass")
LIBRARIES = (
    sys.executable,
    "-c",
    "import click, cryptography.hazmat.primitives.asymmetric.ed25519, msgpack, msgspec, pykka, yaml, zmq",
)
LIBP2P = (sys.executable, "-c", "import libp2p")
ROOKERY = (sys.executable, "-m", "rookery.node")
A_HOST = """
import resource, trio
from libp2p import new_host
from multiaddr import Multiaddr
async def run():
    host = new_host()
    async with host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
        await trio.sleep(3)
        print(open("/proc/self/statm").read().split()[1])
trio.run(run)
"""
TICKS = os.sysconf("SC_CLK_TCK")


def spent(command: Sequence[str]) -> tuple[float, float]:
    """Seconds by the clock and of the processor that a command takes. Raises CalledProcessError."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = time.perf_counter() - started
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return took, usage.ru_utime + usage.ru_stime


def beside(name: str, ours: Sequence[str], baselines: Mapping[str, Sequence[str]], quick: bool) -> Iterator[Result]:
    """All in turn: by the clock, and of the processor. Beside the first: `name`; beside others: `name-BASELINE`."""
    _warm, *runs = ([spent(each) for each in (ours, *baselines.values())] for _ in range(6 if quick else 16))
    for at, suffix in ((0, ""), (1, "-cpu")):
        own, *others = ([took[at] for took in taken] for taken in zip(*runs, strict=True))
        for number, (baseline, theirs) in enumerate(zip(baselines, others, strict=True)):
            of = f"-{baseline}" if number else ""
            yield less_is_better(f"{name}{of}{suffix}", own, "s", baseline, theirs)


def starting(quick: bool) -> Iterator[Result]:
    """Processes that come and go."""
    bare = {"bare": NOTHING}
    rivals = {} if find_spec("libp2p") is None else {"libp2p": LIBP2P}
    importing = (sys.executable, "-c", "from rookery.node import Node")
    yield from beside("import", importing, {**bare, "libraries": LIBRARIES, **rivals}, quick)
    yield from beside("version", (*ROOKERY, "--version"), bare, quick)
    with tempfile.TemporaryDirectory() as folder, Cluster.launch(Cluster.make(folder, 1)) as cluster:
        (node,) = Path(folder).iterdir()
        assert len(cluster) == 1
        yield from beside("status", (*ROOKERY, "status", "--node", str(node)), bare, quick)
        yield from beside("check", (*ROOKERY, "config", "check", str(node / "node.yaml")), bare, quick)
    with tempfile.TemporaryDirectory() as folder:
        took = [listening(Path(folder, f"node-{number}")) for number in range(3 if quick else 9)]
        yield less_is_better("listening", took, "s", "bare", [spent(NOTHING)[0] for _ in took])


def listening(folder: Path) -> float:
    """Seconds until a node answers."""
    subprocess.run((*ROOKERY, "init", str(folder)), check=True, stdout=subprocess.DEVNULL)
    started = time.perf_counter()
    with subprocess.Popen((*ROOKERY, "run", str(folder)), stderr=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    with Client.of(folder) as client:
                        client.status()
                    return time.perf_counter() - started
                except NoNode:
                    time.sleep(0.002)
        finally:
            process.terminate()


def resting(quick: bool) -> Iterator[Result]:
    """A node to which nothing happens, alone and with others."""
    with tempfile.TemporaryDirectory() as folder, Cluster.launch(Cluster.make(folder, 1)) as cluster:
        (client,) = cluster.values()
        time.sleep(IDLE + 2)  # what was slow is done, and the threads that did it have ended
        pid = client.status().pid
        own = resident(Path(f"/proc/{pid}/statm").read_text())
        if find_spec("libp2p") is not None:
            there = subprocess.run((sys.executable, "-c", A_HOST), check=True, capture_output=True, text=True).stdout
            yield less_is_better("memory", own, "MB", "libp2p", resident(f"0 {there}"))
        else:
            yield by_itself("memory", own, "MB")
        yield by_itself("threads", len(os.listdir(f"/proc/{pid}/task")), "threads")
        yield by_itself("idle", idle(pid, 10 if quick else 60), "% of a core")
    with tempfile.TemporaryDirectory() as folder, Cluster.launch(Cluster.make(folder, 21)) as cluster:
        cluster.wait(connected=20, timeout=60)
        time.sleep(10)
        pids = [client.status().pid for client in cluster.values()]
        yield by_itself("idle-20", [idle(pid, 10 if quick else 30) for pid in pids[:3]], "% of a core")


def resident(statm: str) -> float:
    """Megabytes, of what /proc says."""
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def idle(pid: int, seconds: float) -> float:
    """Per cent of a core that a process takes."""
    before = ticks(pid)
    time.sleep(seconds)
    return 100 * (ticks(pid) - before) / TICKS / seconds


def ticks(pid: int) -> int:
    """Of the processor, since the process has been there."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # each process would compile everything again
    main("footprint", starting, resting)
