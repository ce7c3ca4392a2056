"""A tracker's process is killed again and again, and its book is looked at: `kill -9` may take one second, no more."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rookery.actors.tracker import SqliteStorage
from tests.tracker.address_book.book_child import PEERS, ROUND, address, what, whose
from tests.tracker.address_book.books import NETWORK, peer

LOST = 1.0
"""Seconds that may be lost."""
Said = dict[int, float]
"""What was done, by its number, and when the tracker had said so."""


class Rounds:
    """One book that is written by one process after another."""

    def __init__(self, folder: Path) -> None:
        self.book, self.log = folder / "peers.db", folder / "said"
        self.next = 0
        self.blocked: dict[int, bool] = {}

    def run(self, lifetime: float) -> tuple[Said, float]:
        """Let a process work for so many seconds, and kill it; what it said, and when it died."""
        self.log.write_text("")
        command = [
            sys.executable,
            "-m",
            "tests.tracker.address_book.book_child",
            str(self.book),
            str(self.log),
            str(self.next),
        ]
        with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as process:
            deadline = time.monotonic() + 30
            while not self.log.stat().st_size:
                assert process.poll() is None, "the tracker did not start"
                assert time.monotonic() < deadline, "the tracker does nothing"
                time.sleep(0.01)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(lifetime)
            killed_at = time.monotonic()
            process.kill()
        assert process.returncode == -9
        said: Said = {}
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # the last one may be cut off
                number, at = json.loads(line)
                said[number] = at
        return said, killed_at

    def check(self, said: Said, killed_at: float) -> None:
        """The file is whole, lacks nothing older than a second nor any block that was answered, and invents nothing."""
        with contextlib.closing(sqlite3.connect(self.book)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        storage = SqliteStorage(self.book, network=NETWORK)
        assert storage.quarantined is None
        read = storage.read(storage.peers())
        blocks = {block.target for block in storage.head().blocks}
        storage.close()
        assert read.corrupt == ()
        unanswered = max(said, default=self.next - 1) + 1
        self.next = (self.next // ROUND + 1) * ROUND

        moves = [number for number in (*said, unanswered) if what(number) == "move"]
        for found in read.peers:
            mine = [number for number in moves if peer(f"peer {whose(number)}") == found.peer]
            sure = max((number for number in mine if said.get(number, killed_at) < killed_at - LOST), default=0)
            assert found.address in {address(number) for number in (0, *mine) if number >= sure}, (mine, sure)
        assert {found.peer for found in read.peers} == {peer(f"peer {number}") for number in range(PEERS)}

        for number in said:
            if what(number) != "move":
                self.blocked[whose(number)] = what(number) == "block"
        for which, is_blocked in self.blocked.items():
            if what(unanswered) == "move" or which != whose(unanswered):
                assert (str(peer(f"bad {which}")) in blocks) == is_blocked, (which, is_blocked)
            self.blocked[which] = str(peer(f"bad {which}")) in blocks


def kill_again_and_again(folder: Path, rounds: int) -> None:
    worked, chance = Rounds(folder), random.Random(rounds)
    old = 0
    for _ in range(rounds):
        said, killed_at = worked.run(1.0 + chance.random() * 0.6)
        worked.check(said, killed_at)
        old += sum(at < killed_at - LOST for at in said.values())
    assert old > 10 * rounds, "too little was old enough to be missed"


@pytest.mark.processes
def test_P15_book_survives_kill_and_loses_at_most_a_second(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 5)


@pytest.mark.full
@pytest.mark.processes
@pytest.mark.timeout(300)
def test_book_survives_fifty_kills(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, 50)
