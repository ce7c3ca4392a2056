"""The command line. The only module that imports click and rich.

* Exit codes: 0 done; 1 the node could not do it, does not run, or failed; 2 the configuration or the command is wrong.
* With `--json` one JSON object or list goes to standard output, an error as `{"error": {"kind": ..., "message": ...}}`.
* `--node` names the node: its `node.yaml` or the folder of it; by default `./node.yaml`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from ..config import ConfigError, load, parse_duration
from ..config.node import FILE_NAME, config_file
from ..transport.identity import PeerId
from ..transport.keyfile import KeyFileError
from . import configfiles, new, running, screen
from .blobs import BlobKey
from .control import Client, ControlError
from .errors import CannotStart

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
        described: dict[str, object] = {"kind": kind, "message": str(error)}
        if isinstance(error, ConfigError):
            described["mistakes"] = [configfiles.described(mistake) for mistake in error.mistakes]
        click.echo(json.dumps({"error": described}))
    else:
        click.echo(str(error), err=True)
    return code


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rookery")
def main() -> None:
    """Peer-to-peer nodes made of actors."""


def _json(command: F) -> F:
    def remember(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:
        context.find_root().meta["json"] = value
        return value

    words = "Print JSON instead of text."
    return click.option("--json", "as_json", is_flag=True, callback=remember, is_eager=True, help=words)(command)


def _node(command: F) -> F:
    words = "The node: its YAML file, or the folder with it."
    return click.option("--node", default=FILE_NAME, show_default=True, type=click.Path(path_type=Path), help=words)(
        command
    )


def _peer(_context: click.Context, _parameter: click.Parameter, text: str) -> PeerId:
    try:
        return PeerId.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _key(_context: click.Context, _parameter: click.Parameter, text: str) -> BlobKey:
    try:
        return BlobKey.parse(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> float | None:
    try:
        seconds = None if text is None else parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds is not None and not seconds > 0:
        raise click.BadParameter(f"{text}: allowed is a time above 0")
    return seconds


# A node --------------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_json
def init(folder: Path, as_json: bool) -> None:
    """Make a node in FOLDER: a new key and a node.yaml that explains itself."""
    peer = new.make_node(folder)
    screen.show({"peer": str(peer), "folder": str(folder)}, as_json, f"{folder / FILE_NAME} is node {peer}")


@main.command()
@click.argument("file", default=FILE_NAME, type=click.Path(path_type=Path))
@click.option("--while-stdin", is_flag=True, help="Stop when standard input ends, as it does when a launcher dies.")
@_json
def run(file: Path, while_stdin: bool, as_json: bool) -> None:
    """Run the node of FILE until Ctrl-C or SIGTERM. Its events go to standard error."""
    config = load(file)
    try:
        peer = running.run(config, while_stdin=while_stdin)
    except CannotStart as error:
        raise CannotStart(f"{file}: {error}") from error
    if as_json:
        screen.show({"peer": str(peer), "stopped": True}, as_json, "")


@main.command()
@_node
@_json
def stop(node: Path, as_json: bool) -> None:
    """Stop the node."""
    with Client.of(node) as client:
        client.stop()
    screen.show({"stopped": True}, as_json, "stopped")


# Looking at a node ---------------------------------------------------------------------------------------------------


@main.command()
@_node
@_json
def status(node: Path, as_json: bool) -> None:
    """How the node is."""
    with Client.of(node) as client:
        screen.facts(asdict(client.status()), as_json)


@main.command()
@_node
@_json
def peers(node: Path, as_json: bool) -> None:
    """Every peer that is tracked, connected or blocked."""
    with Client.of(node) as client:
        screen.rows("peers", [asdict(row) for row in client.peers()], as_json)


@main.command()
@_node
@_json
def members(node: Path, as_json: bool) -> None:
    """Every other node that the membership knows."""
    with Client.of(node) as client:
        screen.rows("members", [asdict(row) for row in client.members()], as_json)


@main.command()
@_node
@_json
def connections(node: Path, as_json: bool) -> None:
    """The open connections."""
    with Client.of(node) as client:
        screen.rows("connections", [asdict(row) for row in client.connections()], as_json)


# Files ---------------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_node
@_json
def put(file: Path, node: Path, as_json: bool) -> None:
    """Store FILE for every node to get; prints its key."""
    with Client.of(node) as client:
        key = client.blobs.put(file)
    screen.show({"key": str(key)}, as_json, str(key))


@main.command()
@click.argument("key", callback=_key)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file to write.")
@click.option("--timeout", callback=_duration, help="Give up after this time, as 90s or 5m.")
@_node
@_json
def get(key: BlobKey, output: Path, timeout: float | None, node: Path, as_json: bool) -> None:
    """Fetch the file with KEY from whoever has it."""
    with Client.of(node) as client, screen.progress(output.name, hidden=as_json) as show:
        report = client.blobs.get(key, output, timeout=timeout, progress=show)
    said = asdict(report) | {"key": str(report.key), "file": str(output)}
    for name in ("served", "false"):
        said[name] = {str(peer): count for peer, count in getattr(report, name)}
    words = f"{output}: {report.size} bytes in {report.seconds:.1f} s, {report.fetched} of them from peers"
    screen.show(said, as_json, words)


# Peers ---------------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("peer", callback=_peer)
@click.option("--for", "duration", callback=_duration, help="How long, as 30m or 2h; by default as configured.")
@_node
@_json
def block(peer: PeerId, duration: float | None, node: Path, as_json: bool) -> None:
    """Disconnect PEER and refuse it."""
    with Client.of(node) as client:
        until = client.block(peer, duration)
    screen.show({"peer": str(peer), "until": until}, as_json, f"{peer.short} is blocked until {screen.moment(until)}")


@main.command()
@click.argument("peer", callback=_peer)
@_node
@_json
def unblock(peer: PeerId, node: Path, as_json: bool) -> None:
    """Let PEER in again."""
    with Client.of(node) as client:
        was_blocked = client.unblock(peer)
    words = "is no longer blocked" if was_blocked else "was not blocked"
    screen.show({"peer": str(peer), "was_blocked": was_blocked}, as_json, f"{peer.short} {words}")


# Configuration -------------------------------------------------------------------------------------------------------


@main.group()
def config() -> None:
    """Look at configuration files; no node need run."""


@config.command()
@click.argument("file", default=FILE_NAME, type=click.Path(path_type=Path))
@_json
def check(file: Path, as_json: bool) -> None:
    """Say everything that is wrong with FILE."""
    load(file)
    screen.show({"file": str(config_file(file)), "mistakes": []}, as_json, f"{config_file(file)}: no mistakes")


@config.command()
@_json
def schema(as_json: bool) -> None:
    """Print the JSON Schema of node.yaml, for editors."""
    del as_json  # it is JSON anyway
    click.echo(json.dumps(configfiles.schema(), indent=2))


@config.command()
@click.argument("file", default=FILE_NAME, type=click.Path(path_type=Path))
@_json
def show(file: Path, as_json: bool) -> None:
    """Print every setting of FILE, defaults included."""
    settings = configfiles.complete(load(file))
    screen.show(settings, as_json, configfiles.as_yaml(settings))
