"""Hints, and the peers that no set lists: what is believed, and why no liar can fill it."""

from __future__ import annotations

import pytest

from rookery.actors.tracker import TrackedPeers
from rookery.actors.tracker.core.directory import Directory, Learned
from rookery.actors.tracker.core.unlisted_peers import network_number, network_of
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Ticket
from rookery.transport.identity import PeerId
from rookery.transport.reasons import Reason
from tests.tracker.core.kit import (
    BOB,
    CAROL,
    DAVE,
    KNOWN,
    NAMES,
    A,
    B,
    C,
    admit,
    connect,
    dialable,
    directory,
    ticket_of,
    tracking,
    where,
)

LIAR = CAROL


def invented(number: int, *, network: int = 0) -> tuple[str, str]:
    """The name and address of a peer that nobody ever saw."""
    return f"invented {number}", f"tcp://10.{number >> 8}.{network or number & 255}.1:7000"


def hint(d: Directory, name: str, address: str, source: PeerId | None = None, now: float = 0.0) -> Learned:
    return d.learn(KNOWN.record(name, address), now, source)


def prove(d: Directory, name: str, address: str, now: float = 0.0) -> None:
    """Connect to a hinted peer once, and end it well."""
    peer = KNOWN.identity(name).peer
    ticket = ticket_of(d.reserve(peer, now))
    d.opened(peer, now, KNOWN.record(name, address, generation=2))
    d.release(ticket, Reason.REMOTE, now)


def test_hint_never_changes_an_address_that_was_given() -> None:
    d = tracking({BOB: A})
    d.learn(KNOWN.record("bob", str(B), generation=9), 0.0)
    assert where(d, BOB, 0.0) == A


def test_hint_changes_a_given_address_where_the_configuration_says_so_and_the_record_is_newer() -> None:
    d = tracking({BOB: A}, learn_addresses=True)
    assert d.learn(KNOWN.record("bob", str(B), generation=9), 0.0)
    assert not d.learn(KNOWN.record("bob", str(C), generation=9), 0.0)
    assert not d.learn(KNOWN.record("bob", str(C), generation=8), 0.0)
    assert where(d, BOB, 0.0) == B


def test_hint_gives_a_tracked_peer_without_an_address_one_and_closes_no_link() -> None:
    d = directory()
    d.track(1, TrackedPeers({BOB: None}), 0.0)
    d.learn(KNOWN.record("bob", str(B)), 0.0)
    live = connect(d, BOB)
    d.learn(KNOWN.record("bob", str(C), generation=2), 0.0)
    assert isinstance(admit(d, BOB, "10.0.0.3", supersedes=live), Ticket)


def test_hint_never_lowers_trust() -> None:
    d = directory(admission="open", trusted=(BOB,))
    d.learn(KNOWN.record("bob", str(A)), 0.0)
    assert BOB in d.peers.trusted


def test_hint_about_this_node_or_a_blocked_peer_is_ignored() -> None:
    d = directory(admission="open")
    d.peers.block(BOB, 10.0, 0.0)
    assert not d.learn(KNOWN.record("me", str(A)), 0.0)
    assert not d.learn(KNOWN.record("bob", str(A)), 0.0)
    assert len(d.peers) == 0


def test_hints_beyond_the_bound_push_out_only_who_missed() -> None:
    d = directory(admission="open", max_hinted_peers=2)
    assert d.learn(KNOWN.record("bob", str(A)), 0.0)
    assert d.learn(KNOWN.record("carol", str(B)), 0.0)
    assert not d.learn(KNOWN.record("dave", str(C)), 0.0)
    d.release(ticket_of(d.reserve(CAROL, 0.0)), Reason.UNREACHABLE, 0.0)
    assert d.learn(KNOWN.record("dave", str(C)), 0.0)
    assert dialable(d, 100.0) == tuple(sorted((BOB, DAVE)))
    assert len(d.peers.unlisted) == 2


def test_hints_never_push_out_a_trusted_peer() -> None:
    d = directory(admission="open", max_hinted_peers=1, trusted=(BOB,))
    d.learn(KNOWN.record("bob", str(A)), 0.0)
    d.release(ticket_of(d.reserve(BOB, 0.0)), Reason.UNREACHABLE, 0.0)
    assert not d.learn(KNOWN.record("dave", str(C)), 0.0)


