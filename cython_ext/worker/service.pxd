"""A session's record, and what all sessions of a worker share.

A session costs 64 octets while it idles. Bounded pools serve all sessions of a worker: request buffers for
heads that arrive in pieces, queue blocks for pipelined responses, notes for what a response remembers.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cython_ext.accesslog.ring cimport LogRing, ring_release
from cython_ext.base.counters cimport Counters
from cython_ext.base.pool cimport NIL
from cython_ext.base.share cimport Share, share_init, share_release
from cython_ext.base.siphash cimport SipKey
from cython_ext.content.store cimport Store, store_open
from cython_ext.content.window cimport Windows, windows_release
from cython_ext.http.body cimport Body
from cython_ext.http.byterange cimport Extent
from cython_ext.http.date cimport Date, date_make
from cython_ext.http.rule cimport MADE_BYTES_MOST
from cython_ext.http.select cimport Room

cdef enum:
    REQUEST_BUFFER_BYTES = 16384    # also the receive window; holds the largest head accepted
    INLINE_SLOTS = 2
    GENERATIONS_MOST = 8            # images in use at a time: the one served, and old ones until they are sent
    BLOCK_SLOTS = 64                # most responses a connection may have unacknowledged
    NOTE_BYTES = MADE_BYTES_MOST    # of what a slot remembers: a field line, or parts
    LEAD_BYTES_MOST = 36096         # the longest head in an image (32768), what a variant adds, line and note
    SCRATCH_BYTES = 34816           # two request buffers and a text

cdef enum SlotFlag:
    SLOT_HEAD_ONLY = 1              # answer to HEAD: no body
    SLOT_CLOSE = 2
    SLOT_KEEP_ALIVE = 4             # said aloud, for HTTP/1.0
    SLOT_PARTIAL = 8                # 206: an extent of the content, kept beside the slot in its block
    SLOT_NOT_MODIFIED = 16          # 304
    SLOT_UNSATISFIABLE = 32         # 416
    SLOT_PARTS = 64                 # 206: several extents, in a note
    SLOT_VARIANT = 120              # any of these four: made of the 200 by worker/variant
    SLOT_TEXT = 128                 # a field line of its own, in a note
    SLOT_NOTED = 192                # it has a note
    SLOT_MADE = 248                 # any of these, or a line: the head is not as it lies in the image
    STAGED_LINE_SHIFT = 16          # where stage_response is told the line

cdef enum SessionFlag:
    SESSION_CLOSING = 1             # no further request is answered; octets are discarded
    SESSION_BROKEN = 2              # a body cannot be read: the connection is given up

cdef struct Slot:
    uint32_t response
    uint32_t second                 # Date, fixed when the response was queued: retransmissions are equal
    uint16_t line                   # 1 + number of the image's line that is appended to the head; 0: none
    uint8_t flags                   # SlotFlag
    uint8_t generation              # of the image that it is answered from, to its last octet

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
    Windows windows                 # on bodies that are too large for memory
    LogRing log
    bint log_blocked                # the last look at requests ended because the log was full
    Date date                       # of the current second
    Share buffers
    Share blocks
    uint8_t *buffer_memory          # REQUEST_BUFFER_BYTES each
    Slot *block_memory              # BLOCK_SLOTS each
    Extent *extents                 # beside each slot of a block: SLOT_PARTIAL's, or a note's number and octets
    Share notes
    uint8_t *note_memory            # NOTE_BYTES each
    uint8_t *lead                   # room for a head that is made
    uint8_t *scratch                # SCRATCH_BYTES, for what `room` names
    Room room                       # of the selection under way
    Counters *counters
    bint draining                   # every further response closes its connection


cdef inline void service_open_image(Service *service, const uint8_t *image, Counters *counters) noexcept nogil:
    memset(service, 0, sizeof(Service))
    store_open(&service.store, image)
    service.stores[0] = service.store
    date_make(&service.date, 0)
    service.counters = counters


cdef inline int service_init(
    Service *service, const uint8_t *image, uint32_t buffers, uint32_t blocks, const SipKey *key,
    Counters *counters
) noexcept nogil:
    """0, or -1 without memory."""
    service_open_image(service, image, counters)
    service.buffer_memory = <uint8_t *>calloc(buffers, REQUEST_BUFFER_BYTES)
    service.block_memory = <Slot *>calloc(<size_t>blocks * BLOCK_SLOTS, sizeof(Slot))
    service.extents = <Extent *>calloc(<size_t>blocks * BLOCK_SLOTS, sizeof(Extent))
    service.lead = <uint8_t *>calloc(1, LEAD_BYTES_MOST)
    service.note_memory = <uint8_t *>calloc(blocks, NOTE_BYTES)
    service.scratch = <uint8_t *>calloc(1, SCRATCH_BYTES)
    if service.buffer_memory == NULL or service.block_memory == NULL or service.scratch == NULL:
        return -1
    if service.extents == NULL or service.lead == NULL or service.note_memory == NULL:
        return -1
    service.room.path = service.scratch
    service.room.key = service.scratch + REQUEST_BUFFER_BYTES
    service.room.text = service.scratch + 2 * REQUEST_BUFFER_BYTES
    return (
        share_init(&service.buffers, buffers, key) | share_init(&service.blocks, blocks, key)
        | share_init(&service.notes, blocks, key)
    )


cdef inline void service_release(Service *service) noexcept nogil:
    free(service.buffer_memory)
    free(service.block_memory)
    free(service.extents)
    free(service.lead)
    free(service.scratch)
    free(service.note_memory)
    share_release(&service.notes)
    share_release(&service.buffers)
    share_release(&service.blocks)
    ring_release(&service.log)
    windows_release(&service.windows)
    memset(service, 0, sizeof(Service))


cdef inline void session_start(Session *session) noexcept nogil:
    memset(session, 0, sizeof(Session))
    session.buffer = NIL
    session.block = NIL
