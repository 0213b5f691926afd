"""What a scan left out, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Skipped:
    """How many directory entries were left out, by reason. A directory counts once."""

    hidden: int = 0
    symlinks_outside: int = 0
    symlinks_broken: int = 0
    symlink_loops: int = 0
    special: int = 0
    images: int = 0
    symlinks_refused: int = 0
    excluded: int = 0

    @property
    def total(self) -> int:
        return sum(getattr(self, name) for name in _REASONS)

    def add(self, more: Skipped) -> None:
        for name, count in more.counts().items():
            setattr(self, name, getattr(self, name) + count)

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in _REASONS}

    def messages(self) -> list[str]:
        """One line for each reason that occurred."""
        return [f"{getattr(self, name)} {text}" for name, text in _REASONS.items() if getattr(self, name)]


_REASONS = {
    "hidden": "hidden (the name starts with a dot)",
    "symlinks_outside": "symlinks left out: they lead out of the document root",
    "symlinks_broken": "symlinks left out: their target does not exist",
    "symlink_loops": "symlinks left out: they lead back to a folder that contains them",
    "special": "left out: neither file nor folder (pipe, device or socket)",
    "images": "left out: the image being written",
    "symlinks_refused": "symlinks left out, as configured",
    "excluded": "left out, as configured",
}
