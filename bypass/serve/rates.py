"""Rates per second from two looks at an engine's counters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bypass.text import format_count

_CLASSES = ("2xx", "3xx", "4xx", "5xx")


@dataclass(frozen=True, slots=True)
class Rates:
    """Per second, over the time between two looks."""

    requests: float
    responses: Mapping[str, float]
    sent_bits: float

    def __str__(self) -> str:
        """ "1.2k requests/s (2xx 1.2k, 4xx 3), 9.8 Mbit/s"; classes that have none are left out."""
        classes = ", ".join(f"{name} {format_count(rate)}" for name, rate in self.responses.items() if rate)
        detail = f" ({classes})" if classes else ""
        return f"{format_count(self.requests)} requests/s{detail}, {self.sent_bits / 1e6:.1f} Mbit/s"


class RateMeter:
    """Remembers the last look."""

    def __init__(self, counters: Mapping[str, int]) -> None:
        self._last = dict(counters)

    def look(self, counters: Mapping[str, int], elapsed_s: float) -> Rates:
        """The rates since the last look, `elapsed_s` seconds ago."""
        per_second = {name: (value - self._last.get(name, 0)) / elapsed_s for name, value in counters.items()}
        self._last = dict(counters)
        return Rates(
            requests=per_second.get("requests", 0.0),
            responses={name: per_second.get(f"responses_{name}", 0.0) for name in _CLASSES},
            sent_bits=8 * per_second.get("tx_octets", 0.0),
        )
