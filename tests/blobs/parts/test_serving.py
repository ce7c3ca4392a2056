"""Giving blocks: the rules under *Giving* at the head of `rookery.actors.blobs`."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from rookery.actors.blobs import Config, Produce
from rookery.actors.blobs.stores.memory import MemoryStore
from rookery.runtime import MailboxFull
from rookery.runtime.settings import SettingsError

from ..liar import LyingProducer
from ..rig import CHUNK, Rig, noise, put_bytes

UNKNOWN = hashlib.sha256(b"unknown").digest()


def chunks(rig: Rig, count: int) -> list[bytes]:
    """Keys of so many different chunks in the node's store."""
    keys = []
    for number in range(count):
        value = noise(CHUNK, b"%d" % number)
        keys.append(hashlib.sha256(value).digest())
        rig.store.put(keys[-1], value)
    return keys


def test_produce_gives_what_the_store_has_and_none_for_what_it_lacks(simulation: Any) -> None:
    rig = Rig(simulation)
    (key,) = chunks(rig, 1)
    assert rig.blobs.produce(key).get(timeout=1) == rig.store.get(key)
    assert rig.blobs.produce(UNKNOWN).get(timeout=1) is None
    assert rig.count("serves_total", "given") == rig.count("serves_total", "missing") == 1
    assert rig.count("served_bytes_total") == CHUNK


def test_produce_gives_verified_blocks_of_a_file_that_is_still_on_its_way_in(simulation: Any, tmp_path: Path) -> None:
    rig = Rig(simulation)
    key = put_bytes(noise(5000), rig.source)
    rig.blobs.get(key, tmp_path / "copy")
    came = rig.serve(blocks=20)
    under_way = rig.asked[0]
    rig.deliver(under_way, b"a lie", peer="mallory")
    for block in came:
        assert rig.blobs.produce(block).get(timeout=1) == rig.source.get(block)
    assert rig.blobs.produce(under_way).get(timeout=1) is None
    assert not (tmp_path / "copy").exists()


def test_produce_without_a_cap_gives_everything_at_once(simulation: Any) -> None:
    rig = Rig(simulation)
    replies = [rig.blobs.produce(key) for key in chunks(rig, 50)]
    simulation.settle()
    assert all(reply.done for reply in replies)
    assert simulation.time == 0


def test_produce_with_a_cap_gives_a_burst_and_then_the_rate_in_order(simulation: Any) -> None:
    rig = Rig(simulation, serve_rate=4 * CHUNK, serve_patience=60.0)
    times: list[tuple[float, int]] = []
    for number, key in enumerate(chunks(rig, 9)):
        rig.blobs.produce(key).then(lambda _reply, number=number: times.append((simulation.time, number)))
    simulation.run(for_=60)
    # a quarter of a second's worth at once, and the one that is paid for while the next waits
    assert times == [(max(0, number - 1) / 4, number) for number in range(9)]
    assert rig.count("serves_total", "given") == 9


def test_produce_that_would_wait_longer_than_patience_is_told_at_once_that_there_is_nothing(simulation: Any) -> None:
    rig = Rig(simulation, serve_rate=4 * CHUNK, serve_patience=1.0)
    replies = [rig.blobs.produce(key) for key in chunks(rig, 20)]
    simulation.settle()
    refused = [reply for reply in replies if reply.done and reply.get() is None]
    simulation.run(for_=1.1)
    given = [reply for reply in replies if reply.done and reply.get() is not None]
    assert (len(refused), len(given)) == (14, 6)
    assert rig.count("serves_total", "refused") == 14


def test_produce_when_the_queue_is_full_is_refused(simulation: Any) -> None:
    rig = Rig(simulation)
    limit = type(rig.blobs).limits[Produce].messages
    replies = [rig.blobs.produce(UNKNOWN) for _ in range(limit + 1)]
    with pytest.raises(MailboxFull):
        replies[-1].get(timeout=1)
    assert replies[0].get(timeout=1) is None


def test_produce_from_a_store_that_fails_is_an_error_of_this_answer_only(simulation: Any) -> None:
    class Failing(MemoryStore):
        def get(self, key: bytes) -> bytes | None:
            raise OSError("the disk is gone")

    rig = Rig(simulation, Failing())
    (key,) = chunks(rig, 1)
    with pytest.raises(OSError, match="the disk is gone"):
        rig.blobs.produce(key).get(timeout=1)
    assert rig.count("serves_total", "failed") == 1
    assert rig.blobs.put(__file__).get(timeout=1)


def test_liar_gives_blocks_that_do_not_hash_to_their_keys(simulation: Any) -> None:
    rig = Rig(simulation)
    (key,) = chunks(rig, 1)
    liar = LyingProducer(rig.blobs)
    value = liar.produce(key).get(timeout=1)
    assert value is not None
    assert len(value) == CHUNK
    assert hashlib.sha256(value).digest() != key
    assert liar.produce(UNKNOWN).get(timeout=1) is None


@pytest.mark.parametrize(
    ("setting", "value"),
    [("chunk_size", 127), ("chunk_size", 2**20), ("window", 0), ("serve_rate", 0), ("serve_patience", 0.0)],
)
def test_config_out_of_range_is_refused(setting: str, value: float) -> None:
    with pytest.raises(SettingsError, match=setting):
        Config(**{setting: value})  # type: ignore[arg-type]
