"""Records and HTTP addresses as a configuration and a host's answer write them.

* A record is its encoding in base64 (RFC 4648, the URL's alphabet, no padding): `rookery record` prints it, and
  `http://HOST:PORT/record` answers with it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Self
from urllib.parse import urlsplit

from msgspec import Struct

from ....runtime.arguments import shortened
from ....transport.address import Endpoint
from ....transport.errors import DecodeError
from ....transport.record import MAX_RECORD_BYTES, PeerRecord

MAX_RECORD_TEXT = -(-MAX_RECORD_BYTES * 4 // 3)
MAX_ANSWER_BYTES = MAX_RECORD_TEXT + 2048
"""Bytes of an answer over HTTP, its head included."""
RECORD_PATH = "/record"
"""Where a host serves its record."""


@dataclass(frozen=True, slots=True)
class StaticRecord:
    """A signed record that the operator has. Its network and signature are checked where the network is known."""

    encoded: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read base64; `ValueError` says what is wrong. Whether it is a record, `decode` says."""
        if len(text) > MAX_RECORD_TEXT:
            raise ValueError(f"a record of {len(text)} characters; allowed are {MAX_RECORD_TEXT}")
        try:
            encoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"{shortened(text, 20)} is no record; allowed is what `rookery record` prints") from None
        return cls(encoded)

    parse_setting = parse

    @classmethod
    def of(cls, record: PeerRecord) -> Self:
        """The text form of a record."""
        return cls(record.encode())

    def decode(self, network: str) -> PeerRecord:
        """The record; `DecodeError` if it is none of this network, or not signed by its peer."""
        return PeerRecord.decode(self.encoded, network=network)

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(self.encoded).rstrip(b"=").decode()


class HttpAddress(Struct, frozen=True):
    """`http://HOST:PORT`: where records are served. Port 0 lets the system choose, where it is listened on."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `http://HOST:PORT`, IPv6 in brackets; `ValueError` says what is wrong."""
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError as error:
            raise ValueError(f"{shortened(text)}: {error!s:.80}; allowed is http://HOST:PORT") from None
        rest = parts.path.rstrip("/") or parts.query or parts.fragment or parts.username or parts.password
        if parts.scheme != "http" or not host or port is None or rest:
            raise ValueError(f"{shortened(text)} is no address of this kind; allowed is http://HOST:PORT")
        try:
            Endpoint.parse(f"tcp://{bracketed(host)}:{port}", listen=True)  # the same hosts and ports
        except ValueError as error:
            raise ValueError(f"{shortened(text)}: {error}") from None
        return cls(host, port)

    parse_setting = parse

    def __str__(self) -> str:
        return f"http://{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """A host as a URL writes it."""
    try:
        return f"[{host}]" if isinstance(ip_address(host), IPv6Address) else host
    except ValueError:
        return host


def read_text(body: bytes) -> bytes:
    """The encoding in an answer's body. Raises DecodeError if it is no base64."""
    try:
        return StaticRecord.parse(body.decode("ascii").strip()).encoded
    except ValueError as error:
        raise DecodeError(f"record: {error}") from None


def read_answer(answer: bytes) -> bytes:
    """The encoded record in an answer over HTTP. Raises DecodeError for any other answer."""
    head, separator, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].split(b" ")
    if not separator or not status[0].startswith(b"HTTP/1.") or len(status) < 2:
        raise DecodeError("the answer is not HTTP")
    if status[1] != b"200":
        raise DecodeError(f"answered with status {status[1][:10]!r} (allowed: 200)")
    return read_text(body)
