"""Each layer alone, on hot caches: nanoseconds for `rounds` calls, by the monotonic clock."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC

from cython_ext.base.counters cimport Counters
from cython_ext.base.frame cimport Frame
from cython_ext.content.store cimport Store, store_copy_body
from cython_ext.driver.contract cimport Driver
from cython_ext.driver.memory cimport MemoryDriver, memory_collect, memory_complete
from cython_ext.http.request cimport Request, request_parse
from cython_ext.http.select cimport Room, Selection, http_select
from cython_ext.net.address cimport Local
from cython_ext.net.input cimport Segment, net_input
from cython_ext.tcp.conn cimport TcpConn
from cython_ext.tcp.output cimport tcp_emit
from cython_ext.tcp.table cimport TcpTable, table_find, table_hash
from cython_ext.wire.checksum cimport sum_octets
from cython_ext.wire.tcp cimport TCP_ACK
from cython_ext.worker.clock cimport clock_ns
from cython_ext.worker.session cimport Service, Session
from cython_ext.worker.source cimport source_fill

cdef extern from "abi/barrier.h" nogil:
    void barrier_keep(const void *p)

cdef enum:
    SEGMENT_OCTETS = 1448


cdef inline uint64_t time_net_input(
    const Frame *frame, const Local *local, const uint8_t *mac, Counters *counters, uint64_t rounds
) noexcept nogil:
    cdef Segment segment
    cdef uint64_t _i
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for _i in range(rounds):
        barrier_keep(<void *><uint64_t>net_input(frame, local, mac, False, &segment, counters))
    return clock_ns(CLOCK_MONOTONIC) - before


cdef inline uint64_t time_table(const TcpTable *table, Segment *segment, uint64_t rounds) noexcept nogil:
    cdef uint64_t _i
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for _i in range(rounds):
        table_hash(table, segment)
        barrier_keep(<void *><uint64_t>table_find(table, segment))
    return clock_ns(CLOCK_MONOTONIC) - before


cdef inline uint64_t time_request(const uint8_t *text, uint32_t octets, uint64_t rounds) noexcept nogil:
    cdef Request request
    cdef uint64_t _i
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for _i in range(rounds):
        request_parse(text, octets, &request)
        barrier_keep(&request)
    return clock_ns(CLOCK_MONOTONIC) - before


cdef inline uint64_t time_select(
    const Store *store, const Request *request, const Room *room, uint64_t rounds
) noexcept nogil:
    cdef Selection found
    cdef uint64_t _i
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for _i in range(rounds):
        http_select(store, request, room, &found)
        barrier_keep(<void *><uint64_t>found.response)
    return clock_ns(CLOCK_MONOTONIC) - before


cdef inline uint64_t time_source(
    Service *service, Session *session, uint32_t octets, uint8_t *out, uint64_t rounds
) noexcept nogil:
    """The first `octets` of a queued response: head, tail, body, with their sum."""
    cdef uint64_t _i
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for _i in range(rounds):
        barrier_keep(<void *><uint64_t>source_fill(service, session, 0, octets, out))
    return clock_ns(CLOCK_MONOTONIC) - before


cdef inline uint64_t time_copy_body(
    const Store *store, uint32_t response, uint8_t *out, uint64_t rounds
) noexcept nogil:
    """SEGMENT_OCTETS from shifting offsets, so that the ragged ends of the sum are paid for."""
    cdef uint64_t i
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for i in range(rounds):
        barrier_keep(<void *><uint64_t>store_copy_body(
            store, &store.responses[response], i & 63, SEGMENT_OCTETS, out
        ))
    return clock_ns(CLOCK_MONOTONIC) - before


cdef inline uint64_t time_checksum(const uint8_t *data, uint64_t rounds) noexcept nogil:
    cdef uint64_t _i
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for _i in range(rounds):
        barrier_keep(<void *><uint64_t>sum_octets(data, SEGMENT_OCTETS))
    return clock_ns(CLOCK_MONOTONIC) - before


cdef inline uint64_t time_emit(
    TcpConn *conn, const Local *local, const uint8_t *mac, uint8_t *out, uint64_t rounds
) noexcept nogil:
    """All headers of a data segment; the payload's sum is given."""
    cdef uint64_t i
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for i in range(rounds):
        barrier_keep(<void *><uint64_t>tcp_emit(
            conn, local, mac, out, <uint32_t>i, TCP_ACK, 1000, 0x1234, 16384, True, NULL, i << 20
        ))
    return clock_ns(CLOCK_MONOTONIC) - before


cdef inline uint64_t time_driver(MemoryDriver *memory, Driver *driver, uint64_t rounds) noexcept nogil:
    """A frame's way through the contract: alloc, tx_burst, wakeup, collect, complete; bursts of 32."""
    cdef Frame frames[32]
    cdef uint64_t _i
    cdef uint32_t k, many
    cdef uint64_t before = clock_ns(CLOCK_MONOTONIC)
    for _i in range(rounds // 32):
        many = driver.alloc(driver.state, frames, 32)
        for k in range(many):
            frames[k].bytes = 64
        many = driver.tx_burst(driver.state, frames, many)
        if driver.wakeup(driver.state) < 0:
            break
        many = memory_collect(memory, frames, 32)
        memory_complete(memory, frames, many)
    return clock_ns(CLOCK_MONOTONIC) - before
