"""`python -m tests.fuzz`: coverage-guided targets and random worlds for some minutes, from a new seed.

What is found stays in build/guided/findings; `--target NAME --replay FILE` runs it again. A breach in a
random world prints its seed; `--world SEED` runs that world again. `--pack` keeps what the
targets have grown to.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.fuzz.guided import (
    LANES,
    TARGETS,
    Run,
    fuzz,
    fuzz_all,
    keep_finding,
    pack_corpus,
    prepare_guided,
)
from tests.fuzz.guided_build import FOLDER, build_guided
from tests.fuzz.runner import Fuzz, prepare, totals_of

FRAMES_A_ROUND = 1_000_000
TEXTS_A_ROUND = 150_000
TOLD_EVERY_S = 10.0
RANDOM_PART = 0.2
"""Of the time, for random worlds; the rest is the coverage-guided targets'."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--world", type=int, default=None)
    parser.add_argument("--target", choices=TARGETS, default=None)
    parser.add_argument("--replay", type=Path, default=None)
    parser.add_argument("--pack", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.world is not None:
            done = prepare(folder).run(world=options.world, timeout_s=600)
            sys.stderr.write(done.stderr)
            return done.returncode
        if options.replay is not None:
            run = fuzz(options.target or "tcp", prepare_guided(folder), options.replay)
            print("\n".join(run.log))
            return run.returncode
        seed = secrets.randbits(31) + 1 if options.seed is None else options.seed
        print(f"fuzz: seed {seed}", flush=True)
        begun = time.monotonic()
        broken = _guided(folder, seed, options.minutes * 60 * (1 - RANDOM_PART), options.pack)
        random_s = options.minutes * 60 * RANDOM_PART
        broken += _random(prepare(folder / "random"), seed, time.monotonic() + random_s)
        seconds = time.monotonic() - begun
        print(f"fuzz: {broken or 'no'} finding{'s' * (broken > 1)} in {seconds:.0f} s, seed {seed}")
        return 1 if broken else 0


class Teller:
    """Says now and then how far each target is, so that a person sees coverage grow."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, run: Run) -> None:
        with self._lock:
            if run.runs and run.seconds >= self._next.get(run.target, 0):
                self._next[run.target] = run.seconds + TOLD_EVERY_S
                print(f"fuzz: {run.words().removesuffix('  no finding')}", flush=True)


def _guided(folder: Path, seed: int, seconds: float, pack: bool) -> int:
    """How many targets found something."""
    data = prepare_guided(folder / "guided")
    print("fuzz: building the coverage-guided targets", flush=True)
    build_guided()
    corpora = FOLDER / "corpus"
    runs = fuzz_all(data, corpora, seconds, seed, Teller())
    for run in runs:
        print(f"fuzz: {run.words()}", flush=True)
        if run.returncode:
            kept = keep_finding(run)
            print("\n".join(line for line in run.log[-60:] if not line.startswith("#")))
            print(f"fuzz: {run.reason()}")
            print(f"fuzz: again: python -m tests.fuzz --target {run.target} --replay {kept}")
        elif pack:
            inputs = pack_corpus(run.target, data, corpora / run.target, folder)
            print(f"fuzz: {run.target}: {inputs} inputs kept")
    assert sum(len(lane) for lane in LANES) == len(runs)
    return sum(run.returncode != 0 for run in runs)


def _random(fuzz: Fuzz, seed: int, until: float) -> int:
    """1 when a random world or text broke something."""
    unseen: set[str] | None = None
    while True:
        done = fuzz.run(seed=seed, frames=FRAMES_A_ROUND, rounds=TEXTS_A_ROUND, timeout_s=600)
        if done.returncode != 0:
            sys.stderr.write(done.stderr)
            print(f"fuzz: random worlds: broken with seed {seed}", flush=True)
            return 1
        totals = totals_of(done)
        never = {name for name, value in totals["counters"].items() if value == 0}
        unseen = never if unseen is None else unseen & never
        print(
            f"fuzz: random worlds: {totals['frames']:,} frames, {totals['judged']:,} answers judged, "
            f"{totals['parsed']:,} requests parsed in {totals['seconds']:.0f} s; "
            f"counters never moved: {', '.join(sorted(unseen)) or 'none'}",
            flush=True,
        )
        if time.monotonic() >= until:
            return 0
        seed += 2


if __name__ == "__main__":
    sys.exit(main())
