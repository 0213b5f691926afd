"""Judges an image before anybody trusts it: everything that content/store reads without looking twice.

Three layers: the header (every field follows from a few), the checksum over the rest, then the
meaning of slots and responses, so that a well-formed image of a faulty maker is refused as well.
The values of the prefix sums are covered by the checksum alone: recomputing them would read every
body once more, and a wrong one costs a retransmission, not memory safety.
"""

from __future__ import annotations

import struct
from operator import add

from bypass._engine import folded_sum, image_hash
from bypass.errors import SiteError
from bypass.site.heads import MOST_HEAD_BYTES, http_date
from bypass.site.layout import (
    ALIGN,
    DATE_BYTES,
    EMPTY_SLOT,
    ETAG_BYTES,
    HEADER,
    HEADER_FIELDS,
    MAGIC,
    RESPONSE,
    RESPONSE_CLOSE,
    SLOT,
    SUM_STEP,
    VERSION,
    ErrorSlot,
    Header,
    ResponseRecord,
    header_from,
)

_REMEDY = "Make it again with 'bypass build'."
_NO_DATE = bytes(DATE_BYTES)


def check_image(name: str, image: memoryview) -> Header:
    """The header of a sound image; SiteError says what is wrong with any other. name: for the error."""
    try:
        header = _check_header(image)
        with image[HEADER.size :] as content:
            _require(image_hash(content) == header.checksum, "its checksum does not match: it is damaged")
        statuses = _check_responses(image, header)
        _check_slots(image, header, statuses)
        _check_errors(header, statuses)
    except _Flaw as flaw:
        raise SiteError(f"{name}: not a usable image", why=str(flaw), remedy=_REMEDY) from None
    return header


class _Flaw(Exception):
    """What is wrong with the image."""


def _require(sound: bool, otherwise: str) -> None:
    if not sound:
        raise _Flaw(otherwise)


def _check_header(image: memoryview) -> Header:
    _require(bytes(image[: len(MAGIC)]) == MAGIC, "it does not start as an image does")
    _require(len(image) >= HEADER.size, f"it ends within the header, after {len(image)} bytes")
    _, *fields = HEADER.unpack_from(image)
    version, header_bytes, image_bytes = fields[:3]
    _require(version == VERSION, f"it has version {version}, this program reads version {VERSION}")
    _require(header_bytes == HEADER.size, f"its header has {header_bytes} bytes, not {HEADER.size}")
    _require(
        image_bytes == len(image),
        f"it should have {image_bytes} bytes and has {len(image)}: it is "
        + ("truncated" if image_bytes > len(image) else "longer than it says"),
    )
    header = header_from(fields)
    count = header.sections.slots_count
    _require(count > 0 and count & (count - 1) == 0, f"slots_count is {count}, not a power of two")
    try:
        expected = header.pack()
    except struct.error:
        raise _Flaw("its sections would not fit into any file") from None
    for field, found, wanted in zip(HEADER_FIELDS[1:], fields, HEADER.unpack(expected)[1:], strict=False):
        _require(found == wanted, f"{field} is {found}, not {wanted}")
    _require(bytes(image[: HEADER.size]) == expected, "reserved words of its header are not empty")
    return header


