"""A function that does nothing but prefetch() has no effect that gcc knows: calls of it were taken out."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

FETCHES = {"x86_64": "prefetcht0", "aarch64": "prfm"}
"""By machine, the instruction looked for."""

HEADERS = Path(__file__).parents[2] / "cython_ext"

PROGRAM = """
#include "abi/bytes.h"
struct place { uint64_t head, body; uint32_t head_bytes, body_bytes; };
static inline void fetch_lines(const uint8_t *start, uint64_t octets, uint32_t most)
{
    uint64_t lines = (octets + 63) / 64;
    lines = lines < most ? lines : most;
    for (uint32_t k = 0; k < (uint32_t)lines; k++)
        prefetch(start + 64 * k);
}
static inline void fetch_place(const struct place *place, const uint8_t *image)
{
    fetch_lines(image + place->head, place->head_bytes, 8);
    fetch_lines(image + place->body, place->body_bytes, 18);
    prefetch(image + place->body + place->body_bytes);
}
void answer(const struct place **places, const uint8_t *image, uint32_t count, void (*one)(uint32_t));
void answer(const struct place **places, const uint8_t *image, uint32_t count, void (*one)(uint32_t))
{
    for (uint32_t i = 0; i < count; i++) {
        if (i + 4 < count && places[i + 4])
            fetch_place(places[i + 4], image);
        one(i);
    }
}
"""


def test_what_only_fetches_is_compiled(tmp_path: Path) -> None:
    source = tmp_path / "loop.c"
    source.write_text(PROGRAM)
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler is not None
    done = subprocess.run(
        [compiler, "-O3", "-S", "-o", "-", f"-I{HEADERS}", str(source)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert FETCHES[platform.machine()] in done.stdout
