"""What an inbound handshake must pass before it costs anything: the gate, the rates, the number pending.

Pure: the clock is given. In this order: gate, cooldown of the IP, rate of the IP and of its subnet (both are charged
before either is judged, so that a refused IP still counts for its subnet), pending handshakes. For cooldown and rate an
IP is as in `counted_ip`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from ipaddress import ip_address
from typing import TypeVar

from msgspec import Struct

from ..address import counted_ip, subnet
from ..gatekeeper import Gate
from ..reasons import Reason
from .buckets import TokenBuckets

_MAX_COOLING = 16_384  # IPs; of more the oldest may come again

K = TypeVar("K")


class _Pending(Struct, eq=False):
    ip: str
    curve_key: bytes
    until: float
    over: bool = False


class HandshakeLimits:
    """Counts the handshakes of one node that begin, and those that are pending."""

    def __init__(self, *, per_ip: tuple[float, int], per_subnet: tuple[float, int], max_pending: int) -> None:
        """per_ip, per_subnet: handshakes per second and at once. max_pending: of which no message came yet."""
        self._per_ip = TokenBuckets(*per_ip)
        self._per_subnet = TokenBuckets(*per_subnet)
        self._max_pending = max_pending
        self._queue: deque[_Pending] = deque()
        self._by_key: dict[bytes, deque[_Pending]] = {}
        self._by_ip: dict[str, deque[_Pending]] = {}
        self._cooling: OrderedDict[str, float] = OrderedDict()  # IPs, and until when
        self.pending = 0  # handshakes begun by whom nothing was heard since

    def check(self, gate: Gate | None, ip: str, curve_key: bytes, now: float, until: float) -> Reason | None:
        """Why this source is refused, or None: it then is pending until its first message or the time `until`."""
        if gate is None:
            return Reason.NO_GATE
        reason = gate.check(ip, curve_key)
        if reason is not None:
            return reason
        if self.is_cooling(ip, now):
            return Reason.RATE
        ip_ok = self._per_ip.take(counted_ip(ip), now)
        subnet_ok = self._per_subnet.take(subnet(ip_address(ip)), now)
        if not (ip_ok and subnet_ok):
            return Reason.RATE
        self._expire(now)
        if self.pending >= self._max_pending:
            return Reason.PENDING
        if not gate.admits_ip(ip):
            return Reason.GATED
        pending = _Pending(ip, curve_key, until)
        self._queue.append(pending)
        self._by_key.setdefault(curve_key, deque()).append(pending)
        self._by_ip.setdefault(ip, deque()).append(pending)
        self.pending += 1
        return None

    def cool_down(self, ip: str, until: float) -> None:
        """Refuse every handshake of this IP until that time."""
        host = counted_ip(ip)
        self._cooling[host] = until
        self._cooling.move_to_end(host)
        if len(self._cooling) > _MAX_COOLING:
            self._cooling.popitem(last=False)

    def is_cooling(self, ip: str, now: float) -> bool:
        """Whether handshakes of this IP are refused for what it did."""
        host = counted_ip(ip)
        until = self._cooling.get(host)
        if until is not None and until <= now:
            del self._cooling[host]
        return until is not None and until > now

    def arrived(self, curve_key: bytes) -> None:
        """A pending handshake of this key said something."""
        waiting = self._by_key.get(curve_key)
        if waiting:
            self._done(waiting[0])

    def silent(self, ip: str, connections: int) -> None:
        """So many connections of this IP are silent: no more of its handshakes are pending. The oldest go."""
        for pending in list(self._by_ip.get(ip, ()))[: -connections or None]:
            self._done(pending)

    def _expire(self, now: float) -> None:
        """Give up on those that never said anything."""
        while self._queue and (self._queue[0].over or self._queue[0].until <= now):
            pending = self._queue.popleft()
            if not pending.over:
                self._done(pending)

    def _done(self, pending: _Pending) -> None:
        pending.over = True
        self.pending -= 1
        _take_out(pending, self._by_key, pending.curve_key)
        _take_out(pending, self._by_ip, pending.ip)


def _take_out(pending: _Pending, waiting: dict[K, deque[_Pending]], key: K) -> None:
    waiting[key].remove(pending)
    if not waiting[key]:
        del waiting[key]
