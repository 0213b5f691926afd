"""What is wrong with an image, said while it is being judged."""

from __future__ import annotations


class Flaw(Exception):
    """What is wrong with the image."""


def require(sound: bool, otherwise: str) -> None:
    if not sound:
        raise Flaw(otherwise)
