"""Keys without a default, in sections that are there and in sections that are not."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from rookery.config import ConfigError, bind, parse
from rookery.runtime.settings import Settings, required, section


@dataclass(frozen=True, slots=True)
class Inner(Settings):
    host: str = required("The machine.")
    port: int = required("The port.", minimum=1, maximum=65535)


@dataclass(frozen=True, slots=True)
class Outer(Settings):
    inners: tuple[Inner, ...] = required("All of them.")
    main: Inner = section(Inner, "The first.")


def test_required_keys_that_are_missing_are_each_a_mistake_with_their_documentation() -> None:
    with pytest.raises(ConfigError) as raised:
        bind(Outer, parse("\ninners:\n  - host: a\n", name="n.yaml", folder=Path("/")))
    assert str(raised.value).splitlines() == [
        "n.yaml:1: main.host: is required. The machine. (allowed: text in UTF-8)",
        "n.yaml:1: main.port: is required. The port. (allowed: a whole number; from 1 to 65535)",
        "n.yaml:3: inners[0].port: is required. The port. (allowed: a whole number; from 1 to 65535)",
    ]


def test_required_list_that_is_missing_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"^n\.yaml:1: inners: is required\. All of them\.$"):
        bind(Outer, parse("main: {host: a, port: 1}", name="n.yaml", folder=Path("/")))
