"""What the doctor finds: one fact each, with why it matters and the command that mends it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from bypass.errors import BypassError, ExitCode

Level = Literal["ok", "note", "warning", "problem"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """level: "problem" keeps a server from serving, "warning" makes it worse, "note" is worth knowing.

    id: stable, for programs. subject: "machine", or the interface. exit_code: what a server that fails by
    this would end with.
    """

    id: str
    level: Level
    subject: str
    what: str
    why: str = ""
    remedy: str = ""
    exit_code: int = int(ExitCode.UNAVAILABLE)


def from_error(id: str, subject: str, error: BypassError, level: Level = "problem") -> Finding:
    """The finding that tells what an error would have told."""
    return Finding(
        id=id,
        level=level,
        subject=subject,
        what=error.what,
        why=error.why,
        remedy=error.remedy,
        exit_code=int(error.exit_code),
    )


def exit_code_of(findings: Iterable[Finding]) -> ExitCode:
    """0 without a problem; the first problem's otherwise."""
    return next((ExitCode(one.exit_code) for one in findings if one.level == "problem"), ExitCode.OK)
