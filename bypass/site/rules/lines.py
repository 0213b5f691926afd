"""Lines of a rules file, and the error that names one: file, line number, text, reason, remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bypass.errors import SiteError

MOST_FILE_BYTES = 4 << 20
MOST_LINE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Line:
    """One line that says something. number: from 1 on. text: without line end."""

    file: str
    number: int
    text: str

    def error(self, why: str, remedy: str = "") -> SiteError:
        return SiteError(f"{self.file}:{self.number}: {shown(self.text.strip())}", why=why, remedy=remedy)


def lines_of(file: str, content: bytes) -> Iterator[Line]:
    """The lines that are neither empty nor comments. SiteError for what cannot be read as text.

    A byte order mark at the start is passed over, and both kinds of line end are known.
    """
    if len(content) > MOST_FILE_BYTES:
        raise SiteError(f"{file}: too large", why=f"{len(content)} bytes, at most {MOST_FILE_BYTES} are read")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise SiteError(f"{file}:{number}: not UTF-8", remedy="Save the file as UTF-8") from None
    for number, raw in enumerate(text.split("\n"), 1):
        line = Line(file, number, raw.rstrip("\r"))
        if not line.text.strip() or line.text.lstrip().startswith("#"):
            continue
        if len(line.text) > MOST_LINE_CHARACTERS:
            raise line.error(f"the line has more than {MOST_LINE_CHARACTERS} characters")
        yield line


def shown(text: str) -> str:
    """A line as it can be printed: control characters escaped, the end of a long one left out."""
    plain = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return plain if len(plain) <= 120 else plain[:117] + "..."
