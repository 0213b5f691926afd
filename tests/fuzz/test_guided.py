"""Coverage-guided fuzzing: what it kept and found runs again, it searches for two minutes, it can find."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.guided import (
    FINDINGS,
    PLANTS,
    TARGETS,
    Run,
    corpus_of,
    fuzz,
    fuzz_all,
    packed,
    prepare_guided,
    unpack,
)

SEED = 20_261_124
SECONDS = 60  # of each of two lanes: two minutes in all
CORPUS_MOST_BYTES = 1_000_000
EDGES = {"tcp": 2900, "stream": 2080, "request": 1000, "wire": 400}
"""Of the engine, that each corpus covers at least."""
BREACHES = {
    "leak": "no frame is lost",
    "sequence": "snd_una <= snd_nxt",
    "buffer": "no request buffer is lost",
    "window": "the peer's window is kept to",
    "body": "octets delivered are octets of the file",
    "resent": "what is sent again is the same",
    "resent_faulty": "what is sent again is the same",
}
"""Fault -> words of the invariant that must notice it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_guided(tmp_path_factory.mktemp("guided"))


def told(run: Run) -> str:
    return "\n".join([run.reason(), *run.log[-40:]])


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_breaks_nothing_and_reaches_what_it_did(target: str, data: Path, tmp_path: Path) -> None:
    corpus = unpack(corpus_of(target), tmp_path / "corpus")
    run = fuzz(target, data, corpus, "-runs=0")
    assert run.returncode == 0, told(run)
    assert run.edges >= EDGES[target]


def test_the_corpus_is_small() -> None:
    corpora = [corpus_of(target) for target in TARGETS]
    assert all(len(corpus) > 20 for corpus in corpora)
    assert (
        sum((FINDINGS.parent / "corpus" / f"{name}.zip").stat().st_size for name in TARGETS)
        < CORPUS_MOST_BYTES
    )


@pytest.mark.parametrize("finding", sorted(path.name for path in FINDINGS.iterdir() if path.suffix == ".bin"))
def test_what_was_found_is_mended(finding: str, data: Path) -> None:
    run = fuzz(finding.split("-")[0], data, FINDINGS / finding)
    assert run.returncode == 0, told(run)


@pytest.mark.slow
def test_two_minutes_find_nothing(data: Path, tmp_path: Path) -> None:
    runs = fuzz_all(data, tmp_path, SECONDS, SEED)
    for run in runs:
        print(run.words())
    assert [run.target for run in runs if run.returncode] == [], "\n".join(map(told, runs))
    assert sorted(run.target for run in runs) == sorted(TARGETS)
    assert all(run.runs > 2 * len(corpus_of(run.target)) for run in runs)


def test_coverage_leads_to_a_whole_request_from_nothing(data: Path) -> None:
    """Octets by chance would never make one: each step on the way must be kept."""
    run = fuzz("request", data, None, "-seed=1", "-max_total_time=240", f"--plant={PLANTS.index('deep')}")
    assert "planted: a whole request" in run.reason(), told(run)


def test_coverage_leads_to_a_lost_segment_found_from_nothing(data: Path) -> None:
    """A handshake, a request, an answer of several segments, and SACKs or duplicate ACKs for a hole in it."""
    run = fuzz("tcp", data, None, "-seed=1", "-max_total_time=240", f"--plant={PLANTS.index('deep')}")
    assert "planted: a fast retransmission" in run.reason(), told(run)


@pytest.mark.parametrize("plant", BREACHES)
def test_a_breach_is_noticed(plant: str, data: Path, tmp_path: Path) -> None:
    corpus = unpack(corpus_of("tcp"), tmp_path / "corpus")
    run = fuzz("tcp", data, corpus, "-runs=0", f"--plant={PLANTS.index(plant)}")
    assert run.returncode != 0
    assert BREACHES[plant] in run.reason()
    assert run.finding is not None


def test_packed_items_are_what_the_targets_read() -> None:
    assert packed([b"ab", b"", b"c"]) == b"".join(n.to_bytes(4, "little") for n in (3, 2, 2, 3)) + b"abc"
