"""Prints the requirements in pyproject.toml, one a line: build, run, and the extras named as arguments.

The package itself is installed apart from them (editable, without build isolation), so that the
compiler runs in the tree and only when sources changed.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
for extra in sys.argv[1:]:
    listed = project["project"]["optional-dependencies"][extra]
    wanted += [line for line in listed if not line.startswith(f"{project['project']['name']}[")]
print("\n".join(dict.fromkeys(wanted)))
