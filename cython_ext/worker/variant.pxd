"""Heads of 206, 304 and 416, made of the head of the 200 that they stand for, and what is between parts.

Another status line, then what of the 200's fields belongs there too, then what is the answer's own.
Nothing of it lies in the image: a site has no more heads for being able to answer parts.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy

from cython_ext.content.store cimport IMAGE_TAG_AT, image_response, own_length_at
from cython_ext.http.date cimport DATE_BYTES
from cython_ext.http.byterange cimport Extent, Parts

cdef enum:
    LINE_206_BYTES = 30
    LINE_304_BYTES = 27
    LINE_416_BYTES = 36
    DATE_END_BYTES = 31             # the date and its CRLF
    PARTIAL_BYTES = 43              # what partial_text writes but for its numbers
    UNSATISFIABLE_BYTES = 44        # likewise
    BOUNDARY_BYTES = 22             # the entity tag without its quotes: no content has its own digest in it
    MULTIPART_BYTES = 87            # what multipart_text writes but for its number
    PART_BYTES = 55                 # what part_text writes but for its numbers and the Content-Type line
    PARTS_END_BYTES = 30

cdef struct Writer:
    uint8_t *out
    uint32_t bytes


cdef inline void write_octets(Writer *writer, const uint8_t *octets, uint32_t count) noexcept nogil:
    memcpy(writer.out + writer.bytes, octets, count)
    writer.bytes += count


cdef inline void write_number(Writer *writer, uint64_t number) noexcept nogil:
    cdef uint8_t text[20]
    cdef uint32_t start = 20
    while True:
        start -= 1
        text[start] = <uint8_t>(48 + number % 10)
        number //= 10
        if number == 0:
            break
    write_octets(writer, text + start, 20 - start)


cdef inline void partial_text(Writer *writer, const Extent *extent, uint64_t whole_bytes) noexcept nogil:
    """Content-Length and Content-Range of a 206 (RFC 9110 14.4)."""
    write_octets(writer, b"Content-Length: ", 16)
    write_number(writer, extent.bytes)
    write_octets(writer, b"\r\nContent-Range: bytes ", 23)
    write_number(writer, extent.first)
    write_octets(writer, b"-", 1)
    write_number(writer, extent.first + extent.bytes - 1)
    write_octets(writer, b"/", 1)
    write_number(writer, whole_bytes)
    write_octets(writer, b"\r\n", 2)


cdef inline void unsatisfiable_text(Writer *writer, uint64_t whole_bytes) noexcept nogil:
    write_octets(writer, b"Content-Length: 0\r\nContent-Range: bytes */", 42)
    write_number(writer, whole_bytes)
    write_octets(writer, b"\r\n", 2)


cdef inline void write_front(
    Writer *writer, const uint8_t *front, const image_response *response, const uint8_t *date, uint32_t end
) noexcept nogil:
    """The front's fields up to `end`, Server and Date at least."""
    memcpy(writer.out + writer.bytes, front + response.line_bytes, end - response.line_bytes)
    memcpy(writer.out + writer.bytes + response.date_offset - response.line_bytes, date, DATE_BYTES)
    writer.bytes += end - response.line_bytes


cdef inline uint32_t date_end(const image_response *response) noexcept nogil:
    """Behind the line Date; where there is content, the line Content-Type follows."""
    return response.date_offset + DATE_END_BYTES


cdef inline uint32_t not_modified_head(
    const uint8_t *front, const image_response *response, const uint8_t *date, uint8_t *out
) noexcept nogil:
    cdef Writer writer
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"HTTP/1.1 304 Not Modified\r\n", LINE_304_BYTES)
    write_front(&writer, front, response, date, date_end(response))
    write_octets(&writer, front + response.meta_first, response.front_bytes - response.meta_first)
    write_octets(&writer, response.card, own_length_at(response))
    return writer.bytes


cdef inline uint32_t not_modified_bytes(const image_response *response) noexcept nogil:
    """Octets that not_modified_head writes."""
    return LINE_304_BYTES + date_end(response) - response.line_bytes + (
        <uint32_t>response.front_bytes - response.meta_first + own_length_at(response)
    )


cdef inline uint32_t unsatisfiable_head(
    const uint8_t *front, const image_response *response, const uint8_t *date, uint8_t *out
) noexcept nogil:
    """The fields of the content are not those of this answer: only Server and Date are taken over."""
    cdef Writer writer
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"HTTP/1.1 416 Range Not Satisfiable\r\n", LINE_416_BYTES)
    write_front(&writer, front, response, date, date_end(response))
    unsatisfiable_text(&writer, response.body_bytes)
    return writer.bytes


