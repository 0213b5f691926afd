"""A client reads a response: status, length, and the CRC-32 of the body (RFC 1952), octet by octet as they come.

Only bodies with a Content-Length are understood: that is what static servers send.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef extern from "abi/crc32.h" nogil:
    uint32_t crc32_update(uint32_t crc, const uint8_t *octets, size_t count)

cdef enum ResponseState:
    RESPONSE_HEAD = 0           # in its head
    RESPONSE_BODY = 1
    RESPONSE_DONE = 2
    RESPONSE_BAD = 3            # no HTTP, or no Content-Length

cdef enum:
    LINE_BYTES = 40             # of a line of the head as much as matters
    STATUS_AT = 9               # behind "HTTP/1.1 "
    NAME_BYTES = 15

cdef struct Response:
    uint64_t left               # of the body
    uint64_t body_bytes
    uint32_t crc                # of the body so far
    uint16_t status
    uint8_t state               # ResponseState
    uint8_t line_bytes          # of the line being read, as far as kept
    bint has_length
    char line[LINE_BYTES]


cdef inline void response_start(Response *response) noexcept nogil:
    response.left = 0
    response.body_bytes = 0
    response.crc = 0
    response.status = 0
    response.state = RESPONSE_HEAD
    response.line_bytes = 0
    response.has_length = False


cdef inline void response_take(Response *response, const uint8_t *octets, uint32_t count) noexcept nogil:
    """The next octets of the connection. What follows the body makes the response bad."""
    cdef uint32_t i = 0
    cdef uint32_t body
    while i < count and response.state == RESPONSE_HEAD:
        head_take(response, octets[i])
        i += 1
    if response.state == RESPONSE_BODY:
        body = <uint32_t>min(<uint64_t>(count - i), response.left)
        response.crc = crc32_update(response.crc, octets + i, body)
        response.left -= body
        i += body
        if response.left == 0:
            response.state = RESPONSE_DONE
    if i < count and response.state == RESPONSE_DONE:
        response.state = RESPONSE_BAD


cdef inline void head_take(Response *response, uint8_t octet) noexcept nogil:
    if octet != 10:
        if response.line_bytes < LINE_BYTES:
            response.line[response.line_bytes] = <char>octet
            response.line_bytes += 1
        return
    if response.status == 0:
        line_status(response)
    elif response.line_bytes == 1:                  # only CR: the head ends
        response.state = RESPONSE_BODY if response.has_length else RESPONSE_BAD
        if response.has_length and response.left == 0:
            response.state = RESPONSE_DONE
    else:
        line_field(response)
    response.line_bytes = 0


cdef inline bint is_digit(char octet) noexcept nogil:
    return 48 <= octet <= 57


cdef inline void line_status(Response *response) noexcept nogil:
    cdef uint32_t i
    cdef uint16_t status = 0
    for i in range(3):
        if response.line_bytes < STATUS_AT + 3 or not is_digit(response.line[STATUS_AT + i]):
            response.state = RESPONSE_BAD
            return
        status = <uint16_t>(10 * status + response.line[STATUS_AT + i] - 48)
    response.status = status
    if memcmp(response.line, b"HTTP/1.", 7) != 0 or status < 100:
        response.state = RESPONSE_BAD


cdef inline void line_field(Response *response) noexcept nogil:
    cdef const char *name = b"content-length:"
    cdef uint32_t i
    cdef uint64_t length = 0
    if response.line_bytes <= NAME_BYTES:
        return
    for i in range(<uint32_t>NAME_BYTES):
        if response.line[i] | 32 != name[i]:
            return
    i = NAME_BYTES
    while i < response.line_bytes:
        if is_digit(response.line[i]):
            length = 10 * length + <uint64_t>(response.line[i] - 48)
        i += 1
    response.has_length = True
    response.left = length
    response.body_bytes = length
