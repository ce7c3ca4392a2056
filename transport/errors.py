"""What transport declines with, and the error that every reader of bytes from outside raises."""

from __future__ import annotations

from ..runtime.errors import Declined


class ChannelTaken(Declined):
    """The channel, or the packets, have a receiver already."""


class ChannelsClosed(Declined):
    """Channels are registered before `listen`."""


class AlreadyListening(Declined):
    """`listen` was called twice."""


class BindError(Declined):
    """The endpoint cannot be listened on: taken, or not of this machine. The text names it."""


class DecodeError(ValueError):
    """Bytes from another peer are not what the protocol allows; the text says which part and what is allowed."""
