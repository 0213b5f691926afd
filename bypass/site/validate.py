"""Judges an image before anybody trusts it: everything that content/store reads without looking twice.

Three layers: the header (every field follows from a few), the checksum, then the
meaning of every record, so that a well-formed image of a faulty maker is refused as well.
The values of the prefix sums are covered by the checksum alone: recomputing them would read every
body once more, and a wrong one costs a retransmission, not memory safety.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from bypass._engine import folded_sum, image_checksum
from bypass.errors import SiteError
from bypass.site.flaw import Flaw, require
from bypass.site.heads import MOST_HEAD_BYTES, http_date
from bypass.site.layout import (
    ALIGN,
    CODINGS,
    DATE_BYTES,
    ETAG_BYTES,
    MAGIC,
    NONE,
    RESOURCE,
    RESPONSE,
    RESPONSE_CARE,
    RESPONSE_CLOSE,
    SUM_STEP,
    VERSION,
    ResourceRecord,
    ResponseRecord,
)
from bypass.site.sections import HEADER, HEADER_FIELDS, Header, header_from
from bypass.site.validate_tables import check_tables

_REMEDY = "Make it again with 'bypass build'."
_NO_DATE = bytes(DATE_BYTES)


def check_image(name: str, image: memoryview, *, made_here: bool = False) -> Header:
    """The header of a sound image; SiteError says what is wrong with any other. name: for the error.

    made_here: by this program, in memory that nobody else can write: only the header is looked at.
    """
    try:
        header = _check_header(image)
        if made_here:
            return header
        with image[: HEADER.size] as start, image[HEADER.size :] as content:
            sound = image_checksum(start, content) == header.checksum
        require(sound, "its checksum does not match: it is damaged")
        _check_gaps(image, header)
        responses = _check_responses(image, header)
        _check_resources(image, header, responses)
        check_tables(image, header, responses)
    except Flaw as flaw:
        raise SiteError(f"{name}: not a usable image", why=str(flaw), remedy=_REMEDY) from None
    return header


def _check_header(image: memoryview) -> Header:
    require(bytes(image[: len(MAGIC)]) == MAGIC, "it does not start as an image does")
    require(len(image) >= HEADER.size, f"it ends within the header, after {len(image)} bytes")
    _, *fields = HEADER.unpack_from(image)
    version, header_bytes, image_bytes = fields[:3]
    require(version == VERSION, f"it has version {version}, this program reads version {VERSION}")
    require(header_bytes == HEADER.size, f"its header has {header_bytes} bytes, not {HEADER.size}")
    require(
        image_bytes == len(image),
        f"it should have {image_bytes} bytes and has {len(image)}: it is "
        + ("truncated" if image_bytes > len(image) else "longer than it says"),
    )
    header = header_from(fields)
    try:
        expected = header.pack()
    except struct.error:
        raise Flaw("its sections would not fit into any file") from None
    for field, found, wanted in zip(HEADER_FIELDS[1:], fields, HEADER.unpack(expected)[1:], strict=False):
        require(found == wanted, f"{field} is {found}, not {wanted}")
    require(bytes(image[: HEADER.size]) == expected, "reserved words of its header are not empty")
    return header


def _check_responses(image: memoryview, header: Header) -> list[ResponseRecord]:
    """Checks all response records, each for itself; returns them."""
    lie = header.sections
    responses: list[ResponseRecord] = []
    heads_end, sums_end, bodies_end = lie.heads_offset, 0, lie.bodies_offset
    with image[lie.responses_offset : lie.responses_offset + lie.responses_count * RESPONSE.size] as records:
        for number, record in enumerate(RESPONSE.iter_unpack(records)):
            response = ResponseRecord(*record)
            head, body, body_bytes, sums_first, head_bytes, _, date, status, flags, *_ = record
            require(
                lie.heads_offset <= head
                and head + head_bytes <= lie.heads_offset + lie.heads_bytes
                and lie.bodies_offset <= body
                and body + body_bytes <= lie.bodies_offset + lie.bodies_bytes
                and sums_first + body_bytes // SUM_STEP + 1 <= lie.sums_count
                and date + DATE_BYTES <= head_bytes
                and body % ALIGN == 0
                and flags & ~(RESPONSE_CLOSE | RESPONSE_CARE) == 0
                and response.coding < len(CODINGS)
                and (response.resource != NONE) == (flags & RESPONSE_CARE != 0)
                and (response.coding == 0 or flags & RESPONSE_CARE)
                and 200 <= status <= 599,
                f"response {number} leads out of its sections",
            )
            _check_head(bytes(image[head : head + head_bytes]), response, number)
            responses.append(response)
            heads_end = max(heads_end, head + head_bytes)
            sums_end = max(sums_end, sums_first + body_bytes // SUM_STEP + 1)
            bodies_end = max(bodies_end, body + body_bytes)
    require(heads_end == lie.heads_offset + lie.heads_bytes, "heads_bytes is not what the responses need")
    require(sums_end == lie.sums_count, "sums_count is not what the responses need")
    require(bodies_end == lie.bodies_offset + lie.bodies_bytes, "bodies_bytes is not what the responses need")
    return responses


def _check_head(text: bytes, response: ResponseRecord, number: int) -> None:
    date = response.date_offset
    require(
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
        and (length == 0 or text[response.meta_end : response.meta_end + 14] == b"Content-Type: ")
    )


def _is_tag(line: bytes, repeated: bool) -> bool:
    """A whole ETag line, CRLF before and behind."""
    return repeated and line[:9] == b'\r\nETag: "' and line.endswith(b'"\r\n') and line.count(b'"') == 2


def _check_gaps(image: memoryview, header: Header) -> None:
    for gap in header.sections.gaps():
        require(not any(image[gap]), f"there is something between its sections, at {gap.start}")


def _check_resources(image: memoryview, header: Header, responses: Sequence[ResponseRecord]) -> None:
    """Every resource has its representations, and they have it."""
    lie = header.sections
    own = [number for number, response in enumerate(responses) if response.flags & RESPONSE_CARE]
    named: list[int] = []
    for number, fields in enumerate(RESOURCE.iter_unpack(image[lie.span("resources_count")])):
        resource = ResourceRecord(*fields)
        span = range(resource.first, resource.first + resource.count)
        text = bytes(image[lie.texts_offset + resource.location_offset :][: resource.location_bytes])
        require(
            1 <= resource.count <= len(CODINGS)
            and span.stop <= len(responses)
            and all(responses[each].resource == number for each in span)
            and all(responses[each].coding for each in span[1:])
            and len({responses[each].coding for each in span}) == len(span)
            and (resource.area == NONE or resource.area < lie.areas_count)
            and resource.location_offset + resource.location_bytes <= lie.texts_bytes
            and all(32 < octet < 127 for octet in text)
            and (resource.bare == NONE) == (text == b"")
            and (resource.bare == NONE or is_redirect(responses, resource.bare)),
            f"resource {number} is malformed",
        )
        named += span
    require(named == own, "its resources are not those of its responses")


def is_redirect(responses: Sequence[ResponseRecord], number: int) -> bool:
    """A response that there is, that is the answer for everybody, and that leads elsewhere."""
    if number >= len(responses) or responses[number].flags & RESPONSE_CARE:
        return False
    return 300 <= responses[number].status < 400
