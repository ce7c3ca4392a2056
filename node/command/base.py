"""What all commands share: the group, errors as exit codes, options, and arguments as values."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from ...actors.blobs import BlobKey
from ...actors.tracker import Target, parse_target
from ...config import ConfigError, parse_duration
from ...config.node import FILE_NAME
from ...config.plugins import PluginError
from ...runtime import arguments
from ...transport.identity import PeerId
from ...transport.identity.keyfile import KeyFileError
from .. import configfiles, new, running
from ..control import CommandFailed, ControlError
from ..errors import CannotStart
from ..logs import printable

F = TypeVar("F", bound=Callable[..., object])
_WRONG = (ConfigError, PluginError, CannotStart, KeyFileError, new.AlreadyThere, OSError, UnicodeError)
_FAILED = (ControlError, running.NodeFailed)
_WRONG_KINDS = ("BadArguments", "SourceError", "DestinationError")
FILE = click.Path(readable=False, path_type=Path)
"""Whether it is there and can be used is found out by using it, and said by whoever does."""
_LONGEST_LINE = 1000  # characters; more of what was typed is not repeated


class Group(click.Group):
    """Errors become a message and an exit code."""

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Read the group's own arguments. What cannot be written in the terminal's encoding is escaped from here on."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
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
        click.echo(json.dumps({"error": described}))
    else:
        click.echo("\n".join(map(printable, _words(error).splitlines())), err=True)
    return code


def _words(error: Exception) -> str:
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    if isinstance(error, OSError) and isinstance(error.filename, str | bytes) and error.strerror is not None:
        text = f"{_short(os.fsdecode(error.filename))}: {error.strerror}"
    return "\n".join(_short(line) for line in text.splitlines()) or type(error).__name__


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
