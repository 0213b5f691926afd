"""Runs in a process of its own, under the sanitizers: `python child.py '{"extension": …, "image": …, …}'`.

Prints totals as JSON. A breach ends the process before that.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any


def load(extension: str) -> Any:
    spec = importlib.util.spec_from_file_location("bypass._fuzz", extension)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def memory_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    job = json.loads(sys.argv[1])
    texts = [bytes.fromhex(text) for text in json.loads(Path(job["texts"]).read_text())]
    fuzzer = load(job["extension"]).Fuzzer(Path(job["image"]).read_bytes(), texts)
    started = time.monotonic()
    if "breach" in job:
        fuzzer.breach(job["breach"])
    if "world" in job:
        fuzzer.world(job["world"])
    frames = job.get("frames", 0)
    if frames:
        fuzzer.frames(job["seed"], frames // 10)
    early_kib = memory_kib()
    if frames:
        fuzzer.frames(job["seed"] + 1, frames - frames // 10)
    if job.get("rounds", 0):
        fuzzer.requests(job["seed"], job["rounds"])
    totals = fuzzer.totals()
    totals |= {"seconds": time.monotonic() - started, "early_kib": early_kib, "late_kib": memory_kib()}
    print(json.dumps(totals))


main()
