"""The queue of responses of a session: what is staged, begun and acknowledged, and how long it is."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.base.counters cimport (
    C_NO_NOTE, C_NO_QUEUE_BLOCK, C_RESPONSES_2XX, C_RESPONSES_3XX, C_RESPONSES_4XX, C_RESPONSES_5XX, count,
)
from cython_ext.base.pool cimport NIL
from cython_ext.base.share cimport share_give, share_take
from cython_ext.content.store cimport IMAGE_RESPONSE_CLOSE, Store, head_bytes, image_response, response_front
from cython_ext.http.byterange cimport Extent, Parts
from cython_ext.worker.service cimport (
    BLOCK_SLOTS, INLINE_SLOTS, NOTE_BYTES, SESSION_CLOSING, SLOT_CLOSE, SLOT_HEAD_ONLY, SLOT_KEEP_ALIVE,
    SLOT_MADE, SLOT_NOT_MODIFIED, SLOT_NOTED, SLOT_PARTIAL, SLOT_PARTS, SLOT_TEXT, SLOT_UNSATISFIABLE,
    SLOT_VARIANT, STAGED_LINE_SHIFT, Service, Session, Slot,
)
from cython_ext.worker.variant cimport (
    LINE_206_BYTES, LINE_416_BYTES, MULTIPART_BYTES, PARTIAL_BYTES, UNSATISFIABLE_BYTES, date_end, decimal_digits,
    not_modified_bytes, type_line_bytes, whole_fields_bytes,
)

cdef enum:
    TAIL_PLAIN_BYTES = 2            # CRLF
    TAIL_CLOSE_BYTES = 21           # Connection: close, CRLF CRLF
    TAIL_KEEP_BYTES = 26            # Connection: keep-alive, CRLF CRLF


cdef inline void session_end(Service *service, Session *session) noexcept nogil:
    """Gives back what the session holds."""
    drop_buffer(service, session)
    while session.slot_count:
        drop_last_response(service, session)
    if session.block != NIL:
        share_give(&service.blocks, session.block)
        session.block = NIL


cdef inline void drop_buffer(Service *service, Session *session) noexcept nogil:
    if session.buffer != NIL:
        share_give(&service.buffers, session.buffer)
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


cdef inline const Store *slot_store(const Service *service, const Slot *slot) noexcept nogil:
    return &service.stores[slot.generation]


cdef inline const image_response *slot_response(const Service *service, const Slot *slot) noexcept nogil:
    return &slot_store(service, slot).responses[slot.response]


cdef inline void drop_last_response(Service *service, Session *session) noexcept nogil:
    session.slot_count -= 1
    slot_forget(service, session_slot(service, session, session.slot_count))


cdef inline bint queue_has_room(Service *service, Session *session) noexcept nogil:
    """Makes room for one more response where it can."""
    if session.slot_count < (INLINE_SLOTS if session.block == NIL else BLOCK_SLOTS):
        return True
    return session.block == NIL and queue_take_block(service, session)


cdef inline bint queue_take_block(Service *service, Session *session) noexcept nogil:
    """Moves the queue, inline so far, into a block. False without one."""
    cdef uint32_t block, i
    block = share_take(&service.blocks, service.log.peer_address)
    if block == NIL:
        count(service.counters, C_NO_QUEUE_BLOCK)
        return False
    for i in range(<uint32_t>INLINE_SLOTS):
        service.block_memory[<size_t>block * BLOCK_SLOTS + i] = session_slot(service, session, i)[0]
    session.block = block
    session.slot_first = 0
    return True


cdef inline uint32_t tail_bytes(uint32_t flags) noexcept nogil:
    """What ends the head: the empty line, and what this connection adds before it."""
    if flags & SLOT_CLOSE:
        return TAIL_CLOSE_BYTES
    return TAIL_KEEP_BYTES if flags & SLOT_KEEP_ALIVE else TAIL_PLAIN_BYTES


cdef inline Extent *slot_extent(const Service *service, const Slot *slot) noexcept nogil:
    """Of a slot with SLOT_PARTIAL or SLOT_NOTED: it lies in a block."""
    return &service.extents[slot - service.block_memory]


cdef inline uint8_t *slot_note(const Service *service, const Slot *slot) noexcept nogil:
    return service.note_memory + <size_t>slot_extent(service, slot).first * NOTE_BYTES


cdef inline const Parts *slot_parts(const Service *service, const Slot *slot) noexcept nogil:
    return <const Parts *>slot_note(service, slot)


cdef inline void slot_forget(Service *service, const Slot *slot) noexcept nogil:
    """The slot leaves the queue."""
    service.queued[slot.generation] -= 1
    if slot.flags & SLOT_NOTED:
        share_give(&service.notes, <uint32_t>slot_extent(service, slot).first)


cdef inline bint note_take(Service *service, Session *session, uint32_t *note) noexcept nogil:
    """A note for the slot that is staged next, and a block for that; False without."""
    if session.block != NIL or queue_take_block(service, session):
        note[0] = share_take(&service.notes, service.log.peer_address)
        if note[0] != NIL:
            return True
    count(service.counters, C_NO_NOTE)
    return False


cdef inline uint32_t extra_bytes(const Service *service, const Slot *slot) noexcept nogil:
    """Octets of the field lines appended to the head."""
    cdef uint32_t octets = 0
    if slot.line:
        octets = slot_store(service, slot).lines[slot.line - 1].bytes
    if slot.flags & SLOT_TEXT:
        octets += <uint32_t>slot_extent(service, slot).bytes
    return octets


cdef inline uint16_t slot_status(const Service *service, const Slot *slot) noexcept nogil:
    if slot.flags & SLOT_NOT_MODIFIED:
        return 304
    if slot.flags & SLOT_UNSATISFIABLE:
        return 416
    return 206 if slot.flags & (SLOT_PARTIAL | SLOT_PARTS) else slot_response(service, slot).status


cdef inline uint32_t variant_head_bytes(const Service *service, const Slot *slot) noexcept nogil:
    """Octets that variant_head writes, without writing them."""
    cdef const image_response *response = slot_response(service, slot)
    cdef const Extent *extent
    if slot.flags & SLOT_NOT_MODIFIED:
        return not_modified_bytes(response)
    if slot.flags & SLOT_UNSATISFIABLE:
        return LINE_416_BYTES + date_end(response) - response.line_bytes + (
            UNSATISFIABLE_BYTES + decimal_digits(response.body_bytes)
        )
    extent = slot_extent(service, slot)
    if slot.flags & SLOT_PARTS:
        return LINE_206_BYTES + whole_fields_bytes(response) + (
            MULTIPART_BYTES + decimal_digits(extent.bytes)
            - type_line_bytes(response_front(slot_store(service, slot), response), response)
        )
    return LINE_206_BYTES + whole_fields_bytes(response) + (
        PARTIAL_BYTES + decimal_digits(extent.bytes) + decimal_digits(extent.first)
        + decimal_digits(extent.first + extent.bytes - 1) + decimal_digits(response.body_bytes)
    )


cdef inline bint slot_is_plain(const Slot *slot) noexcept nogil:
    """Nearly all are: head and content as they lie in the image."""
    return not slot.flags & SLOT_MADE and slot.line == 0


cdef inline uint32_t made_head_bytes(const Service *service, const Slot *slot) noexcept nogil:
    """Head and tail of a slot that is not plain."""
    return tail_bytes(slot.flags) + extra_bytes(service, slot) + (
        variant_head_bytes(service, slot) if slot.flags & SLOT_VARIANT
        else head_bytes(slot_response(service, slot))
    )


cdef inline uint64_t slot_body_bytes(const Service *service, const Slot *slot) noexcept nogil:
    """Octets of content, of any slot."""
    if slot.flags & SLOT_VARIANT:
        return slot_extent(service, slot).bytes if slot.flags & (SLOT_PARTIAL | SLOT_PARTS) else 0
    return 0 if slot.flags & SLOT_HEAD_ONLY else slot_response(service, slot).body_bytes


cdef inline uint64_t slot_bytes(const Service *service, const Slot *slot) noexcept nogil:
    """Octets of the whole response as this connection sends it."""
    cdef const image_response *response = slot_response(service, slot)
    if slot_is_plain(slot):
        return (
            head_bytes(response) + tail_bytes(slot.flags)
            + (0 if slot.flags & SLOT_HEAD_ONLY else response.body_bytes)
        )
    return made_head_bytes(service, slot) + slot_body_bytes(service, slot)


cdef inline Slot *stage_response(
    Service *service, Session *session, uint32_t response, uint32_t flags
) noexcept nogil:
    """Puts a response into the queue (there is room). It is not sent before begin_response. flags: SlotFlag,
    and from STAGED_LINE_SHIFT on the line."""
    cdef Slot *slot
    if service.store.responses[response].flags & IMAGE_RESPONSE_CLOSE or service.draining:
        flags |= SLOT_CLOSE
    if flags & SLOT_CLOSE:
        session.flags |= SESSION_CLOSING
    slot = session_slot(service, session, session.slot_count)
    slot.response = response
    slot.flags = <uint8_t>flags
    slot.line = <uint16_t>(flags >> STAGED_LINE_SHIFT)
    slot.generation = <uint8_t>service.generation
    service.queued[service.generation] += 1
    session.slot_count += 1
    return slot


cdef inline uint64_t begin_response(Service *service, Slot *slot) noexcept nogil:
    """The response may be sent from now on; returns its octets."""
    cdef uint16_t status = slot_status(service, slot)
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
        slot_forget(service, session_slot(service, session, 0))
        session.slot_first = (session.slot_first + 1) & (BLOCK_SLOTS - 1)
        session.slot_count -= 1
    if session.block != NIL:
        share_give(&service.blocks, session.block)
        session.block = NIL
    session.slot_first = 0
