"""docs/tcp-conformance.md is what the tests say, and every rule of RFC 9293 Appendix B is answered for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.page import PAGE, current
from tests.conformance.rules import NUMBERED, RFCS, Row, RuleError, appendix_b, collect, marks

OFF_WIRE_MOST = 12


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return collect()


def test_the_page_is_what_the_tests_say() -> None:
    written = PAGE.read_text(encoding="utf-8")
    assert written == current(), "run python -m tests.conformance --write"


def test_every_row_has_a_test_or_a_reason(rows: list[Row]) -> None:
    assert [row.key for row in rows if bool(row.tests) == bool(row.refused)] == []
    assert [row.key for row in rows if row.refused and len(row.refused) < 15] == []


def test_every_supported_rule_has_a_script_or_cannot_have_one(rows: list[Row]) -> None:
    supported = [row for row in rows if row.tests]
    assert [row.key for row in supported if bool(row.scripts) == bool(row.off_wire)] == []
    assert [row.key for row in rows if row.off_wire and len(row.off_wire) < 15] == []
    assert sum(bool(row.off_wire) for row in rows) <= OFF_WIRE_MOST


def test_every_test_that_is_named_exists(rows: list[Row], root: Path) -> None:
    for test in {test for row in rows for test in row.tests}:
        path, _, name = test.partition("::")
        assert (root / path).is_file(), test
        assert not name or f"def {name}(" in (root / path).read_text(encoding="utf-8"), test


def test_every_numbered_requirement_is_answered_for_once(rows: list[Row]) -> None:
    numbers = [row.key.level for row in rows if NUMBERED.match(row.key.level)]
    assert sorted(numbers) == sorted(appendix_b())


def test_the_list_of_numbers_has_no_gap() -> None:
    """RFC 9293 Appendix B counts without one."""
    counts = {"MUST": 69, "SHLD": 31, "MAY": 18, "REC": 1}
    wanted = {f"{kind}-{number}" for kind, most in counts.items() for number in range(1, most + 1)}
    assert set(appendix_b()) == wanted


def test_every_rfc_of_the_list_has_rows(rows: list[Row]) -> None:
    assert {row.key.rfc for row in rows} == set(RFCS)
    supported = {row.key.rfc for row in rows if row.tests}
    assert set(RFCS) - supported <= {"5682"}, "refused as a whole"


def test_a_mark_that_is_wrong_is_told(tmp_path: Path) -> None:
    source = "@pytest.mark.rfc('9293', 'MUST-99')\ndef {name}(): pass\n"
    assert list(marks(source.format(name="test_x"), "x.py")) == [("x.py::test_x", ["9293", "MUST-99"])]
    with pytest.raises(RuleError, match="no test"):
        list(marks(source.format(name="helper"), "x.py"))
    (tmp_path / "tests/scripts").mkdir(parents=True)
    (tmp_path / "tests/test_x.py").write_text(source.format(name="test_x"))
    with pytest.raises(RuleError, match="no MUST-99"):
        collect(tmp_path)
