"""docs/membership.md is tested from its own tables."""

import hashlib
import inspect
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import msgpack
import pytest

from rookery.actors.membership import swim
from rookery.actors.membership.swim import (
    Cheated,
    Config,
    ForgedProofError,
    Member,
    MemberId,
    Notification,
    Periodic,
    State,
    Swim,
    SwimError,
    UnknownLife,
    UnknownLifeError,
    effects,
    messages,
)
from rookery.actors.membership.swim.effects import BeginCheck, ChangeSuspectToDown, CheckSuspect, SendNack
from rookery.actors.membership.swim.member import supersedes
from rookery.actors.membership.swim.messages import (
    Ack,
    Announce,
    Feed,
    ForwardedAck,
    Gossip,
    IndirectAck,
    IndirectPing,
    Message,
    Nack,
    Ping,
    PingReq,
    SyncPart,
    SyncRequest,
    TurnUndead,
)

from .chains import Chains, answer, proved
from .rig import ANN, BOB, CAROL, QUIET, US, Rig, alive, down, left, next_life, suspect

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "membership.md").read_text()
PROTOCOL = (DOCS / "protocol.md").read_text()


def table(*head: str, page: str = PAGE) -> list[list[str]]:
    """The rows of the table whose head begins so."""
    lines = page.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("| " + " | ".join(head)))
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return rows
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def names(cell: str) -> list[str]:
    return re.findall(r"\w+", cell)


def test_page_says_what_replaces_what() -> None:
    columns = tuple(State)
    rules: dict[str, Callable[[int, int], bool]] = {
        "j > i": int.__gt__,
        "j >= i": int.__ge__,
        "always": lambda j, i: True,
        "never": lambda j, i: False,
    }
    for row, state in zip(table("held", "Alive(j)"), columns, strict=True):
        assert row[0].startswith(state.name.capitalize())
        for cell, said in zip(row[1:], columns, strict=True):
            for i in range(3):
                for j in range(3):
                    assert supersedes(Member(ANN, i, state), Member(ANN, j, said)) == rules[cell](j, i)


@pytest.mark.parametrize("head", [("held", "Alive(j)"), ("heard about ourselves",), ("TurnUndead", "what happens")])
def test_page_of_the_protocol_has_the_same_table(head: tuple[str, ...]) -> None:
    assert table(*head, page=PROTOCOL) == table(*head)


def test_page_of_the_protocol_says_what_is_sent_for_what_is_received() -> None:
    rows = {row[0]: row[1] for row in table("received", "sent", page=PROTOCOL)}

    def sent(row: str, message: Message, *says: str, dst: MemberId = US, lists: Member | None = None) -> list[Message]:
        said = rows.pop(row)
        assert all(word in said for word in says), said
        rig.receive(ANN, message, updates=[] if lists is None else [lists], dst=dst)
        return [answered for _, answered in rig.take_messages()]

    rig = Rig(replace(QUIET, nack=True), knows=[ANN, BOB], proofs=Chains())
    assert sent("Ping", Ping(7), "Ack with its number") == [Ack(7)]
    assert sent("PingReq", PingReq(BOB, 7), "IndirectPing to the target", "80 %", "Nack") == [IndirectPing(ANN, 7)]
    nack = rig.waiting(SendNack)
    assert nack == [pytest.approx(0.8 * (QUIET.probe_period - QUIET.probe_rtt))]
    rig.fire(SendNack)
    assert rig.take_messages() == [(ANN, Nack(BOB, 7))]
    rig.receive(BOB, PingReq(ANN, 8))
    assert rig.take_messages() == [(ANN, IndirectPing(BOB, 8))]
    row, right = "IndirectAck with the right answer, to an IndirectPing of ours", answer(ANN, BOB, 8)
    assert sent(row, IndirectAck(BOB, 8, right), "ForwardedAck to the prober") == [ForwardedAck(ANN, 8, right)]
    indirect = IndirectAck(BOB, 9, answer(US, BOB, 9))
    assert sent("IndirectPing", IndirectPing(BOB, 9), "same third member and number, and the answer") == [indirect]
    assert sent("Announce, under any generation", Announce(), "Feed", dst=next_life(US)) == [Feed()]
    assert Ack(3) in sent("TurnUndead", TurnUndead(down(US), 3), "Ack", "incarnation")
    request = "SyncRequest with another digest than ours"
    assert sent(request, SyncRequest(1), "SyncParts with all members") == [SyncPart(1)]
    assert sent("SyncPart that asks", SyncPart(1), "they do not ask") == [SyncPart(0)]
    rig.learn(down(BOB))
    row = "SyncPart that lists as active who is Down here"
    assert sent(row, SyncPart(0), "does not ask", lists=alive(BOB))[-1:] == [SyncPart(0)]
    earlier, later = (f"anything else under {which} generation of ours" for which in ("an earlier", "a later"))
    assert sent(earlier, Ping(7), "Gossip", dst=MemberId(US.key, 0)) == [Gossip()]
    assert sent(later, Ping(7), "nothing", dst=next_life(US)) == []
    assert rows == {}


