from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rookery.transport.address import (
    IP,
    MAX_ADDRESS_TEXT,
    Address,
    Endpoint,
    canonical_ip,
    format_peer,
    is_global,
    parse_peer,
    subnet,
)
from rookery.transport.identity import Identity, PeerId

SOMEBODY = Identity.from_seed(bytes(32)).peer
LABEL = "a" * 63
LONGEST_NAME = ".".join((LABEL, LABEL, LABEL, "b" * 61))
LONGEST_IP = "2001:1111:1111:1111:1111:1111:1111:1111"


def is_of_one_host(ip: IP) -> bool:
    ip = canonical_ip(ip)
    return not (ip.is_multicast or ip.is_unspecified or int(ip) == 2**32 - 1 or (ip.version == 4 and int(ip) < 2**24))


unicast_ips = st.ip_addresses().filter(is_of_one_host)
labels = st.sampled_from(["a", "node-1", "3com", "xn--bcher-kva", "com", "x" * 63])
hosts = st.one_of(unicast_ips.map(str), st.lists(labels, min_size=1, max_size=3).map(".".join))
endpoints = st.builds(Endpoint, hosts, st.integers(1, 65535))
addresses = st.builds(Address, endpoints, st.none() | unicast_ips)


@pytest.mark.parametrize(
    ("text", "host", "numeric"),
    [
        ("tcp://127.0.0.1:7000", "127.0.0.1", True),
        ("tcp://[::1]:7000", "::1", True),
        ("tcp://[2001:DB8:0:0:0:0:0:1]:7000", "2001:db8::1", True),
        ("tcp://[::ffff:10.1.2.3]:7000", "10.1.2.3", True),
        ("tcp://Node-1.Example.COM:7000", "node-1.example.com", False),
        ("tcp://localhost:7000", "localhost", False),
        ("tcp://3com.com:7000", "3com.com", False),
        (f"tcp://{LONGEST_NAME}:7000", LONGEST_NAME, False),
    ],
)
def test_endpoint_parse_reads_ipv4_ipv6_and_names_into_one_form(text: str, host: str, numeric: bool) -> None:
    endpoint = Endpoint.parse(text)
    assert (endpoint.host, endpoint.port, endpoint.is_numeric) == (host, 7000, numeric)
    assert endpoint.ip == (ip_address(host) if numeric else None)
    assert Endpoint.parse(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:7000",
        "udp://127.0.0.1:7000",
        "TCP://127.0.0.1:7000",
        "tcp://127.0.0.1",
        "tcp://:7000",
        "tcp://*:7000",
        "tcp://127.0.0.1:",
        "tcp://127.0.0.1:*",
        "tcp://127.0.0.1:+7",
        "tcp://127.0.0.1:07000",
        "tcp://127.0.0.1:70000",
        "tcp://127.0.0.1:65536",
        "tcp://127.0.0.1:\u0667\u0660",
        "tcp://127.0.0.1:7000/",
        "tcp://127.0.0.1:7000\n",
        " tcp://127.0.0.1:7000",
        "tcp://user@host:7000",
        "tcp://::1:7000",
        "tcp://[127.0.0.1]:7000",
        "tcp://[::1:7000",
        "tcp://[fe80::1%eth0]:7000",
        "tcp://[:::]:7000",
        "tcp://[ff02::1]:7000",
        "tcp://224.0.0.1:7000",
        "tcp://256.0.0.1:7000",
        "tcp://1.2.3:7000",
        "tcp://127.1:7000",
        "tcp://0x7f000001:7000",
        "tcp://01.2.3.4:7000",
        "tcp://-a.example:7000",
        "tcp://a-.example:7000",
        "tcp://a_b.example:7000",
        "tcp://a..example:7000",
        "tcp://example.:7000",
        "tcp://.example:7000",
        "tcp://b\u00fccher.example:7000",
        "tcp://\u212aelvin.example:7000",
        f"tcp://{LABEL}a.example:7000",
        f"tcp://{LONGEST_NAME}b:7000",
        "tcp://" + "a" * 100_000,
    ],
)
def test_endpoint_parse_of_anything_else_says_what_is_allowed_in_few_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"allowed|no IPv4 address") as error:
        Endpoint.parse(text, listen=True)
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(
    "text", ["tcp://127.0.0.1:0", "tcp://0.0.0.0:7000", "tcp://[::]:7000", "tcp://[::ffff:0.0.0.0]:7"]
)
def test_endpoint_with_port_0_or_an_unspecified_ip_is_for_listening_only(text: str) -> None:
    assert Endpoint.parse(text, listen=True).is_numeric
    with pytest.raises(ValueError, match="is for listening only; allowed is"):
        Endpoint.parse(text)
    with pytest.raises(ValueError, match="is for listening only"):
        Address.parse(text)
    with pytest.raises(ValueError, match="is for listening only"):
        Address(Endpoint.parse(text, listen=True))


