"""Whom an IP with too many inbound connections gives up when others come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest

from rookery.actors.connections.core.crowds import Crowds
from rookery.actors.connections.core.peer import Peer
from rookery.transport import PeerId
from rookery.transport.gatekeeper import Direction, Link
from tests.connections.worlds import make_link, peer_of, table

CROWD = "10.0.0.1"


class Looked(dict[PeerId, Peer]):
    """Peers of a table, and at whom somebody looked."""

    def __init__(self, peers: dict[PeerId, Peer]) -> None:
        super().__init__(peers)
        self.looked_at: set[PeerId] = set()

    def __getitem__(self, peer: PeerId) -> Peer:
        self.looked_at.add(peer)
        return super().__getitem__(peer)

    def values(self) -> NoReturn:
        raise AssertionError("all of them")


class Case:
    """12 slots, of which one IP may have three while more than six are taken. A second between two that open."""

    def __init__(self, share: float = 0.25) -> None:
        self.crowds, self.table = Crowds(12, share), table()
        self._numbers = iter(range(1000))

    def open(self, *ips: str, direction: Direction = Direction.IN) -> list[Link]:
        links = []
        for ip in ips:
            number = next(self._numbers)
            links.append(make_link(number, direction=direction, opened_at=float(number), ip=ip))
            self.table.opened(links[-1], float(number))
            self.crowds.opened(links[-1])
        return links

    def surplus(self) -> Link | None:
        return self.crowds.surplus(self.table)

    def thin_out(self) -> Iterator[Link]:
        """All that go if nobody comes any more."""
        while (link := self.surplus()) is not None:
            self.crowds.closed(link.id)
            self.table.begin_closing(link)
            yield link


@pytest.fixture
def case() -> Case:
    return Case()


def test_crowd_gives_up_nothing_while_half_of_the_slots_are_free(case: Case) -> None:
    case.open(*[CROWD] * 6)
    case.open(*[CROWD] * 6, direction=Direction.OUT)
    assert case.surplus() is None


def test_crowd_gives_up_its_youngest_when_others_come_and_no_more_than_makes_half_free(case: Case) -> None:
    crowd = case.open(*[CROWD] * 6)
    case.open("10.0.0.2")
    assert list(case.thin_out()) == [crowd[5]]
    case.open("10.0.0.3")
    assert list(case.thin_out()) == [crowd[4]]
    for number in range(4, 9):
        case.open(f"10.0.0.{number}")
        if number == 4:
            assert list(case.thin_out()) == [crowd[3]]
    assert case.surplus() is None, "three are its share"


def test_protected_and_busy_ones_of_a_crowd_stay_and_of_the_others_the_least_valuable_goes(case: Case) -> None:
    crowd = case.open(*[CROWD] * 6)
    case.table.protect(peer_of(crowd[5].id), "friend")
    case.table.add_busy(peer_of(crowd[4].id), 1)
    case.table.tag(peer_of(crowd[3].id), "useful", 5, 10.0)
    case.open("10.0.0.2")
    assert case.surplus() is crowd[2]
    for link in crowd[:4]:
        case.table.protect(peer_of(link.id), "friend")
    assert case.surplus() is None


def test_addresses_of_one_64_are_a_crowd_and_of_several_are_none(case: Case) -> None:
    case.open(*[f"2001:db8:0:{number}::1" for number in range(7)])
    assert case.surplus() is None
    case = Case()
    crowd = case.open(*[f"2001:db8::{number}" for number in range(1, 8)])
    assert list(case.thin_out()) == [crowd[6]]


def test_crowd_of_a_node_that_says_so_is_none() -> None:
    case = Case(share=1.0)
    case.open(*[CROWD] * 12)
    assert case.surplus() is None


def test_what_is_closed_counts_no_more(case: Case) -> None:
    crowd = case.open(*[CROWD] * 6)
    case.open("10.0.0.2")
    case.crowds.closed(crowd[0].id)
    case.crowds.closed(crowd[0].id)
    assert case.surplus() is None


def test_peers_that_are_no_crowd_are_not_looked_at(case: Case) -> None:
    crowd = case.open(*[CROWD] * 5)
    case.open(*[f"10.0.1.{number}" for number in range(200)], direction=Direction.OUT)
    case.open("10.0.0.2", "10.0.0.3")
    case.table.peers = peers = Looked(case.table.peers)
    assert case.surplus() is crowd[4]
    assert peers.looked_at == {link.peer for link in crowd}


def test_larger_of_two_crowds_gives_up_first_and_a_crowd_that_is_none_any_more_nothing(case: Case) -> None:
    larger, smaller = case.open(*[CROWD] * 5), case.open(*["10.0.0.2"] * 4)
    assert list(case.thin_out()) == [larger[4], smaller[3], larger[3]]


def test_public_subnet_with_more_than_half_gives_up_its_youngest_when_less_than_a_quarter_is_free(case: Case) -> None:
    crowd = case.open(*[f"5.9.1.{number}" for number in range(9)])
    assert case.surplus() is None, "a quarter is free"
    for number in range(2, 8):
        case.open(f"5.9.{number}.1")
        assert list(case.thin_out()) == ([crowd[10 - number]] if number < 5 else []), "six are its share"


def test_addresses_of_one_48_are_a_subnet_and_no_private_network_is_a_crowd(case: Case) -> None:
    crowd = case.open(*[f"2a01:4f8:1:{number}::1" for number in range(9)])
    case.open("5.9.1.1")
    assert list(case.thin_out()) == [crowd[8]]
    for network in ("192.168.1.{}", "fd00:0:0:{}::1"):
        case = Case()
        case.open(*[network.format(number) for number in range(1, 13)])
        assert case.surplus() is None


def test_subnet_of_a_node_that_gives_one_ip_half_is_no_crowd() -> None:
    case = Case(share=0.5)
    case.open(*[f"5.9.1.{number}" for number in range(12)])
    assert case.surplus() is None


def test_crowd_gives_up_none_that_a_trim_is_closing_already(case: Case) -> None:
    crowd = case.open(*[CROWD] * 6)
    case.table.begin_closing(crowd[5])
    case.open("10.0.0.2")
    assert case.surplus() is crowd[4]