def number_of(member: Member) -> int:
    """As the page of the protocol says it."""
    packed = msgpack.packb([member.id.key, member.id.generation, member.incarnation, int(member.state)])
    return int.from_bytes(hashlib.blake2b(packed, digest_size=8).digest(), "big") // 2


def test_page_of_the_protocol_says_what_the_digest_is_of() -> None:
    said = " ".join(PROTOCOL.split())
    assert "each member that is active, of the sender too" in said
    assert "What others say of a member, with proof, counts, and not what the sender knows better" in said
    rig = Rig(knows=[ANN, BOB])
    rig.learn(down(CAROL))
    rig.connected.add(ANN.key)
    for held in (alive(ANN), suspect(ANN)):  # the second is not believed, as there is a connection
        rig.receive(BOB, updates=[held])
        assert rig.held(ANN) == alive(ANN)
        rig.take_messages()
        digest = number_of(alive(US)) ^ number_of(held) ^ number_of(alive(BOB))
        rig.receive(BOB, SyncRequest(digest))
        assert rig.take_messages() == []
        rig.receive(BOB, SyncRequest(digest ^ 1))
        assert rig.take_messages() == [(BOB, SyncPart(1))]


def test_page_says_what_each_message_carries() -> None:
    rows = {row[0]: (row[3], row[4]) for row in table("message", "sent when")}
    for kind in messages.Message.__args__:
        says = {True: "yes", False: "no"}
        assert rows.pop(kind.__name__) == (says[kind.updates], says[kind.items])
    assert rows == {}


