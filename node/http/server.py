"""A small HTTP server: one thread, sockets that do not block, one answer for each connection.

* At most `MAX_CONNECTIONS` are held, of one IP `MAX_OF_AN_IP`. A newcomer takes the place of the oldest of its IP, or
  of the IP that holds most: who is slow loses its place, and who is quick is always served.
* A request has `READ_TIMEOUT` to come, its answer `ANSWER_TIMEOUT` to be known and `WRITE_TIMEOUT` to be taken.
* Who asks for what is being asked already waits for the same answer, so a crowd costs the node one question at a time.
"""

from __future__ import annotations

import contextlib
import select
import socket as sockets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from enum import Enum
from functools import partial
from http import HTTPStatus
from typing import Any

from msgspec import Struct, field

from ...runtime import Reply
from ...runtime.actor.waiter import poll_timeout
from ...runtime.log import Log
from ...runtime.metrics import Registry
from ...transport import Endpoint
from ...transport.wire.descriptors import Listener, is_full
from .errors import CannotListen
from .requests import END, MAX_HEAD, Refused, Request, Response, parse, words

MAX_CONNECTIONS, MAX_OF_AN_IP = 32, 16
READ_TIMEOUT, ANSWER_TIMEOUT, WRITE_TIMEOUT, LINGER = 5.0, 10.0, 10.0, 1.0
_BACKLOG = 128
_PIECE = 64 * 1024
_TOO_LONG = words(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"the headers are too long (allowed: {MAX_HEAD} bytes)")

Answer = Callable[[], Response]
Site = Callable[[Request], "Reply[Answer]"]


class _State(Enum):
    """What is waited for."""

    READING = select.POLLIN
    ASKING = 0
    WRITING = select.POLLOUT
    LINGERING = select.POLLIN | 1 << 16  # until the other side has closed, or what was written might be lost


class _Client(Struct, eq=False):
    socket: sockets.socket
    ip: str
    until: float
    state: _State = _State.READING
    read: bytearray = field(default_factory=bytearray)
    request: Request | None = None
    unsent: list[memoryview] = field(default_factory=list)


