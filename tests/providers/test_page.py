"""docs/providers.md says the numbers that are in force."""

from __future__ import annotations

from pathlib import Path

import pytest

from rookery.actors.providers import Config, Progress, Result
from rookery.actors.providers.core import announcing, codec, index, ring
from rookery.actors.providers.core.search import charges, inquiries, lookup, next_lookup, searches, sweep
from rookery.actors.providers.parts import answering

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "providers.md").read_text().split())


@pytest.mark.parametrize(
    ("said", "limit"),
    [
        ("of the next 32 members the first of each of three subnets", (ring.WINDOW, ring.COPIES) == (32, 3)),
        ("the first 16 bytes of SHA-256 of `rookery-key-1`", (ring.HASH_BYTES, ring._KEY) == (16, b"rookery-key-1\0")),
        ("They keep it for two hours", Config().ttl == 7200),
        ("half of the two hours are over, give or take a tenth", announcing._REFRESH == (0.4, 0.6)),
        ("Each names up to 16 holders", codec.MAX_NAMED == 16),
        (
            "within 1.5 s, a **sweep** asks members in random order, 64 a second",
            (lookup.PATIENCE, sweep.RATE) == (1.5, 64),
        ),
        ("It waits a second longer where holders that were named", lookup.MORE_PATIENCE == lookup.PATIENCE + 1),
        ("after 2 and 4 s; 8 s later the member counts as silent", announcing.WAITS == (2, 4, 8)),
        ("after 1 and 1.5 s; given up 2.5 s later", inquiries.WAITS == (1, 1.5, 2.5)),
        ("at most 512 hashes (8 KiB), a Have at most 32", (announcing.MAX_BATCH, codec.MAX_ASKED) == (512, 32)),
        (
            "at most once a second, 8 at once, and one a minute for each asker",
            (answering.DIALS, answering.DIALS_OF_ONE) == ((1, 8), (1 / 60, 1)),
        ),
        ("one token bucket, 32 packets a second", Config().rate == 32),
        ("in slices of 1,500 keys", announcing._LOOK == 1500),
        ("50 ms later", announcing.BATCH_DELAY == 0.05),
        ("2 s after the last change, 10 s after the first", (announcing.SETTLE, announcing.MAX_SETTLE) == (2, 10)),
        ("it is tried again after a minute", announcing.TRY_AGAIN == 60),
        (
            "100,000 keys of one provider and 500,000 in all",
            (Config().max_keys_per_provider, Config().max_keys) == (100_000, 500_000),
        ),
        ("64 holders of a key are kept", index.MAX_HOLDERS == 64),
        ("at most three rounds and twelve members", (lookup.MAX_ROUNDS, lookup.MAX_MEMBERS) == (3, 12)),
        ("eight are asked at a time", lookup.CHECKS_AT_ONCE == 8),
        ("until three have said yes", searches.ENOUGH == 3),
        ("over 2.5 s after it began though somebody said yes", lookup.MORE_PATIENCE == 2.5),
        ("remembers for five minutes who has said yes", (next_lookup.REMEMBERED, next_lookup.MAX_TRIED) == (300, 256)),
        ("told of 1,000 holders a second, 16,384 at once", answering.NAMES == (1000, 16384)),
        ("At most 1,024 keys are looked for at once", Config().max_searches == 1024),
        ("16 lists more are made", searches.LISTS == 16),
        ("to be asked for at all (32 at once)", searches.AT_ONCE == 32),
        (
            "Of the sweep's 32 places 4 are kept for lists, and 4 more for new keys",
            list(sweep.PLACES.values()) == [32, 28, 24] and sweep.MAX_KEYS == 32,
        ),
        ("at most 48 holders of a key", lookup.MAX_CHECKS == searches.ENOUGH_TO_LIST == 48),
        ("every member was asked, or 4,096, or after 60 s", (sweep.MAX_MEMBERS, sweep.TIMEOUT) == (4096, 60)),
        ("again after 5, 10, 20 s and so on up to a minute", (next_lookup.LOOK_AGAIN, next_lookup.LONGEST) == (5, 60)),
        (
            "after a minute, 2, 4 and so on up to 16",
            (next_lookup.SWEEP_AGAIN, next_lookup.LONGEST_SWEEP) == (60, 960),
        ),
        ("wrong 8 times more often than right within ten minutes", (charges.MARGIN, charges.PASSED_OVER) == (8, 600)),
        (
            "20 Provides, 50 Whos or 128 Haves a second of one sender (64, 200 and 256 at once)",
            list(answering.LIMITS.values()) == [(20, 64), (50, 200), (128, 256)],
        ),
    ],
)
def test_page_says_the_number_in_force(said: str, limit: bool) -> None:
    assert said in PAGE
    assert limit


@pytest.mark.parametrize(
    "progress",
    [
        Progress("looking"),
        Progress("connecting", 2, 0),
        Progress("fetching", 2, 1),
        Progress("waiting", 0, 0, Result((), 3, 3, 120, 120, 120)),
    ],
)
def test_page_shows_each_state_of_a_search_in_its_words(progress: Progress) -> None:
    assert f"| {progress.stage} |" in PAGE
    assert f"| {progress} |" in PAGE