def said_as(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case Periodic(frequency, members):
            return f"{frequency:g} to {members}"
        case float():
            return f"{value:.10g}"
        case _:
            return str(value)


def test_page_has_the_presets() -> None:
    presets = Config.simple(), Config.new_lan(10), Config.new_wan(10)
    for field, *cells in table("field", "simple"):
        assert cells == [said_as(getattr(preset, field)) for preset in presets], field


def test_page_has_the_numbers_of_sizes() -> None:
    lan, wan = Config.new_lan(), Config.new_wan()
    for row in table("members", "copies"):
        size, *numbers = map(float, row)
        n = int(size)
        longest = lan.shortest_suspicion(n) * lan.suspicion_max_factor
        expected = [lan.copies(n), lan.shortest_suspicion(n), longest, wan.shortest_suspicion(n), lan.sync_period(n)]
        assert numbers == pytest.approx(expected, rel=0.002)


def test_page_names_every_operation_and_nothing_else() -> None:
    said = {name for row in table("operation") for name in re.findall(r"`(\w+)`", row[0])}
    assert said == {name for name, _ in inspect.getmembers(Swim) if not name.startswith("_")}


def test_page_has_the_ranks_of_timers() -> None:
    said = {row[0]: int(row[1]) for row in table("timer", "rank")}
    repeating = effects.Repeating.__subclasses__()
    others = set(effects.Timer.__args__) - {effects.Repeating}
    assert said == {kind.__name__: kind.rank for kind in (*repeating, *others)}


def test_page_names_every_notification() -> None:
    said = {name for row in table("notification") for name in names(row[0])}
    assert said == {kind.__name__ for kind in Notification.__args__}


def test_page_names_every_error_and_whether_anything_had_changed() -> None:
    rows = {row[0]: row[2] for row in table("error")}
    errors = {name: value for name, value in vars(swim).items() if inspect.isclass(value)}
    wanted = {name: value for name, value in errors.items() if issubclass(value, SwimError) and value is not SwimError}
    assert set(rows) == set(wanted)
    for name, error in wanted.items():
        assert rows[name].startswith("yes" if error.touched else ("no", "`touched` says")), name


def test_page_names_switches_that_exist() -> None:
    known = {field.name for field in fields(Config)}
    assert {name for row in table("part", "rule") for name in re.findall(r"`(\w+)`", row[2])} <= known


def accused(incarnation: int, said: str) -> tuple[Rig, Member]:
    """A member at incarnation 3, and what is said of it as in this cell."""
    rig = Rig(knows=[ANN, BOB], proofs=Chains())
    rig.swim.apply_many([suspect(US, 2)], False, rig.now, rig.outbox)
    rig.drain()
    rig.packets.clear()
    states = {"Alive": State.ALIVE, "Suspect": State.SUSPECT, "Down": State.DOWN, "Left": State.LEFT}
    return rig, proved(Member(US, incarnation, states[said]))


OWN_ROWS = {
    "Alive": ([("Alive", 3), ("Alive", 9)], "nothing"),
    "Suspect or Down, below our incarnation": ([("Suspect", 2), ("Down", 0)], "say our incarnation again"),
    "Suspect or Down, at our incarnation or above it": (
        [("Suspect", 3), ("Down", 3), ("Suspect", 9), ("Down", 9)],
        "raise the incarnation above it",
    ),
    "Suspect or Down, at 1,024": ([("Suspect", 1_024), ("Down", 1_024)], "begin a new life"),
    "Left": ([("Left", 3)], "begin a new life"),
    "anything about another generation of our key": ([], "nothing"),
}


def reaction_to(rig: Rig, update: Member) -> str:
    """What it did when it heard this about itself."""
    rig.receive(ANN, Gossip(), updates=[update])
    if rig.swim.identity != US:
        assert rig.swim.identity == next_life(US)
        return "begin a new life"
    if rig.swim.incarnation != 3:
        assert rig.swim.incarnation == update.incarnation + 1
        return "raise the incarnation above it"
    return "say our incarnation again" if rig.take_packets() else "nothing"


def test_page_says_what_is_done_when_a_member_hears_of_itself() -> None:
    rows = {row[0]: row[1] for row in table("heard about ourselves")}
    assert rows == {row: does for row, (_, does) in OWN_ROWS.items()}
    for row, (cases, does) in OWN_ROWS.items():
        for said, incarnation in cases:
            rig, update = accused(incarnation, said)
            assert reaction_to(rig, update) == does, row
    for state in State:
        for other in (next_life(US), MemberId(US.key, 0)):
            rig, _ = accused(3, "Alive")
            assert reaction_to(rig, proved(Member(other, 5, state))) == "nothing"


def evidence(rig: Rig) -> None:
    rig.receive(ANN)
    rig.take_packets()


def verdict(rig: Rig, *, answers: bool) -> list[str]:
    """The states that Ann is held in from now on until she is no suspect; she answers what asks her, or does not."""
    seen: list[str] = []
    deciding = BeginCheck | CheckSuspect | ChangeSuspectToDown
    while True:
        for place in range(2):
            held = rig.held(ANN)
            assert held is not None
            if held.state.name.capitalize() not in seen[-1:]:
                seen.append(held.state.name.capitalize())
            for to, message in rig.take_messages() if place == 0 else ():
                if to == ANN and answers and isinstance(message, Ping | TurnUndead):
                    rig.receive(ANN, Ack(message.number))
        waiting = [timer for timer, _ in rig.timers if isinstance(timer, deciding)]
        if rig.held(ANN) != suspect(ANN) or not waiting:
            return seen
        timer = min(waiting, key=lambda timer: (rig._due[timer], timer.rank))
        rig.timers = [(other, delay) for other, delay in rig.timers if other is not timer]
        rig.now = max(rig.now, rig._due.pop(timer))
        rig.hand_back(timer)


LAN = replace(QUIET, suspicion_confirmations=2, suspect_to_down_after=8.0, suspicion_max_factor=1.0)


def heard_of_ann(said: Member, *, known: bool = True) -> Rig:
    rig = Rig(LAN, knows=[BOB, CAROL, *([ANN] if known else [])])
    if said.state is State.ALIVE:
        rig.learn(down(ANN))
    return rig


def test_page_says_what_is_held_of_a_member_that_others_accuse() -> None:
    rows = {row[0]: (row[1], row[2]) for row in table("heard of another member", "with evidence of life")}
    assert list(rows) == [
        "Suspect",
        "Down",
        "Down, and it cannot be checked",
        "Down, and nobody had named it",
        "Alive, as it was before the Down that is held",
    ]

    assert rows["Suspect"][0] == "Alive when the time is over, and with a connection at once"
    for connected in (True, False):
        rig = heard_of_ann(suspect(ANN))
        if connected:
            rig.connected.add(ANN.key)
        rig.receive(BOB, updates=[suspect(ANN)])
        assert verdict(rig, answers=True) == (["Alive"] if connected else ["Suspect", "Alive"])
    assert rows["Suspect"][1] == "checked before the time is over; Down when it is"
    rig = heard_of_ann(suspect(ANN))
    rig.receive(BOB, updates=[suspect(ANN)])
    assert verdict(rig, answers=False) == ["Suspect", "Down"]
    assert (rig.now, rig.swim.counters.checks) == (8.0, 1)

    assert rows["Down"] == ("Alive", "Suspect, checked at once; Down when the check has failed")
    rig = heard_of_ann(down(ANN))
    evidence(rig)
    rig.now += 1.0
    rig.receive(BOB, updates=[down(ANN)])
    assert verdict(rig, answers=False) == ["Alive"]
    rig = heard_of_ann(down(ANN))
    rig.receive(BOB, updates=[down(ANN)])
    assert verdict(rig, answers=False) == ["Suspect", "Down"]
    assert rig.now == LAN.probe_period

    assert rows["Down, and it cannot be checked"] == ("Alive", "Down")
    rig = heard_of_ann(down(ANN))
    rig.blocked.add(ANN.key)
    rig.receive(BOB, updates=[down(ANN)])
    assert verdict(rig, answers=False) == ["Down"]

    assert rows["Down, and nobody had named it"] == ("", "Down, and asked")
    assert rows["Alive, as it was before the Down that is held"] == ("", "Down, and asked")
    for said in (down(ANN), alive(ANN)):
        for answers in (True, False):
            rig = heard_of_ann(said, known=False)
            rig.receive(BOB, updates=[said])
            assert verdict(rig, answers=answers) == (["Down", "Alive"] if answers else ["Down"])


def test_page_says_when_a_turn_undead_is_sent_and_what_it_does() -> None:
    rows = {row[0]: row[1] for row in table("TurnUndead", "what happens")}
    assert "held Down, has left or has a later life here" in rows["is sent"]
    for held, src in ((down(ANN), ANN), (left(ANN), ANN), (alive(next_life(ANN)), ANN)):
        rig = Rig(knows=[BOB])
        rig.learn(held)
        rig.receive(src, Ping(1))
        assert rig.take_messages() == [(src, TurnUndead(held, 1))]
    heard = rows["received by a member that it is true of"]
    assert heard.startswith("heard as that update, and answered by an Ack of the number; and by an Announce")
    rig = Rig(knows=[ANN])
    rig.receive(ANN, TurnUndead(down(US, 4), 7))
    assert rig.swim.incarnation == 5
    assert [message for to, message in rig.take_messages() if to == ANN][-2:] == [Ack(7), Announce()]
    assert rows["received from a member that we hold Down"] == "the same, and a TurnUndead is sent to it"
    rig = Rig(knows=[BOB])
    rig.learn(down(ANN))
    rig.receive(ANN, TurnUndead(down(US, 4), 7))
    assert rig.swim.incarnation == 5
    sent = [message for to, message in rig.take_messages() if to == ANN]
    assert sent == [TurnUndead(down(ANN), 1), Ack(7), Announce()]
    assert "it is held Alive, even if it refutes nothing" in rows["answered by its number"]
    rig.receive(ANN, Ack(1))
    assert rig.held(ANN) == alive(ANN)


def test_page_says_what_becomes_of_a_proof() -> None:
    rows = {row[0]: row[1] for row in table("a proof is")}
    said = proved(alive(ANN, 1))
    forged = Member(ANN, 1, State.ALIVE, (), bytes(16))
    rig = Rig(knows=[ANN, BOB], proofs=Chains())
    rig.receive(BOB, updates=[said])
    assert rows.pop("right") == "applied, and passed on with the proof"
    assert (rig.held(ANN), rig.swim.updates_backlog()) == (said, 1)
    rig = Rig(knows=[ANN, BOB], proofs=Chains())
    rig.receive(BOB, updates=[forged, suspect(BOB)])
    assert "it is not applied, and `Cheated` names the sender" in rows["false"]
    assert [note.peer for note in rig.take_notes() if isinstance(note, Cheated)] == [BOB.key]
    assert rig.held(ANN) == alive(ANN)
    with pytest.raises(ForgedProofError):
        rig.receive(BOB, updates=[Member(BOB, 1, State.ALIVE, (), bytes(16))])
    assert "about the sender itself: nothing of the packet is, and `ForgedProofError`" in rows.pop("false")
    rig = Rig(knows=[BOB], proofs=Chains(unknown=[ANN]))
    rig.receive(BOB, updates=[said])
    assert "`UnknownLife` gives it back" in rows.pop("about a life whose record is not here")
    assert rig.take_notes() == [UnknownLife(said, BOB.key)]
    assert (rig.held(ANN), rig.swim.updates_backlog()) == (None, 0)
    with pytest.raises(UnknownLifeError):
        rig.receive(ANN)
    assert rows.pop("of a sender whose record is not here") == "`UnknownLifeError`"
    assert rows == {}
