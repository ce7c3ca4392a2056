"""What can be configured of discovery. Everything is off by default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...runtime.settings import MILLISECOND, Problem, Seconds, Settings, option
from .core.text_forms import HttpAddress, StaticRecord


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Where to look for peers, and where to be found. Times are in seconds."""

    records: tuple[StaticRecord, ...] = option(
        (), "Signed records of peers, as `rookery record` prints them: where they are is known, they are not trusted."
    )
    dns: tuple[HttpAddress, ...] = option(
        (), "Names that stand for many hosts, as http://NAME:PORT; PORT is the record_listen of those hosts."
    )
    lan: bool = option(False, "Find peers on the local network by mDNS, and be found. Needs the extra `lan`.")
    lan_interfaces: tuple[str, ...] = option(
        (), "Interfaces for `lan`, each by its name or its IPv4 address; by default every one the system has."
    )
    record_listen: HttpAddress | None = option(
        None, "Where to serve this node's own record, public, at /record: http://HOST:PORT."
    )
    interval: Seconds = option(60.0, "Longest time between two lookups of a source.", minimum=MILLISECOND)
    floor: Seconds = option(
        1.0,
        "Shortest time between two lookups of a source; it doubles with each lookup since the last wake.",
        minimum=MILLISECOND,
    )
    fetch_timeout: Seconds = option(2.0, "Longest time for a host's record.", minimum=MILLISECOND)
    max_hosts: int = option(64, "Hosts of one name that are asked in one lookup, drawn at random.", minimum=1)

    def check(self) -> Iterable[Problem]:
        """The rules between fields."""
        if self.interval < self.floor:
            yield Problem(("interval",), "is below floor", f"at least {self.floor:g} seconds")
        if self.lan_interfaces and not self.lan:
            yield Problem(("lan_interfaces",), "is not used without lan", "lan: true, or no interfaces")
        for index, name in enumerate(self.dns):
            if name.port == 0:
                yield Problem(("dns", index), f"{name} has no port", "from 1 to 65535")

    @property
    def meets_strangers(self) -> bool:
        """Whether anything here finds or is found by who is not named."""
        return bool(self.dns or self.lan or self.record_listen)
