"""What the tests of the address book share."""

from __future__ import annotations

from rookery.actors.tracker.address_book.storage import PeerEntry
from rookery.testing import NETWORK, Peers
from rookery.transport.address import Address
from rookery.transport.identity import PeerId

KNOWN = Peers()
WALL = 1_800_000_000.0  # some unix seconds

__all__ = ["KNOWN", "NETWORK", "WALL", "entry", "peer"]


def peer(name: str) -> PeerId:
    return KNOWN.identity(name).peer


def entry(name: str, port: int = 7000, **fields: object) -> PeerEntry:
    """An entry with every field set, unless told otherwise."""
    values: dict[str, object] = {
        "address": Address.parse(f"tcp://10.0.0.1:{port}"),
        "signed": KNOWN.record(name, f"tcp://10.0.0.1:{port}"),
        "source": peer("who named it"),
        "seen_at": WALL - 60.0,
        "failed_at": WALL - 120.0,
        "missed_at": WALL - 120.0,
        "delay": 4.3,
        "reservable_at": WALL + 1.0,
        "retry_at": WALL + 2.0,
        "rest_until": WALL + 30.0,
        "saved_at": WALL,
    }
    return PeerEntry(peer(name), **{**values, **fields})  # type: ignore[arg-type]
