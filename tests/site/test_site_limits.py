"""How much memory a site may take, and how figures and names are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from bypass.site.limits import available_memory_bytes, default_limit_bytes
from bypass.site.text import format_bytes, printable


def machine(tmp_path: Path, group: str, limits: dict[str, tuple[str, str]]) -> tuple[Path, Path]:
    """A /proc and a /sys/fs/cgroup with 1000 KiB available and memory.max, memory.current by group."""
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 4000 kB\nMemFree:  100 kB\nMemAvailable:    1000 kB\n")
    (proc / "self/cgroup").write_text(f"0::{group}\n")
    for name, (limit, used) in limits.items():
        folder = groups / name
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text(limit + "\n")
        (folder / "memory.current").write_text(used + "\n")
    return proc, groups


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, 1_024_000),
        ({"a/b": ("max", "5")}, 1_024_000),
        ({"a/b": ("700000", "100000")}, 600_000),
        ({"a": ("500000", "100000"), "a/b": ("700000", "100000")}, 400_000),
        ({"a/b": ("100", "200")}, 0),
        ({"other": ("100", "0")}, 1_024_000),
    ],
)
def test_the_tightest_control_group_bounds_what_is_available(
    tmp_path: Path, limits: dict[str, tuple[str, str]], expected: int
) -> None:
    assert available_memory_bytes(*machine(tmp_path, "/a/b", limits)) == expected


def test_half_of_this_machines_memory_is_some_megabytes() -> None:
    assert default_limit_bytes() > 1 << 20


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (1 << 62, "4096.0 PiB"),
    ],
)
def test_sizes_are_written_with_binary_units(octets: int, expected: str) -> None:
    assert format_bytes(octets) == expected


def test_names_are_written_so_that_a_terminal_survives_them() -> None:
    assert printable("/größe.txt".encode()) == "/größe.txt"
    assert printable(b"/caf\xe9\x1b[2J\n") == "/caf\\xe9\\x1b[2J\\x0a"
