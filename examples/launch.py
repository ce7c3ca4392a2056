"""Launch five nodes as processes, give one a file, and fetch it from another.

    python examples/launch.py [FOLDER]

`Cluster.make` writes a folder with a key and a `node.yaml` for each node; `Cluster.launch` runs the YAML files it is
given, so yours may be written by hand. Leaving the `with` block stops every process.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from rookery.node import Cluster


def main(folder: Path) -> None:
    """Put `model.bin` on node a, fetch it as `copy.bin` through node e. Raises if that does not succeed."""
    model, copy = folder / "model.bin", folder / "copy.bin"
    model.write_bytes(bytes(range(256)) * 8192)
    Cluster.make(folder / "cluster", 5)

    with Cluster.launch(f"{folder}/cluster/*/node.yaml") as cluster:
        cluster.wait(connected=4, timeout=20)
        key = cluster["a"].blobs.put(model)
        cluster["e"].blobs.get(key, copy, timeout=60)

    print(f"{key} is {copy.stat().st_size} bytes, the same as on node a: {copy.read_bytes() == model.read_bytes()}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
