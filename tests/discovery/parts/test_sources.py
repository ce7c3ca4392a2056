"""A name in the DNS that stands for many hosts."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from rookery.actors.discovery import HttpAddress
from rookery.actors.discovery.parts import sources
from rookery.actors.discovery.parts.record_client import RecordClient
from rookery.actors.discovery.parts.sources import Dns, addresses_of
from rookery.transport import DecodeError, PeerRecord

NAME = HttpAddress("peers.example", 7080)
HOSTS = [f"10.0.0.{number}" for number in range(1, 101)]


MakeDns = Callable[..., Dns]


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch) -> MakeDns:
    """Makes the source of a name with these hosts, of which some answer."""

    def make(hosts: list[str], answers: Mapping[str, bytes | Exception], *, max_hosts: int = 64) -> Dns:
        def fetch(_client: object, host: str, port: int, timeout: float) -> bytes:
            assert (port, timeout) == (7080, 2.0)
            answer = answers.get(host, ConnectionRefusedError("refused"))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(sources, "addresses_of", lambda _name, _port: hosts)
        monkeypatch.setattr(RecordClient, "fetch", fetch)
        return Dns(NAME, max_hosts=max_hosts, fetch_timeout=2.0, rng=random.Random(1))

    return make


def test_name_gives_the_record_of_each_of_its_hosts(dns: MakeDns, known_record: PeerRecord) -> None:
    result = dns(HOSTS[:3], {HOSTS[0]: b"a", HOSTS[1]: b"b", HOSTS[2]: b"c"}).lookup(known_record)
    assert sorted(result.records) == [b"a", b"b", b"c"]
    assert result.failures == ()


def test_hosts_that_fail_are_named_and_the_others_still_asked(dns: MakeDns, known_record: PeerRecord) -> None:
    result = dns(HOSTS[:3], {HOSTS[0]: TimeoutError("late"), HOSTS[2]: DecodeError("not HTTP")}).lookup(known_record)
    assert result.records == ()
    assert sorted(result.failures) == ["10.0.0.1: late", "10.0.0.2: refused", "10.0.0.3: not HTTP"]


def test_name_without_hosts_is_normal(dns: MakeDns, known_record: PeerRecord) -> None:
    result = dns([], {}).lookup(known_record)
    assert (result.records, result.failures) == ((), ())


def test_lookup_asks_at_most_so_many_hosts_and_other_lookups_ask_others(dns: MakeDns, known_record: PeerRecord) -> None:
    source = dns(HOSTS, {host: host.encode() for host in HOSTS}, max_hosts=10)
    first, second = (set(source.lookup(known_record).records) for _ in range(2))
    assert len(first) == len(second) == 10
    assert first != second


def test_closed_source_asks_nobody(dns: MakeDns, known_record: PeerRecord) -> None:
    source = dns(HOSTS, {})
    source.close()
    assert source.lookup(known_record).failures == ()


def test_dns_that_does_not_answer_is_an_error_and_a_name_that_is_not_there_is_not(monkeypatch: Any) -> None:
    def fail(code: int) -> Any:
        def getaddrinfo(*_arguments: Any, **_options: Any) -> Any:
            raise socket.gaierror(code, "says the test")

        return getaddrinfo

    monkeypatch.setattr(socket, "getaddrinfo", fail(socket.EAI_NONAME))
    assert addresses_of("peers.example", 1) == []
    monkeypatch.setattr(socket, "getaddrinfo", fail(socket.EAI_AGAIN))
    with pytest.raises(OSError, match="says the test"):
        addresses_of("peers.example", 1)


def test_numeric_name_resolves_to_itself() -> None:
    assert addresses_of("127.0.0.1", 7080) == ["127.0.0.1"]
