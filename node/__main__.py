"""The command `rookery`, also as `python -m rookery.node`.

Whatever takes long is imported late: signals to a node that starts are caught before, and Ctrl-C meanwhile is no error.
"""

from __future__ import annotations

import sys

from . import signals


def main() -> None:
    """Carry out the command line."""
    if sys.argv[1:] == ["--version"]:
        from importlib.metadata import version

        sys.stdout.write(f"rookery, version {version('rookery')}\n")
        return
    if sys.argv[1:2] == ["run"]:
        signals.catch()
    try:
        from .command import main as command

        command(prog_name="rookery")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
