"""Serves this node's own record over HTTP: `GET /record`, public, rate limited, and nothing else.

A name in the DNS gives addresses but no keys; whoever resolved the name asks here for the signed record, and has both.
At most `_MAX_CONNECTIONS` are held, each for at most `timeout` seconds, whatever the other side does; an IP may
ask `_RATE` times a second in the long run.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from ....transport.core.buckets import TokenBuckets
from ....transport.wire.descriptors import Listener, is_full
from ..core.text_forms import RECORD_PATH, HttpAddress
from ..errors import CannotServe

_MAX_CONNECTIONS = 16
_RATE, _BURST = 1.0, 10
_LOOK_EVERY = 0.1  # seconds, while connections are held


class RecordServer:
    """A small HTTP server with threads of its own."""

    def __init__(
        self,
        listen: HttpAddress,
        text: Callable[[], str | None],
        answered: Callable[[HTTPStatus], object],
        *,
        timeout: float = 2.0,
    ) -> None:
        """Listen at once. text: the record now, None if it is not known; called on threads, like `answered`.

        timeout: seconds a connection may last. Raises CannotServe.
        """
        with contextlib.ExitStack() as opened:
            try:
                self._stopping, self._stop = map(opened.enter_context, socket.socketpair())
                self._server = _Server(listen, text, answered, timeout)
            except (OSError, OverflowError) as error:
                raise CannotServe(
                    f"cannot listen on {listen}: {error} (allowed: an address of this machine with a free port)"
                ) from error
            opened.pop_all()
        self.address = HttpAddress(listen.host, self._server.server_address[1])
        self._thread = threading.Thread(target=self._serve, name="records", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._stop.send(b"\0")  # its end alone would not be seen while a forked process has a copy
        self._thread.join()
        for end in (self._stop, self._stopping):
            end.close()
        self._server.server_close()

    def _serve(self) -> None:
        """As `serve_forever`, which wakes ten times a second whether anybody asks or not."""
        poller = select.poll()
        for each in (self._server, self._stopping):
            poller.register(each, select.POLLIN)
        while True:
            ready = {number for number, _ in poller.poll(1000 * _LOOK_EVERY if self._server.holds else None)}
            if self._stopping.fileno() in ready:
                return
            if ready:
                self._server.handle_request()
            self._server.service_actions()


class _Server(HTTPServer):
    allow_reuse_address = True
    timeout = 0  # who connected may be gone again
    request_queue_size = 64

    def __init__(
        self,
        listen: HttpAddress,
        text: Callable[[], str | None],
        answered: Callable[[HTTPStatus], object],
        timeout: float,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        self.text = text
        self.answered = answered
        self._timeout = timeout
        self._buckets = TokenBuckets(_RATE, _BURST)
        self._lock = threading.Lock()
        self._held: dict[threading.Thread, tuple[Any, float]] = {}
        self._listener: Listener | None = None
        super().__init__((listen.host, listen.port), _Handler)

    def server_bind(self) -> None:
        """Bind, without asking the DNS for our own name."""
        super(HTTPServer, self).server_bind()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def server_activate(self) -> None:
        """Listen, and keep a descriptor to turn people away with when there is no other."""
        super().server_activate()
        self._listener = Listener(self.fileno())

    def get_request(self) -> Any:
        """Accept. Who cannot be accepted for want of a descriptor is turned away, or would be announced for ever."""
        try:
            request, address = super().get_request()
        except OSError as error:
            turned_away = self._listener.turn_away() if self._listener is not None and is_full(error) else []
            for _ip in turned_away:
                self.answered(HTTPStatus.SERVICE_UNAVAILABLE)
            raise
        request.setblocking(True)  # some systems pass on that the listening socket does not block
        return request, address

    def take_token(self, ip: str) -> bool:
        """Whether this IP may ask now; then it has asked once more."""
        with self._lock:
            return self._buckets.take(ip, time.monotonic())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Handle a request on a thread of its own, if there is room."""
        thread = threading.Thread(target=self._handle, args=(request, client_address), name="record", daemon=True)
        with self._lock:
            room = len(self._held) < _MAX_CONNECTIONS
            if room:
                self._held[thread] = request, time.monotonic() + self._timeout
        if room:
            thread.start()
        else:
            self.answered(HTTPStatus.SERVICE_UNAVAILABLE)
            self.shutdown_request(request)

    @property
    def holds(self) -> bool:
        """Whether there are connections whose time may come to be over."""
        return bool(self._held)

    def service_actions(self) -> None:
        """Between requests: end the connections whose time is over."""
        self._end(time.monotonic())

    def server_close(self) -> None:
        """Also end every connection, and wait for its thread."""
        super().server_close()
        if self._listener is not None:
            self._listener.close()
        self._end(float("inf"))
        for thread in list(self._held):
            thread.join()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """The other side went away, or its time was over: nobody is left to be told."""

    def _end(self, now: float) -> None:
        with self._lock:
            over = [request for request, until in self._held.values() if until <= now]
        for request in over:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def _handle(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)
            with self._lock:
                del self._held[threading.current_thread()]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "rookery"
    sys_version = ""

    def do_GET(self) -> None:
        """The record, or why not."""
        if not self.server.take_token(self.client_address[0]):
            self._answer(HTTPStatus.TOO_MANY_REQUESTS, "asked too often")
        elif self.path != RECORD_PATH:
            self._answer(HTTPStatus.NOT_FOUND, f"there is {RECORD_PATH} here and nothing else")
        elif (text := self.server.text()) is None:
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "the record is not known yet")
        else:
            self._answer(HTTPStatus.OK, text)

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = f"{text}\n".encode("ascii")
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=us-ascii")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
        self.server.answered(status)

    def log_message(self, format: str, *args: object) -> None:
        """Counted by the engine instead."""
