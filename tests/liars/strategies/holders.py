"""Lies about who has which key: as an index member, as a holder, as an asker. For the worlds of `finding.world`.

Whatever a strategy leaves to it, such a liar keeps the index and answers as a decent member does that has no key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

from rookery.testing import NETWORK
from tests.liars import protocol
from tests.liars.liar import Liar, Strategy
from tests.liars.protocol import HAVE, HAVING, HOLDERS, PROVIDE, PROVIDED, WHO, Finding
from tests.liars.strategies.invented import invented

NAMED_AT, CLAIMED_AT = "tcp://10.98.0.1:20000", "tcp://10.98.1.1:20000"
"""Where bystanders listen: one address is only named by others, the other claimed by liars as their own."""
TTL = 7200


class Finder(Strategy):
    """Decent. wanted: hashes of keys that will be looked for. named: how many false holders each asker was told of.

    answers: that came, by who sent them. charged: honest nodes pass it over in time. frames: honest index members that
    believe it are charged for it.
    """

    charged = False
    frames = False

    def __init__(self) -> None:
        self.wanted: list[bytes] = []
        self.index: dict[bytes, dict[bytes, None]] = {}
        self.answers: Counter[bytes] = Counter()
        self.named: Counter[bytes] = Counter()
        self.numbers = count(1)

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        if what == "wanted":
            self.wanted = list(peers)

    def finds(self, liar: Liar, sender: bytes, finding: Finding) -> None:
        match finding.kind, finding.fields:
            case protocol.PROVIDE, (seconds, joined):
                self.provide(liar, sender, finding.number, seconds, joined)
            case protocol.WHO, (hashed,):
                self.who(liar, sender, finding.number, hashed)
            case protocol.HAVE, (_, joined):
                self.have(liar, sender, finding.number, len(protocol.hashes_of(joined)))
            case _:
                self.answers[sender] += 1

    def provide(self, liar: Liar, sender: bytes, number: int, seconds: int, joined: bytes) -> None:
        hashes = protocol.hashes_of(joined)
        for hashed in hashes:
            if seconds:
                self.index.setdefault(hashed, {})[sender] = None
            else:
                self.index.get(hashed, {}).pop(sender, None)
        self.tell(liar, sender, PROVIDED, number, len(hashes))

    def who(self, liar: Liar, sender: bytes, number: int, hashed: bytes) -> None:
        holders = [key for key in self.index.get(hashed, ()) if key != sender and key in liar.records]
        self.name(liar, sender, number, [liar.records[key] for key in holders])

    def have(self, liar: Liar, sender: bytes, number: int, asked: int) -> None:
        self.tell(liar, sender, HAVING, number, 0)

    # What a liar says -------------------------------------------------------------------------------------------------

    def tell(self, liar: Liar, peer: bytes, kind: int, number: int, *fields: object) -> None:
        liar.send(peer, protocol.finding(kind, number, *fields))

    def ask(self, liar: Liar, peer: bytes, kind: int, *fields: object) -> None:
        self.tell(liar, peer, kind, next(self.numbers), *fields)

    def name(
        self, liar: Liar, peer: bytes, number: int, records: Sequence[bytes], nearer: Sequence[bytes] = ()
    ) -> None:
        """As the answer to a Who."""
        holders = [[1, data] for data in records[: protocol.MAX_NAMED]]
        self.tell(liar, peer, HOLDERS, number, holders, list(nearer[: protocol.MAX_NEARER]))

    def provide_wanted(self, liar: Liar) -> None:
        """Everybody is told, as it is not known whom an asker takes for the index members."""
        for key in liar.victims if self.wanted else ():
            self.ask(liar, key, PROVIDE, TTL, b"".join(self.wanted[: protocol.MAX_PROVIDED]))

    def claim_address(self, liar: Liar) -> None:
        """Go on under a record with the address of a bystander."""
        liar.renew(liar.generation + 1, CLAIMED_AT)
        liar.gossip([liar.me], liar.victims)


# Index members --------------------------------------------------------------------------------------------------------


class DeniesHolders(Finder):
    """Takes everything that it is told, and names nobody."""

    def who(self, liar: Liar, sender: bytes, number: int, hashed: bytes) -> None:
        self.name(liar, sender, number, [])


class NeverSays(Finder):
    """Answers nothing that is said of keys."""

    def finds(self, liar: Liar, sender: bytes, finding: Finding) -> None:
        """Nothing."""


class NamesWhoHasNothing(Finder):
    """Names honest members that have not said that they have the key."""

    charged = True

    def who(self, liar: Liar, sender: bytes, number: int, hashed: bytes) -> None:
        true = self.index.get(hashed, {})
        false = [key for key in liar.some(protocol.MAX_NAMED) if key != sender and key not in true]
        self.named[sender] += len(false)
        self.name(liar, sender, number, [liar.records[key] for key in false])


class NamesTheInvented(Finder):
    """Names a bystander's address: under keys of nobody, and under those of honest members in forged records."""

    def who(self, liar: Liar, sender: bytes, number: int, hashed: bytes) -> None:
        nobody = [
            protocol.record(invented(liar, each), NETWORK, NAMED_AT, liar.generation)
            for each in range(protocol.MAX_NAMED // 2)
        ]
        forged = [
            protocol.forged(liar.records[key], address=NAMED_AT, generation=liar.known[key].generation + 1)
            for key in liar.some(protocol.MAX_NAMED // 2)
        ]
        self.name(liar, sender, number, nobody + forged, [*nobody[:1], *forged[:2]])


class LeadsAstray(Finder):
    """Names the other liars as those that are nearer."""

    def who(self, liar: Liar, sender: bytes, number: int, hashed: bytes) -> None:
        others = [data for key, data in liar.records.items() if key in liar.gang.keys]
        self.name(liar, sender, number, [], liar.rng.sample(others, min(len(others), protocol.MAX_NEARER)))


class Eclipses(DeniesHolders):
    """Has three keys that follow that of a file nearer than all others do, each of a subnet of its own."""

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        super().event(liar, what, peers)
        if what == "wanted":
            hashed = peers[int(liar.name.removeprefix("liar")) % len(peers)]
            nearest = min(protocol.behind(hashed, protocol.place_of(key)) for key in liar.victims)
            subnet = int(liar.ip.split(".")[2])
            for number, name in enumerate(_names_before(liar, hashed, nearest)):
                helper = liar.helper(name, f"10.67.{3 * subnet + number}.1", DeniesHolders())
                helper.start([(key, liar.addresses[key]) for key in liar.victims])


def _names_before(liar: Liar, hashed: bytes, nearest: int) -> list[str]:
    """Names of three helpers whose keys stand between a hash and whoever is that far behind it."""
    found: list[str] = []
    for number in count():
        name = f"eclipse{number}"
        place = protocol.place_of(bytes(liar.identity_of(name).peer))
        if protocol.behind(hashed, place) < nearest:
            found.append(name)
            if len(found) == 3:
                return found
    raise AssertionError("numbers do not end")


# Holders --------------------------------------------------------------------------------------------------------------


class SaysYes(Finder):
    """Provides what will be looked for, says that it has whatever it is asked for, and answers no request for it."""

    every = 10.0

    def tick(self, liar: Liar) -> None:
        self.provide_wanted(liar)

    def have(self, liar: Liar, sender: bytes, number: int, asked: int) -> None:
        self.tell(liar, sender, HAVING, number, 2**asked - 1)

    def message(self, liar: Liar, sender: bytes, channel: int, message: list[object]) -> bool:
        return channel == protocol.BLOBS


class SaysYesAndHasNothing(SaysYes):
    """The same, and says at each request that it has not got it."""

    def message(self, liar: Liar, sender: bytes, channel: int, message: list[object]) -> bool:
        return False


class SaysYesAndServesRubbish(SaysYes):
    """The same, and sends another value than was asked for. served: to whom."""

    def __init__(self) -> None:
        super().__init__()
        self.served: set[bytes] = set()

    def message(self, liar: Liar, sender: bytes, channel: int, message: list[object]) -> bool:
        if channel == protocol.BLOBS and message[0] == protocol.REQUEST:
            self.served.add(sender)
            liar.on_connection(sender, protocol.on_channel(channel, [protocol.RESPONSE, message[1], b"rubbish"]))
        return channel == protocol.BLOBS


class SaysYesFromElsewhere(SaysYes):
    """The same until it is looked for, and then goes on under a record that has the address of a bystander."""

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        super().event(liar, what, peers)
        if what == "wanted":
            liar.later(2.0, lambda: self.provide_wanted(liar))
            liar.later(10.0, lambda: self.claim_address(liar))


class ProvidesAndDenies(Finder):
    """Provides what will be looked for, and says that it has not got it: so those that name it were wrong."""

    every = 10.0
    frames = True

    def tick(self, liar: Liar) -> None:
        self.provide_wanted(liar)


class ProvidesTooMuch(Finder):
    """Provides keys without end, 512 at a time and more often than anybody takes it: one victim after the other."""

    every = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.turns = 10

    def tick(self, liar: Liar) -> None:
        self.turns -= 1
        if self.turns >= 0:
            whom = liar.victims[self.turns % len(liar.victims)]
            for _ in range(70):
                self.ask(liar, whom, PROVIDE, TTL, liar.rng.randbytes(16 * protocol.MAX_PROVIDED))


# Askers ---------------------------------------------------------------------------------------------------------------


class FloodsQuestions(Finder):
    """Asks one victim after the other whether it has keys, and who has them, more than anybody answers."""

    every = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.turns = 40

    def tick(self, liar: Liar) -> None:
        self.turns -= 1
        if self.turns < 0 or not self.wanted:
            return
        whom = liar.victims[self.turns // 10 % len(liar.victims)]
        for _ in range(45):
            self.ask(liar, whom, HAVE, 0, b"".join(self.wanted[: protocol.MAX_ASKED]))
        for _ in range(25):
            self.ask(liar, whom, WHO, self.wanted[0])


class AsksToBeDialled(Finder):
    """Says that it cannot dial, and asks all holders to dial it at the address of a bystander; so do its helpers."""

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        super().event(liar, what, peers)
        if what == "wanted":
            self.claim_address(liar)
            for number in range(3):
                helper = liar.helper(f"asks{number}", liar.ip, _AsksToBeDialled(self.wanted))
                helper.start([(key, liar.addresses[key]) for key in liar.victims])

    def tick(self, liar: Liar) -> None:
        for key in liar.victims if self.wanted else ():
            self.ask(liar, key, HAVE, 1, b"".join(self.wanted[: protocol.MAX_ASKED]))


class _AsksToBeDialled(AsksToBeDialled):
    """One that has no helpers."""

    def __init__(self, wanted: Sequence[bytes]) -> None:
        super().__init__()
        self.wanted = list(wanted)

    def begin(self, liar: Liar) -> None:
        self.claim_address(liar)

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        """It was told what is wanted."""


class TakesPlaces(Finder):
    """Takes the places for fetches of all others, with four keys of four subnets, as often as they let it."""

    every = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.takers: list[Liar] = []

    def event(self, liar: Liar, what: str, peers: Sequence[bytes]) -> None:
        super().event(liar, what, peers)
        subnet = 4 * int(liar.ip.split(".")[2])
        for number in range(4) if what == "wanted" else ():
            taker = liar.helper(f"takes{number}", f"10.68.{subnet + number}.1", _TakesPlaces())
            taker.start([(key, liar.addresses[key]) for key in liar.victims])
            self.takers.append(taker)

    def tick(self, liar: Liar) -> None:
        for taker in self.takers:
            for key in taker.victims:
                taker.connect(key)


class _TakesPlaces(Finder):
    short_lived = True


# What was true --------------------------------------------------------------------------------------------------------


class RepeatsOthers(Finder):
    """Says again, as if it were its own, what others have said of keys; and answers what nobody has asked it."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Finding] = []

    def finds(self, liar: Liar, sender: bytes, finding: Finding) -> None:
        self.heard = [*self.heard[-99:], finding]
        super().finds(liar, sender, finding)
        if finding.kind in (WHO, HAVE):
            soon: Callable[[], object] = partial(self._guess, liar, sender, finding.number)
            liar.later(0.2, soon)

    def _guess(self, liar: Liar, sender: bytes, number: int) -> None:
        """To the questions that it will ask others."""
        for each in range(number, number + 6):
            self.tell(liar, sender, HAVING, each % 2**32, 1)
            self.name(liar, sender, each % 2**32, [])

    def tick(self, liar: Liar) -> None:
        for finding in liar.rng.sample(self.heard, min(len(self.heard), 10)):
            for key in liar.some(2):
                self.tell(liar, key, finding.kind, finding.number, *finding.fields)
        for key in liar.some(2) if self.wanted else ():
            self.ask(liar, key, PROVIDE, 0, b"".join(self.wanted[: protocol.MAX_PROVIDED]))
