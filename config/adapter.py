"""The validator that pydantic runs over a tree of texts: one typed dictionary per section, one reader per scalar.

Everything it raises about a value is a `PydanticCustomError` of the kind "setting" whose context has the `message` and
what is `allowed`; unknown and missing keys stay pydantic's own; rules between fields arrive as a SettingsError.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import GenericAlias
from typing import Annotated, Any, NotRequired, TypeAlias, TypeVar, cast

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    TypeAdapter,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from ..runtime.settings import Many, Maybe, One, Option, Section, Setting, Settings, Shape, Table, declared
from .errors import shown
from .scalars import Leaf, Parser, Parsers, Unreadable, bounded_json, leaf, limits, read
from .source import Scalar, Tree
from .written import written

Annotation: TypeAlias = Any  # a type made at run time, which no static type describes
T = TypeVar("T")
_typed_dict: Any = TypedDict  # called with names that are only known at run time
_made: dict[tuple[type[Settings], tuple[tuple[type, Parser], ...]], TypeAdapter[Any]] = {}


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Stands for the value of a key that is another text for an earlier key."""

    earlier: str


def adapter(root: type[Settings], parsers: Parsers) -> TypeAdapter[Any]:
    """The validator of a settings tree. Making one takes some 0.1 s for 150 keys, so it is kept."""
    key = (root, tuple(parsers.items()))
    if key not in _made:
        _made[key] = TypeAdapter(_section(root, parsers, root.__name__))
    return _made[key]


def _section(kind: type[Settings], parsers: Parsers, name: str) -> Annotation:
    entries = {setting.name: _entry(setting, parsers, f"{name}.{setting.name}") for setting in declared(kind)}
    keys = _typed_dict(name, entries)
    keys.__pydantic_config__ = ConfigDict(extra="forbid")

    absent = {each.name: Scalar("") for each in declared(kind) if isinstance(each.shape, Section) and each.default}

    def construct(values: dict[str, Any]) -> Settings:
        return kind(**values)

    def expect(value: Tree) -> object:
        written_keys = _expect(value, dict, "a section", f"the keys {', '.join(entries)}")
        return absent | written_keys  # what a missing section requires is found missing, one by one

    return Annotated[keys, BeforeValidator(expect), AfterValidator(construct)]


def _entry(setting: Setting, parsers: Parsers, name: str) -> Annotation:
    annotation = _annotation(setting.shape, setting.option, parsers, name)
    description = _description(setting, parsers)
    if setting.default is None:
        return Annotated[annotation, Field(description=description)]
    extra = {} if isinstance(setting.shape, Section) else {"default": written(setting.default(), setting.shape)}
    return NotRequired[Annotated[annotation, Field(description=description, json_schema_extra=extra)]]


def _description(setting: Setting, parsers: Parsers) -> str:
    """The documentation and, where a type of JSON does not say it, what is allowed."""
    shape = setting.shape.inner if isinstance(setting.shape, Maybe) else setting.shape
    if isinstance(shape, One) and "description" in (kind := leaf(shape, parsers)).json:
        return f"{setting.option.doc} Allowed: {limits(shape, setting.option, kind)}."
    return setting.option.doc


def _annotation(shape: Shape, rule: Option, parsers: Parsers, name: str) -> Annotation:
    match shape:
        case One():
            kind = leaf(shape, parsers)
            return Annotated[
                Any, PlainValidator(_reader(shape, rule, kind)), WithJsonSchema(bounded_json(shape, kind, rule))
            ]
        case Maybe(inner=inner):
            value = _annotation(inner, rule, parsers, name)
            return Annotated[value | None, BeforeValidator(_null_to_none)]
        case Many(item=item):
            value = _annotation(item, rule, parsers, name)
            return Annotated[GenericAlias(tuple, (value, ...)), BeforeValidator(_expect_list)]
        case Table(key=key, value=inner):
            reader = _key_reader(key, leaf(key, parsers))
            text = Annotated[Any, PlainValidator(reader), WithJsonSchema({"type": "string"})]
            value = _annotation(inner, rule, parsers, name)
            return Annotated[GenericAlias(dict, (text, value)), BeforeValidator(_expect_table(reader))]
        case Section(settings=settings):
            return _section(settings, parsers, name)


def _reader(
    shape: One, rule: Option, kind: Leaf, *, expands: bool = True
) -> Callable[[Tree | _Repeated, ValidationInfo], object]:
    def validate(value: Tree | _Repeated, info: ValidationInfo) -> object:
        allowed = limits(shape, rule, kind)
        if not isinstance(value, Scalar):
            raise _mismatch(value, kind.noun, allowed)
        try:
            environ = cast(Mapping[str, str], info.context) if expands else None
            return read(value, shape, rule, kind, environ)
        except Unreadable as error:
            raise _wrong(error.message, error.allowed) from None

    return validate


def _key_reader(shape: One, kind: Leaf) -> Callable[[str, ValidationInfo], object]:
    """Keys of a mapping are texts already: `read` sees them as quoted where that makes no difference."""
    reader = _reader(shape, Option(""), kind, expands=False)
    return lambda text, info: reader(Scalar(text, quoted=kind.textual), info)


def _expect_table(reader: Callable[[str, ValidationInfo], object]) -> Callable[[Tree, ValidationInfo], object]:
    def expect(value: Tree, info: ValidationInfo) -> object:
        table: dict[str, Tree] = _expect(value, dict, "a mapping", "keys with a value each")
        seen: dict[object, str] = {}
        marked: dict[str, Tree | _Repeated] = {}
        for text, element in table.items():
            try:
                earlier = seen.setdefault(reader(text, info), text)
            except PydanticCustomError:
                earlier = text  # reported where pydantic reads the key
            marked[text] = element if earlier == text else _Repeated(earlier)
        return marked

    return expect


def _expect_list(value: Tree) -> object:
    return _expect(value, list, "a list", "a list, one item to a line after `- `")


def _expect(value: Tree | _Repeated, kind: type[T], noun: str, allowed: str) -> T:
    if isinstance(value, Scalar) and value.is_null:
        return kind()
    if not isinstance(value, kind):
        raise _mismatch(value, noun, allowed)
    return value


def _null_to_none(value: Tree) -> object:
    return None if isinstance(value, Scalar) and value.is_null else value


def _mismatch(value: Tree | _Repeated, noun: str, allowed: str) -> PydanticCustomError:
    if isinstance(value, _Repeated):
        return _wrong(f"is the same key as {shown(value.earlier)}", "each key once")
    kind = shown(value.text) if isinstance(value, Scalar) else "a list" if isinstance(value, list) else "a mapping"
    return _wrong(f"{kind} is not {noun}", allowed)


def _wrong(message: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "see the context", {"message": message, "allowed": allowed})
