"""What can be configured about the choice of connections."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime.settings import Seconds, Settings, option


@dataclass(frozen=True, slots=True)
class Config(Settings):
    """Settings of the connections actor."""

    close_timeout: Seconds = option(
        5.0, "Longest time a trim waits for the connections it closes; those left are in its report.", above=0.0
    )
