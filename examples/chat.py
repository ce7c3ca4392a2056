"""Add an actor to a node: everybody who is connected hears what one says.

    python examples/chat.py [FOLDER]

This module has the shape of an actor's package: `Config`, a section of `node.yaml`; `Mailbox`, what others may ask of
it; `Engine`, which does it. `ChatNode` is a node with that actor. A package that others install needs no `ChatNode`:
with the entry point below, `rookery run` starts the actor of every node whose file has a section `chat`. ::

    [project.entry-points."rookery.actors"]
    chat = "chat"
"""

from __future__ import annotations

import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from rookery import runtime, transport
from rookery.config import load
from rookery.node import Node
from rookery.node.new import make_node
from rookery.runtime import Message, Reply, Request
from rookery.runtime.settings import Bytes, Settings, option
from rookery.transport import Closed, Opened, Received

CHANNEL = 16  # 16 to 255 are the application's
KEPT_LINES = 100
YAML = """
transport: {network: chat, listen: "tcp://127.0.0.1:0"}
tracker: {source: application}
chat: {nickname: %s}
"""


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """What people say to each other."""

    nickname: str = option("anonymous", "What the others call this node.")
    longest_line: Bytes = option(400, "A longer line is not sent, and one that comes is dropped.", minimum=1)


@dataclass(frozen=True, slots=True)
class Say(Message):
    """Tell everybody."""

    text: str


@dataclass(frozen=True, slots=True)
class NextLine(Request[str]):
    """The next line that somebody else says."""


class Mailbox(runtime.Mailbox):
    """What the application may ask."""

    def say(self, text: str) -> None:
        """Tell everybody who is connected."""
        self.tell(Say(text))

    def next_line(self) -> Reply[str]:
        """The oldest line that nobody has asked for yet, or the next that comes."""
        return self.ask(NextLine())


class Engine(runtime.Engine[Mailbox]):
    """Knows who is connected. It gets the node's transport because a parameter has that name."""

    def __init__(self, config: Config, *, transport: transport.Mailbox) -> None:
        super().__init__()
        self.handlers = {
            Opened: self.on_opened,
            Closed: self.on_closed,
            Received: self.on_received,
            Say: self.on_say,
            NextLine: self.on_next_line,
        }
        self.config = config
        self.transport = transport
        self.links: set[int] = set()
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.listeners: deque[Reply[str]] = deque()

    def on_start(self) -> None:
        self.transport.register(CHANNEL, self.mailbox)

    def on_opened(self, message: Opened) -> None:
        self.links.add(message.link.id)

    def on_closed(self, message: Closed) -> None:
        self.links.discard(message.link_id)

    def on_say(self, message: Say) -> None:
        line = f"{self.config.nickname}: {message.text}".encode()
        if len(line) <= self.config.longest_line:
            for link in self.links:
                self.transport.send(link, CHANNEL, line)

    def on_received(self, message: Received) -> None:
        """What a peer sends may be anything."""
        if len(message.payload) <= self.config.longest_line:
            self.lines.append(message.payload.decode(errors="replace"))
            self.answer()

    def on_next_line(self, message: NextLine) -> Reply[str]:
        self.listeners.append(Reply())
        listener = self.listeners[-1]
        self.answer()
        return listener

    def answer(self) -> None:
        while self.lines and self.listeners:
            self.listeners.popleft().set(self.lines.popleft())


class ChatNode(Node):
    """A node with one actor more."""

    chat: Mailbox

    def add_actors(self) -> None:
        self.chat = self.start_actor(Engine, self.config.section_of(Config))


def main(folder: Path) -> None:
    """Two nodes, and a line from one to the other."""
    for name in ("alice", "bob"):
        make_node(folder / name, YAML % name)
    alice, bob = (ChatNode(load(folder / name, sections={"chat": Config})) for name in ("alice", "bob"))
    with alice, bob:
        alice.tracker.track(1, {bob.peer: bob.address}).get(timeout=5)
        bob.tracker.track(1, {alice.peer: alice.address}).get(timeout=5)
        for node in (alice, bob):
            node.wait(connected=1, timeout=20)
        alice.chat.say("is anybody there?")
        print("bob hears", bob.chat.next_line().get(timeout=20))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder_name:
            main(Path(folder_name))
