"""The null connection manager: in the place of the real one, it does nothing and answers everything."""

from __future__ import annotations

from typing import Any

import pytest

from rookery import runtime
from rookery.actors import maintenance, tracker
from rookery.actors.connections import Counts, NullConnectionManager, TagClosed, TrimReport, bump, decay
from rookery.runtime import Feedback
from rookery.transport import mailbox as transport
from tests.connections.worlds import make_link, peer_of


@pytest.fixture
def null() -> NullConnectionManager:
    return NullConnectionManager()


def test_C9_null_manager_knows_nobody_and_says_so_as_the_real_one_does(null: NullConnectionManager) -> None:
    null.tag_peer(peer_of(1), "a", 5)
    assert null.get_tag_info(peer_of(1)).get(timeout=0) is None


def test_null_manager_takes_everything_and_keeps_nothing(null: NullConnectionManager) -> None:
    told = [
        null.busy(peer_of(1), 1),
        null.notifee().tell(transport.Opened(make_link(1))),
    ]
    assert told == [Feedback.OK] * 2
    assert null.tag_peer(peer_of(1), "a", 5).get(timeout=0) is None
    assert null.protect(peer_of(1), "a").get(timeout=0) is None
    assert not null.untag_peer(peer_of(1), "a").get(timeout=0)
    assert not null.is_protected(peer_of(1)).get(timeout=0)
    assert not null.unprotect(peer_of(1), "a").get(timeout=0)
    assert null.upsert_tag(peer_of(1), "a", lambda weight: weight + 1).get(timeout=0) == 0
    assert null.get_info().get(timeout=0).open == 0
    assert null.connections().get(timeout=0) == ()


def test_null_manager_trims_nothing_and_has_no_limit(null: NullConnectionManager) -> None:
    nothing = TrimReport(closed=(), short_by=0)
    assert null.trim_open_connections(0).get(timeout=0) == null.force_trim(0).get(timeout=0) == nothing
    assert null.check_limit(1).get(timeout=0) is None


def test_null_manager_refuses_what_the_real_one_refuses(null: NullConnectionManager) -> None:
    with pytest.raises(ValueError, match="a tag is a text of 1"):
        null.tag_peer(peer_of(1), "", 1)
    with pytest.raises(TagClosed, match="no decaying tags"):
        null.register_decaying_tag("a", 1.0, decay.none(), bump.overwrite()).get(timeout=0)


def test_null_manager_takes_the_place_of_the_real_one(simulation: Any) -> None:
    null = NullConnectionManager()
    peers, net = simulation.mock(tracker.Mailbox), simulation.mock(transport.Mailbox)
    peers.control.answer(tracker.Dialable, tracker.Candidates((), None))
    upkeep = simulation.start(maintenance.Engine, maintenance.Config(), tracker=peers, connections=null, transport=net)
    upkeep.activate()
    simulation.settle()
    listener = simulation.mock(runtime.Mailbox)
    assert null.subscribe(listener, Counts) is Feedback.OK
    assert listener.control.received() == []
