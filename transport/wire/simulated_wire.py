"""The simulated network as a wire: the same contract as ZeroMQ, in virtual time.

A stream keeps its order and loses nothing while it lives; what a partition holds back goes on when it is healed. What
waits for the node's uplink is queued here as well, so that a slow line fills the route's queue. A node that crashes
takes its streams with it, as the operating system would: the other ends learn of it if they can be reached.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

from msgspec import Struct, field

from ...runtime import Simulation, Waiter
from ..address import Endpoint
from ..errors import BindError
from ..identity import Identity
from ..reasons import Reason
from . import Route, Sent, Source, WireEvents

Event = Callable[[WireEvents], object]
FIRST_PORT = 20_000


class _Stream(Struct):
    """One end of a stream. peer: the other end, None until it is connected. held: what a partition keeps back.

    leaving: messages that wait for the node's uplink.
    """

    wire: SimulatedWire
    route: Route
    endpoint: str | None
    peer: _Stream | None = None
    up: bool = False
    over: bool = False
    leaving: int = 0
    held: deque[tuple[int, Callable[[], object]]] = field(default_factory=deque)

    def left(self) -> None:
        """One of those that wait for the uplink is on its way."""
        self.leaving -= 1


class SimulatedInternet:
    """Who listens where in one simulated world. Wires of one world share it."""

    def __init__(self, world: Simulation) -> None:
        """One per `Simulation`."""
        self.world = world
        self.listeners: dict[str, SimulatedWire] = {}
        self.wires: list[SimulatedWire] = []
        self.routes = count(1)
        world.network.on_change(self._resume)
        world.network.on_crash(self._crashed)

    def _resume(self) -> None:
        for wire in list(self.wires):
            wire.resume()

    def _crashed(self, node: str) -> None:
        for wire in [wire for wire in self.wires if wire.node == node]:
            wire.close()


class SimulatedWire:
    """One node's wire. `announce` is called when `poll` has something to hand up."""

    def __init__(
        self,
        internet: SimulatedInternet,
        identity: Identity,
        *,
        node: str,
        ip: str,
        announce: Callable[[], object],
        high_water: int = 1000,
        ports: int = FIRST_PORT,
    ) -> None:
        """node: its name in the simulation. ip: where its connections come from. high_water: messages per stream.

        ports: where port 0 begins to look for a free one.
        """
        self.node = node
        self.ip = ip
        self.identity = identity
        self._internet = internet
        self._network = internet.world.network
        self._announce = announce
        self._high_water = high_water
        self._ports = ports
        self._streams: dict[Route, _Stream] = {}
        self._endpoints: set[str] = set()
        self._listening: str | None = None
        self._events: deque[tuple[_Stream | None, Event]] = deque()
        internet.wires.append(self)

    def bind(self, endpoint: Endpoint) -> Endpoint:
        """See `Wire`. Any host means this node's `ip`; port 0 takes the next free one."""
        taken = self._internet.listeners
        port = endpoint.port or next(p for p in count(self._ports) if f"tcp://{self.ip}:{p}" not in taken)
        bound = Endpoint(self.ip, port)
        if str(bound) in self._internet.listeners:
            raise BindError(f"cannot listen on {bound}: address already in use")
        self._listening = str(bound)
        self._internet.listeners[self._listening] = self
        return bound

    def connect(self, endpoint: Endpoint, curve_key: bytes) -> Route | None:
        """See `Wire`."""
        text = str(endpoint)
        if text in self._endpoints:
            return None
        stream = self._open(text)
        target = self._internet.listeners.get(text)
        if target is None:
            self._internet.world.call_after(
                self._network.link(self.node, text).latency, lambda: self.fail(stream, Reason.UNREACHABLE)
            )
        else:
            # A connect is not a stream yet: what a partition stops is lost, and the dial times out.
            self._network.carry(self.node, target.node, 100, lambda: target.accept(stream, curve_key))
        return stream.route

    def accept(self, dialler: _Stream, curve_key: bytes) -> None:
        """A connect of another wire has arrived: the encrypted handshake, and ZAP."""
        if dialler.over:
            return
        if self._listening is None or self.identity.curve_public != curve_key:
            self._answer(dialler, lambda: dialler.wire.fail(dialler, Reason.AUTHENTICATION))
            return

        def asked(events: WireEvents) -> None:
            if events.accept_connection(dialler.wire.ip, dialler.wire.identity.curve_public):
                stream = self._open(None)
                stream.peer, dialler.peer, stream.up = dialler, stream, True
                self._answer(dialler, lambda: dialler.wire.connected(dialler))
            else:
                self._answer(dialler, lambda: dialler.wire.fail(dialler, Reason.AUTHENTICATION))

        self._happen(None, asked)

    def send(self, route: Route, frames: Sequence[bytes]) -> Sent:
        """See `Wire`."""
        stream = self._streams.get(route)
        if stream is None or stream.peer is None:
            return Sent.GONE
        if len(stream.held) + stream.leaving >= self._high_water:
            return Sent.FULL
        peer, copied = stream.peer, [bytes(frame) for frame in frames]
        self._internet.world.absorb(sum(map(len, copied)))
        self._stream_out(stream, sum(map(len, copied)), lambda: peer.wire.arrive(peer, copied))
        return Sent.OK

    def sever(self, route: Route) -> None:
        """See `Wire`. The other end learns of it after what was sent before."""
        stream = self._streams.get(route)
        if stream is None:
            return
        peer = stream.peer
        if peer is not None:
            self._stream_out(stream, 40, lambda: peer.wire.fail(peer, Reason.LOST))
        self._forget(stream)

    def limit(self, route: Route, max_bytes: int | None) -> None:
        """See `Wire`. Messages come whole here."""

    def poll(self, events: WireEvents, budget: int) -> bool:
        """See `Wire`."""
        for _ in range(budget):
            if not self._events:
                return False
            stream, event = self._events.popleft()
            if stream is None or not stream.over:
                event(events)
        return bool(self._events)

    def waiter(self) -> Waiter | None:
        """None: `announce` says when there is something."""
        return None

    def close(self) -> None:
        """See `Wire`; also what a crash does."""
        for route in list(self._streams):
            self.sever(route)
        if self._listening is not None:
            self._internet.listeners.pop(self._listening, None)
            self._listening = None
        if self in self._internet.wires:
            self._internet.wires.remove(self)

    def resume(self) -> None:
        """The network changed: send what was held back."""
        for stream in list(self._streams.values()):
            self._flush(stream)

    # One end of a stream ---------------------------------------------------------------------------------------------

    def _open(self, endpoint: str | None) -> _Stream:
        stream = _Stream(self, b"route %d" % next(self._internet.routes), endpoint)
        self._streams[stream.route] = stream
        if endpoint is not None:
            self._endpoints.add(endpoint)
        return stream

    def connected(self, stream: _Stream) -> None:
        """The far end let our connect in."""
        if not stream.over:
            stream.up = True
            self._happen(stream, lambda events: events.route_up(stream.route))

    def fail(self, stream: _Stream, reason: Reason) -> None:
        """The stream is over, from the far end or because there is none."""

        def down(events: WireEvents) -> None:
            self._forget(stream)
            events.route_down(stream.route, reason)

        if not stream.over:
            self._happen(stream, down)

    def arrive(self, stream: _Stream, frames: list[bytes]) -> None:
        """A message from the far end."""
        if stream.over or stream.peer is None:
            return
        inbound = stream.endpoint is None
        source = Source(stream.peer.wire.identity.curve_public, stream.peer.wire.ip) if inbound else None
        self._happen(stream, lambda events: events.frames(stream.route, frames, source))

    def _forget(self, stream: _Stream) -> None:
        stream.over = True
        self._streams.pop(stream.route, None)
        if stream.endpoint is not None:
            self._endpoints.discard(stream.endpoint)

    def _happen(self, stream: _Stream | None, event: Event) -> None:
        self._events.append((stream, event))
        self._announce()

    # The network -----------------------------------------------------------------------------------------------------

    def _stream_out(self, stream: _Stream, size: int, deliver: Callable[[], object]) -> None:
        stream.held.append((size, deliver))
        self._flush(stream)

    def _flush(self, stream: _Stream) -> None:
        peer = stream.peer
        while peer is not None and stream.held:
            size, deliver = stream.held[0]
            stream.leaving += 1
            if not self._network.carry(self.node, peer.wire.node, size, deliver, stream.left):
                stream.leaving -= 1
                return
            stream.held.popleft()

    def _answer(self, dialler: _Stream, deliver: Callable[[], object]) -> None:
        self._network.carry(self.node, dialler.wire.node, 100, deliver)
