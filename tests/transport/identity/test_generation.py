"""Two lives of one node are told apart: the file of the generation, and an engine that begins with it."""

from __future__ import annotations

import hashlib
import logging
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery import transport
from rookery.actors import tracker
from rookery.testing import NETWORK, Peers
from rookery.transport import Identity
from rookery.transport.identity.generation import (
    LAST,
    GenerationError,
    GenerationFile,
    MemoryGenerations,
    Unusable,
    encode,
    first,
    first_without_memory,
)
from rookery.transport.wire.simulated_wire import SimulatedInternet, SimulatedWire

KNOWN = Peers()
ME, OTHER = KNOWN.identity("me").peer, KNOWN.identity("other").peer
WALL = 1_767_225_600.25
Change = Callable[[bytes], bytes]


def framed(value: object) -> bytes:
    packed = msgpack.packb(value)
    return hashlib.sha256(packed).digest() + packed


# The number ----------------------------------------------------------------------------------------------------------


@given(st.floats(-1e6, 1e10), st.none() | st.integers(0, LAST - 1))
def test_life_begins_after_every_stored_one_and_not_before_the_clock(wall: float, stored: int | None) -> None:
    generation = first(wall, stored)
    assert generation == max(0, int(wall * 1000), -1 if stored is None else stored + 1)
    assert stored is None or generation > stored


def test_life_without_memory_begins_anywhere_in_the_second_of_the_clock() -> None:
    rng = random.Random(1)
    drawn = {first_without_memory(WALL, rng) for _ in range(20_000)}
    assert drawn == set(range(1_767_225_600_000, 1_767_225_601_000))


# The file ------------------------------------------------------------------------------------------------------------


def test_stored_generation_is_loaded_again_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    file = GenerationFile(tmp_path / "deep" / "generation", ME)
    assert file.load() is None
    file.store(7)
    file.store(8)
    assert file.load() == 8
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.path.parent.iterdir()] == ["generation"]


def test_store_returns_when_file_and_folder_are_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))

    monkeypatch.setattr("os.fsync", fsync)
    GenerationFile(tmp_path / "generation", ME).store(7)
    assert [Path(path).parent == tmp_path or Path(path) == tmp_path for path in synced] == [True, True]
    assert synced[1] == str(tmp_path)


def test_generation_of_another_key_counts_as_none(tmp_path: Path) -> None:
    GenerationFile(tmp_path / "generation", OTHER).store(7)
    file = GenerationFile(tmp_path / "generation", ME)
    assert file.load() is None
    file.store(3)
    assert file.load() == 3


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda data: data[:-1], "checksum"),
        (lambda data: b"", "checksum"),
        (lambda data: bytes(2000), "more than"),
        (lambda data: framed([2, bytes(ME), 7]), "version 2"),
        (lambda data: framed([1, bytes(ME), -7]), "no generation"),
        (lambda data: framed({"a": 1}), "no generation"),
        (lambda data: encode(LAST, ME), "leaves no room"),
        (lambda data: hashlib.sha256(b"\xc1").digest() + b"\xc1", "not msgpack"),
    ],
)
def test_generation_that_is_damaged_is_set_aside_with_a_reason(tmp_path: Path, damage: Change, why: str) -> None:
    file = GenerationFile(tmp_path / "generation", ME)
    file.store(7)
    file.path.write_bytes(damage(file.path.read_bytes()))
    answer = file.load()
    assert isinstance(answer, Unusable)
    assert why in str(answer)
    assert [path.name for path in tmp_path.iterdir()] == ["generation.corrupt"]


def test_generation_that_cannot_be_read_or_written_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(GenerationError, match=f"cannot read {tmp_path}/folder: Is a directory"):
        GenerationFile(tmp_path / "folder", ME).load()
    with pytest.raises(GenerationError, match=f"cannot write {tmp_path}/file/generation"):
        GenerationFile(tmp_path / "file" / "generation", ME).store(7)


# The engine ----------------------------------------------------------------------------------------------------------


class Damaged(MemoryGenerations):
    """A file that cannot be read, once."""

    def load(self) -> int | Unusable | None:
        return Unusable("its checksum is wrong")


class Broken(MemoryGenerations):
    """A disk that is full after the start."""

    def store(self, generation: int) -> None:
        if self.stored is not None:
            raise GenerationError("cannot write x: No space left on device")
        super().store(generation)


