"""A hostile peer of pyzmq alone: whatever it sends, the node lives, others are unaffected, and it is counted."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Callable

import msgpack
import pytest

from rookery.transport import Identity, PeerRecord, Reason
from rookery.transport.core.codec import (
    MAX_BATCH_BYTES,
    MAX_BATCH_MESSAGES,
    PACKET_HEADS,
    VERSION,
    Bye,
    Hello,
    Ping,
    Ready,
    Reject,
    Welcome,
    encode_batch,
    encode_control,
)
from rookery.transport.parts.packets import MAX_PACKET
from rookery.transport.wire import unfinished_messages
from tests.transport.raw import RawPeer, Relay
from tests.transport.scene import Scene, pour, resident
from tests.transport.worlds import RealWorld

Frames = list[bytes]
HI = encode_batch([(16, b"hi")])


needs_counts = pytest.mark.skipif(sys.platform != "linux", reason="the system does not say how much has come")


@pytest.fixture
def scene(real: RealWorld) -> Scene:
    return Scene(real)


def control(*items: object) -> Frames:
    return [msgpack.packb(list(items))]


WRONG_FIRST_WORDS: dict[str, Frames] = {
    "nothing": [b""],
    "a byte": [b"\x00"],
    "garbage": [random.Random(1).randbytes(500)],
    "garbage frames": [random.Random(2).randbytes(50) for _ in range(20)],
    "empty frames": [b""] * 258,
    "data": HI,
    "a packet": [PACKET_HEADS[0], b"swim"],
    "Ready": [encode_control(Ready(bytes(16)))],
    "Welcome": [encode_control(Welcome(VERSION, bytes(16), b"", None))],
    "Ping": [encode_control(Ping(1))],
    "Bye": [encode_control(Bye(Reason.TRIMMED))],
    "Reject": [encode_control(Reject(Reason.BLOCKED))],
    "truncated Hello": [encode_control(Hello((VERSION,), "test", bytes(99), packets=False, proof=None))[:-9]],
    "Hello and a frame": [encode_control(Hello((VERSION,), "test", b"", packets=False, proof=None)), b""],
    "Hello without versions": control(2, 0, [], "test", b"", 0, None, {}),
    "Hello of a long network": control(2, 0, [2], "n" * 65, b"", 0, None, {}),
    "Hello of a third purpose": control(2, 0, [2], "test", b"", 2, None, {}),
    "Hello of a purpose that is none": control(2, 0, [2], "test", b"", True, None, {}),
    "Hello without extensions": control(2, 0, [2], "test", b"", 0, None),
    "Hello with too many extensions": control(2, 0, [2], "test", b"", 0, None, dict.fromkeys(range(17))),
    "Hello with an extension that is a list": control(2, 0, [2], "test", b"", 0, None, {1: [1]}),
    "an array without a version": [b"\x90"],
    "a packet without a kind": [b"\x02", b"swim"],
    "a claimed length": [b"\xdd\xff\xff\xff\xff"],
    "17 KiB of control": [b"\x97" + bytes(17 * 1024)],
}


@pytest.mark.parametrize("frames", WRONG_FIRST_WORDS.values(), ids=WRONG_FIRST_WORDS.keys())
def test_first_words_that_are_no_hello_are_refused_and_counted(scene: Scene, frames: Frames) -> None:
    with scene.raw() as raw:
        raw.send(*frames)
        assert raw.hear() == Reject(Reason.PROTOCOL)
    assert scene.bob.engine.handshake_limits.pending == 0
    assert scene.bob.counted("invalid", "handshake") >= 1
    assert scene.bob.counted("refused", Reason.PROTOCOL) == 1
    scene.assert_unharmed()


def test_first_word_of_too_many_frames_is_not_answered_but_ended_and_counted(scene: Scene) -> None:
    with scene.raw() as raw:
        raw.send(*[b""] * 3000)
        raw.gone()
    assert scene.bob.engine.handshake_limits.pending == 0
    assert scene.bob.counted("invalid", "frames") == 1
    scene.assert_unharmed()


def signed(identity: Identity, network: str = "test") -> PeerRecord:
    return PeerRecord.sign(identity, network=network, address=None, generation=7)


WRONG_RECORDS: dict[str, Callable[[Scene], bytes]] = {
    "stolen from alice": lambda scene: signed(scene.alice.identity).encode(),
    "with alice's id and mallory's signature": lambda scene: (
        signed(scene.mallory).encode().replace(scene.mallory.peer, scene.alice.peer)
    ),
    "of another network": lambda scene: signed(scene.mallory, "elsewhere").encode(),
    "truncated": lambda scene: signed(scene.mallory).encode()[:-1],
    "empty": lambda scene: b"",
    "garbage": lambda scene: bytes(1024),
}


@pytest.mark.parametrize("make", WRONG_RECORDS.values(), ids=WRONG_RECORDS.keys())
def test_hello_with_a_record_that_is_not_the_senders_is_refused(scene: Scene, make: Callable[[Scene], bytes]) -> None:
    with scene.raw() as raw:
        raw.say(Hello((VERSION,), "test", make(scene), packets=False, proof=None))
        assert raw.hear() == Reject(Reason.RECORD)
    assert scene.bob.counted("refused", Reason.RECORD) == 1
    scene.assert_unharmed()


WRONG_SECOND_WORDS: dict[str, Frames] = {
    **{name: WRONG_FIRST_WORDS[name] for name in ("nothing", "garbage", "empty frames", "data", "a packet", "Ping")},
    **{name: WRONG_FIRST_WORDS[name] for name in ("Welcome", "Reject", "17 KiB of control")},
    "Ready with a wrong nonce": [encode_control(Ready(bytes(16)))],
    "Hello again": [encode_control(Hello((VERSION,), "test", b"", packets=False, proof=None))],
}


@pytest.mark.parametrize("held", [False, True], ids=["welcomed", "before the verdict"])
@pytest.mark.parametrize("frames", WRONG_SECOND_WORDS.values(), ids=WRONG_SECOND_WORDS.keys())
def test_second_words_that_are_no_ready_end_the_handshake(scene: Scene, frames: Frames, held: bool) -> None:
    bob = scene.bob
    if held:
        bob.gatekeeper.held = []
    with scene.raw() as raw:
        raw.hello()
        if held:
            scene.real.until(lambda: bob.gatekeeper.held)
        else:
            assert isinstance(raw.hear(), Welcome)
        raw.send(*frames)
        assert raw.hear() == Reject(Reason.PROTOCOL)
    for reply in bob.gatekeeper.held or []:
        reply.set(bob.gatekeeper.verdict(bob.gatekeeper.claims[-1]))
    bob.gatekeeper.held = None
    scene.real.until(lambda: [ticket.peer for ticket, _ in bob.gatekeeper.releases] == [scene.mallory.peer])
    assert bob.counted("refused", Reason.PROTOCOL) == 1
    scene.assert_unharmed()


def test_ready_replayed_from_an_earlier_handshake_is_refused(scene: Scene) -> None:
    with scene.raw() as first:
        first.hello()
        welcome = first.hear()
        assert isinstance(welcome, Welcome)
        first.say(Ready(welcome.nonce))
        scene.real.until(lambda: len(scene.bob.links()) == 2)
    scene.real.until(lambda: len(scene.bob.links()) == 1)
    with scene.raw() as second:
        second.hello()
        assert isinstance(second.hear(), Welcome)
        second.say(Ready(welcome.nonce))
        assert second.hear() == Reject(Reason.PROTOCOL)
    scene.assert_unharmed()


LARGE = 2**31  # of a length: the payload is a frame of its own


def head(*entries: tuple[int, int], count: int | None = None) -> bytes:
    packed = b"".join(bytes([channel]) + length.to_bytes(4, "big") for channel, length in entries)
    return b"\x01\x00" + (len(entries) if count is None else count).to_bytes(2, "big") + packed


WRONG_FRAMES: dict[str, tuple[str, Frames]] = {
    "garbage": ("frame", [b"\xff" * 100]),
    "nothing": ("frame", [b""]),
    "garbage control": ("frame", [b"\x93\x01\xc1"]),
    "table without payload": ("frame", [head((16, 2))]),
    "truncated payload": ("frame", [head((16, 9)) + b"short"]),
    "payload too long": ("frame", [head((16, 1)) + b"longer"]),
    "large payload that is missing": ("frame", [head((16, LARGE | 5))]),
    "large payload of another length": ("frame", [head((16, LARGE | 5)), b"four"]),
    "frame too many": ("frame", [*HI, b""]),
    "more messages than a batch has": ("frame", [head(*[(16, 0)] * (MAX_BATCH_MESSAGES + 1))]),
    "no messages": ("frame", [head()]),
    "table shorter than it says": ("frame", [head((16, 2), count=9) + b"hi"]),
    "unknown flags": ("frame", [b"\x01\x80" + head((16, 2))[2:] + b"hi"]),
    "packet without a kind": ("frame", [b"\x02", b"swim"]),
    "packet whose head is too long": ("frame", [b"\x02\x00\x00", b"swim"]),
    "packet of a kind alone": ("frame", [PACKET_HEADS[0]]),
    "packet of two payloads": ("frame", [PACKET_HEADS[0], b"swim", b"swim"]),
    "Ping without extensions": ("frame", control(2, 5, 1)),
    "Ping with a bool for a number": ("frame", control(2, 5, True, {})),
    "Ping with an extension out of its bounds": ("frame", control(2, 5, 1, {2**16: 1})),
    "Ping of version 1": ("frame", control(1, 5, 1)),
    "packet larger than one may be": ("frame", [PACKET_HEADS[0], bytes(MAX_PACKET + 1)]),
    "message too large": ("oversize", encode_batch([(16, bytes(1024 * 1024 + 1))])),
    "message too large on an unknown channel": ("oversize", encode_batch([(99, bytes(1024 * 1024 + 1))])),
    "Hello": ("out_of_order", [encode_control(Hello((VERSION,), "test", b"", packets=False, proof=None))]),
    "Welcome": ("out_of_order", [encode_control(Welcome(VERSION, bytes(16), b"", None))]),
    "Ready": ("out_of_order", [encode_control(Ready(bytes(16)))]),
    "Reject": ("out_of_order", [encode_control(Reject(Reason.BLOCKED))]),
}


@pytest.mark.parametrize(("kind", "frames"), WRONG_FRAMES.values(), ids=WRONG_FRAMES.keys())
def test_frames_that_no_honest_peer_sends_close_the_connection(scene: Scene, kind: str, frames: Frames) -> None:
    with scene.joined() as raw:
        raw.send(*frames)
        assert raw.hear() == Bye(Reason.PROTOCOL)
        scene.real.until(lambda: scene.bob.closed() == [Reason.PROTOCOL])
    assert scene.bob.counted("invalid", kind) == 1
    assert scene.bob.payloads() == []
    scene.assert_unharmed()


TOO_LARGE: dict[str, Frames] = {
    "too many frames": [b""] * 259,
    "too many frames by far": [b""] * 3000,
    "too many bytes": [head((16, LARGE | 2**20), (16, LARGE | 4096)), bytes(2**20), bytes(4096)],
    "too many bytes and further frames": [bytes(2**20)] * 20,
}


@pytest.mark.parametrize("frames", TOO_LARGE.values(), ids=TOO_LARGE.keys())
def test_message_larger_than_any_may_be_ends_its_connection_at_once_and_its_ip_has_to_wait(
    scene: Scene, frames: Frames
) -> None:
    with scene.joined() as raw:
        raw.send(*frames)
        raw.gone()
        scene.real.until(lambda: scene.bob.closed() == [Reason.PROTOCOL])
    assert scene.bob.counted("invalid", "frames") == 1
    assert scene.bob.payloads() == []
    with scene.raw() as again:
        scene.real.until(lambda: scene.bob.counted("refused", Reason.RATE) == 1)
        assert not again.socket.poll(0)
    scene.assert_unharmed()


def test_hello_from_an_ip_that_has_to_wait_is_refused_though_it_was_encrypted_before(scene: Scene) -> None:
    neighbour = Identity.from_seed(b"n" * 32)
    with scene.joined() as raw, RawPeer(scene.bob, neighbour, ip="127.0.0.2") as other:
        other.encrypted()
        raw.send(*[b""] * 3000)
        raw.gone()
        other.hello()
        assert other.hear() == Reject(Reason.RATE)
    scene.assert_unharmed()


def test_messages_on_every_unknown_channel_are_dropped_and_the_connection_stays(scene: Scene) -> None:
    channels = [channel for channel in range(256) if channel != 16]
    with scene.joined() as raw:
        raw.send(*encode_batch([(channel, b"hi") for channel in channels]))
        raw.send(*encode_batch([(200, b""), (16, b"good"), (200, b"")]))
        scene.real.until(lambda: scene.bob.payloads() == [b"good"])
        assert scene.bob.counted("dropped", "no_receiver") == len(channels) + 2
        assert scene.bob.closed() == []
    scene.assert_unharmed()


def test_flood_on_unknown_channels_closes_its_sender_whichever_they_are(scene: Scene) -> None:
    flood = encode_batch([(17 + number % 200, b"") for number in range(MAX_BATCH_MESSAGES)])
    with scene.joined() as raw:
        pour(raw, [flood] * 400)
        assert raw.hear() == Bye(Reason.FLOODING)
        scene.real.until(lambda: scene.bob.closed() == [Reason.FLOODING])
    assert scene.bob.counted("dropped", "quota") >= 1000
    scene.assert_unharmed()


def test_frame_larger_than_the_socket_takes_ends_the_connection_unread(scene: Scene) -> None:
    with scene.joined() as raw:
        raw.send(bytes(scene.bob.config.max_frame + 1))
        scene.real.until(lambda: scene.bob.closed() == [Reason.LOST])
    scene.assert_unharmed()


def test_fullest_batch_of_small_messages_is_no_frame_too_large(scene: Scene) -> None:
    with scene.joined() as raw:
        raw.send(*encode_batch([(16, bytes(MAX_BATCH_BYTES // MAX_BATCH_MESSAGES))] * MAX_BATCH_MESSAGES))
        scene.real.until(lambda: len(scene.bob.payloads()) == MAX_BATCH_MESSAGES)
    scene.assert_unharmed()


@pytest.mark.parametrize("frame_bytes", [4096, pytest.param(64 * 1024, marks=pytest.mark.full)])
def test_message_of_3000_large_frames_is_thrown_away_and_its_sender_closed(scene: Scene, frame_bytes: int) -> None:
    before = resident()
    with scene.joined() as raw:
        raw.send(*[bytes(frame_bytes)] * 3000)
        scene.real.until(lambda: scene.bob.closed() == [Reason.PROTOCOL])
        assert scene.bob.counted("invalid", "frames") == 1
    scene.assert_unharmed()
    gc.collect()
    assert resident() - before < 2 * 3000 * frame_bytes + 32 * 2**20


@needs_counts
@pytest.mark.parametrize("role", ["connection", "packet link", "stranger"])
def test_message_that_does_not_end_costs_its_sender_the_link_and_its_ip_the_next_handshakes(
    scene: Scene, role: str
) -> None:
    """The liar stops in the middle of it, and says no more."""
    bob = scene.bob
    with Relay(bob.address.endpoint) as relay, RawPeer(bob, scene.mallory, relay=relay) as raw:
        if role == "connection":
            raw.join()
            scene.real.until(lambda: relay.pump() and len(bob.links()) == 2)
        elif role == "packet link":
            raw.hello(packets=True)
            assert isinstance(raw.hear(), Welcome)
        relay.allowed = 4096
        raw.socket.send_multipart([bytes(4096)] * 1000, copy=False)
        scene.real.until(lambda: relay.pump() and relay.allowed == 0)
        scene.real.pass_time(3 * unfinished_messages.LOOK_EVERY)  # what came before a look is not counted
        relay.allowed = 4 * MAX_PACKET if role == "packet link" else 2 * bob.config.max_message
        if role == "stranger":
            scene.real.until(lambda: relay.pump() and bob.counted("silent_connections", Reason.FLOODING))
        else:
            scene.real.until(lambda: relay.pump() and bob.counted("invalid", "frames") == 1)
        scene.real.until(lambda: bob.closed() == [Reason.PROTOCOL] * (role == "connection"))
        scene.real.until(lambda: bob.engine.links.packet_routes == {})
    with scene.raw() as again:
        scene.real.until(lambda: bob.counted("refused", Reason.RATE) == 1)
        assert not again.socket.poll(0)
    scene.assert_unharmed()


@needs_counts
@pytest.mark.parametrize("promoted", [False, True], ids=["connection", "packet link before"])
def test_message_as_large_as_may_be_that_comes_bit_by_bit_is_heard(scene: Scene, promoted: bool) -> None:
    payload = random.Random(1).randbytes(scene.bob.config.max_message)
    with Relay(scene.bob.address.endpoint) as relay, RawPeer(scene.bob, scene.mallory, relay=relay) as raw:
        if promoted:
            raw.hello(packets=True)
            assert isinstance(raw.hear(), Welcome)
        raw.join()
        scene.real.until(lambda: relay.pump() and len(scene.bob.links()) == 2)
        raw.send(*encode_batch([(16, payload)]))
        relay.allowed = len(payload)  # all but the last bytes, for longer than it takes to look at it twice
        scene.real.until(lambda: relay.pump() and relay.allowed == 0)
        scene.real.pass_time(3 * unfinished_messages.LOOK_EVERY)
        assert scene.bob.payloads() == []
        relay.allowed = len(payload)
        scene.real.until(lambda: relay.pump() and scene.bob.payloads() == [payload])
    assert scene.bob.counted("invalid", "frames") == 0


def test_claim_to_the_routing_id_of_a_link_gets_nothing_of_it_and_is_ended_and_counted(real: RealWorld) -> None:
    scene = Scene(real, handshake_timeout=0.3)
    with RawPeer(scene.bob, scene.mallory, routing_id=b"claimed") as first:
        first.join()
        scene.real.until(lambda: len(scene.bob.links()) == 2)
        with RawPeer(scene.bob, Identity.from_seed(b"t" * 32), routing_id=b"claimed") as thief:
            thief.hello()
            scene.real.until(lambda: scene.bob.counted("silent_connections", Reason.TIMEOUT) == 1)
            thief.gone()
            assert not thief.socket.poll(0)
        first.send(*HI)
        scene.real.until(lambda: b"hi" in scene.bob.payloads())
    scene.assert_unharmed()


def test_flood_of_pings_whose_answers_are_not_read_delays_nobody(scene: Scene) -> None:
    with scene.joined() as raw:
        pour(raw, [[encode_control(Ping(number))] for number in range(900)])
        scene.assert_others_are_served()
        raw.send(*HI)
        scene.real.until(lambda: b"hi" in scene.bob.payloads())
    scene.assert_unharmed()


@pytest.mark.parametrize("word", [Reject(Reason.BLOCKED), Hello((VERSION,), "test", b"", packets=False, proof=None)])
def test_flood_after_a_refusal_is_ignored_until_the_route_is_shut(scene: Scene, word: Reject | Hello) -> None:
    with scene.raw() as raw:
        pour(raw, [[encode_control(word)]] * 900)
        assert isinstance(raw.hear(), Reject)
        scene.assert_others_are_served()
    assert sum(scene.bob.counted("refused", reason) for reason in (Reason.PROTOCOL, Reason.RECORD)) == 1
    scene.assert_unharmed()


def test_flood_over_quota_is_dropped_counted_and_closed(scene: Scene) -> None:
    with scene.joined() as raw:
        pour(raw, [encode_batch([(16, b"hi")] * MAX_BATCH_MESSAGES)] * 40)
        scene.real.until(lambda: scene.bob.closed() == [Reason.FLOODING])
    assert scene.bob.counted("dropped", "quota") >= scene.bob.config.flood_drops
    scene.assert_unharmed()


def test_hello_again_on_a_packet_link_ends_it(scene: Scene) -> None:
    with scene.raw() as raw:
        raw.hello(packets=True)
        assert isinstance(raw.hear(), Welcome)
        raw.hello(packets=True)
        scene.real.until(lambda: scene.bob.counted("invalid", "packet_link") == 1)
    scene.assert_unharmed()


@pytest.mark.parametrize("said", [False, True], ids=["after Hello", "after Welcome"])
def test_handshake_that_goes_no_further_is_ended(real: RealWorld, said: bool) -> None:
    scene = Scene(real, handshake_timeout=0.3, verdict_timeout=9.0)
    if not said:
        scene.bob.gatekeeper.held = []
    with scene.raw() as raw:
        raw.hello()
        if said:
            assert isinstance(raw.hear(), Welcome)
        assert raw.hear() == Reject(Reason.TIMEOUT)
    for reply in scene.bob.gatekeeper.held or []:
        reply.set(scene.bob.gatekeeper.verdict(scene.bob.gatekeeper.claims[-1]))
    scene.bob.gatekeeper.held = None
    scene.assert_unharmed()


def test_ip_of_a_connection_that_sent_more_than_a_first_message_has_to_wait(scene: Scene) -> None:
    engine = scene.bob.engine
    engine.inbound.silent_connection_ended("192.0.2.7", Reason.LOST, 0)
    assert not engine.handshake_limits.is_cooling("192.0.2.7", engine.now())
    engine.inbound.silent_connection_ended("192.0.2.7", Reason.FLOODING, 0)
    assert engine.handshake_limits.is_cooling("192.0.2.7", engine.now())
    assert scene.bob.counted("silent_connections", Reason.FLOODING) == 1
