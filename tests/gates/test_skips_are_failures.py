"""Where every test must run, a skip fails; only a skip that names missing hardware does not."""

from __future__ import annotations

from pathlib import Path

import pytest

_TESTS = """
import pytest

def test_skipped_for_no_good_reason():
    pytest.skip("not today")

@pytest.mark.skip(reason="marked")
def test_marked():
    pass

def test_hardware():
    pytest.skip("needs hardware: a NIC with zero-copy")

def test_runs():
    pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, root: Path) -> pytest.Pytester:
    text = (root / "tests" / "conftest.py").read_text()
    pytester.makeconftest(text.replace('pytest_plugins = ["pytester"]', ""))
    pytester.makepyfile(_TESTS)
    return pytester


def test_skips_fail_where_every_test_must_run(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYPASS_NO_SKIPS", "1")
    suite.runpytest_subprocess().assert_outcomes(passed=1, skipped=1, failed=1, errors=1)


def test_a_module_that_skips_itself_fails_too(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYPASS_NO_SKIPS", "1")
    suite.makepyfile(test_module="import pytest\npytest.skip('absent', allow_module_level=True)\n")
    assert suite.runpytest_subprocess("test_module.py").ret != 0


def test_skips_are_skips_elsewhere(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BYPASS_NO_SKIPS", raising=False)
    suite.runpytest_subprocess().assert_outcomes(passed=1, skipped=3)
