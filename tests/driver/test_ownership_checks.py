"""Debug builds abort, with a message, when a frame changes hands in a way that cannot be right."""

from __future__ import annotations

import os
import signal
import subprocess
import sysconfig
from pathlib import Path

import pytest

HEADERS = Path(__file__).parents[2] / "cython_ext"
PROGRAM = """
#include "abi/ownership.h"
int main(void)
{
    uint8_t owners[2] = {OWNER_FREE, OWNER_FREE};
    ownership_move(owners, 1, OWNER_FREE, OWNER_APP);
    %s
    puts("went on");
    return 0;
}
"""


def _run(folder: Path, statement: str, *flags: str) -> subprocess.CompletedProcess[str]:
    source = folder / "case.c"
    source.write_text(PROGRAM % statement)
    compiler = os.environ.get("CC") or str(sysconfig.get_config_var("CC")).split()[0]
    command = [compiler, "-I", str(HEADERS), *flags, str(source), "-o", str(folder / "case")]
    subprocess.run(command, check=True)
    return subprocess.run([folder / "case"], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "ownership_move(owners, 1, OWNER_APP, OWNER_FREE);" * 2,
            "frame 1 cannot become FREE: it is FREE",
        ),
        ("ownership_move(owners, 1, OWNER_TX, OWNER_FREE);", "frame 1 cannot become FREE: it is APP"),
        ("ownership_move(owners, 0, OWNER_FILL, OWNER_APP);", "frame 0 cannot become APP: it is FREE"),
        ("ownership_bounds(1, 0);", "frame 1 was submitted with octets outside of it"),
    ],
    ids=["freed twice", "completed before it was sent", "received but never lent", "octets of another frame"],
)
def test_a_wrong_change_of_owner_aborts_a_debug_build(tmp_path: Path, statement: str, message: str) -> None:
    done = _run(tmp_path, statement, "-DBYPASS_DEBUG=1")
    assert done.returncode == -signal.SIGABRT
    assert message in done.stderr
    assert "went on" not in done.stdout


def test_right_changes_of_owner_pass(tmp_path: Path) -> None:
    statement = (
        "ownership_move(owners, 1, OWNER_APP, OWNER_TX); ownership_move(owners, 1, OWNER_TX, OWNER_FREE);"
    )
    assert _run(tmp_path, statement, "-DBYPASS_DEBUG=1").stdout == "went on\n"


def test_a_release_build_checks_nothing(tmp_path: Path) -> None:
    assert _run(tmp_path, "ownership_move(owners, 1, OWNER_TX, OWNER_FREE);").stdout == "went on\n"
