"""Every error the runtime raises or answers with."""

from __future__ import annotations


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


class UnhandledMessage(RuntimeFault):
    """The engine's handler table has no entry for this type of message."""


class StopTimeout(RuntimeFault):
    """Some engines did not stop in time. The text names them and what they were doing."""


class SimulationStuck(RuntimeFault):
    """The awaited condition did not come true within the given virtual time."""


class NotSimulated(RuntimeFault):
    """A simulated handler reached for the real clock, real randomness or a thread. The text names the alternative."""
