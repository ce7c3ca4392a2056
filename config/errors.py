"""What is wrong with a configuration file, for a person with an editor open.

    node.yaml:12: tracker.cooldown: 5 parsecs is not a duration (allowed: a number of seconds, or ...)

* One line per mistake, in the order of the file; a mistake of the whole file has no line number.
* Nothing of the file reaches a terminal raw: what does not print is escaped, and long values are cut.
* However much is wrong, the first mistakes are listed and the others counted.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..runtime.settings import LISTED, KeyPath, and_more, show_path

LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake. Line and column count from 1; line 0 stands for the file as a whole."""

    file: str
    line: int
    column: int
    path: KeyPath
    message: str
    allowed: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        place = f"{show_path(self.path)}: " if self.path else ""
        line = f"{where}: {place}{self.message}" + (f" (allowed: {self.allowed})" if self.allowed else "")
        return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


class ConfigError(ValueError):
    """A configuration that cannot be used.

    `mistakes` are the first LISTED that were found, in the order of the file, `more` is the number of the others. str()
    has one line for each, and one for those.
    """

    def __init__(self, mistakes: Iterable[Mistake], more: int = 0) -> None:
        found = sorted(mistakes, key=lambda mistake: (mistake.line, mistake.column))
        self.mistakes = tuple(found[:LISTED])
        self.more = more + len(found) - len(self.mistakes)
        super().__init__(self.mistakes, self.more)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.mistakes), *and_more(self.more)])


def shown(text: str) -> str:
    """A text of the file as an error may show it."""
    cut = text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "..."
    return cut if cut and cut == cut.strip() and cut.isprintable() else ascii(cut)
