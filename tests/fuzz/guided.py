"""Runs the coverage-guided fuzzer's targets, two at a time, and reads what libFuzzer says of them."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bypass.site.compile import compile_description
from tests.fuzz.frames import frame_seeds
from tests.fuzz.guided_build import FOLDER, build_guided, environment
from tests.fuzz.site import bodies, describe_files, tags
from tests.fuzz.texts import SITE, WORDS, request_texts

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
FINDINGS = HERE / "findings"
TARGETS = {"tcp": 1200, "stream": 600, "request": 2000, "wire": 400}
"""Name -> octets of an input at most."""
LANES: tuple[dict[str, float], ...] = ({"tcp": 1.0}, {"stream": 0.5, "request": 0.25, "wire": 0.25})
"""What runs beside each other: target -> its part of the time."""
PLANTS = ("none", "leak", "sequence", "buffer", "window", "body", "resent", "resent_faulty", "deep")
"""Of cython_ext/fuzz/plant.pxd, in its order."""

_LINE = re.compile(r"^#(\d+)\s+([A-Z]+)\s.*?cov: (\d+) ft: (\d+) corp: (\d+)/", re.M)
_EDGES = re.compile(r"inline 8-bit counters\): (\d+)|\((\d+) inline 8-bit counters\)")


@dataclass
class Run:
    """One run of one target: what was reached, and what was found."""

    target: str
    seconds: float = 0.0
    runs: int = 0
    edges_first: int = 0  # covered by the corpus that it began with
    edges: int = 0
    edges_total: int = 0
    features: int = 0
    corpus: int = 0
    returncode: int = 0
    log: list[str] = field(default_factory=list)
    finding: Path | None = None

    def read(self, line: str) -> None:
        """Takes in a line of libFuzzer's."""
        self.log.append(line)
        if total := _EDGES.search(line):
            self.edges_total = int(total[1] or total[2])
        if told := _LINE.match(line):
            self.runs, self.edges, self.features, self.corpus = (int(told[n]) for n in (1, 3, 4, 5))
            if told[2] == "INITED":
                self.edges_first = self.edges

    def words(self) -> str:
        """A line for a person."""
        rate = self.runs / self.seconds if self.seconds else 0
        grown = f"{self.edges_first:,} -> {self.edges:,}"
        found = "no finding" if self.returncode == 0 else f"FINDING: {self.finding or self.reason()}"
        return (
            f"{self.target:8} {self.seconds:5.0f} s {self.runs:11,} runs {rate:8,.0f}/s  "
            f"edges {grown} of {self.edges_total:,}  features {self.features:,}  "
            f"corpus {self.corpus:,}  {found}"
        )

    def reason(self) -> str:
        """The line that says what broke."""
        for line in self.log:
            if "fuzz: broken" in line or "ERROR:" in line or "runtime error" in line or "hangs" in line:
                return line.strip()
        return self.log[-1].strip() if self.log else "it did not start"


def prepare_guided(folder: Path) -> Path:
    """Builds the targets; site, requests, files and dictionary for them, in `folder`."""
    build_guided()
    folder.mkdir(parents=True, exist_ok=True)
    described = describe_files(SITE)
    with (folder / "site.img").open("w+b") as output:
        compile_description(described, output, name="fuzz")
    (folder / "requests").write_bytes(packed(request_texts()))
    (folder / "files").write_bytes(packed(bodies(described)))
    words = [*WORDS, *(tag.encode() for tag in tags(described))]
    escaped = ("".join(f"\\x{octet:02x}" for octet in word) for word in words)
    (folder / "words").write_text("".join(f'"{word}"\n' for word in escaped))
    return folder


def packed(items: Sequence[bytes]) -> bytes:
    """How many, where each ends, their octets: as cython_ext/fuzz_guided.pyx reads it."""
    ends = [0]
    for item in items:
        ends.append(ends[-1] + len(item))
    return struct.pack(f"={len(ends)}I", len(items), *ends[1:]) + b"".join(items)


