"""The table of links: what counts, and who is given up first."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rookery.actors.connections.table import Table
from rookery.transport.gatekeeper import Direction
from rookery.transport.mailbox import Link

MakeLink = Callable[..., Link]
SECRET = b"only this process knows"


def filled(links: list[Link], secret: bytes = SECRET) -> Table:
    table = Table(secret)
    for link in links:
        assert table.opened(link)
    return table


def test_table_counts_a_link_from_opened_to_closed(make_link: MakeLink) -> None:
    link = make_link(1)
    table = filled([link])
    assert (table.open, table.closing, table.has_peer(link.peer)) == (1, 0, True)
    assert table.closed(1) == link
    assert (table.open, table.closing, table.has_peer(link.peer)) == (0, 0, False)


def test_table_with_a_link_opened_twice_or_closed_unopened_stays_as_it_is(make_link: MakeLink) -> None:
    table = filled([make_link(1)])
    assert not table.opened(make_link(1, peer=9))
    assert table.closed(2) is None
    assert (table.open, table.closing) == (1, 0)


def test_table_knows_a_peer_until_its_last_link_is_closed(make_link: MakeLink) -> None:
    first, second = make_link(1, peer=7), make_link(2, peer=7)
    table = filled([first, second])
    table.closed(1)
    assert table.has_peer(first.peer)
    table.closed(2)
    assert not table.has_peer(first.peer)


def test_table_gives_up_inbound_before_outbound_and_younger_before_older(make_link: MakeLink) -> None:
    out_old = make_link(1, opened_at=1.0)
    out_new = make_link(2, opened_at=9.0)
    in_old = make_link(3, direction=Direction.IN, opened_at=0.0)
    in_new = make_link(4, direction=Direction.IN, opened_at=5.0)
    table = filled([out_old, in_new, out_new, in_old])
    assert table.choose(0) == (in_new, in_old, out_new, out_old)


def test_C13_table_whose_victims_are_not_gone_yet_chooses_nobody_in_their_place(make_link: MakeLink) -> None:
    table = filled([make_link(number) for number in range(10)])
    assert len(table.choose(6)) == 4
    assert (table.open, table.closing) == (6, 4)
    assert table.choose(6) == ()


def test_C14_table_breaks_ties_otherwise_with_another_secret(make_link: MakeLink) -> None:
    links = [make_link(number) for number in range(40)]
    chosen = [filled(links, secret).choose(20) for secret in (b"one", b"two", b"one")]
    assert chosen[0] == chosen[2]
    assert set(chosen[0]) != set(chosen[1])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["open", "close", "choose"]), max_size=60), st.randoms(use_true_random=False))
def test_table_in_any_order_of_events_counts_each_link_once_and_chooses_exactly(
    make_link: MakeLink, events: list[str], choices: st.DataObject
) -> None:
    table, live, victims, last = Table(SECRET), set[int](), set[int](), 0
    for event in events:
        if event == "open":
            last += 1
            live.add(last)
            table.opened(make_link(last, peer=last % 5, opened_at=float(last % 3)))
        elif event == "close" and live:
            gone = choices.choice(sorted(live))  # type: ignore[attr-defined]  # a random.Random
            assert table.closed(gone) is not None
            live.discard(gone)
            victims.discard(gone)
        elif event == "choose":
            target = choices.randrange(6)  # type: ignore[attr-defined]
            before = table.open
            chosen = table.choose(target)
            assert len(chosen) == max(0, before - target)
            victims |= {link.id for link in chosen}
        assert (table.open, table.closing) == (len(live - victims), len(victims))
        assert {link.id for link in table.links()} == live - victims
