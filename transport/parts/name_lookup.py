"""What the name of an address stands for.

What a resolver answers is untrusted input: each address is read by itself, at most `MAX_ADDRESSES` are kept, and they
are tried in the resolver's order.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from ..address import Endpoint

MAX_ADDRESSES = 8
"""Most addresses of one name that are tried."""
_MOST_READ = 256  # answers of a resolver that are looked at


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a name stands for. refused: what of the answer cannot be dialled, and why."""

    endpoints: tuple[Endpoint, ...] = ()
    refused: tuple[str, ...] = ()


def look_up(name: Endpoint) -> Resolved:
    """The addresses of a name. Blocks. Raises whatever the resolver raises."""
    return read_answers(socket.getaddrinfo(name.host, name.port, type=socket.SOCK_STREAM), name.port)


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
