"""The request parser: strict, incremental, allocates nothing (RFC 9112, RFC 9110).

Given all octets of a message received so far it says NEED_MORE, DONE or BAD with a status.
On DONE every pointer lies within the caller's octets. What is lenient elsewhere and smuggles
requests is refused here: bare LF, folded lines, space before a colon, two lengths, a length
beside a transfer coding. Framing is judged before the method.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr

from cython_ext.http.field cimport (
    FIELD_ACCEPT_ENCODING, FIELD_CONNECTION, FIELD_CONTENT_LENGTH, FIELD_EXPECT, FIELD_HOST, FIELD_IF_MATCH,
    FIELD_REFERER, FIELD_TRANSFER_ENCODING, FIELD_USER_AGENT, coding_is_framed, field_name, host_is_sound,
    is_target_octet, is_token_octet, is_value_octet, list_has_token, parse_length, same_word,
)

cdef enum:
    HEAD_BYTES_MOST = 16000         # request line, fields and empty line together: else 431
    TARGET_BYTES_MOST = 8000        # RFC 9112 3 asks for at least 8000: else 414
    METHOD_BYTES_MOST = 32
    FIELDS_MOST = 128
    BODY_BYTES_MOST = 65536         # of a request: else 413

cdef enum RequestVerdict:
    REQUEST_NEED_MORE
    REQUEST_DONE
    REQUEST_BAD                     # Request.status says which; the connection is to be closed

cdef enum Method:
    METHOD_GET
    METHOD_HEAD
    METHOD_OPTIONS
    METHOD_OTHER                    # known, not for static content: 405
    METHOD_UNKNOWN                  # 501

cdef struct Request:
    const uint8_t *target
    uint32_t target_bytes
    const uint8_t *host             # value of Host
    uint32_t host_bytes
    const uint8_t *accept           # value of the last Accept-Encoding
    uint32_t accept_bytes
    uint32_t accepts                # how many there are
    const uint8_t *referer          # value of the last Referer, for the access log
    uint32_t referer_bytes
    uint32_t agent_bytes
    const uint8_t *agent            # value of the last User-Agent
    const uint8_t *fields           # the field lines
    uint32_t fields_bytes
    uint32_t head_bytes             # from the start to behind the empty line that ends the head
    uint16_t status                 # of the error response, with REQUEST_BAD
    uint8_t method                  # with REQUEST_BAD: as far as it was read
    uint8_t minor                   # of the version: 0 or 1
    bint close                      # the peer wants no further request
    bint keep_alive                 # said explicitly; matters to HTTP/1.0
    bint chunked
    bint expects_continue
    bint expects_other              # 417
    bint conditional                # a field of http/conditional is there
    uint32_t content_length

cdef struct HeadSeen:
    uint32_t fields
    uint32_t hosts
    uint32_t lengths
    uint32_t codings
    bint coding_unknown


cdef inline RequestVerdict request_bad(Request *request, uint16_t status) noexcept nogil:
    request.status = status
    return REQUEST_BAD


cdef inline RequestVerdict request_parse(const uint8_t *data, uint32_t octets, Request *request) noexcept nogil:
    """Judges the message that begins at `data`, empty lines before it included. No more than
    HEAD_BYTES_MOST of it are looked at: the verdict does not depend on how many came at once."""
    cdef uint32_t skipped = empty_lines(data, octets)
    cdef uint32_t i = 0
    cdef HeadSeen seen
    cdef RequestVerdict verdict
    data += skipped
    octets = min(octets - skipped, <uint32_t>HEAD_BYTES_MOST)
    request.status = 0
    request.method = METHOD_UNKNOWN
    request.close = False
    request.keep_alive = False
    request.chunked = False
    request.expects_continue = False
    request.expects_other = False
    request.conditional = False
    request.content_length = 0
    request.host_bytes = 0
    request.accepts = 0
    request.referer_bytes = 0
    request.agent_bytes = 0
    if octets == 1 and data[0] == 13:
        return REQUEST_NEED_MORE
    verdict = parse_request_line(data, octets, &i, request)
    if verdict != REQUEST_DONE:
        return verdict
    request.fields = data + i
    seen.fields = 0
    seen.hosts = 0
    seen.lengths = 0
    seen.codings = 0
    seen.coding_unknown = False
    while True:
        if i >= octets:
            return too_long_or_more(octets, request)
        if data[i] == 13:
            break
        verdict = parse_field(data, octets, &i, request, &seen)
        if verdict != REQUEST_DONE:
            return verdict
    if i + 1 >= octets:
        return too_long_or_more(octets, request)
    if data[i + 1] != 10:
        return request_bad(request, 400)
    request.fields_bytes = <uint32_t>(data + i - request.fields)
    request.head_bytes = skipped + i + 2
    return judge_framing(request, &seen)


cdef inline uint32_t empty_lines(const uint8_t *data, uint32_t octets) noexcept nogil:
    """Octets of empty lines before a request line, which are ignored (RFC 9112 2.2)."""
    cdef uint32_t i = 0
    while i + 2 <= octets and data[i] == 13 and data[i + 1] == 10:
        i += 2
    return i


cdef inline RequestVerdict too_long_or_more(uint32_t octets, Request *request) noexcept nogil:
    """The head is not complete: wait, unless it has grown too long already."""
    if octets >= HEAD_BYTES_MOST:
        return request_bad(request, 431)
    return REQUEST_NEED_MORE


cdef inline RequestVerdict parse_request_line(
    const uint8_t *data, uint32_t octets, uint32_t *position, Request *request
) noexcept nogil:
    """method SP request-target SP HTTP-version CRLF (RFC 9112 3)."""
    cdef uint32_t start = position[0]
    cdef uint32_t i = start
    while i < octets and is_token_octet(data[i]):
        i += 1
    if i - start > METHOD_BYTES_MOST:
        return request_bad(request, 501)            # RFC 9112 3: longer than any method we know
    if i == octets:
        return REQUEST_NEED_MORE
    if data[i] != 32 or i == start:
        return request_bad(request, 400)
    request.method = method_of(data + start, i - start)
    i += 1
    start = i
    while i < octets and is_target_octet(data[i]):
        i += 1
    if i - start > TARGET_BYTES_MOST:
        return request_bad(request, 414)
    if i == octets:
        return REQUEST_NEED_MORE
    if data[i] != 32 or i == start:
        return request_bad(request, 400)
    request.target = data + start
    request.target_bytes = i - start
    position[0] = i + 1
    return parse_version(data, octets, position, request)


cdef inline RequestVerdict parse_version(
    const uint8_t *data, uint32_t octets, uint32_t *position, Request *request
) noexcept nogil:
    """HTTP-version CRLF (RFC 9112 2.3). A prefix that cannot become one is refused at once."""
    cdef const uint8_t *text = data + position[0]
    cdef uint32_t have = octets - position[0]
    cdef uint32_t i
    cdef const char *form = b"HTTP/d.d\r\n"
    for i in range(min(have, <uint32_t>10)):
        if form[i] == 100:
            if not 48 <= text[i] <= 57:
                return request_bad(request, 400)
        elif text[i] != <uint8_t>form[i]:
            return request_bad(request, 400)
    if have < 10:
        return REQUEST_NEED_MORE
    if text[5] != 49:
        return request_bad(request, 505)
    request.minor = 1 if text[7] != 48 else 0
    position[0] += 10
    return REQUEST_DONE


cdef inline uint8_t method_of(const uint8_t *name, uint32_t octets) noexcept nogil:
    """Methods are case-sensitive (RFC 9110 9.1)."""
    if octets == 3 and name[0] == 71 and name[1] == 69 and name[2] == 84:
        return METHOD_GET
    if same_word(name, octets, b"HEAD", 4):
        return METHOD_HEAD
    if same_word(name, octets, b"OPTIONS", 7):
        return METHOD_OPTIONS
    if (
        same_word(name, octets, b"POST", 4) or same_word(name, octets, b"PUT", 3)
        or same_word(name, octets, b"DELETE", 6)
        or same_word(name, octets, b"PATCH", 5) or same_word(name, octets, b"TRACE", 5)
        or same_word(name, octets, b"CONNECT", 7)
    ):
        return METHOD_OTHER
    return METHOD_UNKNOWN


cdef inline RequestVerdict parse_field(
    const uint8_t *data, uint32_t octets, uint32_t *position, Request *request, HeadSeen *seen
) noexcept nogil:
    """field-name ":" OWS field-value OWS CRLF (RFC 9112 5)."""
    cdef uint32_t start = position[0]
    cdef uint32_t i = start
    cdef uint32_t value, end
    while i < octets and is_token_octet(data[i]):
        i += 1
    if i == octets:
        return too_long_or_more(octets, request)
    if data[i] != 58 or i == start:                 # also obs-fold and space before the colon
        return request_bad(request, 400)
    value = i + 1
    while value < octets and (data[value] == 32 or data[value] == 9):
        value += 1
    end = value
    while end < octets and is_value_octet(data[end]):
        end += 1
    if end + 1 >= octets and (end == octets or data[end] == 13):
        return too_long_or_more(octets, request)
    if data[end] != 13 or data[end + 1] != 10:
        return request_bad(request, 400)
    position[0] = end + 2
    seen.fields += 1
    if seen.fields > FIELDS_MOST:
        return request_bad(request, 431)
    while end > value and (data[end - 1] == 32 or data[end - 1] == 9):
        end -= 1
    return take_field(data + start, i - start, data + value, end - value, request, seen)


cdef inline RequestVerdict take_field(
    const uint8_t *name, uint32_t name_bytes, const uint8_t *value, uint32_t value_bytes,
    Request *request, HeadSeen *seen,
) noexcept nogil:
    """The few fields that matter to framing, to the connection and to every response."""
    cdef int which = field_name(name, name_bytes)
    if which == FIELD_HOST:
        seen.hosts += 1
        request.host = value
        request.host_bytes = value_bytes
        if not host_is_sound(value, value_bytes):
            return request_bad(request, 400)
    elif which == FIELD_CONNECTION:
        request.close = request.close or list_has_token(value, value_bytes, b"close", 5)
        request.keep_alive = request.keep_alive or list_has_token(value, value_bytes, b"keep-alive", 10)
    elif which == FIELD_CONTENT_LENGTH:
        seen.lengths += 1
        return take_length(value, value_bytes, request)
    elif which == FIELD_TRANSFER_ENCODING:
        seen.codings += 1
        if not coding_is_framed(value, value_bytes):
            return request_bad(request, 400)
        request.chunked = True
        seen.coding_unknown = value_bytes != 7
    elif which == FIELD_EXPECT:
        if list_has_token(value, value_bytes, b"100-continue", 12):
            request.expects_continue = True
        else:
            request.expects_other = True
    elif which == FIELD_ACCEPT_ENCODING:
        request.accept = value
        request.accept_bytes = value_bytes
        request.accepts += 1
    elif which == FIELD_USER_AGENT:
        request.agent = value
        request.agent_bytes = value_bytes
    elif which == FIELD_REFERER:
        request.referer = value
        request.referer_bytes = value_bytes
    elif which >= FIELD_IF_MATCH:
        request.conditional = True
    return REQUEST_DONE


cdef inline RequestVerdict take_length(
    const uint8_t *value, uint32_t value_bytes, Request *request
) noexcept nogil:
    """Content-Length = 1*DIGIT (RFC 9110 8.6); a list, even of equal values, is refused."""
    cdef uint64_t length = 0
    if not parse_length(value, value_bytes, &length):
        return request_bad(request, 400)
    request.content_length = <uint32_t>min(length, <uint64_t>BODY_BYTES_MOST + 1)
    return REQUEST_DONE


cdef inline RequestVerdict judge_framing(Request *request, const HeadSeen *seen) noexcept nogil:
    """RFC 9112 3.2 (Host) and 6.3 (message body length); sizes last."""
    if seen.hosts > 1 or (seen.hosts == 0 and request.minor == 1):
        return request_bad(request, 400)
    if seen.lengths > 1 or seen.codings > 1 or (seen.lengths and seen.codings):
        return request_bad(request, 400)
    if seen.codings and request.minor == 0:         # RFC 9112 6.1
        return request_bad(request, 400)
    if seen.coding_unknown:
        return request_bad(request, 501)
    if request.content_length > BODY_BYTES_MOST:
        return request_bad(request, 413)
    return REQUEST_DONE


cdef inline uint32_t head_scan(const uint8_t *data, uint32_t octets, uint32_t scanned) noexcept nogil:
    """How far a growing head needs no second parse.

    Returns `octets` while the head cannot be complete, else a smaller number: parse now.
    A slow sender thus costs a short scan a segment, not a full parse.
    """
    cdef const uint8_t *line
    cdef uint32_t i = scanned
    while i < octets:
        line = <const uint8_t *>memchr(data + i, 10, octets - i)
        if line == NULL:
            return octets
        i = <uint32_t>(line - data)
        if i < 1 or data[i - 1] != 13:
            return i                                # bare LF: the parser refuses it
        if i == 1 or (i >= 3 and data[i - 2] == 10 and data[i - 3] == 13):
            return i                                # also an empty line before the request
        i += 1
    return octets
