"""Peers: who they are, who may connect, and which are tracked."""

from __future__ import annotations

from math import inf
from pathlib import Path

import click
from msgspec.structs import asdict

from ...actors.tracker import Target
from ...actors.tracker.errors import MAX_SET_ID
from ...transport.address import Address
from ...transport.identity import PeerId
from ..control import Client, CommandFailed
from ..control.commands.peer_lists import read_peers
from ..control.protocol import MAX_CALL
from . import screen
from .base import as_duration, as_peer, as_target, json_option, main, node_option, read_text

_LIST = click.Path(readable=False, allow_dash=True, path_type=Path)


@main.command()
@node_option
@json_option
def peers(node: Path, as_json: bool) -> None:
    """Every peer that is known: role, state, address, when it was last seen, trust and block."""
    with Client.of(node) as client:
        known = client.peers()
    screen.peers(known, as_json)


# Blocks and trust ----------------------------------------------------------------------------------------------------


@main.command()
@node_option
@json_option
def blocks(node: Path, as_json: bool) -> None:
    """Whom nobody lets in, and until when."""
    with Client.of(node) as client:
        screen.rows("blocks", [asdict(row) for row in client.tracker.blocks()], as_json)


@main.command()
@click.argument("target", callback=as_target)
@click.option("--for", "duration", callback=as_duration, help="How long, as 30m or 2h; by default as configured.")
@click.option("--for-good", is_flag=True, help="Until somebody unblocks it.")
@node_option
@json_option
def block(target: Target, duration: float | None, for_good: bool, node: Path, as_json: bool) -> None:
    """Disconnect TARGET and refuse it: a peer, an IP, or a network such as 10.0.0.0/24."""
    if for_good and duration is not None:
        raise click.UsageError("--for and --for-good contradict each other: give one of them")
    with Client.of(node) as client:
        until = client.tracker.block(target, inf if for_good else duration)
    words = f"{_short(target)} is blocked {'for good' if until == inf else f'until {screen.moment(until)}'}"
    screen.show({"target": str(target), "until": until}, as_json, words)


@main.command()
@click.argument("target", callback=as_target)
@node_option
@json_option
def unblock(target: Target, node: Path, as_json: bool) -> None:
    """Let TARGET in again: the peer, IP or network that was blocked."""
    with Client.of(node) as client:
        was_blocked = client.tracker.unblock(target)
    words = f"{_short(target)} {'is no longer' if was_blocked else 'was not'} blocked"
    screen.show({"target": str(target), "was_blocked": was_blocked}, as_json, words)


@main.command()
@click.argument("peer", callback=as_peer)
@node_option
@json_option
def trust(peer: PeerId, node: Path, as_json: bool) -> None:
    """Trust PEER: it is dialled first, and admission `private` lets it in."""
    with Client.of(node) as client:
        is_new = client.tracker.trust(peer)
    words = f"{peer.short} {'is trusted' if is_new else 'was trusted already'}"
    screen.show({"peer": str(peer), "was_trusted": not is_new}, as_json, words)


@main.command()
@click.argument("peer", callback=as_peer)
@node_option
@json_option
def distrust(peer: PeerId, node: Path, as_json: bool) -> None:
    """End the trust in PEER, also if the configuration names it."""
    with Client.of(node) as client:
        was_trusted = client.tracker.distrust(peer)
    words = f"{peer.short} {'is no longer' if was_trusted else 'was not'} trusted"
    screen.show({"peer": str(peer), "was_trusted": was_trusted}, as_json, words)


# Peer sets -----------------------------------------------------------------------------------------------------------


@main.command()
@click.argument("id", type=click.IntRange(0, MAX_SET_ID))
@click.argument("peers", nargs=-1)
@click.option("--secondary", multiple=True, metavar="PEER", help="A peer that is accepted and never dialled.")
@click.option("--file", type=_LIST, help="A file with more primary peers, a line for each; - for standard input.")
@click.option("--secondary-file", type=_LIST, help="The same for secondary peers.")
@node_option
@json_option
def track(
    id: int,
    peers: tuple[str, ...],
    secondary: tuple[str, ...],
    file: Path | None,
    secondary_file: Path | None,
    node: Path,
    as_json: bool,
) -> None:
    """Make PEERS the newest peer set, with an ID above those before: PEERID@tcp://HOST:PORT, or PEERID alone.

    Without a peer nobody is tracked any more. A peer that is primary and secondary is primary.
    """
    primary, others = _peers("PEERS", peers, file), _peers("--secondary", secondary, secondary_file)
    with Client.of(node) as client:
        client.tracker.track(id, primary, others)
    said = {"id": id, "primary": len(primary), "secondary": len(others.keys() - primary.keys())}
    words = f"peer set {id} is tracked: {said['primary']} primary and {said['secondary']} secondary peers"
    screen.show(said, as_json, words)


@main.command()
@click.argument("peers", nargs=-1)
@click.option("--file", type=_LIST, help="A file with more, a line for each; - for standard input.")
@node_option
@json_option
def overwrite(peers: tuple[str, ...], file: Path | None, node: Path, as_json: bool) -> None:
    """Change the addresses of tracked peers: PEERID@tcp://HOST:PORT for each."""
    wanted = _peers("PEERS", peers, file)
    addresses = {peer: address for peer, address in wanted.items() if address is not None}
    if len(addresses) < len(wanted) or not wanted:
        raise click.UsageError("allowed are one peer or more, each as PEERID@tcp://HOST:PORT")
    with Client.of(node) as client:
        done = client.tracker.overwrite(addresses)
    said = {name: [str(peer) for peer in found] for name, found in asdict(done).items()}
    screen.show(said, as_json, ", ".join(f"{len(found)} {name}" for name, found in said.items()))


@main.command()
@click.argument("id", type=click.IntRange(0, MAX_SET_ID))
@node_option
@json_option
def peer_set(id: int, node: Path, as_json: bool) -> None:
    """The peers of set ID, if it is among the newest ones."""
    with Client.of(node) as client:
        found = client.tracker.peer_set(id)
    if found is None:
        raise CommandFailed("NoSuchSet", f"peer set {id} is not among the newest ones")
    parts = (("primary", found.primary), ("secondary", found.secondary))
    screen.rows("peers", [{"peer": str(peer), "role": role} for role, listed in parts for peer in listed], as_json)


def _peers(name: str, given: tuple[str, ...], file: Path | None) -> dict[PeerId, Address | None]:
    """The peers that were given one by one, and those in a file."""
    listed: dict[PeerId, Address | None] = {}
    for where, text in ((name, "\n".join(given)), (str(file), "" if file is None else read_text(file, MAX_CALL))):
        try:
            found = read_peers(text)
        except ValueError as error:
            raise click.BadParameter(f"{where}: {error}") from None
        for peer in found.keys() & listed.keys():
            raise click.BadParameter(f"{where}: {peer} is given beside the file too")
        listed |= found
    return listed


def _short(target: Target) -> str:
    return target.short if isinstance(target, PeerId) else str(target)
