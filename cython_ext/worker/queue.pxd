"""A session's record, what all sessions of a worker share, and the queue of responses.

A session costs 64 octets while it idles. Two bounded pools serve all sessions of a worker:
request buffers for heads that arrive in pieces, queue blocks for pipelined responses.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cython_ext.accesslog.ring cimport LogRing, ring_release
from cython_ext.base.counters cimport (
    C_NO_QUEUE_BLOCK, C_RESPONSES_2XX, C_RESPONSES_3XX, C_RESPONSES_4XX, C_RESPONSES_5XX, Counters, count,
)
from cython_ext.base.pool cimport NIL, Pool, pool_give, pool_init, pool_release, pool_take
from cython_ext.content.store cimport IMAGE_RESPONSE_CLOSE, Store, image_response, store_open
from cython_ext.http.body cimport Body
from cython_ext.http.date cimport Date, date_make
from cython_ext.http.byterange cimport Extent
from cython_ext.worker.variant cimport (
    DATE_END_BYTES, LINE_206_BYTES, LINE_304_BYTES, LINE_416_BYTES, PARTIAL_BYTES, UNSATISFIABLE_BYTES,
)

cdef enum:
    REQUEST_BUFFER_BYTES = 16384    # also the receive window; holds the largest head accepted
    INLINE_SLOTS = 2
    GENERATIONS_MOST = 8            # images in use at a time: the one served, and old ones until they are sent
    BLOCK_SLOTS = 64                # most responses a connection may have unacknowledged
    LEAD_BYTES_MOST = 33024         # the longest head in an image (32768), and what a variant adds
    TAIL_PLAIN_BYTES = 2            # CRLF
    TAIL_CLOSE_BYTES = 21           # Connection: close, CRLF CRLF
    TAIL_KEEP_BYTES = 26            # Connection: keep-alive, CRLF CRLF

cdef enum SlotFlag:
    SLOT_HEAD_ONLY = 1              # answer to HEAD: no body
    SLOT_CLOSE = 2
    SLOT_KEEP_ALIVE = 4             # said aloud, for HTTP/1.0
    SLOT_PARTIAL = 8                # 206: an extent of the content, kept beside the slot in its block
    SLOT_NOT_MODIFIED = 16          # 304
    SLOT_UNSATISFIABLE = 32         # 416
    SLOT_VARIANT = 56               # any of these: made of the 200 by worker/variant

cdef enum SessionFlag:
    SESSION_CLOSING = 1             # no further request is answered; octets are discarded

cdef struct Slot:
    uint32_t response
    uint32_t second                 # Date, fixed when the response was queued: retransmissions are equal
    uint16_t flags                  # SlotFlag
    uint8_t generation              # of the image that it is answered from, to its last octet
    uint8_t pad

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
    Store store                     # the site as new requests find it: stores[generation]
    Store stores[GENERATIONS_MOST]
    uint32_t queued[GENERATIONS_MOST]       # responses not wholly acknowledged, by generation
    uint32_t generation
    LogRing log
    bint log_blocked                # the last look at requests ended because the log was full
    Date date                       # of the current second
    Pool buffers
    Pool blocks
    uint8_t *buffer_memory          # REQUEST_BUFFER_BYTES each
    Slot *block_memory              # BLOCK_SLOTS each
    Extent *extents                 # beside each slot of a block, for SLOT_PARTIAL
    uint8_t *lead                   # room for the head of a variant
    uint8_t *scratch                # for paths that must be rewritten
    Counters *counters
    bint draining                   # every further response closes its connection


cdef inline void service_open_image(Service *service, const uint8_t *image, Counters *counters) noexcept nogil:
    memset(service, 0, sizeof(Service))
    store_open(&service.store, image)
    service.stores[0] = service.store
    date_make(&service.date, 0)
    service.counters = counters


cdef inline int service_init(
    Service *service, const uint8_t *image, uint32_t buffers, uint32_t blocks, Counters *counters
) noexcept nogil:
    """0, or -1 without memory."""
    service_open_image(service, image, counters)
    service.buffer_memory = <uint8_t *>calloc(buffers, REQUEST_BUFFER_BYTES)
    service.block_memory = <Slot *>calloc(<size_t>blocks * BLOCK_SLOTS, sizeof(Slot))
    service.extents = <Extent *>calloc(<size_t>blocks * BLOCK_SLOTS, sizeof(Extent))
    service.lead = <uint8_t *>calloc(1, LEAD_BYTES_MOST)
    service.scratch = <uint8_t *>calloc(1, REQUEST_BUFFER_BYTES)
    if service.buffer_memory == NULL or service.block_memory == NULL or service.scratch == NULL:
        return -1
    if service.extents == NULL or service.lead == NULL:
        return -1
    return pool_init(&service.buffers, buffers) | pool_init(&service.blocks, blocks)


cdef inline void service_release(Service *service) noexcept nogil:
    free(service.buffer_memory)
    free(service.block_memory)
    free(service.extents)
    free(service.lead)
    free(service.scratch)
    pool_release(&service.buffers)
    pool_release(&service.blocks)
    ring_release(&service.log)
    memset(service, 0, sizeof(Service))


cdef inline void session_start(Session *session) noexcept nogil:
    memset(session, 0, sizeof(Session))
    session.buffer = NIL
    session.block = NIL


cdef inline void session_end(Service *service, Session *session) noexcept nogil:
    """Gives back what the session holds."""
    drop_buffer(service, session)
    while session.slot_count:
        drop_last_response(service, session)
    if session.block != NIL:
        pool_give(&service.blocks, session.block)
        session.block = NIL


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


cdef inline const Store *slot_store(const Service *service, const Slot *slot) noexcept nogil:
    return &service.stores[slot.generation]


cdef inline const image_response *slot_response(const Service *service, const Slot *slot) noexcept nogil:
    return &slot_store(service, slot).responses[slot.response]


cdef inline void drop_last_response(Service *service, Session *session) noexcept nogil:
    session.slot_count -= 1
    service.queued[session_slot(service, session, session.slot_count).generation] -= 1


cdef inline bint queue_has_room(Service *service, Session *session) noexcept nogil:
    """Makes room for one more response where it can."""
    if session.slot_count < (INLINE_SLOTS if session.block == NIL else BLOCK_SLOTS):
        return True
    return session.block == NIL and queue_take_block(service, session)


cdef inline bint queue_take_block(Service *service, Session *session) noexcept nogil:
    """Moves the queue, inline so far, into a block. False without one."""
    cdef uint32_t block, i
    block = pool_take(&service.blocks)
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


cdef inline const Extent *slot_extent(const Service *service, const Slot *slot) noexcept nogil:
    """Of a slot with SLOT_PARTIAL: it lies in a block."""
    return &service.extents[slot - service.block_memory]


cdef inline uint16_t slot_status(const Service *service, const Slot *slot) noexcept nogil:
    if slot.flags & SLOT_NOT_MODIFIED:
        return 304
    if slot.flags & SLOT_UNSATISFIABLE:
        return 416
    return 206 if slot.flags & SLOT_PARTIAL else slot_response(service, slot).status


cdef inline uint32_t variant_head_bytes(const Service *service, const Slot *slot) noexcept nogil:
    """Octets that variant_head writes, without writing them."""
    cdef const image_response *response = slot_response(service, slot)
    cdef const Extent *extent
    if slot.flags & SLOT_NOT_MODIFIED:
        return LINE_304_BYTES + response.meta_end - response.line_bytes
    if slot.flags & SLOT_UNSATISFIABLE:
        return LINE_416_BYTES + DATE_END_BYTES + response.date_offset - response.line_bytes + (
            UNSATISFIABLE_BYTES + decimal_digits(response.body_bytes)
        )
    extent = slot_extent(service, slot)
    return LINE_206_BYTES + response.length_offset - response.line_bytes + (
        PARTIAL_BYTES + decimal_digits(extent.bytes) + decimal_digits(extent.first)
        + decimal_digits(extent.first + extent.bytes - 1) + decimal_digits(response.body_bytes)
    )


cdef inline uint64_t variant_body_bytes(const Service *service, const Slot *slot) noexcept nogil:
    return slot_extent(service, slot).bytes if slot.flags & SLOT_PARTIAL else 0


cdef inline uint64_t slot_body_bytes(const Service *service, const Slot *slot) noexcept nogil:
    if slot.flags & SLOT_VARIANT:
        return 0 if slot.flags & SLOT_HEAD_ONLY else variant_body_bytes(service, slot)
    return 0 if slot.flags & SLOT_HEAD_ONLY else slot_response(service, slot).body_bytes


cdef inline uint32_t decimal_digits(uint64_t number) noexcept nogil:
    cdef uint32_t digits = 1
    while number >= 10:
        number //= 10
        digits += 1
    return digits


cdef inline uint64_t slot_bytes(const Service *service, const Slot *slot) noexcept nogil:
    """Octets of the whole response as this connection sends it."""
    cdef const image_response *response = slot_response(service, slot)
    if slot.flags & SLOT_VARIANT:
        return variant_head_bytes(service, slot) + tail_bytes(slot.flags) + variant_body_bytes(service, slot)
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
    slot.flags = <uint16_t>flags
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
    cdef const Slot *slot
    session.first_offset += octets
    while session.slot_count:
        slot = session_slot(service, session, 0)
        whole = slot_bytes(service, slot)
        if session.first_offset < whole:
            return
        session.first_offset -= whole
        service.queued[slot.generation] -= 1
        session.slot_first = (session.slot_first + 1) & (BLOCK_SLOTS - 1)
        session.slot_count -= 1
    if session.block != NIL:
        pool_give(&service.blocks, session.block)
        session.block = NIL
    session.slot_first = 0
