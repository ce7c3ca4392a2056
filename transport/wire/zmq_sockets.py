"""The ZeroMQ sockets of a node: the ROUTER that carries everything, what announces its events, and the one that
authenticates (ZAP).
"""

from __future__ import annotations

import os
import socket as sockets
import struct
from collections.abc import Callable

import zmq

from ..address import IP, Endpoint
from ..errors import BindError
from ..identity import Identity
from .descriptors import is_full

NOBLOCK, MORE = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)  # as plain numbers: pyzmq's flags are slow to combine
_EVENTS, _POLLIN = int(zmq.EVENTS), int(zmq.POLLIN)
_MONITORED = (
    zmq.EVENT_LISTENING
    | zmq.EVENT_ACCEPTED
    | zmq.EVENT_ACCEPT_FAILED
    | zmq.EVENT_CONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CLOSE_FAILED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
FAILED_HANDSHAKES = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL,
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL,
    zmq.EVENT_HANDSHAKE_FAILED_AUTH,
)
_MONITOR_HEAD = struct.Struct("=HI")  # event, and its value: a descriptor or an error number
_ZAP = "inproc://zeromq.zap.01"
_ZAP_DOMAIN = b"rookery"
_LATER_THAN_OURS = 1000  # milliseconds: libzmq's own handshake timer, should ours not find the socket


def router(
    context: zmq.Context[zmq.Socket[bytes]],
    identity: Identity,
    *,
    max_frame: int,
    high_water: int,
    handshake_timeout: float,
) -> zmq.Socket[bytes]:
    """A ROUTER that never connects again by itself and says when a message cannot be sent. The rest: see `ZmqWire`."""
    made: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
    made.linger = 0
    made.router_mandatory = 1
    made.reconnect_ivl = -1
    made.maxmsgsize = max_frame
    made.sndhwm = made.rcvhwm = high_water
    made.handshake_ivl = int(handshake_timeout * 1000) + _LATER_THAN_OURS
    made.ipv6 = 1
    made.curve_secretkey = identity.curve_secret
    made.curve_publickey = identity.curve_public
    made.zap_domain = _ZAP_DOMAIN
    return made


def listen(socket: zmq.Socket[bytes], endpoint: Endpoint) -> str:
    """Have the ROUTER listen there; what libzmq names the endpoint in its events. Raises BindError."""
    socket.curve_server = 1
    try:
        socket.bind(str(endpoint).replace(":0", ":*") if endpoint.port == 0 else str(endpoint))
    except zmq.ZMQError as error:
        why = os.strerror(error.errno or 0)
        raise BindError(
            f"cannot listen on {endpoint}: {why} (allowed: an address of this machine with a free port)"
        ) from error
    return socket.get_string(zmq.LAST_ENDPOINT).rstrip("\0")


def readable(socket: zmq.Socket[bytes]) -> bool:
    """Whether a receive would give a message: a third of what an empty receive and its exception cost."""
    return bool(socket.get(_EVENTS) & _POLLIN)  # type: ignore[operator]  # an int for this option


def canonical(ip: str) -> str:
    """IPv4-mapped IPv6 as IPv4, IPv6 without its zone (a block or limit of an IP is one on every interface)."""
    ip = ip.partition("%")[0]
    return ip.removeprefix("::ffff:") if ip.startswith("::ffff:") and "." in ip else ip


def leads_to(listening: Endpoint, endpoint: Endpoint) -> bool:
    """Whether who connects to this numeric endpoint arrives at the socket that listens there, on this machine."""
    if endpoint.port != listening.port or endpoint.ip is None or listening.ip is None:
        return False
    if not listening.ip.is_unspecified:
        return endpoint == listening
    return endpoint.ip.version == listening.ip.version and _is_of_this_machine(endpoint.ip)


def _is_of_this_machine(ip: IP) -> bool:
    """Only to an IP of an interface can a socket be bound."""
    try:
        with sockets.socket(sockets.AF_INET if ip.version == 4 else sockets.AF_INET6, sockets.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0))
    except OSError as error:
        return is_full(error)  # it cannot be found out, and a connect to ourselves would make us deaf
    return True


class Monitor:
    """What libzmq announces of a socket."""

    def __init__(self, watched: zmq.Socket[bytes]) -> None:
        """One for each socket."""
        self.socket: zmq.Socket[bytes] = watched.get_monitor_socket(_MONITORED)

    def next(self) -> tuple[int, int, str] | None:
        """The next event with its value and the endpoint that it names; None if there is none now."""
        if not readable(self.socket):
            return None
        head, endpoint = self.socket.recv_multipart(NOBLOCK)
        event, value = _MONITOR_HEAD.unpack(head)
        return event, value, endpoint.decode()


class Zap:
    """Answers libzmq's question whether a key may go on from an IP (RFC 27). One for each Context."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        """Make it before any socket that authenticates."""
        self.socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(_ZAP)

    def answer(self, accepts: Callable[[str, bytes], bool]) -> None:
        """Answer all that ask, by `accepts(ip, curve_key)`; what names no CURVE key is refused.

        Who is let in has its key in hexadecimal as `User-Id`.
        """
        while readable(self.socket):
            frames = self.socket.recv_multipart(NOBLOCK)
            # version, request id, domain, address, routing id, mechanism, key
            envelope, (version, request, _domain, ip, _identity, mechanism, *credentials) = frames[:2], frames[2:]
            key = credentials[0] if credentials else b""
            ok = mechanism == b"CURVE" and len(key) == 32 and accepts(canonical(ip.decode()), key)
            verdict = (b"200", b"OK", key.hex().encode()) if ok else (b"400", b"refused", b"")
            self.socket.send_multipart([*envelope, version, request, *verdict, b""], NOBLOCK)
