"""Quantities, rates, subnets, privileges."""

from __future__ import annotations

import random
import resource
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

import pytest

from bypass.errors import PrivilegeError, UnavailableError
from bypass.serve import privileges
from bypass.serve.parts import kernel_parts
from bypass.serve.rates import RateMeter
from bypass.serve.subnet import free_subnets
from bypass.text import did_you_mean, format_count, parse_duration_s, parse_size_bytes, plural
from tests.serve.conftest import plan_for


def test_durations_and_sizes_are_read() -> None:
    assert [parse_duration_s(text) for text in ("250us", "5ms", "2", "3s", "1.5m", "1h")] == [
        0.00025,
        0.005,
        2,
        3,
        90,
        3600,
    ]
    assert [parse_size_bytes(text) for text in ("17", "2k", "1M", "1.5MiB", "3GB", "1T")] == [
        17,
        2048,
        1 << 20,
        3 << 19,
        3 << 30,
        1 << 40,
    ]


@pytest.mark.parametrize("text", ["", "-1", "5 weeks", "1e3", "ten", "1 s s"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # any ValueError: the caller words it
        parse_duration_s(text)
    with pytest.raises(ValueError):  # noqa: PT011
        parse_size_bytes(text)


def test_figures_are_written_short() -> None:
    assert [format_count(value) for value in (0, 950, 1234, 123456, 2.5e6, 3e9)] == [
        "0",
        "950",
        "1.2k",
        "123k",
        "2.5M",
        "3.00G",
    ]
    assert (plural(1, "file"), plural(2, "file")) == ("1 file", "2 files")


def test_the_nearest_word_is_suggested_when_near() -> None:
    assert did_you_mean("prot", ["port", "poll"]) == "Did you mean 'port'?"
    assert did_you_mean("xyzzy", ["port", "poll"]) == ""


def test_rates_are_differences_by_time() -> None:
    meter = RateMeter({"requests": 100, "responses_2xx": 90, "tx_octets": 0})
    rates = meter.look(
        {"requests": 2100, "responses_2xx": 2090, "responses_4xx": 2, "tx_octets": 250000}, 2.0
    )
    assert rates.requests == 1000
    assert rates.responses["4xx"] == 1
    assert str(rates) == "1.0k requests/s (2xx 1.0k, 4xx 1), 1.0 Mbit/s"
    assert meter.look({"requests": 2100, "tx_octets": 250000}, 1.0).requests == 0


def test_subnets_overlap_nothing_that_is_taken() -> None:
    half = ip_network("198.18.0.0/16")
    for seed in range(50):
        chosen = free_subnets([half, ip_network("fd00::/9"), ip_network("10.0.0.0/8")], random.Random(seed))
        assert isinstance(chosen.v4, IPv4Network)
        assert isinstance(chosen.v6, IPv6Network)
        assert chosen.v4.subnet_of(IPv4Network("198.19.0.0/16"))
        assert chosen.v6.subnet_of(IPv6Network("fd80::/9"))


def test_no_free_subnet_is_an_error() -> None:
    with pytest.raises(UnavailableError):
        free_subnets([ip_network("198.18.0.0/15")], random.Random(1))


def test_capabilities_are_read_from_their_mask(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tx\nCapEff:\t0000008000003000\n")
    assert privileges.effective_capabilities(status) == {"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"}


def test_missing_capabilities_are_named_with_their_use() -> None:
    privileges.require_capabilities(
        frozenset({"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"}), "bypass serve"
    )
    with pytest.raises(PrivilegeError, match="CAP_NET_RAW to open AF_XDP sockets") as caught:
        privileges.require_capabilities(frozenset({"CAP_NET_ADMIN", "CAP_BPF"}), "bypass serve")
    assert "sudo bypass serve" in str(caught.value)
    assert "CAP_BPF" not in str(caught.value)


def _limits(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, may_raise: bool) -> list[tuple[int, int]]:
    wanted: list[tuple[int, int]] = []

    def setrlimit(_: int, pair: tuple[int, int]) -> None:
        if pair[1] > hard and not may_raise:
            raise ValueError("not allowed to raise maximum limit")
        wanted.append(pair)

    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", setrlimit)
    return wanted


def test_locked_memory_is_raised_where_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = _limits(monkeypatch, soft=8 << 20, hard=64 << 20, may_raise=False)
    privileges.allow_locked_memory(4 << 20, frozenset())
    privileges.allow_locked_memory(99 << 20, frozenset({"CAP_IPC_LOCK"}))
    assert wanted == []
    privileges.allow_locked_memory(32 << 20, frozenset())
    assert wanted == [(32 << 20, 64 << 20)]


def test_too_little_locked_memory_is_told_with_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    _limits(monkeypatch, soft=8 << 20, hard=8 << 20, may_raise=False)
    with pytest.raises(PrivilegeError, match=r"32\.0 MiB.*8\.0 MiB.*LimitMEMLOCK"):
        privileges.allow_locked_memory(32 << 20, frozenset())


@pytest.mark.parametrize("name", ["cubic", "newreno"])
def test_the_engine_is_told_the_congestion_control(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[object] = []
    monkeypatch.setattr("bypass._engine.Engine", lambda **options: told.append(options["congestion"]))
    kernel_parts().engine(plan_for(congestion=name), memoryview(b"image"), [])
    assert told == [name]
