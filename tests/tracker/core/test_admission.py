"""The predicates as one table: for each situation of bob, what is true of him.

refusal: why he may not connect at all. listed: whether he is among the dialable. dial: why he is not dialled if asked.
claim: why his own dial from 10.0.0.1 is refused. registered: what the gate lets in for him. A dash is nothing, or yes.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from rookery.actors.tracker import TrackedPeers
from rookery.actors.tracker.core.blocks import other_id_of
from rookery.actors.tracker.core.directory import Directory
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Ticket
from rookery.transport.reasons import Reason
from tests.tracker.core.kit import BOB, CAROL, KNOWN, A, B, admit, connect, directory, ticket_of

TABLE = """
situation                           | refusal     | listed | dial        | claim       | registered
------------------------------------|-------------|--------|-------------|-------------|-----------
primary                             | -           | yes    | -           | -           | 10.0.0.1
secondary                           | -           | no     | not_tracked | -           | 10.0.0.1
in both roles                       | -           | yes    | -           | -           | 10.0.0.1
primary once, secondary now         | -           | yes    | -           | -           | 10.0.0.1
unlisted                            | not_tracked | no     | not_tracked | not_tracked | -
evicted                             | not_tracked | no     | not_tracked | not_tracked | -
hinted                              | not_tracked | no     | not_tracked | not_tracked | -
trusted, unlisted                   | not_tracked | no     | not_tracked | not_tracked | -
seed, until the first set           | -           | yes    | -           | -           | any
open: unlisted                      | -           | no     | not_tracked | -           | any
open: hinted                        | -           | yes    | -           | -           | any
open: secondary                     | -           | no     | not_tracked | -           | any
open: primary                       | -           | yes    | -           | -           | any
private: primary                    | private     | no     | private     | private     | any
private: trusted primary            | -           | yes    | -           | -           | any
private: trusted, hinted            | -           | yes    | -           | -           | any
private: trusted secondary          | -           | no     | not_tracked | -           | any
blocked                             | blocked     | no     | blocked     | blocked     | -
open: blocked                       | blocked     | no     | blocked     | blocked     | any
other id with its key blocked       | blocked     | no     | blocked     | blocked     | -
block over, not taken away          | -           | yes    | -           | -           | -
ip blocked                          | -           | no     | blocked     | blocked     | 10.0.0.1
another's ip blocked                | -           | yes    | -           | -           | 10.0.0.1
being dialled                       | -           | no     | duplicate   | duplicate   | 10.0.0.1
admitted                            | -           | no     | duplicate   | duplicate   | 10.0.0.1
connected                           | -           | no     | duplicate   | duplicate   | 10.0.0.1
connected, then moved               | -           | no     | duplicate   | stale       | 10.0.0.1
cooling down                        | -           | no     | cooldown    | cooldown    | 10.0.0.1
backing off                         | -           | no     | cooldown    | -           | 10.0.0.1
resting after a loss                | -           | no     | -           | -           | 10.0.0.1
trimmed                             | -           | no     | cooldown    | cooldown    | 10.0.0.1
without an address                  | -           | no     | unresolved  | -           | any
a name                              | -           | yes    | -           | -           | any
a name, which is not allowed        | -           | no     | unresolved  | -           | any
a private ip, which is not allowed  | -           | no     | unresolved  | egress_ip   | -
public ingress, private egress      | -           | yes    | -           | egress_ip   | -
another egress                      | -           | yes    | -           | egress_ip   | 10.9.9.9
this egress, another ingress        | -           | yes    | -           | -           | 10.0.0.1
another egress, not checked         | -           | yes    | -           | -           | any
another egress, source membership   | -           | yes    | -           | -           | any
"""

HERE, THERE = Address.parse("tcp://10.7.7.7:7000?egress=10.0.0.1"), Address.parse("tcp://10.0.0.1:7000?egress=10.9.9.9")
NAME = Address.parse("tcp://bob.example:7000")
MIXED = Address.parse("tcp://8.8.8.8:7000?egress=10.0.0.1")


def primary(d: Directory, address: Address | None = A) -> object:
    return d.track(1, TrackedPeers({BOB: address}), 0.0)


def secondary(d: Directory) -> object:
    return d.track(1, TrackedPeers({}, {BOB: A}), 0.0)


def hinted(d: Directory) -> object:
    return d.learn(KNOWN.record("bob", str(A)), 0.0)


def admitted(d: Directory) -> Ticket:
    primary(d)
    return ticket_of(admit(d, BOB))


def ended(d: Directory, reason: Reason, lived: float = 0.0) -> None:
    primary(d)
    d.release(connect(d, BOB, -lived), reason, 0.0)


def backing_off(d: Directory) -> None:
    primary(d)
    d.release(ticket_of(d.reserve(BOB, 0.0)), Reason.UNREACHABLE, 0.0)


ARRANGED: dict[str, tuple[Callable[[Directory], object], dict[str, Any]]] = {
    "primary": (primary, {}),
    "secondary": (secondary, {}),
    "in both roles": (lambda d: d.track(1, TrackedPeers({BOB: A}, {BOB: B}), 0.0), {}),
    "primary once, secondary now": (lambda d: (primary(d), d.track(2, TrackedPeers({}, {BOB: A}), 0.0)), {}),
    "unlisted": (lambda d: None, {}),
    "evicted": (lambda d: (primary(d), d.track(2, TrackedPeers({}), 0.0)), {"tracked_peer_sets": 1}),
    "hinted": (hinted, {}),
    "trusted, unlisted": (lambda d: None, {"trusted": (BOB,)}),
    "seed, until the first set": (lambda d: d.seed({BOB: A}, 0.0), {}),
    "open: unlisted": (lambda d: None, {"admission": "open"}),
    "open: hinted": (hinted, {"admission": "open"}),
    "open: secondary": (secondary, {"admission": "open"}),
    "open: primary": (primary, {"admission": "open"}),
    "private: primary": (primary, {"admission": "private"}),
    "private: trusted primary": (primary, {"admission": "private", "trusted": (BOB,)}),
    "private: trusted, hinted": (hinted, {"admission": "private", "trusted": (BOB,)}),
    "private: trusted secondary": (secondary, {"admission": "private", "trusted": (BOB,)}),
    "blocked": (lambda d: (primary(d), d.peers.block(BOB, 9.0, 0.0)), {}),
    "open: blocked": (lambda d: (hinted(d), d.peers.block(BOB, 9.0, 0.0)), {"admission": "open"}),
    "other id with its key blocked": (lambda d: (primary(d), d.peers.block(other_id_of(BOB), 9.0, 0.0)), {}),
    "block over, not taken away": (lambda d: (primary(d), d.peers.block(BOB, 1.0, -1.0)), {}),
    "ip blocked": (lambda d: (primary(d), d.peers.block(ip_address("10.0.0.1"), 9.0, 0.0)), {}),
    "another's ip blocked": (lambda d: (primary(d), d.peers.block(ip_address("10.0.0.2"), 9.0, 0.0)), {}),
    "being dialled": (lambda d: (primary(d), d.reserve(BOB, 0.0)), {}),
    "admitted": (admitted, {}),
    "connected": (lambda d: (primary(d), connect(d, BOB)), {}),
    "connected, then moved": (lambda d: (primary(d, B), connect(d, BOB), d.overwrite({BOB: A}, 0.0)), {}),
    "cooling down": (lambda d: d.release(admitted(d), Reason.TIMEOUT, 0.0), {}),
    "backing off": (backing_off, {}),
    "resting after a loss": (lambda d: ended(d, Reason.LOST, lived=60.0), {}),
    "trimmed": (lambda d: ended(d, Reason.TRIMMED), {}),
    "without an address": (lambda d: primary(d, None), {}),
    "a name": (lambda d: primary(d, NAME), {}),
    "a name, which is not allowed": (lambda d: primary(d, NAME), {"allow_dns": False}),
    "a private ip, which is not allowed": (primary, {"allow_private_ips": False}),
    "public ingress, private egress": (lambda d: primary(d, MIXED), {"allow_private_ips": False}),
    "another egress": (lambda d: primary(d, THERE), {}),
    "this egress, another ingress": (lambda d: primary(d, HERE), {}),
    "another egress, not checked": (lambda d: primary(d, B), {"check_egress_ip": False}),
    "another egress, source membership": (lambda d: primary(d, B), {"source": "membership"}),
}

ROWS = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()[2:]]


def arranged(situation: str) -> Directory:
    arrange, options = ARRANGED[situation]
    made = directory(**options)
    arrange(made)
    return made


def word(answer: object) -> str:
    return answer.value if isinstance(answer, Reason) else "-"


def test_table_has_every_situation_once() -> None:
    assert [row[0] for row in ROWS] == list(ARRANGED)


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_predicates_are_as_the_table_says(row: list[str]) -> None:
    situation = row[0]
    d = arranged(situation)
    registered = d.peers.gate(0.0).registered_ips
    listed = BOB in d.dialable(10, (), 0.0)[0]
    assert row[1:] == [
        word(d.rules.refusal(BOB, d.peers.get(BOB), 0.0)),
        "yes" if listed else "no",
        word(arranged(situation).reserve(BOB, 0.0)),
        word(admit(arranged(situation), BOB, "10.0.0.1")),
        "any" if registered is None else ", ".join(registered) or "-",
    ]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_who_is_listed_is_dialled_and_nobody_else_is_affected(row: list[str]) -> None:
    d = arranged(row[0])
    listed = d.dialable(10, (), 0.0)[0]
    assert CAROL not in listed
    for peer in listed:
        assert isinstance(d.reserve(peer, 0.0), tuple)
