"""Files by their hash."""

from __future__ import annotations

import os
from pathlib import Path

import click
from msgspec.structs import asdict

from ...actors.blobs import BlobKey
from ..control import Client
from ..control.commands.files import FIND_TIMEOUT
from . import screen
from .base import NamedPath, as_duration, as_key, json_option, main, node_option


def as_file(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    if text == "-":
        raise click.BadParameter("-: no stream is taken (allowed: a file; ./- for one of that name)")
    return text


@main.command()
@click.argument("file", type=NamedPath(readable=False), callback=as_file)
@node_option
@json_option
def put(file: str, node: Path, as_json: bool) -> None:
    """Store FILE, a regular file, for every node to get; prints its key."""
    with Client.of(node) as client:
        key = client.blobs.put(file)
    screen.show({"key": str(key)}, as_json, str(key))


@main.command()
@click.argument("key", callback=as_key)
@click.option(
    "-o",
    "--output",
    required=True,
    type=NamedPath(readable=False),
    callback=as_file,
    help="The file to write; no folder.",
)
@click.option("--timeout", callback=as_duration, help="Give up after this time, as 90s or 5m; by default never.")
@click.option("--no-wait", is_flag=True, help="Give up when all members were asked and none has it.")
@node_option
@json_option
def get(key: BlobKey, output: str, timeout: float | None, no_wait: bool, node: Path, as_json: bool) -> None:
    """Fetch the file with KEY from whoever has it. What came before it gave up stays for the next time."""
    from .bars import progress

    with Client.of(node) as client, progress(os.path.basename(output), hidden=as_json) as show:
        report = client.blobs.get(key, output, timeout=timeout, wait=not no_wait, progress=show)
    said = asdict(report) | {"key": str(report.key), "file": output}
    for name in ("served", "false"):
        said[name] = {str(peer): count for peer, count in getattr(report, name)}
    words = f"{output}: {report.size} bytes in {report.seconds:.1f} s; peers gave {report.fetched}, manifests counted"
    screen.show(said, as_json, words)


@main.command()
@click.argument("key", callback=as_key)
@click.option(
    "--timeout",
    callback=as_duration,
    help=f"Give up after this time, as 30s; by default and at most {screen.span(FIND_TIMEOUT)}.",
)
@node_option
@json_option
def find(key: BlobKey, timeout: float | None, node: Path, as_json: bool) -> None:
    """List the nodes that have the file with KEY. The exit code is 1 if nobody has it."""
    with Client.of(node) as client:
        found, own = client.blobs.find(key, timeout=timeout), client.status().peer
    holders = [
        {
            "peer": str(each.peer),
            "address": None if each.address is None else str(each.address),
            "age": each.age,
            "this_node": str(each.peer) == own,
        }
        for each in found.holders
    ]
    lines = [
        f"{each['peer']}  {each['address'] or 'no address'}{'  this node' if each['this_node'] else _told(each['age'])}"
        for each in holders
    ]
    screen.show({"holders": holders, "result": found.result}, as_json, "\n".join([*lines, found.result]))
    if not holders:
        raise SystemExit(1)


def _told(age: object) -> str:
    return f"  told {age:.0f} s ago" if isinstance(age, float) else ""
