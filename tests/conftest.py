"""For every test: `rookery` without installing it, `--full`, no time limit of Hypothesis, and no thread left behind."""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

for _profile, _examples in (("quick", 25), ("full", 200)):
    settings.register_profile(
        _profile, max_examples=_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )  # what is slow on a busy machine is no fault

if importlib.util.find_spec("rookery") is None:
    namespace = types.ModuleType("rookery")  # what an installation makes of the repository: its folders are `rookery.*`
    namespace.__path__ = [str(Path(__file__).parent.parent)]
    sys.modules["rookery"] = namespace

_PLUGIN = "rookery.testing.plugin"
_MOST_WORKERS = 8


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full` also runs what is marked `full`."""
    parser.addoption("--full", action="store_true", help="also run tests marked full: many seeds, large sizes")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, as many tests wait for a process or a socket; on a core alone just one."""
    available = getattr(os, "sched_getaffinity", None)
    cores = len(available(0)) if available else os.cpu_count() or 1
    return 1 if cores == 1 else min(cores + 1, _MOST_WORKERS)


def pytest_configure(config: pytest.Config) -> None:
    """Choose how many examples Hypothesis makes, and load the plugin where no installation's entry point has."""
    settings.load_profile("full" if config.getoption("--full") else "quick")
    manager = config.pluginmanager
    if not any(getattr(plugin, "__name__", "") == _PLUGIN for plugin in manager.get_plugins()):
        manager.import_plugin(_PLUGIN)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `full` unless it was asked for."""
    if not config.getoption("--full"):
        left_out = [item for item in items if item.get_closest_marker("full") is not None]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item.get_closest_marker("full") is None]


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    """Fail a test whose threads outlive its fixtures."""
    from rookery.testing.plugin import begun_threads

    before, began = set(threading.enumerate()), time.monotonic()
    yield
    started = begun_threads(before, began)
    for thread in started:
        thread.join(timeout=5)
    left = sorted(thread.name for thread in started if thread.is_alive())
    assert not left, f"threads left running: {left}"