@pytest.mark.parametrize("port", [-1, 65536])
def test_endpoint_with_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="allowed is 0 to 65535"):
        Endpoint("localhost", port)


def test_endpoint_made_from_a_host_obeys_the_rules_of_its_text() -> None:
    assert Endpoint("LOCALHOST", 1) == Endpoint.parse("tcp://localhost:1")
    assert str(Endpoint("::1", 1)) == "tcp://[::1]:1"
    for host in ("[::1]", "a b", "fe80::1%1", ""):
        with pytest.raises(ValueError, match="allowed"):
            Endpoint(host, 1)


def test_address_without_egress_expects_connections_from_its_numeric_host() -> None:
    assert Address.parse("tcp://1.2.3.4:7000").egress_ip == ip_address("1.2.3.4")
    assert Address.parse("tcp://[2001::1]:7000").egress_ip == ip_address("2001::1")
    assert Address.parse("tcp://example.com:7000").egress_ip is None


def test_address_with_egress_expects_connections_from_it() -> None:
    address = Address.parse("tcp://example.com:7000?egress=::ffff:1.2.3.4")
    assert address.egress_ip == address.egress == ip_address("1.2.3.4")
    assert str(address) == "tcp://example.com:7000?egress=1.2.3.4"
    assert str(Address.parse("tcp://1.2.3.4:7000?egress=2001:0::1")) == "tcp://1.2.3.4:7000?egress=2001::1"


def test_address_egress_that_repeats_the_host_is_left_out() -> None:
    address = Address.parse("tcp://1.2.3.4:7000?egress=1.2.3.4")
    assert address == Address.parse("tcp://1.2.3.4:7000")
    assert str(address) == "tcp://1.2.3.4:7000"


@pytest.mark.parametrize(
    "egress",
    ["", "example.com", "1.2.3", "[2001::1]", "fe80::1%eth0", "0.0.0.0", "::", "224.0.0.1", "1.2.3.4&x=1", "1"],
)
def test_address_with_any_other_egress_is_refused(egress: str) -> None:
    with pytest.raises(ValueError, match="allowed is"):
        Address.parse(f"tcp://example.com:7000?egress={egress}")


def test_address_of_the_greatest_length_parses_and_one_character_more_does_not() -> None:
    text = f"tcp://{LONGEST_NAME}:65535?egress={LONGEST_IP}"
    assert len(text) == MAX_ADDRESS_TEXT == 312
    assert str(Address.parse(text)) == text
    with pytest.raises(ValueError, match="allowed are at most 312 characters"):
        Address.parse(text + "1")


@given(addresses)
def test_address_parse_reads_what_str_wrote(address: Address) -> None:
    assert Address.parse(str(address)) == address
    assert str(Address.parse(str(address))) == str(address)


@given(st.text() | st.from_regex(r"tcp://[^ ]*:[0-9]+(\?egress=.*)?"))
@example("tcp://[::1]:1?egress=?egress=")
@example("tcp://[" + ":" * 300 + "]:1")
@example("tcp://a\0b:1")
def test_address_parse_of_any_text_raises_nothing_but_value_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "host", ["255.255.255.255", "0.0.0.1", "0.255.255.255", "224.0.0.1", "[ff02::1]", "[::ffff:255.255.255.255]"]
)
def test_address_that_is_of_no_host_is_refused_wherever_it_stands(host: str) -> None:
    for text in (f"tcp://{host}:7000", f"tcp://name:7000?egress={host.strip('[]')}"):
        with pytest.raises(ValueError, match="allowed is the IP of one host"):
            Address.parse(text)


