"""The decisions about tickets, trust and the gate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors.tracker import StaticPeer, TrackedPeers
from rookery.actors.tracker.core.directory import Directory
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Direction, Ticket
from rookery.transport.identity import curve_key
from rookery.transport.reasons import Reason
from tests.tracker.core.kit import (
    BOB,
    CAROL,
    COOLDOWN,
    DAVE,
    KNOWN,
    ME,
    A,
    B,
    C,
    admit,
    connect,
    dialable,
    directory,
    ticket_of,
    tracking,
)

# Reservations --------------------------------------------------------------------------------------------------------


def test_admit_of_our_own_dial_gives_its_ticket_again() -> None:
    d = tracking({BOB: A})
    ticket = ticket_of(d.reserve(BOB, 0.0))
    assert admit(d, BOB, direction=Direction.OUT, ticket=ticket) == ticket


def test_T6_claim_of_a_peer_that_was_evicted_meanwhile_is_refused_before_its_link_opens() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    ticket = ticket_of(d.reserve(BOB, 0.0))
    d.track(2, TrackedPeers({}), 0.0)
    assert admit(d, BOB, direction=Direction.OUT, ticket=ticket) is Reason.NOT_TRACKED


def test_T10_inbound_claim_within_the_cooldown_is_refused_at_the_verdict() -> None:
    d = tracking({BOB: A})
    d.release(ticket_of(admit(d, BOB, now=5.0)), Reason.TIMEOUT, 5.1)
    assert admit(d, BOB, now=5.0 + COOLDOWN - 0.01) is Reason.COOLDOWN
    assert d.reserve(BOB, 5.5) is Reason.COOLDOWN
    assert isinstance(admit(d, BOB, now=5.0 + COOLDOWN), Ticket)


def test_T11_cooldown_and_backoff_survive_that_a_peer_is_forgotten_and_comes_back() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    d.release(ticket_of(admit(d, BOB, now=5.0)), Reason.TIMEOUT, 5.1)
    d.track(2, TrackedPeers({}), 5.2)
    assert d.peers.get(BOB) is None
    d.track(3, TrackedPeers({BOB: None}), 5.3)
    assert admit(d, BOB, now=5.9) is Reason.COOLDOWN


def test_T11_stranger_in_mode_open_cannot_escape_its_cooldown() -> None:
    d = directory(admission="open", max_hinted_peers=1)
    d.learn(KNOWN.record("carol", str(B)), 0.0)
    d.release(ticket_of(admit(d, BOB, now=5.0)), Reason.TIMEOUT, 5.1)
    assert d.peers.get(BOB) is None
    assert admit(d, BOB, now=5.5) is Reason.COOLDOWN


def test_dial_is_refused_while_it_backs_off_and_listed_when_that_is_over() -> None:
    d = tracking({BOB: A})
    d.release(ticket_of(d.reserve(BOB, 10.0)), Reason.UNREACHABLE, 10.0)
    assert d.reserve(BOB, 10.0) is Reason.COOLDOWN
    peers, next_at = d.dialable(10, (), 10.0)
    assert peers == ()
    assert next_at is not None
    assert 10.0 < next_at <= 11.0
    assert dialable(d, next_at) == (BOB,)


def test_dialable_when_connections_are_short_does_not_let_a_lost_peer_rest() -> None:
    d = tracking({BOB: A})
    d.release(connect(d, BOB, 0.0), Reason.LOST, 10.0)
    assert d.dialable(10, (), 11.0) == ((), 70.0)
    assert d.dialable(10, (), 11.0, urgent=True)[0] == (BOB,)
    assert isinstance(ticket_of(d.reserve(BOB, 11.0)), Ticket)


def test_inbound_claim_is_not_held_up_by_our_own_failed_dial() -> None:
    d = tracking({BOB: A})
    d.release(ticket_of(d.reserve(BOB, 0.0)), Reason.UNREACHABLE, 0.0)
    assert isinstance(admit(d, BOB, now=0.0), Ticket)


def test_claim_that_supersedes_our_dial_takes_the_reservation_over_and_the_late_release_is_void() -> None:
    d = tracking({BOB: A})
    dial = ticket_of(d.reserve(BOB, 0.0))
    assert admit(d, BOB) is Reason.DUPLICATE
    claimed = ticket_of(admit(d, BOB, supersedes=dial))
    assert claimed.id != dial.id
    assert not d.release(dial, Reason.SUPERSEDED, 0.1)
    assert d.opened(BOB, 0.2) is None
    assert d.release(claimed, Reason.REMOTE, 1.0)
    assert not d.is_held(BOB)


def test_superseding_claim_that_dies_leaves_the_live_link_its_reservation() -> None:
    d = tracking({BOB: A})
    live = connect(d, BOB)
    claimed = ticket_of(admit(d, BOB, supersedes=live))
    assert d.release(claimed, Reason.TIMEOUT, 1.0)
    assert d.is_held(BOB)
    assert d.held == 1
    assert d.release(live, Reason.REMOTE, 2.0)
    assert d.held == 0


def test_opened_when_the_peer_was_blocked_meanwhile_says_to_close_it() -> None:
    d = tracking({BOB: A})
    ticket_of(d.reserve(BOB, 0.0))
    d.peers.block(BOB, 10.0, 0.0)
    assert d.opened(BOB, 0.1) is Reason.BLOCKED


def test_opened_when_the_address_changed_meanwhile_says_to_close_it() -> None:
    d = tracking({BOB: A})
    ticket_of(d.reserve(BOB, 0.0))
    d.overwrite({BOB: B}, 0.0)
    assert d.opened(BOB, 0.1) is Reason.ADDRESS_CHANGED


# Trust ---------------------------------------------------------------------------------------------------------------


def test_trusted_peers_are_dialled_first() -> None:
    for seed in range(5):
        d = tracking({BOB: A, CAROL: B, DAVE: C}, seed=seed)
        d.peers.trust(CAROL, 0.0)
        assert d.dialable(1, (), 0.0)[0] == (CAROL,)


def test_distrust_in_mode_private_closes_the_peer() -> None:
    d = tracking({BOB: A}, admission="private", trusted=(BOB,))
    connect(d, BOB)
    assert d.peers.distrust(BOB, 0.0) == ((BOB, Reason.PRIVATE),)
    assert d.peers.distrust(BOB, 0.0) is None


def test_static_peers_of_the_configuration_are_trusted() -> None:
    assert BOB in directory(source="static", peers=(StaticPeer(BOB, A),)).peers.trusted


# The gate ------------------------------------------------------------------------------------------------------------


def test_gate_keeps_its_version_while_nothing_changes() -> None:
    d = tracking({BOB: A})
    first = d.peers.gate(0.0)
    d.track(2, TrackedPeers({BOB: A}), 0.0)
    connect(d, BOB)
    assert d.peers.gate(0.0) is first
    assert first.version == 1


def _track_again(d: Directory) -> None:
    d.track(2, TrackedPeers({BOB: A}), 0.0)


def _block_and_unblock(d: Directory) -> None:
    d.peers.block(CAROL, 10.0, 0.0)
    d.peers.unblock(CAROL, 0.0)


def _block_for_longer(d: Directory) -> None:
    d.peers.restore_block(DAVE, 50.0)


def _trust_and_distrust(d: Directory) -> None:
    d.peers.trust(CAROL, 0.0)
    d.peers.distrust(CAROL, 0.0)


def _trust_where_it_restricts_nobody(d: Directory) -> None:
    d.peers.trust(CAROL, 0.0)


def _move_away_and_back(d: Directory) -> None:
    d.overwrite({BOB: B}, 0.0)
    d.overwrite({BOB: A}, 0.0)


EQUAL = [
    _track_again,
    _block_and_unblock,
    _block_for_longer,
    _trust_and_distrust,
    _trust_where_it_restricts_nobody,
    _move_away_and_back,
]


@pytest.mark.parametrize("with_advice", [False, True])
@pytest.mark.parametrize("happens", EQUAL)
def test_gate_of_equal_content_keeps_its_version(happens: Callable[[Directory], None], with_advice: bool) -> None:
    d = tracking({BOB: A})
    d.peers.block(DAVE, 10.0, 0.0)
    connect(d, BOB)  # who was seen lately is named to those who are turned away
    before = d.peers.gate(0.0, with_advice=True)
    happens(d)
    assert d.peers.gate(0.0, with_advice=with_advice) is before


def test_gate_after_equal_content_still_follows_the_next_change() -> None:
    d = tracking({BOB: A})
    before = d.peers.gate(0.0, with_advice=True)
    _block_and_unblock(d)
    d.peers.gate(0.0, with_advice=True)
    d.peers.block(CAROL, 10.0, 0.0)
    d.overwrite({BOB: B}, 0.0)
    gate = d.peers.gate(0.0)
    assert (gate.version, gate.blocked, gate.registered_ips) == (
        before.version + 1,
        frozenset({curve_key(CAROL)}),
        {"10.0.0.2"},
    )


def test_gate_registers_egress_ips_of_peers_that_may_connect() -> None:
    asymmetric = Address.parse("tcp://10.5.5.5:7000?egress=10.0.0.9")
    d = tracking({BOB: A, CAROL: asymmetric, ME: C})
    assert d.peers.gate(0.0).registered_ips == frozenset({"10.0.0.1", "10.0.0.9"})
    d.overwrite({BOB: B}, 0.0)
    assert d.peers.gate(0.0).registered_ips == frozenset({"10.0.0.2", "10.0.0.9"})
    d.peers.block(CAROL, 10.0, 0.0)
    assert d.peers.gate(0.0).registered_ips == frozenset({"10.0.0.2"})
    d.peers.expire(10.0)
    assert d.peers.gate(0.0).registered_ips == frozenset({"10.0.0.2", "10.0.0.9"})


def test_gate_keeps_an_ip_that_two_peers_share_until_both_are_blocked() -> None:
    d = tracking({BOB: A, CAROL: Address.parse("tcp://10.0.0.1:8000")})
    d.peers.block(BOB, 10.0, 0.0)
    assert d.peers.gate(0.0).registered_ips == frozenset({"10.0.0.1"})
    d.peers.block(CAROL, 10.0, 0.0)
    assert d.peers.gate(0.0).registered_ips == frozenset()


def test_gate_drops_the_ip_of_an_evicted_peer() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    d.track(2, TrackedPeers({CAROL: B}), 0.0)
    assert d.peers.gate(0.0).registered_ips == frozenset({"10.0.0.2"})


def test_gate_refuses_no_ip_while_a_peer_may_come_from_anywhere() -> None:
    d = tracking({BOB: A, CAROL: Address.parse("tcp://carol.example:7000")}, tracked_peer_sets=1)
    assert d.peers.gate(0.0).registered_ips is None
    d.track(2, TrackedPeers({BOB: A}), 0.0)
    assert d.peers.gate(0.0).registered_ips == frozenset({"10.0.0.1"})


@pytest.mark.parametrize(
    "options", [{"admission": "open"}, {"admission": "private"}, {"check_egress_ip": False}, {"source": "membership"}]
)
def test_gate_registers_no_ips_where_strangers_may_come_or_ips_are_not_checked(options: dict[str, Any]) -> None:
    assert tracking({BOB: A}, **options).peers.gate(0.0).registered_ips is None


@pytest.mark.parametrize("admission", ["open", "tracked"])
def test_gate_restricts_packets_to_nobody_unless_private(admission: str) -> None:
    assert tracking({BOB: A}, admission=admission, trusted=(CAROL,)).peers.gate(0.0).packets is None


def test_gate_of_a_private_node_exchanges_packets_with_the_trusted_only() -> None:
    d = tracking({BOB: A}, admission="private", trusted=(CAROL,))
    first = d.peers.gate(0.0)
    assert first.packets == frozenset({curve_key(CAROL)})
    d.peers.trust(BOB, 0.0)
    assert d.peers.gate(0.0).packets == frozenset({curve_key(BOB), curve_key(CAROL)})
    assert d.peers.gate(0.0).version == first.version + 1
    d.peers.distrust(BOB, 0.0)
    assert d.peers.gate(0.0).packets == frozenset({curve_key(CAROL)})


def test_gate_leaves_out_private_egress_ips_where_they_are_not_allowed() -> None:
    public = Address.parse("tcp://8.8.8.8:7000")
    d = tracking({BOB: A, CAROL: public}, allow_private_ips=False)
    assert d.peers.gate(0.0).registered_ips == frozenset({"8.8.8.8"})
    assert d.peers.get(BOB) is not None


def test_overwrite_with_the_address_a_peer_told_itself_lets_it_come_from_there_only() -> None:
    d = directory()
    d.track(1, TrackedPeers({BOB: None}), 0.0)
    d.learn(KNOWN.record("bob", str(A)), 0.0)
    assert d.peers.gate(0.0).registered_ips is None
    assert d.overwrite({BOB: A}, 0.0).unchanged == (BOB,)
    assert d.peers.gate(0.0).registered_ips == {"10.0.0.1"}