class HttpServer:
    """Serves what `site` says, from when it is made until `close`."""

    def __init__(self, listen: Endpoint, site: Site, registry: Registry, *, names: Collection[str] = ()) -> None:
        """site: asked on the server's thread, it must not block; what it answers is made into a response there too.

        registry: counts what is answered, and what is not. names: by which it may be asked, beside localhost and IPs.
        Raises CannotListen.
        """
        self._site = site
        self._names = frozenset(name.lower() for name in names)
        self._log = Log("http")
        self._responses = registry.counter("http_responses_total", "Answers over HTTP, by status.", labels=("status",))
        self._ended = registry.counter(
            "http_ended_total", "HTTP connections that ended before their answer was taken, by why.", labels=("why",)
        )
        self._clients: dict[int, _Client] = {}  # by descriptor, the oldest first
        self._asked: dict[str, list[_Client]] = {}
        self._answers: deque[tuple[str, Answer | Exception]] = deque()
        self._closing = False
        self._poller = select.poll()
        with contextlib.ExitStack() as opened:
            try:
                self._wake_read, self._wake_write = map(opened.enter_context, sockets.socketpair())
                self._socket = opened.enter_context(_listening(listen))
            except (OSError, OverflowError) as error:
                raise CannotListen(
                    f"cannot listen on {listen}: {error} (allowed: an address of this machine with a free port)"
                ) from error
            opened.pop_all()
        self._listener = Listener(self._socket.fileno())
        for end in (self._socket, self._wake_read):
            end.setblocking(False)
            self._poller.register(end, select.POLLIN)
        self._wake_write.setblocking(False)
        self.address = Endpoint(listen.host, self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="http", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and end every connection. May be called twice."""
        self._closing = True
        if self._thread.is_alive():
            self._wake()
            self._thread.join()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full, which wakes as well, or closed
            self._wake_write.send(b"\0")

    def _serve(self) -> None:
        try:
            while not self._closing:
                now = time.monotonic()
                self._expire(now)
                until = min((client.until for client in self._clients.values()), default=None)
                for number, _events in self._poller.poll(
                    poll_timeout(None if until is None else max(0.0, until - now))
                ):
                    self._handle(number)
                while self._answers:
                    self._answered(*self._answers.popleft())
        finally:
            for client in list(self._clients.values()):
                self._drop(client)
            self._listener.close()
            for end in (self._socket, self._wake_read, self._wake_write):
                end.close()

    def _handle(self, number: int) -> None:
        if number == self._socket.fileno():
            self._accept()
        elif number == self._wake_read.fileno():
            with contextlib.suppress(BlockingIOError):
                self._wake_read.recv(4096)
        elif (client := self._clients.get(number)) is not None:
            try:
                self._turn(client)
            except BlockingIOError:
                pass
            except OSError:
                self._give_up(client, "lost")

    # Connections -----------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        try:
            connection, address = self._socket.accept()
        except OSError as error:
            if is_full(error):
                self._listener.turn_away()
            return
        connection.setblocking(False)
        ip = str(address[0])
        self._make_room(ip)
        client = _Client(connection, ip, time.monotonic() + READ_TIMEOUT)
        self._clients[connection.fileno()] = client
        self._poller.register(connection, select.POLLIN)

    def _make_room(self, ip: str) -> None:
        held = Counter(client.ip for client in self._clients.values())
        if held[ip] < MAX_OF_AN_IP and len(self._clients) < MAX_CONNECTIONS:
            return
        loser = ip if held[ip] >= MAX_OF_AN_IP else held.most_common(1)[0][0]
        self._give_up(next(client for client in self._clients.values() if client.ip == loser), "place")

    def _expire(self, now: float) -> None:
        for client in [client for client in self._clients.values() if client.until <= now]:
            if client.state is _State.ASKING and client.request is not None:
                self._asked.pop(client.request.path, None)  # the next one asks anew
                self._respond(client, words(HTTPStatus.SERVICE_UNAVAILABLE, "the node does not answer in time"))
            else:
                self._give_up(client, "timeout")

    def _give_up(self, client: _Client, why: str) -> None:
        if client.state is not _State.LINGERING:
            self._ended.inc(why)
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.socket.fileno(), None) is not None:
            self._poller.unregister(client.socket)
            client.socket.close()

    def _wait_for(self, client: _Client, state: _State, seconds: float) -> None:
        client.state, client.until = state, time.monotonic() + seconds
        self._poller.modify(client.socket, state.value & 0xFFFF)

    # Requests and answers --------------------------------------------------------------------------------------------

    def _turn(self, client: _Client) -> None:
        if client.state is _State.WRITING:
            self._write(client)
        elif client.state is _State.ASKING or not (data := client.socket.recv(_PIECE)):
            self._give_up(client, "lost")  # while an answer is waited for, nothing is read: it was an error or the end
        elif client.state is _State.READING:
            client.read += data
            self._read(client)

    def _read(self, client: _Client) -> None:
        end = client.read.find(END, 0, MAX_HEAD)
        try:
            if end < 0:
                if len(client.read) >= MAX_HEAD:
                    self._respond(client, _TOO_LONG)
                return
            client.request = parse(bytes(client.read[:end]), self._names)
        except Refused as refused:
            self._respond(client, words(refused.status, str(refused)))
        else:
            self._ask(client, client.request)
        finally:
            if end >= 0:
                client.read.clear()

    def _ask(self, client: _Client, request: Request) -> None:
        self._wait_for(client, _State.ASKING, ANSWER_TIMEOUT)
        waiting = self._asked.get(request.path)
        if waiting is not None:
            waiting.append(client)
            return
        try:
            reply = self._site(request)
        except Refused as refused:
            self._respond(client, words(refused.status, str(refused)))
        except Exception as error:
            self._respond(client, self._failed(request.path, error))
        else:
            self._asked[request.path] = [client]
            reply.then(partial(self._take, request.path))

    def _take(self, path: str, reply: Reply[Answer]) -> None:
        """Called on the thread that answers."""
        self._answers.append((path, reply.result()))
        self._wake()

    def _answered(self, path: str, answer: Answer | Exception) -> None:
        waiting = self._asked.pop(path, [])
        try:
            response = self._failed(path, answer) if isinstance(answer, Exception) else answer()
        except Exception as error:
            response = self._failed(path, error)
        for client in waiting:
            if client.state is _State.ASKING and client.socket.fileno() in self._clients:
                self._respond(client, response)

    def _failed(self, path: str, error: Exception) -> Response:
        self._log.warning("a question over HTTP is not answered", path=path, error=error)
        return words(HTTPStatus.SERVICE_UNAVAILABLE, "the node cannot answer this now; its log says why")

    def _respond(self, client: _Client, response: Response) -> None:
        self._responses.inc(str(response.status.value))
        client.unsent = response.pieces(head=client.request is not None and client.request.head)
        self._wait_for(client, _State.WRITING, WRITE_TIMEOUT)

    def _write(self, client: _Client) -> None:
        piece = client.unsent[0]
        rest = piece[client.socket.send(piece) :]
        client.unsent[:1] = [rest] if rest else []
        if not client.unsent:
            client.socket.shutdown(sockets.SHUT_WR)
            self._wait_for(client, _State.LINGERING, LINGER)


def _listening(listen: Endpoint) -> sockets.socket:
    family, _, _, _, address = sockets.getaddrinfo(listen.host, listen.port, type=sockets.SOCK_STREAM)[0]
    where: Any = address
    return sockets.create_server(where, family=family, backlog=_BACKLOG)
