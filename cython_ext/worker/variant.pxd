"""Heads of 206, 304 and 416, made of the head of the 200 that they stand for.

Another status line, then what of the 200's fields belongs there too, then what is the answer's own.
Nothing of it lies in the image: a site has no more heads for being able to answer parts.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cython_ext.content.store cimport image_response
from cython_ext.http.date cimport DATE_BYTES
from cython_ext.http.byterange cimport Extent

cdef enum:
    LINE_206_BYTES = 30
    LINE_304_BYTES = 27
    LINE_416_BYTES = 36
    DATE_END_BYTES = 31             # the date and its CRLF
    PARTIAL_BYTES = 43              # what partial_text writes but for its numbers
    UNSATISFIABLE_BYTES = 44        # likewise

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


cdef inline uint32_t not_modified_head(
    const uint8_t *head, const image_response *response, const uint8_t *date, uint8_t *out
) noexcept nogil:
    cdef Writer writer
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"HTTP/1.1 304 Not Modified\r\n", LINE_304_BYTES)
    write_octets(&writer, head + response.line_bytes, response.meta_end - response.line_bytes)
    memcpy(out + LINE_304_BYTES + response.date_offset - response.line_bytes, date, DATE_BYTES)
    return writer.bytes


cdef inline uint32_t unsatisfiable_head(
    const uint8_t *head, const image_response *response, const uint8_t *date, uint8_t *out
) noexcept nogil:
    """The fields of the content are not those of this answer: only Server and Date are taken over."""
    cdef Writer writer
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"HTTP/1.1 416 Range Not Satisfiable\r\n", LINE_416_BYTES)
    write_octets(
        &writer, head + response.line_bytes, response.date_offset + DATE_END_BYTES - response.line_bytes
    )
    memcpy(out + LINE_416_BYTES + response.date_offset - response.line_bytes, date, DATE_BYTES)
    unsatisfiable_text(&writer, response.body_bytes)
    return writer.bytes


cdef inline uint32_t partial_head(
    const uint8_t *head, const image_response *response, const uint8_t *date, const Extent *extent, uint8_t *out
) noexcept nogil:
    cdef Writer writer
    writer.out = out
    writer.bytes = 0
    write_octets(&writer, b"HTTP/1.1 206 Partial Content\r\n", LINE_206_BYTES)
    write_octets(&writer, head + response.line_bytes, response.length_offset - response.line_bytes)
    memcpy(out + LINE_206_BYTES + response.date_offset - response.line_bytes, date, DATE_BYTES)
    partial_text(&writer, extent, response.body_bytes)
    return writer.bytes
