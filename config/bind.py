"""A tree of texts -> the Settings it describes, or every mistake in it at once.

* One walk along the declarations of `runtime.settings`: a text is read by `scalars.py`, a section is constructed, which
  checks its rules between fields.
* An unknown key, a missing required key, a value of the wrong kind and a broken bound are all found in one pass, in
  every section. Rules between fields are checked in each section whose fields are right by themselves.
* An empty file and an empty section (`tracker:` with every line under it commented out) mean the defaults.
* A relative path, written or default, counts from the folder of the file.
* Two keys of a mapping that are different texts for the same thing are a mistake.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from ..runtime.arguments import SHOWN, shortened
from ..runtime.settings import (
    LISTED,
    KeyPath,
    Many,
    Maybe,
    One,
    Option,
    Problem,
    Section,
    Setting,
    Settings,
    SettingsError,
    Shape,
    Table,
    declared,
    ones,
)
from .errors import LONGEST_SHOWN, ConfigError, Mistake, shown
from .scalars import Parsers, Unreadable, leaf, limits, read, suggestion, variables
from .source import Scalar, Source, Tree

S = TypeVar("S", bound=Settings)
T = TypeVar("T", list[Tree], dict[str, Tree])
_WRONG: Any = object()  # in the place of a value about which something has been said


def bind(
    root: type[S],
    source: Source,
    *,
    parsers: Parsers = MappingProxyType({}),
    environ: Mapping[str, str] = MappingProxyType({}),
    words: tuple[str, ...] = (),
) -> S:
    """The settings that `source` describes.

    `parsers` reads the classes of the schema that are not built in; `environ` is what `${NAME}` is looked up in;
    `words` are other keys that may have been meant where the root has an unknown one.
    Raises ConfigError with every mistake; TypeError if a class in `root` has no parser.
    """
    reader = _Reader(source, parsers, environ, words)
    settings: S = reader.section(root, source.tree, ())
    if source.mistakes or reader.found:
        raise ConfigError([*source.mistakes, *reader.found], reader.more)
    return settings


@dataclass(slots=True)
class _Reader:
    """One walk. `found` are the first mistakes; `more` is how many are not described any more."""

    source: Source
    parsers: Parsers
    environ: Mapping[str, str]
    words: tuple[str, ...]
    found: list[Mistake] = field(default_factory=list)
    more: int = 0
    secrets: dict[str, str] = field(default_factory=dict)
    """What the values of variables look like, and the variables."""

    def value(self, shape: Shape, rule: Option, node: Tree, path: KeyPath) -> Any:
        """The value that stands at `path`, or _WRONG."""
        if path in self.source.unread:
            return _WRONG
        match shape:
            case One():
                return self.scalar(shape, rule, node, path)
            case Maybe(inner=inner):
                return None if isinstance(node, Scalar) and node.is_null else self.value(inner, rule, node, path)
            case Many(item=item):
                return self.items(item, rule, node, path)
            case Table():
                return self.table(shape, rule, node, path)
            case Section(settings=settings):
                return self.section(settings, node, path)

    def scalar(self, shape: One, rule: Option, node: Tree, path: KeyPath, *, is_key: bool = False) -> Any:
        """The value of a text. is_key: of a mapping; then no variable is replaced."""
        kind = leaf(shape, self.parsers)
        if not isinstance(node, Scalar):
            return self.wrong(path, f"{_kind(node)} is not {kind.noun}", limits(shape, rule, kind))
        try:
            value = read(node, shape, rule, kind, None if is_key else self.environ)
        except Unreadable as error:
            return self.wrong(path, error.message, error.allowed, near=(error.text, shape.choices))
        if not is_key and (names := variables(node.text)):
            self.secrets.update(dict.fromkeys(_appearances(value), names))
        return self.source.folder / value if isinstance(value, Path) else value

    def items(self, item: Shape, rule: Option, node: Tree, path: KeyPath) -> Any:
        """A tuple."""
        written = self.expect(list, node, "a list", "a list, one item to a line after `- `", path)
        if written is None:
            return _WRONG
        values = tuple(self.value(item, rule, each, (*path, index)) for index, each in enumerate(written))
        return _WRONG if any(value is _WRONG for value in values) else values

    def table(self, shape: Table, rule: Option, node: Tree, path: KeyPath) -> Any:
        """A dict."""
        written = self.expect(dict, node, "a mapping", "keys with a value each", path)
        if written is None:
            return _WRONG
        values: dict[Any, Any] = {}
        texts: dict[Any, str] = {}
        for text, element in written.items():
            here = (*path, text)
            textual = leaf(shape.key, self.parsers).textual  # a key is a text already, quoted where that is the same
            key = self.scalar(shape.key, Option(""), Scalar(text, quoted=textual), here, is_key=True)
            earlier = texts.setdefault(key, text) if key is not _WRONG else text
            if earlier != text:
                self.wrong(here, f"is the same key as {shown(earlier)}", "each key once")
            values[key if earlier == text else _WRONG] = self.value(shape.value, rule, element, here)
        return _WRONG if _WRONG in values or any(value is _WRONG for value in values.values()) else values

    def section(self, kind: type[Settings], node: Tree, path: KeyPath) -> Any:
        """Settings, which check their rules between fields when each is right by itself."""
        known = {setting.name: setting for setting in declared(kind)}
        written = self.expect(dict, node, "a section", f"the keys {', '.join(known)}", path)
        if written is None:
            return _WRONG
        values: dict[str, Any] = {}
        for name, part in written.items():
            here = (*path, name)
            if name in known:
                values[name] = self.value(known[name].shape, known[name].option, part, here)
            else:
                values[name] = self.wrong(
                    here, "unknown key", ", ".join(known), near=(name, (*known, *(() if path else self.words)))
                )
        for name, setting in known.items():
            if name not in values:
                values[name] = self.absent(setting, (*path, name))
        if any(value is _WRONG for value in values.values()):
            return _WRONG
        try:
            return kind(**values)
        except SettingsError as error:
            for problem in error.problems:
                message = problem.message + self.unwritten(problem, path, values)
                self.wrong((*path, *problem.path), self.hidden(message), self.hidden(problem.allowed))
            return _WRONG

    def unwritten(self, problem: Problem, path: KeyPath, values: Mapping[str, Any]) -> str:
        """That the value which a problem begins with is one that nobody wrote, as the end of a sentence."""
        value: Any = values.get(str(problem.path[0])) if problem.path else None
        for part in problem.path[1:]:
            value = getattr(value, str(part), None)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        written = (*path, *problem.path) in self.source.positions
        begins = is_number and problem.message.startswith((f"{value} ", f"{value:g} "))
        return "; it is the default" if begins and not written else ""

    def hidden(self, text: str) -> str:
        """A sentence about values, with variables in the place of what they say."""
        for secret, names in sorted(self.secrets.items(), key=lambda item: -len(item[0])):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", names, text)
        return text

    def absent(self, setting: Setting, path: KeyPath) -> Any:
        """The default of a key that is not written."""
        for one in ones(setting.shape):
            leaf(one, self.parsers)  # or it is missing, which should not depend on the file
        if setting.default is None:
            shape = setting.shape
            allowed = limits(shape, setting.option, leaf(shape, self.parsers)) if isinstance(shape, One) else ""
            return self.wrong(path, f"is required. {setting.option.doc}", allowed)
        if isinstance(setting.shape, Section):  # what it requires is found missing there
            return self.section(setting.shape.settings, {}, path)
        return _anchored(setting.default(), self.source.folder)

    def expect(self, kind: type[T], node: Tree, noun: str, allowed: str, path: KeyPath) -> T | None:
        """A list or a mapping, empty where nothing is written; None after a mistake."""
        if isinstance(node, Scalar) and node.is_null:
            return kind()
        if isinstance(node, kind):
            return node
        is_other_file = isinstance(node, Scalar) and not path  # perhaps a secret one: a key
        written = "text" if is_other_file else _kind(node)
        self.wrong(path, f"{written} is not {noun}", allowed)
        return None

    def wrong(self, path: KeyPath, message: str, allowed: str, near: tuple[str, tuple[str, ...]] = ("", ())) -> Any:
        """Note a mistake. near: what was written, and the words of which one may have been meant."""
        if len(self.found) < LISTED:  # to describe one takes longer than to find it
            place = self.source.position(path)
            self.found.append(Mistake(self.source.name, *place, path, message + suggestion(*near), allowed))
        else:
            self.more += 1
        return _WRONG


def _appearances(value: object) -> set[str]:
    """As what a sentence may show a value, or the beginning of a long one."""
    text = str(value)
    numbers = {f"{value:g}"} if isinstance(value, int | float) else set[str]()
    cut = {text, text[:SHOWN], text[:LONGEST_SHOWN]}
    escaped = {form for each in cut for form in (repr(each), repr(each)[1:-1], ascii(each), ascii(each)[1:-1])}
    return {*numbers, *cut, *escaped, shortened(value), *re.findall(r"\w{8,}", text)} - {"", "''"}


def _kind(node: Tree) -> str:
    return shown(node.text) if isinstance(node, Scalar) else "a list" if isinstance(node, list) else "a mapping"


def _anchored(default: Any, folder: Path) -> Any:
    """A default with each relative Path in it made to start at `folder`."""
    if isinstance(default, Path):
        return folder / default
    if type(default) is tuple:
        return tuple(_anchored(element, folder) for element in default)
    if isinstance(default, Mapping):
        return {key: _anchored(element, folder) for key, element in default.items()}
    return default
