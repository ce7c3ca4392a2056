"""How a part of Rookery declares what can be configured: a frozen dataclass whose fields say all about themselves.

    @dataclass(frozen=True, slots=True)
    class Config(Settings):
        handshake_timeout: Seconds = option(5.0, "Longest time from connect to admitted.", above=0.0)
        max_connections: int = option(100, "Hard total of connections.", minimum=1)

* Every field that is given (`init`) is declared with `option`, `required` or `section`, so each has its documentation.
* A field's type is bool, int, float, str, Path, Seconds, Bytes, a Literal of texts, any other class, another Settings;
  or one of these `| None`, in a `tuple[X, ...]` or in a `Mapping[K, X]`.
* A class with a classmethod `parse_setting`, which reads a text or raises ValueError, has no other values than those:
  one made in code of other parts is refused in the words in which the file is.
* Bounds hold for the number of the field, or for each number in it, and are an error on a field without a number.
* A value that can be constructed is valid: construction checks type and bounds of each field, and when these
  are right the rules between fields that `check` adds. It raises one SettingsError that lists every problem.
* A number is finite; a bool is not a number; where "never" or "unlimited" has a meaning, the type says `| None`.
* Every number ends in somebody else's: a timeout of `poll`, an option of libzmq, a column of SQLite, a date. So each
  kind has outer bounds (`OUTERMOST`), which need not be declared; a setting whose number ends sooner declares that.
  A duration that may not be 0 is at least a `MILLISECOND`, in which `poll` and libzmq count.

Nothing here knows YAML: `rookery.config` reads these declarations and gives the same answers with file and line.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeGuard, TypeVar, Union, get_args, get_origin, get_type_hints

from .arguments import MESSAGE_SHOWN, SHOWN, is_unicode, shortened

T = TypeVar("T")
_KEY = "rookery.option"
KeyPath: TypeAlias = tuple[str | int, ...]
TEXT = "text in UTF-8"
"""What every text is."""
LISTED = 50
"""Problems that an error shows. Whoever gets everything wrong is helped by the first ones."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a number counts; the marker inside `Seconds` and `Bytes`."""

    name: str


Seconds = Annotated[float, Unit("seconds")]
Bytes = Annotated[int, Unit("bytes")]

MILLISECOND = 0.001
OUTERMOST: Mapping[str, tuple[float, float]] = {
    "seconds": (0, 36_500 * 86_400),  # added to today still a date, and a timeout of `threading` and of sockets
    "bytes": (0, 2**63 - 1),  # of SQLite, of libzmq, and of what a file may have
    "int": (-(2**31), 2**31 - 1),  # a C int
    "float": (-1e9, 1e9),
}
"""The lowest and highest number of each unit, and of each type without one."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a setting: where (from the Settings it was found in), what, and what is allowed instead."""

    path: KeyPath
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        return f"{show_path(self.path)}: {self.message}" + (f" (allowed: {self.allowed})" if self.allowed else "")


class SettingsError(ValueError):
    """Settings that contradict their declaration; `problems` are all of them, str() has one line for each of a few."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.problems[:LISTED]), *and_more(len(self.problems) - LISTED)])


class Settings:
    """Base of every Config. Subclasses are dataclasses with `frozen=True, slots=True`."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Raises SettingsError with every problem, TypeError if the class itself is declared wrongly."""
        problems = [
            problem
            for setting in declared(type(self))
            for problem in faults(setting.shape, setting.option, getattr(self, setting.name), (setting.name,))
        ]
        problems = problems or list(self.check())
        if problems:
            raise SettingsError(problems)

    def check(self) -> Iterable[Problem]:
        """Rules between fields. Called only when each field is right by itself. None by default."""
        return ()


@dataclass(frozen=True, slots=True)
class Option:
    """What a declaration says besides type and default. secret: the value is never shown."""

    doc: str
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    secret: bool = False

    def allowed(self, unit: str = "") -> str:
        """The bounds in words, "" if there are none: "from 1 to 65535", "above 0 seconds"."""
        if self.minimum is not None and self.maximum is not None:
            words = [f"from {_plain(self.minimum)} to {_plain(self.maximum)}"]
        else:
            bounds = (("at least", self.minimum), ("above", self.above), ("at most", self.maximum))
            words = [f"{word} {_plain(bound)}" for word, bound in bounds if bound is not None]
        return " and ".join(words) + (f" {unit}" if words and unit else "")

    def fault(self, value: float) -> str:
        """Which bound the number breaks: "too small", "too large", or "" if none."""
        if (self.minimum is not None and value < self.minimum) or (self.above is not None and value <= self.above):
            return "too small"
        return "too large" if self.maximum is not None and value > self.maximum else ""


def _plain(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:.15g}"


