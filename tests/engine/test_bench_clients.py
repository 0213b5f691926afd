"""The benchmark's clients trust the server and answer no repetition: so nothing may be left to repeat."""

from __future__ import annotations

from bypass._bench import Bench
from bypass.site.image import SiteImage

TICKS = 2000
"""About two seconds: more than any timeout of a connection that has measured its round trip."""


def test_time_between_two_runs_repeats_nothing(image: SiteImage) -> None:
    bench = Bench(image.buffer, 64)
    bench.open()
    for path in (b"/b1k", b"/b10k", b"/b64"):
        bench.get(path, 128)
        bench.pass_time(TICKS)
        bench.get(path, 64)
