"""Conditional and range requests: preconditions in their order (RFC 9110 13.2.2), then the range.

Asked only where the answer would be a 200. The fields are read a second time here, so that
requests without them, nearly all, pay for no more than noticing their absence.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcmp

from cython_ext.content.store cimport (
    IMAGE_DATE_BYTES, IMAGE_ETAG_BYTES, IMAGE_MODIFIED_AT, IMAGE_TAG_AT, IMAGE_TAG_BYTES, image_response,
)
from cython_ext.http.datetime cimport DATE_INVALID, date_parse
from cython_ext.http.field cimport (
    FIELD_IF_MATCH, FIELD_IF_MODIFIED_SINCE, FIELD_IF_NONE_MATCH, FIELD_IF_RANGE, FIELD_IF_UNMODIFIED_SINCE,
    FIELD_RANGE, field_name,
)
from cython_ext.http.byterange cimport RANGE_IGNORED, RANGE_ONE, RANGE_SEVERAL, Parts, RangeVerdict, range_parse
from cython_ext.http.request cimport METHOD_GET, Request
from cython_ext.http.walk cimport Text, Walk, next_line, take_once, walk_begin

cdef enum Outcome:
    OUTCOME_WHOLE
    OUTCOME_PARTIAL                 # 206: one part of the content
    OUTCOME_PARTS                   # 206: several
    OUTCOME_NOT_MODIFIED            # 304
    OUTCOME_FAILED                  # 412
    OUTCOME_UNSATISFIABLE           # 416

cdef struct Conditions:
    bint if_match
    bint match_found
    bint if_none_match
    bint none_match_found
    Text modified_since
    Text unmodified_since
    Text if_range
    Text range


cdef inline Outcome judge_conditions(
    const image_response *response, const Request *request, int64_t now_s, Parts *parts
) noexcept nogil:
    """What a GET or HEAD is answered whose response would be `response`, a 200 with an entity tag."""
    cdef Conditions found
    cdef RangeVerdict verdict
    read_conditions(request, response.card + IMAGE_TAG_AT, &found)
    if found.if_match:
        if not found.match_found:
            return OUTCOME_FAILED
    elif is_later(response, &found.unmodified_since, now_s) == 1:
        return OUTCOME_FAILED
    if found.if_none_match:
        if found.none_match_found:
            return OUTCOME_NOT_MODIFIED
    elif is_later(response, &found.modified_since, now_s) == 0:
        return OUTCOME_NOT_MODIFIED
    if request.method != METHOD_GET or found.range.octets == NULL or found.range.repeated:
        return OUTCOME_WHOLE
    if not range_applies(response, &found.if_range, now_s):
        return OUTCOME_WHOLE
    verdict = range_parse(found.range.octets, found.range.bytes, response.body_bytes, parts)
    if verdict == RANGE_IGNORED:
        return OUTCOME_WHOLE
    if verdict == RANGE_SEVERAL:
        return OUTCOME_PARTS
    return OUTCOME_PARTIAL if verdict == RANGE_ONE else OUTCOME_UNSATISFIABLE


cdef inline void read_conditions(const Request *request, const uint8_t *tag, Conditions *found) noexcept nogil:
    cdef Walk walk
    found.if_match = False
    found.match_found = False
    found.if_none_match = False
    found.none_match_found = False
    found.modified_since.octets = NULL
    found.unmodified_since.octets = NULL
    found.if_range.octets = NULL
    found.range.octets = NULL
    walk_begin(&walk, request)
    while next_line(&walk):
        take_condition(field_name(walk.name, walk.name_bytes), &walk.value, tag, found)


cdef inline void take_condition(int which, const Text *value, const uint8_t *tag, Conditions *found) noexcept nogil:
    if which == FIELD_IF_MATCH:
        found.if_match = True
        found.match_found = found.match_found or tags_name(value, tag, False)
    elif which == FIELD_IF_NONE_MATCH:
        found.if_none_match = True
        found.none_match_found = found.none_match_found or tags_name(value, tag, True)
    elif which == FIELD_IF_MODIFIED_SINCE:
        take_once(&found.modified_since, value)
    elif which == FIELD_IF_UNMODIFIED_SINCE:
        take_once(&found.unmodified_since, value)
    elif which == FIELD_IF_RANGE:
        take_once(&found.if_range, value)
    elif which == FIELD_RANGE:
        take_once(&found.range, value)


cdef inline bint tags_name(const Text *value, const uint8_t *tag, bint weak) noexcept nogil:
    """"*", or a list of entity tags that holds `tag`; weak: W/ makes no difference (RFC 9110 8.8.3.2)."""
    cdef uint32_t i = 0
    cdef uint32_t start
    cdef bint marked
    if value.bytes == 1 and value.octets[0] == 42:
        return True
    while i < value.bytes:
        if value.octets[i] == 44 or value.octets[i] == 32 or value.octets[i] == 9:
            i += 1
            continue
        marked = i + 1 < value.bytes and value.octets[i] == 87 and value.octets[i + 1] == 47
        if marked:
            i += 2
        start = i
        i = tag_end(value, start)
        if i == 0:
            return False
        if i - start == IMAGE_ETAG_BYTES and memcmp(value.octets + start, tag, i - start) == 0 and (weak or not marked):
            return True
        if i < value.bytes and value.octets[i] != 44 and value.octets[i] != 32 and value.octets[i] != 9:
            return False
    return False


cdef inline uint32_t tag_end(const Text *value, uint32_t start) noexcept nogil:
    """Behind the opaque-tag (DQUOTE *etagc DQUOTE) that begins at `start`; 0 when none does."""
    cdef uint32_t i = start
    if i == value.bytes or value.octets[i] != 34:
        return 0
    i += 1
    while i < value.bytes and value.octets[i] != 34:
        if value.octets[i] <= 32 or value.octets[i] == 127:
            return 0
        i += 1
    return 0 if i == value.bytes else i + 1


cdef inline int is_later(const image_response *response, const Text *since, int64_t now_s) noexcept nogil:
    """1: modified after the date, 0: not, -1: there is no date to compare (13.1.3, 13.1.4: ignored)."""
    cdef int64_t second
    if since.octets == NULL or since.repeated or response.modified == 0:
        return -1
    second = date_parse(since.octets, since.bytes, now_s)
    if second == DATE_INVALID:
        return -1
    return 1 if response.modified > second else 0


cdef inline bint range_applies(
    const image_response *response, const Text *validator, int64_t now_s
) noexcept nogil:
    """If-Range (RFC 9110 13.1.5): absent, or our own strong validator, octet for octet. A time is strong
    when it is at least a second past (8.8.2.2)."""
    if validator.octets == NULL:
        return True
    if validator.repeated:
        return False
    if validator.bytes == IMAGE_ETAG_BYTES and memcmp(
        validator.octets, response.card + IMAGE_TAG_AT, IMAGE_ETAG_BYTES
    ) == 0:
        return True
    return (
        response.modified != 0 and response.modified < now_s and validator.bytes == IMAGE_DATE_BYTES
        and memcmp(
            validator.octets, response.card + (IMAGE_TAG_BYTES + IMAGE_MODIFIED_AT), IMAGE_DATE_BYTES
        ) == 0
    )
