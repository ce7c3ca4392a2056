"""How long a suspect has to refute: the more members accuse it, the shorter (membership: lifeguard).

* An accuser is a member whose own probe failed. Everybody who hears of a suspicion lets its time run, so an accuser
  that dies itself does not save the suspect.
* One accuser alone may be the sick one: it waits `suspicion_max_factor` times as long as the shortest time. Each
  further accuser shortens the wait, and `suspicion_confirmations` of them bring it down to the shortest.
* Who its accusers are travels with the suspicion, as the last bytes of their keys; a new one is news, and passed on.
* A clock that comes late means that we stood still, and a refutation may be waiting in our inbox: the suspect gets one
  more period.
* Without confirmations (`Config.simple`) it is Foca's rule: a fixed time, and only for those whose own probe failed.
"""

import math
from collections.abc import Iterable

from .core import Core
from .member import ACCUSER_BYTES, Member, State
from .outbox import Outbox
from .timers import ChangeSuspectToDown
from .underway import Suspicion

__all__ = ["accusation", "is_over", "on_suspect", "suspicion_timeout"]


def suspicion_timeout(confirmations: int, expected: int, shortest: float, longest: float) -> float:
    """Seconds from the beginning of a suspicion with so many confirmations, its first accuser not counted."""
    if expected < 1:
        return shortest
    share = math.log(confirmations + 1) / math.log(expected + 1)
    return max(shortest, longest - (longest - shortest) * share)


def accusation(core: Core, target: Member) -> Member:
    """Our own word that the target, as it was when its probe began, did not answer."""
    return Member(target.id, target.incarnation, State.SUSPECT, (core.identity.key[-ACCUSER_BYTES:],))


def on_suspect(core: Core, update: Member, ours: bool, now: float, outbox: Outbox) -> None:
    """The member is Suspect here by `word`, a new one or one that adds accusers. `ours`: our own probe failed."""
    running = core.suspicions.get(update.id.key)
    if running is not None and running.incarnation == update.incarnation and running.member == update.id:
        _confirm(core, running, update.accusers, now, outbox)
    elif ours or core.config.suspicion_confirmations:
        _begin(core, update, now, outbox)


def is_over(core: Core, timer: ChangeSuspectToDown, now: float, outbox: Outbox) -> bool:
    """Whether the time of this suspect has run down, by a clock that did not stand still."""
    running = core.suspicions.get(timer.member.key)
    if running is None or running.token != timer.token:
        return False
    if core.clock_stalled(now - running.deadline):
        _wait(core, running, now + core.config.probe_period * core.slowness, now, outbox)
        return False
    del core.suspicions[timer.member.key]
    return True


def _begin(core: Core, update: Member, now: float, outbox: Outbox) -> None:
    config, size = core.config, core.cluster_size
    # With too few others to confirm, nobody waits for them.
    expected = config.suspicion_confirmations if size - 2 >= config.suspicion_confirmations else 0
    accusers = dict.fromkeys(update.accusers[: expected + 1])
    running = Suspicion(update.id, update.incarnation, now, expected, accusers)
    core.suspicions[update.id.key] = running
    _wait(core, running, now + _length(core, running), now, outbox)


def _confirm(core: Core, running: Suspicion, accusers: Iterable[bytes], now: float, outbox: Outbox) -> None:
    before = len(running.accusers)
    for accuser in accusers:
        if len(running.accusers) <= running.expected:
            running.accusers[accuser] = None
    if len(running.accusers) == before:
        return
    core.queue(Member(running.member, running.incarnation, State.SUSPECT, tuple(running.accusers)))
    deadline = running.began + _length(core, running)
    if deadline < running.deadline:
        _wait(core, running, max(now, deadline), now, outbox)


def _length(core: Core, running: Suspicion) -> float:
    shortest = core.config.shortest_suspicion(core.cluster_size)
    longest = shortest * core.config.suspicion_max_factor
    return suspicion_timeout(max(0, len(running.accusers) - 1), running.expected, shortest, longest)


def _wait(core: Core, running: Suspicion, deadline: float, now: float, outbox: Outbox) -> None:
    running.deadline, running.token = deadline, core.next_token()
    outbox.schedule(ChangeSuspectToDown(running.member, running.incarnation, running.token), deadline - now)
