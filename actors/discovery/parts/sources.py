"""Where peers are looked for. What a lookup finds is only what somebody says: the tracker checks each signature."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterable
from typing import Protocol

from msgspec import Struct

from ....transport.errors import DecodeError
from ....transport.record import PeerRecord
from ..core.text_forms import HttpAddress, StaticRecord
from .record_client import RecordClient

MAX_FOUND = 256  # records of one lookup


class LookupResult(Struct, frozen=True):
    """What a lookup gave: encoded records, and what was tried and gave none, by why."""

    records: tuple[bytes, ...] = ()
    failures: tuple[str, ...] = ()


class Source(Protocol):
    """A place to look for peers. `lookup` is called on a thread of the source's own, and blocks it."""

    name: str

    def listen(self, heard: Callable[[bytes], object]) -> None:
        """Called once, before the first lookup: tell `heard` the encoded records that come between lookups."""

    def lookup(self, own: PeerRecord) -> LookupResult:
        """What can be found now; own: this node's record, for a source that publishes it. OSError if it cannot work."""

    def close(self) -> None:
        """No lookup follows, and one that is under way ends soon. Must not take long."""


class Static:
    """The records of the configuration."""

    name = "static"

    def __init__(self, records: Iterable[StaticRecord]) -> None:
        self._result = LookupResult(tuple(record.encoded for record in records))

    def listen(self, heard: Callable[[bytes], object]) -> None:
        """See `Source`. There is nothing to hear."""

    def lookup(self, own: PeerRecord) -> LookupResult:
        """See `Source`."""
        return self._result

    def close(self) -> None:
        """See `Source`."""


class Dns:
    """A name that stands for many hosts, as a headless service of Kubernetes; each serves its record over HTTP."""

    def __init__(
        self,
        address: HttpAddress,
        *,
        max_hosts: int,
        fetch_timeout: float,
        rng: random.Random,
    ) -> None:
        """max_hosts: asked in a lookup. fetch_timeout: seconds for each."""
        self.name = f"dns {address}"
        self._address = address
        self._max_hosts, self._timeout = max_hosts, fetch_timeout
        self._rng = rng
        self._client = RecordClient()
        self._closed = False

    def listen(self, heard: Callable[[bytes], object]) -> None:
        """See `Source`. There is nothing to hear."""

    def lookup(self, own: PeerRecord) -> LookupResult:
        """See `Source`. A name that has no hosts yet is an empty result; OSError if the DNS does not answer."""
        hosts = addresses_of(self._address.host, self._address.port)
        records: list[bytes] = []
        failures: list[str] = []
        for host in self._rng.sample(hosts, min(len(hosts), self._max_hosts)):
            if self._closed:
                break
            try:
                records.append(self._client.fetch(host, self._address.port, self._timeout))
            except (OSError, DecodeError) as error:
                failures.append(f"{host}: {error}")
        return LookupResult(tuple(records), tuple(failures))

    def close(self) -> None:
        """See `Source`. A lookup that is under way ends soon."""
        self._closed = True
        self._client.close()


def addresses_of(name: str, port: int) -> list[str]:
    """The IPs of a name, sorted, each once; none if the name has none or is not there yet. OSError if nobody knows."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        if error.errno in _NO_HOSTS:
            return []
        raise
    return sorted({str(entry[4][0]) for entry in found})


_NO_HOSTS = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
