"""The Python twin of the image's layout against cython_ext/abi/image.h, asked through the C compiler."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from bypass.site import layout

HEADERS = Path(__file__).parents[2] / "cython_ext"

PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include "abi/image.h"
#define SHOW(name, value) printf("%s %llu\n", name, (unsigned long long)(value))
int main(void)
{
    static struct image_slot slot;
    static struct image_response response;
    static struct image_header header;
    if (fread(&slot, sizeof slot, 1, stdin) != 1 || fread(&response, sizeof response, 1, stdin) != 1
        || fread(&header, sizeof header, 1, stdin) != 1 || getchar() != EOF)
        return 1;
%s
    return 0;
}
"""

CONSTANTS: dict[str, int] = {
    "IMAGE_VERSION": layout.VERSION,
    "IMAGE_ALIGN": layout.ALIGN,
    "IMAGE_SUM_STEP": layout.SUM_STEP,
    "IMAGE_DATE_BYTES": layout.DATE_BYTES,
    "IMAGE_ETAG_BYTES": layout.ETAG_BYTES,
    "IMAGE_EMPTY_SLOT": layout.EMPTY_SLOT,
    "IMAGE_ERROR_SLOTS": layout.ERROR_SLOTS,
    "IMAGE_RESPONSE_CLOSE": layout.RESPONSE_CLOSE,
    "IMAGE_ERROR_COUNT": len(layout.ErrorSlot),
    "sizeof(IMAGE_MAGIC) - 1": len(layout.MAGIC),
    "memcmp(IMAGE_MAGIC, header.magic, sizeof header.magic)": 0,
    "sizeof(struct image_slot)": layout.SLOT.size,
    "sizeof(struct image_response)": layout.RESPONSE.size,
    "sizeof(struct image_header)": layout.HEADER.size,
    **{f"IMAGE_{slot.name}": slot.value for slot in layout.ErrorSlot},
}


def ask_compiler(tmp_path: Path, questions: Mapping[str, int], given: bytes) -> dict[str, int]:
    """The C value of every expression, with `given` read into slot, response and header."""
    compiler = shutil.which("cc") or shutil.which("clang")
    assert compiler, "the tests need a C compiler"
    lines = "\n".join(f'    SHOW("{name.replace(" ", "~")}", {name});' for name in questions)
    source = tmp_path / "layout.c"
    source.write_text(PROGRAM.replace("%s\n    return", lines + "\n    return"))
    program = tmp_path / "layout"
    subprocess.run([compiler, "-std=c11", "-I", HEADERS, "-o", program, source], check=True)
    output = subprocess.run([program], input=given, stdout=subprocess.PIPE, check=True).stdout.decode()
    return {name.replace("~", " "): int(value) for name, value in map(str.split, output.splitlines())}


def numbered(fields: tuple[str, ...], first: int) -> dict[str, int]:
    """A different value for every field, small enough for 16 bits."""
    return {name: first + number for number, name in enumerate(fields)}


def test_every_field_and_constant_is_where_and_what_the_c_header_says(tmp_path: Path) -> None:
    slot = numbered(layout.SLOT_FIELDS, 101)
    response = numbered(layout.RESPONSE_FIELDS, 201)
    header = numbered(layout.HEADER_FIELDS[1:-1], 301)
    errors = list(range(401, 401 + layout.ERROR_SLOTS))
    given = layout.SLOT.pack(*slot.values()) + layout.RESPONSE.pack(*response.values())
    given += layout.HEADER.pack(layout.MAGIC, *header.values(), *errors)
    expected = dict(CONSTANTS)
    for struct_name, fields in (("slot", slot), ("response", response), ("header", header)):
        expected |= {f"{struct_name}.{name}": value for name, value in fields.items()}
    expected |= {f"header.errors[{number}]": value for number, value in enumerate(errors)}
    expected |= {f"header.reserved[{number}]": 0 for number in range(3)}
    expected |= {f"response.reserved[{number}]": 0 for number in range(3)}
    assert ask_compiler(tmp_path, expected, given) == expected


def test_a_header_packs_to_what_its_fields_say() -> None:
    sections = layout.Sections(
        slots_count=8, paths_bytes=65, responses_count=3, heads_bytes=100, sums_count=5, bodies_bytes=7
    )
    header = layout.Header(sections, checksum=9, max_probe=2, files=1, errors=tuple(range(14)))
    fields = dict(zip(layout.HEADER_FIELDS, layout.HEADER.unpack(header.pack()), strict=False))
    assert fields["slots_offset"] == 256
    assert fields["paths_offset"] == 256 + 8 * 16
    assert fields["responses_offset"] == 384 + 128
    assert fields["heads_offset"] == 512 + 3 * 64
    assert fields["sums_offset"] == 704 + 128
    assert fields["bodies_offset"] == 832 + 64
    assert fields["image_bytes"] == 896 + 64
    assert layout.header_from(layout.HEADER.unpack(header.pack())[1:]) == header


@pytest.mark.parametrize(("octets", "expected"), [(0, 0), (1, 64), (64, 64), (65, 128)])
def test_sections_are_rounded_up_to_64(octets: int, expected: int) -> None:
    assert layout.aligned(octets) == expected
