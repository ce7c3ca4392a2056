"""Hostile bytes: every decoder refuses them in its own words or takes them; a node over a real socket lives on."""

from __future__ import annotations

import gc
import importlib.util
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rookery.transport.codec import encode_batch
from tests.fuzzing import DECODERS, damaged
from tests.transport.scene import Scene, pour, resident
from tests.transport.worlds import RealWorld

MILLION = 1_000_000
FUZZER = Path(__file__).parent.parent.parent / "fuzz" / "decoders.py"


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_takes_what_is_good(name: str) -> None:
    assert all(DECODERS[name].survives(good) for good in DECODERS[name].good)


@pytest.mark.parametrize("name", DECODERS)
@given(data=st.binary(max_size=300))
@settings(max_examples=50)
def test_decoder_of_any_bytes_raises_nothing_but_its_own_error(name: str, data: bytes) -> None:
    DECODERS[name].survives(data)


@pytest.mark.parametrize("name", DECODERS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=50)
def test_decoder_of_damaged_bytes_raises_nothing_but_its_own_error(name: str, seed: int) -> None:
    rng = random.Random(seed)
    DECODERS[name].survives(damaged(rng.choice(DECODERS[name].good), rng))


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_million_hostile_frames_raise_nothing_else_and_leave_memory_flat() -> None:
    rng = random.Random(1)
    decoders = list(DECODERS.values())
    refused = 0
    for number in range(MILLION):
        if number == MILLION // 10:
            gc.collect()
            before = resident()
        decoder = decoders[number % len(decoders)]
        refused += not decoder.survives(damaged(rng.choice(decoder.good), rng))
    gc.collect()
    assert refused > MILLION // 2
    assert resident() - before < 16 * 2**20


@pytest.fixture
def scene(no_leaks: None) -> Iterator[Scene]:
    real = RealWorld()
    yield Scene(real, handshakes_per_ip=1e6, handshakes_per_subnet=1e6, handshake_burst=1_000_000)
    real.close()


def hostile_message(rng: random.Random) -> list[bytes]:
    """A few damaged frames, sometimes behind a whole one, sometimes alone."""
    decoders = [DECODERS[name] for name in ("control", "batch", "record", "resolver", "envelope")]
    frames = [damaged(rng.choice(rng.choice(decoders).good), rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 20)))]
    return [*encode_batch([(16, b"good")]), *frames] if rng.random() < 0.2 else frames


@pytest.mark.parametrize("connections", [20, pytest.param(2000, marks=[pytest.mark.full, pytest.mark.timeout(600)])])
def test_stream_of_hostile_messages_over_a_real_socket_harms_nobody(scene: Scene, connections: int) -> None:
    rng = random.Random(2)
    for number in range(connections):
        with scene.raw() as raw:
            if number % 2:
                raw.join()
            pour(raw, (hostile_message(rng) for _ in range(200)))
            if number % 20 == 19:
                scene.assert_others_are_served()
    scene.assert_unharmed()
    assert sum(scene.bob.counted("invalid", kind) for kind in ("handshake", "frame", "channel")) >= connections // 4


@pytest.mark.full
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris")
def test_coverage_guided_fuzzer_finds_nothing_in_20_seconds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZER), "-max_total_time=20", f"-artifact_prefix={tmp_path}/", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
