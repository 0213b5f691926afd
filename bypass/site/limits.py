"""How much memory a site may take: what the machine and the control group have left."""

from __future__ import annotations

from pathlib import Path


def default_limit_bytes() -> int:
    """Half of the memory that is available now."""
    return available_memory_bytes() // 2


def available_memory_bytes(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int:
    """MemAvailable, or what the tightest enclosing control group (version 2) leaves if that is less."""
    available = _meminfo_available(proc / "meminfo")
    for group in _own_groups(proc, groups):
        left = _group_left(group)
        if left is not None:
            available = min(available, left)
    return available


def _meminfo_available(meminfo: Path) -> int:
    for line in meminfo.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"{meminfo} has no MemAvailable (kernel older than 3.14?)")


def _own_groups(proc: Path, groups: Path) -> list[Path]:
    """The control group of this process and those around it, innermost first."""
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        if line.startswith("0::/"):
            own = groups / line.removeprefix("0::/")
            return [own, *(parent for parent in own.parents if parent.is_relative_to(groups))]
    return []


def _group_left(group: Path) -> int | None:
    """Octets below memory.max, page cache counted as used; None when there is no limit."""
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return None
    return None if limit == "max" else max(0, int(limit) - used)
