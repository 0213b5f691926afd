"""The bodies that the benchmarks serve: files of given sizes, the same on every run."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SIZES_BYTES = {"100 B": 100, "1 KB": 1000, "10 KB": 10_000, "1 MB": 1_000_000}


def file_name(label: str) -> str:
    """ "1 KB" -> "1KB.bin"."""
    return label.replace(" ", "") + ".bin"


@contextmanager
def sample_site() -> Iterator[Path]:
    """A folder with one file of each size; removed afterwards."""
    with TemporaryDirectory(prefix="bypass-bench-") as name:
        root = Path(name)
        root.chmod(0o755)
        source = random.Random(1)
        for label, size_bytes in SIZES_BYTES.items():
            (root / file_name(label)).write_bytes(source.randbytes(size_bytes))
        yield root
