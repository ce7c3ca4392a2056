"""Fetching and serving a record over loopback, and what the other side may do to either."""

from __future__ import annotations

import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import SimpleNamespace

import pytest

from rookery.actors.discovery import CannotServe, HttpAddress, StaticRecord
from rookery.actors.discovery.parts import record_server
from rookery.actors.discovery.parts.record_client import RecordClient
from rookery.actors.discovery.parts.record_server import RecordServer
from rookery.transport import DecodeError, PeerRecord
from tests.runtime.runtime_kit import wait_until
from tests.transport.wire.few_descriptors import descriptors_left

ANYWHERE = HttpAddress("127.0.0.1", 0)


@contextmanager
def serving(text: Callable[[], str | None], timeout: float = 10) -> Iterator[tuple[RecordServer, list[HTTPStatus]]]:
    answers: list[HTTPStatus] = []
    server = RecordServer(ANYWHERE, text, answers.append, timeout=timeout)
    try:
        yield server, answers
    finally:
        server.close()


@contextmanager
def host(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A host that does `talk` with its one visitor; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            visitor, _ = listener.accept()
            with visitor:
                try:
                    talk(visitor)
                except OSError:
                    pass  # the visitor has had enough

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def gone(visitor: socket.socket) -> bool:
    """Whether the server ended the connection, within some seconds."""
    visitor.settimeout(10)
    try:
        return visitor.recv(1) == b""
    except ConnectionResetError:
        return True


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def get_if_let_in(port: int) -> int | None:
    try:
        return get(port, "/record")[0]
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return None


def test_record_that_is_served_is_the_record_that_is_fetched(known_record: PeerRecord) -> None:
    with serving(lambda: str(StaticRecord.of(known_record))) as (server, answers):
        assert RecordClient().fetch("127.0.0.1", server.address.port, 5.0) == known_record.encode()
    assert answers == [HTTPStatus.OK]


def test_record_server_has_the_record_and_nothing_else(known_record: PeerRecord) -> None:
    with serving(lambda: "text") as (server, _answers):
        assert get(server.address.port, "/record") == (200, b"text\n")
        assert get(server.address.port, "/")[0] == 404
        assert get(server.address.port, "/record?x=1")[0] == 404
        assert get(server.address.port, "/record", "POST")[0] == 501


def test_record_server_without_a_record_says_so() -> None:
    with serving(lambda: None) as (server, _answers):
        assert get(server.address.port, "/record")[0] == 503


def test_record_server_tells_who_asks_too_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_server, "_RATE", 0.001)  # else a busy machine may ask no more often than it may
    with serving(lambda: "text") as (server, answers):
        statuses = [get(server.address.port, "/record")[0] for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    assert HTTPStatus.TOO_MANY_REQUESTS in answers


def test_record_server_holds_so_many_silent_visitors_and_ends_each(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda: "text", timeout=60) as (server, answers):
        silent = [socket.create_connection(("127.0.0.1", server.address.port)) for _ in range(20)]
        try:
            wait_until(lambda: answers == [HTTPStatus.SERVICE_UNAVAILABLE] * 4)
            monkeypatch.setattr(record_server, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 61))
            for visitor in silent:
                assert gone(visitor)
        finally:
            for visitor in silent:
                visitor.close()
        monkeypatch.undo()
        wait_until(lambda: get_if_let_in(server.address.port) == 200)  # a place is free soon after its visitor is gone


def test_record_server_ends_who_talks_drop_by_drop() -> None:
    with serving(lambda: "text", timeout=0.3) as (server, _answers):
        pause = threading.Event()
        with socket.create_connection(("127.0.0.1", server.address.port)) as slow, pytest.raises(ConnectionError):
            for _ in range(100):
                slow.sendall(b"G")
                pause.wait(0.1)


def test_record_server_that_is_closed_leaves_visitors_and_threads_behind_it() -> None:
    with serving(lambda: "text") as (server, _answers):
        visitor = socket.create_connection(("127.0.0.1", server.address.port))
    with visitor:
        assert gone(visitor)


def test_record_server_serves_and_stops_without_looking_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_server, "_LOOK_EVERY", 1e6)
    with serving(lambda: "text") as (server, _answers):
        assert get(server.address.port, "/record") == (200, b"text\n")


def test_port_that_is_taken_is_an_error_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotServe, match=f"127.0.0.1:{port}.*allowed: an address of this machine"):
            RecordServer(HttpAddress("127.0.0.1", port), lambda: None, lambda _status: None)


def test_reader_for_whom_there_is_no_descriptor_is_turned_away_and_a_later_one_is_served() -> None:
    with serving(lambda: "no record") as (server, answers):
        where = (server.address.host, server.address.port)
        with socket.socket() as client:
            client.settimeout(10)
            with descriptors_left(0), pytest.raises(ConnectionResetError):  # by either
                client.connect(where)
                client.recv(1)
        wait_until(lambda: answers)  # until then it turns away whoever comes
        with pytest.raises(DecodeError):  # it is served, by the thread that has turned away before
            RecordClient().fetch(*where, 10)
        assert answers[0] is HTTPStatus.SERVICE_UNAVAILABLE


def test_port_is_free_after_the_close_though_a_forked_process_has_it() -> None:
    read, write = os.pipe()
    with serving(lambda: None) as (server, _):
        pid = os.fork()
        if pid == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
    try:
        RecordServer(server.address, lambda: None, lambda _status: None).close()
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage",
        b"HTTP/1.0 200 OK\r\n\r\n!!!",
        b"HTTP/1.0 404 Not Found\r\n\r\nAAAA",
        b"HTTP/1.0\r\n\r\nAAAA",
        b"SSH-2.0\r\n\r\nAAAA",
        b"HTTP/1.0 200 OK\r\n\r\n" + b"A" * 100_000,
        b"HTTP/1.0 200 OK\r\n" + b"A: b\r\n" * 100_000,
    ],
)
def test_wrong_answer_is_a_decode_error_and_read_within_its_bound(answer: bytes) -> None:
    def talk(visitor: socket.socket) -> None:
        visitor.recv(4096)
        visitor.sendall(answer)

    with host(talk) as port, pytest.raises(DecodeError):
        RecordClient().fetch("127.0.0.1", port, 5.0)


def test_host_that_answers_drop_by_drop_is_left_when_the_time_is_over() -> None:
    def talk(visitor: socket.socket) -> None:
        pause = threading.Event()
        while True:
            visitor.sendall(b"H")
            pause.wait(0.02)

    with host(talk) as port, pytest.raises(TimeoutError):
        RecordClient().fetch("127.0.0.1", port, 0.2)


def test_closing_ends_the_fetch_that_is_under_way_and_refuses_further_ones() -> None:
    client, asked = RecordClient(), threading.Event()

    def talk(visitor: socket.socket) -> None:
        visitor.recv(4096)
        asked.set()
        visitor.recv(1)  # until it goes away

    def close() -> None:
        asked.wait(10)
        client.close()

    closer = threading.Thread(target=close)
    with host(talk) as port:
        closer.start()
        with pytest.raises((OSError, DecodeError)):
            client.fetch("127.0.0.1", port, 30.0)
        closer.join()
        with pytest.raises(ConnectionAbortedError):
            client.fetch("127.0.0.1", port, 30.0)
