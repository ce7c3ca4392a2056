"""Coverage-guided fuzzing of every decoder: `python fuzz/decoders.py [-max_total_time=SECONDS] [CORPUS]`.

Needs `pip install .[fuzz]`. The first byte of an input chooses the decoder, the rest is for it. An error that the
decoder may not raise ends the run, and the input is written to a file.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parent.parent))

import tests.conftest  # noqa: F401  # `rookery` without installing it

with atheris.instrument_imports(include=["rookery", "tests.fuzzing"]):
    from tests.fuzzing import DECODERS, reshaped

_DECODERS = list(DECODERS.values())


def one_input(data: bytes) -> None:
    """Called by the fuzzer."""
    if data:
        _DECODERS[data[0] % len(_DECODERS)].survives(data[1:])


def mutated(data: bytes, most: int, seed: int) -> bytes:
    """Half of them changed as msgpack values, of which bytes changed blindly seldom make a valid one."""
    rng = random.Random(seed)
    if len(data) < 2 or rng.random() < 0.5:
        changed: bytes = atheris.Mutate(data, most)
        return changed
    return (data[:1] + reshaped(data[1:], rng))[:most]


def main() -> None:
    """Put good inputs into the corpus, then fuzz."""
    corpus = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    for folder in corpus[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        for number, decoder in enumerate(_DECODERS):
            for index, good in enumerate(decoder.good):
                (folder / f"good-{number}-{index}").write_bytes(bytes([number]) + good)
    atheris.Setup(sys.argv, one_input, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
