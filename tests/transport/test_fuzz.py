"""Hostile bytes: every decoder refuses them in its own words or takes them; a node over a real socket lives on."""

from __future__ import annotations

import ast
import functools
import gc
import importlib.util
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import FrameType
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from rookery.transport.core.codec import Control, encode_batch
from rookery.transport.identity.verified import FairCache
from tests.fuzzing import CONTROL, DECODERS, damaged, reshaped
from tests.transport.scene import Scene, pour, resident
from tests.transport.worlds import RealWorld

MILLION = 1_000_000
ROOT = Path(__file__).resolve().parents[2]
TRUSTED = {(ROOT / "node/control/status.py", "unpack")}  # what the command line gets from the user's own node
UNPACKS = re.compile("'unpackb'|'Unpacker'")
FUZZER = ROOT / "fuzz" / "decoders.py"


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_takes_what_is_good(name: str) -> None:
    assert all(DECODERS[name].survives(good) for good in DECODERS[name].good)


def test_decoder_of_control_messages_is_given_each_with_every_field_set() -> None:
    every = {(cls, field.name) for cls in get_args(Control) for field in structs.fields(cls)}
    given = {
        (type(message), field.name)
        for message in CONTROL
        for field in structs.fields(message)
        if getattr(message, field.name) not in (field.default, None)
    }
    assert every - given == set()


def code_that_decodes() -> set[tuple[str, int]]:
    """Where each function begins that is named `decode...` or unpacks msgpack itself."""
    found: set[tuple[str, int]] = set()
    paths = {path for layer in ("transport", "actors", "node") for path in (ROOT / layer).rglob("*.py")}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.FunctionDef)
                and (path, node.name) not in TRUSTED
                and (node.name.lstrip("_").startswith("decode") or UNPACKS.search(ast.dump(node)))
            ):
                found.add((str(path), min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])))
    return found


def test_every_function_that_decodes_is_reached_by_one_of_the_decoders_here() -> None:
    reached: set[tuple[str, int]] = set()

    def called(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call":
            reached.add((str(Path(frame.f_code.co_filename).resolve()), frame.f_code.co_firstlineno))

    modules = [module for name, module in sys.modules.items() if name.startswith("rookery.")]
    for each in [value for module in modules for value in vars(module).values()]:
        if isinstance(each, functools._lru_cache_wrapper):
            each.cache_clear()  # what was decoded before is decoded again
        elif isinstance(each, FairCache):
            each.clear()
    sys.setprofile(called)
    try:
        for decoder in DECODERS.values():
            assert all(map(decoder.survives, decoder.good))
    finally:
        sys.setprofile(None)
    assert code_that_decodes() - reached == set(), "each of these needs an entry in tests/fuzzing.py"


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


@pytest.mark.parametrize("name", DECODERS)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=50)
def test_decoder_of_values_with_a_wrong_item_raises_nothing_but_its_own_error(name: str, seed: int) -> None:
    rng = random.Random(seed)
    DECODERS[name].survives(reshaped(rng.choice(DECODERS[name].good), rng))


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
        harm = damaged if rng.random() < 0.5 else reshaped
        refused += not decoder.survives(harm(rng.choice(decoder.good), rng))
    gc.collect()
    assert refused > MILLION // 2
    assert resident() - before < 16 * 2**20


@pytest.fixture
def scene(no_leaks: None) -> Iterator[Scene]:
    real = RealWorld()
    # Who floods comes again at once, from the same IP. Who had not joined, and whose first message is unread on a busy
    # machine when it has sent 64 KiB, would otherwise cost its IP the next 30 s.
    limits = {"handshakes_per_ip": 1e6, "handshakes_per_subnet": 1e6, "handshake_burst": 1_000_000, "ip_cooldown": 0.0}
    yield Scene(real, **limits)
    real.close()


def hostile_message(rng: random.Random) -> list[bytes]:
    """A few damaged frames, sometimes behind a whole one, sometimes alone."""
    decoders = [DECODERS[name] for name in ("control", "batch", "record", "resolver", "envelope")]
    harm = rng.choice((damaged, reshaped))
    frames = [harm(rng.choice(rng.choice(decoders).good), rng) for _ in range(rng.choice((1, 1, 1, 2, 3, 20)))]
    return [*encode_batch([(16, b"good")]), *frames] if rng.random() < 0.2 else frames


@pytest.mark.parametrize("frames", [20_000, pytest.param(MILLION, marks=[pytest.mark.full, pytest.mark.timeout(600)])])
def test_stream_of_hostile_messages_over_a_real_socket_harms_nobody(scene: Scene, frames: int) -> None:
    rng = random.Random(2)
    messages = [hostile_message(rng) for _ in range(5000)]
    poured = 0
    for number in count(1):
        with scene.raw() as raw:
            if number % 2:
                raw.join()
            poured += pour(raw, rng.choices(messages, k=200))
            if number % 20 == 0:
                scene.assert_others_are_served()
            if poured >= frames:
                break
    scene.assert_unharmed()
    assert sum(scene.bob.counted("invalid", kind) for kind in ("handshake", "frame")) >= number // 4


@pytest.mark.full
@pytest.mark.timeout(300)  # it instruments every module first, which takes a minute on a busy core
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs atheris: pip install .[fuzz]")
def test_coverage_guided_fuzzer_finds_nothing_in_20_seconds(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(FUZZER), "-max_total_time=20", f"-artifact_prefix={tmp_path}/", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
