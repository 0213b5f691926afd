"""`python -m tests.fuzz`: hostile frames and requests for some minutes, from a new seed each time.

A breach prints the seed of its world; `--world SEED` runs that world again, alone.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.runner import Fuzz, prepare, totals_of

FRAMES_A_ROUND = 2_000_000
TEXTS_A_ROUND = 300_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--world", type=int, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fuzz = prepare(Path(folder))
        if options.world is not None:
            done = fuzz.run(world=options.world, timeout_s=600)
            sys.stderr.write(done.stderr)
            return done.returncode
        seed = secrets.randbits(32) if options.seed is None else options.seed
        return _go_on(fuzz, seed, time.monotonic() + options.minutes * 60)


def _go_on(fuzz: Fuzz, seed: int, until: float) -> int:
    unseen: set[str] | None = None
    while True:
        print(f"fuzz: seed {seed}", flush=True)
        done = fuzz.run(seed=seed, frames=FRAMES_A_ROUND, rounds=TEXTS_A_ROUND, timeout_s=600)
        if done.returncode != 0:
            sys.stderr.write(done.stderr)
            print(f"fuzz: broken with seed {seed}", flush=True)
            return 1
        totals = totals_of(done)
        never = {name for name, value in totals["counters"].items() if value == 0}
        unseen = never if unseen is None else unseen & never
        print(
            f"fuzz: {totals['frames']:,} frames, {totals['judged']:,} answers judged, "
            f"{totals['parsed']:,} requests parsed in {totals['seconds']:.0f} s; "
            f"counters never moved: {', '.join(sorted(unseen)) or 'none'}",
            flush=True,
        )
        if time.monotonic() >= until:
            return 0
        seed += 2


if __name__ == "__main__":
    sys.exit(main())
