"""YAML text -> a tree of texts, lists and mappings, with the place of everything. No value is guessed.

YAML's traps come from guessing a type by the look of a text: `NO` is False, `12:30:45` is 45045, `012` is 10, a date is
an object, and a duplicate key silently wins. Here a scalar stays the text that was written; the schema, which knows
what is wanted, reads it (`scalars.py`). This file is also the only one that touches libyaml, through parser events,
so nothing is ever constructed from a tag.

* Keys are texts, verbatim: `no`, `012` and 64 decimal digits are what they look like.
* A duplicate key, an alias, a tag, a key that is not a text: a mistake each, and reading goes on to find the others.
* Bytes that are not UTF-8, text that is not YAML, a second document, nesting deeper than 32, more than 1 MiB:
  a ConfigError at once. No other exception comes out, whatever the text.
* Without aliases the tree cannot be larger than the text.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import yaml

from ..runtime.files import read_file
from ..runtime.settings import KeyPath
from .errors import ConfigError, Mistake, shown

LARGEST = 1024 * 1024
DEEPEST = 32
_LOADER: type[yaml.SafeLoader] | type[yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Scalar:
    """A text as written; `quoted` is False for the plain style, the only one in which `null` or `5` is not a text."""

    text: str
    quoted: bool = False

    @property
    def is_null(self) -> bool:
        """Whether this is YAML's null: nothing at all, `~` or `null`."""
        return not self.quoted and self.text in ("", "~", "null", "Null", "NULL")


Tree: TypeAlias = Scalar | list["Tree"] | dict[str, "Tree"]
Position: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read: name for errors, folder for relative paths, content, and what is wrong so far."""

    name: str
    folder: Path
    tree: Tree
    positions: dict[KeyPath, Position] = field(default_factory=dict)
    """Line and column, from 1, of each key (for an item of a list: of the item)."""
    mistakes: tuple[Mistake, ...] = ()
    unread: frozenset[KeyPath] = frozenset()
    """Where a mistake took the place of the value, so that nothing more can be said about it."""

    def position(self, path: KeyPath) -> Position:
        """Where `path` is, or the nearest thing around it that exists."""
        return self.positions.get(path) or (self.position(path[:-1]) if path else (1, 1))


def read(path: Path) -> Source:
    """The YAML file at `path`, a regular one. Raises ConfigError."""
    try:
        content, folder = read_file(path, LARGEST, follow=True), path.absolute().parent
    except OSError as error:
        raise _refusal(str(path), f"cannot be read: {error.strerror or error}") from error
    return parse(content, name=str(path), folder=folder)


def parse(content: bytes | str, *, name: str, folder: Path) -> Source:
    """YAML text as a Source. Raises ConfigError where going on makes no sense (see the head of this file)."""
    try:
        raw = content.encode() if isinstance(content, str) else content
        text = raw.decode("utf-8-sig")
    except UnicodeError as error:
        raise _refusal(name, "the file is not text in UTF-8") from error
    if len(raw) > LARGEST:
        raise _refusal(name, "the file is too large", f"at most {LARGEST} bytes")
    reader = _Reader(name, yaml.parse(text, Loader=_LOADER))
    try:
        tree = reader.document()
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError) as error:  # ValueError: an impossible escape, in the parser written in Python
        raise ConfigError([*reader.mistakes, _syntax_mistake(name, text, error)]) from error
    return Source(name, folder, tree, reader.positions, tuple(reader.mistakes), frozenset(reader.unread))


class _Reader:
    """Builds the tree from parser events, collecting mistakes that do not stop it."""

    def __init__(self, name: str, events: Iterator[yaml.Event]) -> None:
        self.name = name
        self.events = events
        self.positions: dict[KeyPath, Position] = {}
        self.mistakes: list[Mistake] = []
        self.unread: list[KeyPath] = []

    def document(self) -> Tree:
        next(self.events)  # start of the stream
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return {}
        tree = self.node(next(self.events), ())
        next(self.events)  # end of the document
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            self.mistake(event, (), "a second document starts here", "one document in a file")
            raise ConfigError(self.mistakes)
        return tree

    def node(self, event: yaml.Event, path: KeyPath) -> Tree:
        if len(path) > DEEPEST:
            raise ConfigError([*self.mistakes, _too_deep(self.name, _position(event))])
        if isinstance(event, yaml.AliasEvent):
            self.mistake(event, path, f"*{shown(str(event.anchor))} is an alias", "the value itself, written out")
            self.unread.append(path)
            return Scalar("")
        assert isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent))
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.mistake(event, path, f"{shown(tag)} is a tag", "values without tags")
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path)
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(path)
        assert isinstance(event, yaml.ScalarEvent)
        event.value.encode()  # half a surrogate pair is a ValueError; the C parser has refused it before
        return Scalar(event.value, quoted=event.style not in (None, ""))

    def sequence(self, path: KeyPath) -> Tree:
        items: list[Tree] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            here = (*path, len(items))
            self.positions[here] = _position(event)
            items.append(self.node(event, here))
        return items

    def mapping(self, path: KeyPath) -> Tree:
        entries: dict[str, Tree] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, path)
            here = (*path, key)
            if not key or key in entries:
                if key:
                    line = self.positions[here][0]
                    self.mistake(event, here, f"is written twice, first in line {line}", "each key once")
                self.node(next(self.events), (*path, ""))  # read and dropped
                continue
            self.positions[here] = _position(event)
            entries[key] = self.node(next(self.events), here)
        return entries

    def key(self, event: yaml.Event, path: KeyPath) -> str:
        """The text of a key, or "" after a mistake."""
        known = len(self.mistakes)
        node = self.node(event, path)
        text = node.text if isinstance(node, Scalar) else ""
        if not text and len(self.mistakes) == known:
            self.mistake(event, path, "a key is not a text", "keys that are texts")
        return text

    def mistake(self, event: yaml.Event, path: KeyPath, message: str, allowed: str) -> None:
        self.mistakes.append(Mistake(self.name, *_position(event), path, message, allowed))


def _position(event: yaml.Event) -> Position:
    mark = event.start_mark
    assert mark is not None
    return mark.line + 1, mark.column + 1


def _too_deep(name: str, position: Position) -> Mistake:
    return Mistake(name, *position, (), "nested too deeply", f"at most {DEEPEST} levels")


def _syntax_mistake(name: str, text: str, error: Exception) -> Mistake:
    if isinstance(error, yaml.reader.ReaderError):
        character = chr(error.character)  # found again by itself: `position` counts bytes in C, characters in Python
        line = text.count("\n", 0, max(text.find(character), 0)) + 1
        return Mistake(name, line, 1, (), f"not valid YAML: the character {character!a} is not allowed")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Mistake(name, 0, 0, (), f"not valid YAML: {error}")
    line, column = error.problem_mark.line + 1, error.problem_mark.column + 1
    words = str(error.problem)
    if "nesting depth" in words:  # a bound of newer versions of libyaml, met while it reads ahead
        return _too_deep(name, (line, column))
    if error.context and error.context_mark:
        words = f"{error.context} that starts in line {error.context_mark.line + 1}, {words}"
    if text[error.problem_mark.index : error.problem_mark.index + 1] == "\t":
        words = "a tab where YAML wants spaces"
    return Mistake(name, line, column, (), f"not valid YAML at column {column}: {words}")


def _refusal(name: str, message: str, allowed: str = "") -> ConfigError:
    return ConfigError([Mistake(name, 0, 0, (), message, allowed)])
