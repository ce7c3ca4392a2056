"""What a request may be, and what answers look like: pure.

A page that somebody's browser has open may send requests here too, by a name of its own that it has resolved to this
machine (DNS rebinding). Its `Host` is that name, so only known names are answered. An IP cannot be rebound.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from http import HTTPStatus
from ipaddress import ip_address

from msgspec import Struct

MAX_HEAD = 8192
"""Bytes of a request's first line and headers."""
END = b"\r\n\r\n"
_LINE = re.compile(rb"([A-Za-z]+) ([\x21-\x7e]+) HTTP/1\.[01]")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]/@\s]+)(?::[0-9]{1,5})?")
_METHODS = (b"GET", b"HEAD")


class Request(Struct, frozen=True):
    """path: as it came, without its query. head: only the headers are wanted."""

    path: str
    head: bool


class Response(Struct, frozen=True):
    """One answer."""

    status: HTTPStatus
    content_type: str
    body: bytes

    def pieces(self, *, head: bool) -> list[memoryview]:
        """As it goes out; without the body for HEAD. The body is not copied: many may be sent the same."""
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
            "X-Content-Type-Options: nosniff",
            "Connection: close",
        ]
        if self.status is HTTPStatus.METHOD_NOT_ALLOWED:
            lines.append("Allow: GET, HEAD")
        text = "\r\n".join([*lines, "", ""]).encode("ascii")
        return [memoryview(piece) for piece in ((text,) if head else (text, self.body)) if piece]


class Refused(Exception):
    """A request that is not answered; the text says what is wrong with it."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


def words(status: HTTPStatus, text: str) -> Response:
    """An answer in plain words."""
    return Response(status, "text/plain; charset=utf-8", f"{text}\n".encode())


def parse(head: bytes, names: Collection[str]) -> Request:
    """Read a request up to its empty line. names: by which this server may be asked, beside localhost and IPs.

    Raises Refused.
    """
    first, *lines = head.split(b"\r\n")
    match = _LINE.fullmatch(first)
    if match is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "the first line is not METHOD PATH HTTP/1.1")
    hosts = []
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "a header is not NAME: VALUE")
        if header[1].lower() == b"host":
            hosts.append(header[2].decode("latin-1"))
    if len(hosts) != 1:
        raise Refused(HTTPStatus.BAD_REQUEST, f"{len(hosts)} Host headers (allowed: one)")
    if not _is_known(hosts[0], names):
        raise Refused(
            HTTPStatus.FORBIDDEN, "the Host header names another machine (allowed: localhost, an IP, http.names)"
        )
    if match[1] not in _METHODS:
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "this method is not allowed (allowed: GET, HEAD)")
    return Request(match[2].decode("ascii").partition("?")[0], match[1] == b"HEAD")


def _is_known(host: str, names: Collection[str]) -> bool:
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = match[1].lower().removesuffix(".")
    if name == "localhost" or name in names:
        return True
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
