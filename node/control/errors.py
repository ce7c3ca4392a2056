"""What a client of the control socket may get instead of an answer."""


class ControlError(Exception):
    """A command was not carried out."""


class NoNode(ControlError):
    """Nobody listens at the control socket: the node does not run, or has ended."""


class CallTimeout(ControlError, TimeoutError):
    """The node did not answer in time."""


class CommandFailed(ControlError):
    """The node answered that it could not. kind: the name of the error there, as `DestinationError`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
