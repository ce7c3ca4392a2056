"""What a measurement depends on beside the code: the machine, and the versions of what is measured or stood beside."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import zmq

_PACKAGES = ("pyzmq", "msgpack", "msgspec", "cryptography", "pykka", "libp2p", "zeromq-pyre")


def machine() -> str:
    """Processor, cores that may be used, memory, kernel, Python, libraries, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    hardware = f"{_processor()}, {_cores()} cores, {memory:.0f} GB"
    return "; ".join((hardware, f"{platform.system()} {platform.release()}", ", ".join(_versions())))


def commit(root: Path, but: Path) -> str:
    """The commit that is checked out in `root`, and whether anything is changed since, `but` that file."""
    found = _git(root, "rev-parse", "--short", "HEAD").strip()
    changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", ".", f":!{but.relative_to(root)}")
    if not found:
        return "no commit"
    return f"commit {found} with changes" if changed else f"commit {found}"


def _git(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(("git", *arguments), cwd=root, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()}"
    yield f"libzmq {zmq.zmq_version()}"
    for package in _PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
