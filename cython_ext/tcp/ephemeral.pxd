"""Which port of ours a new connection gets (RFC 6056): not to be guessed, and not soon the same again."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from cython_ext.base.pool cimport NIL
from cython_ext.base.siphash cimport SipKey, siphash
from cython_ext.wire.bytes cimport load_u64

cdef enum:
    PORT_FIRST = 1024               # RFC 6056 3.2: all but the well-known
    PORTS_TOTAL = 65536 - 1024

cdef struct Ports:
    uint32_t *owner                 # record that has the port, or NIL; 65536
    uint32_t next                   # next_ephemeral


cdef inline int ports_init(Ports *ports) noexcept nogil:
    """0, or -1 without memory."""
    cdef uint32_t i
    ports.owner = <uint32_t *>calloc(65536, sizeof(uint32_t))
    if ports.owner == NULL:
        return -1
    for i in range(65536):
        ports.owner[i] = NIL
    ports.next = 0
    return 0


cdef inline void ports_release(Ports *ports) noexcept nogil:
    free(ports.owner)
    ports.owner = NULL


cdef inline uint16_t ports_take(
    Ports *ports, const uint8_t *peer_address, uint16_t peer_port, uint8_t local, uint32_t record,
    const SipKey *key,
) noexcept nogil:
    """A free port for `record`, or 0 when none is left. Algorithm 3 (RFC 6056 3.3.3): a counter from an
    offset that only we know, so each peer sees ports of its own order."""
    cdef uint64_t words[3]
    cdef uint32_t offset, port
    cdef int _tried
    words[0] = load_u64(peer_address)
    words[1] = load_u64(peer_address + 8)
    words[2] = peer_port | (<uint64_t>local << 16)
    offset = <uint32_t>siphash(key, words, 3, 2, 4) % PORTS_TOTAL
    for _tried in range(PORTS_TOTAL):
        port = PORT_FIRST + (offset + ports.next) % PORTS_TOTAL
        ports.next = (ports.next + 1) % PORTS_TOTAL
        if ports.owner[port] == NIL:
            ports.owner[port] = record
            return <uint16_t>port
    return 0


cdef inline void ports_give(Ports *ports, uint16_t port) noexcept nogil:
    ports.owner[port] = NIL
