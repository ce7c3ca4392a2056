"""The command line, a module for each topic; with `screen`, the only modules that import click and rich.

* Exit codes: 0 done; 1 the node could not do it, does not run, or failed, or (`find`) nobody has the file; 2 the
  configuration or the command is wrong, or a file that it names cannot be used (missing, unreadable, no UTF-8).
* Whatever is typed, there is no traceback: an error is a short text on standard error, one line unless it lists more.
* With `--json` one JSON object or list goes to standard output, an error as `{"error": {"kind": ..., "message": ...}}`.
* `--node` names the node: its `node.yaml` or the folder of it; by default `./node.yaml`.
"""

from . import configuration, files, nodes, peers, simulation, weights
from .base import main

__all__ = ["configuration", "files", "main", "nodes", "peers", "simulation", "weights"]
