"""YAML files -> validated, immutable settings (`rookery.runtime.settings`), or every mistake at once.

    config = load("node.yaml")                  # a NodeConfig: `node.py` says what there is

    parsers: Parsers = {PeerId: Parser(PeerId.parse, "a peer id", "64 hex digits")}
    settings = bind(Root, read(Path("node.yaml")), parsers=parsers, environ=os.environ)

The first line is what a node needs; the others read a tree of your own, as `node.py` does.

`source.py` finds texts and their places, `scalars.py` reads one text, `bind.py` the whole tree, `errors.py` says what
is wrong, `written.py` is the way back, and `schema.py` tells editors what is right.
"""

from .bind import bind
from .errors import ConfigError, Mistake
from .node import NodeConfig, load
from .scalars import Parser, Parsers
from .source import Source, parse, read
from .units import format_duration, format_size, parse_duration, parse_size
from .written import written

__all__ = [
    "ConfigError",
    "Mistake",
    "NodeConfig",
    "Parser",
    "Parsers",
    "Source",
    "bind",
    "format_duration",
    "format_size",
    "load",
    "parse",
    "parse_duration",
    "parse_size",
    "read",
    "written",
]
