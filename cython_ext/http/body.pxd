"""Reads past a request's body, whatever its framing (RFC 9112 6, 7.1). Keeps nothing of it."""

from libc.stdint cimport uint8_t, uint32_t

from cython_ext.http.field cimport is_token_octet, is_value_octet
from cython_ext.http.path cimport hex_digit
from cython_ext.http.request cimport BODY_BYTES_MOST, HEAD_BYTES_MOST

cdef enum BodyState:
    BODY_NONE = 0
    BODY_LENGTH                 # `left` octets to go
    BODY_CHUNK_SIZE_FIRST       # first digit of a chunk-size
    BODY_CHUNK_SIZE
    BODY_CHUNK_SPACE            # before an extension's semicolon
    BODY_CHUNK_EXTENSION
    BODY_CHUNK_SIZE_LF
    BODY_CHUNK_DATA             # `left` octets to go
    BODY_CHUNK_DATA_CR
    BODY_CHUNK_DATA_LF
    BODY_TRAILER_START
    BODY_TRAILER_NAME
    BODY_TRAILER_VALUE
    BODY_TRAILER_LF
    BODY_END_LF
    BODY_BAD                    # malformed: 400, close
    BODY_TOO_LARGE              # 413, close

cdef struct Body:
    uint32_t left
    uint32_t total              # octets of content, extensions and trailers so far
    uint8_t state               # BodyState
    uint8_t last                # the chunk being read is the last one


cdef inline void body_begin(Body *body, uint32_t content_length, bint chunked) noexcept nogil:
    body.total = 0
    body.left = content_length
    body.last = 0
    if chunked:
        body.left = 0
        body.state = BODY_CHUNK_SIZE_FIRST
    else:
        body.state = BODY_LENGTH if content_length else BODY_NONE


cdef inline uint32_t body_skip(Body *body, const uint8_t *data, uint32_t octets) noexcept nogil:
    """Consumes what belongs to the body; returns how much. body.state says how it stands:
    BODY_NONE when the body is over, BODY_BAD and BODY_TOO_LARGE when it cannot be followed."""
    cdef uint32_t i = 0
    cdef uint32_t step
    while i < octets and body.state != BODY_NONE and body.state < BODY_BAD:
        if body.state == BODY_LENGTH or body.state == BODY_CHUNK_DATA:
            step = min(body.left, octets - i)
            body.left -= step
            i += step
            if body.left == 0:
                body.state = BODY_NONE if body.state == BODY_LENGTH else BODY_CHUNK_DATA_CR
        else:
            body_step(body, data[i])
            i += 1
    return i


cdef inline void body_step(Body *body, uint8_t octet) noexcept nogil:
    """One octet of chunk framing or trailer section."""
    if body.state <= BODY_CHUNK_SIZE_LF:
        chunk_size_step(body, octet)
    elif body.state == BODY_CHUNK_DATA_CR:
        body.state = BODY_CHUNK_DATA_LF if octet == 13 else BODY_BAD
    elif body.state == BODY_CHUNK_DATA_LF:
        body.state = BODY_CHUNK_SIZE_FIRST if octet == 10 else BODY_BAD
    else:
        trailer_step(body, octet)


cdef inline void chunk_size_step(Body *body, uint8_t octet) noexcept nogil:
    """chunk-size [chunk-ext] CRLF (RFC 9112 7.1, 7.1.1)."""
    cdef int digit = hex_digit(octet)
    if body.state == BODY_CHUNK_SIZE_LF:
        if octet != 10:
            body.state = BODY_BAD
            return
        body.total += body.left
        body.last = 1 if body.left == 0 else 0
        body.state = BODY_TRAILER_START if body.last else BODY_CHUNK_DATA
        if body.total > BODY_BYTES_MOST:
            body.state = BODY_TOO_LARGE
        return
    if body.state <= BODY_CHUNK_SIZE and digit >= 0:
        body.left = body.left * 16 + <uint32_t>digit
        body.total += 1                 # so that endless zeros end
        body.state = BODY_CHUNK_SIZE if max(body.left, body.total) <= BODY_BYTES_MOST else BODY_TOO_LARGE
        return
    if body.state == BODY_CHUNK_SIZE_FIRST:
        body.state = BODY_BAD
    elif octet == 13 and body.state != BODY_CHUNK_SPACE:
        body.state = BODY_CHUNK_SIZE_LF
    else:
        extension_step(body, octet)


cdef inline void extension_step(Body *body, uint8_t octet) noexcept nogil:
    """*( BWS ";" ... ): any text behind the first semicolon."""
    if body.state == BODY_CHUNK_EXTENSION or octet == 59:
        body.state = BODY_CHUNK_EXTENSION if is_value_octet(octet) else BODY_BAD
    else:
        body.state = BODY_CHUNK_SPACE if octet == 32 or octet == 9 else BODY_BAD
    body.total += 1                     # so that endless extensions end
    if body.total > BODY_BYTES_MOST:
        body.state = BODY_TOO_LARGE


cdef inline void trailer_step(Body *body, uint8_t octet) noexcept nogil:
    """*( field-line CRLF ) CRLF (RFC 9112 7.1.2): checked like fields, then forgotten."""
    body.left += 1
    if body.left > HEAD_BYTES_MOST:
        body.state = BODY_TOO_LARGE
    elif body.state == BODY_TRAILER_START:
        if octet == 13:
            body.state = BODY_END_LF
        else:
            body.state = BODY_TRAILER_NAME if is_token_octet(octet) else BODY_BAD
    elif body.state == BODY_TRAILER_NAME:
        if octet == 58:
            body.state = BODY_TRAILER_VALUE
        elif not is_token_octet(octet):
            body.state = BODY_BAD
    elif body.state == BODY_TRAILER_VALUE:
        if octet == 13:
            body.state = BODY_TRAILER_LF
        elif not is_value_octet(octet):
            body.state = BODY_BAD
    elif body.state == BODY_TRAILER_LF:
        body.state = BODY_TRAILER_START if octet == 10 else BODY_BAD
    else:
        body.state = BODY_NONE if octet == 10 else BODY_BAD
