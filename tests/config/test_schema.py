"""The rules at the head of `config/schema.py`."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

import pytest

from rookery.config import Parser, Parsers
from rookery.config.schema import json_schema
from rookery.config.units import DURATION_PATTERN
from rookery.runtime.settings import Bytes, Seconds, Settings, option, required, section

PARSERS: Parsers = {IPv4Address: Parser(IPv4Address, "an IPv4 address", "four numbers with dots")}


@dataclass(frozen=True, slots=True)
class Inner(Settings):
    timeout: Seconds = option(90.0, "Longest wait.", above=0.0)
    frame: Bytes = option(65_536, "Largest frame.", minimum=64)
    mode: Literal["open", "private"] = option("open", "Who may come.")


@dataclass(frozen=True, slots=True)
class Root(Settings):
    name: str = required("What this is called.")
    port: int = option(4000, "Where to listen.", minimum=1, maximum=65535)
    key: Path = option(Path("key.pem"), "The key file.")
    limit: int | None = option(None, "Most of them.")
    hosts: Mapping[str, IPv4Address] = section(dict, "Where others are.")
    delays: tuple[Seconds, ...] = option((0.5, 1.0), "Waits.")
    inner: Inner = section(Inner, "More.")


@pytest.fixture(name="root")
def _root() -> Mapping[str, dict[str, object]]:
    properties = json_schema(Root, PARSERS)["properties"]
    assert isinstance(properties, dict)
    return properties


def inner() -> Mapping[str, dict[str, object]]:
    ((section_schema),) = json_schema(Root, PARSERS)["$defs"].values()
    properties = section_schema["properties"]
    assert isinstance(properties, dict)
    return properties


def test_schema_is_json_and_names_its_dialect() -> None:
    schema = json_schema(Root, PARSERS)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_schema_refuses_unknown_keys_and_names_the_required_ones() -> None:
    schema = json_schema(Root, PARSERS)
    assert (schema["additionalProperties"], schema["required"]) == (False, ["name"])


def test_schema_of_a_number_has_its_bounds_default_and_documentation(root: Mapping[str, dict[str, object]]) -> None:
    assert root["port"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "default": 4000,
        "description": "Where to listen.",
    }


def test_schema_of_a_duration_takes_numbers_and_texts_and_says_which() -> None:
    timeout = inner()["timeout"]
    assert timeout["anyOf"] == [
        {"type": "number", "minimum": 0, "exclusiveMinimum": 0.0, "maximum": 3_153_600_000},
        {"type": "string", "pattern": f"^(?:{DURATION_PATTERN})$"},
    ]
    assert timeout["default"] == "90s"
    words = "Longest wait. Allowed: a number of seconds, or a number with ms, s, m, h, d; above 0 seconds."
    assert timeout["description"] == words


def test_schema_of_a_size_shows_its_default_with_a_unit() -> None:
    assert inner()["frame"]["default"] == "64KiB"


def test_schema_of_a_choice_lists_the_choices() -> None:
    assert inner()["mode"]["enum"] == ["open", "private"]


def test_schema_of_what_may_be_absent_takes_null(root: Mapping[str, dict[str, object]]) -> None:
    number = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}
    assert root["limit"]["anyOf"] == [number, {"type": "null"}]


def test_schema_of_containers_describes_their_elements(root: Mapping[str, dict[str, object]]) -> None:
    described = {"type": "string", "description": "an IPv4 address: four numbers with dots"}
    assert root["hosts"]["additionalProperties"] == described
    assert (root["delays"]["type"], root["delays"]["default"]) == ("array", ["500ms", "1s"])
