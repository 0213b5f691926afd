"""What became of carrying a plan out, or of taking it back."""

from __future__ import annotations

import errno
from dataclasses import dataclass

from bypass.errors import BypassError, ExitCode, PrivilegeError, errno_name
from bypass.nic.order import Change
from bypass.nic.planner import Plan, Step
from bypass.nic.settings import AnySetting


@dataclass(frozen=True, slots=True)
class Applied:
    """steps: carried out now; none: all was as planned. plan: as made at the start."""

    plan: Plan
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """changed: settings that were put back. remaining: those that could not be. why: nothing was to do."""

    changed: tuple[Change, ...] = ()
    remaining: tuple[Change, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """now None: there is no such thing any more."""

    planned: AnySetting
    now: AnySetting | None


class InterruptedChange(BypassError):
    """Ctrl-C while steps were under way."""

    exit_code = ExitCode.INTERRUPTED


class StepFailed(Exception):
    """Of one write: the setting and what is known of the reason."""

    def __init__(self, setting: AnySetting, why: str, errno: int | None = None) -> None:
        super().__init__(why)
        self.setting, self.why, self.errno = setting, why, errno


def undone(
    ifname: str,
    failure: StepFailed | KeyboardInterrupt | BypassError,
    done: int,
    restored: Restored,
    trouble: str,
) -> BypassError:
    """What a person is told. done: steps before the one that failed. trouble: why the way back failed, or
    empty."""
    kind: type[BypassError]
    if isinstance(failure, KeyboardInterrupt):
        what, why, kind = f"{ifname}: interrupted", "", InterruptedChange
    elif isinstance(failure, BypassError):
        what, why, kind = failure.what, failure.why, type(failure)
    else:
        name = f" ({errno_name(failure.errno)})" if failure.errno else ""
        setting = failure.setting
        what = f"{ifname}: step {done + 1}, {setting.key} {setting.value}, failed{name}"
        why = failure.why
        kind = PrivilegeError if failure.errno in (errno.EPERM, errno.EACCES) else BypassError
    left = "; ".join(f"{change.after.key} should be {change.after.value}" for change in restored.remaining)
    remedy = "Everything is as it was before"
    if trouble:
        remedy = f"The way back failed, too: {trouble} Try again: bypass nic restore {ifname}"
    elif left:
        remedy = f"Not put back: {left}. Try again: bypass nic restore {ifname}"
    return kind(what, why=why, remedy=remedy)
