"""A tree of texts -> the Settings it describes, or every mistake in it at once.

* pydantic walks the tree along one typed dictionary per section, made from the declarations of `runtime.settings`;
  each scalar is read by `scalars.py`, each section is then constructed, which checks its rules between fields.
* An unknown key, a missing required key, a value of the wrong kind and a broken bound are all found in one pass, in
  every section. Rules between fields are checked in each section whose fields are right by themselves.
* An empty file and an empty section (`tracker:` with every line under it commented out) mean the defaults.
* A relative path, written or default, counts from the folder of the file.
* Two keys of a mapping that are different texts for the same thing are a mistake.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from ..runtime.settings import (
    LISTED,
    KeyPath,
    Many,
    Maybe,
    One,
    Problem,
    Section,
    Settings,
    SettingsError,
    Shape,
    Table,
    declared,
)
from .errors import ConfigError, Mistake
from .scalars import Parsers, leaf, limits, suggestion
from .source import Source

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

S = TypeVar("S", bound=Settings)


def bind(
    root: type[S],
    source: Source,
    *,
    parsers: Parsers = MappingProxyType({}),
    environ: Mapping[str, str] = MappingProxyType({}),
) -> S:
    """The settings that `source` describes.

    `parsers` reads the classes of the schema that are not built in; `environ` is what `${NAME}` is looked up in.
    Raises ConfigError with every mistake; TypeError if a class in `root` has no parser.
    """
    from pydantic import ValidationError  # late: who composes a node in code pays neither its 7 MiB nor its 50 ms

    from .adapter import adapter

    mistakes, more = list(source.mistakes), 0
    try:
        settings: S = adapter(root, parsers).validate_python(source.tree, context=environ)
    except ValidationError as error:
        details = [
            each for each in error.errors(include_url=False, include_input=False) if each["loc"] not in source.unread
        ]
        details.sort(key=lambda each: source.position(each["loc"]))
        more = len(details[LISTED:])
        for detail in details[:LISTED]:  # to describe one takes longer than to find it
            mistakes += _mistakes(detail, source, root, parsers)
    if mistakes:
        raise ConfigError(mistakes, more)
    anchored: S = _anchored(settings, Section(root), source.folder)
    return anchored


def _anchored(value: Any, shape: Shape, folder: Path) -> Any:
    """The value with each relative Path in it, defaults included, made to start at `folder`."""
    match shape:
        case One(type=kind):
            return folder / value if kind is Path else value
        case Maybe(inner=inner):
            return None if value is None else _anchored(value, inner, folder)
        case Many(item=item):
            return tuple(_anchored(element, item, folder) for element in value)
        case Table(value=inner):
            return {key: _anchored(element, inner, folder) for key, element in value.items()}
        case Section(settings=settings):
            fields = {each.name: (getattr(value, each.name), each.shape) for each in declared(settings)}
            return settings(**{name: _anchored(inner, kind, folder) for name, (inner, kind) in fields.items()})


def _mistakes(detail: "ErrorDetails", source: Source, root: type[Settings], parsers: Parsers) -> Iterator[Mistake]:
    path = detail["loc"]
    if path and path[-1] == "[key]" and path not in source.positions:  # how pydantic marks the key of a mapping
        path = path[:-1]
    context = detail.get("ctx", {})
    error = context.get("error")
    if isinstance(error, SettingsError):
        found = [Problem((*path, *problem.path), problem.message, problem.allowed) for problem in error.problems]
    elif detail["type"] == "extra_forbidden":
        found = [_unknown(path, _settings_at(root, path[:-1]))]
    elif detail["type"] == "missing":
        found = [_missing(path, _settings_at(root, path[:-1]), parsers)]
    else:
        found = [Problem(path, str(context.get("message", detail["msg"])), str(context.get("allowed", "")))]
    for each in found:
        yield Mistake(source.name, *source.position(each.path), each.path, each.message, each.allowed)


def _unknown(path: KeyPath, settings: type[Settings]) -> Problem:
    known = tuple(setting.name for setting in declared(settings))
    return Problem(path, f"unknown key{suggestion(str(path[-1]), known)}", ", ".join(known))


def _missing(path: KeyPath, settings: type[Settings], parsers: Parsers) -> Problem:
    setting = next(setting for setting in declared(settings) if setting.name == path[-1])
    one = setting.shape if isinstance(setting.shape, One) else None
    allowed = limits(one, setting.option, leaf(one, parsers)) if one else ""
    return Problem(path, f"is required. {setting.option.doc}", allowed)


def _settings_at(root: type[Settings], path: KeyPath) -> type[Settings]:
    """The Settings class of the section at `path`."""
    shape: Shape = Section(root)
    for part in (*path, None):
        while isinstance(shape, Maybe):
            shape = shape.inner
        if part is None:
            break
        match shape:
            case Section(settings=settings):
                shape = next(setting.shape for setting in declared(settings) if setting.name == part)
            case Many(item=inner) | Table(value=inner):
                shape = inner
    assert isinstance(shape, Section)
    return shape.settings
