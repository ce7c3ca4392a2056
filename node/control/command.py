"""What a command of the control socket is, in the node and in a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import asdict

from ...actors.blobs import BlobKey
from ...runtime import Reply, arguments
from .arguments import Arguments
from .errors import CommandFailed
from .mailbox import Mailbox
from .protocol import Plain

if TYPE_CHECKING:
    from ..composition import Actors

T = TypeVar("T")
U = TypeVar("U")

A_WEEK = 7 * 86_400.0
"""Seconds. A put or get takes as long as it takes."""
SHORT = 30.0
"""Seconds for everything else to be answered."""


class Context(Struct, frozen=True):
    """What commands speak to.

    control: the control engine's own mailbox. stop: ends the node, some time later; returns at once.
    """

    control: Mailbox
    actors: Actors
    stop: Callable[[], object]


class Pending(Struct, frozen=True):
    """A command under way.

    timeout: seconds until the caller is told that nobody answered. watch: whose progress it is told. answered: called
    once the answer has left. give_up: called once its client is gone; None for a command that goes on.
    """

    reply: Reply[Plain]
    timeout: float = SHORT
    watch: BlobKey | None = None
    answered: Callable[[], object] = lambda: None
    give_up: Callable[[], object] | None = None


class Command(Struct, frozen=True):
    """What is done, and the names of the arguments that may be given.

    run: raises BadArguments, a ValueError that says what is wrong with an argument, or another `Declined`. always:
    whether one for each client has a place whatever else is under way; it is answered soon.
    """

    run: Callable[[Context, Arguments], Pending]
    arguments: tuple[str, ...] = ()
    always: bool = False


def same(value: Plain) -> Plain:
    """An answer that can be sent as it is."""
    return value


def row(answer: Struct) -> Plain:
    """An answer that is a struct of plain values."""
    return asdict(answer)


def rows(answer: tuple[Struct, ...]) -> Plain:
    """Many of them."""
    return [asdict(each) for each in answer]


def then(asked: Reply[T], go_on: Callable[[T], Reply[U]]) -> Reply[U]:
    """Ask once more, with the answer."""
    reply: Reply[U] = Reply()

    def ask(answered: Reply[T]) -> None:
        result = answered.result()
        reply.fail(result) if isinstance(result, Exception) else go_on(result).forward_to(reply)

    asked.then(ask)
    return reply


# In the client --------------------------------------------------------------------------------------------------------


class Caller(Protocol):
    """What sends commands: the client."""

    def call(
        self,
        command: str,
        arguments: dict[str, Plain] | None = None,
        *,
        timeout: float | None = -1.0,
        progress: Callable[[Plain], object] | None = None,
    ) -> Plain:
        """See `Client.call`."""


def text(given: object, what: str) -> str:
    """How something is written. Raises CommandFailed of kind `BadArguments` for a number too long for that."""
    try:
        return str(given)
    except ValueError:
        raise CommandFailed("BadArguments", f"{what} cannot be {arguments.shortened(given)}") from None


def seconds(given: float | None, what: str) -> float | None:
    """A length of time as it is sent; None for none. Raises CommandFailed of kind `BadArguments`, as the node would."""
    try:
        return None if given is None else arguments.seconds(given, what)
    except ValueError as error:
        raise CommandFailed("BadArguments", str(error)) from None
