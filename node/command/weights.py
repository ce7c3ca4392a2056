"""Connections: what each is worth, and which are kept whatever happens."""

from __future__ import annotations

from pathlib import Path

import click
from msgspec.structs import asdict

from ...actors.connections import MAX_WEIGHT
from ...transport.identity import PeerId
from ..control import Client
from . import screen
from .base import as_name, as_peer, json_option, main, node_option

OPERATOR = "operator"
"""The name of protections that nobody named otherwise."""
_name_option = click.option(
    "--as",
    "tag",
    default=OPERATOR,
    show_default=True,
    callback=as_name,
    help="The name of the protection; each is ended by itself.",
)


@main.command()
@node_option
@json_option
def connections(node: Path, as_json: bool) -> None:
    """The open connections: who dialled, since when, what the peer is worth, and why it is kept."""
    with Client.of(node) as client:
        screen.connections(client.connections(), as_json)


@main.command()
@click.argument("peer", callback=as_peer)
@_name_option
@node_option
@json_option
def protect(peer: PeerId, tag: str, node: Path, as_json: bool) -> None:
    """Keep the connections of PEER whenever some must be given up, now and later, until the node stops."""
    with Client.of(node) as client:
        client.connections.protect(peer, tag)
    screen.show({"peer": str(peer), "tag": tag}, as_json, f"{peer.short} is protected as {tag}")


@main.command()
@click.argument("peer", callback=as_peer)
@_name_option
@node_option
@json_option
def unprotect(peer: PeerId, tag: str, node: Path, as_json: bool) -> None:
    """End a protection of PEER."""
    with Client.of(node) as client:
        still = client.connections.unprotect(peer, tag)
    words = f"{peer.short} is {'still protected under another name' if still else 'not protected'}"
    screen.show({"peer": str(peer), "tag": tag, "still_protected": still}, as_json, words)


@main.command(context_settings={"ignore_unknown_options": True})  # a negative weight is none
@click.argument("peer", callback=as_peer)
@click.argument("tag", callback=as_name)
@click.argument("weight", type=click.IntRange(-MAX_WEIGHT, MAX_WEIGHT), required=False)
@click.option("--remove", is_flag=True, help="Take the tag away.")
@node_option
@json_option
def tag(peer: PeerId, tag: str, weight: int | None, remove: bool, node: Path, as_json: bool) -> None:
    """Give PEER the WEIGHT under the name TAG: who is worth less is given up first."""
    if remove == (weight is not None):
        raise click.UsageError("give a WEIGHT, or --remove")
    with Client.of(node) as client:
        if weight is None:
            worth = client.connections.untag_peer(peer, tag)
        else:
            worth = client.connections.tag_peer(peer, tag, weight)
    screen.show({"peer": str(peer), **asdict(worth)}, as_json, f"{peer.short} is worth {worth.value}")
