"""The seam below transport: routes that carry frames, with encryption and the other end's key, and nothing more.

`ZmqWire` is ZeroMQ, `SimulatedWire` the simulated network. Everything above, handshake included, is the same code.

* A *route* is one encrypted stream to somebody whose CURVE key is known. An outbound one is named by `connect` and ends
  with exactly one `route_down`, before or after `route_up`. An inbound one appears with its first frames.
* Nothing is sent on an outbound route before `route_up`.
* After `sever` nothing of the route is handed up any more, not even its `route_down`.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from ...runtime import Waiter
from ..address import Endpoint
from ..reasons import Reason

Route = bytes


class Sent(enum.Enum):
    """What became of frames. FULL: the route's queue is full, try later. GONE: there is no such route."""

    OK = "ok"
    FULL = "full"
    GONE = "gone"


class Source(Struct, frozen=True):
    """Who is at the far end of an inbound route: its CURVE public key, its IP as canonical text."""

    curve_key: bytes
    ip: str


class WireEvents(Protocol):
    """What a wire hands up, in the order in which it happens. Called only from `Wire.poll`."""

    def accept_connection(self, ip: str, curve_key: bytes) -> bool:
        """Somebody wants to start an encrypted handshake; False refuses at the lowest cost."""

    def route_up(self, route: Route) -> None:
        """The outbound route is encrypted and its far end has the key that was asked for."""

    def route_down(self, route: Route, reason: Reason) -> None:
        """The route, inbound or outbound, is gone."""

    def frames(self, route: Route, frames: Sequence[bytes], source: Source | None) -> None:
        """Frames of one message. source: of an inbound route, at least with its first message."""

    def oversize(self, route: Route, source: Source | None) -> None:
        """The far end sends a message of more frames or bytes than any honest one has; nothing of it is handed up."""

    def listening_lost(self) -> None:
        """The listening socket is gone though nobody closed the wire; nobody can connect any more."""

    def silent_connection_ended(self, ip: str | None, reason: Reason, left: int) -> None:
        """An inbound connection ended before its first message.

        reason: LOST, or by us: TIMEOUT, PENDING (too many silent ones), TOO_MANY (hardly a file descriptor left), RATE
        (its IP sent a message that was too large), FLOODING (it sent more than a first message can have).
        left: of that IP, those that are silent still.
        """


class Wire(Protocol):
    """Owned by transport's engine; every method is called on its thread."""

    def bind(self, endpoint: Endpoint) -> Endpoint:
        """Listen; the endpoint with the real port. Raises BindError."""

    def connect(self, endpoint: Endpoint, curve_key: bytes) -> Route | None:
        """Start an outbound route to a numeric endpoint.

        None while another route has that endpoint, or there is no file descriptor for it.
        """

    def send(self, route: Route, frames: Sequence[bytes]) -> Sent:
        """Queue the frames of one message. All of them go, or none."""

    def sever(self, route: Route) -> None:
        """End the route now, inbound too. What is queued may be lost."""

    def limit(self, route: Route, max_bytes: int | None) -> None:
        """Expect no larger message by this route than of so many bytes, or None: than by any other.

        Less is held then of one that never ends. A larger one that is complete is handed up all the same.
        """

    def poll(self, events: WireEvents, budget: int) -> bool:
        """Hand up what has happened, about `budget` messages at most; True if there may be more."""

    def waiter(self) -> Waiter | None:
        """What to wait on for the network's events; None if the wire announces them by a message."""

    def close(self) -> None:
        """Release everything."""