def option(
    default: T,
    doc: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
    secret: bool = False,
) -> T:
    """A field with a default. secret: no error and no `repr` shows what it is."""
    rule = Option(doc, minimum, above, maximum, secret)
    declaration: T = field(default=default, repr=not secret, metadata={_KEY: rule})
    return declaration


def required(
    doc: str,
    *,
    minimum: float | None = None,
    above: float | None = None,
    maximum: float | None = None,
) -> Any:  # as `dataclasses.field`: there is no default whose type it could have
    """A field without a default. Such fields come first in their class, as dataclasses want it."""
    return field(metadata={_KEY: Option(doc, minimum, above, maximum)})


def section(factory: Callable[[], T], doc: str) -> T:
    """A field whose default is made anew for each instance: nested Settings, or an empty Mapping (by `dict`)."""
    declaration: T = field(default_factory=factory, metadata={_KEY: Option(doc)})
    return declaration


# The grammar of types. Both the checks here and the reader of YAML walk these, so they cannot disagree.


@dataclass(frozen=True, slots=True)
class One:
    """A single value of a class, with its unit or, for a Literal, its choices."""

    type: type
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def noun(self) -> str:
        """What a value is called in "... is not ..."."""
        if self.choices:
            return "one of the choices"
        return (
            f"a number of {self.unit}" if self.unit else _NOUNS.get(self.type, f"an instance of {self.type.__name__}")
        )

    def bounds(self, rule: Option) -> Option:
        """The declared bounds of a number, and the outermost ones where none is declared."""
        low, high = OUTERMOST[self.unit or self.type.__name__]
        return replace(
            rule,
            minimum=low if rule.minimum is None and rule.above is None else rule.minimum,
            maximum=high if rule.maximum is None else rule.maximum,
        )

    def out_of_bounds(self, value: float, rule: Option) -> tuple[str, str] | None:
        """What is wrong with a number and what is allowed instead, or None."""
        for bounds in (rule, self.bounds(rule)):
            if fault := bounds.fault(value):
                return fault, bounds.allowed(self.unit)
        return None


@dataclass(frozen=True, slots=True)
class Maybe:  # the inner shape, or None
    inner: "Shape"


@dataclass(frozen=True, slots=True)
class Many:  # a tuple of any length
    item: "Shape"


@dataclass(frozen=True, slots=True)
class Table:  # a mapping
    key: One
    value: "Shape"


@dataclass(frozen=True, slots=True)
class Section:  # nested Settings, which have checked themselves
    settings: type[Settings]


Shape: TypeAlias = One | Maybe | Many | Table | Section

