"""The demo: five node processes, one real file, a killed source, and optionally a liar.

1. Five nodes are started from YAML files. Four of them are told of the first alone; they find and connect each other.
2. The standard library of this Python, packed, is put on node a; b, c and d fetch it.
3. e fetches it, and at a quarter of the way b is killed with SIGKILL. The file still arrives, and its hash is right.
4. With --with-liar, d serves false data to e: the file still arrives, and d is named and blocked.

The nodes serve at a capped rate, so that there is a middle in which to kill one.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import sysconfig
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table

from rookery.actors.blobs import GetReport
from rookery.node.cluster import Cluster

NODES = 5
SERVE_RATE = "10MiB"
ENOUGH = 34 * 2**20  # bytes of the tree that are packed
NOTICED_TIMEOUT = 30.0  # seconds
console = Console()


@click.command(help=__doc__.splitlines()[0])
@click.option("--with-liar", is_flag=True, help="d serves false data.")
@click.option("--keep", is_flag=True, help="Leave keys, YAML files, logs and data where they are.")
def main(*, with_liar: bool, keep: bool) -> None:
    """Exit code 0 if every copy is right and nothing is left running."""
    folder = Path(tempfile.mkdtemp(prefix="rookery-demo-"))
    try:
        ok = run(folder, with_liar=with_liar)
    finally:
        if keep:
            console.print(f"kept: {folder}")
        else:
            shutil.rmtree(folder)
    sys.exit(0 if ok else 1)


def run(folder: Path, *, with_liar: bool) -> bool:
    """The whole demo in `folder`; whether every copy was right."""
    source = folder / "library.tar"
    pack(source)
    console.print(f"[bold]{source.name}[/]: {source.stat().st_size / 2**20:.1f} MiB of this Python's standard library")
    files = Cluster.make(folder / "cluster", NODES, {"blobs": {"serve_rate": SERVE_RATE}}, one_seed=True)
    liar = Path(__file__).with_name("lying_node.py")
    programs = {"d": [str(liar)]} if with_liar else {}
    started = time.monotonic()
    with Cluster.launch(files, programs=programs) as cluster:
        cluster.wait(connected=NODES - 1, members=NODES, timeout=20)
        console.print(f"{NODES} processes, joined through a, all connected after {time.monotonic() - started:.1f} s")
        names = {status.peer: name for name, status in cluster.wait(timeout=5).items()}
        key = cluster["a"].blobs.put(source)
        console.print(f"put on a: {key}")
        copies = {name: folder / f"copy-{name}.tar" for name in "bcde"}
        with bars() as progress:
            with ThreadPoolExecutor(3) as pool:
                early = dict(
                    zip(
                        "bcd",
                        pool.map(lambda name: fetch(cluster, name, str(key), copies[name], progress), "bcd"),
                        strict=True,
                    )
                )
            killed = Killed(cluster, "b")
            reports = early | {"e": fetch(cluster, "e", str(key), copies["e"], progress, quarter=killed.kill)}
        show_served(reports, names)
        killed.show_noticed(names)
        ok = show_hashes(source, copies)
        return ok and (not with_liar or show_liar(cluster, reports["e"], names))


def pack(target: Path) -> None:
    """Pack the source files of the standard library, in a fixed order, until there is enough."""
    library = Path(sysconfig.get_paths()["stdlib"])
    packed = 0
    with tarfile.open(target, "w") as tar:
        for path in sorted(library.rglob("*")):
            inside = path.relative_to(library)
            if "site-packages" in inside.parts or path.suffix == ".a" or path.is_symlink() or not path.is_file():
                continue
            tar.add(path, arcname=str(inside))
            packed += 512 + path.stat().st_size
            if packed >= ENOUGH:
                return


def bars() -> Progress:
    """One line for each fetch."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        console=console,
    )


def fetch(
    cluster: Cluster,
    name: str,
    key: str,
    copy: Path,
    progress: Progress,
    *,
    quarter: Callable[[], object] | None = None,
) -> GetReport:
    """Fetch with a progress bar; `quarter` is called once, at a quarter of the way."""
    task = progress.add_task(f"{name} fetches", total=None)
    called = threading.Event()

    def show(now: object) -> None:
        done, total = now.done, now.total  # type: ignore[attr-defined]  # node.blobs.Progress
        progress.update(task, completed=done, total=total)
        if quarter is not None and total and done * 4 >= total and not called.is_set():
            called.set()
            quarter()

    report = cluster[name].blobs.get(key, copy, timeout=60, progress=show)
    if quarter is not None and not called.is_set():
        raise RuntimeError("the fetch was over before its quarter was seen")
    return report


class Killed:
    """A node that is killed, and who notices when."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name
        self.peer = cluster[name].status().peer
        self.at = 0.0

    def kill(self) -> None:
        """SIGKILL."""
        self.cluster.kill(self.name)
        self.at = time.time()
        console.print(f"[red]killed {self.name} with SIGKILL[/]")

    def show_noticed(self, names: dict[str, str]) -> None:
        """Wait until the membership of every survivor holds the node for down, and print when that was."""
        noticed: dict[str, float] = {}
        deadline = time.monotonic() + NOTICED_TIMEOUT
        survivors = sorted(set(names.values()) - {self.name})
        pause = threading.Event()
        while len(noticed) < len(survivors):
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {sorted(noticed)} noticed the death of {self.name} in {NOTICED_TIMEOUT} s")
            for name in survivors:
                for member in self.cluster[name].members():
                    if name not in noticed and member.peer == self.peer and member.state == "down":
                        noticed[name] = member.since - self.at
            pause.wait(0.1)
        told = ", ".join(f"{name} {after:.1f} s" for name, after in sorted(noticed.items()))
        console.print(f"{self.name} was noticed to be down by {told} after it was killed")


def show_served(reports: dict[str, GetReport], names: dict[str, str]) -> None:
    """Who served how much."""
    table = Table("fetched by", *(f"from {name}" for name in "abcde"), "seconds", title="MiB served")
    for name, report in reports.items():
        served = {names[str(peer)]: size for peer, size in report.served}
        table.add_row(name, *(f"{served.get(other, 0) / 2**20:.1f}" for other in "abcde"), f"{report.seconds:.1f}")
    console.print(table)


def show_hashes(source: Path, copies: dict[str, Path]) -> bool:
    """Compare the SHA-256 of source and copies."""
    wanted = sha256(source)
    console.print(f"source  {wanted}")
    right = True
    for name, copy in copies.items():
        found = sha256(copy)
        right = right and found == wanted
        console.print(f"copy {name}  {found}  {'[green]equal[/]' if found == wanted else '[red]NOT EQUAL[/]'}")
    return right


def show_liar(cluster: Cluster, report: GetReport, names: dict[str, str]) -> bool:
    """Name who served false blocks, and check that e blocks it."""
    liars = [names[str(peer)] for peer, _ in report.false]
    blocked = [names[row.peer] for row in cluster["e"].peers() if row.blocked_until is not None]
    console.print(
        f"e was given false blocks by {', '.join(liars) or 'nobody'}, and blocks {', '.join(blocked) or 'nobody'}"
    )
    return liars == blocked == ["d"]


def sha256(path: Path) -> str:
    """64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main()
