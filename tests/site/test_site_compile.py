"""A folder becomes an image: paths, responses, bodies, sums."""

from __future__ import annotations

import array
import hashlib
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass._engine import body_sums, folded_sum
from bypass.errors import SiteError
from bypass.site.builder import compile_site
from bypass.site.heads import etag
from bypass.site.image import open_image
from bypass.site.layout import ALIGN, CARD_AT, DATE_BYTES, RESPONSE, RESPONSE_CLOSE, SUM_STEP, ErrorSlot
from bypass.site.output import build_image_file
from tests.site.support import Compiler, SiteMaker, write_site


def field(head: bytes, name: bytes) -> bytes | None:
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b": ")
        if key == name:
            return value
    return None


def test_every_file_answers_with_its_octets_and_their_validator(
    make_site: SiteMaker, compiled: Compiler
) -> None:
    files = {"index.html": b"<p>hi", "a b.html": b"spaced", "css/site.css": b"*{}" * 1000, "empty.txt": b""}
    image = compiled(make_site(files))
    assert image.files == 4
    for name, content in files.items():
        response = image.lookup(b"/" + name.encode())
        assert response is not None
        assert response.status == 200
        assert bytes(response.body) == content
        assert field(response.head, b"Content-Length") == b"%d" % len(content)
        assert field(response.head, b"ETag") == etag(hashlib.sha256(content).digest()).encode()
    assert image.lookup(b"/nothing") is None
    assert image.lookup(b"") is None


def test_names_that_are_not_utf8_answer_by_their_octets(make_site: SiteMaker, compiled: Compiler) -> None:
    root = make_site({"index.html": b""})
    with open(os.fsencode(root) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"latin")
    response = compiled(root).lookup(b"/caf\xe9.txt")
    assert response is not None
    assert bytes(response.body) == b"latin"


def test_an_index_answers_for_its_folder_and_the_bare_name_redirects(
    make_site: SiteMaker, compiled: Compiler
) -> None:
    image = compiled(
        make_site(
            {
                "index.html": b"top",
                "my docs/index.html": b"docs",
                "my docs/index.htm": b"older",
                "old/index.htm": b"old",
                "bare/file.txt": b"no index",
            }
        )
    )
    answers = dict(image)
    assert sorted(answers) == [
        b"/",
        b"/bare/file.txt",
        b"/index.html",
        b"/my docs",
        b"/my docs/",
        b"/my docs/index.htm",
        b"/my docs/index.html",
        b"/old",
        b"/old/",
        b"/old/index.htm",
    ]
    assert len(image) == 10
    asked = (b"/", b"/my docs/", b"/my docs/index.htm", b"/old/")
    assert [bytes(answers[path].body) for path in asked] == [b"top", b"docs", b"older", b"old"]
    assert answers[b"/my docs"].status == 301
    assert field(answers[b"/my docs"].head, b"Location") == b"/my%20docs/"
    assert b'href="/my%20docs/"' in bytes(answers[b"/my docs"].body)
    assert image.files == 5


def test_equal_files_share_a_body_and_equal_responses_a_record(
    make_site: SiteMaker, compiled: Compiler, tmp_path: Path
) -> None:
    twin = b"x" * 5000
    root = make_site(
        {"a.css": twin, "b.css": twin, "c.txt": twin, "d.css": b"y" * 5000, "e.txt": b"", "f.txt": b""}
    )
    image = compiled(root)
    a, b, c, d = (image.lookup(path) for path in (b"/a.css", b"/b.css", b"/c.txt", b"/d.css"))
    assert a
    assert b
    assert c
    assert d
    assert a.record == b.record
    assert a.record.body_offset == c.record.body_offset != d.record.body_offset
    assert a.record.sums_first == c.record.sums_first
    assert a.head != c.head  # another content type
    with open(tmp_path / "again.img", "w+b") as output:
        summary = compile_site(root, output)
    assert summary.deduplicated_bytes == 10_000
    assert summary.files == 6
    assert summary.responses == len(ErrorSlot) + 4


def test_sums_heads_and_bodies_are_what_the_data_plane_expects(
    make_site: SiteMaker, compiled: Compiler
) -> None:
    bodies = {f"{size}.bin": os.urandom(size) for size in (0, 1, 63, 64, 65, 127, 128, 100_000)}
    image = compiled(make_site(bodies))
    judged = in_cards = 0
    responses = [response for _, response in image] + [image.error(slot) for slot in ErrorSlot]
    for response in responses:
        record, body = response.record, bytes(response.body)
        place = record.body_offset - image.header.sections.responses_offset
        near = place % RESPONSE.size == CARD_AT + record.own_bytes + record.key_bytes
        near = near and len(body) < 2 * SUM_STEP and len(response.sums) == 0
        assert near or record.body_offset % ALIGN == 0
        assert near or len(response.sums) == len(body) // SUM_STEP + 1
        in_cards += near
        for number, value in enumerate(response.sums):
            assert value == folded_sum(body[: number * SUM_STEP])
            judged += 1
        date = response.head[record.date_offset : record.date_offset + DATE_BYTES]
        assert date == bytes(DATE_BYTES)
        assert record.head_sum == folded_sum(response.head)
    assert judged > 100_000 // SUM_STEP
    assert in_cards == 6  # of 0, 1, 63, 64 and 65 octets, and nothing in answer to OPTIONS


