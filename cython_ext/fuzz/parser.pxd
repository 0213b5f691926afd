"""The request parser alone: texts that end where their memory ends, whole, cut and in pieces."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from cython_ext.base.pool cimport NIL
from cython_ext.content.store cimport Store
from cython_ext.fuzz.audit cimport fuzz_require
from cython_ext.fuzz.chance cimport (
    Choices, chance_below, chance_fill, chance_one_in, chance_seed, chance_size, chance_spoil,
)
from cython_ext.fuzz.peer cimport Corpus
from cython_ext.http.body cimport BODY_BAD, BODY_NONE, Body, body_begin, body_skip
from cython_ext.http.request cimport (
    HEAD_BYTES_MOST, REQUEST_BAD, REQUEST_DONE, REQUEST_NEED_MORE, Request, RequestVerdict, head_scan,
    request_parse,
)
from cython_ext.http.folder cimport KEY_EXTRA, KEY_ROOM_LEAST
from cython_ext.http.rule cimport MADE_BYTES_MOST
from cython_ext.http.select cimport Room, Selection, http_select

cdef enum:
    TEXT_MOST = 20000
    SPOILED_MOST = 6


cdef inline uint32_t text_make(Choices *chance, const Corpus *corpus, uint8_t *out) noexcept nogil:
    """One entry or two, spoiled and cut; or noise. Returns its octets."""
    cdef uint32_t entry = chance_below(chance, corpus.entries)
    cdef uint32_t start = corpus.ends[entry - 1] if entry else 0
    cdef uint32_t octets = min(corpus.ends[entry] - start, <uint32_t>TEXT_MOST)
    cdef uint32_t _i, from_at, more
    memcpy(out, corpus.octets + start, octets)
    if chance_one_in(chance, 16):
        octets = chance_size(chance, 4000)
        chance_fill(chance, out, octets)
    if octets and chance_one_in(chance, 4):         # a piece of it twice: long names, many fields
        from_at = chance_below(chance, octets)
        more = min(octets - from_at, <uint32_t>TEXT_MOST - octets)
        memcpy(out + octets, out + from_at, more)
        octets += more
    for _i in range(chance_below(chance, SPOILED_MOST)):
        chance_spoil(chance, out, octets)
    return octets if chance_one_in(chance, 2) else chance_below(chance, octets + 1)


cdef inline void parser_round(Choices *chance, const Corpus *corpus, const Store *store, uint8_t *room) noexcept nogil:
    """One text through parser, path, select and body."""
    cdef uint32_t octets = text_make(chance, corpus, room)
    cdef uint8_t *text = <uint8_t *>malloc(octets)
    cdef Request request
    cdef RequestVerdict verdict
    memcpy(text, room, octets)
    verdict = request_parse(text, octets, &request)
    if verdict == REQUEST_DONE:
        require_inside(&request, text, octets)
        try_select(store, &request)
        try_body(chance, &request, text, octets)
    elif verdict == REQUEST_BAD:
        fuzz_require(400 <= request.status < 600, b"a refusal has a status", request.status, octets)
    else:
        fuzz_require(octets < HEAD_BYTES_MOST, b"a long head is refused", octets, 0)
    try_prefix(chance, text, octets, verdict, &request)
    try_scan(chance, text, octets, verdict)
    free(text)


cdef inline void require_inside(const Request *request, const uint8_t *text, uint32_t octets) noexcept nogil:
    cdef int64_t at = request.target - text
    fuzz_require(at > 0 and at + request.target_bytes <= octets, b"the target is in the text", at, octets)
    fuzz_require(request.target_bytes != 0, b"the target is not empty", 0, 0)
    fuzz_require(request.head_bytes <= octets, b"the head is in the text", request.head_bytes, octets)
    fuzz_require(not (request.chunked and request.content_length), b"one framing at most", 0, 0)


cdef inline void try_select(const Store *store, const Request *request) noexcept nogil:
    """The target ends where its memory ends; the path is rewritten in exactly the room that is promised."""
    cdef uint8_t *target = <uint8_t *>malloc(request.target_bytes)
    cdef uint8_t *host = <uint8_t *>malloc(request.host_bytes)
    cdef Room room
    cdef Selection found
    cdef Request alone = request[0]
    memcpy(target, request.target, request.target_bytes)
    alone.target = target
    room.path = <uint8_t *>malloc(request.target_bytes)
    room.key = <uint8_t *>malloc(max(request.target_bytes + KEY_EXTRA, <uint32_t>KEY_ROOM_LEAST))
    room.text = <uint8_t *>malloc(MADE_BYTES_MOST)
    room.known = NULL
    if request.host_bytes:
        memcpy(host, request.host, request.host_bytes)
    alone.host = host
    http_select(store, &alone, &room, &found)
    fuzz_require(
        found.response < store.header.responses_count, b"a response that the site has", found.response, 0
    )
    fuzz_require(found.text_bytes <= MADE_BYTES_MOST, b"a field line fits its room", found.text_bytes, 0)
    free(room.path)
    free(room.key)
    free(room.text)
    free(host)
    free(target)


cdef inline void try_body(Choices *chance, const Request *request, const uint8_t *text, uint32_t octets) noexcept nogil:
    """The body ends at the same place however it is cut."""
    cdef Body whole, pieces
    cdef const uint8_t *data = text + request.head_bytes
    cdef uint32_t rest = octets - request.head_bytes
    cdef uint32_t used, step
    cdef uint32_t done = 0
    body_begin(&whole, request.content_length, request.chunked)
    body_begin(&pieces, request.content_length, request.chunked)
    used = body_skip(&whole, data, rest)
    fuzz_require(used <= rest, b"a body ends in the text", used, rest)
    while done < rest and pieces.state != BODY_NONE and pieces.state < BODY_BAD:
        step = min(1 + chance_size(chance, 300), rest - done)
        done += body_skip(&pieces, data + done, step)
    fuzz_require(done == used and pieces.state == whole.state, b"a body does not depend on cuts", done, used)


cdef inline void try_prefix(
    Choices *chance, const uint8_t *text, uint32_t octets, RequestVerdict verdict, const Request *request
) noexcept nogil:
    """What is refused early stays refused; what is complete early stays the same request."""
    cdef uint32_t size = chance_below(chance, octets + 1)
    cdef uint8_t *prefix = <uint8_t *>malloc(size)
    cdef Request early
    cdef RequestVerdict before
    memcpy(prefix, text, size)
    before = request_parse(prefix, size, &early)
    if before == REQUEST_BAD:
        fuzz_require(verdict == REQUEST_BAD, b"a refusal is final", size, octets)
    elif before == REQUEST_DONE:
        fuzz_require(verdict == REQUEST_DONE, b"a complete head stays complete", size, octets)
        fuzz_require(early.head_bytes == request.head_bytes, b"a head has one end", size, octets)
    free(prefix)


cdef inline void try_scan(
    Choices *chance, const uint8_t *text, uint32_t octets, RequestVerdict verdict
) noexcept nogil:
    """What the short scan calls incomplete is so."""
    cdef uint32_t found = head_scan(text, octets, 0)
    fuzz_require(found <= octets, b"the scan stays in the text", found, octets)
    if found == octets:
        fuzz_require(verdict != REQUEST_DONE, b"no head is complete without its empty line", found, octets)


cdef inline void parser_run(
    uint64_t seed, uint64_t rounds, const Corpus *corpus, const Store *store
) noexcept nogil:
    cdef Choices chance
    cdef uint64_t _i
    cdef uint8_t *room = <uint8_t *>malloc(TEXT_MOST)
    chance_seed(&chance, seed)
    for _i in range(rounds):
        parser_round(&chance, corpus, store, room)
    free(room)
