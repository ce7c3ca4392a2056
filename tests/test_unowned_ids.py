"""An id that nobody can own has one answer, wherever code gives it: ValueError, at the call."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest

from rookery import runtime
from rookery.actors import blobs, connections, discovery, maintenance, membership, resolver, tracker
from rookery.runtime.settings import SettingsError
from rookery.transport import Address, PeerId

SMALL_ORDER, OFF_THE_CURVE = PeerId(bytes(32)), PeerId(b"\2" + bytes(31))
ADDRESS = Address.parse("tcp://10.0.0.1:7000")
MAILBOXES: dict[str, type[runtime.Mailbox]] = {
    "blobs": blobs.Mailbox,
    "connections": connections.Mailbox,
    "discovery": discovery.Mailbox,
    "maintenance": maintenance.Mailbox,
    "membership": membership.Mailbox,
    "resolver": resolver.Mailbox,
    "tracker": tracker.Mailbox,
}
CALLS: dict[str, Callable[[Any, PeerId], object]] = {
    "connections.tag_peer": lambda box, peer: box.tag_peer(peer, "a", 1),
    "connections.untag_peer": lambda box, peer: box.untag_peer(peer, "a"),
    "connections.upsert_tag": lambda box, peer: box.upsert_tag(peer, "a", abs),
    "connections.get_tag_info": lambda box, peer: box.get_tag_info(peer),
    "connections.protect": lambda box, peer: box.protect(peer, "a"),
    "connections.unprotect": lambda box, peer: box.unprotect(peer, "a"),
    "connections.is_protected": lambda box, peer: box.is_protected(peer),
    "connections.busy": lambda box, peer: box.busy(peer, 1),
    "connections.block_peer": lambda box, peer: box.block_peer(peer),
    "connections.unblock_peer": lambda box, peer: box.unblock_peer(peer),
    "maintenance.want": lambda box, peer: box.want(peer),
    "maintenance.want_for_fetch": lambda box, peer: box.want_for_fetch(peer),
    "maintenance.want_no_more": lambda box, peer: box.want_no_more(peer),
    "membership.join": lambda box, peer: box.join((peer, ADDRESS)),
    "resolver.fetch_targeted": lambda box, peer: box.fetch_targeted(b"k", [peer]),
    "resolver.fetch_all_targeted": lambda box, peer: box.fetch_all_targeted({b"k": [peer]}),
    "tracker.track": lambda box, peer: box.track(1, {peer: ADDRESS}),
    "tracker.overwrite": lambda box, peer: box.overwrite({peer: ADDRESS}),
    "tracker.block": lambda box, peer: box.block(peer),
    "tracker.unblock": lambda box, peer: box.unblock(peer),
    "tracker.trust": lambda box, peer: box.trust(peer),
    "tracker.distrust": lambda box, peer: box.distrust(peer),
}
OTHERWISE = {
    "connections.trim_open_connections": "spare: a set of any size, of which only who is connected counts",
    "tracker.dialable": "exclude, among: the same",
    "tracker.dial": "engines dial whom the address book knows; whom it does not know is answered with Refused",
    "tracker.hint": "records from the network: their signatures are checked, and forged ones counted",
    "membership.discovered": "the same",
}
SETTINGS: dict[str, Callable[[PeerId], object]] = {
    r"protected\[0\]": lambda peer: connections.Config(protected=(peer,)),
    r"trusted\[0\]": lambda peer: tracker.Config(trusted=(peer,)),
    r"peers\[0\]": lambda peer: tracker.Config(peers=(tracker.StaticPeer(peer, ADDRESS),)),
    r"seeds\[0\]": lambda peer: membership.Config(seeds=(membership.Seed(peer, ADDRESS),)),
}

both = pytest.mark.parametrize("peer", [SMALL_ORDER, OFF_THE_CURVE], ids=["small order", "off the curve"])


@both
@pytest.mark.parametrize("call", CALLS)
def test_id_that_nobody_can_own_is_refused_at_the_call(call: str, peer: PeerId) -> None:
    box = MAILBOXES[call.partition(".")[0]]("box")
    with pytest.raises(ValueError, match=f"peer id {peer}: nobody can own it"):
        CALLS[call](box, peer)


@both
def test_decaying_tag_refuses_an_id_that_nobody_can_own(peer: PeerId) -> None:
    tag = connections.DecayingTag(connections.Mailbox("box"), 1, "a", 1.0)
    with pytest.raises(ValueError, match=f"peer id {peer}: nobody can own it"):
        tag.bump(peer, 1)
    with pytest.raises(ValueError, match=f"peer id {peer}: nobody can own it"):
        tag.remove(peer)


def test_manager_that_manages_nothing_refuses_what_the_real_one_does() -> None:
    with pytest.raises(ValueError, match="nobody can own it"):
        connections.NullConnectionManager().protect(SMALL_ORDER, "a")


@both
@pytest.mark.parametrize("where", SETTINGS)
def test_setting_with_an_id_that_nobody_can_own_is_refused(where: str, peer: PeerId) -> None:
    with pytest.raises(SettingsError, match=f"{where}: peer id {peer}: nobody can own it"):
        SETTINGS[where](peer)


def test_every_method_of_a_mailbox_that_takes_peers_is_tried() -> None:
    takes = {
        f"{actor}.{name}"
        for actor, kind in MAILBOXES.items()
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
        and name not in dir(runtime.EventMailbox)
        and re.search(r"Peer|Target|Addresses|Seed", str(inspect.signature(method).replace(return_annotation="")))
    }
    assert takes == CALLS.keys() | OTHERWISE.keys()
