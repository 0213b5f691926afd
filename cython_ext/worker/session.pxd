"""One connection's HTTP side: octets in, responses queued. Knows nothing of TCP.

What a session cannot hold it does not take, and TCP does not acknowledge.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from cython_ext.base.counters cimport C_NO_REQUEST_BUFFER, C_REQUESTS, count
from cython_ext.base.pool cimport NIL
from cython_ext.base.share cimport share_take
from cython_ext.content.store cimport image_response, response_front
from cython_ext.http.body cimport BODY_BAD, BODY_NONE, body_begin, body_skip
from cython_ext.http.conditional cimport (
    OUTCOME_FAILED, OUTCOME_NOT_MODIFIED, OUTCOME_PARTIAL, OUTCOME_PARTS, OUTCOME_UNSATISFIABLE, Outcome,
    judge_conditions,
)
from cython_ext.http.byterange cimport Parts
from cython_ext.http.request cimport (
    HEAD_BYTES_MOST, METHOD_HEAD, REQUEST_BAD, REQUEST_NEED_MORE, Request, RequestVerdict, empty_lines,
    head_scan, request_parse,
)
from cython_ext.http.select cimport Selection, error_response, host_error, http_select
from cython_ext.worker.accesslog cimport log_is_full, log_last
from cython_ext.worker.queue cimport (
    begin_response, drop_buffer, drop_last_response, note_take, queue_has_room, queue_take_block,
    session_slot, slot_extent, slot_note, stage_response,
)
from cython_ext.worker.service cimport (
    REQUEST_BUFFER_BYTES, SESSION_CLOSING, SLOT_CLOSE, SLOT_HEAD_ONLY, SLOT_KEEP_ALIVE, SLOT_NOT_MODIFIED,
    SLOT_PARTIAL, SLOT_PARTS, SLOT_TEXT, SLOT_UNSATISFIABLE, STAGED_LINE_SHIFT, Service, Session, Slot,
)
from cython_ext.worker.variant cimport parts_bytes


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


cdef inline Slot *stage_answer(
    Service *service, Session *session, const Request *request, uint32_t flags
) noexcept nogil:
    """The response selected, or what its preconditions and range make of it (RFC 9110 13.2.1: of a 200
    only). Without a block for its extent a range is answered by the whole, which is allowed (14.2)."""
    cdef Parts parts
    cdef Selection found
    cdef Outcome outcome
    cdef Slot *slot
    http_select(&service.store, request, &service.room, &found)
    flags |= found.line << STAGED_LINE_SHIFT
    if found.text_bytes:
        return stage_text(service, session, request, &found, flags)
    if not request.conditional or service.store.responses[found.response].status != 200:
        return stage_response(service, session, found.response, flags)
    outcome = judge_conditions(
        &service.store.responses[found.response], request, service.date.second, &parts
    )
    if outcome == OUTCOME_FAILED:
        return stage_response(
            service, session, host_error(&service.store, request, found.host, 412), flags
        )
    if outcome == OUTCOME_NOT_MODIFIED:
        flags |= SLOT_NOT_MODIFIED
    elif outcome == OUTCOME_UNSATISFIABLE:
        flags |= SLOT_UNSATISFIABLE
    elif outcome == OUTCOME_PARTS:
        return stage_parts(service, session, found.response, &parts, flags)
    elif outcome == OUTCOME_PARTIAL and (session.block != NIL or queue_take_block(service, session)):
        slot = stage_response(service, session, found.response, flags | SLOT_PARTIAL)
        slot_extent(service, slot)[0] = parts.extent[0]
        return slot
    return stage_response(service, session, found.response, flags)


cdef inline Slot *stage_text(
    Service *service, Session *session, const Request *request, const Selection *found, uint32_t flags
) noexcept nogil:
    """A response with a field line of its own, which is kept for when it has to be sent again. Without room
    for it: 503."""
    cdef uint32_t note
    cdef Slot *slot
    if not note_take(service, session, &note):
        return stage_response(service, session, host_error(&service.store, request, found.host, 503), flags)
    slot = stage_response(service, session, found.response, flags | SLOT_TEXT)
    slot_extent(service, slot).first = note
    slot_extent(service, slot).bytes = found.text_bytes
    memcpy(slot_note(service, slot), service.room.text, found.text_bytes)
    return slot


cdef inline Slot *stage_parts(
    Service *service, Session *session, uint32_t number, const Parts *parts, uint32_t flags
) noexcept nogil:
    """Several parts, unless the whole is no longer than they are, or there is no room to keep them."""
    cdef const image_response *response = &service.store.responses[number]
    cdef uint64_t octets = parts_bytes(response_front(&service.store, response), response, parts)
    cdef uint32_t note
    cdef Slot *slot
    if octets >= response.body_bytes or not note_take(service, session, &note):
        return stage_response(service, session, number, flags)
    slot = stage_response(service, session, number, flags | SLOT_PARTS)
    slot_extent(service, slot).first = note
    slot_extent(service, slot).bytes = octets
    memcpy(slot_note(service, slot), parts, sizeof(Parts))
    return slot


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
    slot = stage_answer(service, session, request, flags)
    if has_body and not session.flags & SESSION_CLOSING:
        body_begin(&session.body, request.content_length, request.chunked)
        return 0
    return begin_response(service, slot)


cdef inline uint64_t end_body(Service *service, Session *session) noexcept nogil:
    """The request's body is read past: its response begins. A body that cannot be followed makes
    the request malformed: one error takes the place of the response."""
    cdef Slot *slot = session_slot(service, session, session.slot_count - 1)
    cdef bint head_only = slot.flags & SLOT_HEAD_ONLY != 0
    cdef uint64_t queued
    if session.body.state == BODY_NONE:
        return begin_response(service, slot)
    drop_last_response(service, session)
    queued = refuse_request(service, session, 400 if session.body.state == BODY_BAD else 413, head_only)
    log_last(service, session, NULL, 0, NULL)       # the request itself was logged when its head was there
    return queued


cdef inline uint32_t parse_requests(
    Service *service, Session *session, const uint8_t *data, uint32_t octets, uint64_t *queued
) noexcept nogil:
    """Answers what is complete in `data`; returns how many octets are done with.

    Stops at a partial request, at a full queue, or, everything done with, when closing.
    """
    cdef uint32_t used = 0
    cdef Request request
    cdef RequestVerdict verdict
    service.log_blocked = False
    while used < octets and not session.flags & SESSION_CLOSING:
        service.log_blocked = log_is_full(service)
        if service.log_blocked:
            return used
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
            log_last(service, session, data + used, octets - used, NULL)
        else:
            queued[0] += answer_request(service, session, &request)
            log_last(service, session, data + used, request.head_bytes, &request)
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
    session.buffer = share_take(&service.buffers, service.log.peer_address)
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
    """What is left in the buffer is a partial request (all of it scanned), or waits for the queue or the log (0)."""
    return session.buffered if queue_has_room(service, session) and not service.log_blocked else 0


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
