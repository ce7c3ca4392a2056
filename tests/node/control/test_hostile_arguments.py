"""Every method of the client with every argument wrong, one at a time: a `CommandFailed` that says what is allowed."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rookery.node import Client, CommandFailed, Node
from rookery.node.control.errors import ControlError
from rookery.runtime.arguments import shortened
from rookery.transport.identity import Identity

ADA = str(Identity.from_seed(bytes(32)).peer)
HOSTILE: list[Any] = [
    "\ud800", "\udcff", "a\0b", "", "x" * 9_000_000, b"\xff", 2**64, -(2**63) - 1, 10**5000, -1, True, math.nan,
    math.inf, None, object(), [], {}, {"a": object()}, [[[]]] * 2, Path("\ud800"), lambda: None,
]  # fmt: skip
LEFT_OUT = {"stop", "close", "of", "call"}
"""What ends the node or the client, or takes anything as it is."""


def methods(client: Client) -> dict[str, Callable[..., Any]]:
    """By name, all that a client can be asked."""
    found = {name: getattr(client, name) for name in public(client) if name not in LEFT_OUT}
    for part in ("blobs", "tracker", "connections"):
        del found[part]
        found |= {f"{part}.{name}": getattr(getattr(client, part), name) for name in public(getattr(client, part))}
    return {name: method for name, method in found.items() if inspect.ismethod(method)}


def public(owner: object) -> list[str]:
    return [name for name in dir(owner) if not name.startswith("_")]


@pytest.fixture(name="right")
def _right(node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A value for each argument with which the call succeeds at once. Relative paths end up in `tmp_path`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_bytes(b"content")
    return {
        "path": tmp_path / "file",
        "key": str(node.blobs.put(tmp_path / "file")),
        "destination": tmp_path / "copy",
        "peer": ADA,
        "target": ADA,
        "peers": {ADA: "tcp://10.0.0.1:7000"},
        "secondary": {},
        "id": 1,
        "tag": "a",
        "weight": 1,
        "name": "control_internal_errors_total",
        "timeout": 5.0,
        "duration": 5.0,
        "connected": 0,
        "members": 0,
        "wait": True,
        "progress": None,
    }


def test_every_method_of_the_client_refuses_hostile_arguments_in_words(
    node: Node, client: Client, right: dict[str, Any]
) -> None:
    tried = 0
    for name, method in methods(client).items():
        for wrong in inspect.signature(method).parameters:
            if wrong == "progress":
                continue
            for value in HOSTILE:
                given = {each: right[each] for each in inspect.signature(method).parameters}
                given[wrong] = value
                if name == "connections.trim_open_connections":
                    given.pop("peer", None)
                try:
                    method(**given)
                except CommandFailed as refused:
                    assert refused.kind not in ("InternalError", "EngineFailed"), (name, wrong, shortened(value))
                    assert 0 < len(str(refused)) < 5000, (name, wrong, shortened(value))
                except Exception as error:
                    raise AssertionError(f"{name}({wrong}={shortened(value)}): {error!r:.300}") from error
                tried += 1
    assert tried > 300
    assert node.failure is None


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 10**5000], ids=["above", "below", "far above"])
def test_number_that_cannot_be_sent_is_refused_with_the_range(client: Client, value: int) -> None:
    calls: list[Callable[[], object]] = [
        lambda: client.wait(connected=value),
        lambda: client.tracker.peer_set(value),
        lambda: client.tracker.track(value, {}),
        lambda: client.connections.tag_peer(ADA, "a", value),
        lambda: client.connections.trim_open_connections(value),
    ]
    for call in calls:
        with pytest.raises(
            CommandFailed, match=r"^\w+ must be a whole number from -9223372036854775808 to 18446744073709551615, not "
        ) as refused:
            call()
        assert refused.value.kind == "BadArguments"


@pytest.mark.parametrize("path", ["\ud800", "a\0b", Path("\ud800")])
def test_path_that_the_system_has_no_name_for_is_refused(client: Client, tmp_path: Path, path: Any) -> None:
    key = client.blobs.put(__file__)
    for call in (lambda: client.blobs.put(path), lambda: client.blobs.get(key, path)):
        with pytest.raises(CommandFailed, match="must be a path that the system has a name for, not ") as refused:
            call()
        assert refused.value.kind == "BadArguments"
    with pytest.raises(ControlError, match="cannot be used: |no node listens "), Client(tmp_path / path) as elsewhere:
        elsewhere.status()
