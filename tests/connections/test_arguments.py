"""What the mailbox of connections takes: what can mean nothing is refused in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rookery.actors import connections
from rookery.actors.connections import IsThisNode, bump, decay
from rookery.actors.connections.core.peer import MAX_WEIGHT
from rookery.runtime import Feedback
from tests.connections.worlds import Around, peer_of


@pytest.fixture
def around(simulation: Any) -> Around:
    return Around(simulation)


Asking = Callable[[connections.Mailbox, Any, str], Any]
ASKINGS: dict[str, Asking] = {
    "tag_peer": lambda conns, peer, tag: conns.tag_peer(peer, tag, 1),
    "untag_peer": lambda conns, peer, tag: conns.untag_peer(peer, tag),
    "upsert_tag": lambda conns, peer, tag: conns.upsert_tag(peer, tag, abs),
    "protect": lambda conns, peer, tag: conns.protect(peer, tag),
    "unprotect": lambda conns, peer, tag: conns.unprotect(peer, tag),
    "is_protected": lambda conns, peer, tag: conns.is_protected(peer, tag),
    "get_tag_info": lambda conns, peer, _tag: conns.get_tag_info(peer),
    "busy": lambda conns, peer, _tag: conns.busy(peer, 1),
}


@pytest.mark.parametrize("name", ASKINGS)
def test_C8_empty_peers_are_refused_at_the_door(around: Around, name: str) -> None:
    with pytest.raises(ValueError, match="a peer id is 32 bytes, not 0"):
        ASKINGS[name](around.conns, b"", "a")


@pytest.mark.parametrize("name", list(ASKINGS)[:6])
def test_C5_empty_names_are_refused_at_the_door(around: Around, name: str) -> None:
    with pytest.raises(ValueError, match="a tag is a text of 1 to 256 characters, not ''"):
        ASKINGS[name](around.conns, peer_of(1), "")


def test_weight_that_is_no_whole_number_is_refused_at_the_door(around: Around) -> None:
    for weight in (0.5, True, "1", None):
        with pytest.raises(TypeError):
            around.conns.tag_peer(peer_of(1), "a", weight)


@pytest.mark.parametrize("weight", [2**31, -(2**31), 2**64, -(10**5000)], ids=["33 bits", "below", "65 bits", "huge"])
def test_weight_of_more_than_32_bits_is_refused_wherever_it_comes_from(around: Around, weight: int) -> None:
    around.conns.tag_peer(peer_of(1), "a", 7)
    with pytest.raises(ValueError, match="a weight is from"):
        around.conns.tag_peer(peer_of(1), "a", weight)
    with pytest.raises(ValueError, match="a weight is from"):
        around.conns.upsert_tag(peer_of(1), "a", lambda _before: weight).get(timeout=1)
    decaying = around.conns.register_decaying_tag("d", 1.0, lambda *_: weight, lambda *_: weight).get(timeout=1)
    decaying.bump(peer_of(1), 1)
    with pytest.raises(ValueError, match="a weight is from"):
        decaying.bump(peer_of(1), weight)
    around.simulation.run(for_=5.0)
    info = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert info is not None
    assert (info.value, info.tags) == (7, {"a": 7})


def test_bumps_never_sum_to_a_weight_that_cannot_be_sent(around: Around) -> None:
    tag = around.conns.register_decaying_tag("d", 1.0, decay.none(), bump.sum_unbounded()).get(timeout=1)
    for _ in range(3):
        tag.bump(peer_of(1), MAX_WEIGHT)
    info = around.conns.get_tag_info(peer_of(1)).get(timeout=1)
    assert info is not None
    assert info.value == MAX_WEIGHT
    assert around.counted("application_failures_total", "decaying_tag") == 2


@pytest.mark.parametrize("tag", ["a" * 257, "a\0b", "\udcff", 7, None, b"a"])
def test_name_that_cannot_be_shown_or_sent_is_refused_at_the_door(around: Around, tag: Any) -> None:
    with pytest.raises(ValueError, match="a tag is a text"):
        around.conns.protect(peer_of(1), tag)


@pytest.mark.parametrize(
    "ask",
    [
        lambda conns: conns.trim_open_connections(-1),
        lambda conns: conns.force_trim(-1),
        lambda conns: conns.check_limit(-1),
    ],
)
def test_number_of_connections_below_0_is_refused_at_the_door(around: Around, ask: Callable[[Any], object]) -> None:
    with pytest.raises(ValueError, match="is from 0 to 2147483647, not -1"):
        ask(around.conns)


def test_node_itself_is_neither_valued_nor_protected(simulation: Any) -> None:
    around = Around(simulation, me=peer_of(9))
    tag = around.conns.register_decaying_tag("d", 1.0, decay.none(), bump.sum_unbounded()).get(timeout=1)
    for name in ("tag_peer", "untag_peer", "upsert_tag", "protect", "unprotect"):
        with pytest.raises(IsThisNode, match="is this node"):
            ASKINGS[name](around.conns, peer_of(9), "a").get(timeout=1)
    changes: list[Callable[[], Feedback]] = [lambda: tag.bump(peer_of(9), 5), lambda: tag.remove(peer_of(9))]
    for change in changes:
        with pytest.raises(IsThisNode, match="is this node"):
            change()
    assert around.counted("declined_total", "IsThisNode") == 5
    assert not around.conns.is_protected(peer_of(9)).get(timeout=1)
    assert around.conns.get_tag_info(peer_of(9)).get(timeout=1) is None