def test_stranger_that_connects_in_mode_open_becomes_a_candidate_afterwards() -> None:
    d = directory(admission="open")
    ticket = ticket_of(admit(d, BOB))
    d.opened(BOB, 0.0, KNOWN.record("bob", str(A)))
    d.release(ticket, Reason.REMOTE, 1.0)
    assert dialable(d, 100.0) == (BOB,)


# Bounds --------------------------------------------------------------------------------------------------------------


def test_P13_liar_that_invents_peers_fills_its_share_and_no_more() -> None:
    d = directory(admission="open", max_hinted_peers=100, max_hinted_per_source=10)
    results = [hint(d, *invented(number), source=LIAR) for number in range(50)]
    assert results == [Learned.LEARNED] * 10 + [Learned.SOURCE_FULL] * 40
    assert hint(d, "bob", "tcp://10.200.0.1:7000", source=DAVE) is Learned.LEARNED


def test_P13_many_liars_cannot_fill_the_unlisted_with_one_subnet() -> None:
    d = directory(admission="open", max_hinted_peers=100, max_hinted_per_subnet=5)
    liars = [PeerId(bytes([number]) * 32) for number in range(20)]
    results = [hint(d, *invented(number, network=7), source=liar) for number, liar in enumerate(liars)]
    assert results.count(Learned.LEARNED) == 5
    assert results.count(Learned.SUBNET_FULL) == 15


def test_P13_names_count_as_networks_too() -> None:
    d = directory(admission="open", max_hinted_per_subnet=2)
    results = [hint(d, f"invented {number}", f"tcp://liar.example:{7000 + number}") for number in range(3)]
    assert results == [Learned.LEARNED, Learned.LEARNED, Learned.SUBNET_FULL]


def test_P13_invented_peers_are_dialled_last_and_evicted_first() -> None:
    d = directory(admission="open", max_hinted_peers=3)
    hint(d, "bob", str(A))
    prove(d, "bob", str(A))
    for number in range(2):
        hint(d, *invented(number), source=LIAR)
    assert d.dialable(1, (), 100.0)[0] == (BOB,)
    fake = KNOWN.identity("invented 0").peer
    d.release(ticket_of(d.reserve(fake, 100.0)), Reason.UNREACHABLE, 100.0)
    d.release(ticket_of(d.reserve(BOB, 100.0)), Reason.UNREACHABLE, 99.0)
    assert hint(d, "dave", str(C), now=101.0) is Learned.LEARNED
    assert d.peers.get(fake) is None
    assert d.peers.get(BOB) is not None


def test_P13_peer_that_really_connects_takes_the_place_of_an_invented_one() -> None:
    d = directory(admission="open", max_hinted_peers=2)
    for number in range(2):
        hint(d, *invented(number), source=LIAR)
    assert hint(d, "bob", str(A), source=DAVE) is Learned.BOOK_FULL
    ticket = ticket_of(admit(d, BOB))
    d.opened(BOB, 0.0, KNOWN.record("bob", str(A)))
    d.release(ticket, Reason.REMOTE, 1.0)
    assert d.peers.get(KNOWN.identity("invented 0").peer) is None
    assert BOB in dialable(d, 100.0)


def test_peer_that_was_connected_to_no_longer_counts_against_who_named_it() -> None:
    d = directory(admission="open", max_hinted_per_source=1, max_hinted_per_subnet=1)
    assert hint(d, "bob", str(A), source=DAVE) is Learned.LEARNED
    assert hint(d, "carol", str(B), source=DAVE) is Learned.SOURCE_FULL
    prove(d, "bob", str(A))
    assert hint(d, "carol", str(B), source=DAVE) is Learned.LEARNED


def test_source_at_its_bound_loses_first_what_missed() -> None:
    d = directory(admission="open", max_hinted_per_source=2)
    for number in range(2):
        hint(d, *invented(number), source=LIAR)
    missed = KNOWN.identity("invented 1").peer
    d.release(ticket_of(d.reserve(missed, 0.0)), Reason.UNREACHABLE, 0.0)
    assert hint(d, *invented(2), source=LIAR) is Learned.LEARNED
    assert d.peers.get(missed) is None
    assert hint(d, *invented(3), source=LIAR) is Learned.SOURCE_FULL


