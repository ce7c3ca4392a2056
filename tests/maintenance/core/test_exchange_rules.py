"""The rules at the head of `exchange_rules.py`: whom to ask, whom to answer, what to tell and to believe."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.maintenance.core.exchange_rules import ExchangeLimits, ExchangeRules, read_records
from rookery.transport import Address, Direction, Identity, Link, PeerRecord, Role
from rookery.transport.address import subnet

IDENTITIES = [Identity.from_seed(number.to_bytes(32, "big")) for number in range(200)]
NETWORK = "test"


def record(number: int, address: str | None = "", *, network: str = NETWORK) -> PeerRecord:
    """By default in a subnet of its own."""
    text = f"tcp://10.{number}.0.1:7000" if address == "" else address
    endpoint = None if text is None else Address.parse(text)
    return PeerRecord.sign(IDENTITIES[number], network=network, address=endpoint, generation=1)


def link(number: int, address: str | None = "", *, ip: str = "10.9.9.9") -> Link:
    own = record(number, address)
    return Link(number, own.peer, Direction.IN, Role.SECONDARY, ip, 0.0, own)


def exchange(*links: Link, **limits: Any) -> ExchangeRules:
    settings = {"per_subnet": 3, "answer_every": 5.0, "private": False} | limits
    made = ExchangeRules(ExchangeLimits(**settings), random.Random(1))
    for each in links:
        made.opened(each)
    return made


def told(made: ExchangeRules, asker: Link, now: float = 0.0) -> set[PeerRecord]:
    answer = made.answer(asker.id, now)
    assert not isinstance(answer, str), answer
    return set(answer)


# asking


def test_exchange_asks_everybody_connected_that_says_where_it_is() -> None:
    bob, carol, hidden = link(1), link(2), link(3, None)
    assert exchange(bob, carol, hidden).ask() == [bob, carol]


def test_exchange_does_not_ask_who_is_gone_or_said_it_is_private() -> None:
    made = exchange(link(1), link(2), link(3))
    made.closed(1)
    made.said_private(2)
    assert made.ask() == [link(3)]


def test_private_exchange_asks_nobody_answers_nobody_and_takes_nothing() -> None:
    made = exchange(link(1), link(2), private=True)
    assert made.ask() == []
    assert made.answer(1, 0.0) == "private"
    assert made.expects(1) == "private"


# answering


def test_exchange_tells_of_its_connections_but_not_the_asker_nor_who_hides() -> None:
    bob, carol, dave, hidden = link(1), link(2), link(3), link(4, None)
    made = exchange(bob, carol, dave, hidden)
    made.said_private(3)
    assert told(made, bob) == {carol.record}


def test_exchange_answers_who_says_it_is_private_with_nothing() -> None:
    made = exchange(link(1), link(2))
    made.said_private(1)
    assert made.answer(1, 0.0) == "private"


def test_exchange_answers_a_peer_twice_at_once_and_then_once_per_interval() -> None:
    made = exchange(link(1), link(2))
    answers = [isinstance(made.answer(1, now), tuple) for now in (0.0, 0.1, 0.2, 4.9, 5.1, 5.2)]
    assert answers == [True, True, False, False, True, False]


def test_exchange_does_not_forget_with_a_link_how_often_its_peer_was_answered() -> None:
    made = exchange(link(1), link(2))
    for _ in range(2):
        made.answer(1, 0.0)
        made.closed(1)
        made.opened(link(1))
    assert made.answer(1, 0.0) == "rate"


def test_exchange_tells_loopback_addresses_only_on_the_same_machine() -> None:
    near, far, local = link(1, ip="127.0.0.1"), link(2), link(3, "tcp://127.0.0.1:7000", ip="127.0.0.1")
    made = exchange(near, far, local)
    assert told(made, near) == {far.record, local.record}
    assert told(made, far) == {near.record}


def test_exchange_tells_at_most_a_hundred_and_of_one_subnet_at_most_the_limit() -> None:
    asker, many = link(0), [link(number) for number in range(1, 150)]
    assert len(told(exchange(asker, *many), asker)) == 100
    crowd = [link(number, f"tcp://10.0.0.{number}:7000") for number in range(1, 100)]
    assert len(told(exchange(asker, *crowd), asker)) == 3
    names = [link(number, f"tcp://n{number}.example:7000") for number in range(1, 50)]
    assert len(told(exchange(asker, *names), asker)) == 49


def test_exchange_tells_not_always_the_same_ones() -> None:
    asker, crowd = link(0), [link(number, f"tcp://10.0.0.{number}:7000") for number in range(1, 50)]
    made = exchange(asker, *crowd)
    assert len(set().union(*(told(made, asker, 10.0 * turn) for turn in range(20)))) > 20


def test_exchange_does_not_answer_a_link_that_is_gone() -> None:
    assert exchange().answer(7, 0.0) == "closed"


# believing


def test_exchange_takes_one_answer_for_each_question() -> None:
    made = exchange(link(1))
    assert made.expects(1) == "unasked"
    made.ask()
    assert (made.expects(1), made.expects(1)) == (None, "unasked")
    assert made.expects(2) == "closed"


def test_exchange_passes_on_neither_the_teller_nor_addresses_that_mean_nothing_here() -> None:
    teller = link(1)
    good = record(2)
    assert exchange(teller).useful((teller.record, record(3, None), record(4, "tcp://127.0.0.1:1"), good), teller) == (
        good,
    )


@given(st.lists(st.tuples(st.integers(2, 199), st.integers(0, 3)), max_size=120))
def test_P13_exchange_passes_on_of_one_subnet_at_most_the_limit(named: list[tuple[int, int]]) -> None:
    teller = link(1)
    records = [record(number, f"tcp://10.0.{net}.{number}:7000") for number, net in named]
    passed = exchange(teller).useful(records, teller)
    counts = Counter(subnet(each.address.endpoint.ip) for each in passed if each.address and each.address.endpoint.ip)
    assert all(count <= 3 for count in counts.values())
    assert len(passed) == sum(min(3, count) for count in Counter(net for _, net in named).values())


def test_records_are_read_one_by_one_and_the_bad_ones_counted() -> None:
    good, other = record(1), record(2, network="other")
    read, invalid = read_records([good.encode(), b"", other.encode(), good.encode(), b"\xff" * 1024], NETWORK)
    assert read == (good,)
    assert invalid == 3


def test_exchange_knows_which_public_subnets_have_their_share_and_what_is_beyond() -> None:
    places = [
        "44.1.1.1",
        "44.1.1.2",
        "44.1.1.3",
        "44.2.1.1",
        "44.2.1.2",
        "44.3.1.1",
        "10.1.1.1",
        "10.1.1.2",
        "127.0.0.1",
    ]
    made = exchange(*(link(number, ip=ip) for number, ip in enumerate(places)))
    assert {str(net): beyond for net, beyond in made.crowded_subnets(2).items()} == {"44.1.1.0/24": 1, "44.2.1.0/24": 0}
