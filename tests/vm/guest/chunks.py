"""Runs in the guest: serves one page in zero-copy mode with frames of a size that a person cannot choose.

Started by starter.py. Serves until SIGTERM, then prints counters as one JSON object.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from bypass.config import ServeOptions
from bypass.serve.content import open_site
from bypass.serve.parts import kernel_parts
from bypass.serve.preflight import prepare
from bypass.serve.server import open_server
from bypass.serve.signals import StopRequest


def main(interface: str, address: str, frame_bytes: str) -> int:
    site = "/srv/site.img"
    options = ServeOptions(site=site, interface=interface, address=(address,), memory="zero-copy")
    plan = dataclasses.replace(prepare(options, "chunks"), frame_bytes=int(frame_bytes))
    with (
        StopRequest() as stop,
        open_site(Path(site), None) as image,
        open_server(plan, image.buffer, kernel_parts()) as server,
    ):
        stop.attend()
        print("of packets", flush=True)
        while not stop.wait(60.0):
            pass
        server.stop()
        counters = server.counters() | {"lost": server.frames_lost(), "zero_copy": server.zero_copy}
    print(json.dumps(counters))
    return 0
