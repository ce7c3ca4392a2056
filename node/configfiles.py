"""Configuration as the command line shows it: mistakes, the schema, every setting."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from ..config import Mistake, NodeConfig, load, written
from ..config.node import PARSERS, located
from ..runtime.settings import Section, show_path
from .node import obstacles

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
HIDDEN = "(hidden)"


def described(mistake: Mistake) -> dict[str, Json]:
    """A mistake, for programs."""
    return {
        "file": mistake.file,
        "line": mistake.line,
        "column": mistake.column,
        "path": show_path(mistake.path),
        "message": mistake.message,
        "allowed": mistake.allowed,
    }


def load_runnable(file: Path) -> NodeConfig:
    """The configuration of a node that can run on this machine. Raises ConfigError with all that is wrong.

    That somebody else uses its port, folder or socket is not looked at.
    """
    config = load(file)
    if problems := list(obstacles(config)):
        raise located(file, problems)
    return config


def schema() -> dict[str, Json]:
    """The JSON Schema of `node.yaml`."""
    from ..config.schema import json_schema  # late: it loads pydantic

    return json_schema(NodeConfig, PARSERS)


def complete(config: NodeConfig) -> dict[str, Json]:
    """Every setting, as one would write it; the network's secret is not shown."""
    settings = written(config, Section(NodeConfig))
    assert isinstance(settings, dict)
    transport = settings["transport"]
    assert isinstance(transport, dict)
    if transport["network_key"] is not None:
        transport["network_key"] = HIDDEN
    return settings


def as_yaml(settings: dict[str, Json]) -> str:
    """The same as YAML."""
    import yaml

    return yaml.safe_dump(settings, sort_keys=False, width=120).rstrip()
