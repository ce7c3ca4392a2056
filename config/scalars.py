"""One text of the file -> one value, directed by the type that is wanted.

* A text, a path, a choice or a registered type takes the text as written, so `012`, `no` and `1.10` lose nothing.
* A whole number is decimal without leading zeros (`012` is eight to some and twelve to others), or `0x1f`, `0o17`.
  Booleans are `true` and `false` alone: `yes`, `on` and `NO` are refused, not guessed.
* A quoted text is not a number nor a boolean; a quoted duration or size is fine.
* Nothing (`key:`, `~`, `null`) is no value.
* `${NAME}` in a value, also as a part of it, stands for the text of that environment variable, which must be set. What
  it says is text: never YAML, never null. `$${` is `${` itself; a `$` without a brace means nothing. A key of a
  mapping takes no variable. The variable may be a secret: a mistake shows the `${NAME}`, never what it says. What was
  accepted is shown as the node uses it, a path above all, unless the setting itself is a secret.
* `~/` in a path is the home folder.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeAlias

from ..runtime.arguments import MESSAGE_SHOWN, is_unicode
from ..runtime.settings import TEXT, One, Option
from .errors import shown
from .source import Scalar
from .units import DURATION, SIZE, TooLarge, parse_duration, parse_size

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_DIGITS = 100  # more are too many for any whole number; Python would take long to read them
_BASED = re.compile(r"0x[0-9a-fA-F]{1,16}|0o[0-7]{1,21}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*\})?")
_VARIABLE_ALLOWED = "${NAME} for the environment variable NAME, $${ for ${ itself"


@dataclass(frozen=True, slots=True)
class Parser:
    """How a type of the schema is read: `parse` raises ValueError for a bad text, and `allowed` is for that error.

    If the ValueError's own text says what is allowed, `allowed` is not repeated.
    """

    parse: Callable[[str], object]
    name: str
    allowed: str


Parsers: TypeAlias = Mapping[type, Parser]


class Unreadable(ValueError):  # becomes a Mistake, as soon as its place is known
    """A text that is not what is wanted. text: as it was written, if another word may have been meant."""

    def __init__(self, message: str, allowed: str, text: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.allowed = allowed
        self.text = text


@dataclass(frozen=True, slots=True)
class Leaf:
    """A reader for one kind of value."""

    noun: str
    allowed: str
    convert: Callable[[str], object]
    textual: bool = True
    """Whether a quoted text is as good as a plain one."""
    eloquent: bool = False
    """Whether the ValueError of `convert` is a sentence for the user."""


def leaf(shape: One, parsers: Parsers) -> Leaf:
    """The reader for a shape. Raises TypeError if its class is neither built in nor in `parsers`."""
    if shape.choices:
        return Leaf(shape.noun, ", ".join(shape.choices), lambda text: _choice(text, shape.choices))
    if shape.unit:
        return _UNITS[shape.unit]
    if shape.type in _PLAIN:
        return _PLAIN[shape.type]
    if shape.type not in parsers:
        raise TypeError(f"no parser is registered for {shape.type.__module__}.{shape.type.__qualname__}")
    parser = parsers[shape.type]
    return Leaf(parser.name, parser.allowed, parser.parse, eloquent=True)


def read(scalar: Scalar, shape: One, rule: Option, kind: Leaf, environ: Mapping[str, str] | None) -> object:
    """The value of a scalar, within its bounds. environ: None where no variable is taken. Raises Unreadable."""
    allowed = limits(shape, rule, kind)
    if scalar.is_null:
        raise Unreadable("has no value", allowed)
    text, secret = _expand(scalar.text, environ)
    if scalar.quoted and not kind.textual and not secret:
        raise Unreadable(f'"{shown(text)}" is in quotes, so it is not {kind.noun}', f"{allowed}; without quotes")
    try:
        value = kind.convert(text)
    except ValueError as error:
        message = f"{error!s:.{MESSAGE_SHOWN}}" if kind.eloquent and not secret else ""
        message = message or f"{shown(scalar.text)} is not {kind.noun}"
        raise Unreadable(message, "" if "allowed" in message else allowed, scalar.text) from None
    if shape.type in (int, float) and isinstance(value, (int, float)) and (fault := shape.out_of_bounds(value, rule)):
        raise Unreadable(f"{shown(scalar.text)} is {fault[0]}", fault[1])
    return value


def limits(shape: One, rule: Option, kind: Leaf) -> str:
    """All that is allowed: the form and the bounds."""
    return "; ".join(part for part in (kind.allowed, rule.allowed(shape.unit)) if part)


def suggestion(word: str, known: tuple[str, ...]) -> str:
    """The known word that was probably meant, as the end of a sentence; "" if none is near."""
    near = known and get_close_matches(re.sub(r"[-\s]", "_", word[:100]).lower(), known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def variables(text: str) -> str:
    """The variables that stand in a text, as written; "" if there are none."""
    return "".join(match[0] for match in _VARIABLE.finditer(text) if match[1])


def _expand(text: str, environ: Mapping[str, str] | None) -> tuple[str, bool]:
    """The text with its variables replaced, and whether there were any."""
    if environ is None:
        if _VARIABLE.search(text):
            raise Unreadable(f"{shown(text)} names an environment variable, and a key takes none", "a literal key")
        return text, False
    found, known = False, environ

    def replaced(match: re.Match[str]) -> str:
        nonlocal found
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            raise Unreadable(f"{shown(text)} has a ${{ without the name of a variable", _VARIABLE_ALLOWED)
        found, name = True, match[1][:-1]
        if name not in known:
            raise Unreadable(
                f"the environment variable {shown(name)} is not set",
                f"a variable that is set, or $${{{shown(name)}}} for that text",
            )
        return known[name]

    return _VARIABLE.sub(replaced, text), found


def _choice(text: str, choices: tuple[str, ...]) -> str:
    if text not in choices:
        raise ValueError
    return text


def _boolean(text: str) -> bool:
    if text not in _BOOLEANS:
        raise ValueError
    return _BOOLEANS[text]


def _integer(text: str) -> int:
    if _INTEGER.fullmatch(text):
        return int(text[: _DIGITS + 1])
    if _BASED.fullmatch(text):
        return int(text, 0)
    raise ValueError


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text):
        raise ValueError
    return float(text)


def _text(text: str) -> str:
    if not is_unicode(text):  # of a variable: a file is UTF-8
        raise ValueError
    return text


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise ValueError
    try:
        return Path(text).expanduser()
    except RuntimeError:  # the home folder of nobody
        raise ValueError from None


def _or_too_large(parse: Callable[[str], float], text: str) -> float:
    """A number that breaks every upper bound in the place of one that is beyond what can be said."""
    try:
        return parse(text)
    except TooLarge:
        return math.inf


_UNITS = {
    "seconds": Leaf("a duration", DURATION, lambda text: _or_too_large(parse_duration, text)),
    "bytes": Leaf("a size", SIZE, lambda text: _or_too_large(parse_size, text)),
}
_PLAIN: Mapping[type, Leaf] = {
    bool: Leaf("true or false", "true, false", _boolean, textual=False),
    int: Leaf("a whole number", "a whole number", _integer, textual=False),
    float: Leaf("a number", "a number", _float, textual=False),
    str: Leaf("text", TEXT, _text),
    Path: Leaf("a path", "a path, absolute or from the folder of this file", _path),
}
