"""A node that serves false data: `python scripts/lying_node.py run node.yaml --while-stdin`. For the demo.

It fetches honestly, so its own copy is right; what it gives to others has one byte changed.
"""

from __future__ import annotations

import click

from rookery.actors import resolver
from rookery.config import load
from rookery.node import Node
from rookery.node.running import run as run_node
from rookery.runtime import Reply


class Lying:
    """Changes the first byte of whatever the honest producer gives."""

    def __init__(self, honest: resolver.Producer) -> None:
        self._honest = honest

    def produce(self, key: bytes) -> Reply[bytes | None]:
        """The false block, or None where the honest one has nothing."""
        answer = self._honest.produce(key)
        return (answer if isinstance(answer, Reply) else Reply.of(answer)).map(falsify)


def falsify(block: bytes | memoryview | None) -> bytes | None:
    """The block with its first bit turned."""
    return None if block is None else bytes([block[0] ^ 1]) + bytes(block[1:])


class LyingNode(Node):
    """A node in every other respect."""

    def producer(self) -> resolver.Producer:
        return Lying(super().producer())


@click.group()
def main() -> None:
    """A node that serves false data."""


@main.command()
@click.argument("file", type=click.Path(exists=True))
@click.option("--while-stdin", is_flag=True)
def run(file: str, *, while_stdin: bool) -> None:
    """Run it as `rookery run` runs an honest one."""
    run_node(load(file), while_stdin=while_stdin, make=LyingNode)


if __name__ == "__main__":
    main()
