"""Every error the runtime raises or answers with."""

from __future__ import annotations

from typing import Any, TypeVar, cast

E = TypeVar("E", bound=BaseException)
_MADE_IN_PYTHON = 1 << 9  # Py_TPFLAGS_HEAPTYPE


class RuntimeFault(Exception):
    """Base of the errors below: something about actors, not about an actor's subject."""


class Declined(Exception):
    """Raise a subclass in the handler of an ask to answer it with that error.

    The asker's reply raises it; the engine lives on. Any other exception in a handler means that the engine's state
    may be wrong, and stops the node.
    """


class EngineGone(RuntimeFault):
    """The ask cannot be answered: its engine is not running, or stopped before the message's turn came."""


class EngineFailed(RuntimeFault):
    """An engine's handler raised; the cause is chained. Whoever asked gets it, and the node stops."""


class ReplyDropped(RuntimeFault):
    """The engine threw the reply away without answering it."""


class ReplyTimeout(RuntimeFault, TimeoutError):
    """No answer came within the time the asker gave."""


class ReplyCancelled(RuntimeFault):
    """The asker no longer wants the answer."""


class MailboxFull(RuntimeFault):
    """The ask was over its mailbox's limit and was not queued. The text names the limit."""


class WouldDeadlock(RuntimeFault):
    """A blocking `get()` on an engine's own thread: continue with `self.on_reply(reply, handler)` instead."""


class NoEventLoop(RuntimeFault, RuntimeError):
    """`await reply` where no asyncio event loop is running: use `get()` there."""


class UnhandledMessage(RuntimeFault):
    """The engine's handler table has no entry for this type of message."""


class StopTimeout(RuntimeFault):
    """Some engines did not stop in time. The text names them and what they were doing."""


class SimulationStuck(RuntimeFault):
    """The awaited condition did not come true within the given virtual time."""


class NotSimulated(RuntimeFault):
    """A simulated handler reached for the real clock, real randomness or a thread. The text names the alternative."""


def fresh(error: E) -> E:
    """A copy of an error that is kept, to be raised in its place.

    An error collects the frames through which it is raised, and they keep alive what they refer to. So whoever keeps
    one for many raises copies: equal in type, arguments, attributes, notes and cause, with the traceback up to here.
    The rare error that cannot be copied is returned itself, without its traceback.
    """
    kind = type(error)
    base = next(each for each in kind.__mro__ if not each.__flags__ & _MADE_IN_PYTHON)
    try:
        _kind, args, *state = cast("tuple[Any, ...]", base.__reduce__(error))  # type: ignore[call-arg]
        copy = base.__new__(kind, *args)
        base.__init__(copy, *args)  # type: ignore[misc]  # not the subclass's, which takes what it likes
        for name, value in _attributes(error, *state).items():
            object.__setattr__(copy, name, value[:] if name == "__notes__" else value)
        copy.args, copy.__context__, copy.__cause__ = error.args, error.__context__, error.__cause__
        copy.__suppress_context__ = error.__suppress_context__
    except Exception:
        return error.with_traceback(None)
    return copy.with_traceback(error.__traceback__)


def _attributes(error: BaseException, state: object = None) -> dict[str, Any]:
    """What `error` has beyond its arguments: in its `__dict__`, in slots, and (`state`) what its built-in base says."""
    own = object.__getstate__(error)
    found: dict[str, Any] = {}
    for part in (state, *(own if isinstance(own, tuple) else (own,))):
        found |= part if isinstance(part, dict) else {}
    return found
