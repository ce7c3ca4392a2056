"""A node: make it, run it, stop it, look at it."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import asdict

from ...config.node import FILE_NAME
from .. import new, running
from ..control import Client
from ..errors import CannotStart
from . import configfiles, screen
from .base import FILE, NamedPath, json_option, main, node_option


@main.command()
@click.argument("folder", type=NamedPath(file_okay=False, path_type=Path))
@click.option(
    "--passphrase-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Encrypt the key with what this file holds; node.yaml will name the file.",
)
@json_option
def init(folder: Path, passphrase_file: Path | None, as_json: bool) -> None:
    """Make a node in FOLDER: a new key and a node.yaml that explains itself."""
    peer = new.make_node(folder, passphrase_file=passphrase_file)
    screen.show({"peer": str(peer), "folder": str(folder)}, as_json, f"{folder / FILE_NAME} is node {peer}")


@main.command()
@click.argument("file", default=FILE_NAME, type=FILE)
@click.option("--while-stdin", is_flag=True, help="Stop when standard input ends, as it does when a launcher dies.")
@json_option
def run(file: Path, while_stdin: bool, as_json: bool) -> None:
    """Run the node of FILE until Ctrl-C, SIGTERM or SIGHUP. Its events go to standard error."""
    config = configfiles.load_runnable(file)
    try:
        peer = running.run(config, while_stdin=while_stdin, warnings=configfiles.exposed(file))
    except CannotStart as error:
        raise CannotStart(f"{file}: {error}") from error
    if as_json:
        screen.show({"peer": str(peer), "stopped": True}, as_json, "")


@main.command()
@node_option
@json_option
def stop(node: Path, as_json: bool) -> None:
    """Stop the node."""
    with Client.of(node) as client:
        client.stop()
    screen.show({"stopped": True}, as_json, "stopped")


@main.command()
@node_option
@json_option
def record(node: Path, as_json: bool) -> None:
    """The node's signed record, for `discovery.records` of others: who it is and where, in one word."""
    with Client.of(node) as client:
        text = client.record()
    screen.show({"record": text}, as_json, text)


@main.command()
@node_option
@json_option
def status(node: Path, as_json: bool) -> None:
    """How the node is."""
    with Client.of(node) as client:
        screen.facts(asdict(client.status()), as_json)


@main.command()
@node_option
@json_option
def members(node: Path, as_json: bool) -> None:
    """Every other node that the membership knows."""
    with Client.of(node) as client:
        screen.rows("members", [asdict(row) for row in client.members()], as_json)
