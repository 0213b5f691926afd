"""Octet classes, field names and list values (RFC 9110 5, RFC 9112 5)."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp

cdef extern from "abi/octets.h" nogil:
    const uint8_t octet_class[256]
    enum:
        OCTET_TOKEN         # tchar, RFC 9110 5.6.2
        OCTET_VALUE         # HTAB, SP, VCHAR, obs-text: RFC 9110 5.5
        OCTET_TARGET        # what a request-target may hold: visible ASCII but '#'
        OCTET_HOST          # what uri-host and port may hold
        OCTET_PLAIN         # in a path, needs no decoding

cdef enum FieldName:
    FIELD_OTHER
    FIELD_HOST
    FIELD_CONNECTION
    FIELD_CONTENT_LENGTH
    FIELD_TRANSFER_ENCODING
    FIELD_EXPECT
    FIELD_ACCEPT_ENCODING
    FIELD_REFERER
    FIELD_USER_AGENT
    FIELD_IF_MATCH
    FIELD_IF_NONE_MATCH
    FIELD_IF_MODIFIED_SINCE
    FIELD_IF_UNMODIFIED_SINCE
    FIELD_IF_RANGE
    FIELD_RANGE


cdef inline bint is_token_octet(uint8_t octet) noexcept nogil:
    return octet_class[octet] & OCTET_TOKEN != 0


cdef inline bint is_value_octet(uint8_t octet) noexcept nogil:
    return octet_class[octet] & OCTET_VALUE != 0


cdef inline bint is_target_octet(uint8_t octet) noexcept nogil:
    return octet_class[octet] & OCTET_TARGET != 0


cdef inline bint is_plain_octet(uint8_t octet) noexcept nogil:
    return octet_class[octet] & OCTET_PLAIN != 0


cdef inline bint same_word(const uint8_t *text, uint32_t octets, const char *word, uint32_t word_bytes) noexcept nogil:
    return octets == word_bytes and memcmp(text, word, word_bytes) == 0


cdef inline bint same_lower(const uint8_t *text, uint32_t octets, const char *word, uint32_t word_bytes) noexcept nogil:
    """Compares without regard to case; `word` is lower-case letters, digits and hyphens."""
    cdef uint32_t i
    cdef uint8_t octet
    if octets != word_bytes:
        return False
    for i in range(octets):
        octet = text[i]
        if 65 <= octet <= 90:
            octet += 32
        if octet != <uint8_t>word[i]:
            return False
    return True


cdef inline FieldName field_name(const uint8_t *name, uint32_t octets) noexcept nogil:
    """Tells the fields that matter by length first."""
    if octets == 4 and same_lower(name, octets, b"host", 4):
        return FIELD_HOST
    if octets == 10 and same_lower(name, octets, b"connection", 10):
        return FIELD_CONNECTION
    if octets == 10 and same_lower(name, octets, b"user-agent", 10):
        return FIELD_USER_AGENT
    if octets == 7 and same_lower(name, octets, b"referer", 7):
        return FIELD_REFERER
    if octets == 14 and same_lower(name, octets, b"content-length", 14):
        return FIELD_CONTENT_LENGTH
    if octets == 17 and same_lower(name, octets, b"transfer-encoding", 17):
        return FIELD_TRANSFER_ENCODING
    if octets == 6 and same_lower(name, octets, b"expect", 6):
        return FIELD_EXPECT
    if octets == 5 and same_lower(name, octets, b"range", 5):
        return FIELD_RANGE
    if octets == 15 and same_lower(name, octets, b"accept-encoding", 15):
        return FIELD_ACCEPT_ENCODING
    return condition_name(name, octets) if octets >= 8 and (name[0] | 32) == 105 else FIELD_OTHER


cdef inline FieldName condition_name(const uint8_t *name, uint32_t octets) noexcept nogil:
    """The fields that begin with If- (RFC 9110 13.1)."""
    if octets == 8 and same_lower(name, octets, b"if-match", 8):
        return FIELD_IF_MATCH
    if octets == 8 and same_lower(name, octets, b"if-range", 8):
        return FIELD_IF_RANGE
    if octets == 13 and same_lower(name, octets, b"if-none-match", 13):
        return FIELD_IF_NONE_MATCH
    if octets == 17 and same_lower(name, octets, b"if-modified-since", 17):
        return FIELD_IF_MODIFIED_SINCE
    if octets == 19 and same_lower(name, octets, b"if-unmodified-since", 19):
        return FIELD_IF_UNMODIFIED_SINCE
    return FIELD_OTHER


cdef inline bint list_has_token(
    const uint8_t *value, uint32_t octets, const char *token, uint32_t token_bytes
) noexcept nogil:
    """A comma-separated list (RFC 9110 5.6.1) names the token."""
    cdef uint32_t i = 0
    cdef uint32_t start, end
    while i < octets:
        while i < octets and (value[i] == 44 or value[i] == 32 or value[i] == 9):
            i += 1
        start = i
        while i < octets and value[i] != 44:
            i += 1
        end = i
        while end > start and (value[end - 1] == 32 or value[end - 1] == 9):
            end -= 1
        if same_lower(value + start, end - start, token, token_bytes):
            return True
    return False


cdef inline bint host_is_sound(const uint8_t *value, uint32_t octets) noexcept nogil:
    """uri-host [":" port] (RFC 9110 7.2, RFC 3986 3.2.2) by its octets and delimiters; may be empty."""
    cdef uint32_t i = 0
    cdef bint literal = octets != 0 and value[0] == 91
    while i < octets and octet_class[value[i]] & OCTET_HOST and value[i] != 93:
        if (value[i] == 58 and not literal) or (value[i] == 91 and i):
            break
        i += 1
    if literal:
        if i == octets or value[i] != 93:
            return False
        i += 1
    if i < octets and value[i] == 58:
        i += 1
        while i < octets and 48 <= value[i] <= 57:
            i += 1
    return i == octets


cdef inline bint coding_is_framed(const uint8_t *value, uint32_t octets) noexcept nogil:
    """The list of transfer codings names `chunked` once, as its last (RFC 9112 6.3)."""
    cdef uint32_t start = octets
    while start and value[start - 1] != 44:
        start -= 1
    if list_has_token(value, start, b"chunked", 7):
        return False
    return list_has_token(value + start, octets - start, b"chunked", 7)


cdef inline bint parse_length(const uint8_t *value, uint32_t octets, uint64_t *length) noexcept nogil:
    """1*DIGIT; a number beyond 18 digits is taken as the largest."""
    cdef uint32_t i
    cdef uint64_t total = 0
    if octets == 0:
        return False
    for i in range(octets):
        if not 48 <= value[i] <= 57:
            return False
        if total < 100000000000000000ULL:
            total = total * 10 + (value[i] - 48)
    length[0] = total
    return True