def corpus_of(target: str) -> dict[str, bytes]:
    """The inputs kept in the repository."""
    path = CORPUS / f"{target}.zip"
    if not path.exists():
        return {}
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def seeds_of(target: str) -> dict[str, bytes]:
    """The corpus, and what a person wrote down for the parsers."""
    written: Iterable[bytes] = ()
    if target in ("request", "stream"):
        written = request_texts()
    elif target == "wire":
        written = frame_seeds()
    named = {f"written-{number}": text for number, text in enumerate(written)}
    return {name: text for name, text in (named | corpus_of(target)).items() if len(text) <= TARGETS[target]}


def unpack(inputs: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, octets in inputs.items():
        (folder / name).write_bytes(octets)
    return folder


def fuzz(
    target: str,
    data: Path,
    corpus: Path | None,
    *arguments: str,
    told: Callable[[Run], None] | None = None,
    timeout_s: float = 600.0,
) -> Run:
    """One process of libFuzzer. `told` is called at each line of its."""
    command = [str(build_guided()), f"--target={target}", f"--data={data}", "-print_final_stats=1"]
    command += [f"-artifact_prefix={data}/found-{target}-", "-timeout=25", "-entropic=0", "-reload=0"]
    command += ["-len_control=0", f"-max_len={TARGETS[target]}", "-rss_limit_mb=2048", *arguments]
    if target in ("request", "stream"):
        command.append(f"-dict={data}/words")
    command += [str(corpus)] if corpus else []
    run = Run(target)
    begun = time.monotonic()
    with subprocess.Popen(
        command,
        env=environment(),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        errors="replace",
    ) as process:
        killer = threading.Timer(timeout_s, process.kill)
        killer.start()
        assert process.stderr is not None
        for line in process.stderr:
            run.seconds = time.monotonic() - begun
            run.read(line.rstrip("\n"))
            if told is not None:
                told(run)
        run.returncode = process.wait()
        killer.cancel()
    run.seconds = time.monotonic() - begun
    found = sorted(data.glob(f"found-{target}-*"), key=lambda path: path.stat().st_mtime)
    run.finding = found[-1] if run.returncode and found else None
    return run


def fuzz_all(
    data: Path, corpora: Path, seconds: float, seed: int, told: Callable[[Run], None] | None = None
) -> list[Run]:
    """Every target, in lanes beside each other, `seconds` in all. `corpora`: a folder of each, which grow."""
    build_guided()

    def lane(parts: dict[str, float]) -> list[Run]:
        runs = []
        for target, part in parts.items():
            corpus = unpack(seeds_of(target), corpora / target)
            limits = (f"-seed={seed}", f"-max_total_time={max(round(seconds * part), 1)}")
            runs.append(fuzz(target, data, corpus, *limits, told=told, timeout_s=seconds + 300))
        return runs

    with ThreadPoolExecutor(len(LANES)) as pool:
        return [run for runs in pool.map(lane, LANES) for run in runs]


def keep_finding(run: Run) -> Path | None:
    """Copies what was found to where it outlives the run."""
    if run.finding is None:
        return None
    kept = FOLDER / "findings"
    kept.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(run.finding, kept))


def pack_corpus(target: str, data: Path, grown: Path, folder: Path) -> int:
    """Minimizes a grown corpus to what covers the same, and keeps it in the repository. How many inputs."""
    smaller = folder / f"merged-{target}"
    smaller.mkdir()
    merged = fuzz(target, data, None, "-merge=1", str(smaller), str(grown), timeout_s=1200)
    assert merged.returncode == 0, merged.log[-20:]
    CORPUS.mkdir(exist_ok=True)
    paths = sorted(smaller.iterdir())
    with zipfile.ZipFile(CORPUS / f"{target}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in paths:
            archive.writestr(zipfile.ZipInfo(path.name[:16]), path.read_bytes(), zipfile.ZIP_DEFLATED, 9)
    return len(paths)
