"""The JSON Schema of a settings tree, so that an editor completes keys, shows their documentation and marks mistakes.

It says the same as `bind`, except rules between fields and the form of registered classes. Durations and sizes are
numbers or texts with a unit; defaults are shown as a person would write them.
"""

from pydantic.json_schema import GenerateJsonSchema

from ..runtime.settings import Settings
from .adapter import adapter
from .scalars import JsonSchema, Parsers


def json_schema(root: type[Settings], parsers: Parsers) -> JsonSchema:
    """The schema of a file that `bind(root, ...)` reads. Raises TypeError if a class in `root` has no parser."""
    schema = adapter(root, parsers).json_schema(schema_generator=_Generator)
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema}


class _Generator(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: object) -> bool:  # a key's name says the same
        return False
