"""Quantities as people write them: durations ("500ms"), sizes ("64M"), and the nearest known word.

Knows nothing of configuration or commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

_DURATION_S = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE_BYTES = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")


def parse_duration_s(text: str) -> float:
    """Seconds in "500ms", "30s", "5m", "1h"; a bare number is seconds. ValueError otherwise."""
    number, unit = _quantity(text)
    if unit not in _DURATION_S and unit:
        raise ValueError(f"unknown unit {unit!r}")
    return number * _DURATION_S[unit or "s"]


def parse_size_bytes(text: str) -> int:
    """Bytes in "4096", "64K", "512M", "2G" (powers of 1024; "MB" and "MiB" mean the same)."""
    number, unit = _quantity(text)
    unit = unit.upper().removesuffix("B").removesuffix("I")
    if unit not in _SIZE_BYTES:
        raise ValueError(f"unknown unit {unit!r}")
    return int(number * _SIZE_BYTES[unit])


def format_count(value: float) -> str:
    """ "950", "12.3k", "1.20M": a rate or count in at most five characters and a unit."""
    for limit, divisor, unit in ((1e3, 1, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if value < limit:
            scaled = value / divisor
            return f"{scaled:.0f}{unit}" if not unit or scaled >= 100 else f"{scaled:.1f}{unit}"
    return f"{value / 1e9:.2f}G"


def plural(count: int, noun: str) -> str:
    """ "1 file", "2 files"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ "Did you mean 'port'?", or nothing when no known word is near."""
    near = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else ""


def _quantity(text: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a number with a unit")
    return float(match[1]), match[2]


def environment_name(key: str) -> str:
    """BYPASS_IDLE_TIMEOUT for idle-timeout."""
    return "BYPASS_" + key.upper().replace("-", "_")
