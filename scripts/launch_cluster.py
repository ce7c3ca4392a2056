"""Start N nodes on this machine, each a process with its own key and YAML file, and stop them all on Ctrl-C.

    python scripts/launch_cluster.py 5 --folder cluster

The folder is filled the first time and used again afterwards. While the nodes run, talk to any of them:

    rookery put model.bin --node cluster/a
    rookery get KEY -o copy.bin --node cluster/e
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

import click

from rookery.config import ConfigError
from rookery.node import Cluster, ClusterError, ControlError
from rookery.node.command import screen

LOOK_EVERY = 0.2


@click.command()
@click.argument("count", type=click.IntRange(min=1))
@click.option("--folder", default="cluster", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--timeout", default=20.0, show_default=True, help="Seconds until all must be connected.")
def main(count: int, folder: Path, timeout: float) -> None:
    """Start COUNT nodes and keep them running."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        run(nodes(folder, count), timeout)
    except KeyboardInterrupt:
        click.echo("stopped")
    except (ClusterError, ConfigError, ControlError) as error:
        click.echo("\n".join([str(error), *getattr(error, "__notes__", ())]), err=True)
        sys.exit(1)


def nodes(folder: Path, count: int) -> list[Path]:
    """The YAML files of the cluster in `folder`, made now if there is none."""
    files = sorted(folder.glob("*/node.yaml"))
    if not files:
        return Cluster.make(folder, count)
    if len(files) != count:
        raise ClusterError(f"{folder} has {len(files)} nodes, not {count}: name another folder, or that many")
    return files


def run(files: list[Path], timeout: float) -> None:
    """Run the nodes until Ctrl-C, or until one of them fails."""
    with Cluster.launch(files) as cluster:
        found = cluster.wait(connected=len(files) - 1, timeout=timeout)
        rows = [
            {"node": name, "peer": status.peer[:8], "address": status.address, "pid": status.pid,
             "connections": status.connected}
            for name, status in found.items()
        ]  # fmt: skip
        screen.rows("nodes", rows, as_json=False)
        click.echo("all connected; Ctrl-C stops them")
        pause = threading.Event()
        while True:
            cluster.check()
            pause.wait(LOOK_EVERY)


if __name__ == "__main__":
    main()
