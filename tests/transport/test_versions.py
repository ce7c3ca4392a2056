"""Two versions of the protocol meet: each side says why not, counts it and logs it, and no connection comes of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import msgpack
import pytest

from rookery.transport import Reason
from rookery.transport.core.codec import REJECT_VERSION, SHORT_LIVED, VERSION, Hello, Reject, Welcome, encode_control
from tests.transport.raw import RawPeer
from tests.transport.scene import Scene
from tests.transport.worlds import Node, RealWorld, SimulatedWorld

HELLO_1 = bytes.fromhex("970100" + "9101" + "a474657374" + "c403726563" + "00c0")
"""As version 1 wrote it: a Hello of network "test", with a record that is none."""
PROTOCOL_1 = bytes.fromhex("940103" + "a870726f746f636f6c" + "90")
"""As version 1 answers what it cannot read: Reject("protocol")."""


@pytest.mark.parametrize(
    "frame",
    [HELLO_1, msgpack.packb([3, 0, [3], "test", {}, 7]), msgpack.packb([0]), msgpack.packb([1, 5, 0])],
    ids=["Hello of version 1", "Hello of version 3", "version 0", "Ping of version 1"],
)
def test_first_word_of_another_version_is_refused_in_words_of_version_1_and_counted(
    real: RealWorld, frame: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(real)
    with caplog.at_level(logging.INFO, "rookery"), scene.raw() as raw:
        raw.send(frame)
        assert raw.receive() == [REJECT_VERSION]
        raw.gone()
    said: list[Any] = [record for record in caplog.records if record.message == "inbound refused"]
    assert [record.fields["reason"] for record in said] == ["version"]
    assert said[0].fields["version"] == msgpack.unpackb(frame, strict_map_key=False)[0]
    assert scene.bob.counted("refused", Reason.VERSION) == 1
    assert scene.bob.counted("invalid", "handshake") == 0
    assert scene.bob.engine.handshake_limits.pending == 0
    scene.assert_unharmed()


def test_hello_of_this_version_without_this_version_among_those_spoken_is_refused(real: RealWorld) -> None:
    scene = Scene(real)
    with scene.raw() as raw:
        raw.say(Hello((VERSION + 1, 1), "test", b"", packets=False, proof=None))
        assert raw.hear() == Reject(Reason.VERSION)
    assert scene.bob.counted("refused", Reason.VERSION) == 1
    scene.assert_unharmed()


def test_hello_with_extensions_that_nobody_knows_is_welcome(real: RealWorld) -> None:
    bob = real.node("bob")
    with RawPeer(bob, real.known.identity("raw")) as raw:
        raw.join(extensions=((7, 1), (65_535, b"bytes"), (8, None)))
        real.until(lambda: bob.links())


@pytest.mark.parametrize("value", [0, 2, b"\x01", "1", None])
def test_hello_that_says_anything_but_1_of_a_short_lived_connection_asks_for_another(
    real: RealWorld, value: int | bytes | str | None
) -> None:
    bob = real.node("bob")
    with RawPeer(bob, real.known.identity("raw")) as raw:
        raw.join(extensions=((SHORT_LIVED, value),))
        real.until(lambda: bob.links())
        assert [link.short_lived for link in bob.links()] == [False]


def test_hello_for_a_short_lived_connection_gets_one(real: RealWorld) -> None:
    bob = real.node("bob")
    with RawPeer(bob, real.known.identity("raw")) as raw:
        raw.join(extensions=((SHORT_LIVED, 1),))
        real.until(lambda: bob.links())
        assert [link.short_lived for link in bob.links()] == [True]


def test_second_word_of_another_version_ends_the_handshake(real: RealWorld) -> None:
    scene = Scene(real)
    with scene.raw() as raw:
        raw.hello()
        assert isinstance(raw.hear(), Welcome)
        raw.send(msgpack.packb([1, 2, bytes(16)]))
        assert raw.hear() == Reject(Reason.PROTOCOL)
    assert scene.bob.counted("refused", Reason.PROTOCOL) == 1
    scene.assert_unharmed()


def says_instead(node: Node, answer: bytes) -> None:
    """From now on the node answers this to each first word, and closes: it is of another version."""

    def frames(route: Any, _frames: Sequence[bytes], _source: Any) -> None:
        node.engine.wire.send(route, [answer])
        node.engine.shut_later(route)

    node.engine.inbound.frames = frames


WELCOME_3 = msgpack.packb([3, 1, 3, bytes(16), b"record"])


@pytest.mark.parametrize("answer", [PROTOCOL_1, REJECT_VERSION, WELCOME_3], ids=["version 1", "a later one", "Welcome"])
def test_dial_to_another_version_fails_for_that_and_is_counted_and_logged(
    simulated: SimulatedWorld, answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    says_instead(bob, answer)
    with caplog.at_level(logging.INFO, "rookery"):
        ticket = alice.dial(bob)
        simulated.until(lambda: alice.gatekeeper.releases)
    assert alice.gatekeeper.releases == [(ticket, Reason.VERSION)]
    assert alice.counted("dials", Reason.VERSION) == 1
    failed: list[Any] = [record for record in caplog.records if record.message == "dial failed"]
    assert [record.fields["reason"] for record in failed] == ["version"]


def test_dial_whose_welcome_chooses_another_version_fails_for_that(simulated: SimulatedWorld) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    says_instead(bob, encode_control(Welcome(VERSION + 1, bytes(16), bob.engine.record.encode(), None)))
    alice.dial(bob)
    simulated.until(lambda: alice.gatekeeper.releases)
    assert [reason for _, reason in alice.gatekeeper.releases] == [Reason.VERSION]


def test_packet_link_to_another_version_ends_and_is_counted_and_logged(
    simulated: SimulatedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    alice, bob = simulated.node("alice"), simulated.node("bob")
    says_instead(bob, PROTOCOL_1)
    with caplog.at_level(logging.INFO, "rookery"):
        alice.net.send_packet(bob.peer, bob.address, b"ping")
        simulated.until(lambda: alice.counted("packet_links_refused", Reason.VERSION) == 1)
    assert alice.engine.links.packet_routes == {}
    assert alice.counted("packets", "dropped") == 1
    said: list[Any] = [record for record in caplog.records if record.message == "packet link refused by the peer"]
    assert [(record.fields["peer"], record.fields["reason"]) for record in said] == [(bob.peer.short, "version")]
