"""The Python twin of the image's layout against cython_ext/abi/image.h, asked through the C compiler."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from bypass.site import layout, sections

HEADERS = Path(__file__).parents[2] / "cython_ext"

PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include "abi/image.h"
#define SHOW(name, value) printf("%s %llu\n", name, (unsigned long long)(value))
int main(void)
{
    static struct {
        struct image_header header;
        struct image_host host;
        struct image_response response;
        struct image_rule rule;
        struct image_area area;
        struct image_resource resource;
        struct image_slot slot;
        struct image_policy policy;
        struct image_line line;
    } all;
    if (fread(&all, sizeof all, 1, stdin) != 1 || getchar() != EOF)
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
    "IMAGE_NONE": layout.NONE,
    "IMAGE_ERROR_SLOTS": layout.ERROR_SLOTS,
    "IMAGE_CAPTURES_MOST": layout.CAPTURES_MOST,
    "IMAGE_LINES_MOST": layout.LINES_MOST,
    "IMAGE_LINE_BYTES_MOST": layout.LINE_BYTES_MOST,
    "IMAGE_RESPONSE_CLOSE": layout.RESPONSE_CLOSE,
    "IMAGE_RESPONSE_LARGE": layout.RESPONSE_LARGE,
    "IMAGE_RESPONSE_CARE": layout.RESPONSE_CARE,
    "IMAGE_LINE_SLOTS": layout.LINE_SLOTS,
    "IMAGE_CARD_BYTES": layout.CARD_BYTES,
    "IMAGE_CARD_BODY_MOST": layout.CARD_BODY_MOST,
    "IMAGE_CARD_KEY_MOST": layout.CARD_KEY_MOST,
    "IMAGE_TAG_BYTES": layout.TAG_BYTES,
    "IMAGE_TAG_AT": layout.TAG_AT,
    "IMAGE_MODIFIED_BYTES": layout.MODIFIED_BYTES,
    "IMAGE_MODIFIED_AT": layout.MODIFIED_AT,
    "offsetof(struct image_response, card)": layout.CARD_AT,
    "IMAGE_CODING_IDENTITY": layout.CODINGS.index(""),
    "IMAGE_CODING_GZIP": layout.CODINGS.index("gzip"),
    "IMAGE_CODING_BR": layout.CODINGS.index("br"),
    "IMAGE_CODING_ZSTD": layout.CODINGS.index("zstd"),
    "IMAGE_ERROR_COUNT": len(layout.ErrorSlot),
    "sizeof(IMAGE_MAGIC) - 1": len(layout.MAGIC),
    "memcmp(IMAGE_MAGIC, all.header.magic, sizeof all.header.magic)": 0,
    **{f"IMAGE_{slot.name}": slot.value for slot in layout.ErrorSlot},
    **{f"IMAGE_RULE_{flag.name}": flag.value for flag in layout.RuleFlag},
    **{f"IMAGE_HOST_{flag.name}": flag.value for flag in layout.HostFeature},
    **{f"IMAGE_OP_{op.name}": op.value for op in layout.Op},
    **{
        f"IMAGE_KEY_{name}[{place}]": octet
        for name, key in {
            "AREA": layout.KEY_AREA,
            "POLICY": layout.KEY_POLICY,
            "PAGE": layout.KEY_PAGE,
            "HOST": layout.KEY_HOST,
            "WILD_HOST": layout.KEY_WILD_HOST,
        }.items()
        for place, octet in enumerate(key + b"\0")
    },
}

RECORDS: dict[str, tuple[struct.Struct, tuple[str, ...]]] = {
    "slot": (layout.SLOT, layout.SLOT_FIELDS),
    "response": (layout.RESPONSE, layout.RESPONSE_FIELDS[:-1]),
    "resource": (layout.RESOURCE, layout.RESOURCE_FIELDS),
    "rule": (layout.RULE, layout.RULE_FIELDS),
    "area": (layout.AREA, layout.AREA_FIELDS[:-1]),
    "policy": (layout.POLICY, layout.POLICY_FIELDS),
    "line": (layout.LINE, layout.LINE_FIELDS),
    "host": (layout.HOST, layout.HOST_FIELDS[:-1]),
    "header": (sections.HEADER, sections.HEADER_FIELDS[1:-1]),
}
"""Name of the C record -> its Python twin and the fields that are single numbers."""


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


ORDER = ("header", "host", "response", "rule", "area", "resource", "slot", "policy", "line")


def test_every_field_and_constant_is_where_and_what_the_c_header_says(tmp_path: Path) -> None:
    expected = dict(CONSTANTS)
    given = b""
    errors = list(range(401, 401 + layout.ERROR_SLOTS))
    salt, card = bytes(range(layout.SALT_BYTES)), bytes(range(layout.CARD_BYTES))
    lasts: dict[str, list[bytes] | list[int]] = {
        "area": [salt],
        "response": [card],
        "header": errors,
        "host": errors,
    }
    for number, name in enumerate(ORDER, 1):
        packer, fields = RECORDS[name]
        octets = ("flags", "coding", "own_bytes", "key_bytes") if name == "response" else ()
        values = {
            field: place if field in octets else 1000 * number + place for place, field in enumerate(fields)
        }
        last = lasts.get(name, [])
        first = [layout.MAGIC] if name == "header" else []
        given += packer.pack(*first, *values.values(), *last)
        expected[f"sizeof(struct image_{name})"] = packer.size
        expected |= {f"all.{name}.{field}": value for field, value in values.items()}
        if name in ("header", "host"):
            expected |= {f"all.{name}.errors[{place}]": value for place, value in enumerate(errors)}
    expected |= {f"all.area.salt[{place}]": value for place, value in enumerate(salt)}
    expected |= {f"all.response.card[{place}]": value for place, value in enumerate(card)}
    expected |= {f"all.header.reserved[{place}]": 0 for place in range(7)}
    assert ask_compiler(tmp_path, expected, given) == expected


def test_a_header_packs_to_what_its_fields_say() -> None:
    lie = sections.Sections(
        slots_count=8, paths_bytes=65, responses_count=3, heads_bytes=100, sums_count=5, bodies_bytes=7
    )
    header = sections.Header(
        lie, 9, 2, 1, names_first=4, names_count=4, default_host=0, errors=tuple(range(16))
    )
    fields = dict(zip(sections.HEADER_FIELDS, sections.HEADER.unpack(header.pack()), strict=False))
    assert fields["slots_offset"] == 384
    assert fields["paths_offset"] == 384 + 8 * 16
    assert fields["hosts_offset"] == 512 + 128
    assert fields["responses_offset"] == fields["texts_offset"] == 640 + 128
    assert fields["heads_offset"] == 768 + 3 * 256
    assert fields["sums_offset"] == 1536 + 128
    assert fields["bodies_offset"] == 1664 + 64
    assert fields["image_bytes"] == 1728 + 64
    assert sections.header_from(sections.HEADER.unpack(header.pack())[1:]) == header


@pytest.mark.parametrize(("octets", "expected"), [(0, 0), (1, 64), (64, 64), (65, 128)])
def test_sections_are_rounded_up_to_64(octets: int, expected: int) -> None:
    assert layout.aligned(octets) == expected
