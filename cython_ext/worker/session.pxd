"""One connection's HTTP side: octets in, responses queued. Knows nothing of TCP.

A session costs 64 octets while it idles. Two bounded pools serve all sessions of a worker:
request buffers for heads that arrive in pieces, queue blocks for pipelined responses. What a
session cannot hold it does not take, and TCP does not acknowledge.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from cython_ext.base.counters cimport (
    C_NO_QUEUE_BLOCK, C_NO_REQUEST_BUFFER, C_REQUESTS, C_RESPONSES_2XX, C_RESPONSES_3XX, C_RESPONSES_4XX,
    C_RESPONSES_5XX, Counters, count,
)
from cython_ext.base.pool cimport NIL, Pool, pool_give, pool_init, pool_release, pool_take
from cython_ext.content.store cimport IMAGE_RESPONSE_CLOSE, Store, image_response, store_open
from cython_ext.http.body cimport BODY_BAD, BODY_NONE, Body, body_begin, body_skip
from cython_ext.http.date cimport Date, date_make
from cython_ext.http.request cimport (
    HEAD_BYTES_MOST, METHOD_HEAD, REQUEST_BAD, REQUEST_DONE, REQUEST_NEED_MORE, Request, RequestVerdict,
    empty_lines, head_scan, request_parse,
)
from cython_ext.http.select cimport error_response, http_select

cdef enum:
    REQUEST_BUFFER_BYTES = 16384    # also the receive window; holds the largest head accepted
    INLINE_SLOTS = 2
    BLOCK_SLOTS = 64                # most responses a connection may have unacknowledged
    TAIL_PLAIN_BYTES = 2            # CRLF
    TAIL_CLOSE_BYTES = 21           # Connection: close, CRLF CRLF
    TAIL_KEEP_BYTES = 26            # Connection: keep-alive, CRLF CRLF

cdef enum SlotFlag:
    SLOT_HEAD_ONLY = 1              # answer to HEAD: no body
    SLOT_CLOSE = 2
    SLOT_KEEP_ALIVE = 4             # said aloud, for HTTP/1.0

cdef enum SessionFlag:
    SESSION_CLOSING = 1             # no further request is answered; octets are discarded

cdef struct Slot:
    uint32_t response
    uint32_t second                 # Date, fixed when the response was queued: retransmissions are equal
    uint32_t flags                  # SlotFlag

cdef struct Session:
    uint64_t first_offset           # octets of the first queued response already acknowledged
    uint32_t buffer                 # number of the request buffer, or NIL
    uint32_t block                  # number of the queue block, or NIL: slots are inline
    uint16_t buffered               # octets in the request buffer
    uint16_t scanned                # of them, octets known to hold no complete head
    uint8_t slot_first
    uint8_t slot_count
    uint8_t flags                   # SessionFlag
    uint8_t pad
    Body body                       # of the request being read past
    uint32_t head_since             # tick when the partial request began
    Slot slots[INLINE_SLOTS]

cdef struct Service:
    Store store
    Date date                       # of the current second
    Pool buffers
    Pool blocks
    uint8_t *buffer_memory          # REQUEST_BUFFER_BYTES each
    Slot *block_memory              # BLOCK_SLOTS each
    uint8_t *scratch                # for paths that must be rewritten
    Counters *counters
    bint draining                   # every further response closes its connection


cdef inline void service_open_image(Service *service, const uint8_t *image, Counters *counters) noexcept nogil:
    memset(service, 0, sizeof(Service))
    store_open(&service.store, image)
    date_make(&service.date, 0)
    service.counters = counters


cdef inline int service_init(
    Service *service, const uint8_t *image, uint32_t buffers, uint32_t blocks, Counters *counters
) noexcept nogil:
    """0, or -1 without memory."""
    service_open_image(service, image, counters)
    service.buffer_memory = <uint8_t *>calloc(buffers, REQUEST_BUFFER_BYTES)
    service.block_memory = <Slot *>calloc(<size_t>blocks * BLOCK_SLOTS, sizeof(Slot))
    service.scratch = <uint8_t *>calloc(1, REQUEST_BUFFER_BYTES)
    if service.buffer_memory == NULL or service.block_memory == NULL or service.scratch == NULL:
        return -1
    return pool_init(&service.buffers, buffers) | pool_init(&service.blocks, blocks)


cdef inline void service_release(Service *service) noexcept nogil:
    free(service.buffer_memory)
    free(service.block_memory)
    free(service.scratch)
    pool_release(&service.buffers)
    pool_release(&service.blocks)
    memset(service, 0, sizeof(Service))


cdef inline void session_start(Session *session) noexcept nogil:
    memset(session, 0, sizeof(Session))
    session.buffer = NIL
    session.block = NIL


cdef inline void session_end(Service *service, Session *session) noexcept nogil:
    """Gives back what the session holds."""
    drop_buffer(service, session)
    if session.block != NIL:
        pool_give(&service.blocks, session.block)
        session.block = NIL
    session.slot_count = 0


cdef inline void drop_buffer(Service *service, Session *session) noexcept nogil:
    if session.buffer != NIL:
        pool_give(&service.buffers, session.buffer)
        session.buffer = NIL
    session.buffered = 0
    session.scanned = 0


# ---- the queue of responses ----

cdef inline Slot *session_slot(Service *service, Session *session, uint32_t i) noexcept nogil:
    """The i-th queued response."""
    if session.block == NIL:
        return &session.slots[(session.slot_first + i) & (INLINE_SLOTS - 1)]
    return &service.block_memory[
        <size_t>session.block * BLOCK_SLOTS + ((session.slot_first + i) & (BLOCK_SLOTS - 1))
    ]


cdef inline bint queue_has_room(Service *service, Session *session) noexcept nogil:
    """Makes room for one more response where it can."""
    cdef uint32_t block, i
    if session.slot_count < (INLINE_SLOTS if session.block == NIL else BLOCK_SLOTS):
        return True
    if session.block != NIL:
        return False
    block = pool_take(&service.blocks)
    if block == NIL:
        count(service.counters, C_NO_QUEUE_BLOCK)
        return False
    for i in range(INLINE_SLOTS):
        service.block_memory[<size_t>block * BLOCK_SLOTS + i] = session_slot(service, session, i)[0]
    session.block = block
    session.slot_first = 0
    return True


cdef inline uint32_t tail_bytes(uint32_t flags) noexcept nogil:
    """What ends the head: the empty line, and what this connection adds before it."""
    if flags & SLOT_CLOSE:
        return TAIL_CLOSE_BYTES
    return TAIL_KEEP_BYTES if flags & SLOT_KEEP_ALIVE else TAIL_PLAIN_BYTES


cdef inline uint64_t slot_bytes(const Service *service, const Slot *slot) noexcept nogil:
    """Octets of the whole response as this connection sends it."""
    cdef const image_response *response = &service.store.responses[slot.response]
    return (
        response.head_bytes + tail_bytes(slot.flags)
        + (0 if slot.flags & SLOT_HEAD_ONLY else response.body_bytes)
    )


cdef inline Slot *stage_response(
    Service *service, Session *session, uint32_t response, uint32_t flags
) noexcept nogil:
    """Puts a response into the queue (there is room). It is not sent before begin_response."""
    cdef Slot *slot
    if service.store.responses[response].flags & IMAGE_RESPONSE_CLOSE or service.draining:
        flags |= SLOT_CLOSE
    if flags & SLOT_CLOSE:
        session.flags |= SESSION_CLOSING
    slot = session_slot(service, session, session.slot_count)
    slot.response = response
    slot.flags = flags
    session.slot_count += 1
    return slot


cdef inline uint64_t begin_response(Service *service, Slot *slot) noexcept nogil:
    """The response may be sent from now on; returns its octets."""
    cdef uint16_t status = service.store.responses[slot.response].status
    slot.second = service.date.second
    if status < 300:
        count(service.counters, C_RESPONSES_2XX)
    elif status < 400:
        count(service.counters, C_RESPONSES_3XX)
    elif status < 500:
        count(service.counters, C_RESPONSES_4XX)
    else:
        count(service.counters, C_RESPONSES_5XX)
    return slot_bytes(service, slot)


cdef inline void session_acked(Service *service, Session *session, uint64_t octets) noexcept nogil:
    """`octets` more of the stream are acknowledged: finished responses leave the queue."""
    cdef uint64_t whole
    session.first_offset += octets
    while session.slot_count:
        whole = slot_bytes(service, session_slot(service, session, 0))
        if session.first_offset < whole:
            return
        session.first_offset -= whole
        session.slot_first = (session.slot_first + 1) & (BLOCK_SLOTS - 1)
        session.slot_count -= 1
    if session.block != NIL:
        pool_give(&service.blocks, session.block)
        session.block = NIL
    session.slot_first = 0


# ---- requests ----

cdef inline uint32_t session_window(const Session *session) noexcept nogil:
    """Octets we are ready to take."""
    return REQUEST_BUFFER_BYTES - session.buffered


cdef inline bint session_is_idle(const Session *session) noexcept nogil:
    """Nothing has come of a next request, and every response is acknowledged."""
    return session.slot_count == 0 and session.buffered == 0


cdef inline bint session_is_blocked(const Session *session) noexcept nogil:
    """Requests wait for room in the response queue, or for being looked at now that it has some."""
    return session.buffered != 0 and session.scanned == 0


cdef inline uint64_t refuse_request(
    Service *service, Session *session, uint16_t status, bint head_only
) noexcept nogil:
    """An error response, then the end. head_only: the request was a HEAD (RFC 9110 9.3.2)."""
    cdef uint32_t flags = SLOT_CLOSE | SLOT_HEAD_ONLY if head_only else SLOT_CLOSE
    return begin_response(
        service, stage_response(service, session, error_response(&service.store, status), flags)
    )


cdef inline uint64_t answer_request(Service *service, Session *session, const Request *request) noexcept nogil:
    """One request with a well-formed head."""
    cdef Slot *slot
    cdef uint32_t flags = SLOT_HEAD_ONLY if request.method == METHOD_HEAD else 0
    cdef bint has_body = request.content_length != 0 or request.chunked
    count(service.counters, C_REQUESTS)
    if request.close or (request.minor == 0 and not request.keep_alive):
        flags |= SLOT_CLOSE
    elif request.minor == 0:
        flags |= SLOT_KEEP_ALIVE
    if request.expects_continue and has_body and request.minor:
        flags |= SLOT_CLOSE             # we never ask for the body: RFC 9110 10.1.1
    slot = stage_response(service, session, http_select(&service.store, request, service.scratch), flags)
    if has_body and not session.flags & SESSION_CLOSING:
        body_begin(&session.body, request.content_length, request.chunked)
        return 0
    return begin_response(service, slot)


cdef inline uint64_t end_body(Service *service, Session *session) noexcept nogil:
    """The request's body is read past: its response begins. A body that cannot be followed makes
    the request malformed: one error takes the place of the response."""
    cdef Slot *slot = session_slot(service, session, session.slot_count - 1)
    if session.body.state == BODY_NONE:
        return begin_response(service, slot)
    session.slot_count -= 1
    return refuse_request(
        service, session, 400 if session.body.state == BODY_BAD else 413, slot.flags & SLOT_HEAD_ONLY != 0
    )


cdef inline uint32_t parse_requests(
    Service *service, Session *session, const uint8_t *data, uint32_t octets, uint64_t *queued
) noexcept nogil:
    """Answers what is complete in `data`; returns how many octets are done with.

    Stops at a partial request, at a full queue, or, everything done with, when closing.
    """
    cdef uint32_t used = 0
    cdef Request request
    cdef RequestVerdict verdict
    while used < octets and not session.flags & SESSION_CLOSING:
        if session.body.state != BODY_NONE:
            used += body_skip(&session.body, data + used, octets - used)
            if session.body.state == BODY_NONE or session.body.state >= BODY_BAD:
                queued[0] += end_body(service, session)
            continue
        if not queue_has_room(service, session):
            return used
        verdict = request_parse(data + used, octets - used, &request)
        if verdict == REQUEST_NEED_MORE:
            return used + empty_lines(data + used, octets - used)
        if verdict == REQUEST_BAD:
            queued[0] += refuse_request(service, session, request.status, request.method == METHOD_HEAD)
        else:
            queued[0] += answer_request(service, session, &request)
            used += request.head_bytes
    return octets if session.flags & SESSION_CLOSING else used


cdef inline uint32_t session_receive(
    Service *service, Session *session, const uint8_t *data, uint32_t octets, uint32_t tick, uint64_t *queued
) noexcept nogil:
    """New octets in order. Returns how many are taken; adds the octets of new responses to `queued`."""
    cdef uint32_t used, rest
    if session.flags & SESSION_CLOSING:
        return octets
    if session.buffer != NIL:
        rest = min(octets, session_window(session))
        memcpy(request_buffer(service, session) + session.buffered, data, rest)
        session.buffered += <uint16_t>rest
        session_drain(service, session, tick, queued)
        return rest
    used = parse_requests(service, session, data, octets, queued)
    if used == octets:
        return octets
    session.buffer = pool_take(&service.buffers)
    if session.buffer == NIL:
        count(service.counters, C_NO_REQUEST_BUFFER)
        return used
    rest = min(octets - used, <uint32_t>REQUEST_BUFFER_BYTES)
    memcpy(request_buffer(service, session), data + used, rest)
    session.buffered = <uint16_t>rest
    session.scanned = scanned_after(service, session)
    session.head_since = tick
    return used + rest


cdef inline uint8_t *request_buffer(Service *service, const Session *session) noexcept nogil:
    return service.buffer_memory + <size_t>session.buffer * REQUEST_BUFFER_BYTES


cdef inline uint16_t scanned_after(Service *service, Session *session) noexcept nogil:
    """What is left in the buffer is a partial request (all of it scanned) or waits for the queue (0)."""
    return session.buffered if queue_has_room(service, session) else 0


cdef inline void session_drain(Service *service, Session *session, uint32_t tick, uint64_t *queued) noexcept nogil:
    """Parses what the request buffer holds, as far as the queue has room."""
    cdef uint8_t *data
    cdef uint32_t used
    cdef bint waited = session.scanned == 0
    if session.buffer == NIL:
        return
    data = request_buffer(service, session)
    if session.scanned and session.buffered < HEAD_BYTES_MOST:
        if head_scan(data, session.buffered, session.scanned) == session.buffered:
            session.scanned = session.buffered
            return
    used = parse_requests(service, session, data, session.buffered, queued)
    if used == session.buffered:
        drop_buffer(service, session)
        return
    if used:
        memmove(data, data + used, session.buffered - used)
        session.buffered -= <uint16_t>used
    if used or waited:
        session.head_since = tick       # the peer's time for a head begins only when we look at it
    session.scanned = scanned_after(service, session)
