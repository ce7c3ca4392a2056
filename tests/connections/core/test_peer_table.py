"""The table: what counts, in which state, and what is known of peers."""

from __future__ import annotations

import pytest

from rookery.actors.connections.core.peer import State
from rookery.actors.connections.core.peer_table import PeerTable
from rookery.actors.connections.core.trim import Mode, choose
from rookery.transport import PeerId
from tests.connections.worlds import make_link, peer_of, table


def states(of: PeerTable) -> tuple[int, int, int]:
    return (of.count(State.ELIGIBLE), of.count(State.IN_GRACE), of.count(State.PROTECTED))


# Links


def test_table_counts_a_link_from_opened_to_closed() -> None:
    link, made = make_link(1), table()
    assert made.opened(link, 0.0)
    assert (made.open, made.closing, made.has_peer(link.peer)) == (1, 0, True)
    assert made.closed(1) == link
    assert (made.open, made.closing, made.has_peer(link.peer), made.peers) == (0, 0, False, {})


def test_double_connection_and_unknown_disconnect_leave_counts_and_value_as_they_are() -> None:
    made, link = table(), make_link(1)
    made.opened(link, 0.0)
    made.tag(link.peer, "a", 7, 0.0)
    assert not made.opened(make_link(1, peer=9), 0.0)
    assert made.closed(2) is None
    assert (made.open, made.closing, made.peers[link.peer].value) == (1, 0, 7)


def test_table_knows_a_peer_until_its_last_link_is_closed() -> None:
    made, first, second = table(), make_link(1, peer=7), make_link(2, peer=7)
    made.opened(first, 0.0)
    made.opened(second, 0.0)
    made.closed(1)
    assert made.has_peer(first.peer)
    made.closed(2)
    assert not made.has_peer(first.peer)


def test_closing_link_is_in_no_other_count_and_is_not_chosen_twice() -> None:
    made, link = table(), make_link(1)
    made.opened(link, 0.0)
    assert made.begin_closing(link)
    assert not made.begin_closing(link)
    assert (made.open, made.closing, states(made)) == (0, 1, (0, 0, 0))
    made.closed(1)
    assert made.closing == 0
    assert not made.begin_closing(link)


def test_short_lived_link_counts_nowhere_and_is_there_until_it_is_closed() -> None:
    made, link = table(), make_link(1, short_lived=True)
    assert made.opened(link, 0.0)
    assert (made.open, made.closing, states(made)) == (0, 0, (0, 0, 0))
    assert made.has_peer(link.peer)
    assert made.find(1) == (made.peers[link.peer], link)
    assert not made.begin_closing(link)
    assert choose(made, 1, Mode(emergency=True, protected=True)) == ()
    assert made.closed(1) == link
    assert (made.open, made.peers) == (0, {})


# Grace


def test_link_is_in_grace_until_its_peer_was_first_seen_that_long_ago() -> None:
    made = table(grace=60)
    made.opened(make_link(1), 10.0)
    made.expire(69.9, 100)
    assert states(made) == (0, 1, 0)
    made.expire(70.0, 100)  # exactly at the boundary
    assert states(made) == (1, 0, 0)


def test_grace_belongs_to_the_first_connection_of_a_peer() -> None:
    made = table(grace=60)
    made.opened(make_link(1, peer=7), 0.0)
    made.expire(60.0, 100)
    made.opened(make_link(2, peer=7), 60.0)
    assert states(made) == (2, 0, 0)
    made.closed(1)
    made.closed(2)
    made.opened(make_link(3, peer=7), 61.0)  # it came back: anew
    assert states(made) == (0, 1, 0)


def test_settle_lets_only_so_many_grow_at_a_time_and_says_that_there_are_more() -> None:
    made = table(grace=60)
    for number in range(5):
        made.opened(make_link(number), 0.0)
    assert made.expire(60.0, 3)
    assert states(made) == (3, 2, 0)
    assert not made.expire(60.0, 3)
    assert states(made) == (5, 0, 0)


# Tags


def test_tags_add_up_and_a_tag_replaces_itself() -> None:
    made, link = table(), make_link(1)
    made.opened(link, 0.0)
    made.tag(link.peer, "a", 5, 0.0)
    made.tag(link.peer, "b", -8, 0.0)
    assert made.peers[link.peer].value == -3
    made.tag(link.peer, "a", 0, 0.0)
    assert (made.peers[link.peer].value, made.peers[link.peer].tags) == (-8, {"a": 0, "b": -8})


def test_untag_takes_the_tag_away_and_of_a_stranger_or_an_absent_tag_changes_nothing() -> None:
    made, link = table(), make_link(1)
    made.opened(link, 0.0)
    made.tag(link.peer, "a", 5, 0.0)
    assert not made.untag(peer_of(9), "a")
    assert peer_of(9) not in made.peers
    assert not made.untag(link.peer, "b")
    assert made.untag(link.peer, "a")
    assert (made.peers[link.peer].value, made.peers[link.peer].tags) == (0, {})


