from __future__ import annotations

from rookery.transport.core.log_limits import LeftOut, LogLimits

ONE, OTHER = "192.0.2.1", "192.0.2.2"


def test_ip_causes_64_lines_at_once_and_then_one_a_second() -> None:
    limits = LogLimits()
    assert sum(limits.admits(ONE, "info", 0.0) for _ in range(1000)) == 64
    assert sum(limits.admits(ONE, "info", 1.0 + tenth / 10) for tenth in range(100)) == 10
    assert limits.admits(OTHER, "info", 0.0)


def test_many_ips_cause_640_lines_at_once_and_then_twenty_a_second() -> None:
    limits = LogLimits()
    assert sum(limits.admits(f"ip {number}", "info", 0.0) for number in range(5000)) == 640
    assert sum(limits.admits(f"ip {number}", "info", 1.0) for number in range(5000)) == 20


def test_lines_of_one_kind_hide_none_of_another() -> None:
    limits = LogLimits()
    while limits.admits(ONE, "info", 0.0):
        pass
    assert limits.admits(ONE, "warning", 0.0)


def test_lines_left_out_are_told_once_with_who_caused_the_most() -> None:
    limits = LogLimits()
    for ip, lines in ((ONE, 70), (OTHER, 164)):
        for _ in range(lines):
            limits.admits(ip, "info", 0.0)
    assert limits.take_left_out() == LeftOut(106, OTHER, 100)
    limits.admits(ONE, "info", 0.0)
    assert limits.take_left_out() == LeftOut(1, ONE, 1)


def test_lines_of_any_number_of_ips_are_counted_in_bounded_memory() -> None:
    limits = LogLimits()
    for number in range(10_000):
        limits.admits(f"ip {number}", "info", 0.0)
    assert len(limits._left_out) == 1024
    assert limits.take_left_out().lines == 10_000 - 640


def test_addresses_of_one_64_are_one_ip() -> None:
    limits = LogLimits()
    admitted = [limits.admits(f"2001:db8::{number:x}", "info", 0.0) for number in range(100)]
    assert admitted.count(True) == 64
    assert limits.take_left_out() == LeftOut(36, "2001:db8::/64", 36)
