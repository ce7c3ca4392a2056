"""The node as a whole."""

from __future__ import annotations

from ....actors.discovery import StaticRecord
from ....runtime import Declined, Reply
from ..arguments import Arguments
from ..command import A_WEEK, Command, Context, Pending, row, rows, same, then
from ..protocol import Plain
from ..status import pack


class NoSuchMetric(Declined):
    """No part of the node has a metric of this name."""


def status(node: Context, _arguments: Arguments) -> Pending:
    return Pending(node.control.status().map(row))


def peers(node: Context, _arguments: Arguments) -> Pending:
    """They may be 100,000, so the pool packs them."""
    return Pending(then(node.control.peers(), lambda known: node.actors.runtime.work(pack, known)).map(same))


def members(node: Context, _arguments: Arguments) -> Pending:
    return Pending(node.control.members().map(rows))


def connections(node: Context, _arguments: Arguments) -> Pending:
    return Pending(node.control.connections().map(rows))


def metrics(node: Context, _arguments: Arguments) -> Pending:
    samples: list[Plain] = [
        {"name": sample.name, "labels": dict(sample.labels), "value": sample.value}
        for sample in node.actors.runtime.registry.samples()
    ]
    return Pending(Reply.of(samples))


def metric(node: Context, arguments: Arguments) -> Pending:
    name = arguments.text("name")
    try:
        return Pending(Reply.of(node.actors.runtime.registry.total(name)))
    except LookupError as error:
        raise NoSuchMetric(str(error)) from None


def record(node: Context, _arguments: Arguments) -> Pending:
    return Pending(node.actors.transport.record().map(lambda own: str(StaticRecord.of(own.record))))


def wait(node: Context, arguments: Arguments) -> Pending:
    connected, members = arguments.count("connected"), arguments.count("members")
    there = node.control.wait(connected=connected, members=members, timeout=arguments.seconds("timeout"))
    return Pending(there.map(row), A_WEEK, give_up=there.cancel)


def stop(node: Context, _arguments: Arguments) -> Pending:
    return Pending(Reply.of(None), answered=node.stop)


COMMANDS = {
    "status": Command(status, always=True),
    "peers": Command(peers),
    "members": Command(members),
    "connections": Command(connections),
    "metrics": Command(metrics),
    "metric": Command(metric, ("name",)),
    "record": Command(record),
    "wait": Command(wait, ("connected", "members", "timeout")),
    "stop": Command(stop, always=True),
}
