"""An image is trusted only when everything in it is right."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from pickle import PickleBuffer

import pytest

from bypass._engine import image_checksum
from bypass.errors import ExitCode, SiteError
from bypass.site import hosts as hosts_module
from bypass.site import index as index_module
from bypass.site import place as place_module
from bypass.site.image import is_image, open_image
from bypass.site.index import PathIndex, build_index
from bypass.site.layout import EMPTY_SLOT, RESPONSE, RESPONSE_FIELDS, SLOT, ErrorSlot, ResponseRecord
from bypass.site.output import build_image_file
from bypass.site.sections import HEADER, Header
from bypass.site.validate import check_image
from tests.site.support import SiteMaker


@pytest.fixture
def sound(make_site: SiteMaker, tmp_path: Path) -> bytes:
    """The octets of a small sound image."""
    root = make_site({"index.html": b"hello" * 50, "docs/index.html": b"docs", "a.css": b"*{}", "z": b""})
    build_image_file(root, tmp_path / "sound.img")
    return (tmp_path / "sound.img").read_bytes()


def refusal(octets: bytes) -> str:
    """Why the image is refused."""
    with pytest.raises(SiteError) as caught:
        check_image("x.img", memoryview(octets))
    assert caught.value.exit_code == ExitCode.CONFIGURATION
    assert caught.value.what == "x.img: not a usable image"
    return caught.value.why


def header_of(octets: bytes) -> Header:
    return check_image("x.img", memoryview(octets))


def resealed(octets: bytes) -> bytes:
    """With a checksum that is right again: the work of a faulty compiler, not of a bad disk."""
    fixed = bytearray(octets)
    fixed[24:32] = image_checksum(octets[: HEADER.size], octets[HEADER.size :]).to_bytes(8, "little")
    return bytes(fixed)


def test_a_sound_image_is_accepted(sound: bytes) -> None:
    header = header_of(sound)
    assert header.files == 4
    assert header.sections.image_bytes == len(sound)


def test_every_single_bit_flipped_in_the_header_is_refused(sound: bytes) -> None:
    for bit in range(HEADER.size * 8):
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        assert refusal(bytes(flipped)), bit


def test_random_bits_flipped_behind_the_header_are_refused(sound: bytes) -> None:
    dice = random.Random(1)
    for _ in range(500):
        flipped = bytearray(sound)
        flipped[dice.randrange(HEADER.size, len(sound))] ^= 1 << dice.randrange(8)
        assert refusal(bytes(flipped)) == "its checksum does not match: it is damaged"


def cuts(octets: bytes) -> Iterator[int]:
    """Every boundary of a section, and one octet to either side."""
    lie = header_of(octets).sections
    offsets = [0, 8, HEADER.size, lie.slots_offset, lie.paths_offset, lie.responses_offset]
    offsets += [lie.heads_offset, lie.sums_offset, lie.bodies_offset, lie.image_bytes]
    for offset in offsets:
        yield from (cut for cut in (offset - 1, offset, offset + 1) if 0 <= cut < len(octets))


def test_an_image_truncated_at_any_section_boundary_is_refused(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.img"
    tried = 0
    for cut in cuts(sound):
        path.write_bytes(sound[:cut])
        with pytest.raises(SiteError, match="not a usable image") as caught:
            open_image(path)
        expected = (
            "the file is empty"
            if cut == 0
            else "does not start"
            if cut < 8
            else "within the header"
            if cut < HEADER.size
            else "truncated"
        )
        assert expected in caught.value.why
        tried += 1
    assert tried > 20


def test_an_image_with_something_behind_it_is_refused(sound: bytes) -> None:
    assert "longer than it says" in refusal(sound + bytes(64))


def test_a_foreign_file_is_refused() -> None:
    assert refusal(b"\x7fELF" + bytes(1000)) == "it does not start as an image does"


def test_another_version_is_named(sound: bytes) -> None:
    newer = bytearray(sound)
    newer[8] = 5
    assert refusal(bytes(newer)) == "it has version 5, this program reads version 4"


def patched_response(octets: bytes, place: int, value: int) -> bytes:
    """The first response of a file (behind the errors) with one field replaced, resealed."""
    offset = header_of(octets).sections.responses_offset + len(ErrorSlot) * RESPONSE.size
    fields = list(RESPONSE.unpack_from(octets, offset))
    fields[place] = value
    made = bytearray(octets)
    RESPONSE.pack_into(made, offset, *fields)
    return resealed(bytes(made))


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (0, 0, "leads out of its sections"),
        (0, 64, "leads out of its sections"),
        (0, 1 << 63, "leads out of its sections"),
        (0, (1 << 64) - 64, "leads out of its sections"),
        (1, 1 << 40, "leads out of its sections"),
        (1, 251, "is malformed"),
        (2, 1 << 31, "leads out of its sections"),
        (2, 64, "is malformed"),
        (3, 1 << 31, "leads out of its sections"),
        (4, 1, "is malformed"),
        (4, 0, "is malformed"),
        (5, 0, "leads out of its sections"),
        (6, 20, "leads out of its sections"),
        (6, 0xFFFF, "leads out of its sections"),
        (6, 80, "is malformed"),
        (7, 0, "is malformed"),
        (7, 0xFFFF, "leads out of its sections"),
        (8, 16, "is malformed"),
        (8, 0xFFFF, "is malformed"),
        (9, 40, "is malformed"),
        (9, 0xFFFF, "is malformed"),
        (10, 0xFFFF, "is malformed"),
        (11, 0, "leads out of its sections"),
        (11, 404, "is malformed"),
        (12, 2, "leads out of its sections"),
        (12, 4, "leads out of its sections"),
        (13, 1, "leads out of its sections"),
        (13, 9, "leads out of its sections"),
        (14, 0, "holds more than it says"),
        (14, 0xFF, "leads out of its sections"),
        (14, 90, "holds more than it says"),
        (14, 120, "is malformed"),
        (15, 0, "holds more than it says"),
        (15, 0xFF, "leads out of its sections"),
        (15, 93, "leads out of its sections"),
    ],
)
def test_a_response_that_would_mislead_the_engine_is_refused(
    sound: bytes, place: int, value: int, why: str
) -> None:
    assert why in refusal(patched_response(sound, place, value))


def patched_slot(octets: bytes, place: int, value: int) -> bytes:
    """The first taken slot with one field replaced, resealed."""
    offset = header_of(octets).sections.slots_offset
    while SLOT.unpack_from(octets, offset)[1] == EMPTY_SLOT:
        offset += SLOT.size
    fields = list(SLOT.unpack_from(octets, offset))
    fields[place] = value
    made = bytearray(octets)
    SLOT.pack_into(made, offset, *fields)
    return resealed(bytes(made))


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        (0, 0, "cannot be found"),
        (1, 1000, "leads to response 1000 of"),
        (2, 0xFFFFFFF0, "has no proper key"),
        (2, 0, "cannot be found"),
        (3, 0xFFFFFFFF, "has no proper key"),
        (3, 0, "has no proper key"),
    ],
)
def test_a_slot_that_would_mislead_the_engine_is_refused(
    sound: bytes, place: int, value: int, why: str
) -> None:
    assert why in refusal(patched_slot(sound, place, value))


def test_a_body_that_is_not_aligned_is_refused(sound: bytes) -> None:
    body_offset = RESPONSE.unpack_from(
        sound, header_of(sound).sections.responses_offset + len(ErrorSlot) * RESPONSE.size
    )[0]
    assert "leads out of its sections" in refusal(patched_response(sound, 0, body_offset + 2))


def patched_card(octets: bytes, path: bytes, **changed: int | bytes) -> bytes:
    """The response that has `path` in its card with some fields replaced, resealed."""
    lie = header_of(octets).sections
    made = bytearray(octets)
    for at in range(lie.responses_offset, lie.heads_offset, RESPONSE.size):
        record = ResponseRecord(*RESPONSE.unpack_from(octets, at))
        if record.key == path:
            fields = {name: getattr(record, name) for name in RESPONSE_FIELDS} | changed
            RESPONSE.pack_into(made, at, *fields.values())
            return resealed(bytes(made))
    raise AssertionError(path)


def card_of(octets: bytes, path: bytes) -> tuple[ResponseRecord, int]:
    """The record that has `path` in its card, and where the card ends within the file."""
    lie = header_of(octets).sections
    for at in range(lie.responses_offset, lie.heads_offset, RESPONSE.size):
        record = ResponseRecord(*RESPONSE.unpack_from(octets, at))
        if record.key == path:
            return record, at + RESPONSE.size
    raise AssertionError(path)


def test_a_small_body_lies_in_its_card_and_nowhere_else(sound: bytes) -> None:
    record, end = card_of(sound, b"/a.css")
    assert record.body_offset == end - len(record.card) + record.own_bytes + record.key_bytes
    assert sound[record.body_offset : record.body_offset + 3] == b"*{}"
    for place in (record.body_offset - 1, record.body_offset + 1, record.body_offset + RESPONSE.size):
        assert "leads out of its sections" in refusal(patched_card(sound, b"/a.css", body_offset=place))
    for size in (len(record.card), 128):
        assert "leads out of its sections" in refusal(patched_card(sound, b"/a.css", body_bytes=size))
    assert "leads out of its sections" in refusal(patched_card(sound, b"/a.css", sums_first=1))


def test_a_card_holds_what_its_record_says_and_nothing_behind(sound: bytes) -> None:
    record, _ = card_of(sound, b"/a.css")
    more = record.card[:-1] + b"x"
    assert "holds more than it says" in refusal(patched_card(sound, b"/a.css", card=more))
    for own in (b'ETag: "' + b"x" * 21 + b'"x\r\n', b'ETag; "' + b"x" * 22 + b'"\r\n'):
        card = own + record.card[len(own) :]
        assert "is malformed" in refusal(patched_card(sound, b"/a.css", card=card))
    other = record.card.replace(b"/a.css", b"/b.css")
    assert "cannot be found" in refusal(patched_card(sound, b"/a.css", card=other))
    other = record.card.replace(b"/a.css", b"Aa.css")
    assert "has no proper key" in refusal(patched_card(sound, b"/a.css", card=other))


def test_a_path_that_occurs_twice_is_refused(
    make_site: SiteMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def index_twice(keys: Sequence[tuple[bytes, int]], first: int, inside: bytearray) -> PathIndex:
        return build_index([*keys, keys[0]], first, inside + inside[:1])

    monkeypatch.setattr(place_module, "build_index", index_twice)
    monkeypatch.setattr(hosts_module, "slots_for", lambda _: 8)
    build_image_file(make_site({"a.css": b"", "b.css": b"", "c.css": b""}), tmp_path / "x.img")
    assert refusal((tmp_path / "x.img").read_bytes()) == "a key occurs twice"


def test_a_table_that_is_too_full_is_refused(
    make_site: SiteMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (hosts_module, index_module):
        monkeypatch.setattr(module, "slots_for", lambda _: 4)
    build_image_file(make_site({"a.css": b"", "b.css": b"", "c.css": b""}), tmp_path / "x.img")
    assert refusal((tmp_path / "x.img").read_bytes()) == "more than half of its slots are taken"


def test_a_path_in_the_wrong_slot_is_refused(sound: bytes) -> None:
    lie = header_of(sound).sections
    made = bytearray(sound)
    table = slice(lie.slots_offset, lie.slots_offset + lie.slots_count * SLOT.size)
    made[table] = made[table][SLOT.size :] + made[table][: SLOT.size]
    assert "cannot be found" in refusal(resealed(bytes(made)))


def test_a_table_without_an_empty_slot_is_refused(sound: bytes) -> None:
    lie = header_of(sound).sections
    taken = next(
        s for s in SLOT.iter_unpack(sound[lie.slots_offset : lie.paths_offset]) if s[1] != EMPTY_SLOT
    )
    made = bytearray(sound)
    made[lie.slots_offset : lie.slots_offset + lie.slots_count * SLOT.size] = (
        SLOT.pack(*taken) * lie.slots_count
    )
    assert refusal(resealed(bytes(made)))


def test_the_longest_probe_is_counted_again(sound: bytes) -> None:
    made = bytearray(sound)
    wrong = int.from_bytes(made[240:244], "little") + 1
    made[240:244] = wrong.to_bytes(4, "little")
    assert refusal(resealed(bytes(made))).startswith(f"max_probe is {wrong}, not ")


def test_an_error_slot_that_answers_something_else_is_refused(sound: bytes) -> None:
    made = bytearray(sound)
    made[288:292] = (1).to_bytes(4, "little")
    assert refusal(resealed(bytes(made))) == "error 400 answers 404"


def test_only_a_file_that_starts_like_an_image_is_one(sound: bytes, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_bytes(b"<p>")
    (tmp_path / "cut.img").write_bytes(sound[:20])
    assert is_image(tmp_path / "sound.img")
    assert is_image(tmp_path / "cut.img")  # refused later, with the reason
    assert not is_image(tmp_path / "page.html")
    assert not is_image(tmp_path)
    assert not is_image(tmp_path / "missing")


def test_a_missing_image_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"none\.img: no such file"):
        open_image(tmp_path / "none.img")


def test_a_folder_is_not_an_image(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="cannot be read: Is a directory"):
        open_image(tmp_path)


def test_responses_stay_readable_after_the_file_is_replaced(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"index.html": b"one"})
    build_image_file(root, tmp_path / "x.img")
    with open_image(tmp_path / "x.img") as older:
        (root / "index.html").write_bytes(b"two")
        build_image_file(root, tmp_path / "x.img")
        page = older.lookup(b"/")
        assert page is not None
        assert bytes(page.body) == b"one"
        with pytest.raises(IndexError):
            older.response(len(older) + 1000)


def test_closing_an_image_that_somebody_still_reads_is_no_error(make_site: SiteMaker, tmp_path: Path) -> None:
    build_image_file(make_site({"index.html": b"one"}), tmp_path / "x.img")
    image = open_image(tmp_path / "x.img")
    reader = PickleBuffer(image.buffer)  # holds the buffer as an engine does
    image.close()
    assert bytes(reader)[:8] == b"BYPASSIM"
