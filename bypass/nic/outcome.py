"""What became of carrying a plan out, or of taking it back."""

from __future__ import annotations

from dataclasses import dataclass

from bypass.errors import BypassError, ExitCode
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
