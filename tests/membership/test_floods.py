"""What one sender may have this node do, and that no honest member ever meets it."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rookery.actors import membership
from rookery.actors.membership import MemberDown, MemberFloods, MemberUpdated
from rookery.actors.membership.core import sender_limits
from rookery.actors.membership.core.envelope import Envelope, kinds_of
from rookery.actors.membership.core.sender_limits import FLOOD, LIVES, TAG_CHANGES, SenderLimits, packet_limits
from rookery.actors.membership.swim import Config
from rookery.actors.membership.swim.codec import decode_packet, encode_header
from rookery.actors.membership.swim.messages import Ack, Header, Message, Ping, SyncRequest
from rookery.testing import Peers
from rookery.transport import Reason
from rookery.transport import mailbox as transport
from rookery.transport.record import PeerRecord

from .nodes import Cluster
from .worlds import Gossip, Member, State, World

LAN = Config.new_lan()
LIMITS = packet_limits(LAN)


def over_limit(world: World, kind: str) -> float:
    return world.metric("over_limit_total", kind)


def kinds() -> list[type[Message]]:
    return [kind for union in Message.__args__ for kind in getattr(union, "__args__", (union,))]


# The limits ----------------------------------------------------------------------------------------------------------


def test_every_kind_of_message_has_a_limit() -> None:
    assert {kind.__name__ for kind in kinds()} | {"wanted", "records", "other"} == set(LIMITS)


def test_kind_is_that_of_the_swim_packet_and_of_what_is_beside_it() -> None:
    world = Peers()
    record = world.record("bob", "tcp://10.0.0.1:7000", generation=1)
    me = membership.swim.MemberId(record.peer, 1)
    ping = encode_header(Header(me, 0, me, Ping(7)))
    assert kinds_of(Envelope(ping, (record.encode(),))) == ["Ping"]
    assert kinds_of(Envelope(ping, (), (record.peer,))) == ["Ping", "wanted"]
    assert kinds_of(Envelope(b"", (record.encode(),))) == ["records"]
    assert kinds_of(Envelope()) == ["records"]
    assert kinds_of(Envelope(b"nonsense")) == ["other"]


def test_limits_follow_the_periods_of_the_protocol() -> None:
    slow = packet_limits(replace(LAN, probe_period=4.0, probe_rtt=1.0))
    assert slow["Ping"][0] == LIMITS["Ping"][0] / 4
    assert packet_limits(Config.simple())["Gossip"][0] > 0
    assert packet_limits(Config.new_wan())["SyncRequest"][0] == LIMITS["SyncRequest"][0] / 2


def test_sender_uses_up_only_its_own_limit_and_gets_it_back() -> None:
    limits = SenderLimits(LAN)
    one, other = (identity.peer for identity in map(Peers().identity, ("bob", "carol")))
    rate, burst = LIMITS["Ping"]
    assert [limits.exceeded(one, ["Ping"], 0) for _ in range(burst + 1)][burst - 1 :] == [None, "Ping"]
    assert limits.exceeded(other, ["Ping"], 0) is None
    assert limits.exceeded(one, ["Gossip"], 0) is None
    assert limits.exceeded(one, ["Ping"], 1 / rate + 0.001) is None


# In the engine -------------------------------------------------------------------------------------------------------


def test_pings_over_the_limit_are_neither_answered_nor_passed_to_swim_but_counted(world: World) -> None:
    world.join().meet("bob")
    for number in range(200):
        world.packet("bob", Ping(number))
    burst = LIMITS["Ping"][1]
    assert len(world.said("bob", Ack)) == burst
    assert over_limit(world, "Ping") == 200 - burst
    world.packet("bob", SyncRequest(0))  # another kind
    assert over_limit(world, "SyncRequest") == 0


def test_requests_for_records_over_the_limit_are_not_answered(world: World) -> None:
    world.join().meet("bob", "carol")
    before = len(world.sent("bob"))
    for _ in range(150):
        world.packet("bob", wanted=["carol"])
    assert len(world.sent("bob")) - before == LIMITS["wanted"][1]
    assert over_limit(world, "wanted") == 150 - LIMITS["wanted"][1]


def test_packets_that_cannot_be_read_have_a_limit_too(world: World) -> None:
    for _ in range(50):
        world.join().deliver("bob", b"nonsense")
    assert over_limit(world, "other") == 50 - LIMITS["other"][1]


def lines(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    return [record.__dict__["fields"] for record in caplog.records if record.getMessage() == event]


def forged(world: World, name: str, count: int) -> None:
    """Bring so many records of one's own that are not signed."""
    for number in range(count):
        record = replace(world.record(name, 2 + number), signature=bytes(64))
        world.packet(name, Gossip() if number % 2 else None, records=[record])


