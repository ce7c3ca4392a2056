"""What can be configured of transport."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..runtime.settings import MILLISECOND, Bytes, Problem, Seconds, Settings, option
from .address import Address, Endpoint
from .core.codec import MAX_BATCH_BYTES, MAX_PAYLOAD_BYTES
from .record import MAX_NETWORK_NAME, check_network


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Transport's settings. Peers of one network agree on `network` and `network_key`; the rest is each node's own."""

    network: str = option("default", f"Name of the network, 1 to {MAX_NETWORK_NAME} printable ASCII characters.")
    network_key: str | None = option(
        None, "A secret that every node of the network holds, 64 hex digits; without it a peer is refused.", secret=True
    )
    listen: Endpoint = option(
        Endpoint("127.0.0.1", 0), "Where to listen: tcp://HOST:PORT. Port 0 takes a free one, 0.0.0.0 every interface."
    )
    advertise: Address | None = option(
        None, "What other nodes are told to dial: tcp://HOST:PORT. By default the address that `listen` got."
    )
    conceal: bool = option(
        False, "Put no address into this node's record: only who was given it by the operator can dial the node."
    )
    allow_private_ips: bool = option(True, "Dial addresses that cannot be reached from the whole internet.")

    max_connections: int = option(100, "Hard total of connections, handshakes included.", minimum=1)
    reserved_outbound: int | None = option(
        None, "How many of them only our own dials may use. By default a third.", minimum=0
    )
    max_per_ip: int = option(
        100, "Connections with one IP; of IPv6 a /64 is one, here and in all that follows.", minimum=1
    )
    max_inbound_share_per_ip: float = option(
        0.25,
        "While more than half of the inbound slots are taken: the share of them that one IP may have, at least one. Of "
        "an IP that had more before, one connection is closed for each that opens. A public subnet has twice the share "
        "while more than three quarters are taken. Of packet links too, while others want them. 1 where many nodes "
        "share an IP, as on one machine.",
        above=0.0,
        maximum=1.0,
    )
    max_per_subnet: int = option(100, "Connections with one subnet: /24 of IPv4, /48 of IPv6.", minimum=1)
    max_packet_links: int = option(
        256, "Packet links kept; the least recently used is closed, of an IP with too many first.", minimum=1
    )

    handshakes_per_ip: float = option(16.0, "Inbound handshakes per second from one IP.", minimum=0.001)
    handshakes_per_subnet: float = option(128.0, "Inbound handshakes per second from one subnet.", minimum=0.001)
    handshake_burst: int = option(64, "How many of those may come at once.", minimum=1)
    ip_cooldown: Seconds = option(
        30.0,
        "How long handshakes from an IP are refused after a message from there that was larger than any may be.",
        minimum=0.0,
    )
    max_pending_handshakes: int = option(512, "Inbound handshakes that have not said who they are.", minimum=1)
    handshake_timeout: Seconds = option(
        5.0,
        "Longest inbound handshake; a slower one is closed.",
        minimum=MILLISECOND,
        maximum=24 * 86_400,  # libzmq counts milliseconds in a C int
    )
    dial_timeout: Seconds = option(15.0, "Longest dial: name lookup, connect and handshake.", minimum=MILLISECOND)
    verdict_timeout: Seconds = option(
        5.0, "Longest wait for the gatekeeper; then the answer is no.", minimum=MILLISECOND
    )

    heartbeat_interval: Seconds = option(
        2.0, "A link that was silent this long is asked for a sign of life.", minimum=MILLISECOND
    )
    heartbeat_timeout: Seconds = option(8.0, "A link that was silent this long is dead.", minimum=MILLISECOND)
    heartbeat_rate: float = option(
        2000.0, "Heartbeats per second taken from one peer; more are dropped and counted.", minimum=0.001
    )
    heartbeat_burst: int = option(2000, "How many of those may come at once.", minimum=1)
    close_grace: Seconds = option(0.1, "Time for the last words to leave before a link is shut.", minimum=0.0)

    max_message: Bytes = option(
        1024 * 1024,
        "Largest message on a channel; a larger one is dropped and counted.",
        minimum=1024,
        maximum=MAX_PAYLOAD_BYTES,
    )
    backlog_messages: int = option(
        16_384, "Messages queued for one peer, of each priority; more are dropped and counted.", minimum=1
    )
    backlog_bytes: Bytes = option(
        64 * 1024 * 1024, "Bytes queued for one peer, of each priority; more are dropped and counted.", minimum=1024
    )
    high_water: int = option(
        64,
        "Batches queued in ZeroMQ for one peer and direction.",
        minimum=1,
        maximum=2**31 - 2,  # libzmq adds 1 to this C int
    )
    packet_rate: float = option(
        500.0, "Packets per second taken from one peer; more are dropped and counted.", minimum=0.001
    )
    packet_burst: int = option(1000, "How many of those may come at once.", minimum=1)
    flood_drops: int = option(
        1000, "Messages, packets and heartbeats over quota per 10 s after which a peer is closed.", minimum=1
    )

    def check(self) -> Iterable[Problem]:
        """Rules between fields."""
        try:
            check_network(self.network)
        except ValueError as error:
            yield Problem(("network",), str(error))
        if self.network_key is not None and not _is_key(self.network_key):
            yield Problem(("network_key",), "is not 64 hex digits", "64 hex digits")
        if self.conceal and self.advertise is not None:
            yield Problem(("conceal",), "contradicts advertise, which is for everybody", "one of them")
        if self.reserved_outbound is not None and self.reserved_outbound > self.max_connections:
            yield Problem(
                ("reserved_outbound",), f"{self.reserved_outbound} is too large", f"at most {self.max_connections}"
            )
        if self.heartbeat_timeout <= self.heartbeat_interval:
            yield Problem(
                ("heartbeat_timeout",),
                f"{self.heartbeat_timeout} s is too short",
                f"above heartbeat_interval, {self.heartbeat_interval} s",
            )

    @property
    def max_inbound(self) -> int:
        """Connections that may be inbound: the total without what is reserved for our own dials."""
        reserved = self.max_connections // 3 if self.reserved_outbound is None else self.reserved_outbound
        return self.max_connections - reserved

    @property
    def short_lived_places(self) -> int:
        """Connections for fetches that may be there beside `max_connections`."""
        return max(2, self.max_connections // 4)

    @property
    def max_frame(self) -> int:
        """Bytes of one ZeroMQ frame: the largest payload, or the fullest batch of joined small ones with its table."""
        return max(self.max_message, MAX_BATCH_BYTES) + 2048


def _is_key(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) == 32 and len(text) == 64
    except ValueError:
        return False
