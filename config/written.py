"""A value -> how a person would write it in the file, as JSON data: the reverse of `scalars.py`."""

from collections.abc import Mapping
from typing import TypeAlias

from ..runtime.settings import Many, Maybe, One, Section, Settings, Shape, Table, declared
from .units import format_duration, format_size

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None


def written(value: object, shape: Shape) -> Json:
    """Durations and sizes with their unit, registered classes by their str(), sections with all their keys."""
    if value is None:
        return None
    match shape:
        case Maybe(inner=inner):
            return written(value, inner)
        case Many(item=item) if isinstance(value, tuple):
            return [written(element, item) for element in value]
        case Table(key=key, value=inner) if isinstance(value, Mapping):
            return {str(written(name, key)): written(element, inner) for name, element in value.items()}
        case Section() if isinstance(value, Settings):
            return {each.name: written(getattr(value, each.name), each.shape) for each in declared(type(value))}
        case One(unit="seconds") if isinstance(value, (int, float)):
            return format_duration(value)
        case One(unit="bytes") if isinstance(value, int):
            return format_size(value)
    return value if isinstance(value, (bool, int, float)) else str(value)
