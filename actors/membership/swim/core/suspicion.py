"""How long a suspect has to refute: the more members accuse it, the shorter (membership: lifeguard).

* An accuser is a member whose own probe failed. The time runs at every member that hears of the suspicion, so the
  suspect is not saved if an accuser dies itself.
* A single accuser may be the sick one: then the suspect has `suspicion_max_factor` times the shortest time. Each
  further accuser shortens the time, and with `suspicion_confirmations` of them it is the shortest.
* The accusers travel with the suspicion, as the last bytes of their keys. A new accuser is passed on like an update.
* A timer that comes late shows that this process stalled, and a refutation may be waiting unread: the suspect gets
  one more period.
* Without confirmations (`Config.simple`) Foca's rule holds: a fixed time, which runs only where the own probe failed.
"""

import math
from collections.abc import Iterable

from ..effects import ChangeSuspectToDown, Outbox
from ..member import ACCUSER_BYTES, Member, State
from .state import Core
from .underway import Suspicion

__all__ = ["accusation", "is_over", "on_suspect", "suspicion_timeout"]


def suspicion_timeout(confirmations: int, expected: int, shortest: float, longest: float) -> float:
    """Seconds that a suspicion lasts from its beginning. confirmations: its accusers without the first.

    expected: with so many it lasts `shortest`, with none of them `longest`. With 0 expected it always lasts `shortest`.
    """
    if expected < 1:
        return shortest
    share = math.log(confirmations + 1) / math.log(expected + 1)
    return max(shortest, longest - (longest - shortest) * share)


def accusation(core: Core, target: Member) -> Member:
    """Our own suspicion of the target, as it was when its probe began."""
    return Member(target.id, target.incarnation, State.SUSPECT, (core.identity.key[-ACCUSER_BYTES:],))


def on_suspect(core: Core, update: Member, ours: bool, now: float, outbox: Outbox) -> None:
    """Begin or shorten the time of a suspect, by an update that is new or may add accusers. ours: our probe failed."""
    running = core.suspicions.get(update.id.key)
    if running is not None and running.incarnation == update.incarnation and running.member == update.id:
        _confirm(core, running, update.accusers, now, outbox)
    elif ours or core.config.suspicion_confirmations:
        _begin(core, update, now, outbox)


def is_over(core: Core, timer: ChangeSuspectToDown, now: float, outbox: Outbox) -> bool:
    """Whether the time of this suspect is over; if this process has stalled it gets one more period."""
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
    # With too few others to confirm, the shortest time holds at once.
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
