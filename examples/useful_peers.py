"""Keep the connections that are useful: an application that tags its peers by what they do for it.

    python examples/useful_peers.py [FOLDER]

Alice asks all her peers for squares. Who answers right gets a decaying tag `useful`: one more with each answer, at
most 15, and one less every ten minutes, so that old merits fade. Who answers wrong is worth less than a stranger. A
friend is protected, whatever he does. When connections must be given up, the useless ones go.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rookery import runtime, transport
from rookery.actors import connections, tracker
from rookery.actors.connections import DecayingTag, bump, decay
from rookery.config import load
from rookery.config.node import GENERATION
from rookery.node.new import make_node
from rookery.runtime import Engine, LoopRuntime, Reply, Request
from rookery.transport import Address, Closed, Opened, PeerId, Received, keyfile

CHANNEL = 16  # 16 to 255 are the application's
YAML = """
transport: {network: useful, listen: "tcp://127.0.0.1:0"}
tracker: {source: application}
connections: {grace_period: 0s}  # an example has no patience: usually a new peer gets a minute to prove useful
"""
SKILLS = {
    "bob": lambda number: number * number,
    "carol": lambda number: number * number,
    "dave": lambda number: number + number,  # right for 2
}


@dataclass(frozen=True, slots=True)
class Ask(Request[None]):
    """Ask every peer for these squares; answered when so many answers have come."""

    numbers: tuple[int, ...]
    answers: int


class QuizMailbox(runtime.Mailbox):
    """Squares wanted."""

    def squares(self, numbers: tuple[int, ...], answers: int) -> Reply[None]:
        """See `Ask`."""
        return self.ask(Ask(numbers, answers))


class Quiz(Engine[QuizMailbox]):
    """Asks, answers if it can, and remembers who was useful."""

    def __init__(self, *, transport: transport.Mailbox, connections: connections.Mailbox, name: str) -> None:
        super().__init__()
        self.handlers = {
            Opened: self.on_opened,
            Closed: self.on_closed,
            Received: self.on_received,
            Ask: self.on_ask,
        }
        self.transport = transport
        self.connections = connections
        self.skill = SKILLS.get(name)
        self.links: dict[int, PeerId] = {}
        self.useful: DecayingTag | None = None
        self.missing = 0
        self.asked: Reply[None] = Reply()

    def on_start(self) -> None:
        self.transport.register(CHANNEL, self.mailbox)
        tag = self.connections.register_decaying_tag("useful", 600.0, decay.fixed(1), bump.sum_bounded(0, 15))
        self.on_reply(tag, self.on_tag, timeout=5)

    def on_tag(self, tag: DecayingTag | Exception) -> None:
        self.useful = tag if isinstance(tag, DecayingTag) else None

    def on_opened(self, message: Opened) -> None:
        self.links[message.link.id] = message.link.peer

    def on_closed(self, message: Closed) -> None:
        self.links.pop(message.link_id, None)

    def on_ask(self, message: Ask) -> Reply[None]:
        self.missing, self.asked = message.answers, Reply()
        for link in self.links:
            for number in message.numbers:
                self.transport.send(link, CHANNEL, b"? %d" % number)
        return self.asked

    def on_received(self, message: Received) -> None:
        kind, *numbers = message.payload.split()
        if kind == b"?" and self.skill is not None:
            number = int(numbers[0])
            self.transport.send(message.link_id, CHANNEL, b"= %d %d" % (number, self.skill(number)))
        elif kind == b"=":
            self.judge(message.peer, int(numbers[0]), int(numbers[1]))

    def judge(self, peer: PeerId, number: int, answer: int) -> None:
        """What the application thinks of its peers: this is all that connections needs to know."""
        if answer != number * number:
            self.connections.tag_peer(peer, "wrong", -10)
        elif self.useful is not None:
            self.useful.bump(peer, 1)
        self.missing -= 1
        if self.missing == 0:
            self.asked.set(None)


@dataclass(frozen=True, slots=True)
class QuizNode:
    """One node, as this program uses it."""

    peer: PeerId
    address: Address
    peers: tracker.Mailbox
    conns: connections.Mailbox
    quiz: QuizMailbox


@contextmanager
def quiz_node(folder: Path) -> Iterator[QuizNode]:
    """A node from the `node.yaml` in `folder`. Leaving stops it."""
    config = load(folder)
    identity = keyfile.load(config.key)
    config.data.mkdir(mode=0o700, exist_ok=True)
    generations = transport.GenerationFile(config.data / GENERATION, identity.peer)  # so that a restart is told apart
    with LoopRuntime(identity.peer.short) as loop:
        net, peers = loop.mailbox(transport.Mailbox), loop.mailbox(tracker.Mailbox)
        conns, quiz = loop.mailbox(connections.Mailbox), loop.mailbox(QuizMailbox)
        observers = (conns.notifee(), peers)
        loop.start(
            net,
            transport.Engine,
            config.transport,
            identity=identity,
            gatekeeper=peers,
            observers=observers,
            generations=generations,
        )
        loop.start(peers, tracker.Engine, config.tracker, transport=net, me=identity.peer)
        loop.start(conns, connections.Engine, config.connections, transport=net, tracker=peers)
        loop.start(quiz, Quiz, transport=net, connections=conns, name=folder.name)
        yield QuizNode(identity.peer, net.listen().get(timeout=5), peers, conns, quiz)


def main(folder: Path) -> None:
    """Alice and five peers; then she has to do with three."""
    names = ("alice", "bob", "carol", "dave", "erin", "frank")
    for name in names:
        make_node(folder / name, YAML)
    with ExitStack() as stack:
        alice, *others = (stack.enter_context(quiz_node(folder / name)) for name in names)
        name_of = dict(zip((node.peer for node in others), names[1:], strict=True))
        alice.peers.track(1, {node.peer: node.address for node in others}).get(timeout=5)
        for node in others:
            assert isinstance(alice.peers.dial(node.peer).get(timeout=20), tracker.Dialled)
        alice.conns.protect(others[-1].peer, "friend")
        alice.quiz.squares((2, 3, 5), answers=9).get(timeout=20)  # bob, carol and dave answer three times each
        for each in alice.conns.connections().get(timeout=5):
            kept = f", protected as {each.protections[0]}" if each.protections else ""
            print(f"{name_of[each.link.peer]} is worth {each.value}{kept}")
        report = alice.conns.trim_open_connections(3).get(timeout=20)
        print("given up:", *sorted(name_of[link.peer] for link in report.closed))
        left = alice.conns.connections().get(timeout=5)
        print("kept:", *sorted(name_of[each.link.peer] for each in left))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder_name:
            main(Path(folder_name))