def test_tagging_a_stranger_makes_a_temporary_entry_that_counts_nowhere() -> None:
    made = table()
    made.tag(peer_of(1), "a", 20, 0.0)
    assert (made.temporary, made.open, made.has_peer(peer_of(1))) == (1, 0, False)
    assert made.peers[peer_of(1)].is_temporary


def test_temporary_entry_that_connects_keeps_its_tags_and_is_first_seen_then() -> None:
    made, link = table(grace=60), make_link(1)
    made.tag(link.peer, "a", 20, 0.0)
    made.opened(link, 50.0)
    entry = made.peers[link.peer]
    assert (made.temporary, entry.value, entry.first_seen, entry.is_temporary) == (0, 20, 50.0, False)
    made.expire(109.0, 100)
    assert states(made) == (0, 1, 0)


def test_C12_entries_of_strangers_end_with_their_age_whatever_the_counts() -> None:
    made = table(temporary_age=60)
    for number in range(1000):
        made.tag(peer_of(number), "a", 1, float(number // 500))
    made.expire(60.0, 10_000)
    assert made.temporary == 500
    made.expire(61.0, 10_000)
    assert (made.temporary, made.peers) == (0, {})


def test_entries_of_strangers_beyond_the_bound_push_out_the_oldest() -> None:
    gone: list[PeerId] = []
    made = table(max_temporary=2, ended=gone.append)
    for number in range(3):
        made.tag(peer_of(number), "a", 1, float(number))
    assert list(made.peers) == [peer_of(1), peer_of(2)]
    assert gone == [peer_of(0)]


def test_tags_go_with_the_last_connection_and_protections_stay() -> None:
    made, link = table(), make_link(1)
    made.opened(link, 0.0)
    made.tag(link.peer, "a", 5, 0.0)
    made.protect(link.peer, "friend")
    made.closed(1)
    again = make_link(2, peer=1)
    made.opened(again, 1.0)
    assert (made.peers[link.peer].value, made.peers[link.peer].tags) == (0, {})
    assert states(made) == (0, 0, 1)


# Protections


def test_protection_moves_the_peers_connections_out_of_the_eligible_and_back() -> None:
    made = table()
    made.opened(make_link(1, peer=7), 0.0)
    made.opened(make_link(2, peer=7), 0.0)
    made.expire(0.0, 10)
    assert states(made) == (2, 0, 0)
    made.protect(peer_of(7), "friend")
    assert states(made) == (0, 0, 2)
    made.unprotect(peer_of(7), "friend")
    assert states(made) == (2, 0, 0)


def test_protection_that_ends_in_grace_leaves_the_peer_in_grace() -> None:
    made = table(grace=60)
    made.protect(peer_of(1), "friend")
    made.opened(make_link(1), 0.0)
    made.expire(59.0, 10)
    made.unprotect(peer_of(1), "friend")
    assert states(made) == (0, 1, 0)


def test_unprotect_says_whether_something_else_protects() -> None:
    made = table()
    made.protect(peer_of(1), "a")
    made.protect(peer_of(1), "b")
    assert made.unprotect(peer_of(1), "c")  # a wrong name on a protected peer
    assert made.unprotect(peer_of(1), "a")
    assert not made.unprotect(peer_of(1), "b")
    assert not made.unprotect(peer_of(1), "b")
    assert made.protections == {}


def test_protections_are_idempotent_and_not_counted() -> None:
    made = table()
    for _ in range(4):
        made.protect(peer_of(1), "a")
    assert not made.unprotect(peer_of(1), "a")
    assert peer_of(1) not in made.protections


# Work


def test_busy_is_the_sum_and_never_below_zero() -> None:
    made = table()
    assert made.add_busy(peer_of(1), 2)
    assert made.add_busy(peer_of(1), -1)
    assert made.busy == {peer_of(1): 1}
    assert made.add_busy(peer_of(1), -1)
    assert made.busy == {}
    made.opened(make_link(1), 0.0)
    assert not made.add_busy(peer_of(1), -1)
    assert made.busy == {}
    assert made.peers[peer_of(1)].busy == 0


@pytest.mark.parametrize("secret", [b"one", b"two"])
def test_C14_equal_peers_are_ordered_by_a_keyed_hash(secret: bytes) -> None:
    made, again = table(secret=secret), table(secret=secret)
    other = table(secret=b"three")
    for each in (made, again, other):
        for number in range(40):
            each.opened(make_link(number), 0.0)

    def order(of: PeerTable) -> list[PeerId]:
        return sorted(of.peers, key=lambda id: of.peers[id].seniority)

    assert order(made) == order(again) != order(other)
    assert order(made) != sorted(made.peers, key=lambda id: id[-1])
