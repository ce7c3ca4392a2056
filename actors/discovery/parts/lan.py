"""Peers of the local network, by mDNS: each node publishes its signed record in the TXT of a service.

* The service is `_rookery._tcp.local.`, an instance named by the peer, and so is its host: a label of the DNS holds 63
  bytes (RFC 1035 section 2.3.4), and names that a system has may be longer, or no label at all.
* The record is cut into values "0", "1", ... of at most 250 bytes, because a TXT string holds 255.
* A record whose address only this machine can dial is published on the loopback interface alone.
* mDNS is anybody's word. A value that is no record of ours is dropped and counted by the engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from ....transport.record import MAX_RECORD_BYTES, PeerRecord
from ..errors import NoZeroconf
from .sources import LookupResult

SERVICE = "_rookery._tcp.local."
_PIECE = 250  # bytes of a TXT value; its key and the sign between them take the rest
_PIECES = -(-MAX_RECORD_BYTES // _PIECE)
_LABEL = 48  # digits of a peer's id
_QUERY_TIMEOUT = 2000  # milliseconds


def packages() -> tuple[Any, Any]:
    """zeroconf and ifaddr, which the extra `lan` brings. Raises NoZeroconf."""
    try:
        import ifaddr
        import zeroconf
    except ImportError as error:
        raise NoZeroconf("discovery on the LAN needs the package zeroconf: pip install 'rookery[lan]'") from error
    return zeroconf, ifaddr


class Lan:
    """mDNS on some interfaces of this machine. Its lookups publish; it hears all the while."""

    name = "lan"

    def __init__(self, interfaces: Sequence[str] = ()) -> None:
        """interfaces: names or IPv4 addresses; none means every one. Raises NoZeroconf without that package."""
        self._zeroconf, ifaddr = packages()
        self._adapters: Any = ifaddr.get_adapters
        self._interfaces = tuple(interfaces)
        self._heard: Callable[[bytes], object] = lambda _encoded: None
        self._lock = threading.Lock()
        self._closed = False
        self._mdns: Any = None
        self._service: Any = None
        self._published = b""

    def listen(self, heard: Callable[[bytes], object]) -> None:
        """See `Source`."""
        self._heard = heard

    def lookup(self, own: PeerRecord) -> LookupResult:
        """See `Source`: begin, if not begun, and publish the record if it is another one now."""
        addresses = self._addresses()
        with self._lock:
            if self._closed:
                return LookupResult()
            if self._mdns is None:
                self._begin(addresses)
        if own.address is None or not any(own.may_be_told(address) for address in addresses):
            return LookupResult(failures=("this node has no address that others on these interfaces could dial",))
        if own.encode() != self._published:
            self._publish(own)
        return LookupResult()

    def close(self) -> None:
        """See `Source`. Withdraws what was published."""
        with self._lock:
            self._closed = True
            if self._mdns is not None:
                self._mdns.close()

    def _begin(self, addresses: Sequence[str]) -> None:
        zeroconf = self._zeroconf
        self._mdns = zeroconf.Zeroconf(interfaces=list(addresses), ip_version=zeroconf.IPVersion.V4Only)
        zeroconf.ServiceBrowser(self._mdns, SERVICE, handlers=[self._on_service])

    def _publish(self, own: PeerRecord) -> None:
        assert own.address is not None
        service = service_of(self._zeroconf, own)
        if self._service is None:
            self._mdns.register_service(service, allow_name_change=False)
        else:
            self._mdns.update_service(service)
        self._service, self._published = service, own.encode()

    def _on_service(self, zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        """On the browser's own thread, which an exception would end: what zeroconf makes of an odd name is caught."""
        if state_change is self._zeroconf.ServiceStateChange.Removed or self._closed:
            return
        try:
            info = zeroconf.get_service_info(service_type, name, _QUERY_TIMEOUT)
            encoded = None if info is None else joined(info.properties)
        except Exception:  # a name of anybody's choice, such as one too long
            encoded = b""  # which is no record, and counted as what it is
        if encoded is not None:
            self._heard(encoded)

    def _addresses(self) -> list[str]:
        """The IPv4 addresses to speak from. OSError if an interface is not there, or there is none."""
        found: dict[str, list[str]] = {}
        for adapter in self._adapters():
            for ip in adapter.ips:
                if ip.is_IPv4:
                    found.setdefault(adapter.name, []).append(ip.ip)
        every = [ip for ips in found.values() for ip in ips]
        if not self._interfaces:
            every = [ip for ip in every if not ip_address(ip).is_loopback] or every
        else:
            every = [ip for named in self._interfaces for ip in found.get(named, [named] if named in every else [])]
        if not every:
            have = ", ".join(sorted(found)) or "none"
            raise OSError(f"no interface {', '.join(self._interfaces) or 'with IPv4'} (there are: {have})")
        return every


def service_of(zeroconf: Any, own: PeerRecord) -> Any:
    """The mDNS service that carries a record with an address. zeroconf: the module."""
    assert own.address is not None
    endpoint, name = own.address.endpoint, own.peer.hex()[:_LABEL]
    return zeroconf.ServiceInfo(
        SERVICE,
        f"{name}.{SERVICE}",
        port=endpoint.port,
        properties=pieces(own.encode()),
        server=f"{name}.local.",
        parsed_addresses=[] if endpoint.ip is None else [str(endpoint.ip)],
    )


def pieces(encoded: bytes) -> dict[str, bytes]:
    """A record as TXT values."""
    cuts = range(0, len(encoded), _PIECE)
    return {str(number): encoded[cut : cut + _PIECE] for number, cut in enumerate(cuts)}


def joined(properties: Mapping[bytes, bytes | None]) -> bytes:
    """The bytes of TXT values; what they are is not known yet."""
    values = (properties.get(str(number).encode()) for number in range(_PIECES))
    return b"".join(value for value in values if value)
