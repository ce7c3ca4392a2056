"""What a client of the control socket may get instead of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Details = Mapping[str, int | float | str]
NO_DETAILS: Details = MappingProxyType({})


class ControlError(Exception):
    """A command was not carried out."""


class NoNode(ControlError):
    """Nobody listens at the control socket: the node does not run, or has ended."""


class CallTimeout(ControlError, TimeoutError):
    """The node did not answer in time."""


class CommandFailed(ControlError):
    """The node answered that it could not.

    kind: the name of the error there, as `StaleSetId`. details: its numbers and texts by name, as `{"newest": 7}`.
    """

    def __init__(self, kind: str, message: str, details: Details = NO_DETAILS) -> None:
        super().__init__(message)
        self.kind = kind
        self.details = details
