"""An ICMP error that the path takes smaller packets only: believed where a segment in flight proves it.

RFC 1191, RFC 8201; the checks against forgery are those of RFC 5927 4.1 and 7. The segments that were lost
are repaired by loss recovery, in smaller pieces.
"""

from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cython_ext.base.counters cimport C_PATH_MTU_IGNORED, C_PATH_MTU_LOWERED, count
from cython_ext.base.pool cimport NIL
from cython_ext.net.control cimport PathMtu
from cython_ext.net.input cimport Segment
from cython_ext.tcp.conn cimport CONN_IPV6, CONN_TIMESTAMPS, TcpConn
from cython_ext.tcp.pathmtu cimport mss_lower
from cython_ext.tcp.table cimport table_find, table_hash
from cython_ext.wire.ipv4 cimport IPV4_BYTES
from cython_ext.wire.ipv6 cimport IPV6_BYTES
from cython_ext.wire.seqnum cimport seq_in
from cython_ext.wire.tcp cimport TCP_BYTES, TCP_TIMESTAMP_BYTES
from cython_ext.worker.state cimport Worker

cdef enum:
    PATH_MTU_LEAST_V4 = 552     # a smaller claim is taken for this: it would make us send headers only
    PATH_MTU_LEAST_V6 = 1280    # RFC 8200 5; a smaller claim is ignored (RFC 8201 4)


cdef inline uint32_t find_quoted(Worker *worker, const PathMtu *hint) noexcept nogil:
    """The connection that sent the quoted segment, or NIL."""
    cdef Segment key
    memcpy(key.peer_address, hint.peer_address, sizeof(key.peer_address))
    key.tcp.source_port = hint.peer_port
    key.local = hint.local
    table_hash(&worker.table, &key)
    return table_find(&worker.table, &key)


cdef inline uint32_t segment_bytes_for(const TcpConn *conn, uint32_t mtu) noexcept nogil:
    """Payload octets per segment on a path of this MTU, options deducted; 0 for an MTU to be ignored."""
    cdef uint32_t headers = TCP_BYTES + (TCP_TIMESTAMP_BYTES if conn.flags & CONN_TIMESTAMPS else 0)
    if conn.flags & CONN_IPV6:
        return mtu - IPV6_BYTES - headers if mtu >= PATH_MTU_LEAST_V6 else 0
    return max(mtu, <uint32_t>PATH_MTU_LEAST_V4) - IPV4_BYTES - headers


cdef inline bint path_mtu_hint(
    Worker *worker, uint32_t number, uint32_t mtu, uint32_t seq, uint64_t now_ns
) noexcept nogil:
    """Lowers the connection's segment size for an IP packet of `mtu` octets; True when it did.

    seq: of the quoted segment, which must be in flight. The segment size never grows here.
    """
    cdef TcpConn *conn
    cdef uint32_t octets
    if number != NIL:
        conn = &worker.table.conns[number]
        octets = segment_bytes_for(conn, mtu)
        if octets and octets < conn.mss and seq_in(seq, conn.snd_una, conn.snd_max - conn.snd_una):
            mss_lower(conn, <uint16_t>octets, now_ns)
            count(&worker.counters, C_PATH_MTU_LOWERED)
            return True
    count(&worker.counters, C_PATH_MTU_IGNORED)
    return False
