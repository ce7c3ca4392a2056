"""What the names of addresses stand for: the one look-up service of dials and packets.

What a resolver answers is untrusted input: each address is read by itself, at most `MAX_ADDRESSES` are kept, and they
are tried in the resolver's order.

A look-up cannot be cancelled, and whoever advertises a name decides how long its look-up takes. So:

* There are `THREADS` threads. A free one takes the next look-up; there is one of a host at a time, whoever asks.
* A peer has at most one look-up that runs and one that waits: who advertises slow names waits for itself.
* A host that took longer than `SLOW` seconds, and the peer that it was looked up for, go behind all others until they
  are quick again. A look-up of such begins only while fewer than 4 threads are taken, and one of a host that has never
  been looked up while fewer than 12 are: 4 are left to hosts that were quick before.
* At most `MAX_WAITING` wait. Where there are more, one that goes behind gives way.

Guaranteed: a host that was quick before waits for no look-up but of such hosts. A new one may wait for 12 look-ups that
are slow for the first time, each as long as the system's resolver goes on; each peer and host can do that once while it
is remembered (the latest `REMEMBERED` are). Not guaranteed: that new or slow hosts get a turn within a dial's time
while ever new members come with ever new slow names.

Nothing waits for a look-up when a node stops: its thread ends with it, or with the process.
"""

from __future__ import annotations

import enum
import heapq
import socket
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import replace
from itertools import islice

from msgspec import Struct, field, structs

from ...runtime import Message, ReplyTimeout, Timer
from ..address import Endpoint
from ..identity import PeerId
from .shared import Shared, cancel

MAX_ADDRESSES = 8
"""Most addresses of one name that are tried."""
THREADS, MAX_WAITING, REMEMBERED = 16, 128, 1024
SLOW = 1.0
"""Seconds after which a look-up is slow."""
_MOST_READ = 256  # answers of a resolver that are looked at
_MOST_BACKERS = 8  # peers that are remembered to want one look-up
_ASK_AGAIN = 60.0  # seconds between two looks at a thread that is held


class Resolved(Struct, frozen=True):
    """What a name stands for. refused: what of the answer cannot be dialled, and why."""

    endpoints: tuple[Endpoint, ...] = ()
    refused: tuple[str, ...] = ()


class _Standing(enum.IntEnum):
    """Of a host, as it is looked up for a peer: the lower, the earlier."""

    QUICK = 0
    NEW = 1
    SLOW = 2


_MOST_TAKEN = {_Standing.QUICK: THREADS, _Standing.NEW: 12, _Standing.SLOW: 4}  # threads, this look-up's included

Done = Callable[[Resolved | Exception], object]


class _Asker(Struct, eq=False):
    """Who waits for an answer. wanted: whether it still does."""

    host: str
    port: int
    done: Done
    wanted: Callable[[], bool]
    timer: Timer | None = None


class _LookUp(Struct, eq=False):
    """Of one host. owner: who asked first. backers: with whose share it may run. payer, thread, began: once it does."""

    host: str
    owner: PeerId
    backers: dict[PeerId, None] = field(default_factory=dict)
    askers: list[_Asker] = field(default_factory=list)
    payer: PeerId | None = None
    thread: int = -1
    began: float = 0.0


class LookUpLate(Message, Struct, frozen=True):
    """Timer: who asked for a name has waited for as long as a dial may take."""

    asker: _Asker


