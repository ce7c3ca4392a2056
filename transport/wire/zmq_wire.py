"""ZeroMQ as a wire: one ROUTER socket that is CURVE server for its bind and CURVE client for each connect.

What libzmq does at the edges, and what follows here (each has a contract test):

* A connect with a routing id that is known, or that somebody claims, aborts the process: each has 16 random bytes.
* A disconnect and a failed connect act on every route with the same endpoint, and events name only that: an endpoint
  belongs to at most one outbound route at a time.
* Both also act on a listening socket of that address, which libzmq then closes without an error: the own address is
  never connected to, whoever advertises it.
* With reconnection off a failed connect leaves a route behind that accepts sends: every end is followed by a
  disconnect, and nothing is sent before the handshake succeeded.
* A handshake that failed is announced as refused by the far end's gate, or with the error of the socket. A reset is of
  a far end that read nothing: it has no descriptor, or died. An end in order is of one with another key, or without
  room; nothing tells these two apart, and both are AUTHENTICATION.
* A routing id is a claim, and an end is announced by a number that another socket may have by then: see
  `InboundRoutes`.
* An inbound connection has no route before its first message: `SilentConnections` ends those that never send one.
* libzmq aborts where it cannot make its own descriptors, and accepts for ever where it has none for a connection that
  waits: it begins only with enough of them, connections near the limit are ended at once, who waits is turned away.
* libzmq's thread waits for room in the monitor's queue with a lock that ending the monitor needs: the context's end
  unblocks it.
* libzmq gives data that arrived before the end after announcing the end: a route that went down is handed up once the
  socket has been read empty.
* A message is handed out whole, and a disconnect in the middle of one aborts the process: one with too many frames is
  read to its end in slices (`MessageReader`), and disconnects wait until then.
* What there is of a message that is not complete is kept, however much it is: `UnfinishedMessages` tells whose are.
* A process that this one forks has copies of every socket. What listens and what is inbound is shut for it as well, by
  our duplicates. Outbound sockets are libzmq's alone, and a duplicate of each would cost a descriptor: the copies stay
  open in it until the far end, which is told `Bye` or misses the heartbeats, ends the connection. They hold no port.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Sequence

import zmq

from ..address import Endpoint
from ..identity import Identity
from ..reasons import Reason
from . import Route, Sent, Source, WireEvents
from .descriptors import KEPT_FREE, Listener, Mark, check_free, duplicate_of, hung_up, is_full, is_one_left, limit
from .inbound_routes import InboundRoute, InboundRoutes
from .message_reader import MessageReader
from .outbound_routes import OutboundRoute, OutboundRoutes
from .silent_connections import Ended, SilentConnections
from .socket_waiter import SocketWaiter
from .unfinished_messages import UnfinishedMessages
from .zmq_sockets import MORE, NOBLOCK, Monitor, Zap, canonical, leads_to, listen, readable, router

_GONE = (zmq.EHOSTUNREACH, zmq.ENOTCONN)
_LOOK_EVERY = 16  # polls
_MOST_BUSY_POLLS = 64  # a flood of messages delays the news of an end no longer than this
_LINGER = 200  # milliseconds
_MOST_EVENTS = 1024  # of the monitor, in a poll
_LOOK_AGAIN = 0.005  # seconds, at what is suspected of having ended or of never ending


class ZmqWire:
    """The production wire. One zmq Context each, because the ZAP address is per Context."""

    def __init__(
        self,
        identity: Identity,
        *,
        max_frame: int,
        max_frames: int,
        high_water: int,
        handshake_timeout: float,
        max_silent: int,
    ) -> None:
        """max_frame: bytes of a frame, and of a message. max_frames: of one message.

        high_water: messages queued per route and direction.
        handshake_timeout: seconds until an inbound connection's first message. max_silent: connections that have sent
        none yet. Raises NoDescriptors.
        """
        check_free()
        self._context = zmq.Context()
        self._zap = Zap(self._context)
        self._router = router(
            self._context,
            identity,
            max_frame=max_frame,
            high_water=high_water,
            handshake_timeout=handshake_timeout,
        )
        self._full_at = limit() - KEPT_FREE  # the number of a connection for which there is no room
        self._bound: Endpoint | None = None
        self._listening: str | None = None  # as libzmq names it in its events
        self._listener: Listener | None = None
        self._monitor = Monitor(self._router)
        self._waiter = SocketWaiter(self._router, [self._zap.socket, self._monitor.socket])
        self._reader = MessageReader(self._router, max_frames=max_frames, max_bytes=max_frame)
        self._rest_of = self._reader.rest_of
        self._send = super(zmq.Socket, self._router).send  # less around libzmq's own send than `Socket.send`
        self._outbound = OutboundRoutes()
        self._inbound = InboundRoutes()
        self._silent = SilentConnections(timeout=handshake_timeout, limit=max_silent)
        self._unfinished = UnfinishedMessages(max_bytes=max_frame, max_frames=max_frames)
        self._taken = 0  # messages, at least
        self._polls = 0
        self._busy_polls = 0  # in a row, each with more to read afterwards
        self._ending: list[tuple[Route, Reason]] = []  # down, to be handed up once the socket is read empty

    def bind(self, endpoint: Endpoint) -> Endpoint:
        """See `Wire`."""
        self._listening = listen(self._router, endpoint)
        bound = Endpoint.parse(self._listening, listen=True)
        self._silent.watch(bound.port)
        self._bound = bound
        return bound

    def connect(self, endpoint: Endpoint, curve_key: bytes) -> Route | None:
        """See `Wire`."""
        text = str(endpoint)
        if self._outbound.is_taken(text, time.monotonic()) or not is_one_left():
            return None
        if self._bound is not None and leads_to(self._bound, endpoint):
            route = self._fresh_route()
            self._ending.append((route, Reason.AUTHENTICATION))  # who answers there is us, with another key
            return route
        outbound = OutboundRoute(self._fresh_route(), text)
        self._router.curve_server = 0
        self._router.curve_serverkey = curve_key
        self._router.setsockopt(zmq.CONNECT_ROUTING_ID, outbound.route)
        self._router.connect(text)
        self._outbound.begin(outbound)
        return outbound.route

    def _fresh_route(self) -> Route:
        """Nobody's, claims that we know of included; who claims without a word cannot have guessed it."""
        while True:
            route = os.urandom(16)
            if not (route in self._outbound.by_route or self._inbound.has_seen(route)):
                return route

    def send(self, route: Route, frames: Sequence[bytes]) -> Sent:
        """See `Wire`. Only the first part can be refused."""
        send = self._send
        try:
            send(route, MORE)
        except zmq.Again:
            return Sent.FULL
        except zmq.ZMQError as error:
            if error.errno in _GONE:
                return Sent.GONE
            raise
        for frame in frames[:-1]:
            send(frame, MORE)
        send(frames[-1], NOBLOCK)
        return Sent.OK

    def sever(self, route: Route) -> None:
        """See `Wire`."""
        outbound = self._outbound.by_route.get(route)
        if outbound is not None and self._reader.discarding:
            outbound.severed = True
        elif outbound is not None:
            self._forget_outbound(outbound)
        elif route in self._inbound.by_route:
            self._end_inbound(self._inbound.by_route[route])
        self._ending = [entry for entry in self._ending if entry[0] != route]

    def limit(self, route: Route, max_bytes: int | None) -> None:
        """See `Wire`."""
        for each in (self._inbound.by_route.get(route), self._outbound.by_route.get(route)):
            if each is not None:
                each.intake.max_bytes = max_bytes

    def poll(self, events: WireEvents, budget: int) -> bool:
        """See `Wire`. Beginnings and ends are looked for when a wait says so, and now and then without one.

        A lone message pays for each line here.
        """
        self._polls += 1
        if self._waiter.stirred or self._reader.discarding or self._polls % _LOOK_EVERY == 0:
            self._waiter.stirred = False
            self._read_monitor(events)
            self._zap.answer(events.accept_connection)
            self._unfinished.look(time.monotonic(), self._taken)
        if self._reader.discarding:
            self._discard()
            more = True
        elif self._waiter.usual_stirred:
            self._waiter.usual_stirred = False
            more = self._read_one(events)
        else:
            more = self._read_messages(events, budget)
        self._busy_polls = self._busy_polls + 1 if more else 0
        may_end = not self._reader.discarding and (not more or self._busy_polls >= _MOST_BUSY_POLLS)
        if may_end and (self._ending or self._inbound.suspects):
            self._busy_polls = 0
            more = self._hand_up_endings(events) or more
        if self._silent.connections:
            for ended in self._silent.end(self._inbound.marks, time.monotonic()):
                _hand_up_silent(events, ended)
        if self._unfinished.suspects and not self._reader.discarding:
            self._end_endless(events, is_empty=not more)
        return more or self._waiter.stirred

    def waiter(self) -> SocketWaiter:
        """Waits on the sockets; while a route's end is uncertain, briefly."""
        now, waiter = time.monotonic(), self._waiter
        self._unfinished.look(now, self._taken)
        if self._inbound.suspects or self._unfinished.suspects:
            waiter.at_most = _LOOK_AGAIN
            return waiter
        waiter.at_most = self._unfinished.next_look(now)
        until_check = self._silent.next_check(now) if self._silent.connections else None
        if until_check is not None and (waiter.at_most is None or until_check < waiter.at_most):
            waiter.at_most = until_check
        return waiter

    def close(self) -> None:
        """See `Wire`. What was sent last has `_LINGER` to leave. Sockets end for a forked process as well."""
        self._monitor.socket.close(linger=0)
        self._zap.socket.close(linger=0)
        self._router.close(linger=_LINGER)
        self._waiter.close()
        self._context.term()
        self._inbound.close()
        if self._listener is not None:
            self._listener.close()

    def _hand_up_endings(self, events: WireEvents) -> bool:
        """Whether there were any: what a disconnect does to the socket may swallow the signal of a message."""
        self._look_at_suspects()
        ending, self._ending = self._ending, []
        for route, reason in ending:
            if route in self._outbound.by_route:
                self._forget_outbound(self._outbound.by_route[route])
            events.route_down(route, reason)
        return bool(ending)

    def _end_endless(self, events: WireEvents, *, is_empty: bool) -> None:
        """is_empty: nothing was left to read, before anything was looked at."""
        in_turn = len(self._inbound.by_route) + len(self._outbound.by_route) + len(self._silent)
        for route in self._unfinished.endless(None if is_empty else self._taken - 2 * in_turn):
            events.oversize(route, None)

    # Endings ---------------------------------------------------------------------------------------------------------

    def _read_monitor(self, events: WireEvents) -> None:
        for _ in range(_MOST_EVENTS):
            announced = self._monitor.next()
            if announced is None:
                return
            event, value, endpoint = announced
            outbound = self._outbound.to(endpoint)
            if event == zmq.EVENT_ACCEPTED:
                self._silent.accepted(value, time.monotonic())
                if value >= self._full_at or not (self._listener is None or self._listener.regain()):
                    self._refuse(value, events)
            elif event == zmq.EVENT_ACCEPT_FAILED:
                self._turn_away(events)
            elif event == zmq.EVENT_LISTENING:
                with contextlib.suppress(OSError):  # no descriptor for it
                    self._listener = Listener(value)
            elif outbound is not None:
                self._outbound_event(outbound, event, value, events)
            elif event in (zmq.EVENT_CLOSED, zmq.EVENT_CLOSE_FAILED) and endpoint == self._listening:
                self._lost_listener(events)
            elif event in (zmq.EVENT_CLOSED, zmq.EVENT_CONNECTED):
                self._outbound.announced_ended(endpoint)
            elif event == zmq.EVENT_DISCONNECTED:
                self._inbound_ended(value, events)

        self._waiter.stirred = True  # there are more, and libzmq may signal them no more

    def _refuse(self, number: int, events: WireEvents) -> None:
        ended = self._silent.refuse(number, self._inbound.marks)
        if ended is not None:
            _hand_up_silent(events, ended)

    def _turn_away(self, events: WireEvents) -> None:
        for ip in [] if self._listener is None else self._listener.turn_away():
            _hand_up_silent(events, self._silent.turned_away(ip, self._inbound.marks))

    def _inbound_ended(self, number: int, events: WireEvents) -> None:
        is_known = self._inbound.announced_ended(number, time.monotonic())
        silent = self._silent.ended(number, self._inbound.marks)
        if silent is not None and not is_known:
            _hand_up_silent(events, silent)

    def _lost_listener(self, events: WireEvents) -> None:
        """libzmq has closed it. Our duplicate would keep the port open, for connections that nobody answers."""
        self._listening = self._bound = None
        self._silent.watch(0)
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        events.listening_lost()

    def _outbound_event(self, outbound: OutboundRoute, event: int, value: int, events: WireEvents) -> None:
        if event == zmq.EVENT_CONNECTED:
            outbound.connected = True
            if outbound.has_socket(value):
                self._unfinished.watch(outbound.intake)
        elif not outbound.connected and event != zmq.EVENT_CLOSED:
            pass  # of the connect before to that endpoint
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            outbound.up = True
            events.route_up(outbound.route)
        elif (reason := outbound.ends_by(event, value)) is not None:
            self._end_outbound(outbound, reason)

    def _end_outbound(self, outbound: OutboundRoute, reason: Reason) -> None:
        """It is over; forgetting it now would throw away what came before the end."""
        if not outbound.over:
            outbound.over = True
            if not outbound.severed:
                self._ending.append((outbound.route, reason))

    def _forget_outbound(self, outbound: OutboundRoute) -> None:
        self._outbound.end(outbound, time.monotonic())
        self._unfinished.forget(outbound.route)
        try:
            self._router.disconnect(outbound.endpoint)
        except zmq.ZMQError as error:
            if error.errno != errno.ENOENT:
                raise

    def _look_at_suspects(self) -> None:
        """A suspect is down if its own socket hung up, or libzmq has no route for it."""
        for inbound in self._inbound.suspected():
            if hung_up(inbound.duplicate) or self._no_route(inbound.route):
                self._end_inbound(inbound)
                self._ending.append((inbound.route, Reason.LOST))
            else:
                self._inbound.looked_at(inbound)

    def _no_route(self, route: Route) -> bool:
        """Ask libzmq by an empty message, which every dialling side ignores."""
        return self.send(route, [b""]) is Sent.GONE

    def _end_inbound(self, inbound: InboundRoute) -> None:
        self._unfinished.forget(inbound.route)
        if self._inbound.end(inbound, time.monotonic()):
            self._silent.spoke(inbound.number, inbound.mark)

    # Beginnings ------------------------------------------------------------------------------------------------------

    def _read_messages(self, events: WireEvents, budget: int) -> bool:
        for _ in range(budget):
            if not readable(self._router):
                return False
            self._read(events, self._router.recv(NOBLOCK))
            if self._reader.discarding:
                return True
        self._taken += budget
        return True

    def _read_one(self, events: WireEvents) -> bool:
        """The message that ended a wait, if one did; whether to look for more. Asking before costs as much again."""
        try:
            route: Route = self._router.recv(NOBLOCK)
        except zmq.Again:
            return False
        self._read(events, route)
        return True

    def _read(self, events: WireEvents, route: Route) -> None:
        inbound = self._inbound.by_route.get(route)
        if inbound is not None:
            inbound.proven = inbound.intake.heard = True
        elif (outbound := self._outbound.by_route.get(route)) is not None:
            outbound.intake.heard = True
        elif self._inbound.has_seen(route):
            self._rest_of(self._router.recv(NOBLOCK, False))
            return
        else:
            self._first_message(events, route)
            return
        head: zmq.Frame = self._router.recv(NOBLOCK, False)
        if head.more:
            self._hand_up(events, route, self._rest_of(head), None)
        else:
            events.frames(route, [head.bytes], None)

    def _discard(self) -> None:
        """Throw away some of what is too much. Who was severed ends after it."""
        if self._reader.discard():
            for outbound in [each for each in self._outbound.by_route.values() if each.severed]:
                self._forget_outbound(outbound)

    def _first_message(self, events: WireEvents, route: Route) -> None:
        """Ends first, so that a new user of a descriptor number is not mistaken for the old."""
        self._read_monitor(events)
        head = self._router.recv(NOBLOCK, False)
        frames = self._rest_of(head)
        try:
            key, ip = bytes.fromhex(str(head.get("User-Id"))), canonical(str(head.get("Peer-Address")))
            number = int(head.get(zmq.SRCFD))
            duplicate = duplicate_of(number)
        except (zmq.ZMQError, OSError, ValueError) as error:
            if is_full(error):
                self._refuse(number, events)
            return  # of a route that has ended already: without a descriptor it cannot be ours
        try:
            mark = Mark.of(duplicate)
        except OSError:
            duplicate.close()
            return  # likewise
        inbound = InboundRoute(route, number, duplicate, mark)
        self._inbound.begin(inbound)
        self._unfinished.watch(inbound.intake)
        self._hand_up(events, route, frames, Source(key, ip))

    def _hand_up(self, events: WireEvents, route: Route, frames: list[bytes], source: Source | None) -> None:
        if self._reader.is_too_large(frames):
            events.oversize(route, source)
            if source is not None:
                for ended in self._silent.end_all(source.ip, self._inbound.marks):
                    _hand_up_silent(events, ended)
        else:
            events.frames(route, frames, source)


def _hand_up_silent(events: WireEvents, ended: Ended) -> None:
    ip = None if ended.ip is None else canonical(ended.ip)
    events.silent_connection_ended(ip, ended.reason, ended.left)