cdef inline uint32_t partial_head(
    const uint8_t *front, const image_response *response, const uint8_t *date, const Extent *extent, uint8_t *out
) noexcept nogil:
    cdef Writer writer
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"HTTP/1.1 206 Partial Content\r\n", LINE_206_BYTES)
    write_front(&writer, front, response, date, response.front_bytes)
    write_octets(&writer, response.card, own_length_at(response))
    partial_text(&writer, extent, response.body_bytes)
    return writer.bytes


cdef inline uint32_t whole_fields_bytes(const image_response *response) noexcept nogil:
    """Octets of the fields between status line and Content-Length."""
    return <uint32_t>response.front_bytes - response.line_bytes + own_length_at(response)


# ---- several parts (RFC 9110 14.6) ----

cdef inline uint32_t type_line_bytes(const uint8_t *front, const image_response *response) noexcept nogil:
    """The line Content-Type with its CRLF."""
    cdef const uint8_t *line = front + date_end(response)
    cdef const uint8_t *end = <const uint8_t *>memchr(line, 10, response.front_bytes - date_end(response))
    return <uint32_t>(end - line) + 1


cdef inline void multipart_text(
    Writer *writer, const uint8_t *boundary, uint64_t content_bytes
) noexcept nogil:
    write_octets(writer, b"Content-Type: multipart/byteranges; boundary=", 45)
    write_octets(writer, boundary, BOUNDARY_BYTES)
    write_octets(writer, b"\r\nContent-Length: ", 18)
    write_number(writer, content_bytes)
    write_octets(writer, b"\r\n", 2)


cdef inline uint32_t multipart_head(
    const uint8_t *front, const image_response *response, const uint8_t *date, uint64_t content_bytes, uint8_t *out
) noexcept nogil:
    """As of one part, but that the content's type is the parts' now."""
    cdef Writer writer
    cdef uint32_t type_end = date_end(response) + type_line_bytes(front, response)
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"HTTP/1.1 206 Partial Content\r\n", LINE_206_BYTES)
    write_front(&writer, front, response, date, date_end(response))
    write_octets(&writer, front + type_end, response.front_bytes - type_end)
    write_octets(&writer, response.card, own_length_at(response))
    multipart_text(&writer, response.card + (IMAGE_TAG_AT + 1), content_bytes)
    return writer.bytes


cdef inline uint32_t part_text(
    const uint8_t *front, const image_response *response, const Extent *extent, uint8_t *out
) noexcept nogil:
    """What stands before a part's octets."""
    cdef Writer writer
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"\r\n--", 4)
    write_octets(&writer, response.card + (IMAGE_TAG_AT + 1), BOUNDARY_BYTES)
    write_octets(&writer, b"\r\n", 2)
    write_octets(&writer, front + date_end(response), type_line_bytes(front, response))
    write_octets(&writer, b"Content-Range: bytes ", 21)
    write_number(&writer, extent.first)
    write_octets(&writer, b"-", 1)
    write_number(&writer, extent.first + extent.bytes - 1)
    write_octets(&writer, b"/", 1)
    write_number(&writer, response.body_bytes)
    write_octets(&writer, b"\r\n\r\n", 4)
    return writer.bytes


cdef inline uint32_t part_text_bytes(
    const uint8_t *front, const image_response *response, const Extent *extent
) noexcept nogil:
    """Octets that part_text writes, without writing them."""
    return PART_BYTES + type_line_bytes(front, response) + (
        decimal_digits(extent.first) + decimal_digits(extent.first + extent.bytes - 1)
        + decimal_digits(response.body_bytes)
    )


cdef inline uint32_t parts_end(const image_response *response, uint8_t *out) noexcept nogil:
    """What stands behind the last part."""
    cdef Writer writer
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"\r\n--", 4)
    write_octets(&writer, response.card + (IMAGE_TAG_AT + 1), BOUNDARY_BYTES)
    write_octets(&writer, b"--\r\n", 4)
    return writer.bytes


cdef inline uint64_t parts_bytes(
    const uint8_t *front, const image_response *response, const Parts *parts
) noexcept nogil:
    """Octets of the whole multipart content."""
    cdef uint32_t i
    cdef uint64_t total = PARTS_END_BYTES
    for i in range(parts.count):
        total += part_text_bytes(front, response, &parts.extent[i]) + parts.extent[i].bytes
    return total


cdef inline uint32_t decimal_digits(uint64_t number) noexcept nogil:
    cdef uint32_t digits = 1
    while number >= 10:
        number //= 10
        digits += 1
    return digits
