"""What a site's number of files costs: a random walk over many small ones beside one over a hundred.

Every file has other octets, so each has its own slot, record, head and body in the image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from bypass._bench import Bench
from bypass.bench.kinds import described
from bypass.site.resource import Host, Representation, Resource, Site

FEW = 100
CONNECTIONS = 64
_REQUESTS = 300_000
_WALK_MOST = 200_000  # requests in memory at a time: they must not be what is measured


@dataclass(frozen=True, slots=True)
class Walk:
    """Median nanoseconds of the engine per request over so many files; what their image takes."""

    files: int
    ns: float
    image_bytes: int
    compile_s: float


def small_files(count: int) -> Site:
    resources = {
        b"/d%03d/f%08d" % (number % 1000, number): Resource(
            (Representation(b"%08d" % number * 12),), "text/plain"
        )
        for number in range(count)
    }
    return Site((Host(resources=resources),), files=count)


def requests_for(count: int) -> tuple[bytes, int]:
    """Requests of one size for files all over the site, one behind the other, and how many."""
    many = min(count, _WALK_MOST)
    step = count // many
    text = b"GET /d%03d/f%08d HTTP/1.1\r\nHost: bench.example\r\n\r\n"
    return b"".join(text % (number % 1000, number) for number in range(0, many * step, step)), many


def measure_walks(counts: tuple[int, ...], runs: int, progress: Callable[[str], None]) -> list[Walk]:
    found = []
    for count in counts:
        progress(f"{count:,} files: compiling")
        started = time.monotonic()
        with described(small_files(count)) as image:
            compile_s = time.monotonic() - started
            bench = Bench(image.buffer, CONNECTIONS)
            bench.open()
            requests, many = requests_for(count)
            progress(f"{count:,} files: walking")
            bench.ask(requests, _REQUESTS, many)
            ns = median(bench.ask(requests, _REQUESTS, many)[0] for _ in range(runs))
            found.append(Walk(count, ns, image.image_bytes, compile_s))
            del bench
    return found
