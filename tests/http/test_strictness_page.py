"""docs/http-strictness.md says what the cases say: a row for each, and no row that is none."""

from __future__ import annotations

from pathlib import Path

from tests.http.cases import FIELDS, FRAMING, HOSTS, REFUSED, REQUEST_LINES, VERSIONS
from tests.http.disagreements import LOOSER, STRICTER

PAGE = (Path(__file__).resolve().parents[2] / "docs/http-strictness.md").read_text(encoding="utf-8")


def rows(title: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_every_case_is_a_row_and_every_row_a_case() -> None:
    tables = {
        "Request line": REQUEST_LINES,
        "Version": VERSIONS,
        "Fields": FIELDS,
        "Host": HOSTS,
        "Length of the body": FRAMING,
    }
    for title, cases in tables.items():
        assert rows(title) == [[case.what, str(case.status), case.where] for case in cases]
    assert sum(len(cases) for cases in tables.values()) == len(REFUSED)


def test_every_class_of_disagreement_is_explained() -> None:
    assert [row[0] for row in rows("Stricter than h11 or llhttp")] == [what for what, *_ in STRICTER]
    assert [row[0] for row in rows("Looser than h11 or llhttp")] == [what for what, *_ in LOOSER]
    for title in ("Stricter than h11 or llhttp", "Looser than h11 or llhttp"):
        assert all(len(row[1]) > 20 for row in rows(title))
