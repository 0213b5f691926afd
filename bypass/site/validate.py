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
    CARD_AT,
    CARD_BODY_MOST,
    CARD_BYTES,
    CARD_KEY_MOST,
    CODINGS,
    DATE_BYTES,
    MAGIC,
    NONE,
    RESOURCE,
    RESPONSE,
    RESPONSE_CARE,
    RESPONSE_CLOSE,
    SUM_STEP,
    TAG_BYTES,
    VERSION,
    ResourceRecord,
    ResponseRecord,
    own_length_at,
)
from bypass.site.sections import HEADER, HEADER_FIELDS, Header, Sections, header_from
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
    heads = bytes(image[lie.span("heads_bytes")])
    responses: list[ResponseRecord] = []
    fronts: set[tuple[int, ...]] = set()
    heads_end, sums_end, bodies_end = 0, 0, lie.bodies_offset
    with image[lie.span("responses_count")] as records:
        for number, fields in enumerate(RESPONSE.iter_unpack(records)):
            response = ResponseRecord(*fields)
            near = _check_place(lie, response, number)
            front = heads[response.front_offset :][: response.front_bytes]
            own = response.own
            key = (response.front_offset, *fields[6:10], response.status)
            require(
                (key in fronts or _is_front(front, response))
                and _is_own(own, response, front)
                and folded_sum(front + own) == response.head_sum
                and len(front) + len(own) <= MOST_HEAD_BYTES,
                f"the head of response {number} is malformed",
            )
            fronts.add(key)
            responses.append(response)
            heads_end = max(heads_end, response.front_offset + response.front_bytes)
            if not near:
                sums_end = max(sums_end, response.sums_first + response.body_bytes // SUM_STEP + 1)
                bodies_end = max(bodies_end, response.body_offset + response.body_bytes)
    require(heads_end == lie.heads_bytes, "heads_bytes is not what the responses need")
    require(sums_end == lie.sums_count, "sums_count is not what the responses need")
    require(bodies_end == lie.bodies_offset + lie.bodies_bytes, "bodies_bytes is not what the responses need")
    return responses


def _check_place(lie: Sections, response: ResponseRecord, number: int) -> bool:
    """Nothing that the record names lies elsewhere than in its section. Whether the body lies in the card."""
    card = lie.responses_offset + number * RESPONSE.size + CARD_AT
    used = response.own_bytes + response.key_bytes
    start, size, flags = response.body_offset, response.body_bytes, response.flags
    near = start < lie.bodies_offset
    require(
        response.front_offset + response.front_bytes <= lie.heads_bytes
        and response.date_offset + DATE_BYTES + 2 <= response.front_bytes
        and used <= CARD_BYTES
        and response.key_bytes <= CARD_KEY_MOST
        and (
            start == card + used and size <= CARD_BODY_MOST and used + size <= CARD_BYTES
            if near
            else start % ALIGN == 0
            and start + size <= lie.bodies_offset + lie.bodies_bytes
            and response.sums_first + size // SUM_STEP + 1 <= lie.sums_count
        )
        and not (near and response.sums_first)
        and flags & ~(RESPONSE_CLOSE | RESPONSE_CARE) == 0
        and response.coding < len(CODINGS)
        and (response.resource != NONE) == (flags & RESPONSE_CARE != 0)
        and (response.coding == 0 or flags & RESPONSE_CARE != 0)
        and 200 <= response.status <= 599,
        f"response {number} leads out of its sections",
    )
    behind = used + (size if near else 0)
    require(not response.card[behind:].strip(b"\0"), f"the card of response {number} holds more than it says")
    return near


def _is_front(text: bytes, response: ResponseRecord) -> bool:
    """Whether the offsets out of which the engine makes 304 and 206 are those of the fields named."""
    date, line, meta = response.date_offset, response.line_bytes, response.meta_first
    return (
        text.startswith(b"HTTP/1.1 %d " % response.status)
        and text.endswith(b"\r\n")
        and text[date : date + DATE_BYTES + 2] == _NO_DATE + b"\r\n"
        and text[date - 6 : date] == b"Date: "
        and text[:line].count(b"\r\n") == 1
        and text[line - 2 : line] == b"\r\n"
        and line < date
        and date + DATE_BYTES + 2 <= meta <= len(text)
        and text[meta - 2 : meta] == b"\r\n"
    )


def _is_own(own: bytes, response: ResponseRecord, front: bytes) -> bool:
    """The lines that there have to be, and no other."""
    tag_end = TAG_BYTES if response.status == 200 else 0
    length = own_length_at(response.status, response.modified)
    tag = own[:tag_end]
    date = f"Last-Modified: {http_date(response.modified)}\r\n" if response.modified else ""
    type_at = response.date_offset + DATE_BYTES + 2
    described = front[type_at : type_at + 14] == b"Content-Type: " and type_at < response.meta_first
    last = b"Content-Length: %d\r\n" % response.body_bytes if described else b""
    return (
        (tag_end == 0 or (tag[:7] == b'ETag: "' and tag.endswith(b'"\r\n') and tag.count(b'"') == 2))
        and own[tag_end:length] == date.encode("ascii")
        and own[length:] == last
        and (described or response.status != 200)
    )


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
