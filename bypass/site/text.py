"""Figures and file names as people read them."""

from __future__ import annotations

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def format_bytes(octets: int) -> str:
    """`octets` with a binary unit: "812 B", "3.4 MiB"."""
    if octets < 1024:
        return f"{octets} B"
    power = min((octets.bit_length() - 1) // 10, len(UNITS) - 1)
    return f"{octets / 1024**power:.1f} {UNITS[power]}"


def printable(path: bytes) -> str:
    """A file name for a message: what is not UTF-8, and control characters, as backslash escapes."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
