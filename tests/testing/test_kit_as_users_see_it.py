"""The pytest plugin from outside: the documentation's example, failing tests, and a checkout that is not installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run_pytest(folder: Path, *arguments: str, path: str, installed: bool = True) -> str:
    """The output of pytest in a process of its own, without what happens to be installed as a plugin."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": path}
    python = [sys.executable] if installed else [sys.executable, "-S"]  # -S also leaves out editable installations
    plugins = ["-p", "rookery.testing.plugin"] if installed else []
    command = [*python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder from which `rookery` can be imported, installed or not."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "rookery").symlink_to(ROOT)
    return str(folder)


def test_example_of_the_documentation_passes(tmp_path: Path, site: str) -> None:
    text = (ROOT / "docs" / "testing.md").read_text()
    files = re.findall(r"```python\n# file: (\S+)\n(.*?)```", text, re.DOTALL)
    for name, code in files:
        (tmp_path / name).write_text(code)
    tests = sum(code.count("\ndef test_") for _, code in files)
    assert tests >= 5
    assert f"{tests} passed" in run_pytest(tmp_path, path=site)


def test_failed_test_prints_the_last_messages_with_the_seed(tmp_path: Path, site: str) -> None:
    (tmp_path / "test_it.py").write_text(
        """
from dataclasses import dataclass
from rookery.runtime import Engine, Mailbox, Message

@dataclass(frozen=True, slots=True)
class Hello(Message):
    name: str

class Greeter(Engine[Mailbox]):
    def __init__(self):
        super().__init__()
        self.handlers = {Hello: lambda message: None}

def test_that_fails(simulation):
    simulation.start(Greeter).tell(Hello("world"))
    simulation.settle()
    assert False

def test_that_passes(simulation):
    simulation.start(Greeter).tell(Hello("nobody sees this"))
    simulation.settle()
"""
    )
    output = run_pytest(tmp_path, path=site)
    assert "the last 1 messages, seed 'test_it.py::test_that_fails'" in output
    assert re.search(r"0\.0000  /actor +Hello\(name='world'\)", output)
    assert "nobody sees this" not in output


@pytest.mark.full
def test_leaked_thread_fails_its_test(tmp_path: Path, site: str) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(
        """
import threading

def test_that_leaks():
    threading.Thread(target=threading.Event().wait, args=(8,), name="left", daemon=True).start()
"""
    )
    assert "threads left running: ['left']" in run_pytest(tmp_path, path=site)


def test_checkout_that_is_not_installed_runs_its_tests(tmp_path: Path) -> None:
    libraries = next(path for path in sys.path if path.endswith("site-packages"))
    module = "tests/runtime/test_metrics.py"
    output = run_pytest(ROOT, "-p", "pytest_timeout", module, "-W", "ignore", path=libraries, installed=False)
    assert "8 passed" in output


def test_tests_marked_full_run_with_full_only(tmp_path: Path, site: str) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text("import pytest\n\n@pytest.mark.full\ndef test_long():\n    assert True\n")
    assert "1 deselected" in run_pytest(tmp_path, "-W", "ignore", path=site)
    assert "1 passed" in run_pytest(tmp_path, "-W", "ignore", "--full", path=site)
