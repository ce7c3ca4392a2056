"""The JSON Schema of a settings tree, so that an editor completes keys, shows their documentation and marks mistakes.

It says the same as `bind`, except rules between fields, the form of registered classes, and `${NAME}` for a number.
Durations and sizes are numbers or texts with a unit; defaults are shown as a person would write them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from ..runtime.settings import Many, Maybe, One, Option, Section, Setting, Settings, Shape, Table, declared
from .scalars import Parsers, leaf, limits
from .units import DURATION, DURATION_PATTERN, SIZE, SIZE_PATTERN
from .written import written

JsonSchema: TypeAlias = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number"}
_UNITS = {"seconds": ("number", DURATION_PATTERN, DURATION), "bytes": ("integer", SIZE_PATTERN, SIZE)}


def json_schema(root: type[Settings], parsers: Parsers) -> JsonSchema:
    """The schema of a file that `bind(root, ...)` reads. Raises TypeError if a class in `root` has no parser."""
    definitions: dict[str, JsonSchema] = {}
    described = _section(root, root.__name__, parsers, definitions)
    return {"$schema": DIALECT, **described, "$defs": definitions}


def _section(kind: type[Settings], name: str, parsers: Parsers, definitions: dict[str, JsonSchema]) -> JsonSchema:
    settings = declared(kind)
    properties = {each.name: _property(each, f"{name}.{each.name}", parsers, definitions) for each in settings}
    required = [each.name for each in settings if each.default is None]
    described: JsonSchema = {"type": "object", "properties": properties, "additionalProperties": False}
    return described | ({"required": required} if required else {})


def _property(setting: Setting, name: str, parsers: Parsers, definitions: dict[str, JsonSchema]) -> JsonSchema:
    described = _shape(setting.shape, setting.option, name, parsers, definitions)
    described["description"] = setting.option.doc
    one = setting.shape.inner if isinstance(setting.shape, Maybe) else setting.shape
    if isinstance(one, One) and "description" in _one(one, setting.option, parsers):  # JSON's types do not say it
        described["description"] += f" Allowed: {limits(one, setting.option, leaf(one, parsers))}."
    if setting.default is not None and not isinstance(setting.shape, Section):
        described["default"] = written(setting.default(), setting.shape)
    return described


def _shape(shape: Shape, rule: Option, name: str, parsers: Parsers, definitions: dict[str, JsonSchema]) -> JsonSchema:
    match shape:
        case One():
            return _one(shape, rule, parsers)
        case Maybe(inner=inner):
            return {"anyOf": [_shape(inner, rule, name, parsers, definitions), {"type": "null"}]}
        case Many(item=item):
            return {"type": "array", "items": _shape(item, rule, name, parsers, definitions)}
        case Table(value=inner):
            element = _shape(inner, rule, name, parsers, definitions)
            return {"type": "object", "additionalProperties": element}
        case Section(settings=settings):
            definitions[name] = _section(settings, name, parsers, definitions)
            return {"$ref": f"#/$defs/{name}"}


def _one(shape: One, rule: Option, parsers: Parsers) -> JsonSchema:
    kind = leaf(shape, parsers)
    if shape.choices:
        return {"type": "string", "enum": list(shape.choices)}
    if shape.type not in (int, float):
        described = {"type": _TYPES.get(shape.type, "string")}
        return described | ({"description": f"{kind.noun}: {kind.allowed}"} if shape.type in parsers else {})
    rule = shape.bounds(rule)
    bounds = {"minimum": rule.minimum, "exclusiveMinimum": rule.above, "maximum": rule.maximum}
    said = {name: bound for name, bound in bounds.items() if bound is not None}
    if not shape.unit:
        return {"type": _TYPES[shape.type], **said}
    number, pattern, words = _UNITS[shape.unit]
    text = {"type": "string", "pattern": f"^(?:{pattern})$"}  # of which bounds cannot be said
    return {"anyOf": [{"type": number, "minimum": 0, **said}, text], "description": words}