def _check_responses(image: memoryview, header: Header) -> list[int]:
    """Checks all response records; returns the status of each."""
    lie = header.sections
    statuses: list[int] = []
    heads_end, sums_end, bodies_end = lie.heads_offset, 0, lie.bodies_offset
    with image[lie.responses_offset : lie.responses_offset + lie.responses_count * RESPONSE.size] as records:
        for number, record in enumerate(RESPONSE.iter_unpack(records)):
            response = ResponseRecord(*record)
            head, body, body_bytes, sums_first, head_bytes, _, date, status, flags, *_ = record
            _require(
                lie.heads_offset <= head
                and head + head_bytes <= lie.heads_offset + lie.heads_bytes
                and lie.bodies_offset <= body
                and body + body_bytes <= lie.bodies_offset + lie.bodies_bytes
                and sums_first + body_bytes // SUM_STEP + 1 <= lie.sums_count
                and date + DATE_BYTES <= head_bytes
                and body % ALIGN == 0
                and flags & ~RESPONSE_CLOSE == 0
                and 200 <= status <= 599,
                f"response {number} leads out of its sections",
            )
            _check_head(bytes(image[head : head + head_bytes]), response, number)
            statuses.append(status)
            heads_end = max(heads_end, head + head_bytes)
            sums_end = max(sums_end, sums_first + body_bytes // SUM_STEP + 1)
            bodies_end = max(bodies_end, body + body_bytes)
    _require(heads_end == lie.heads_offset + lie.heads_bytes, "heads_bytes is not what the responses need")
    _require(sums_end == lie.sums_count, "sums_count is not what the responses need")
    _require(
        bodies_end == lie.bodies_offset + lie.bodies_bytes, "bodies_bytes is not what the responses need"
    )
    return statuses


def _check_head(text: bytes, response: ResponseRecord, number: int) -> None:
    date = response.date_offset
    _require(
        text.startswith(b"HTTP/1.1 %d " % response.status)
        and text.endswith(b"\r\n")
        and text[date : date + DATE_BYTES] == _NO_DATE
        and text[date - 6 : date] == b"Date: "
        and folded_sum(text) == response.head_sum
        and len(text) <= MOST_HEAD_BYTES
        and _is_divided(text, response),
        f"the head of response {number} is malformed",
    )


def _is_divided(text: bytes, response: ResponseRecord) -> bool:
    """Whether the offsets out of which the engine makes 304 and 206 are those of the fields named."""
    length = response.length_offset
    tag, modified = response.etag_offset, response.modified_offset
    date_end = response.date_offset + DATE_BYTES + 2
    return (
        text[: response.line_bytes].count(b"\r\n") == 1
        and text[response.line_bytes - 2 : response.line_bytes] == b"\r\n"
        and response.line_bytes < response.date_offset
        and date_end <= response.meta_end <= (length or len(text))
        and text[response.meta_end - 2 : response.meta_end] == b"\r\n"
        and (length == 0 or text[length:] == b"Content-Length: %d\r\n" % response.body_bytes)
        and (tag == 0 or _is_tag(text[tag - 8 : tag + ETAG_BYTES + 2], tag < response.meta_end))
        and (modified == 0) == (response.modified == 0)
        and (
            modified == 0
            or text[modified - 17 : modified + DATE_BYTES + 2]
            == f"\r\nLast-Modified: {http_date(response.modified)}\r\n".encode("ascii")
        )
        and (response.status != 200 or (tag > 0 and length > 0))
    )


def _is_tag(line: bytes, repeated: bool) -> bool:
    """A whole ETag line, CRLF before and behind."""
    return repeated and line[:9] == b'\r\nETag: "' and line.endswith(b'"\r\n') and line.count(b'"') == 2


def _check_slots(image: memoryview, header: Header, statuses: list[int]) -> None:
    """Every path can be found where a search looks for it, and leads to a response."""
    lie = header.sections
    slots = image[lie.slots_offset : lie.slots_offset + lie.slots_count * SLOT.size].cast("I")
    responses = slots[1::4].tolist()
    offsets, sizes = slots[2::4].tolist(), slots[3::4].tolist()
    paths = bytes(image[lie.paths_offset : lie.paths_offset + lie.paths_bytes])
    run = _run_before(responses)
    seen: set[bytes] = set()
    max_probe, files = 1, 0
    for slot, response in enumerate(responses):
        if response == EMPTY_SLOT:
            run = 0
            continue
        run += 1
        _require(response < len(statuses), f"slot {slot} names response {response} of {len(statuses)}")
        path = paths[offsets[slot] : offsets[slot] + sizes[slot]]
        _require(len(path) == sizes[slot] and path.startswith(b"/"), f"slot {slot} has no proper path")
        hashed = image_hash(path)
        probe = ((slot - hashed) & (lie.slots_count - 1)) + 1
        _require(slots[slot * 4] == hashed >> 32 and probe <= run, f"the path of slot {slot} cannot be found")
        seen.add(path)
        max_probe = max(max_probe, probe)
        files += statuses[response] == 200 and not path.endswith(b"/")
    taken = len(responses) - responses.count(EMPTY_SLOT)
    ends = map(add, offsets, sizes)
    _require(2 * taken <= len(responses), "more than half of its slots are taken")
    _require(len(seen) == taken, "a path occurs twice")
    _require(max(ends, default=0) == len(paths), "paths_bytes is not what the slots need")
    _require(max_probe == header.max_probe, f"max_probe is {header.max_probe}, not {max_probe}")
    _require(files == header.files, f"files is {header.files}, not {files}")


def _run_before(responses: list[int]) -> int:
    """How many slots in a row are taken at the end of the table, right before slot 0."""
    run = 0
    while run < len(responses) and responses[-1 - run] != EMPTY_SLOT:
        run += 1
    return run


def _check_errors(header: Header, statuses: list[int]) -> None:
    for slot, response in zip(ErrorSlot, header.errors, strict=True):
        _require(response < len(statuses), f"error {slot.status} names response {response}")
        _require(statuses[response] == slot.status, f"error {slot.status} answers {statuses[response]}")
