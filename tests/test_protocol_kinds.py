"""docs/protocol.md names every message there is and shows each: a message that is new, renamed or gone fails here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from msgspec import structs

from rookery.actors.maintenance.core import codec as exchange
from rookery.actors.membership.swim import codec as swim
from rookery.actors.membership.swim import member, proofs
from rookery.actors.membership.swim.messages import Message, TurnUndead
from rookery.actors.providers.core import announcing, ring
from rookery.actors.providers.core import codec as providers
from rookery.actors.providers.core import questions as asked
from rookery.actors.providers.parts.answering import LIMITS
from rookery.actors.resolver.core import codec as resolver
from rookery.actors.resolver.core.codec import Missing, Request, Response
from rookery.transport import Quota, Reason
from rookery.transport.config import Config
from rookery.transport.core import codec

PAGE = (Path(__file__).parent.parent / "docs" / "protocol.md").read_text()
KINDS: dict[int, Any] = {
    **swim._BARE,
    **swim._NUMBERED,
    **swim._INDIRECT,
    **swim._ANSWERED,
    swim._TURN_UNDEAD: TurnUndead,
}


def shown(vector: str) -> list[int]:
    """The kinds of the vectors, each once: the second item of the array."""
    values = re.findall(rf"^```vector {vector}\n(.+)\n", PAGE, re.MULTILINE)
    return sorted({json.loads(value)[1] for value in values})


def section(title: str) -> str:
    """The text below a heading, up to the next of its rank."""
    found = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"no section {title}"
    return found[2]


def rows(text: str) -> list[list[str]]:
    """The cells of each line of a table, heads and rules left out."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [each for number, each in enumerate(cells) if number > 0 and not set(each[0]) <= {"-"}]


def test_every_kind_of_swim_message_is_named_with_its_number_and_fields() -> None:
    named: dict[int, str] = {}
    fields: dict[int, str] = {}
    for kinds, names, said in rows(section("Packets: membership")):
        for number, name in zip(kinds.split(","), names.split(","), strict=True):
            named[int(number)], fields[int(number)] = name.strip(), said
    assert named == {kind: cls.__name__ for kind, cls in KINDS.items()}
    parts_of = {
        tuple(swim._BARE): 0,
        tuple(swim._NUMBERED): 1,
        tuple(swim._INDIRECT): 3,
        tuple(swim._ANSWERED): 4,
        (swim._TURN_UNDEAD,): 5,
    }
    for kind, said in fields.items():
        parts = next(count for kinds, count in parts_of.items() if kind in kinds)
        inside = said[said.index("[") + 1 : said.index("]")]
        assert len([part for part in inside.split(",") if part]) == parts, named[kind]


def test_every_kind_of_swim_message_has_a_vector() -> None:
    assert shown("swim") == sorted(KINDS)
    assert set(KINDS.values()) == set(get_args(Message))


def test_swim_messages_that_carry_nothing_are_the_ones_named() -> None:
    said = re.findall(r"((?:[A-Z]\w+, )+[A-Z]\w+ and [A-Z]\w+|[A-Z]\w+ and [A-Z]\w+) have none", " ".join(PAGE.split()))
    for carries, names in zip(("updates", "items"), said, strict=True):
        without = {cls.__name__ for cls in KINDS.values() if not getattr(cls, carries)}
        assert without == set(re.findall(r"[A-Z]\w+", names)), carries


def test_every_message_of_the_resolver_is_named_and_has_a_vector() -> None:
    named = [
        (name, len(array.strip("`[]").split(",")))
        for name, array, _ in rows(section("The resolver's messages (channel 1)"))
    ][:3]
    assert named == [("Request", 5), ("Response", 4), ("Missing", 3)]
    assert set(get_args(resolver.Message)) == {Request, Response, Missing}
    assert shown("resolver") == [0, 1, 2]


