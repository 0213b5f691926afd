"""Errors for people: what failed, on what, why, and what to do about it."""

from __future__ import annotations

import errno
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command (after sysexits.h). DRIFTED: `nic verify` found other settings."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DRIFTED = 3
    UNAVAILABLE = 69
    NO_PERMISSION = 77
    CONFIGURATION = 78
    INTERRUPTED = 130


def errno_name(code: int | None) -> str:
    """The name in manual pages: "EINVAL". ENOTSUP and EOPNOTSUPP are one number, of the latter name here."""
    if code == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return errno.errorcode.get(code or 0, str(code))


class BypassError(Exception):
    """A failure that a person can act on. Subclasses set the exit code.

    what: the thing and the step that failed ("eth0 queue 0: bind refused (EBUSY)").
    why: one clause on the cause, or empty.
    remedy: one sentence on what to do, or empty.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, what: str, *, why: str = "", remedy: str = "") -> None:
        self.what = what
        self.why = why
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.what}: {self.why}" if self.why else self.what
        if not self.remedy:
            return text
        return f"{text}. {self.remedy}" if self.remedy.endswith((".", "?")) else f"{text}. {self.remedy}."


class UnavailableError(BypassError):
    """Something the machine does not offer now: interface, queue, AF_XDP."""

    exit_code = ExitCode.UNAVAILABLE


class PrivilegeError(BypassError):
    """A privilege or limit is missing."""

    exit_code = ExitCode.NO_PERMISSION


class ConfigError(BypassError):
    """A wrong value in flags, environment or file."""

    exit_code = ExitCode.CONFIGURATION


class SiteError(BypassError):
    """The document root or image cannot be served."""

    exit_code = ExitCode.CONFIGURATION
