"""What the README shows is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rookery.config import load
from rookery.node import Node
from rookery.node.cluster import Cluster

ROOT = Path(__file__).parent.parent


def readme_program() -> str:
    (program,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    return program


def test_program_of_the_readme_has_about_15_lines() -> None:
    assert len(readme_program().splitlines()) <= 16


def test_program_of_the_readme_runs_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_leaks: None
) -> None:
    mine, other = Cluster.make(tmp_path, 2)
    monkeypatch.chdir(mine.parent)
    Path("model.bin").write_bytes(bytes(range(256)) * 2000)
    with Node(load(other)):
        exec(compile(readme_program(), "README.md", "exec"), {})
    assert Path("copy.bin").read_bytes() == Path("model.bin").read_bytes()
    assert "I am" in capsys.readouterr().out


@pytest.mark.parametrize("path", re.findall(r"\]\(([a-z_/.A-Z]+)\)", (ROOT / "README.md").read_text()))
def test_link_of_the_readme_names_a_file(path: str) -> None:
    assert (ROOT / path).exists()