def test_every_message_of_the_providers_is_named_with_its_fields_and_has_a_vector() -> None:
    named = {name: (int(kind), array) for kind, name, array in rows(section("Packets: who has a key (kind 1)"))}
    assert list(named) == [cls.__name__ for cls in get_args(providers.Message)]
    assert shown("providers") == [kind for kind, _ in named.values()] == list(range(6))
    for cls in get_args(providers.Message):
        kind, array = named[cls.__name__]
        fields = {"hash" if field.name == "hashed" else field.name for field in structs.fields(cls)}
        said = [item.strip() for item in array.strip("`[]").split(",")]
        assert said[:3] == ["2", str(kind), "number"]
        assert set(said[2:]) == fields


def test_every_message_about_peers_is_named_and_has_a_vector() -> None:
    named = [name for name, _, _ in rows(section("Peers for peers (channel 0)"))]
    assert [name.upper() for name in named] == [kind.name for kind in exchange.Kind]
    assert shown("exchange") == [int(kind) for kind in exchange.Kind]


def test_every_control_message_is_named_with_its_fields_and_has_a_vector_with_all_of_them() -> None:
    named = {name: array for name, array, _ in rows(section("Control messages"))}
    assert list(named) == [cls.__name__ for cls in get_args(codec.Control)]
    vectors = [json.loads(value) for value in re.findall(r"^```vector control\n(.+)\n", PAGE, re.MULTILINE)]
    for kind, cls in enumerate(get_args(codec.Control)):
        said = [item.strip(" `[]") for item in named[cls.__name__].split(",")]
        fields = ["purpose" if field.name == "packets" else field.name for field in structs.fields(cls)]
        assert said == ["2", str(kind), *fields]
        assert max(len(vector) for vector in vectors if vector[1] == kind) == len(said), cls.__name__


def test_every_reason_is_named_and_no_other() -> None:
    (words,) = re.findall(r"taken as `other`: (.*?)\.\n\* ", PAGE, re.DOTALL)
    assert re.findall(r"`(\w+)`", words) == [reason.value for reason in Reason]


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("at most 64 byte strings", swim.MAX_ITEMS == 64),
        ("1 to 8 accusers", member.MAX_ACCUSERS == 8),
        ("the last 8 bytes of its key", member.ACCUSER_BYTES == 8),
        ("an incarnation is at most 1,024", member.MAX_INCARNATION == 1_024),
        ("proof is 16 bytes", proofs.PROOF_BYTES == 16),
        ("the signature, 64 bytes, of the probed one", proofs.ANSWER_BYTES == 64),
        ("a probe number is below 2^63", swim._NUMBER_LIMIT == 2**63),
        ("`id` is the asker's own, below 2^64", resolver.MAX_ID == 2**64 - 1),
        ("Of the 32 members that follow the hash", (ring.WINDOW, ring.COPIES) == (32, 3)),
        ("`number`: below 2^32", asked.NUMBERS == 2**32),
        ("1 to 512 in Provide, 1 to 32 in Have", (announcing.MAX_BATCH, providers.MAX_ASKED) == (512, 32)),
        ("these keys, at most 86,400", providers.MAX_SECONDS == 86_400),
        ("at most 16 of `[age, record]`", providers.MAX_NAMED == 16),
        (
            "20 Provides, 50 Whos and 128 Haves a second of each, 64, 200 and 256 at once",
            list(LIMITS.values()) == [(20.0, 64), (50.0, 200), (128.0, 256)],
        ),
        ("its keys again after 2 and 4 s, passes it over 8 s later", announcing.WAITS == (2.0, 4.0, 8.0)),
        ("1,000 messages a second, 2,000 at once", (Quota().rate, Quota().burst) == (1000, 2000)),
        ("128 of one subnet", Config().handshakes_per_subnet == 128),
        ("Whole handshake within 5 s", Config().handshake_timeout == 5),
        ("`nonce`: 16 bytes", codec.NONCE_BYTES == 16),
    ],
)
def test_limit_that_the_page_names_is_the_one_in_force(said: str, limit: bool) -> None:
    assert said in " ".join(PAGE.split())
    assert limit
