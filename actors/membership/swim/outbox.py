"""The effects of an operation, in order: packets to send, timers to schedule and notifications, in one list."""

from dataclasses import dataclass

from .member import MemberId
from .notifications import Notification
from .timers import Timer

__all__ = ["Effect", "Notify", "Outbox", "Schedule", "Send"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send `data` to `to`; best effort."""

    to: MemberId
    data: bytes


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hand `timer` to `handle_timer` after `delay` seconds, exactly once."""

    timer: Timer
    delay: float


@dataclass(frozen=True, slots=True)
class Notify:
    """Pass `notification` to the rest of the program."""

    notification: Notification


Effect = Send | Schedule | Notify


class Outbox:
    """Collects effects; drain it after every operation, also after one that raised."""

    __slots__ = ("_effects",)

    def __init__(self) -> None:
        self._effects: list[Effect] = []

    def send(self, to: MemberId, data: bytes) -> None:
        self._effects.append(Send(to, data))

    def schedule(self, timer: Timer, delay: float) -> None:
        self._effects.append(Schedule(timer, delay))

    def notify(self, notification: Notification) -> None:
        self._effects.append(Notify(notification))

    def drain(self) -> list[Effect]:
        """Every effect since the last drain, in order of emission."""
        effects, self._effects = self._effects, []
        return effects

    @property
    def to_send(self) -> list[Send]:
        return [effect for effect in self._effects if isinstance(effect, Send)]

    @property
    def to_schedule(self) -> list[Schedule]:
        return [effect for effect in self._effects if isinstance(effect, Schedule)]

    @property
    def to_notify(self) -> list[Notification]:
        return [effect.notification for effect in self._effects if isinstance(effect, Notify)]
