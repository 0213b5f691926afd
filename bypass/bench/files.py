"""What a site's number of files costs: a random walk over many small ones beside one over a hundred.

Every file has other octets, so each has its own slot, card and body in the image. The walks take turns in
short runs, so that what else the machine does meets all of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random
from statistics import median, quantiles

from bypass._bench import Bench
from bypass.bench.kinds import described
from bypass.site.resource import Host, Representation, Resource, Site

FEW = 100
BODY_BYTES = (96, 1024)
CONNECTIONS = 64
_REQUESTS = 6_400
_ROUNDS = 10  # short runs for each one asked for
_WALK = 200_000  # requests in memory, of any walk: they must not be what is measured


@dataclass(frozen=True, slots=True)
class Walk:
    """Nanoseconds of the engine per request over so many files of that size, the median and the first decile
    of the runs; what their image takes."""

    files: int
    body_bytes: int
    ns: float
    quiet_ns: float
    image_bytes: int
    compile_s: float


def small_files(count: int, body_bytes: int = BODY_BYTES[0]) -> Site:
    resources = {
        b"/d%03d/f%08d" % (number % 1000, number): Resource(
            (Representation(b"%08d" % number * (body_bytes // 8)),), "text/plain"
        )
        for number in range(count)
    }
    return Site((Host(resources=resources),), files=count)


def requests_for(count: int) -> tuple[bytes, int]:
    """Requests of one size for files all over the site, one behind the other, and how many: as many for a few
    files as for many."""
    dice = Random(1)
    names = (dice.randrange(count) for _ in range(_WALK))
    text = b"GET /d%03d/f%08d HTTP/1.1\r\nHost: bench.example\r\n\r\n"
    return b"".join(text % (number % 1000, number) for number in names), _WALK


def measure_walks(
    counts: tuple[int, ...], runs: int, progress: Callable[[str], None], sizes: tuple[int, ...] = BODY_BYTES
) -> list[Walk]:
    """For each size of body a walk for each count, in the order of counts."""
    return [walk for size in sizes for walk in _measure_size(counts, size, runs, progress)]


def _measure_size(
    counts: tuple[int, ...], body_bytes: int, runs: int, progress: Callable[[str], None]
) -> list[Walk]:
    with ExitStack() as open_images:
        made: list[tuple[int, float, int, Bench, bytes]] = []
        for count in counts:
            progress(f"{count:,} files of {body_bytes} B: compiling")
            started = time.monotonic()
            image = open_images.enter_context(described(small_files(count, body_bytes)))
            compile_s = time.monotonic() - started
            bench = Bench(image.buffer, CONNECTIONS)
            bench.open()
            made.append((image.image_bytes, compile_s, count, bench, requests_for(count)[0]))
        progress(f"bodies of {body_bytes} B: walking")
        samples: list[list[float]] = [[] for _ in counts]
        for each in range(1 + runs * _ROUNDS):
            for (_, _, _, bench, requests), found in zip(made, samples, strict=True):
                ns = bench.ask(requests, _REQUESTS if each else _WALK, _WALK)[0]
                if each:
                    found.append(ns)
        walks = [
            Walk(count, body_bytes, median(found), quantiles(found, n=10)[0], image_bytes, compile_s)
            for (image_bytes, compile_s, count, _, _), found in zip(made, samples, strict=True)
        ]
        del bench
        made.clear()
    return walks
