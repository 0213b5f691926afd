"""Progress of a site compile that takes longer than a second, the same in every command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from bypass.cli.build import SiteProgress
from bypass.cli.console import Messages
from bypass.serve.signals import StopRequest
from bypass.site.compile import Progress


@contextmanager
def site_progress(messages: Messages, stop: StopRequest) -> Iterator[Progress]:
    """The `progress` argument of the site compiler; ends the compile at a stop request."""
    shown = SiteProgress(messages.console, quiet=messages.verbosity < 0)

    def progress(done_bytes: int, total_bytes: int) -> None:
        stop.check()
        shown(done_bytes, total_bytes)

    try:
        yield progress
    finally:
        shown.stop()
