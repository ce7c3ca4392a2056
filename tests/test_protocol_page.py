"""docs/protocol.md is tested from its own text: each vector, both ways, and the limits it names."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgpack
import pytest

from rookery.actors.blobs.core.manifest import Manifest, ManifestError
from rookery.actors.maintenance import CHANNEL as EXCHANGE_CHANNEL
from rookery.actors.maintenance import Config as Maintenance
from rookery.actors.maintenance.core import codec as exchange
from rookery.actors.membership.config import MAX_SWIM_BYTES
from rookery.actors.membership.config import Config as Membership
from rookery.actors.membership.core import envelope, sender_limits
from rookery.actors.membership.swim import Member, MemberId, State
from rookery.actors.membership.swim import codec as swim
from rookery.actors.membership.swim import errors as swim_errors
from rookery.actors.membership.swim.core import probes
from rookery.actors.providers.core import codec as providers
from rookery.actors.providers.core.ring import key_hash, place_of
from rookery.actors.resolver.core import codec as resolver
from rookery.actors.tracker import Config as Tracker
from rookery.node.composition import BLOBS_CHANNEL
from rookery.transport import Config, DecodeError, Identity, Life, PeerId, PeerRecord, Reason, address, record
from rookery.transport.core import codec, log_limits
from rookery.transport.identity import life as lives
from rookery.transport.identity.life import verify_answer, verify_farewell, verify_link
from rookery.transport.parts import packets
from rookery.transport.wire import message_reader, unfinished_messages
from rookery.transport.wire.unfinished_messages import UnfinishedMessages

PAGE = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
VECTORS = re.findall(r"^```vector (\w+)\n(.+)\n((?:.+\n)*?)```$", PAGE, re.MULTILINE)


def from_json(value: Any) -> Any:
    """The value with its byte strings."""
    if isinstance(value, list):
        return [from_json(item) for item in value]
    if isinstance(value, dict):
        if "zeros" in value:
            return bytes(value["zeros"])
        return {int(key) if key.isdecimal() else key: from_json(item) for key, item in value.items()}
    return bytes.fromhex(value[2:]) if isinstance(value, str) and value.startswith("0x") else value


def frame(text: str) -> bytes:
    return bytes(from_json(json.loads(text))) if text.startswith("{") else bytes.fromhex(text)


def again_swim(data: bytes) -> bytes:
    packet = swim.decode_packet(data)
    updates, items = map(swim.encode_update, packet.updates), map(swim.encode_item, packet.items)
    return swim.encode_packet(swim.encode_header(packet.header), list(updates), list(items))


AGAIN: dict[str, Callable[[bytes], bytes]] = {
    "record": lambda data: PeerRecord.decode(data, network="net").encode(),
    "control": lambda data: codec.encode_control(codec.decode_control(data)),
    "resolver": lambda data: resolver.encode(resolver.decode(data, 32)),
    "exchange": lambda data: exchange.encode(exchange.decode(data)),
    "manifest": lambda data: Manifest.decode_root(data).encode(),
    "envelope": lambda data: envelope.Envelope.decode(data).encode(),
    "swim": again_swim,
    "providers": lambda data: providers.encode(providers.decode(data)),
}


def of(*kinds: str) -> list[Any]:
    """The vectors of these kinds, as parameters: kind, value, and each line of hex."""
    return [
        pytest.param(kind, from_json(json.loads(value)), *lines.splitlines(), id=f"{kind} {number}")
        for number, (kind, value, lines) in enumerate(VECTORS)
        if kind in kinds
    ]


@pytest.mark.parametrize(("kind", "value", "line"), of(*AGAIN))
def test_vector_has_the_value_it_says_and_survives_decoding_and_encoding(kind: str, value: object, line: str) -> None:
    data = bytes.fromhex(line)
    assert msgpack.unpackb(data, strict_map_key=False) == value
    assert AGAIN[kind](data) == data


def test_example_of_a_wrong_type_is_refused_and_so_is_a_longer_form_where_the_page_says_it() -> None:
    assert "in `[2, 5, true, {}]`, the receiver refuses" in PAGE
    with pytest.raises(DecodeError):
        codec.decode_control(msgpack.packb([2, 5, True, {}]))
    assert "Records and manifests are refused in any other; of\nthe rest it is not looked at." in PAGE
    longer: dict[str, list[bytes]] = {kind: [] for kind in AGAIN}  # the head of their array in three bytes
    for kind, _, line in (vector.values for vector in of(*AGAIN)):
        data = bytes.fromhex(line)
        longer[kind].append(b"\xdc\0" + bytes([data[0] & 0x0F]) + data[1:])
    for kind in ("record", "manifest"):
        for data in longer.pop(kind):
            with pytest.raises((DecodeError, ManifestError)):
                AGAIN[kind](data)
    del longer["control"]  # whose first byte says what it is
    for kind, several in longer.items():
        for data in several:
            AGAIN[kind](data)


def test_batches_have_the_frames_they_say() -> None:
    batches = [vector.values for vector in of("batch")]
    assert len(batches) == 3
    for _, value, *lines in batches:
        messages = [(channel, payload) for channel, payload in value]
        assert codec.encode_batch(messages) == [frame(line) for line in lines]
        assert codec.decode_batch([frame(line) for line in lines]) == messages


def test_identity_follows_from_its_seed_as_said() -> None:
    ((_, said),) = [vector.values for vector in of("identity")]
    identity = Identity.from_seed(said["seed"])
    assert said == {
        "seed": said["seed"],
        "peer": identity.peer,
        "curve_secret": identity.curve_secret,
        "curve_public": identity.curve_public,
    }


def test_proof_of_the_network_key_is_the_mac_it_says() -> None:
    ((_, said),) = [vector.values for vector in of("proof")]
    assert said["proof"] == hmac.digest(said["network_key"], b"rookery-proof-1\0" + said["peer"], hashlib.sha256)


def numbers_made_bools(value: Any) -> Iterator[Any]:
    """The value once for each number in it, with True or False in its place."""
    for place, item in enumerate(value) if isinstance(value, list) else ():
        for changed in [item > 0] if type(item) is int else numbers_made_bools(item):
            yield [*value[:place], changed, *value[place + 1 :]]


@pytest.mark.parametrize(("kind", "value", "line"), of(*AGAIN))
def test_vector_with_a_bool_in_place_of_any_number_is_refused(kind: str, value: object, line: str) -> None:
    changed = list(numbers_made_bools(value))
    assert changed
    for each in changed:
        with pytest.raises((DecodeError, ManifestError, swim_errors.DecodeError)):
            AGAIN[kind](msgpack.packb(each))


def test_packet_has_the_frames_it_says() -> None:
    ((_, (kind, payload), *lines),) = [vector.values for vector in of("packet")]
    assert [codec.PACKET_HEADS[kind], payload] == [frame(line) for line in lines]
    assert codec.packet_kind(frame(lines[0])) == kind


def test_answer_to_another_version_is_the_one_said() -> None:
    ((_, value, line),) = [vector.values for vector in of("other_version")]
    assert msgpack.unpackb(frame(line)) == value
    assert frame(line) == codec.REJECT_VERSION
    assert codec.decode_control(frame(line)) == codec.Reject(Reason.VERSION)


def test_life_has_the_proofs_it_says() -> None:
    ((_, said),) = [vector.values for vector in of("life")]
    identity, generation, answered = Identity.from_seed(said["seed"]), said["generation"], said["answer"]
    life, origin = Life(identity, generation), PeerId(answered["origin"])
    assert (said["chain"], said["farewell"], said["farewell_hash"]) == (life.chain, life.farewell, life.farewell_hash)
    assert sorted(said["links"]) == [1, 2, 1024]
    for incarnation, link in said["links"].items():
        assert link == life.link(incarnation)
        assert verify_link(said["chain"], incarnation, link)
    assert verify_farewell(said["farewell_hash"], said["farewell"])
    probe = origin, answered["origin_generation"], answered["number"]
    assert answered["signature"] == life.answer(*probe)
    assert verify_answer(identity.peer, generation, *probe, answered["signature"])
    ((_, record, _),) = [vector.values for vector in of("record")]
    assert (record[4], record[6], record[7]) == (generation, said["chain"], said["farewell_hash"])


def test_digest_of_members_is_the_number_it_says() -> None:
    ((_, said),) = [vector.values for vector in of("digest")]
    members = [Member(MemberId(key, generation), *rest) for key, generation, *rest in said["members"]]
    assert said["hashes"] == [swim.digest(replace(member, state=State(member.state))) for member in members]
    for member, number in zip(said["members"], said["hashes"], strict=True):
        hashed = hashlib.blake2b(msgpack.packb(member), digest_size=8).digest()
        assert int.from_bytes(hashed, "big") // 2 == number
        assert int.from_bytes(hashlib.blake2b(msgpack.packb(member)).digest()[:8], "big") // 2 != number
    assert said["digest"] == said["hashes"][0] ^ said["hashes"][1]


def test_key_and_member_are_on_the_ring_where_it_says() -> None:
    ((_, said),) = [vector.values for vector in of("place")]
    assert said["hash"] == key_hash(said["channel"], said["key"])
    assert said["place"] == place_of(PeerId(said["peer"]))


def test_every_control_message_has_a_vector() -> None:
    kinds = {value[1] for _, value, _ in (vector.values for vector in of("control"))}
    assert kinds == set(range(7))


def test_every_vector_of_the_page_was_read() -> None:
    assert len(VECTORS) == PAGE.count("```vector ")
    assert {kind for kind, _, _ in VECTORS} == {
        *AGAIN,
        *("batch", "digest", "identity", "life", "other_version", "packet", "place", "proof"),
    }


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("at most 312 characters", address.MAX_ADDRESS_TEXT == 312),
        ("at most 1,088 bytes", record.MAX_RECORD_BYTES == 1088),
        ("at most 512 bytes", record.MAX_METADATA_BYTES == 512),
        ("at most 16 KiB |", codec.MAX_CONTROL_BYTES == 16 * 1024),
        ("1 to 8 protocol versions", codec.MAX_VERSIONS == 8),
        ("This page is 2.", codec.VERSION == 2),
        ("a map of at most 16 numbers below 2^16", codec.MAX_EXTENSIONS == 16),
        ("in at\n  most 1 KiB encoded", codec.MAX_EXTENSIONS_BYTES == 1024),
        ("n from 0 to 1,024", lives.LINKS == 1024),
        ("| 16 bytes; link n is", lives.PROOF_BYTES == 16),
        ("The kind of a packet, one byte", codec.PACKET_KINDS == 256),
        ("at most 8 records", codec.MAX_ALTERNATIVES == 8),
        ("1 to 256 messages", codec.MAX_BATCH_MESSAGES == 256),
        ("above 32 KiB should be a frame of its own", codec.JOIN_UP_TO == 32 * 1024),
        ("those of a batch have 1 MiB together", codec.MAX_BATCH_BYTES == 2**20),
        ("payload, at most 64 KiB", packets.MAX_PACKET == 64 * 1024),
        ("(bin, at most 16 KiB", MAX_SWIM_BYTES == 16 * 1024),
        ("at\nmost 32 signed records", envelope.MAX_RECORDS == 32),
        ("at most 32 peer ids", envelope.MAX_WANTED == 32),
        ("at most 256 of", swim.MAX_UPDATES == 256),
        ("after 5 s (`handshake_timeout`)", Config().handshake_timeout == 5),
        ("more than 512\n  (`max_pending_handshakes`)", Config().max_pending_handshakes == 512),
        (
            "above 16 a second of one IP (at once: 64)",
            (Config().handshakes_per_ip, Config().handshake_burst) == (16, 64),
        ),
        ("refused for 30 s (`ip_cooldown`)", Config().ip_cooldown == 30),
        ("67 with `max_connections` 100", (Config().max_connections, Config().max_inbound) == (100, 67)),
        ("at most a quarter of\n  them (`max_inbound_share_per_ip`)", Config().max_inbound_share_per_ip == 0.25),
        ("in turns of 4 ms", message_reader._SLICE == 0.004),
        (
            "2,000 a second, 2,000 at once (`heartbeat_rate`, `heartbeat_burst`)",
            (Config().heartbeat_rate, Config().heartbeat_burst) == (2000, 2000),
        ),
        ("2,000 Pings a second, 2,000 at once", (Config().heartbeat_rate, Config().heartbeat_burst) == (2000, 2000)),
        (
            "64 at once, then 1 a second; of all IPs 640 and 20",
            (log_limits._OF_AN_IP, log_limits._OF_ALL) == ((1, 64), (20, 640)),
        ),
        ("a dial within 15 s", Config().dial_timeout == 15),
        ("heard nothing for 2 s", Config().heartbeat_interval == 2),
        ("silent for 8 s", Config().heartbeat_timeout == 8),
        ("at most 1 MiB (`max_message`) + 2 KiB", Config().max_frame == 2**20 + 2048),
        ("a node keeps 256", Config().max_packet_links == 256),
        ("512 (`max_pending_handshakes`), each for 5 s", Config().max_pending_handshakes == 512),
        ("in 5 s (`handshake_timeout`)", Config().handshake_timeout == 5),
        ("in 8 s (`heartbeat_timeout`)", Config().heartbeat_timeout == 8),
        (
            "1 MiB + 78 KiB (`max_message` and its frames, 64 KiB)",
            UnfinishedMessages(max_bytes=Config().max_frame, max_frames=258).most() // 1024 == 1024 + 78,
        ),
        (
            "64 KiB + 76 KiB, and what its line carries between two looks",
            UnfinishedMessages(max_bytes=2**20, max_frames=258).most(packets.MAX_PACKET) // 1024 == 64 + 76,
        ),
        (
            "every 0.1 s at 128 of them",
            (unfinished_messages.LOOK_EVERY, unfinished_messages.AT_ONCE) == (0.1, 128),
        ),
        ("64 (`high_water`)", Config().high_water == 64),
        ("16,384 of 64 MiB", (Config().backlog_messages, Config().backlog_bytes) == (16_384, 64 * 2**20)),
        ("batches of 1 MiB", codec.MAX_BATCH_BYTES == 2**20),
        ("500 packets a second, 1,000 at once", (Config().packet_rate, Config().packet_burst) == (500, 1000)),
        ("1,000 drops in 10 s", Config().flood_drops == 1000),
        ("| 0 | peers for peers", EXCHANGE_CHANNEL == 0),
        ("at most 100 records (bin)", exchange.MAX_RECORDS == 100),
        ("once in 5 s", Maintenance().time_between_answers == 5),
        ("at most 16 (*setting*) records of one subnet", Maintenance().max_records_per_subnet == 16),
        ("| 1 | blobs", BLOBS_CHANNEL == 1),
        ("within 80 % of `probe_period` - `probe_rtt`, a Nack", probes._NACK_SHARE == 0.8),
        ("as `probe_rtt` is 0.5 s by\ndefault", Membership().protocol.probe_rtt == 0.5),
        ("one in each `probe_period` (1 s)", Membership().protocol.probe_period == 1),
        ("`tracker.admission` is `open`, the default", Tracker().admission == "open"),
        ("takes in 16 at once, then one in 2 s", sender_limits.LIVES == (1 / 2, 16)),
        ("a subnet that\nhas more than half", address.share_of_subnet(Config().max_inbound_share_per_ip) == 0.5),
    ],
)
def test_limit_that_the_page_names_is_the_one_in_force(said: str, limit: bool) -> None:
    assert said in PAGE
    assert limit
