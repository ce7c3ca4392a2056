"""The decisions: peer sets, addresses, predicates, blocks, hints and the gate."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rookery.actors.tracker import CannotBlock, PeerSet, PeerSetTooLarge, StaleSetId, StaticPeer, TrackedPeers
from rookery.actors.tracker.blocks import key_of, twin_of
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Claim, Direction, Role, Ticket
from rookery.transport.identity import PeerId, curve_key
from rookery.transport.reasons import Reason
from tests.tracker.kit import (
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
    claim,
    connect,
    dialable,
    directory,
    ticket_of,
    tracking,
    where,
)

# Peer sets -----------------------------------------------------------------------------------------------------------


def test_track_when_only_inert_peers_leave_the_window_closes_nobody_and_forgets_them() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    assert d.track(2, TrackedPeers({CAROL: B}), 0.0).closes == ()
    assert d.table.get(BOB) is None
    assert dialable(d) == (CAROL,)


def test_track_when_a_connected_peer_leaves_the_window_closes_it_and_forgets_it_on_release() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    ticket = connect(d, BOB)
    assert d.track(2, TrackedPeers({}), 1.0).closes == ((BOB, Reason.NOT_TRACKED),)
    assert d.table.get(BOB) is not None
    assert d.release(ticket, Reason.NOT_TRACKED, 2.0)
    assert d.table.get(BOB) is None


def test_track_when_a_connected_peer_stays_in_the_window_keeps_it() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    connect(d, BOB)
    assert d.track(2, TrackedPeers({BOB: A}), 1.0).closes == ()


def test_track_in_mode_open_keeps_a_live_peer_that_left_as_a_secondary_and_does_not_redial_it() -> None:
    d = tracking({BOB: A}, admission="open", tracked_peer_sets=1)
    ticket = connect(d, BOB)
    assert d.role(BOB) is Role.PRIMARY
    assert d.track(2, TrackedPeers({}), 1.0).closes == ()
    assert d.role(BOB) is Role.SECONDARY
    d.release(ticket, Reason.REMOTE, 2.0)
    assert d.dialable(10, (), 1000.0) == ((), None)


def test_track_with_an_id_that_is_not_newer_is_refused_and_changes_nothing() -> None:
    d = tracking({BOB: A})
    d.track(5, TrackedPeers({BOB: A}), 0.0)
    for id in (1, 4, 5):
        with pytest.raises(StaleSetId, match="6 or more") as error:
            d.track(id, TrackedPeers({BOB: B}), 0.0)
        assert (error.value.id, error.value.newest) == (id, 5)
    assert d.window.newest == 5
    assert d.overwrite({BOB: A}, 0.0).unchanged == (BOB,)


def test_track_counts_both_roles_and_this_node_once_against_the_limit() -> None:
    d = directory(max_peers_per_set=3)
    d.track(1, TrackedPeers({BOB: A}, {CAROL: B, BOB: C}), 0.0)
    d.track(2, TrackedPeers({BOB: A, ME: B}, {CAROL: B}), 0.0)
    with pytest.raises(PeerSetTooLarge, match=r"4 peers.*allowed are 3"):
        d.track(3, TrackedPeers({BOB: A, CAROL: B}, {DAVE: C}), 0.0)
    assert d.window.newest == 2
    assert d.table.get(DAVE) is None


def test_track_with_a_peer_in_both_roles_makes_it_primary_with_the_primary_address() -> None:
    d = directory()
    d.track(1, TrackedPeers({BOB: A}, {BOB: B}), 0.0)
    record = d.table.get(BOB)
    assert record is not None
    assert (record.primary_sets, record.secondary_sets, record.address) == (1, 0, A)
    assert d.window.get(1) == PeerSet((BOB,), ())
    assert dialable(d) == (BOB,)


def test_track_demotes_a_peer_only_when_its_last_primary_set_is_evicted() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=2)
    d.track(2, TrackedPeers({}, {BOB: A}), 0.0)
    assert (d.role(BOB), d.window.all) == (Role.PRIMARY, PeerSet((BOB,), ()))
    d.track(3, TrackedPeers({}, {BOB: A}), 0.0)
    assert (d.role(BOB), d.window.all) == (Role.SECONDARY, PeerSet((), (BOB,)))
    assert dialable(d) == ()


def test_track_keeps_secondaries_until_their_set_is_evicted() -> None:
    d = directory(tracked_peer_sets=2)
    d.track(1, TrackedPeers({}, {BOB: A}), 0.0)
    d.track(2, TrackedPeers({}), 0.0)
    assert d.table.refusal(BOB, 0.0) is None
    d.track(3, TrackedPeers({}), 0.0)
    assert d.table.refusal(BOB, 0.0) is Reason.NOT_TRACKED
    assert len(d.table) == 0


def test_track_lets_the_newest_address_win_whatever_the_role() -> None:
    d = tracking({BOB: A})
    assert d.track(2, TrackedPeers({}, {BOB: B}), 0.0).moved == (BOB,)
    d.track(3, TrackedPeers({BOB: None}), 0.0)
    assert where(d, BOB) == B


def test_track_when_the_address_of_a_live_peer_changes_closes_it() -> None:
    d = tracking({BOB: A})
    ticket = connect(d, BOB)
    assert d.track(2, TrackedPeers({BOB: B}, {BOB: C}), 1.0).closes == ((BOB, Reason.ADDRESS_CHANGED),)
    d.release(ticket, Reason.ADDRESS_CHANGED, 1.0)
    assert dialable(d, 1.0) == (BOB,)


def test_track_without_an_address_keeps_the_one_that_is_known() -> None:
    d = tracking({BOB: A})
    assert d.track(2, TrackedPeers({BOB: None, CAROL: None}), 0.0).moved == ()
    assert dialable(d) == (BOB,)
    assert d.reserve(CAROL, 0.0) is Reason.UNRESOLVED


def test_track_lists_this_node_but_never_dials_accepts_or_closes_it() -> None:
    d = tracking({ME: A, BOB: B})
    assert d.window.all == PeerSet(tuple(sorted((ME, BOB))), ())
    assert dialable(d) == (BOB,)
    assert d.reserve(ME, 0.0) is Reason.SELF
    assert admit(d, ME) is Reason.SELF
    d.track(2, TrackedPeers({ME: C}), 0.0)
    assert len(d.table) == 1


def test_track_copies_what_it_is_given() -> None:
    addresses = {BOB: A}
    peers = TrackedPeers(addresses)
    addresses[CAROL] = B
    assert tuple(peers.primary) == (BOB,)


def test_window_answers_for_its_sets_only() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=2)
    d.track(5, TrackedPeers({CAROL: B}), 0.0)
    d.track(9, TrackedPeers({DAVE: C}), 0.0)
    assert d.window.get(1) is None
    assert d.window.get(2) is None
    assert d.window.get(5) == PeerSet((CAROL,), ())
    assert d.window.all == PeerSet(tuple(sorted((CAROL, DAVE))), ())


def test_seeds_are_primary_until_the_first_set() -> None:
    d = directory(source="membership")
    d.seed({BOB: A, ME: B}, 0.0)
    assert dialable(d) == (BOB,)
    d.track(1, TrackedPeers({CAROL: B}), 0.0)
    assert dialable(d) == (CAROL,)


def test_source_membership_keeps_one_set_so_that_a_member_that_is_down_is_not_dialled() -> None:
    d = directory(source="membership", admission="open")
    d.track(1, TrackedPeers({BOB: A}), 0.0)
    d.learn(KNOWN.record("bob", str(A)), 0.0)
    d.track(2, TrackedPeers({}), 0.0)
    assert dialable(d, 1000.0) == ()


# Overwrite -----------------------------------------------------------------------------------------------------------


def test_overwrite_tells_changed_unchanged_and_unknown_peers_apart() -> None:
    d = tracking({BOB: A, CAROL: B})
    connect(d, BOB)
    connect(d, CAROL)
    changes = d.overwrite({BOB: C, CAROL: B, DAVE: A, ME: A}, 0.0)
    assert (changes.changed, changes.unchanged) == ((BOB,), (CAROL,))
    assert changes.unknown == tuple(sorted((DAVE, ME)))
    assert changes.closes == ((BOB, Reason.ADDRESS_CHANGED),)


def test_overwrite_of_a_peer_that_left_every_set_is_unknown() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    connect(d, BOB)
    d.track(2, TrackedPeers({}), 0.0)
    assert d.overwrite({BOB: B}, 0.0).unknown == (BOB,)


def test_overwrite_of_a_blocked_peer_is_used_after_the_block() -> None:
    d = tracking({BOB: A})
    d.table.block(BOB, 10.0, 0.0)
    assert d.overwrite({BOB: B}, 1.0).changed == (BOB,)
    d.table.expire(10.0)
    assert where(d, BOB, 10.0) == B


def test_overwrite_makes_a_dial_under_way_stale_and_its_release_costs_nothing() -> None:
    d = tracking({BOB: A})
    ticket = ticket_of(d.reserve(BOB, 0.0))
    d.overwrite({BOB: B}, 0.0)
    assert admit(d, BOB, direction=Direction.OUT, ticket=ticket) is Reason.STALE
    d.release(ticket, Reason.STALE, 0.5)
    assert dialable(d, 0.5) == (BOB,)


def test_overwrite_back_and_forth_leaves_a_live_peer_stale() -> None:
    d = tracking({BOB: A})
    live = connect(d, BOB)
    d.overwrite({BOB: B}, 0.0)
    d.overwrite({BOB: A}, 0.0)
    assert admit(d, BOB, supersedes=live) is Reason.STALE


def test_overwrite_moves_the_ip_a_peer_is_accepted_from() -> None:
    d = tracking({BOB: A})
    d.overwrite({BOB: B}, 0.0)
    assert admit(d, BOB, "10.0.0.1") is Reason.EGRESS_IP
    assert ticket_of(admit(d, BOB, "10.0.0.2")).peer == BOB


def test_T7_claim_from_an_ipv4_mapped_ip_is_judged_as_ipv4() -> None:
    d = tracking({BOB: A})
    mapped = claim(BOB, "10.0.0.1")
    assert isinstance(d.admit(Claim(BOB, mapped.record, "::ffff:10.0.0.1", Direction.IN), 0.0), Ticket)


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
    assert d.table.get(BOB) is None
    d.track(3, TrackedPeers({BOB: None}), 5.3)
    assert admit(d, BOB, now=5.9) is Reason.COOLDOWN


def test_T11_stranger_in_mode_open_cannot_escape_its_cooldown() -> None:
    d = directory(admission="open", max_hinted_peers=1)
    d.learn(KNOWN.record("carol", str(B)), 0.0)
    d.release(ticket_of(admit(d, BOB, now=5.0)), Reason.TIMEOUT, 5.1)
    assert d.table.get(BOB) is None
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
    d.table.block(BOB, 10.0, 0.0)
    assert d.opened(BOB, 0.1) is Reason.BLOCKED


def test_opened_when_the_address_changed_meanwhile_says_to_close_it() -> None:
    d = tracking({BOB: A})
    ticket_of(d.reserve(BOB, 0.0))
    d.overwrite({BOB: B}, 0.0)
    assert d.opened(BOB, 0.1) is Reason.ADDRESS_CHANGED


# Blocks --------------------------------------------------------------------------------------------------------------


def test_block_keys_are_equal_exactly_where_the_curve_keys_are() -> None:
    assert curve_key(twin_of(BOB)) == curve_key(BOB)
    assert key_of(twin_of(BOB)) == key_of(BOB)
    assert key_of(CAROL) != key_of(BOB)
    assert curve_key(CAROL) != curve_key(BOB)


def test_block_of_one_id_holds_for_the_other_id_with_its_curve_key() -> None:
    twin = twin_of(BOB)
    d = tracking({BOB: A, twin: B})
    connect(d, twin)
    d.table.block(BOB, 10.0, 0.0)
    assert d.table.refusal(twin, 5.0) is Reason.BLOCKED
    assert d.table.same_key(BOB) == (BOB, twin)
    assert d.gate(0.0).blocked == {curve_key(BOB)}


def test_block_repeated_keeps_its_end_and_after_it_starts_anew() -> None:
    d = tracking({BOB: A})
    assert d.table.block(BOB, 10.0, 0.0) == (10.0, True)
    assert d.table.block(BOB, 99.0, 5.0) == (10.0, False)
    assert d.table.block(BOB, 10.0, 10.0) == (20.0, True)
    assert d.table.expire(15.0) == ()
    assert d.table.expire(20.0) == (BOB,)


def test_block_of_an_unknown_peer_applies_when_it_is_tracked() -> None:
    d = directory()
    d.table.block(BOB, 10.0, 0.0)
    d.track(1, TrackedPeers({BOB: A}), 1.0)
    assert d.dialable(10, (), 1.0) == ((), 10.0)
    assert dialable(d, 10.0) == (BOB,)


def test_block_outlives_the_peer_and_its_change_of_address() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    d.table.block(BOB, 10.0, 0.0)
    d.track(2, TrackedPeers({}), 1.0)
    d.track(3, TrackedPeers({BOB: B}), 2.0)
    assert d.reserve(BOB, 9.0) is Reason.BLOCKED
    assert where(d, BOB, 10.0) == B


def test_block_that_is_past_no_longer_holds_before_anybody_took_it_away() -> None:
    d = tracking({BOB: A})
    d.table.block(BOB, 10.0, 0.0)
    assert d.dialable(10, (), 10.0) == ((BOB,), None)
    assert d.table.refusal(BOB, 10.0) is None


def test_block_for_good_gives_no_hint_and_ends_by_unblock_only() -> None:
    d = tracking({BOB: A})
    d.table.block(BOB, math.inf, 0.0)
    assert d.dialable(10, (), 0.0) == ((), None)
    assert d.table.blocks.next_expiry() is None
    assert d.table.unblock(BOB, 1e9) == BOB
    assert dialable(d, 1e9) == (BOB,)


def test_unblock_of_a_peer_that_is_not_blocked_does_nothing() -> None:
    d = tracking({BOB: A})
    version = d.gate(0.0).version
    assert d.table.unblock(BOB, 0.0) is None
    assert d.gate(0.0).version == version


def test_blocks_that_end_together_expire_together() -> None:
    d = tracking({BOB: A, CAROL: B})
    d.table.block(BOB, 10.0, 0.0)
    d.table.block(CAROL, 10.0, 0.0)
    assert len(d.table.blocks) == 2
    assert set(d.table.expire(10.0)) == {BOB, CAROL}
    assert len(d.table.blocks) == 0
    assert d.gate(0.0).blocked == frozenset()


@pytest.mark.parametrize("peer", [ME, twin_of(ME)])
def test_block_of_this_node_is_refused(peer: PeerId) -> None:
    with pytest.raises(CannotBlock, match="this node"):
        tracking({BOB: A}).table.block(peer, 10.0, 0.0)


def test_block_of_an_id_that_nobody_can_own_is_refused() -> None:
    with pytest.raises(CannotBlock, match="not a valid"):
        tracking({BOB: A}).table.block(PeerId(bytes(32)), 10.0, 0.0)


# Trust ---------------------------------------------------------------------------------------------------------------


def test_trusted_peers_are_dialled_first() -> None:
    for seed in range(5):
        d = tracking({BOB: A, CAROL: B, DAVE: C}, seed=seed)
        d.table.trust(CAROL, 0.0)
        assert d.dialable(1, (), 0.0)[0] == (CAROL,)


def test_distrust_in_mode_private_closes_the_peer() -> None:
    d = tracking({BOB: A}, admission="private", trusted=(BOB,))
    connect(d, BOB)
    assert d.table.distrust(BOB, 0.0) == ((BOB, Reason.PRIVATE),)
    assert d.table.distrust(BOB, 0.0) is None


def test_static_peers_of_the_configuration_are_trusted() -> None:
    assert BOB in directory(source="static", peers=(StaticPeer(BOB, A),)).table.trusted


# The gate ------------------------------------------------------------------------------------------------------------


def test_gate_keeps_its_version_while_nothing_changes() -> None:
    d = tracking({BOB: A})
    first = d.gate(0.0)
    d.track(2, TrackedPeers({BOB: A}), 0.0)
    connect(d, BOB)
    assert d.gate(0.0) is first
    assert first.version == 1


def test_gate_registers_egress_ips_of_peers_that_may_connect() -> None:
    asymmetric = Address.parse("tcp://10.5.5.5:7000?egress=10.0.0.9")
    d = tracking({BOB: A, CAROL: asymmetric, ME: C})
    assert d.gate(0.0).registered_ips == frozenset({"10.0.0.1", "10.0.0.9"})
    d.overwrite({BOB: B}, 0.0)
    assert d.gate(0.0).registered_ips == frozenset({"10.0.0.2", "10.0.0.9"})
    d.table.block(CAROL, 10.0, 0.0)
    assert d.gate(0.0).registered_ips == frozenset({"10.0.0.2"})
    d.table.expire(10.0)
    assert d.gate(0.0).registered_ips == frozenset({"10.0.0.2", "10.0.0.9"})


def test_gate_keeps_an_ip_that_two_peers_share_until_both_are_blocked() -> None:
    d = tracking({BOB: A, CAROL: Address.parse("tcp://10.0.0.1:8000")})
    d.table.block(BOB, 10.0, 0.0)
    assert d.gate(0.0).registered_ips == frozenset({"10.0.0.1"})
    d.table.block(CAROL, 10.0, 0.0)
    assert d.gate(0.0).registered_ips == frozenset()


def test_gate_drops_the_ip_of_an_evicted_peer() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    d.track(2, TrackedPeers({CAROL: B}), 0.0)
    assert d.gate(0.0).registered_ips == frozenset({"10.0.0.2"})


def test_gate_refuses_no_ip_while_a_peer_may_come_from_anywhere() -> None:
    d = tracking({BOB: A, CAROL: Address.parse("tcp://carol.example:7000")}, tracked_peer_sets=1)
    assert d.gate(0.0).registered_ips is None
    d.track(2, TrackedPeers({BOB: A}), 0.0)
    assert d.gate(0.0).registered_ips == frozenset({"10.0.0.1"})


@pytest.mark.parametrize(
    "options", [{"admission": "open"}, {"admission": "private"}, {"check_egress_ip": False}, {"source": "membership"}]
)
def test_gate_registers_no_ips_where_strangers_may_come_or_ips_are_not_checked(options: dict[str, Any]) -> None:
    assert tracking({BOB: A}, **options).gate(0.0).registered_ips is None


@pytest.mark.parametrize("admission", ["open", "tracked"])
def test_gate_restricts_packets_to_nobody_unless_private(admission: str) -> None:
    assert tracking({BOB: A}, admission=admission, trusted=(CAROL,)).gate(0.0).packets is None


def test_gate_of_a_private_node_exchanges_packets_with_the_trusted_only() -> None:
    d = tracking({BOB: A}, admission="private", trusted=(CAROL,))
    first = d.gate(0.0)
    assert first.packets == frozenset({curve_key(CAROL)})
    d.table.trust(BOB, 0.0)
    assert d.gate(0.0).packets == frozenset({curve_key(BOB), curve_key(CAROL)})
    assert d.gate(0.0).version == first.version + 1
    d.table.distrust(BOB, 0.0)
    assert d.gate(0.0).packets == frozenset({curve_key(CAROL)})


def test_gate_leaves_out_private_egress_ips_where_they_are_not_allowed() -> None:
    public = Address.parse("tcp://8.8.8.8:7000")
    d = tracking({BOB: A, CAROL: public}, allow_private_ips=False)
    assert d.gate(0.0).registered_ips == frozenset({"8.8.8.8"})
    assert d.table.get(BOB) is not None


def test_overwrite_with_the_address_a_peer_told_itself_lets_it_come_from_there_only() -> None:
    d = directory()
    d.track(1, TrackedPeers({BOB: None}), 0.0)
    d.learn(KNOWN.record("bob", str(A)), 0.0)
    assert d.gate(0.0).registered_ips is None
    assert d.overwrite({BOB: A}, 0.0).unchanged == (BOB,)
    assert d.gate(0.0).registered_ips == {"10.0.0.1"}
