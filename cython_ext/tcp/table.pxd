"""The connection table: fixed size, chained buckets under a keyed hash (SipHash-1-3).

A record's number never changes while it lives. The layers above keep their own arrays by the
same number.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from cython_ext.base.pool cimport NIL
from cython_ext.base.siphash cimport SipKey, siphash
from cython_ext.net.input cimport Segment
from cython_ext.tcp.conn cimport CONN_WAIT_LISTED, TCP_CLOSED, TcpConn
from cython_ext.wire.bytes cimport load_u64, prefetch

cdef struct TcpTable:
    TcpConn *conns              # `capacity` records
    uint32_t *buckets           # first record of each chain, or NIL
    uint32_t bucket_mask
    uint32_t capacity
    uint32_t in_use
    uint32_t half_open          # records in SYN_RCVD
    uint32_t half_open_most
    uint32_t waiting            # records in TIME_WAIT
    uint32_t wait_oldest        # list of them
    uint32_t wait_newest
    uint32_t free_first         # free records that were in use once, linked by `chain`
    uint32_t fresh              # the first that never was
    SipKey key


cdef inline int table_init(TcpTable *table, uint32_t capacity, const SipKey *key) noexcept nogil:
    """0, or -1 without memory. Pages are touched only as records come into use."""
    cdef uint32_t buckets = 64
    while buckets < capacity:
        buckets *= 2
    memset(table, 0, sizeof(TcpTable))
    table.capacity = capacity
    table.half_open_most = capacity // 2 + 1
    table.bucket_mask = buckets - 1
    table.free_first = NIL
    table.wait_oldest = NIL
    table.wait_newest = NIL
    table.key = key[0]
    table.conns = <TcpConn *>calloc(capacity, sizeof(TcpConn))
    table.buckets = <uint32_t *>malloc(<size_t>buckets * sizeof(uint32_t))
    if table.conns == NULL or table.buckets == NULL:
        table_release(table)
        return -1
    memset(table.buckets, 0xff, <size_t>buckets * sizeof(uint32_t))
    return 0


cdef inline void table_release(TcpTable *table) noexcept nogil:
    free(table.conns)
    free(table.buckets)
    table.conns = NULL
    table.buckets = NULL


cdef inline uint64_t table_key_word(uint32_t peer_port, uint8_t local) noexcept nogil:
    return peer_port | (<uint64_t>local << 16)


cdef inline void table_hash(const TcpTable *table, Segment *segment) noexcept nogil:
    """Fills segment.hash and has the bucket fetched."""
    cdef uint64_t words[3]
    words[0] = load_u64(segment.peer_address)
    words[1] = load_u64(segment.peer_address + 8)
    words[2] = table_key_word(segment.tcp.source_port, segment.local)
    segment.hash = siphash(&table.key, words, 3, 1, 3)
    prefetch(&table.buckets[segment.hash & table.bucket_mask])


cdef inline void table_prefetch(const TcpTable *table, const Segment *segment) noexcept nogil:
    """Has the first record of the segment's bucket fetched."""
    cdef uint32_t number = table.buckets[segment.hash & table.bucket_mask]
    cdef const uint8_t *record
    if number != NIL:
        record = <const uint8_t *>&table.conns[number]
        prefetch(record)
        prefetch(record + 64)
        prefetch(record + 128)
        prefetch(record + sizeof(TcpConn) - 1)


cdef inline uint32_t table_find(const TcpTable *table, const Segment *segment) noexcept nogil:
    """The segment's record, or NIL."""
    cdef uint32_t number = table.buckets[segment.hash & table.bucket_mask]
    cdef const TcpConn *conn
    while number != NIL:
        conn = &table.conns[number]
        if (
            conn.peer_port == segment.tcp.source_port
            and conn.local == segment.local
            and load_u64(conn.peer_address) == load_u64(segment.peer_address)
            and load_u64(conn.peer_address + 8) == load_u64(segment.peer_address + 8)
        ):
            return number
        number = conn.chain
    return NIL


cdef inline void conn_start(TcpConn *conn, const Segment *segment) noexcept nogil:
    """Zero but for the key: the segment's peer, and our address."""
    memset(conn, 0, sizeof(TcpConn))
    memcpy(conn.peer_address, segment.peer_address, sizeof(conn.peer_address))
    conn.peer_port = segment.tcp.source_port
    conn.local = segment.local


cdef inline uint32_t take_record(TcpTable *table) noexcept nogil:
    """The record freed last, else one whose page may never have been touched; NIL when none is free."""
    cdef uint32_t number = table.free_first
    if number != NIL:
        table.free_first = table.conns[number].chain
    elif table.fresh < table.capacity:
        number = table.fresh
        table.fresh += 1
    return number


cdef inline uint32_t table_insert(TcpTable *table, const Segment *segment) noexcept nogil:
    """A fresh record for the segment's peer, zeroed but for its key; NIL when the table is full."""
    cdef uint32_t number = take_record(table)
    cdef uint32_t *bucket = &table.buckets[segment.hash & table.bucket_mask]
    cdef TcpConn *conn
    if number == NIL:
        return NIL
    conn = &table.conns[number]
    conn_start(conn, segment)
    conn.flight = NIL
    conn.chain = bucket[0]
    bucket[0] = number
    table.in_use += 1
    return number


cdef inline void table_remove(TcpTable *table, uint32_t number) noexcept nogil:
    """Unchains the record and frees it; state becomes CLOSED."""
    cdef TcpConn *conn = &table.conns[number]
    cdef uint64_t words[3]
    cdef uint32_t *link
    words[0] = load_u64(conn.peer_address)
    words[1] = load_u64(conn.peer_address + 8)
    words[2] = table_key_word(conn.peer_port, conn.local)
    link = &table.buckets[siphash(&table.key, words, 3, 1, 3) & table.bucket_mask]
    while link[0] != number:
        link = &table.conns[link[0]].chain
    link[0] = conn.chain
    conn.state = TCP_CLOSED
    table.in_use -= 1
    conn.chain = table.free_first
    table.free_first = number


cdef inline void wait_append(TcpTable *table, uint32_t number) noexcept nogil:
    """The record enters TIME_WAIT: last in the list."""
    cdef TcpConn *conn = &table.conns[number]
    conn.phase.wait.prev = table.wait_newest
    conn.phase.wait.next = NIL
    if table.wait_newest == NIL:
        table.wait_oldest = number
    else:
        table.conns[table.wait_newest].phase.wait.next = number
    table.wait_newest = number
    conn.flags |= CONN_WAIT_LISTED
    table.waiting += 1


cdef inline void wait_unlink(TcpTable *table, uint32_t number) noexcept nogil:
    """The record leaves TIME_WAIT."""
    cdef TcpConn *conn = &table.conns[number]
    if conn.phase.wait.prev == NIL:
        table.wait_oldest = conn.phase.wait.next
    else:
        table.conns[conn.phase.wait.prev].phase.wait.next = conn.phase.wait.next
    if conn.phase.wait.next == NIL:
        table.wait_newest = conn.phase.wait.prev
    else:
        table.conns[conn.phase.wait.next].phase.wait.prev = conn.phase.wait.prev
    conn.flags &= ~<uint32_t>CONN_WAIT_LISTED
    table.waiting -= 1
