"""One text through parser, path, preconditions and body, each time at the end of its memory.

Read whole, octet by octet as a session reads it, and with more behind it: the verdict must not depend on it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from cython_ext.content.store cimport Store, image_hash, image_response
from cython_ext.fuzz.audit cimport fuzz_require
from cython_ext.fuzz.guard cimport Guard, guard_copy, guard_open, guard_room
from cython_ext.fuzz.parser cimport require_inside
from cython_ext.fuzz.plant cimport PLANT_DEEP
from cython_ext.http.body cimport BODY_BAD, BODY_NONE, Body, body_begin, body_skip
from cython_ext.http.byterange cimport PARTS_MOST, Parts
from cython_ext.http.conditional cimport OUTCOME_PARTIAL, OUTCOME_PARTS, Outcome, judge_conditions
from cython_ext.http.folder cimport KEY_EXTRA, KEY_ROOM_LEAST
from cython_ext.http.path cimport Known, plain_prefix
from cython_ext.http.request cimport (
    REQUEST_BAD, REQUEST_DONE, REQUEST_NEED_MORE, Request, RequestVerdict, head_scan, request_parse,
)
from cython_ext.http.rule cimport MADE_BYTES_MOST
from cython_ext.http.select cimport Room, Selection, http_select

cdef enum:
    TEXT_PAGES = 6
    TEXT_MOST = 20000           # octets of a text
    CUTS_MOST = 512             # places at which a text is cut
    NOW_S = 1700000000

cdef struct Desk:               # room for what a text is taken apart to
    Guard text
    Guard part
    Guard path
    Guard key
    Guard line
    Guard host
    Guard fields


cdef inline void desk_open(Desk *desk) noexcept nogil:
    guard_open(&desk.text, TEXT_PAGES)
    guard_open(&desk.part, TEXT_PAGES)
    guard_open(&desk.path, TEXT_PAGES)
    guard_open(&desk.key, TEXT_PAGES)
    guard_open(&desk.line, TEXT_PAGES)
    guard_open(&desk.host, TEXT_PAGES)
    guard_open(&desk.fields, TEXT_PAGES)


cdef inline void text_judge(
    Desk *desk, const Store *store, const uint8_t *data, uint32_t octets, uint32_t plant
) noexcept nogil:
    cdef Request request
    cdef RequestVerdict verdict
    cdef uint8_t *text
    if octets > TEXT_MOST:
        return
    text = guard_copy(&desk.text, data, octets)
    verdict = request_parse(text, octets, &request)
    if verdict == REQUEST_DONE:
        require_inside(&request, text, octets)
        fuzz_require(plant != PLANT_DEEP, b"planted: a whole request", octets, 0)
        judge_fields(desk, store, &request)
        judge_body(desk, &request, text + request.head_bytes, octets - request.head_bytes)
        judge_behind(desk, &request, data, octets, b"\0", 1)
        judge_behind(desk, &request, data, octets, b"\r\n", 2)
        judge_behind(desk, &request, data, octets, b"GET /x HTTP/1.1\r\nHost: b\r\n\r\n", 28)
    elif verdict == REQUEST_BAD:
        fuzz_require(400 <= request.status < 600, b"a refusal has a status", request.status, octets)
        judge_behind(desk, &request, data, octets, b"\r\n\r\n", 4)
    judge_pieces(desk, &request, verdict, data, octets)


cdef inline void require_same(const Request *one, const Request *other, uint32_t size) noexcept nogil:
    fuzz_require(one.status == other.status, b"the status does not depend on cuts", one.status, other.status)
    if one.status:
        return
    fuzz_require(one.head_bytes == other.head_bytes, b"a head has one end", one.head_bytes, other.head_bytes)
    fuzz_require(
        one.target_bytes == other.target_bytes and one.fields_bytes == other.fields_bytes
        and one.method == other.method and one.minor == other.minor,
        b"a head is read in one way", size, one.head_bytes,
    )
    fuzz_require(
        one.content_length == other.content_length and one.chunked == other.chunked
        and one.close == other.close and one.keep_alive == other.keep_alive
        and one.expects_continue == other.expects_continue and one.expects_other == other.expects_other
        and one.conditional == other.conditional,
        b"fields are read in one way", size, one.head_bytes,
    )


cdef inline void judge_behind(
    Desk *desk, const Request *request, const uint8_t *data, uint32_t octets, const char *tail, uint32_t more
) noexcept nogil:
    """What follows a request, or a malformed one, changes nothing about it."""
    cdef uint8_t *text = guard_room(&desk.part, octets + more)
    cdef Request longer
    memcpy(text, data, octets)
    memcpy(text + octets, tail, more)
    request_parse(text, octets + more, &longer)
    require_same(request, &longer, octets)


cdef inline void judge_pieces(
    Desk *desk, const Request *request, RequestVerdict verdict, const uint8_t *data, uint32_t octets
) noexcept nogil:
    """Octets that come one by one, each prefix at the end of its memory; long texts in longer steps."""
    cdef uint32_t scanned = 0
    cdef uint32_t step = 1 + octets // CUTS_MOST
    cdef uint32_t size = 0
    cdef uint8_t *prefix
    cdef Request early
    cdef RequestVerdict before
    while size < octets:
        size = min(size + step, octets)
        prefix = guard_copy(&desk.part, data, size)
        if head_scan(prefix, size, scanned) == size:
            scanned = size
            continue
        scanned = size
        before = request_parse(prefix, size, &early)
        if before == REQUEST_NEED_MORE:
            continue
        fuzz_require(before == verdict, b"a verdict is final", size, octets)
        require_same(&early, request, size)
        return
    fuzz_require(verdict != REQUEST_DONE, b"no head is complete unseen", octets, scanned)


cdef inline void judge_fields(Desk *desk, const Store *store, const Request *request) noexcept nogil:
    """Target, host and field lines each end where their memory ends, and so does the room to work in."""
    cdef Request alone = request[0]
    cdef Room room
    cdef Selection found
    room.path = guard_room(&desk.path, request.target_bytes)
    room.key = guard_room(&desk.key, max(request.target_bytes + KEY_EXTRA, <uint32_t>KEY_ROOM_LEAST))
    room.text = guard_room(&desk.line, MADE_BYTES_MOST)
    room.known = NULL
    alone.target = guard_copy(&desk.part, request.target, request.target_bytes)
    alone.host = guard_copy(&desk.host, request.host, request.host_bytes)
    alone.fields = guard_copy(&desk.fields, request.fields, request.fields_bytes)
    http_select(store, &alone, &room, &found)
    fuzz_require(
        found.response < store.header.responses_count, b"a response that the site has", found.response, 0
    )
    fuzz_require(found.text_bytes <= MADE_BYTES_MOST, b"a field line fits its room", found.text_bytes, 0)
    judge_known(store, &alone, &room, &found)
    if store.responses[found.response].status == 200 and request.conditional:
        judge_parts(store, &store.responses[found.response], &alone)


cdef inline void judge_known(
    const Store *store, const Request *request, Room *room, const Selection *found
) noexcept nogil:
    """What was found out about the target before its turn came makes no difference."""
    cdef Known known
    cdef Selection again
    if request.target_bytes == 0 or request.target[0] != 47:
        return
    known.target = request.target
    known.bytes = plain_prefix(request.target, request.target_bytes)
    known.hash = image_hash(request.target, known.bytes)
    room.known = &known
    http_select(store, request, room, &again)
    room.known = NULL
    fuzz_require(
        again.response == found.response and again.line == found.line and again.text_bytes == found.text_bytes,
        b"one target has one answer", again.response, found.response,
    )


cdef inline void judge_parts(const Store *store, const image_response *response, const Request *request) noexcept nogil:
    """What is answered in parts lies in the file."""
    cdef Parts parts
    cdef Outcome outcome = judge_conditions(response, request, NOW_S, &parts)
    cdef uint32_t i
    if outcome != OUTCOME_PARTIAL and outcome != OUTCOME_PARTS:
        return
    fuzz_require(0 < parts.count <= PARTS_MOST, b"parts are few", parts.count, 0)
    for i in range(parts.count):
        fuzz_require(
            parts.extent[i].bytes != 0 and parts.extent[i].first < response.body_bytes
            and parts.extent[i].bytes <= response.body_bytes - parts.extent[i].first,
            b"a range lies in the file", <int64_t>parts.extent[i].first, <int64_t>parts.extent[i].bytes,
        )


cdef inline void judge_body(
    Desk *desk, const Request *request, const uint8_t *data, uint32_t octets
) noexcept nogil:
    """The body ends at the same place, whole, octet by octet and in two pieces."""
    cdef Body whole, pieces
    cdef uint32_t used, i
    cdef uint32_t done = 0
    body_begin(&whole, request.content_length, request.chunked)
    used = body_skip(&whole, guard_copy(&desk.part, data, octets), octets)
    fuzz_require(used <= octets, b"a body ends in the text", used, octets)
    body_begin(&pieces, request.content_length, request.chunked)
    while done < octets and pieces.state != BODY_NONE and pieces.state < BODY_BAD:
        done += body_skip(&pieces, guard_copy(&desk.part, data + done, 1), 1)
    fuzz_require(done == used and pieces.state == whole.state, b"a body does not depend on cuts", done, used)
    body_begin(&pieces, request.content_length, request.chunked)
    i = octets // 2
    done = body_skip(&pieces, guard_copy(&desk.part, data, i), i)
    if done == i and pieces.state != BODY_NONE and pieces.state < BODY_BAD:
        done += body_skip(&pieces, guard_copy(&desk.part, data + i, octets - i), octets - i)
    fuzz_require(done == used and pieces.state == whole.state, b"a body does not depend on a cut", done, used)
