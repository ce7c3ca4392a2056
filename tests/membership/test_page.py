"""What docs/membership.md says of the engine is so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rookery import runtime, transport
from rookery.actors import maintenance, resolver, tracker
from rookery.actors.membership import Config, Mailbox
from rookery.actors.membership.core import newcomers, sender_limits, waiting
from rookery.actors.membership.core.tags import encode_tags
from rookery.actors.membership.parts.misconduct import CHEAT_BLOCK
from rookery.actors.membership.swim.core.checks import _EVERY
from rookery.actors.membership.swim.member import MAX_INCARNATION
from rookery.actors.resolver.core.fetching.requests import OVERDUE_SHARE
from rookery.testing import SimulatedNodes
from rookery.transport import PeerId

PAGE = (Path(__file__).parents[2] / "docs" / "membership.md").read_text()
SECTION = PAGE[PAGE.index("## 8. In a node") : PAGE.index("## 9. What a liar")]
LIARS = " ".join(PAGE[PAGE.index("## 9. What a liar") :].split())
SECTIONS: dict[str, tuple[object, ...]] = {
    "transport": (transport.Config(),),
    "tracker": (tracker.Config(),),
    "maintenance": (maintenance.Config(),),
    "resolver": (resolver.Config(),),
    "membership": (Config().protocol, Config()),
}


def test_page_names_every_event_of_the_engine() -> None:
    rows = re.findall(r"^\| ([A-Z]\w+(?:, [A-Z]\w+)*) \|", SECTION, re.MULTILINE)
    assert [name for row in rows for name in row.split(", ")] == [event.__name__ for event in Mailbox.events]


def test_program_of_the_page_runs(simulation: Any) -> None:
    nodes = SimulatedNodes(simulation)
    seed, node = nodes.start("alice"), nodes.start("bob")
    mailbox = simulation.mock(runtime.Mailbox, "listener")
    match = re.search(r"```python\n(.*?)```", SECTION, re.DOTALL)
    assert match is not None
    program = match[1].replace("PEERID@tcp://10.0.0.1:7000", f"{seed.peer}@{seed.address}").splitlines()
    for line in program:
        exec(line, {"node": node, "mailbox": mailbox})  # a line is a statement
        nodes.run(1.0)
    own = node.membership.members().get(timeout=1).own
    assert own is not None
    assert own.metadata == encode_tags({"zone": "b"})
    assert [peer.peer for peer in seed.membership.members().get(timeout=1).others] == [node.peer]


# What a liar can do ---------------------------------------------------------------------------------------------------


def setting(name: str) -> object:
    section, _, field = name.partition(".")
    found = [getattr(config, field) for config in SECTIONS[section] if hasattr(config, field)]
    assert found, f"there is no setting {name}"
    return found[0]


def named_settings() -> list[str]:
    return re.findall(rf"`((?:{'|'.join(SECTIONS)})\.\w+)", LIARS)


def test_page_names_only_settings_that_exist() -> None:
    assert len(named_settings()) > 25
    for name in named_settings():
        setting(name)


SECONDS = {"": 1.0, "s": 1.0, "min": 60.0, "h": 3600.0}


def defaults() -> Iterator[tuple[str, str]]:
    """Each setting of the chapter's table, and its default as the page writes it."""
    for names, said in re.findall(r"\| ((?:`\w+\.\w+`,? ?)+)\| ([^|]+) \|", LIARS):
        yield from zip(re.findall(r"`(\S+)`", names), said.split(", "), strict=True)


def test_page_has_the_defaults_of_the_settings_that_bound_liars() -> None:
    words = {"transport.reserved_outbound": "a third", "resolver.block_duration": "the same"}
    told = dict(defaults())
    assert len(told) > 20
    for name, said in told.items():
        value = setting(name)
        if value is None:
            assert said == words.pop(name)
        elif isinstance(value, bool):
            assert said == str(value).lower()
        else:
            number, _, unit = said.partition(" ")
            assert float(number) * SECONDS[unit] == value, name
    assert words == {}


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("closed and blocked for 10 minutes", CHEAT_BLOCK == 600),
        ("two checks begin in a second", _EVERY == 0.5),
        ("a new life after 67 minutes", (MAX_INCARNATION - 16) * 4 // 60 == 67),
        ("probes up to 8 times slower", Config().protocol.awareness_max_multiplier == 8),
        (
            "64 updates of one sender wait for their records, for 10 s (a seed's: 1,024)",
            (newcomers.PER_INTRODUCER, waiting.WAITING_TIME, newcomers.PER_SEED) == (64, 10, 1024),
        ),
        ("at 500 of membership", sender_limits.FLOOD == 500),
        ("16 lives are taken in at once, then one in 2 s", sender_limits.LIVES == (1 / 2, 16)),
        ("a second peer is asked after 0.42 s", round(OVERDUE_SHARE * resolver.Config().fetch_timeout, 2) == 0.42),
        ("blocked, for 4 hours", tracker.Config().block_duration == 4 * 3600),
        ("its IP rests for 30 s", transport.Config().ip_cooldown == 30),
        ("a quarter of them: 16 of 67", int(67 * transport.Config().max_inbound_share_per_ip) == 16),
    ],
)
def test_limit_of_the_chapter_on_liars_is_the_one_in_force(said: str, limit: bool) -> None:
    assert said in LIARS
    assert limit


@pytest.mark.parametrize(("seed", "burst", "rate"), [(False, 128, 32), (True, 2048, 256)])
def test_so_many_signatures_of_a_sender_are_checked(seed: bool, burst: int, rate: int) -> None:
    assert "Signatures of records are checked for 128, then 32 a second" in LIARS
    limits, sender = sender_limits.SenderLimits(Config().protocol), PeerId(bytes(32))
    assert sum(limits.may_check(sender, 0.0, seed=seed) for _ in range(burst + 9)) == burst
    assert sum(limits.may_check(sender, 1.0, seed=seed) for _ in range(burst)) == rate
