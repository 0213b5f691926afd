"""Several runs of pytest beside each other: nothing of what they say is lost, and no failure."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 0), (0, 4)])
def test_lanes_end_as_badly_as_one_of_them(first: int, second: int) -> None:
    script = f"""set -euo pipefail
    source config/setup/lanes.sh
    the_first() {{ sleep 0.2; echo hello; echo one; exit {first}; }}
    second() {{ echo world; echo other >&2; exit {second}; }}
    run_lanes the_first second
    """
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == first + second
    assert done.stdout.split("\n") == [
        *("hello", "one", "world", "other"),
        *("the first: one", "second: other", ""),
    ]


def test_lanes_are_ended_with_the_one_that_runs_them() -> None:
    script = """set -euo pipefail
    source config/setup/lanes.sh
    trap end_lanes EXIT
    trap 'exit 143' TERM
    wait_for_ever='trap "echo cleaned up >&3; exit" INT; while :; do sleep 0.05; done'
    long() { exec env --default-signal=INT bash -c "$wait_for_ever"; }
    (sleep 0.5; kill -TERM $$) &
    run_lanes long long
    """
    command = ["bash", "-c", f"exec 3>&1; {script}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 143
    assert done.stdout.count("cleaned up") == 2
