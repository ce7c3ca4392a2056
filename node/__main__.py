"""The command `rookery`, also as `python -m rookery.node`.

Ctrl-C ends it with exit code 130 and without a traceback, from the first line here to the end of the process. What
takes long is imported late: signals to a node that starts are caught before.
"""

# What `signal` is made of: it is there already, and an import that takes time would be interrupted.
import _signal  # type: ignore[import-not-found]
import posix


def _quit(_number: int, _frame: object) -> None:
    """While nothing has begun, or all is done: an exception would come out of whatever is being imported or ended."""
    posix._exit(130)  # noqa: SLF001  # as `os._exit`


_takes_interrupts = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler  # else ignored: it stays so
if _takes_interrupts:
    _signal.signal(_signal.SIGINT, _quit)

import sys  # noqa: E402


def main() -> None:
    """Carry out the command line."""
    if sys.argv[1:] == ["--version"]:
        return _say_version()
    runs = sys.argv[1:2] == ["run"]
    if runs:
        from . import signals

        signals.catch()
    from .command import main as command

    try:
        try:
            if _takes_interrupts and not runs:
                _signal.signal(_signal.SIGINT, _signal.default_int_handler)
            command(prog_name="rookery")
        finally:
            if _takes_interrupts and not runs:
                _signal.signal(_signal.SIGINT, _quit)
    except KeyboardInterrupt:
        sys.exit(130)


def _say_version() -> None:
    """Without click."""
    from importlib.metadata import version

    if sys.stdout is None:  # closed
        return
    try:
        sys.stdout.write(f"rookery, version {version('rookery')}\n")
        sys.stdout.flush()
    except OSError as error:
        del sys.stdout  # an end in order would try again
        sys.exit(f"standard output: {error.strerror}")


if __name__ == "__main__":
    main()
