"""What a reload came to, in numbers and in words: all of it that `bypass reload` has to know."""

from __future__ import annotations

from dataclasses import dataclass

from bypass.site.text import format_bytes
from bypass.text import plural


@dataclass(frozen=True, slots=True)
class Reloaded:
    """making_s: until the image was there; seconds: until the first request could be answered from it."""

    files: int
    image_bytes: int
    making_s: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"reloaded: {plural(self.files, 'file')}, {format_bytes(self.image_bytes)} of packets,"
            f" in {self.seconds:.2f} s"
        )