def test_log_lines_of_one_peer_are_limited_counted_and_told_in_one_and_hide_nobody_elses(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.join().meet("bob", "carol")
    with caplog.at_level(logging.INFO, "rookery"):
        forged(world, "bob", 100)
        assert world.metric("records_total", "refused") == 100
        bob = [each for each in lines(caplog, "record refused") if each["peer"] == world.peer("bob").short]
        assert len(bob) == 64
        assert world.metric("log_lines_left_out_total") == 36
        forged(world, "carol", 1)
        assert len(lines(caplog, "record refused")) == 65
        world.packet("bob", Gossip(), Member(world.id("carol"), 5, State.DOWN, (), bytes(16)))
        assert [each["peer"] for each in lines(caplog, "member cheats")] == [world.peer("bob").short]
        world.simulation.run(for_=11)
        told = lines(caplog, "log lines left out")
        assert told == [{"lines": 36, "most_of": world.peer("bob").short, "of_it": 36}]


def test_changes_of_members_have_lines_of_their_own(
    simulation: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sender_limits, "LIVES", (1.0, 100))  # or one member would not have so many
    world = World(simulation)
    world.join().meet("bob")
    with caplog.at_level(logging.INFO, "rookery"):
        for generation in range(2, 102):
            world.packet("bob", Gossip(), generation=generation, records=[world.record("bob", generation)])
        changes = lines(caplog, "member")
        assert {each["change"] for each in changes} == {"MemberUpdated"}
        assert len(changes) == 63  # one was before: it is up
        forged(world, "bob", 1)
        assert len(lines(caplog, "record refused")) == 1


def test_line_that_others_can_cause_goes_through_the_limit() -> None:
    """What is written directly is here by name."""
    root = Path(membership.__file__).parent
    written = re.compile(r"\blog\.(?:info|warning|error)\(\s*(\"[^\"]*\"|\w+)")
    found = {
        f"{path.name}: {match.group(1).strip(chr(34))}"
        for path in (*root.glob("*.py"), *(root / "parts").glob("*.py"))
        for match in written.finditer(path.read_text())
    }
    assert found == {
        "engine.py: no address to be dialled at, so not a member; set transport.advertise",
        "engine.py: taking part",
        "engine.py: isolated: no member answers but perhaps seeds",  # once until it is over
        "engine.py: not isolated any more",
        "renewals.py: this life is over, going on under a new generation",  # six a minute
        "renewals.py: no record of the new generation, trying again",
        "events.py: another process seems to run with this node's key",  # once a minute
        "events.py: left the cluster",
        "persistence.py: NOT_LOADED",
        "persistence.py: members remembered",
        "persistence.py: members not saved",
        "tracker_feed.py: peer set not tracked, trying again",
        "tracker_feed.py: peer set not tracked",
    }


def test_member_that_keeps_on_is_reported_and_closed_once_a_minute(world: World) -> None:
    closes: list[transport.Close] = []
    world.net.control.answer(transport.Close, closes.append)
    world.join().meet("bob", "carol")
    for number in range(LIMITS["Ping"][1] + FLOOD - 1):
        world.packet("bob", Ping(number))
    assert closes == []
    for number in range(50):
        world.packet("bob", Ping(number))
    assert closes == [transport.Close(world.peer("bob"), Reason.FLOODING)]
    assert [event for event in world.heard() if isinstance(event, MemberFloods)] == [
        MemberFloods(world.peer("bob"), "Ping")
    ]
    world.simulation.run(for_=61)
    for number in range(LIMITS["Ping"][1] + FLOOD):
        world.packet("bob", Ping(number))
    assert len(closes) == 2


def test_genuine_records_that_one_sender_floods_with_are_checked_at_its_pace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    verify = PeerRecord.verify

    def counted(record: PeerRecord, **arguments: Any) -> bool:
        checked.extend([record.peer.short] if record.peer != world.peer("bob") else [])
        return verify(record, **arguments)

    world.join().meet("bob", "carol")
    names = [f"peer {number}" for number in range(31)]
    world.introduce("carol", *names[:20])
    monkeypatch.setattr(PeerRecord, "verify", counted)
    for generation in range(2, 7):  # twenty members, again and again in a new life
        newer = [world.record(name, generation) for name in names[:20]]
        world.packet("bob", records=[world.record("bob", generation), *newer])
    for generation in range(7, 17):
        newer = [world.record(name, generation) for name in names[:20]]
        world.packet("bob", records=[world.record("bob"), *newer])
    assert 100 < len(checked) <= 128
    assert world.metric("records_total", "over_limit") > 100
    world.packet("carol", Gossip(), Member(world.id("dave")), records=[world.record("carol"), world.record("dave")])
    assert world.peer("dave") in world.visible()  # another sender has its own


@pytest.mark.parametrize("seed", range(3))
def test_honest_members_never_meet_a_limit(seed: int) -> None:
    """While they join, lose packets, crash, restart, leave and come back."""
    cluster = Cluster(f"honest {seed}", membership.Config())
    names = [f"node {number}" for number in range(16)]
    everybody = cluster.start_joined(names)
    first = everybody[0]
    counted = list(everybody)
    cluster.run(30)
    crashed = cluster.nodes["node 5"]
    cluster.crash(crashed)
    cluster.run(20)
    back = cluster.start("node 5", ip=crashed.ip)
    back.join(first)
    leaving = cluster.nodes["node 7"]
    leaving.mailbox.leave().get(timeout=5)
    cluster.run(5)
    leaving.join(first)
    for number in range(8):
        late = cluster.start(f"late {number}")
        late.join(first)
        counted.append(late)
    cluster.run(40)
    for node in (*counted, back):
        if node is not crashed:
            over = {kind: node.counted("over_limit_total", kind) for kind in LIMITS}
            assert not any(over.values()), (node.name, over)
            assert node.counted("records_total", "over_limit") == 0
            assert node.counted("records_total", "too_many_lives") == 0
            assert node.counted("newcomers_total", "too_many") == 0
            assert node.heard(MemberFloods) == []


# Lives ----------------------------------------------------------------------------------------------------------------


def life_of(world: World, name: str) -> int:
    """The generation under which the others may see a member."""
    infos = {info.peer: info.record.generation for info in world.members.members().get(timeout=1).others}
    return infos[world.peer(name)]


def told(world: World, of: str, to: str) -> set[int]:
    """The lives of a member of which another was told."""
    packets = (decode_packet(envelope.swim) for envelope in world.sent(to) if envelope.swim)
    updates = (update.id for packet in packets for update in packet.updates)
    return {identity.generation for identity in updates if identity.key == world.peer(of)}


def begin_lives(world: World, *lives: int, teller: str = "mal") -> None:
    """Thirty a second, each told of with its record."""
    for life in lives:
        if teller == "mal":
            world.packet("mal", Gossip(), generation=life)
        else:
            records = [world.record(teller), world.record("mal", life)]
            world.packet(teller, Gossip(), Member(world.id("mal", life)), records=records)
        world.simulation.run(for_=1 / 30)


@pytest.mark.parametrize("teller", ["mal", "carol"])
def test_of_lives_that_follow_each_other_thirty_times_a_second_few_are_taken_in_and_passed_on(
    world: World, teller: str
) -> None:
    world.join().meet("bob", "carol", "mal")
    begin_lives(world, *range(2, 92), teller=teller)
    changes = [each for each in world.heard() if isinstance(each, MemberUpdated | MemberDown)]
    assert len(changes) == 16 + 1
    assert world.metric("records_total", "too_many_lives") >= 73
    assert len(told(world, "mal", "bob")) <= 16 + 1
    assert world.peer("mal") in world.visible()


def test_last_of_too_many_lives_is_taken_in_when_the_member_speaks_again(world: World) -> None:
    world.join().meet("bob", "mal")
    begin_lives(world, *range(2, 92))
    assert life_of(world, "mal") < 91
    before, dropped = len(world.sent("mal")), world.dropped("too_many_lives")
    world.packet("mal", Gossip(), generation=91, records=[])
    assert world.dropped("too_many_lives") > dropped
    assert len(world.sent("mal")) == before, "it is asked for nothing now"
    world.simulation.run(for_=2)
    world.packet("mal", Gossip(), generation=91, records=[])
    assert world.sent("mal")[-1].wanted == (world.peer("mal"),)
    world.meet("dave").packet("mal", Gossip(), generation=91)
    assert life_of(world, "mal") == 91
    world.simulation.run(for_=1)
    assert 91 in told(world, "mal", "dave")


def test_last_of_too_many_lives_that_others_told_of_waits_for_its_record_and_comes_with_it(world: World) -> None:
    world.join().meet("bob", "carol", "mal")
    begin_lives(world, *range(2, 92), teller="carol")
    assert life_of(world, "mal") < 91
    world.simulation.run(for_=2)
    assert world.sent("carol")[-1].wanted == (world.peer("mal"),)
    world.packet("carol", records=[world.record("mal", 91)])
    assert life_of(world, "mal") == 91


def test_member_whose_life_waits_is_no_suspect_as_its_packets_show_that_it_is_there(world: World) -> None:
    world.join().meet("bob", "mal")
    for life in range(2, 302):
        world.packet("mal", Gossip(), generation=life)
        world.packet("bob", Gossip())
        world.simulation.run(for_=0.1)
    assert world.dropped("too_many_lives") > 200
    assert not [each for each in world.heard() if isinstance(each, MemberDown)]


def test_who_tells_of_earlier_lives_of_a_member_or_forges_later_ones_takes_nothing_of_its_own_word(
    world: World,
) -> None:
    world.join().meet("bob", "carol", "mal")
    begin_lives(world, *range(2, 92), teller="carol")
    begin_lives(world, 500)
    assert life_of(world, "mal") == 500
    for life in range(600, 630):
        world.packet("carol", Gossip(), records=[replace(world.record("mal", life), signature=bytes(64))])
    world.simulation.run(for_=10)
    begin_lives(world, 700, teller="bob")
    assert life_of(world, "mal") == 700


def test_honest_member_begins_no_more_lives_than_others_take_in() -> None:
    """Renewals, tags that change all the time and a restart every five seconds, each with tags of its own."""
    (rate, burst), (tags, tags_at_once) = LIVES, TAG_CHANGES
    renewals = LAN.max_rejoins_per_minute
    assert tags_at_once + renewals + 2 <= burst
    assert tags + renewals / 60 <= rate
    assert rate >= 2 / 5
