"""The decisions about peer sets, addresses and overwrites."""

from __future__ import annotations

from typing import Any

import pytest

from rookery.actors.tracker import PeerSet, PeerSetTooLarge, StaleSetId, TrackedPeers
from rookery.actors.tracker.core.directory import Directory
from rookery.transport.address import Address
from rookery.transport.gatekeeper import Claim, Direction, Role, Ticket
from rookery.transport.reasons import Reason
from rookery.transport.record import PeerRecord
from tests.tracker.core.kit import (
    BOB,
    CAROL,
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
    assert d.peers.get(BOB) is None
    assert dialable(d) == (CAROL,)


def test_track_when_a_connected_peer_leaves_the_window_closes_it_and_forgets_it_on_release() -> None:
    d = tracking({BOB: A}, tracked_peer_sets=1)
    ticket = connect(d, BOB)
    assert d.track(2, TrackedPeers({}), 1.0).closes == ((BOB, Reason.NOT_TRACKED),)
    assert d.peers.get(BOB) is not None
    assert d.release(ticket, Reason.NOT_TRACKED, 2.0)
    assert d.peers.get(BOB) is None


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
    assert d.peers.get(DAVE) is None


def test_track_with_a_peer_in_both_roles_makes_it_primary_with_the_primary_address() -> None:
    d = directory()
    d.track(1, TrackedPeers({BOB: A}, {BOB: B}), 0.0)
    record = d.peers.get(BOB)
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
    assert d.rules.refusal(BOB, d.peers.get(BOB), 0.0) is None
    d.track(3, TrackedPeers({}), 0.0)
    assert d.rules.refusal(BOB, d.peers.get(BOB), 0.0) is Reason.NOT_TRACKED
    assert len(d.peers) == 0


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
    assert len(d.peers) == 1


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


# Who says where a peer is --------------------------------------------------------------------------------------------

OLD, NEW, SAME = (KNOWN.record("bob", str(at), generation=life) for at, life in ((A, 1), (B, 2), (B, 1)))


def by_membership(record: PeerRecord, **options: Any) -> Directory:
    """A tracker that the membership feeds, connected to bob."""
    d = directory(source="membership", admission="open", **options)
    d.track(1, TrackedPeers({BOB: record}), 0.0)
    connect(d, BOB)
    return d


@pytest.mark.parametrize("moved", [NEW, SAME], ids=["newer", "same generation"])
@pytest.mark.parametrize("order", ["set", "shown", "hint, set", "set, hint", "shown, set", "set, shown"])
def test_connected_member_whose_own_record_moves_it_stays_connected_whatever_is_heard_first(
    moved: PeerRecord, order: str
) -> None:
    d = by_membership(OLD)
    for what in order.split(", "):
        if what == "set":
            assert d.track(d.window.newest + 1, TrackedPeers({BOB: moved}), 0.0).closes == ()  # type: ignore[operator]
        elif what == "hint":
            d.learn(moved, 0.0)
        else:  # it is back before the end of its last life was noticed
            ticket_of(admit(d, BOB, "10.0.0.2", 5.0, supersedes=d.peers.make(BOB).hold.ticket))  # type: ignore[union-attr]
            assert d.opened(BOB, 5.0, moved) is None
    record = d.peers.make(BOB)
    assert (record.address, record.signed, record.stale) == (B, moved, False)
    assert d.is_held(BOB)


def test_member_that_moves_is_dialled_there_at_once_though_it_was_missed_where_it_was() -> None:
    d = directory(source="membership", admission="open", backoff_initial=100.0)
    d.track(1, TrackedPeers({BOB: OLD}), 0.0)
    d.release(ticket_of(d.reserve(BOB, 0.0)), Reason.UNREACHABLE, 0.0)
    assert dialable(d) == ()
    assert d.track(2, TrackedPeers({BOB: NEW}), 0.0).moved == (BOB,)
    assert where(d, BOB) == B


def test_older_record_in_a_set_moves_the_member_but_is_not_remembered_as_its_newest() -> None:
    d = by_membership(NEW)
    assert d.track(2, TrackedPeers({BOB: OLD}), 0.0).closes == ()
    record = d.peers.make(BOB)
    assert (record.address, record.signed) == (A, NEW)


@pytest.mark.parametrize(("learns", "address"), [(False, C), (True, B)])
def test_address_that_an_operator_gave_outlives_sets_of_the_membership_unless_addresses_are_learned(
    learns: bool, address: Address
) -> None:
    d = by_membership(OLD, learn_addresses=learns)
    ticket = d.peers.make(BOB).hold.ticket  # type: ignore[union-attr]
    assert d.overwrite({BOB: C}, 0.0).closes == ((BOB, Reason.ADDRESS_CHANGED),)
    d.release(ticket, Reason.ADDRESS_CHANGED, 0.0)
    assert d.track(2, TrackedPeers({BOB: OLD}), 0.0).moved == ()
    assert where(d, BOB) == C
    assert d.track(3, TrackedPeers({BOB: NEW}), 0.0).closes == ()
    assert d.peers.make(BOB).address == address


@pytest.mark.parametrize("how", ["track", "overwrite"])
def test_operator_who_gives_the_address_that_the_connected_peer_says_itself_closes_nobody(how: str) -> None:
    d = tracking({BOB: A}, check_egress_ip=False)
    ticket_of(admit(d, BOB, "10.0.0.2"))
    assert d.opened(BOB, 0.0, NEW) is None
    if how == "track":
        tracked = d.track(2, TrackedPeers({BOB: B}), 0.0)
        assert (tracked.moved, tracked.closes) == ((BOB,), ())
    else:
        changes = d.overwrite({BOB: B}, 0.0)
        assert (changes.changed, changes.closes) == ((BOB,), ())
    record = d.peers.make(BOB)
    assert (record.address, record.given, record.stale) == (B, True, False)
    assert d.overwrite({BOB: A}, 0.0).closes == ((BOB, Reason.ADDRESS_CHANGED),)


def test_operator_who_gives_the_address_of_a_hint_makes_a_dial_under_way_stale() -> None:
    d = tracking({BOB: A})
    d.reserve(BOB, 0.0)
    d.learn(NEW, 0.0)
    assert d.overwrite({BOB: B}, 0.0).closes == ((BOB, Reason.ADDRESS_CHANGED),)


def test_seed_that_says_where_it_is_stays_connected_when_the_first_set_lists_it_there() -> None:
    d = directory(source="membership", admission="open")
    d.seed({BOB: A}, 0.0)
    ticket_of(d.reserve(BOB, 0.0))
    assert d.opened(BOB, 0.0, NEW) is None
    assert d.peers.make(BOB).address == B
    assert d.track(1, TrackedPeers({BOB: NEW}), 0.0).closes == ()


def test_seed_that_tells_nobody_where_it_is_can_be_dialled_where_the_operator_says() -> None:
    d = directory(source="membership", admission="open")
    d.seed({BOB: A}, 0.0)
    concealed = PeerRecord.sign(KNOWN.identity("bob"), network="test", address=None, generation=2)
    ticket = ticket_of(d.reserve(BOB, 0.0))
    assert d.opened(BOB, 0.0, concealed) is None
    d.release(ticket, Reason.REMOTE, 1.0)
    assert where(d, BOB, 10.0) == A


def test_peer_cannot_be_listed_with_the_record_of_another() -> None:
    with pytest.raises(ValueError, match=r"listed with the record of \w+: allowed is its own"):
        TrackedPeers({CAROL: OLD})


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
    d.peers.block(BOB, 10.0, 0.0)
    assert d.overwrite({BOB: B}, 1.0).changed == (BOB,)
    d.peers.expire(10.0)
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
