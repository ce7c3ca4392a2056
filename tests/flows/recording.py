"""What the engines of a simulation handled, in order, for tests that read like a flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rookery.runtime import Engine, Simulation, Timer
from rookery.runtime.actor.inbox import Ask, Slot


@dataclass(frozen=True)
class Step:
    """`who` handles a message of a type, with these attributes: `Step("bob/tracker", tracker.Dial, peer=alice)`."""

    who: str
    kind: type
    fields: dict[str, object]

    def __init__(self, who: str, kind: type, **fields: object) -> None:
        object.__setattr__(self, "who", who)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "fields", fields)

    def is_met_by(self, who: str, message: object) -> bool:
        return (
            who == self.who
            and type(message) is self.kind
            and all(getattr(message, name) == value for name, value in self.fields.items())
        )


class Recording:
    """Every message that was handled since the last `clear`, with the engine as `node/engine`."""

    def __init__(self, simulation: Simulation) -> None:
        self.handled: list[tuple[str, object]] = []
        simulation.observe(self._observe)

    def _observe(self, engine: Engine[Any], item: object) -> None:
        self.handled.append((str(engine.actor_urn), message_of(item)))

    def clear(self) -> None:
        self.handled.clear()

    def assert_order(self, *steps: Step) -> None:
        """Each step comes after the one before it; others may come in between."""
        rest = iter(self.handled)
        for number, step in enumerate(steps, 1):
            if not any(step.is_met_by(who, message) for who, message in rest):
                told = "\n".join(f"  {who}: {message!r:.150}" for who, message in self.handled)
                raise AssertionError(f"step {number} is missing, or too early: {step}\n{told}")

    def count(self, step: Step) -> int:
        return sum(step.is_met_by(who, message) for who, message in self.handled)


def message_of(item: object) -> object:
    """The message in what an inbox holds; None for a reply on its way back."""
    match item:
        case Ask():
            return item.message
        case Slot():
            return item.content
        case Timer():
            return item.message
        case _:
            return item
