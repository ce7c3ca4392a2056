"""`${NAME}`: only where the declaration says `env=True`, and never shown in an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from rookery.config import ConfigError, Parser, Parsers, bind, parse
from rookery.runtime.settings import Settings, option

PARSERS: Parsers = {IPv4Address: Parser(IPv4Address, "an IPv4 address", "four numbers with dots")}


@dataclass(frozen=True, slots=True)
class Root(Settings):
    network: str = option("default", "The network.", env=True)
    key: Path = option(Path("key.pem"), "The key file.")
    password: str | None = option(None, "Opens the key file.", env=True)
    workers: int = option(2, "Threads of the pool.", minimum=1, env=True)
    gateway: IPv4Address | None = option(None, "The way out.", env=True)


def bound(text: str, environ: Mapping[str, str]) -> Root:
    return bind(Root, parse(text, name="node.yaml", folder=Path("/")), parsers=PARSERS, environ=environ)


def only_mistake(text: str, environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as raised:
        bound(text, environ)
    (mistake,) = raised.value.mistakes
    return str(mistake)


def test_variable_is_replaced_where_the_declaration_says_so() -> None:
    root = bound('network: "${A}-${B}"\npassword: ${B}\nworkers: ${N}\n', {"A": "x", "B": "null", "N": "7"})
    assert (root.network, root.password, root.workers) == ("x-null", "null", 7)


def test_variable_that_is_not_set_is_a_mistake() -> None:
    expected = "node.yaml:1: network: the environment variable ABSENT is not set (allowed: a variable that is set)"
    assert only_mistake("network: ${ABSENT}", {}) == expected


def test_variable_where_none_is_taken_is_a_mistake_although_it_is_set() -> None:
    words = "node.yaml:1: key: ${HOME}/x names an environment variable, which this key does not take"
    assert only_mistake("key: ${HOME}/x", {"HOME": "/root"}).startswith(words)


@pytest.mark.parametrize("text", ["workers: ${SECRET}", "gateway: ${SECRET}", 'workers: "${SECRET}"'])
def test_variable_with_a_wrong_value_is_a_mistake_that_does_not_show_the_value(text: str) -> None:
    line = only_mistake(text, {"SECRET": "-hunter2-"})
    assert "${SECRET} is not a" in line
    assert "hunter2" not in line
