"""`${NAME}`: in every value, and what it stands for is never shown in an error."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from rookery.config import ConfigError, NodeConfig, Parser, Parsers, bind, load, parse
from rookery.node import CannotStart, Node
from rookery.runtime.settings import (
    MILLISECOND,
    Many,
    Maybe,
    Seconds,
    Section,
    Settings,
    Shape,
    Table,
    declared,
    option,
    section,
)

PARSERS: Parsers = {IPv4Address: Parser(IPv4Address, "an IPv4 address", "four numbers with dots")}


@dataclass(frozen=True, slots=True)
class Root(Settings):
    network: str = option("default", "The network.")
    key: Path = option(Path("key.pem"), "The key file.")
    password: str | None = option(None, "Opens the key file.")
    workers: int = option(2, "Threads of the pool.", minimum=1)
    wait: Seconds = option(1.0, "How long.", minimum=MILLISECOND)
    eager: bool = option(False, "Whether to hurry.")
    gateway: IPv4Address | None = option(None, "The way out.")
    gateways: tuple[IPv4Address, ...] = option((), "More of them.")
    tags: Mapping[str, str] = section(dict, "Texts.")


def bound(text: str, environ: Mapping[str, str]) -> Root:
    return bind(Root, parse(text, name="node.yaml", folder=Path("/")), parsers=PARSERS, environ=environ)


def only_mistake(text: str, environ: Mapping[str, str]) -> str:
    with pytest.raises(ConfigError) as raised:
        bound(text, environ)
    (mistake,) = raised.value.mistakes
    return str(mistake)


def test_variable_is_replaced_in_every_kind_of_value() -> None:
    text = """
        network: "${A}-${B}"
        key: ${HOME}/node.key
        password: ${B}
        workers: ${N}
        wait: ${N}m
        eager: "${YES}"
        gateway: 10.0.0.${N}
        gateways: ["${IP}", 10.0.0.2]
        tags: {zone: "${A}"}
        """
    variables = {"A": "x", "B": "null", "N": "7", "YES": "true", "HOME": "/root", "IP": "10.0.0.1"}
    root = bound(dedent(text), variables)
    assert (root.network, root.key, root.password) == ("x-null", Path("/root/node.key"), "null")
    assert (root.workers, root.wait, root.eager, root.tags) == (7, 420.0, True, {"zone": "x"})
    assert [str(each) for each in (root.gateway, *root.gateways)] == ["10.0.0.7", "10.0.0.1", "10.0.0.2"]


def test_variable_that_is_not_set_is_a_mistake_with_its_line() -> None:
    words = "the environment variable ABSENT is not set (allowed: a variable that is set, or $${ABSENT} for that text)"
    assert only_mistake("\nnetwork: a${ABSENT}", {}) == f"node.yaml:2: network: {words}"


def test_dollar_twice_before_a_brace_is_that_text_and_a_dollar_alone_is_itself() -> None:
    root = bound("network: $${A}\npassword: $A $$ ${A}$${A} }\n", {"A": "x"})
    assert (root.network, root.password) == ("${A}", "$A $$ x${A} }")


@pytest.mark.parametrize("text", ["${", "${}", "${A", "${A-b}", "${1}", "${A b}", "${${A}}"])
def test_brace_without_the_name_of_a_variable_is_a_mistake(text: str) -> None:
    words = f"network: {text} has a ${{ without the name of a variable (allowed: ${{NAME}} for the environment variable"
    assert words in only_mistake(f"network: '{text}'", {"A": "x"})


@pytest.mark.parametrize("value", ["[10.0.0.1]", "{a: b}", "10.0.0.1, 10.0.0.2", "- 10.0.0.1\n- 10.0.0.2", "null", ""])
def test_variable_is_never_read_as_yaml(value: str) -> None:
    assert bound("network: ${A}", {"A": value}).network == value
    assert "gateways: ${A} is not a list" in only_mistake("gateways: ${A}", {"A": value})
    assert "gateway: ${A} is not an IPv4 address" in only_mistake("gateway: ${A}", {"A": value})
    assert "tags: ${A} is not a mapping" in only_mistake("tags: ${A}", {"A": value})


def test_variable_that_names_a_variable_is_not_followed() -> None:
    assert bound("network: ${A}", {"A": "${B}", "B": "x"}).network == "${B}"


def test_variable_in_a_key_is_a_mistake() -> None:
    assert "${A} names an environment variable, and a key takes none" in only_mistake("tags: {'${A}': x}", {"A": "x"})
    assert "['${A}']: unknown key" in only_mistake("'${A}': x", {"A": "network"})


@pytest.mark.parametrize("text", ["workers: ${SECRET}", "gateway: ${SECRET}", 'workers: "${SECRET}"'])
def test_variable_with_a_wrong_value_is_a_mistake_that_does_not_show_the_value(text: str) -> None:
    line = only_mistake(text, {"SECRET": "-hunter2-"})
    assert "${SECRET} is not a" in line
    assert "hunter2" not in line


SECRETS = [
    "hunter2",
    "hunter2 and \n more",
    "hünter2-hunter2'\"\\",
    "hunter2" * 50,
    "\x1bhunter2\x7f",
    "hunter2\udcff",
    "5hunter2",
    "-hunter2@tcp://10.0.0.1:7000",
    f"{'ab' * 31}hunter2@tcp://hunter2:hunter2",
    "tcp://hunter2-:70000",
    "http://hunter2/hunter2",
    "~hunter2/x",
]


def settings(kind: type[Settings], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Shape]]:
    for each in declared(kind):
        if isinstance(each.shape, Section):
            yield from settings(each.shape.settings, (*path, each.name))
        else:
            yield (*path, each.name), each.shape


EVERY = list(settings(NodeConfig))


@pytest.mark.parametrize(("path", "shape"), EVERY, ids=[".".join(path) for path, _ in EVERY])
def test_value_of_a_variable_is_in_no_mistake_of_any_setting(
    tmp_path: Path, path: tuple[str, ...], shape: Shape
) -> None:
    inner = shape.inner if isinstance(shape, Maybe) else shape
    written: object = ["${SECRET}"] if isinstance(inner, Many) else {"a": "${SECRET}"}
    if not isinstance(inner, Many | Table):
        written = "${SECRET}"
    for written_here in (written, "${SECRET}"):
        tree: object = written_here
        for name in reversed(path):
            tree = {name: tree}
        (tmp_path / "node.yaml").write_text(yaml.safe_dump(tree))
        for secret in SECRETS:
            try:
                load(tmp_path, environ={"SECRET": secret})
            except ConfigError as error:
                assert "unter2" not in str(error), secret


def test_path_from_a_variable_is_shown_where_its_file_cannot_be_found(tmp_path: Path) -> None:
    """It is what the operator looks for; the page says to put no secret into it."""
    (tmp_path / "node.yaml").write_text("key: ${KEY_FILE}")
    config = load(tmp_path, environ={"KEY_FILE": "elsewhere/node.key"})
    with pytest.raises(CannotStart, match="key: .*/elsewhere/node.key: cannot be read: No such file"):
        Node(config)