def start(simulation: Any, generations: MemoryGenerations | None, *, skew: float = 0.0) -> Any:
    """A transport's mailbox, with a clock that is wrong by `skew` seconds."""
    host = simulation.node("me")
    host.skew = skew
    net = host.mailbox(transport.Mailbox)
    internet = SimulatedInternet(simulation)

    def wire(identity: Identity, _config: transport.Config, announce: Callable[[], object]) -> SimulatedWire:
        """Made before anything can be sent, and after the generation is stored."""
        at_wire.append(None if generations is None else generations.stored)
        return SimulatedWire(internet, identity, node="me", ip="10.0.0.1", announce=announce)

    at_wire: list[int | None] = []
    host.start(
        net,
        transport.Engine,
        transport.Config(network=NETWORK),
        identity=KNOWN.identity("me"),
        gatekeeper=simulation.mock(tracker.Mailbox),
        wire=wire,
        generations=generations,
    )
    net.listen().get(timeout=1)
    if generations is not None:
        assert at_wire == [net.record().get(timeout=1).record.generation]
    return net


def generation_of(net: Any) -> int:
    return int(net.record().get(timeout=1).record.generation)


def test_lives_at_one_moment_rise_by_one_and_each_is_stored_before_anything_is_sent(simulation: Any) -> None:
    disk = MemoryGenerations()
    lives = []
    for _ in range(3):
        lives.append(generation_of(start(simulation, disk)))
        simulation.node("me").crash()
    assert lives == [1_767_225_600_000, 1_767_225_600_001, 1_767_225_600_002]


@pytest.mark.parametrize("years", [-56, 216])
def test_clock_that_was_wrong_for_one_life_does_not_make_the_next_one_earlier(simulation: Any, years: int) -> None:
    disk = MemoryGenerations()
    skews = [0.0, years * 365.25 * 86_400, 0.0]
    lives = []
    for skew in skews:
        lives.append(generation_of(start(simulation, disk, skew=skew)))
        simulation.node("me").crash()
    assert lives == sorted(set(lives))


def test_renewed_generation_is_stored_before_the_record_is_signed(simulation: Any) -> None:
    disk = MemoryGenerations()
    net = start(simulation, disk)
    renewed = [net.renew(0), net.renew(0), net.renew(2 * 10**12, b"tags"), net.renew(0)]
    got = [reply.get(timeout=1) for reply in renewed]
    begun = 1_767_225_600_000
    assert [own.life.generation for own in got] == [own.record.generation for own in got]
    assert [own.record.generation for own in got] == [begun + 1, begun + 2, 2 * 10**12 + 1, 2 * 10**12 + 2]
    assert [(own.record.chain, own.record.farewell) for own in got] == [
        (own.life.chain, own.life.farewell_hash) for own in got
    ]
    assert [own.record.metadata for own in got] == [b"", b"", b"tags", b"tags"]
    assert disk.stored == 2 * 10**12 + 2
    assert net.record().get(timeout=1) == got[-1]


def test_node_whose_disk_is_full_renews_and_says_what_that_means(
    simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    net = start(simulation, Broken())
    with caplog.at_level(logging.ERROR, "rookery"):
        assert net.renew(0).get(timeout=1).record.generation == 1_767_225_600_001
    assert "generation not stored: a restart may seem an earlier life" in caplog.text
    assert "No space left on device" in str([record.fields for record in caplog.records])  # type: ignore[attr-defined]


def test_node_whose_stored_generation_is_damaged_says_so_and_follows_the_clock(
    simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Damaged()
    with caplog.at_level(logging.WARNING, "rookery"):
        assert generation_of(start(simulation, disk)) == 1_767_225_600_000
    assert "the stored generation is set aside, the clock decides" in caplog.text
    assert [record.fields for record in caplog.records] == [{"why": "its checksum is wrong"}]  # type: ignore[attr-defined]
    assert disk.stored == 1_767_225_600_000


def test_lives_without_memory_are_told_apart_within_a_second_and_the_log_says_what_that_means(
    simulation: Any, caplog: pytest.LogCaptureFixture
) -> None:
    lives = set()
    with caplog.at_level(logging.INFO, "rookery"):
        for _ in range(5):
            lives.add(generation_of(start(simulation, None)))
            simulation.node("me").crash()
    assert len(lives) == 5
    assert {life // 1000 for life in lives} == {1_767_225_600}
    assert "no data folder, so the generation is random within the second" in caplog.text
