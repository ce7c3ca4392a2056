"""Peers: who they are, and who may connect."""

from __future__ import annotations

from pathlib import Path

import click

from ...transport.identity import PeerId
from .. import screen
from ..control import Client
from .base import as_duration, as_peer, json_option, main, node_option


@main.command()
@click.argument("peer", callback=as_peer)
@click.option("--for", "duration", callback=as_duration, help="How long, as 30m or 2h; by default as configured.")
@node_option
@json_option
def block(peer: PeerId, duration: float | None, node: Path, as_json: bool) -> None:
    """Disconnect PEER and refuse it."""
    with Client.of(node) as client:
        until = client.tracker.block(peer, duration)
    screen.show({"peer": str(peer), "until": until}, as_json, f"{peer.short} is blocked until {screen.moment(until)}")


@main.command()
@click.argument("peer", callback=as_peer)
@node_option
@json_option
def unblock(peer: PeerId, node: Path, as_json: bool) -> None:
    """Let PEER in again."""
    with Client.of(node) as client:
        was_blocked = client.tracker.unblock(peer)
    words = "is no longer blocked" if was_blocked else "was not blocked"
    screen.show({"peer": str(peer), "was_blocked": was_blocked}, as_json, f"{peer.short} {words}")