_NOUNS: dict[type, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    tuple: "a tuple",
    Mapping: "a mapping",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared field: all that a reader, a JSON Schema or a page of documentation needs."""

    name: str
    shape: Shape
    option: Option
    default: Callable[[], object] | None
    """Makes the default; None if the field is required."""


_declared: dict[type[Settings], tuple[Setting, ...]] = {}


def declared(settings: type[Settings]) -> tuple[Setting, ...]:
    """The fields of a Settings class in order. TypeError, naming class and field, if the declaration is wrong."""
    if settings not in _declared:
        _declared[settings] = tuple(_read_declarations(settings))
    return _declared[settings]


def _read_declarations(settings: type) -> Iterator[Setting]:
    if not is_dataclass(settings):
        raise TypeError(f"{settings.__qualname__} is not a dataclass")
    hints = get_type_hints(settings, include_extras=True)
    for each in (each for each in fields(settings) if each.init):
        where = f"{settings.__module__}.{settings.__qualname__}.{each.name}"
        declaration = each.metadata.get(_KEY)
        if not isinstance(declaration, Option):
            raise TypeError(f"{where} is not declared with option(...), required(...) or section(...)")
        shape = _shape(hints[each.name], where)
        if declaration.allowed() and not any(one.type in (int, float) for one in ones(shape)):
            raise TypeError(f"{where} has bounds but no number to hold them")
        if isinstance(shape, Section) and each.default_factory not in (shape.settings, MISSING):
            raise TypeError(f"{where}: the default of a section is its class, section({shape.settings.__name__}, ...)")
        yield Setting(each.name, shape, declaration, _default(each.default, each.default_factory))


def _default(value: object, factory: object) -> Callable[[], object] | None:
    if callable(factory):
        return factory
    return None if value is MISSING else lambda: value


def _shape(hint: object, where: str) -> Shape:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return One(arguments[0], next((mark.name for mark in arguments[1:] if isinstance(mark, Unit)), ""))
    if origin is Literal and all(isinstance(choice, str) for choice in arguments):
        return One(str, choices=arguments)
    if origin in (Union, UnionType) and len(arguments) == 2 and arguments[1] is NoneType:
        return Maybe(_shape(arguments[0], where))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return Many(_shape(arguments[0], where))
    if origin is Mapping and isinstance(key := _shape(arguments[0], where), One):
        return Table(key, _shape(arguments[1], where))
    if isinstance(hint, type) and origin is None:
        return Section(hint) if issubclass(hint, Settings) else One(hint)
    raise TypeError(f"{where}: settings cannot have the type {hint}")


def ones(shape: Shape) -> Iterator[One]:
    """The single values in a shape, without those of sections; last in a mapping its keys."""
    match shape:
        case One():
            yield shape
        case Maybe(inner=inner) | Many(item=inner):
            yield from ones(inner)
        case Table(key=key, value=inner):
            yield from ones(inner)
            yield key


def faults(shape: Shape, rule: Option, value: object, path: KeyPath) -> Iterator[Problem]:
    """Everything wrong with a value of that shape; `path` says where it is."""
    match shape:
        case One():
            yield from _one_faults(shape, rule, value, path)
        case Maybe(inner=inner):
            if value is not None:
                yield from faults(inner, rule, value, path)
        case Many(item=item) if isinstance(value, tuple):
            for index, element in enumerate(value):
                yield from faults(item, rule, element, (*path, index))
        case Table(key=key, value=inner) if isinstance(value, Mapping):
            for name, element in value.items():
                yield from faults(key, Option(""), name, (*path, str(name)))
                yield from faults(inner, rule, element, (*path, str(name)))
        case Section(settings=wanted) if isinstance(value, wanted):
            pass
        case Many() | Table() | Section():
            kind = tuple if isinstance(shape, Many) else Mapping if isinstance(shape, Table) else shape.settings
            yield Problem(path, f"{_quoted(value, rule)} is not {One(kind).noun}", One(kind).noun)


def _one_faults(shape: One, rule: Option, value: object, path: KeyPath) -> Iterator[Problem]:
    if shape.choices:
        if not isinstance(value, str) or value not in shape.choices:
            yield Problem(path, f"{_quoted(value, rule)} is not one of the choices", ", ".join(shape.choices))
    elif shape.type in (int, float):
        if not _is_number(value, whole=shape.type is int):
            yield Problem(path, f"{shortened(value)} is not {shape.noun}", rule.allowed(shape.unit) or shape.noun)
        elif fault := shape.out_of_bounds(value, rule):
            yield Problem(path, f"{shortened(value)} is {fault[0]}", fault[1])
    elif not isinstance(value, shape.type):
        yield Problem(path, f"{_quoted(value, rule)} is not {shape.noun}", shape.noun)
    elif isinstance(value, str | Path) and (allowed := _not_writable(value)):
        yield Problem(path, f"{_quoted(str(value), rule)} is not {shape.noun}", allowed)
    elif words := _misread(shape, value):
        yield Problem(path, words, "" if "allowed" in words else shape.noun)


def _quoted(value: object, rule: Option) -> str:
    return "what is given" if rule.secret else shortened(value)


def _not_writable(value: str | Path) -> str:
    """What is allowed instead of a text or path that no file could say; "" if one could."""
    if isinstance(value, str):
        return "" if is_unicode(value) else TEXT
    try:
        return "a path without NUL" if b"\0" in os.fsencode(value) else ""
    except UnicodeEncodeError:
        return "a path that the system has a name for"


def _misread(shape: One, value: object) -> str:
    """What is wrong with a value of a class that has `parse_setting`; "" if its text is read as that value."""
    read: Callable[[str], object] | None = getattr(shape.type, "parse_setting", None)
    if read is None:
        return ""
    try:
        is_read = read(str(value)) == value
    except ValueError as error:
        return f"{error!s:.{MESSAGE_SHOWN}}"
    except Exception:  # made of anything: its own methods may fail in any way
        is_read = False
    return "" if is_read else f"{shortened(value)} is not {shape.noun}"


def _is_number(value: object, *, whole: bool) -> TypeGuard[float]:
    if isinstance(value, float):
        return not whole and math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def show_path(path: KeyPath) -> str:
    """Dotted, with what is not a plain short name in brackets: `tracker.seeds[2]`, `tracker.peers["a b"]`."""
    shown = ""
    for whole in path:
        part = f"{whole[:SHOWN]}..." if isinstance(whole, str) and len(whole) > SHOWN else whole
        if isinstance(part, str) and part.isascii() and part.replace("_", "").replace("-", "").isalnum():
            shown += f".{part}" if shown else part
        else:
            shown += f"[{part if isinstance(part, int) else ascii(part)}]"
    return shown


def and_more(count: int) -> list[str]:
    """The line for what a list leaves out; none for nothing."""
    return [f"and {count:,} more"] if count > 0 else []
