"""What all commands share: the group, errors as exit codes, options, and arguments as values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ...actors.tracker import Target, parse_target
from ...config import ConfigError, parse_duration
from ...config.node import FILE_NAME
from ...transport.identity import PeerId
from ...transport.keyfile import KeyFileError
from .. import configfiles, new, running
from ..blobs import BlobKey
from ..control import ControlError
from ..errors import CannotStart

F = TypeVar("F", bound=Callable[..., object])
_WRONG = (ConfigError, CannotStart, KeyFileError, new.AlreadyThere)
_FAILED = (ControlError, running.NodeFailed, OSError)


class Group(click.Group):
    """Errors become a message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # as click has it
        """Run the command."""
        try:
            return super().invoke(ctx)
        except _WRONG as error:
            raise SystemExit(_say(error, 2)) from None
        except _FAILED as error:
            raise SystemExit(_say(error, 1)) from None


def _say(error: Exception, code: int) -> int:
    root = click.get_current_context().find_root()
    if root.meta.get("json"):
        kind = getattr(error, "kind", type(error).__name__)
        described: dict[str, object] = {**getattr(error, "details", {}), "kind": kind, "message": str(error)}
        if isinstance(error, ConfigError):
            described["mistakes"] = [configfiles.described(mistake) for mistake in error.mistakes]
            described["more"] = error.more
        click.echo(json.dumps({"error": described}))
    else:
        click.echo(str(error), err=True)
    return code


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
    return click.option("--node", default=FILE_NAME, show_default=True, type=click.Path(path_type=Path), help=words)(
        command
    )


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