@given(st.binary(min_size=32, max_size=32).map(Identity.from_seed).map(lambda own: own.peer), addresses)
def test_parse_peer_reads_what_format_peer_wrote(peer: PeerId, address: Address) -> None:
    assert parse_peer(format_peer(peer, address)) == (peer, address)
    assert format_peer(peer, address) == f"{peer.hex()}@{address}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tcp://127.0.0.1:7000", "allowed is PEERID@tcp://HOST:PORT"),
        ("abc@tcp://127.0.0.1:7000", "allowed are exactly 64 hex digits"),
        (f"{SOMEBODY}@127.0.0.1:7000", "allowed is tcp://HOST:PORT"),
        ("0" * 64 + "@tcp://127.0.0.1:7000", "nobody can own it"),
        (f"{SOMEBODY}@@tcp://127.0.0.1:7000", "allowed is tcp://HOST:PORT"),
    ],
)
def test_parse_peer_of_anything_else_names_the_part_that_is_wrong(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_peer(text)


@pytest.mark.parametrize(
    ("ip", "canonical"),
    [("::ffff:1.2.3.4", "1.2.3.4"), ("1.2.3.4", "1.2.3.4"), ("::1.2.3.4", "::1.2.3.4"), ("2001::1", "2001::1")],
)
def test_canonical_ip_turns_ipv4_mapped_ipv6_alone_into_ipv4(ip: str, canonical: str) -> None:
    assert canonical_ip(ip_address(ip)) == ip_address(canonical)


# First and last of each special range, and their neighbours outside (IANA special-purpose registries).
NOT_GLOBAL = """
    0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255
    169.254.0.0 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.8 192.0.0.11 192.0.0.255 192.0.0.170
    192.0.2.0 192.0.2.255 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255
    203.0.113.0 203.0.113.255 240.0.0.0 255.255.255.254 255.255.255.255
    :: ::1 64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100:: 100::ffff:ffff:ffff:ffff
    2001:: 2001:1:: 2001:1::4 2001:2:: 2001:4:: 2001:10:: 2001:40:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff
    2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
    3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 5f00:: fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
    fe80:: febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:192.168.1.1
"""
GLOBAL = """
    1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.0.9 192.0.0.10 192.0.1.0
    192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0
    64:ff9b::1 64:ff9b:2:: 100:0:0:1::1 2001:1::1 2001:1::2 2001:1::3 2001:3:: 2001:4:112:: 2001:20:: 2001:2f::
    2001:3f:: 2001:200:: 2001:db7:: 2001:db9:: 2003:: 2606:4700:4700::1111 3ffe:: 3fff:1000:: 5eff:: 5f01::
    fbff:: fec0:: ::ffff:8.8.8.8
"""


@pytest.mark.parametrize("ip", NOT_GLOBAL.split())
def test_is_global_of_a_special_purpose_ip_is_false(ip: str) -> None:
    assert not is_global(ip_address(ip))


@pytest.mark.parametrize("ip", GLOBAL.split())
def test_is_global_of_any_other_ip_is_true(ip: str) -> None:
    assert is_global(ip_address(ip))


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("1.2.3.4", "1.2.3.0/24"),
        ("1.2.3.255", "1.2.3.0/24"),
        ("::ffff:1.2.3.4", "1.2.3.0/24"),
        ("2001:db8:1:ffff::1", "2001:db8:1::/48"),
        ("255.255.255.255", "255.255.255.0/24"),
        ("ffff:ffff:ffff:ffff::", "ffff:ffff:ffff::/48"),
    ],
)
def test_subnet_is_24_bits_of_ipv4_and_48_of_ipv6(ip: str, network: str) -> None:
    assert str(subnet(ip_address(ip))) == network


@given(st.ip_addresses())
def test_subnet_of_an_ip_contains_it(ip: object) -> None:
    address = ip_address(str(ip))
    assert canonical_ip(address) in subnet(address)
