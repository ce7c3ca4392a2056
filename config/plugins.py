"""Actors of other packages: a section of their own in `node.yaml`, declared and checked as ours are.

A package names what it adds as an entry point, by the name of its section::

    [project.entry-points."rookery.actors"]
    chat = "my_chat"

`my_chat` is a module, or anything else with the attributes of an actor's package: `Config`, a `Settings` class of which
each field has its documentation; `Mailbox`; `Engine`, whose constructor takes a `Config` and, by their names, whatever
it needs of a node (`rookery.node.Actors.start_actor`).

* A node runs such an actor exactly if its file has the section; `chat: {}` is enough. What is installed and not named
  does nothing, and its code is not imported.
* A section is never one of ours, and of two packages that want the same name neither gets it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import make_dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from keyword import iskeyword
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from ..runtime import Engine, Mailbox
from ..runtime.settings import Settings, declared, section

S = TypeVar("S", bound=Settings)
GROUP = "rookery.actors"
_PLAIN = re.compile("[a-z][a-z0-9_]*")
"""The name of a section: lower case as ours, and the same text for Python, which folds letters that look alike."""
_ATTRIBUTES = (
    ("Config", Settings, "rookery.runtime.settings.Settings"),
    ("Mailbox", Mailbox, "rookery.runtime.Mailbox"),
    ("Engine", Engine, "rookery.runtime.Engine"),
)


class Plugin(Protocol):
    """What a package adds to a node."""

    Config: type[Settings]
    Mailbox: type[Mailbox]
    Engine: type[Engine[Any]]


class PluginError(Exception):
    """What is installed under the name of a section is no actor that a node can run; the message names the package."""

    def __init__(self, name: str, message: str) -> None:
        """name: of the section."""
        self.name = name
        super().__init__(message)


def installed() -> frozenset[str]:
    """The names of the sections that installed packages add."""
    return frozenset(entry_points(group=GROUP).names)


def load_plugin(name: str) -> Plugin:
    """Import what a package adds under that name. Raises PluginError if that is no actor, or nobody adds it."""
    entries = {entry.value: entry for entry in entry_points(group=GROUP, name=name)}
    if len(entries) != 1:
        sources = " and ".join(map(_source, entries.values()))
        raise PluginError(name, f"is added by {sources}" if sources else "is added by no package")
    (entry,) = entries.values()
    try:
        plugin: Plugin = entry.load()
        kinds = {attribute: getattr(plugin, attribute, None) for attribute, _, _ in _ATTRIBUTES}
    except (Exception, SystemExit) as error:  # code of others may do anything
        raise PluginError(name, f"{_source(entry)} cannot be imported: {type(error).__name__}: {error}") from error
    for attribute, base, base_name in _ATTRIBUTES:
        kind = kinds[attribute]
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise PluginError(name, f"{_source(entry)} has no {attribute}, which must be a subclass of {base_name}")
    try:
        declared(plugin.Config)
    except TypeError as error:
        raise PluginError(name, f"{_source(entry)}: {error}") from error
    return plugin


def with_sections(
    root: type[S], sections: Mapping[str, type[Settings]], plugins: Mapping[str, Plugin] = MappingProxyType({})
) -> type[S]:
    """`root` with a section more for each name, and those of `plugins`, which is then an attribute of the class.

    Raises ValueError for a name that cannot be one, PluginError if a plugin has it.
    """
    sections = {**sections, **{name: plugin.Config for name, plugin in plugins.items()}}
    taken = set(dir(root)) | {each.name for each in declared(root)}
    for name in sections:
        if not _PLAIN.fullmatch(name) or iskeyword(name) or name in taken:
            words = f"{name!r} cannot be the name of a section: it is taken, or no plain word"
            raise PluginError(name, words) if name in plugins else ValueError(words)
    if not sections:
        return root
    return _extended(root, tuple(sections.items()), tuple(plugins.items()))  # type: ignore[arg-type] # of a class


@cache
def _extended(
    root: type[S], sections: tuple[tuple[str, type[Settings]], ...], plugins: tuple[tuple[str, Plugin], ...]
) -> type[S]:
    """One class for the same sections, so that equal configurations are equal."""
    fields = [(name, kind, section(kind, _first_line(kind))) for name, kind in sections]
    namespace = {"__module__": root.__module__, "plugins": MappingProxyType(dict(plugins))}
    return make_dataclass(root.__name__, fields, bases=(root,), frozen=True, slots=True, namespace=namespace)


def _first_line(kind: type[Settings]) -> str:
    return (kind.__doc__ or kind.__name__).strip().splitlines()[0]


def _source(entry: EntryPoint) -> str:
    package = f" of {entry.dist.name}" if entry.dist is not None else ""
    return f"{entry.value!r}{package} (entry point {GROUP}: {entry.name})"
