"""A scenario for `rookery simulate`: YAML -> `Scenario`, with the same errors as a node's file."""

from __future__ import annotations

import os
from pathlib import Path

from ..config.bind import bind
from ..config.node import PARSERS
from ..config.source import read
from .scenario import Scenario


def load_scenario(path: str | os.PathLike[str]) -> Scenario:
    """The scenario in a YAML file. Raises ConfigError with all mistakes."""
    return bind(Scenario, read(Path(path)), parsers=PARSERS, environ=os.environ)
