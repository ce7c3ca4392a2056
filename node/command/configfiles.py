"""Configuration as the command line shows it: mistakes, the schema, every setting."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from ...config import Mistake, NodeConfig, load, written
from ...config.node import PARSERS, config_file, located
from ...config.plugins import installed, load_plugin, with_sections
from ...config.schema import json_schema
from ...config.source import Scalar, read
from ...runtime.settings import Section, Settings, declared, show_path
from .. import node

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None
HIDDEN = "(hidden)"


def _secrets(kind: type[Settings], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The settings that are declared to be secrets."""
    for each in declared(kind):
        if isinstance(each.shape, Section):
            yield from _secrets(each.shape.settings, (*path, each.name))
        elif each.option.secret:
            yield (*path, each.name)


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
    if problems := list(node.obstacles(config)):
        raise located(file, problems)
    return config


def schema() -> dict[str, Json]:
    """The JSON Schema of `node.yaml`, with what installed packages add. Raises PluginError for one that is broken."""
    plugins = {name: load_plugin(name) for name in sorted(installed())}
    return json_schema(with_sections(NodeConfig, {}, plugins), PARSERS)


def complete(config: NodeConfig) -> dict[str, Json]:
    """Every setting, as one would write it; secrets are not shown."""
    settings = written(config, Section(NodeConfig))
    assert isinstance(settings, dict)
    for *sections, name in _secrets(type(config)):
        inner = settings
        for section in sections:
            found = inner[section]
            assert isinstance(found, dict)
            inner = found
        if inner[name] is not None:
            inner[name] = HIDDEN
    return settings


def warnings(file: Path, config: NodeConfig) -> Iterator[str]:
    """Everything that `run` warns of when a node starts. config: what is in the file, of a node that can run."""
    yield from exposed(file)
    yield from node.warnings(config)
    yield from node.losses(config)


def exposed(file: Path) -> Iterator[str]:
    """What to tell the operator of a file in which secrets stand, and which others may read. The file is valid."""
    path = config_file(file)
    mode = stat.S_IMODE(path.stat().st_mode)
    for keys in _secrets(NodeConfig):
        tree = read(path).tree
        for key in keys:
            tree = tree.get(key, Scalar("")) if isinstance(tree, dict) else Scalar("")
        literal = (
            isinstance(tree, Scalar) and not tree.is_null and tree.text and "${" not in tree.text.replace("$${", "")
        )
        if literal and mode & 0o077:
            yield f"{path} holds {show_path(keys)} and is open to others (mode {mode:04o}): chmod 600 {path}"


def as_yaml(settings: dict[str, Json]) -> str:
    """The same as YAML."""
    import yaml

    return yaml.safe_dump(settings, sort_keys=False, width=120).rstrip()
