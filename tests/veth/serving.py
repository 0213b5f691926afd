"""A server of this process's own on one end of a pair, its counters at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bypass.config import ServeOptions
from bypass.serve.content import open_site
from bypass.serve.parts import kernel_parts
from bypass.serve.preflight import prepare
from bypass.serve.server import Server, open_server
from bypass.serve.vethpair import VethPair


@contextmanager
def serving(pair: VethPair, files: Mapping[str, bytes], **options: object) -> Iterator[Server]:
    """Serves `files` from the pair's server end; `options` are of ServeOptions."""
    with tempfile.TemporaryDirectory() as folder, pair.inside_server():
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        wanted = ServeOptions(site=folder, interface=pair.server.ifname, **options)  # type: ignore[arg-type]
        plan = prepare(wanted, "the test")
        with (
            open_site(Path(folder), None) as image,
            open_server(plan, image.buffer, kernel_parts()) as server,
        ):
            yield server
