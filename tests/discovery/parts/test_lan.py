"""mDNS: what is published where, what may be heard, and two nodes that find each other."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rookery.actors.discovery import NoZeroconf
from rookery.actors.discovery.parts.lan import Lan, joined, pieces
from rookery.testing import Peers
from rookery.transport import Address, PeerRecord

zeroconf = pytest.importorskip("zeroconf")


class Air:
    """Stands for `zeroconf.Zeroconf`: remembers what was published."""

    def __init__(self, *, interfaces: list[str], **_options: Any) -> None:
        self.interfaces = interfaces
        self.services: list[Any] = []
        self.closed = False

    def register_service(self, service: Any, **_options: Any) -> None:
        self.services.append(service)

    update_service = register_service

    def get_service_info(self, _kind: str, name: str, _timeout: int) -> Any:
        return next((service for service in self.services if service.name == name), None)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def lan(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Lan, list[Air]]]:
    """Makes a `Lan` of a machine with the interfaces lo and eth0, and the airs it opens."""

    def make(*interfaces: str) -> tuple[Lan, list[Air]]:
        made, airs = Lan(interfaces), list[Air]()

        def air(**options: Any) -> Air:
            airs.append(Air(**options))
            return airs[-1]

        monkeypatch.setattr(zeroconf, "Zeroconf", air)
        monkeypatch.setattr(zeroconf, "ServiceBrowser", lambda *_arguments, **_options: None)
        monkeypatch.setattr(made, "_adapters", lambda: [adapter("lo", "127.0.0.1"), adapter("eth0", "192.0.2.1")])
        return made, airs

    return make


def adapter(name: str, ip: str) -> Any:
    return SimpleNamespace(name=name, ips=[SimpleNamespace(ip=ip, is_IPv4=True)])


def record(address: str | None = "tcp://192.0.2.1:7000", generation: int = 1) -> PeerRecord:
    where = None if address is None else Address.parse(address)
    return PeerRecord.sign(Peers().identity("alice"), network="test", address=where, generation=generation)


def test_record_of_any_size_survives_the_cutting_into_txt_values() -> None:
    identity = Peers().identity("alice")
    for size in (0, 100, 512):
        one = PeerRecord.sign(identity, network="n" * 64, address=None, generation=2**64 - 1, metadata=bytes(size))
        values = pieces(one.encode())
        assert max(map(len, values.values())) + 2 <= 255
        assert joined({key.encode(): value for key, value in values.items()}) == one.encode()


@given(st.dictionaries(st.binary(max_size=4) | st.sampled_from([b"0", b"1"]), st.none() | st.binary(max_size=255)))
def test_any_txt_values_are_joined_to_bytes_within_the_bound(properties: dict[bytes, bytes | None]) -> None:
    assert len(joined(properties)) <= 5 * 255


def test_lan_publishes_the_signed_record_once_and_again_when_it_is_another(lan: Any) -> None:
    here, airs = lan("eth0")
    here.lookup(record())
    here.lookup(record())
    here.lookup(record(generation=2))
    (air,) = airs
    assert air.interfaces == ["192.0.2.1"]
    assert [joined(service.properties) for service in air.services] == [
        record().encode(),
        record(generation=2).encode(),
    ]


def test_names_on_the_lan_fit_into_labels_whatever_the_host_is_called(
    lan: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 64)
    here, airs = lan()
    here.lookup(record())
    (service,) = airs[0].services
    assert max(len(label) for name in (service.name, service.server) for label in name.split(".")) <= 63


def test_lan_speaks_on_every_interface_but_loopback_unless_told(lan: Any) -> None:
    here, airs = lan()
    here.lookup(record())
    assert airs[0].interfaces == ["192.0.2.1"]


@pytest.mark.parametrize("address", [None, "tcp://127.0.0.1:7000"])
def test_address_that_nobody_there_could_dial_is_not_published_and_said_so(lan: Any, address: str | None) -> None:
    here, airs = lan()
    result = here.lookup(record(address))
    assert airs[0].services == []
    assert "no address that others" in result.failures[0]


def test_loopback_address_is_published_where_only_loopback_is_spoken(lan: Any) -> None:
    here, airs = lan("lo")
    assert here.lookup(record("tcp://127.0.0.1:7000")).failures == ()
    assert len(airs[0].services) == 1


def test_interface_that_is_not_there_is_an_error_that_says_which_there_are(lan: Any) -> None:
    here, _airs = lan("wlan7")
    with pytest.raises(OSError, match=r"no interface wlan7 \(there are: eth0, lo\)"):
        here.lookup(record())


def test_lan_hears_what_is_added_and_not_what_goes(lan: Any) -> None:
    here, airs = lan()
    heard: list[bytes] = []
    here.listen(heard.append)
    here.lookup(record())
    (air,) = airs
    (service,) = air.services
    states = zeroconf.ServiceStateChange
    here._on_service(air, service.type, service.name, states.Removed)
    assert heard == []
    here._on_service(air, service.type, service.name, states.Added)
    here._on_service(air, service.type, "unknown." + service.type, states.Added)
    assert heard == [record().encode()]


@pytest.mark.parametrize(
    "name",
    [f"{'x' * 300}._rookery._tcp.local.", "elsewhere.example.", "._rookery._tcp.local.", "a\x00._rookery._tcp.local."],
)
def test_name_that_is_none_is_heard_as_no_record_and_the_browser_goes_on(lan: Any, name: str) -> None:
    """zeroconf refuses such a name by an exception, on the thread that hears of everybody else."""
    made, airs = lan()
    heard: list[bytes] = []
    made.listen(heard.append)
    made.lookup(record())
    (air,) = airs
    ask = air.get_service_info

    def get_service_info(kind: str, asked: str, timeout: int) -> Any:
        zeroconf.ServiceInfo(kind, asked)  # as the real one does first
        return ask(kind, asked, timeout)

    air.get_service_info = get_service_info
    added = zeroconf.ServiceStateChange.Added
    made._on_service(air, "_rookery._tcp.local.", name, added)
    assert heard == [b""]
    made._on_service(air, "_rookery._tcp.local.", air.services[0].name, added)
    assert heard[1:] == [record().encode()]


def test_closed_lan_opens_nothing_any_more(lan: Any) -> None:
    here, airs = lan()
    here.lookup(record())
    here.close()
    assert airs[0].closed
    other, more = lan()
    other.close()
    other.lookup(record())
    assert more == []


def test_lan_without_zeroconf_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(NoZeroconf, match=r"pip install 'rookery\[lan\]'"):
        Lan()


@pytest.mark.processes
def test_two_nodes_find_each_other_and_a_newer_record_by_mdns() -> None:
    """In a network namespace of its own, with nothing but its loopback interface, on a host with a long name."""
    name = f"echo {'h' * 59} > /proc/sys/kernel/hostname"
    link = "ip link set lo up && ip route add 224.0.0.0/4 dev lo"
    script = f"{name} && {link} && exec $0 -m tests.discovery.lan_of_two"
    command = ["unshare", "--net", "--uts", "sh", "-c", script, sys.executable]
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("no network namespaces here")
    if subprocess.run(["unshare", "--net", "--uts", "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces are not permitted")
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"failures": [[], []], "found": [True, True, True]}
