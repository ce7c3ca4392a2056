"""What a file may not say, code may not say either: the same values are refused in the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rookery.actors.connections.config import Config as Connections
from rookery.actors.discovery import HttpAddress, StaticRecord
from rookery.actors.discovery.config import Config as Discovery
from rookery.actors.membership.config import Config as Membership
from rookery.actors.membership.config import Seed
from rookery.actors.tracker.config import Config as Tracker
from rookery.actors.tracker.config import StaticPeer
from rookery.config import ConfigError, NodeConfig, load
from rookery.node import Node
from rookery.runtime.settings import Many, Maybe, One, Section, Settings, SettingsError, Shape, declared, show_path
from rookery.transport import Address, PeerId
from rookery.transport.config import Config as Transport

NOBODY = "02" + "00" * 31
"""No point of the curve, as half of all mistyped ids."""
WHERE = "tcp://10.0.0.1:7000"
PEER: Any = PeerId(bytes.fromhex(NOBODY))
ADDRESS = Address.parse(WHERE)

CASES: list[tuple[str, Any, Callable[[], object]]] = [
    ("tracker.peers", [f"{NOBODY}@{WHERE}"], lambda: Tracker(peers=(StaticPeer(PEER, ADDRESS),))),
    ("tracker.trusted", [NOBODY], lambda: Tracker(trusted=(PEER,))),
    ("connections.protected", [NOBODY], lambda: Connections(protected=(PEER,))),
    ("membership.seeds", [f"{NOBODY}@{WHERE}"], lambda: Membership(seeds=(Seed(PEER, ADDRESS),))),
    ("discovery.dns", ["http://a/b:80"], lambda: Discovery(dns=(HttpAddress("a/b", 80),))),
    ("discovery.dns", ["http://a:99999"], lambda: Discovery(dns=(HttpAddress("a", 99_999),))),
    ("discovery.dns", ["http://a:0"], lambda: Discovery(dns=(HttpAddress("a", 0),))),
    ("discovery.record_listen", "http://256.1.1.1:80", lambda: Discovery(record_listen=HttpAddress("256.1.1.1", 80))),
    ("discovery.records", ["A" * 9999], lambda: Discovery(records=(StaticRecord(bytes(9999 * 3 // 4)),))),
    ("transport.network", "a\nb", lambda: Transport(network="a\nb")),
    ("transport.network_key", "abc", lambda: Transport(network_key="abc")),
    ("tracker.book", "a\0b", lambda: Tracker(book="a\0b")),
    ("membership.tags", {"a": "x" * 5000}, lambda: Membership(tags={"a": "x" * 5000})),
    ("key", "a\0b", lambda: NodeConfig(key=Path("a\0b"))),
]


@pytest.mark.parametrize(("key", "written", "made"), CASES, ids=[key for key, *_ in CASES])
def test_value_is_refused_in_the_file_and_in_code_in_the_same_words(
    tmp_path: Path, key: str, written: Any, made: Callable[[], object]
) -> None:
    *section, name = key.split(".")
    (tmp_path / "node.yaml").write_text(yaml.safe_dump({section[0]: {name: written}} if section else {name: written}))
    with pytest.raises(ConfigError) as in_file:
        load(tmp_path)
    with pytest.raises(SettingsError) as in_code:
        made()
    told = [(show_path(each.path), each.message) for each in in_file.value.mistakes]
    assert [(show_path((*section, *each.path)), each.message) for each in in_code.value.problems] == told


def settings(kind: type[Settings], path: tuple[str, ...] = ()) -> Iterator[tuple[type[Settings], str, Shape, bool]]:
    """Every setting there is, with the class that declares it."""
    for each in declared(kind):
        if isinstance(each.shape, Section):
            yield from settings(each.shape.settings, (*path, each.name))
        else:
            yield kind, each.name, each.shape, each.option.secret


def one(shape: Shape) -> Any:
    while isinstance(shape, (Maybe, Many)):
        shape = shape.inner if isinstance(shape, Maybe) else shape.item
    return shape.type if isinstance(shape, One) else None


JUNK: list[Any] = [object(), b"\xff" * 32, [5], {5: object()}, "\ud800", (None,), (object(),), ("\ud800",)]
JUNK += [{"a": "\ud800"}, Path("\ud800")]
JUNK += [(kind(*parts),) for kind in (StaticPeer, Seed, HttpAddress) for parts in ((None, None), ("x", "y"), (5, PEER))]
JUNK += [(StaticPeer(NOBODY, WHERE),), (StaticRecord("x"),), (StaticRecord(b""), None)]  # type: ignore[arg-type]


EVERY = list(settings(NodeConfig))


@pytest.mark.parametrize(("kind", "name", "shape", "secret"), EVERY, ids=[name for _, name, *_ in EVERY])
def test_setting_in_code_is_of_its_kind_or_refused_by_name(
    kind: type[Settings], name: str, shape: Shape, secret: bool
) -> None:
    for junk in JUNK:
        if one(shape) is not None and one(shape) is type(junk) and "\ud800" not in str(junk):
            continue
        try:
            kind(**{name: junk})
        except SettingsError as error:
            assert {str(each.path[0]) for each in error.problems} == {name}, junk
            assert len(str(error)) < 3000
            assert not secret or "ud800" not in str(error)
        else:
            raise AssertionError(f"{name} may be {junk!r}")


def test_text_of_a_secret_is_in_no_error_and_no_repr() -> None:
    wrong: list[Callable[[], object]] = [
        lambda: Transport(network_key="hunter2"),
        lambda: NodeConfig(key_passphrase="hunter2\ud800"),
        lambda: NodeConfig(key_passphrase=b"hunter2"),  # type: ignore[arg-type]
        lambda: Transport(network_key=("hunter2",)),  # type: ignore[arg-type]
    ]
    for make in wrong:
        with pytest.raises(SettingsError) as refused:
            make()
        assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(NodeConfig(key_passphrase="hunter2"))
    assert "ab" * 32 not in repr(NodeConfig(transport=Transport(network_key="ab" * 32)))


@pytest.mark.parametrize("junk", ["node.yaml", None, {}, Transport()])
def test_node_takes_a_configuration_and_nothing_else(junk: Any) -> None:
    with pytest.raises(TypeError, match=r"a node takes a NodeConfig, as load\(\.\.\.\) gives it, not "):
        Node(junk)
