"""A skipped test is a failure where everything must run (BYPASS_NO_SKIPS=1, set by `make test`).

Only a skip whose reason starts with "needs hardware:" and says which is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

pytest_plugins = ["pytester"]

HARDWARE = "needs hardware:"


def skips_fail() -> bool:
    return os.environ.get("BYPASS_NO_SKIPS") == "1"


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if report.skipped and not hasattr(report, "wasxfail") and not reason.startswith(HARDWARE):
        report.outcome = "failed"
        report.longrepr = f"skipped where every test must run: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if skips_fail():
        _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if skips_fail():
        _fail_if_skipped(report)
    return report
