"""Settings of the node layer itself, which has no layer below it to declare them: control socket, HTTP, logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..runtime.settings import Settings, option
from ..transport.address import Endpoint


@dataclass(frozen=True, slots=True)
class Control(Settings):
    """The socket through which the command line talks to the running node."""

    socket: Path = option(
        Path("node.sock"),
        "Where the socket is. If the path is too long for one, a file there says where it is.",
    )
    max_calls: int = option(
        256, "Commands that may be under way at once; one client has at most half of them.", minimum=1
    )


@dataclass(frozen=True, slots=True)
class Log(Settings):
    """What `rookery run` writes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = option("info", "The least important events that are written.")
    format: Literal["human", "json"] = option("human", "One event per line: to be read, or as a JSON object.")


@dataclass(frozen=True, slots=True)
class Http(Settings):
    """What the node shows of itself over HTTP, to be read only."""

    listen: Endpoint | None = option(None, "Where to serve metrics and the state of the node; nowhere by default.")
    names: tuple[str, ...] = option(
        (), "Names of this machine by which it may be asked, beside localhost and its IPs; others are refused."
    )