class NameLookUps:
    """The look-ups of one node. Part of its transport's engine."""

    def __init__(self, shared: Shared) -> None:
        """None is under way."""
        self._shared = shared
        self._waiting: OrderedDict[str, _LookUp] = OrderedDict()  # by host, in the order in which they were asked for
        self._running: dict[str, _LookUp] = {}
        self._free = list(range(THREADS))  # a heap: no more threads are begun than are needed
        self._quick: OrderedDict[Hashable, None] = OrderedDict()  # hosts
        self._slow: OrderedDict[Hashable, None] = OrderedDict()  # hosts and peers

    def ask(self, peer: PeerId, name: Endpoint, done: Done, wanted: Callable[[], bool] = lambda: True) -> None:
        """Call `done` once, with what the name stands for or with why that is not known, within `dial_timeout`.

        It may be called before this returns. peer: who advertises the name. wanted: whether it need still be known.
        """
        look_up = self._running.get(name.host) or self._waiting.get(name.host)
        if look_up is None:
            why = self._no_room(peer, name.host)
            if why is not None:
                done(OSError(why))
                return
            look_up = self._waiting[name.host] = _LookUp(name.host, peer)
        asker = _Asker(name.host, name.port, done, wanted)
        asker.timer = self._shared.after(self._shared.config.dial_timeout, LookUpLate(asker))
        look_up.askers.append(asker)
        self.back(peer, name)

    def back(self, peer: PeerId, name: Endpoint) -> None:
        """This peer advertises a name that is being looked up, too: it need not wait for the turn of another."""
        look_up = self._waiting.get(name.host)
        if look_up is None:
            return
        look_up.backers[peer] = None
        if len(look_up.backers) > _MOST_BACKERS:
            del look_up.backers[max(look_up.backers, key=lambda backer: self._standing(backer, name.host))]
        self._start()

    def late(self, message: LookUpLate) -> None:
        """Answer who has waited for long enough. What waits for nobody any more is not begun; what runs goes on."""
        asker = message.asker
        look_up = self._running.get(asker.host) or self._waiting.get(asker.host)
        if look_up is None or asker not in look_up.askers:
            return
        look_up.askers.remove(asker)
        if not look_up.askers and look_up.thread < 0:
            del self._waiting[asker.host]
        self._start()
        asker.done(TimeoutError(f"no answer within {self._shared.config.dial_timeout} s"))

    def _no_room(self, peer: PeerId, host: str) -> str | None:
        """Why a look-up may not wait; None once it may."""
        if any(other.owner == peer for other in self._waiting.values()):
            return "another name of this peer waits to be looked up"
        if len(self._waiting) < MAX_WAITING:
            return None
        last = max(self._waiting.values(), key=lambda other: self._best(other.backers, other.host))
        if self._standing(peer, host) >= self._best(last.backers, last.host):
            return "too many names wait to be looked up"
        del self._waiting[last.host]
        self._answer(last, OSError("it gave way, as too many names wait to be looked up"))
        return None

    def _start(self) -> None:
        """Give free threads to those that wait, whose turn it is."""
        self._find_slow()
        while self._free:
            chosen: tuple[_Standing, _LookUp, PeerId] | None = None
            paying = {running.payer for running in self._running.values()}
            for look_up in self._waiting.values():
                able = [backer for backer in look_up.backers if backer not in paying]
                if able:
                    payer = min(able, key=lambda backer: self._standing(backer, look_up.host))
                    standing = self._standing(payer, look_up.host)
                    if chosen is None or standing < chosen[0]:
                        chosen = standing, look_up, payer
            if chosen is None or len(self._running) >= _MOST_TAKEN[chosen[0]]:
                break
            _, look_up, look_up.payer = chosen
            del self._waiting[look_up.host]
            self._run(look_up)
        self._count()

    def _run(self, look_up: _LookUp) -> None:
        for asker in [asker for asker in look_up.askers if not asker.wanted()]:
            look_up.askers.remove(asker)
            cancel(asker.timer)
        if not look_up.askers:
            return
        shared, look_up.thread, look_up.began = self._shared, heapq.heappop(self._free), self._shared.now()
        self._running[look_up.host] = look_up
        answer = shared.work(
            _resolve, look_up.host, look_up.askers[0].port, serial=f"names {look_up.thread}", abandon=True
        )

        def looked(resolved: Resolved | Exception) -> None:
            if isinstance(resolved, ReplyTimeout):
                shared.on_reply(answer, looked, timeout=_ASK_AGAIN)  # its thread is held
                self._start()
            else:
                self._finished(look_up, resolved)

        shared.on_reply(answer, looked, timeout=SLOW)

    def _finished(self, look_up: _LookUp, resolved: Resolved | Exception) -> None:
        self._find_slow()
        if look_up.host not in self._slow_running():
            self._slow.pop(look_up.host, None)
            self._slow.pop(look_up.payer, None)
            _remember(self._quick, look_up.host)
        del self._running[look_up.host]
        heapq.heappush(self._free, look_up.thread)
        self._start()
        self._answer(look_up, resolved)

    def _answer(self, look_up: _LookUp, resolved: Resolved | Exception) -> None:
        for asker in look_up.askers:
            cancel(asker.timer)
        for asker in look_up.askers:
            asker.done(resolved if isinstance(resolved, Exception) else _at_port(resolved, asker.port))

    def _slow_running(self) -> set[str]:
        until = self._shared.now() - SLOW
        return {running.host for running in self._running.values() if running.began <= until}

    def _count(self) -> None:
        self._shared.metrics.look_ups.set(len(self._waiting), "waiting")
        self._shared.metrics.look_ups.set(len(self._running), "running")

    def _find_slow(self) -> None:
        """What runs and is slow by now is remembered, with who it is looked up for."""
        for host in self._slow_running():
            self._quick.pop(host, None)
            _remember(self._slow, host)
            _remember(self._slow, self._running[host].payer)

    def _standing(self, peer: PeerId, host: str) -> _Standing:
        if peer in self._slow or host in self._slow:
            return _Standing.SLOW
        return _Standing.QUICK if host in self._quick else _Standing.NEW

    def _best(self, peers: Iterable[PeerId], host: str) -> _Standing:
        return min((self._standing(peer, host) for peer in peers), default=_Standing.SLOW)


def _remember(known: OrderedDict[Hashable, None], what: Hashable) -> None:
    """The latest stands last, the oldest is forgotten."""
    known[what] = None
    known.move_to_end(what)
    if len(known) > REMEMBERED:
        known.popitem(last=False)


def _resolve(host: str, port: int) -> Resolved:
    """The addresses of a name. Blocks. Raises whatever the resolver raises."""
    return read_answers(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), port)


def _at_port(resolved: Resolved, port: int) -> Resolved:
    if all(endpoint.port == port for endpoint in resolved.endpoints):
        return resolved
    return structs.replace(resolved, endpoints=tuple(replace(endpoint, port=port) for endpoint in resolved.endpoints))


def read_answers(answers: Iterable[object], port: int) -> Resolved:
    """What of a resolver's answers can be dialled, in its order, each once.

    answers: as `socket.getaddrinfo` gives them, of any family, scope and kind of address, and any number.
    """
    endpoints: dict[Endpoint, None] = {}
    refused: dict[str, None] = {}
    for answer in islice(answers, _MOST_READ):
        match _read_answer(answer, port):
            case Endpoint() as endpoint:
                endpoints[endpoint] = None
            case str(why):
                refused[why] = None
    return Resolved(tuple(endpoints), tuple(refused))


def _read_answer(answer: object, port: int) -> Endpoint | str:
    """One answer as an endpoint, or why it is none."""
    match answer:
        case (_, _, _, _, (str(ip), _)):
            zone: object = 0
        case (_, _, _, _, (str(ip), _, _, zone)):
            pass
        case _:
            return "an address that is no IP"
    try:
        endpoint = Endpoint(ip, port).dialable()
    except ValueError as error:
        return str(error)
    if endpoint.ip is None:
        return f"{ip[:80]!r} is no IP"
    return f"{ip} has a zone, which means something on one machine only" if zone else endpoint
