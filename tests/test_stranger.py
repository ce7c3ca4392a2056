"""docs/protocol.md is enough to join: a program that shares no code with Rookery is served, and serves."""

from __future__ import annotations

import ast
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgpack
import pytest

from rookery.config import load
from rookery.node import Node, new
from rookery.transport import Identity

STRANGER = Path(__file__).with_name("stranger.py")
SEED = hashlib.sha256(b"a stranger").digest()
YAML = """
transport: {{network: strange}}
tracker:
  source: static
  peers: ["{peer}@tcp://127.0.0.1:1"]
"""


@pytest.mark.processes
def test_stranger_joins_a_node_and_both_serve_each_other(tmp_path: Path) -> None:
    new.make_node(tmp_path / "node", YAML.format(peer=Identity.from_seed(SEED).peer))
    mine = tmp_path / "mine.txt"
    mine.write_bytes(b"what the node has " * 9)
    with Node(load(tmp_path / "node")) as node:
        wanted = node.blobs.put(mine)
        arguments = [f"{node.peer}@{node.address}", "strange", SEED.hex(), str(wanted), "what the stranger has"]
        with subprocess.Popen(
            [sys.executable, str(STRANGER), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as stranger:
            try:
                offered = heard(stranger)["offers"]
                manifest = bytes.fromhex(heard(stranger)["received"])
                assert hashlib.sha256(manifest).digest() == wanted
                assert msgpack.unpackb(manifest)[-1] == hashlib.sha256(mine.read_bytes()).digest()
                node.blobs.get(bytes.fromhex(offered), tmp_path / "theirs.txt", timeout=10)
                assert (tmp_path / "theirs.txt").read_text() == "what the stranger has"
                assert node.status().connected == 1
            finally:
                assert stranger.stdin is not None
                stranger.stdin.close()
        assert stranger.returncode == 0


def heard(stranger: subprocess.Popen[str]) -> dict[str, Any]:
    assert stranger.stdout is not None
    return json.loads(stranger.stdout.readline())


def test_stranger_has_under_100_lines_and_uses_nothing_of_rookery() -> None:
    text = STRANGER.read_text()
    imported: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) == {"msgpack", "zmq", "cryptography"}
    assert len(text.splitlines()) < 100
