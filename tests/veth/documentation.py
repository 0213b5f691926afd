"""Python's documentation as Debian packages it, with the shared JavaScript that it links to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

DOCUMENTATION = Path(os.environ.get("BYPASS_PYTHON_DOC", "/usr/share/doc/python3-doc/html"))
_INSTALLED = "/usr/share/doc/python3/html"


def copy_documentation(target: Path) -> Path:
    """A copy without links. What the package links to lies where it would be installed."""
    source = DOCUMENTATION.resolve()
    shutil.copytree(source, target, symlinks=True)
    for link in [path for path in target.rglob("*") if path.is_symlink()]:
        name = link.relative_to(target)
        shared = Path(os.path.normpath(Path(_INSTALLED, name).parent / os.readlink(link)))
        link.unlink()
        original = next(path for path in (source / name, shared) if path.is_file())
        shutil.copyfile(original, link)
    return target