def test_every_error_slot_answers_its_status_and_closes_where_it_must(
    make_site: SiteMaker, compiled: Compiler
) -> None:
    image = compiled(make_site({"index.html": b""}))
    open_ones = {204, 404, 405, 406, 412, 417, 421}
    for slot in ErrorSlot:
        response = image.error(slot)
        assert response.status == slot.status
        assert response.head.startswith(b"HTTP/1.1 %d " % slot.status)
        assert response.record.flags == (0 if slot.status in open_ones else RESPONSE_CLOSE)


def one_octet_at_a_time(data: bytes) -> int:
    """RFC 1071 as it is written, for little-endian words."""
    total = 0
    for place, octet in enumerate(data):
        total += octet << (8 * (place % 2))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total


@given(st.binary(max_size=700))
def test_prefix_sums_equal_direct_sums(body: bytes) -> None:
    sums = array.array("H", bytes(2 * (len(body) // SUM_STEP + 1)))
    body_sums(body, sums)
    assert list(sums) == [one_octet_at_a_time(body[: n * SUM_STEP]) for n in range(len(sums))]


def test_the_same_folder_gives_the_same_image_whatever_its_order(
    tmp_path: Path,
) -> None:
    files = {f"d{n % 3}/{n}.txt": b"%d" % (n % 7) for n in range(40)} | {"d1/index.html": b"i"}
    write_site(tmp_path / "one", files)
    write_site(tmp_path / "two", dict(reversed(files.items())))
    images = []
    for path in sorted(tmp_path.rglob("*.*")):
        os.utime(path, (1, 1_000_000))
    for name in ("one", "two"):
        build_image_file(tmp_path / name, tmp_path / f"{name}.img")
        images.append((tmp_path / f"{name}.img").read_bytes())
    assert images[0] == images[1]
    os.utime(tmp_path / "two/d1/index.html", (1, 2_000_000))
    build_image_file(tmp_path / "two", tmp_path / "two.img")
    assert (tmp_path / "two.img").read_bytes() != images[0], "Last-Modified is part of it"
    (tmp_path / "two/d1/index.html").write_bytes(b"j")
    build_image_file(tmp_path / "two", tmp_path / "two.img")
    assert (tmp_path / "two.img").read_bytes() != images[0]


def test_a_site_over_the_limit_is_refused_with_figures(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"big.iso": bytes(3 << 20), "index.html": b"", "video/b.mp4": bytes(1 << 20)})
    with open(tmp_path / "x.img", "w+b") as output:
        with pytest.raises(SiteError) as caught:
            compile_site(root, output, max_bytes=2 << 20)
        assert output.seek(0, os.SEEK_END) == 0
    text = str(caught.value)
    assert "the site needs 4.1 MiB, allowed are 2.0 MiB" in text
    assert "/big.iso (3.0 MiB), /video/b.mp4 (1.0 MiB)" in text
    assert "--max-memory" in text


def test_a_limit_just_above_the_image_is_enough(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({f"d{n}/index.html": os.urandom(200) for n in range(50)})
    size = build_image_file(root, tmp_path / "x.img").image_bytes
    with pytest.raises(SiteError, match="the site needs"):
        build_image_file(root, tmp_path / "y.img", max_bytes=size - 1)
    assert build_image_file(root, tmp_path / "y.img", max_bytes=size).image_bytes == size


def test_progress_runs_up_to_the_announced_total(make_site: SiteMaker, tmp_path: Path) -> None:
    root = make_site({"a": b"1" * 999, "b": b"1" * 999, "c": b"2" * 999, "d": bytes(9 << 20), "e": b""})
    seen: list[tuple[int, int]] = []
    build_image_file(root, tmp_path / "x.img", progress=lambda done, total: seen.append((done, total)))
    done = [count for count, _ in seen]
    assert done == sorted(done)
    assert len(done) > 5
    assert {total for _, total in seen} == {done[-1]}


def test_twenty_thousand_files_compile_and_open_in_seconds(tmp_path: Path) -> None:
    root = tmp_path / "site"
    for folder in range(100):
        (root / f"{folder:02}").mkdir(parents=True)
        for number in range(200):
            (root / f"{folder:02}/{number}.html").write_bytes(b"<p>%d</p>" % (folder * 200 + number) * 20)
    started = time.process_time()
    summary = build_image_file(root, tmp_path / "site.img")
    with open_image(tmp_path / "site.img") as image:
        spent_s = time.process_time() - started
        assert image.files == summary.files == 20_000
        last = image.lookup(b"/99/199.html")
        assert last is not None
        assert bytes(last.body) == b"<p>19999</p>" * 20
        del last
    assert spent_s < 5