def test_peer_that_is_being_connected_to_is_never_pushed_out() -> None:
    d = directory(admission="open", max_hinted_peers=1)
    hint(d, "bob", str(A))
    d.release(ticket_of(d.reserve(BOB, 0.0)), Reason.UNREACHABLE, 0.0)
    ticket_of(d.reserve(BOB, 100.0))
    assert hint(d, "dave", str(C), now=100.0) is Learned.BOOK_FULL


def test_P12_trusted_peer_is_taken_in_and_kept_whatever_is_full() -> None:
    d = directory(admission="open", max_hinted_peers=1, trusted=(BOB, DAVE))
    for name, address in (("bob", A), ("dave", C)):
        assert hint(d, name, str(address), source=LIAR) is Learned.LEARNED
    d.release(ticket_of(d.reserve(BOB, 0.0)), Reason.UNREACHABLE, 0.0)
    assert hint(d, "carol", str(B)) is Learned.BOOK_FULL
    assert {BOB, DAVE} <= set(dialable(d, 1000.0))


def test_peer_cannot_move_into_a_subnet_that_is_full() -> None:
    d = directory(admission="open", max_hinted_per_subnet=1)
    hint(d, "bob", "tcp://10.0.7.1:7000")
    hint(d, "carol", "tcp://10.0.8.1:7000")
    assert d.learn(KNOWN.record("carol", "tcp://10.0.7.2:7000", generation=2), 0.0) is Learned.SUBNET_FULL
    assert d.learn(KNOWN.record("bob", "tcp://10.0.7.2:7000", generation=2), 0.0) is Learned.LEARNED


def test_listed_peers_count_against_no_bound() -> None:
    d = directory(max_hinted_peers=1, max_hinted_per_subnet=1)
    d.track(1, TrackedPeers({BOB: None, CAROL: None, DAVE: None}), 0.0)
    for peer, address in ((BOB, A), (CAROL, B), (DAVE, C)):
        assert hint(d, NAMES[peer], str(address), source=LIAR) is Learned.LEARNED
    assert len(d.peers.unlisted) == 0


def test_P8_hint_changes_neither_trust_nor_the_block_of_the_peer_it_names() -> None:
    d = directory(admission="open", trusted=(BOB,))
    hint(d, "bob", str(A), source=LIAR)
    assert BOB in d.peers.trusted
    d.peers.block(DAVE, 10.0, 0.0)
    assert hint(d, "dave", str(C), source=LIAR) is Learned.BLOCKED
    assert d.rules.refusal(DAVE, d.peers.get(DAVE), 0.0) is Reason.BLOCKED


def test_hint_of_an_address_on_a_blocked_ip_is_refused() -> None:
    d = directory(admission="open")
    ip = A.endpoint.ip
    assert ip is not None
    d.peers.block(ip, 10.0, 0.0)
    assert hint(d, "bob", str(A)) is Learned.BLOCKED
    assert hint(d, "bob", str(B)) is Learned.LEARNED


def test_hint_without_an_address_is_of_no_use_for_who_is_not_listed() -> None:
    d = directory(admission="open")
    record = KNOWN.record("bob", str(A))
    nowhere = type(record).sign(KNOWN.identity("bob"), network=record.network, address=None, generation=1)
    assert d.learn(nowhere, 0.0) is Learned.NO_ADDRESS


def test_claim_whose_handshake_never_ends_leaves_nothing_behind() -> None:
    d = directory(admission="open")
    ticket = admit(d, BOB)
    assert isinstance(ticket, Ticket)
    d.release(ticket, Reason.TIMEOUT, 5.0)
    assert len(d.peers) == len(d.peers.unlisted) == 0


@pytest.mark.parametrize("text", ["10.0.0.0/8", "10.0.0.0/25", "2001:db8::/32", "2001:db8::/64"])
def test_network_of_another_size_than_is_counted_by_is_refused(text: str) -> None:
    from ipaddress import ip_network

    with pytest.raises(ValueError, match=r"allowed are /24 of IPv4 and /48 of IPv6"):
        network_number(ip_network(text))


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("tcp://10.1.2.3:7000", "10.1.2.0/24"),
        ("tcp://[2001:db8:7:1::5]:7000", "2001:db8:7::/48"),
        ("tcp://[::ffff:10.1.2.3]:7000", "10.1.2.0/24"),
        ("tcp://[::1]:7000", "::/48"),
    ],
)
def test_network_of_an_address_is_the_number_of_its_subnet(text: str, network: str) -> None:
    from ipaddress import ip_network

    assert network_of(Address.parse(text)) == network_number(ip_network(network))
