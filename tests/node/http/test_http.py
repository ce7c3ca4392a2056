"""A node's pages over HTTP, asked by plain sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rookery.config import load
from rookery.node import CannotStart, Node, new
from rookery.node.http import CannotListen, HttpServer
from rookery.node.http.requests import MAX_HEAD, Request, Response
from rookery.node.http.server import MAX_CONNECTIONS, MAX_OF_AN_IP, Answer
from rookery.runtime import Reply
from rookery.runtime.metrics import Registry
from rookery.transport import Endpoint

YAML = "tracker: {source: static}\nruntime: %s\nhttp: {listen: 'tcp://127.0.0.1:0', names: [node.example.org]}\n"
BIG = bytes(32 * 2**20)
LOOPBACK = Endpoint("127.0.0.1", 0)


@pytest.fixture(scope="module", params=["loop", "threads"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("http") / "node"
    new.make_node(folder, YAML % request.param)
    with Node(load(folder)) as node:
        assert node.http is not None
        yield node.http.address.port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=20)


def ask(port: int, request: bytes) -> tuple[int, str, bytes]:
    """Status, headers and body of the one answer."""
    with connect(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(request)
        data = b""
        while piece := connection.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body


def get(port: int, path: str, host: str = "localhost", method: str = "GET") -> tuple[int, str, bytes]:
    return ask(port, f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))


def test_metrics_are_what_prometheus_reads(port: int) -> None:
    status, head, body = get(port, "/metrics")
    names = {family.name for family in text_string_to_metric_families(body.decode())}
    assert status == 200
    assert "Content-Type: text/plain; version=0.0.4" in head
    assert {"rookery_build_info", "rookery_runtime_inbox_depth", "rookery_transport_listening"} <= names


def test_node_alone_by_choice_is_healthy_and_ready(port: int) -> None:
    assert get(port, "/healthz")[0] == 200
    status, _, body = get(port, "/readyz")
    assert status == 200
    assert json.loads(body) == {"ready": True, "listening": True, "joined": True, "engines": True, "stalled": []}


def test_pages_are_json_of_what_the_control_socket_answers(port: int) -> None:
    assert json.loads(get(port, "/v1/status?x=1")[2])["source"] == "static"
    assert json.loads(get(port, "/v1/mailboxes")[2])["control"].keys() == {"depth", "oldest_seconds"}
    for path in ("/v1/connections", "/v1/members", "/v1/peers"):
        assert (get(port, path)[0], json.loads(get(port, path)[2])) == (200, [])


def test_every_answer_forbids_scripts_sniffing_and_keeping_and_allows_no_other_origin(port: int) -> None:
    for path in ("/healthz", "/nothing"):
        head = get(port, path)[1]
        assert "Content-Security-Policy: default-src 'none'" in head
        assert "X-Content-Type-Options: nosniff" in head
        assert "Cache-Control: no-store" in head
        assert "Access-Control" not in head


def test_head_is_answered_without_body(port: int) -> None:
    status, head, body = get(port, "/healthz", method="HEAD")
    assert (status, body) == (200, b"")
    assert f"Content-Length: {len(get(port, '/healthz')[2])}" in head


@pytest.mark.parametrize(
    "host", ["localhost:80", "127.0.0.1", "[::1]:7090", "10.0.0.1", "Node.Example.org:1", "localhost."]
)
def test_host_that_is_known_is_answered(port: int, host: str) -> None:
    assert get(port, "/healthz", host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "a@localhost"]
)
def test_host_of_another_name_is_refused(port: int, host: str) -> None:
    status, _, body = get(port, "/v1/status", host)
    assert status == 403
    assert b"allowed: localhost, an IP, http.names" in body


@pytest.mark.parametrize(
    "path", ["/../../etc/passwd", "/%2e%2e/key", "/v1/status/", "//healthz", "*", "http://localhost/"]
)
def test_path_that_there_is_not_is_not_found(port: int, path: str) -> None:
    status, _, body = get(port, path)
    assert status == 404
    assert path.encode() not in body.split(b"(")[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "DELETE", "get"])
def test_other_method_is_not_allowed(port: int, method: str) -> None:
    status, head, _ = get(port, "/metrics", method=method)
    assert status == 405
    assert "Allow: GET, HEAD" in head


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\x16\x03\x01\x02\r\n\r\n", 400),
        (b"GET /healthz\r\n\r\n", 400),
        (b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\nHost: localhost\n\r\n\r\n", 400),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * MAX_HEAD, 431),
        (b"x" * 100_000, 431),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"\0garbage\r\n\r\n" * 1000, 200),
    ],
)
def test_request_that_is_none_is_refused_and_what_follows_one_is_ignored(
    port: int, request_: bytes, status: int
) -> None:
    assert ask(port, request_)[0] == status
    assert get(port, "/healthz")[0] == 200


def test_crowd_that_never_ends_its_headers_keeps_nobody_out(port: int) -> None:
    with contextlib.ExitStack() as crowd:
        for _ in range(200):
            slow = crowd.enter_context(connect(port))
            with contextlib.suppress(ConnectionError):
                slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert get(port, "/healthz")[0] == 200


def big_site(request: Request) -> Reply[Answer]:
    body = b"" if request.path == "/small" else BIG
    return Reply.of(lambda: Response(HTTPStatus.OK, "text/plain", body))


def test_readers_that_take_nothing_keep_nobody_out_and_hold_no_more_places_than_there_are() -> None:
    counted = Registry()
    with contextlib.closing(HttpServer(LOOPBACK, big_site, counted)) as server, contextlib.ExitStack() as crowd:
        for _ in range(MAX_OF_AN_IP + 4):
            slow = crowd.enter_context(connect(server.address.port))
            slow.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert slow.recv(1)
        assert get(server.address.port, "/small")[0] == 200
        assert len(server._clients) <= MAX_OF_AN_IP < MAX_CONNECTIONS
    assert counted.value("http_ended_total", "place") == 5
    assert counted.value("http_responses_total", "200") == MAX_OF_AN_IP + 5


def test_crowd_that_asks_for_one_page_costs_the_node_one_question() -> None:
    asked: list[Reply[Answer]] = []

    def site(_request: Request) -> Reply[Answer]:
        asked.append(Reply())
        return asked[-1]

    with contextlib.closing(HttpServer(LOOPBACK, site, Registry())) as server, contextlib.ExitStack() as crowd:
        clients = [crowd.enter_context(connect(server.address.port)) for _ in range(8)]
        for each in clients:
            each.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert get(server.address.port, "/x", "evil.example")[0] == 403  # by now those before were read
        asked[0].set(lambda: Response(HTTPStatus.OK, "text/plain", b"there"))
        for each in clients:
            assert each.makefile("rb").read().endswith(b"there")
    assert len(asked) == 1


def test_question_that_fails_is_answered_with_503(caplog: pytest.LogCaptureFixture) -> None:
    def site(_request: Request) -> Reply[Answer]:
        return Reply.failed(ValueError("secret"))

    with contextlib.closing(HttpServer(LOOPBACK, site, Registry())) as server:
        status, _, body = get(server.address.port, "/x")
    assert (status, b"secret" in body) == (503, False)
    assert "a question over HTTP is not answered" in caplog.text


def test_port_in_use_is_refused_by_the_name_of_its_key(port: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(CannotListen, match="allowed: an address of this machine with a free port"):
        HttpServer(Endpoint("127.0.0.1", port), big_site, Registry())
    folder = tmp_path_factory.mktemp("taken") / "node"
    new.make_node(folder, f"tracker: {{source: static}}\nhttp: {{listen: 'tcp://127.0.0.1:{port}'}}\n")
    with pytest.raises(CannotStart, match=r"^http\.listen: cannot listen on "):
        Node(load(folder)).start()


@pytest.mark.parametrize("yaml", ["", "tracker: {admission: private, source: static}\n"])
def test_node_serves_nothing_unless_asked(yaml: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("quiet") / "node"
    new.make_node(folder, yaml)
    with Node(load(folder)) as node:
        assert node.http is None


@pytest.mark.parametrize("limit", ["READ_TIMEOUT", "WRITE_TIMEOUT", "LINGER"])
def test_connection_that_does_not_go_on_is_ended(limit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"rookery.node.http.server.{limit}", 0.05)
    path, said = ("big", "\r\n\r\n") if limit == "WRITE_TIMEOUT" else ("small", "\r\n\r\n" * (limit == "LINGER"))
    counted = Registry()
    with contextlib.closing(HttpServer(LOOPBACK, big_site, counted)) as server, connect(server.address.port) as slow:
        slow.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost{said}".encode())
        assert bool(slow.recv(1)) is (limit != "READ_TIMEOUT")
        deadline = time.monotonic() + 20
        while server._clients:
            assert time.monotonic() < deadline
    assert counted.value("http_ended_total", "timeout") == (limit != "LINGER")
