"""`python -m tests.conformance --write` writes docs/tcp-conformance.md; else says whether it is new."""

from __future__ import annotations

import sys

from tests.conformance.page import PAGE, current

if __name__ == "__main__":
    text = current()
    if "--write" in sys.argv[1:]:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.name} is old; run python -m tests.conformance --write")
