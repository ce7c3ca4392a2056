"""The paths: what the node says of itself, from the same questions that the control socket asks."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

import msgspec

from ...runtime import Reply
from ...runtime.hosts.base import Runtime
from ..control.mailbox import Mailbox
from ..control.status import Status
from . import exposition
from .requests import Refused, Request, Response, words
from .server import Answer

T = TypeVar("T")


class Pages:
    """What is at each path. Called on the server's thread, and never waits."""

    def __init__(self, control: Mailbox, runtime: Runtime, *, alone_by_choice: bool) -> None:
        """alone_by_choice: nothing tells this node of others, so it is ready without any."""
        self._control = control
        self._runtime = runtime
        self._alone_by_choice = alone_by_choice
        self._paths: dict[str, Callable[[], Reply[Answer]]] = {
            "/metrics": lambda: Reply.of(self._metrics),
            "/healthz": lambda: Reply.of(lambda: words(HTTPStatus.OK, "the process answers")),
            "/readyz": lambda: _made(control.status(), self._ready),
            "/v1/status": lambda: _made(control.status(), _json),
            "/v1/connections": lambda: _made(control.connections(), _json),
            "/v1/members": lambda: _made(control.members(), _json),
            "/v1/peers": lambda: _made(control.peers(), _json),
            "/v1/mailboxes": lambda: Reply.of(lambda: _json(self._mailboxes())),
        }

    def __call__(self, request: Request) -> Reply[Answer]:
        """Raises Refused for a path that there is not."""
        page = self._paths.get(request.path)
        if page is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"there is nothing at this path (there is: {', '.join(self._paths)})")
        return page()

    def _metrics(self) -> Response:
        samples = self._runtime.registry.samples()
        text = exposition.render(samples, version=_version(), python=platform.python_version())
        return Response(HTTPStatus.OK, exposition.CONTENT_TYPE, text.encode("utf-8", "replace"))

    def _ready(self, status: Status) -> Response:
        """Whether each part is as it should be."""
        stalled = self._runtime.stalled()
        parts = {
            "listening": self._runtime.registry.value("transport_listening") > 0,
            "joined": status.source != "membership" or status.members > 1 or self._alone_by_choice,
            "engines": not stalled,
        }
        ready = all(parts.values())
        found = {"ready": ready, **parts, "stalled": stalled}
        return _json(found, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    def _mailboxes(self) -> dict[str, dict[str, float]]:
        """How many messages wait in each, and for how many seconds at least the oldest."""
        found: dict[str, dict[str, float]] = {}
        keys = {"runtime_inbox_depth": "depth", "runtime_inbox_oldest_seconds": "oldest_seconds"}
        for sample in self._runtime.registry.samples():
            if sample.name in keys:
                found.setdefault(dict(sample.labels)["engine"], {})[keys[sample.name]] = sample.value
        return found


def _made(asked: Reply[T], make: Callable[[T], Response]) -> Reply[Answer]:
    """The response is not made where the question is answered, but by the server."""
    return asked.map(lambda value: lambda: make(value))


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(status, "application/json", msgspec.json.encode(value) + b"\n")


@functools.cache
def _version() -> str:
    try:
        return importlib.metadata.version("rookery")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
