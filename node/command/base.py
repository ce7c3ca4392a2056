"""What all commands share: the group, errors as exit codes, options, and arguments as values."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

import click

from ...actors.blobs import BlobKey
from ...actors.tracker import Target, parse_target
from ...config import ConfigError, parse_duration
from ...config.node import FILE_NAME
from ...config.plugins import PluginError
from ...runtime import arguments
from ...runtime.files import read_file
from ...transport.identity import PeerId
from ...transport.identity.keyfile import KeyFileError
from .. import new, running
from ..control import CommandFailed, ControlError
from ..errors import CannotStart
from ..logs import printable
from . import configfiles, screen

F = TypeVar("F", bound=Callable[..., object])
_WRONG = (ConfigError, PluginError, CannotStart, KeyFileError, new.AlreadyThere, OSError, UnicodeError)
_FAILED = (ControlError, running.NodeFailed)
_WRONG_KINDS = ("BadArguments", "SourceError", "DestinationError")


class NamedPath(click.Path):
    """A path. One without a name would be the working folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # as click has it
        """See `click.Path`."""
        if not value:
            self.fail("a name is missing (allowed: a path; . is the working folder)", param, ctx)
        return super().convert(value, param, ctx)


FILE = NamedPath(readable=False, path_type=Path)
"""Whether it is there and can be used is found out by using it, and said by whoever does."""
_LONGEST_LINE = 1000  # characters; more of what was typed is not repeated


class _Output:
    """Standard output whose errors name it."""

    NAME = "standard output"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._naming():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._naming():
            self._stream.flush()

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = self.NAME
            raise


class Group(click.Group):
    """Errors become a message and an exit code."""

    def main(self, *args: Any, **extra: Any) -> Any:
        """Carry out a command line. What cannot be written in the terminal's encoding is escaped from here on."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        if sys.stdout is not None:
            sys.stdout = cast(TextIO, _Output(sys.stdout))
        try:
            return super().main(*args, **extra)
        except OSError as error:  # of what is printed, by click too: all others end in `invoke`
            complain(_words(error))
            raise SystemExit(1) from None

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the group's own arguments."""
        with _short_usage():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # as click has it
        """Run the command."""
        try:
            with _short_usage():
                return super().invoke(ctx)
        except click.UsageError as error:
            if not ctx.meta.get("json"):
                raise
            raise SystemExit(_say(error, error.exit_code)) from None
        except KeyboardInterrupt:
            raise SystemExit(130) from None  # click would say "Aborted!" and 1
        except BrokenPipeError:
            raise  # whoever read has enough: click knows
        except _FAILED as error:
            wrong = isinstance(error, CommandFailed) and error.kind in _WRONG_KINDS
            raise SystemExit(_say(error, 2 if wrong else 1)) from None
        except _WRONG as error:
            if isinstance(error, OSError) and error.filename is _Output.NAME:
                raise  # for `main`: nothing more can be printed there, JSON neither
            raise SystemExit(_say(error, 2)) from None


@contextlib.contextmanager
def _short_usage() -> Iterator[None]:
    """Errors of click repeat what was typed: of much of it, only the beginning."""
    try:
        yield
    except click.ClickException as error:
        vars(error)["message"] = printable(_short(error.message))
        raise


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LINE else f"{text[:_LONGEST_LINE]}... ({len(text)} characters)"


def _say(error: Exception, code: int) -> int:
    root = click.get_current_context().find_root()
    if root.meta.get("json"):
        kind = getattr(error, "kind", type(error).__name__)
        described: dict[str, object] = {**getattr(error, "details", {}), "kind": kind, "message": _words(error)}
        if isinstance(error, ConfigError):
            described["mistakes"] = [configfiles.described(mistake) for mistake in error.mistakes]
            described["more"] = error.more
        click.echo(screen.json_text({"error": described}))
    else:
        complain("\n".join(map(printable, _words(error).splitlines())))
    return code


def complain(message: str) -> None:
    """Say it on standard error. Where that cannot be done, the exit code still tells."""
    with contextlib.suppress(OSError):
        click.echo(message, err=True)


def _words(error: Exception) -> str:
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes) and error.strerror is not None:
        text = f"{_short(os.fsdecode(error.filename))}: {error.strerror}"
    elif isinstance(error, FileNotFoundError) and error.filename is None and not _is_somewhere():
        text = "the working folder is gone, so a relative path leads nowhere (allowed: absolute ones)"
    return "\n".join(_short(line) for line in text.splitlines()) or type(error).__name__


def read_text(file: Path, limit: int) -> str:
    """UTF-8, with or without a byte order mark, of at most so many bytes: a regular file, or `-` for standard input."""
    content = _standard_input(limit) if str(file) == "-" else read_file(file, limit, follow=True)
    if len(content) > limit:
        raise click.BadParameter(f"{file}: more than {limit} bytes, which is the limit")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise click.BadParameter(f"{file}: line {line}: the file is not text in UTF-8") from None


def _standard_input(limit: int) -> bytes:
    """For one option of a command: the next one would find it empty."""
    meta = click.get_current_context().meta
    if meta.get("stdin"):
        raise click.BadParameter("-: standard input is given for two lists (allowed: for one of them)")
    meta["stdin"] = True
    if sys.stdin is None:
        raise click.BadParameter("-: standard input is closed")
    try:
        return sys.stdin.buffer.read(limit + 1)
    except OSError as error:
        raise click.BadParameter(f"-: standard input cannot be read: {error.strerror}") from error


def _is_somewhere() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rookery")
def main() -> None:
    """Peer-to-peer nodes made of actors."""


def json_option(command: F) -> F:
    def remember(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
        context.find_root().meta["json"] = value
        return value

    words = "Print JSON instead of text."
    return click.option("--json", "as_json", is_flag=True, callback=remember, is_eager=True, help=words)(command)


def node_option(command: F) -> F:
    words = "The node: its YAML file, or the folder with it."
    return click.option("--node", default=FILE_NAME, show_default=True, type=FILE, help=words)(command)


def as_name(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    try:
        return arguments.name(text, "a name")
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def as_peer(_context: click.Context, _parameter: click.Parameter, text: str) -> PeerId:
    try:
        return PeerId.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def as_target(_context: click.Context, _parameter: click.Parameter, text: str) -> Target:
    try:
        return parse_target(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def as_key(_context: click.Context, _parameter: click.Parameter, text: str) -> BlobKey:
    try:
        return BlobKey.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def as_duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    try:
        seconds = None if text is None else parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds is not None and not seconds > 0:
        raise click.BadParameter(f"{text}: allowed is a time above 0")
    return seconds
