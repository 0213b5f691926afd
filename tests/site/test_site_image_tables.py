"""The small sections of an image: what would mislead the engine is refused, whoever made it."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest

from bypass._engine import image_checksum
from bypass.errors import SiteError
from bypass.site.compile import compile_description
from bypass.site.errorpages import redirect
from bypass.site.layout import AREA, HOST, LINE, NONE, POLICY, RESOURCE, RULE, Op
from bypass.site.resource import (
    Area,
    CorsPolicy,
    Host,
    Representation,
    RequestRule,
    Resource,
    Site,
    Wild,
    area_salt,
    credential_digest,
)
from bypass.site.sections import HEADER, Header
from bypass.site.validate import check_image


def page(content: bytes, **more: object) -> Resource:
    return Resource((Representation(content),), "text/html", **more)  # type: ignore[arg-type]


def rich_site() -> Site:
    """One of everything."""
    salt = area_salt("a.example", b"/in/", "realm")
    star = Wild("splat", star=True)
    rules = (
        RequestRule((b"/old/", star), ("/new/", star), 301, query=(("a", Wild("b")), ("c", "d"))),
        RequestRule((b"/", Wild("x"), b"/y"), ("/z/", Wild("x")), 200, forced=True),
        RequestRule((b"/gone",), ("/",), 410),
    )
    forms = (Representation(b"p" * 300), Representation(b"g" * 30, "gzip"))
    full = Host(
        names=("a.example", "*.a.example"),
        default=False,
        resources={
            b"/": page(b"home", modified=1000),
            b"/f": Resource(forms, "text/css"),
            b"/in/x": page(b"x"),
            b"/d": redirect("/d/"),
        },
        rules=rules,
        errors={(404, b"/"): page(b"404", status=404), (404, b"/in/"): page(b"in", status=404)},
        areas=(Area(b"/in/", "realm", salt, (credential_digest(salt, "u", "p"),)),),
        cors=(CorsPolicy(b"/", ("https://b.example",)), CorsPolicy(b"/in/", ("*",))),
    )
    return Site((full, Host(resources={b"/": page(b"other")})), files=3)


def octets_of(site: Site) -> bytes:
    fd = os.memfd_create("image")
    try:
        compile_description(site, fd, name="site")
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


@pytest.fixture(scope="module")
def sound() -> bytes:
    return octets_of(rich_site())


def refusal(octets: bytes | bytearray) -> str:
    with pytest.raises(SiteError) as caught:
        check_image("x.img", memoryview(bytes(octets)))
    return caught.value.why


def resealed(octets: bytes | bytearray) -> bytes:
    fixed = bytearray(octets)
    fixed[24:32] = image_checksum(bytes(octets[: HEADER.size]), bytes(octets[HEADER.size :])).to_bytes(
        8, "little"
    )
    return bytes(fixed)


def header_of(octets: bytes) -> Header:
    return check_image("x.img", memoryview(octets))


def test_one_of_everything_is_accepted_and_the_same_each_time(sound: bytes) -> None:
    header = header_of(sound)
    lie = header.sections
    assert (lie.hosts_count, lie.rules_count, lie.areas_count, lie.policies_count) == (2, 3, 1, 2)
    assert lie.resources_count >= 3
    assert lie.lines_count == 4
    assert octets_of(rich_site()) == sound


def test_every_octet_changed_anywhere_is_noticed(sound: bytes) -> None:
    dice = random.Random(3)
    for place in [*range(HEADER.size), *(dice.randrange(len(sound)) for _ in range(1500))]:
        changed = bytearray(sound)
        changed[place] ^= 1 << dice.randrange(8)
        assert refusal(changed), place


def test_every_truncation_is_refused(sound: bytes, tmp_path: Path) -> None:
    for cut in range(0, len(sound), 61):
        assert refusal(sound[:cut]), cut


def test_random_words_of_the_tables_never_pass_for_sound_ones_unseen(sound: bytes) -> None:
    """Resealed, as a faulty compiler would: either refused with words, or all numbers are within bounds (the
    checks themselves do not fail otherwise)."""
    lie = header_of(sound).sections
    start, end = lie.offset("slots_count"), lie.offset("heads_bytes")
    dice = random.Random(5)
    refused = 0
    for _ in range(1500):
        made = bytearray(sound)
        place = dice.randrange(start, end - 4) & ~3
        word = dice.choice([0, 1, 5, 255, 0x7FFF, 0xFFFF, 1 << 31, NONE, NONE - 1, dice.getrandbits(32)])
        made[place : place + 4] = word.to_bytes(4, "little")
        try:
            check_image("x.img", memoryview(resealed(made)))
        except SiteError:
            refused += 1
    assert refused > 1000


TABLES = {
    "resources_count": RESOURCE,
    "rules_count": RULE,
    "areas_count": AREA,
    "policies_count": POLICY,
    "lines_count": LINE,
    "hosts_count": HOST,
}


def patched(octets: bytes, table: str, number: int, place: int, value: int | bytes) -> bytes:
    record: struct.Struct = TABLES[table]
    offset = header_of(octets).sections.offset(table) + number * record.size
    fields = list(record.unpack_from(octets, offset))
    fields[place] = value
    made = bytearray(octets)
    record.pack_into(made, offset, *fields)
    return resealed(made)


BIG = 1 << 30


@pytest.mark.parametrize(
    ("table", "place", "value", "why"),
    [
        ("resources_count", 0, BIG, "resource 0 is malformed"),
        ("resources_count", 0, 0, "resource 0 is malformed"),
        ("resources_count", 1, 0, "resource 0 is malformed"),
        ("resources_count", 1, 2, "resource 0 is malformed"),
        ("resources_count", 1, NONE, "resource 0 is malformed"),
        ("resources_count", 2, 1, "resource 0 is malformed"),
        ("resources_count", 3, 0, "resource 0 is malformed"),
        ("resources_count", 3, BIG, "resource 0 is malformed"),
        ("resources_count", 4, BIG, "resource 0 is malformed"),
        ("resources_count", 5, BIG, "resource 0 is malformed"),
        ("rules_count", 0, BIG, "leads out of the texts"),
        ("rules_count", 1, 1, "is no program"),
        ("rules_count", 1, NONE, "leads out of the texts"),
        ("rules_count", 1, 0, "rule 0 is malformed"),
        ("rules_count", 3, BIG, "leads out of the texts"),
        ("rules_count", 5, BIG, "leads out of the texts"),
        ("rules_count", 6, NONE, "rule 0 is malformed"),
        ("rules_count", 6, BIG, "rule 0 is malformed"),
        ("rules_count", 7, 200, "rule 0 is malformed"),
        ("rules_count", 8, 8, "rule 0 is malformed"),
        ("rules_count", 8, 0, "rule 0 is malformed"),
        ("areas_count", 0, 0, "area 0 is malformed"),
        ("areas_count", 0, BIG, "area 0 is malformed"),
        ("areas_count", 1, BIG, "area 0 is malformed"),
        ("areas_count", 2, BIG, "area 0 is malformed"),
        ("policies_count", 0, 0, "policy 0 is malformed"),
        ("policies_count", 0, BIG, "policy 0 is malformed"),
        ("policies_count", 1, BIG, "policy 0 is malformed"),
        ("policies_count", 2, BIG, "policy 0 is malformed"),
        ("policies_count", 2, 0, "policy 0 is malformed"),
        ("policies_count", 3, 1, "policy 0 is malformed"),
        ("lines_count", 0, BIG, "a line leads out"),
        ("lines_count", 1, 1025, "a line leads out"),
        ("hosts_count", 0, 1, "do not follow one another"),
        ("hosts_count", 1, 3, "not a power of two"),
        ("hosts_count", 1, 0, "not a power of two"),
        ("hosts_count", 1, BIG, "do not follow one another"),
        ("hosts_count", 2, 16, "host 0 is malformed"),
        ("hosts_count", 2, 0, "host 0 is malformed"),
        ("hosts_count", 3, 0, "has folders of depth"),
        ("hosts_count", 3, NONE, "has folders of depth"),
        ("hosts_count", 4, 1, "host 0 is malformed"),
        ("hosts_count", 5, 4, "host 0 is malformed"),
        ("hosts_count", 5, NONE, "host 0 is malformed"),
        ("hosts_count", 6, 0, "has an error page that is none"),
        ("hosts_count", 6, 1 << 23, "host 0 is malformed"),
        ("hosts_count", 7, BIG, "error 400 names response"),
        ("hosts_count", 8, 0, "error 404 answers 400"),
    ],
)
def test_a_record_that_would_mislead_the_engine_is_refused(
    sound: bytes, table: str, place: int, value: int, why: str
) -> None:
    assert why in refusal(patched(sound, table, 0, place, value))


def test_an_instruction_that_is_none_is_refused(sound: bytes) -> None:
    lie = header_of(sound).sections
    pattern = RULE.unpack_from(sound, lie.offset("rules_count"))[0] + lie.texts_offset
    for place, octet in ((0, 0), (0, 99), (0, 4), (1, 255), (2, 255), (3, ord("x"))):
        made = bytearray(sound)
        made[pattern + place] = octet
        assert "rule" in refusal(resealed(made)), (place, octet)


@pytest.mark.parametrize(("place", "value"), [(248, 3), (252, 3), (252, 0), (256, 9), (256, NONE - 1)])
def test_names_that_lead_nowhere_are_refused(sound: bytes, place: int, value: int) -> None:
    made = bytearray(sound)
    made[place : place + 4] = value.to_bytes(4, "little")
    assert refusal(resealed(made))


def test_something_between_the_sections_is_refused(sound: bytes) -> None:
    lie = header_of(sound).sections
    made = bytearray(sound)
    gap = next(gap for gap in lie.gaps() if gap.stop > gap.start)
    made[gap.start] = 1
    assert "between its sections" in refusal(resealed(made))


@pytest.mark.parametrize("target", [b"A./", b"E\x41/", b""])
def test_a_rewrite_that_makes_no_path_is_refused(target: bytes, sound: bytes) -> None:
    """It would find an area's number in the host's index, and the engine would take it for a response's."""
    lie = header_of(sound).sections
    fields = RULE.unpack_from(sound, lie.offset("rules_count") + RULE.size)
    made = bytearray(sound)
    place = lie.offset("texts_bytes") + fields[2]
    assert made[place] == Op.TEXT
    length = int.from_bytes(made[place + 1 : place + 3], "little")
    assert length == len(b"/z/")
    made[place + 3 : place + 3 + length] = target.ljust(length, b".")
    assert "rule 1 is malformed" in refusal(resealed(made))
