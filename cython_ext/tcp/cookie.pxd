"""SYN cookies (RFC 4987 3.6): under pressure a SYN leaves nothing here, and the ACK brings it back.

The SYN-ACK's number is the one that RFC 6528 asks for, with the lower 24 bits of its clock replaced by a
keyed hash of both ends, the peer's number and the clock's upper bits, plus the index of an MSS:

    ISN = F(ends) + (period << 24) + (MAC(ends, peer's number, period, options) + MSS index) mod 2^24

A period is 2^24 ticks of 4 us, 67 s; the present and the last one are accepted. A guess is right
with a chance of 2 * 8 in 2^32. Window scale, SACK and ECN travel in the low bits of our timestamp,
which the peer echoes; without timestamps they are not offered, and only the MSS is kept. They are part
of what is hashed, so that nobody gets options that were not agreed.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from cython_ext.base.pool cimport NIL
from cython_ext.base.siphash cimport SipKey, siphash
from cython_ext.net.address cimport Local
from cython_ext.net.input cimport Segment
from cython_ext.tcp.challenge cimport challenge_start
from cython_ext.tcp.congestion cimport congestion_start
from cython_ext.tcp.conn cimport (
    CONN_ECN, CONN_IPV6, CONN_SACK, CONN_TIMESTAMPS, CONN_WINDOW_SCALE, TcpConn, tick_of,
)
from cython_ext.tcp.loss cimport rto_arm
from cython_ext.tcp.output cimport timestamp_now
from cython_ext.tcp.syn cimport (
    MSS_DEFAULT_V4, MSS_DEFAULT_V6, isn_clock, isn_hash, segment_bytes_most, syn_number, syn_start,
    syn_take_options,
)
from cython_ext.tcp.table cimport TcpTable, conn_start, table_insert, table_key_word
from cython_ext.wire.bytes cimport load_u64
from cython_ext.wire.seqnum cimport seq_lt

cdef enum:
    COOKIE_PERIOD_BITS = 24
    COOKIE_NOISE = (1 << 24) - 1
    COOKIE_PERIODS = 2              # accepted: the present one and the last
    COOKIE_LIFE_NS = 134217728000   # COOKIE_PERIODS of them, 4 us << 24 each
    COOKIE_MSS_VALUES = 8
    STAMP_SCALE = 15                # low bits of our timestamp: the peer's shift, 15 for none
    STAMP_SACK = 16
    STAMP_ECN = 32
    STAMP_MASK = 63
    STAMP_PRESENT = 64              # in the hash alone: there are timestamps


cdef inline uint32_t cookie_mss(uint32_t index) noexcept nogil:
    """What links have: the least we take, the defaults, tunnels, PPPoE, Ethernet with IPv6 and IPv4, jumbo."""
    if index < 4:
        return (64 if index == 0 else 536) if index < 2 else (1220 if index == 2 else 1300)
    return (1380 if index == 4 else 1440) if index < 6 else (1460 if index == 6 else 8940)


cdef inline uint32_t cookie_mss_index(const TcpConn *conn, uint16_t peer_mss) noexcept nogil:
    """The largest value that is not above the peer's."""
    cdef uint32_t mss = peer_mss
    cdef uint32_t index = COOKIE_MSS_VALUES - 1
    if mss == 0:
        mss = MSS_DEFAULT_V6 if conn.flags & CONN_IPV6 else MSS_DEFAULT_V4
    while index and cookie_mss(index) > mss:
        index -= 1
    return index


cdef inline uint32_t cookie_mac(
    const TcpConn *conn, uint16_t port, uint32_t peer_number, uint64_t period, uint64_t options,
    const SipKey *key,
) noexcept nogil:
    """24 bits; five words, so that it has nothing to do with isn_hash, which has three."""
    cdef uint64_t words[5]
    words[0] = load_u64(conn.peer_address)
    words[1] = load_u64(conn.peer_address + 8)
    words[2] = table_key_word(conn.peer_port, conn.local) | (<uint64_t>port << 32)
    words[3] = peer_number
    words[4] = period | options << 48
    return <uint32_t>siphash(key, words, 5, 2, 4) & COOKIE_NOISE


cdef inline void cookie_draft(
    TcpConn *conn, const Segment *segment, const Local *local, const SipKey *key, uint32_t window,
    uint64_t now_ns,
) noexcept nogil:
    """Fills a record that lives only until its SYN-ACK is written: number and timestamp are the cookie."""
    cdef uint64_t period = isn_clock(now_ns) >> COOKIE_PERIOD_BITS
    cdef uint64_t secret
    cdef uint32_t noise, stamp, now
    cdef uint32_t options = 0
    conn_start(conn, segment)
    secret = syn_start(conn, segment, local.port, key)
    syn_take_options(conn, segment)
    if conn.flags & CONN_TIMESTAMPS:
        options = stamp_options(conn)
    else:
        conn.flags &= ~<uint32_t>(CONN_WINDOW_SCALE | CONN_SACK | CONN_ECN)
    noise = cookie_mac(conn, local.port, segment.tcp.seq, period, options, key)
    noise = (noise + cookie_mss_index(conn, segment.tcp.mss)) & COOKIE_NOISE
    syn_number(conn, <uint32_t>secret + (<uint32_t>period << COOKIE_PERIOD_BITS) + noise, segment.tcp.seq, window)
    if options == 0:
        return
    now = timestamp_now(conn, now_ns)
    stamp = (now & ~<uint32_t>STAMP_MASK) | (options & STAMP_MASK)
    if seq_lt(now, stamp):
        stamp -= STAMP_MASK + 1         # never ahead of what follows: the peer's PAWS (RFC 7323 5)
    conn.ts_offset += stamp - now


cdef inline uint32_t stamp_options(const TcpConn *conn) noexcept nogil:
    return (
        <uint32_t>STAMP_PRESENT
        | (conn.snd_scale if conn.flags & CONN_WINDOW_SCALE else <uint32_t>STAMP_SCALE)
        | (<uint32_t>STAMP_SACK if conn.flags & CONN_SACK else 0)
        | (<uint32_t>STAMP_ECN if conn.flags & CONN_ECN else 0)
    )


cdef inline bint cookie_is_sound(
    const Segment *segment, uint16_t port, const SipKey *key, uint64_t now_ns, uint32_t *mss
) noexcept nogil:
    """Whether the ACK answers a cookie of ours that is not too old; and the MSS in it."""
    cdef TcpConn conn
    cdef uint32_t number, index
    cdef uint64_t period = isn_clock(now_ns) >> COOKIE_PERIOD_BITS
    cdef uint64_t options = 0
    cdef int _i
    if segment.tcp.has_timestamps:
        options = STAMP_PRESENT | (segment.tcp.ts_echo & STAMP_MASK)
    conn_start(&conn, segment)
    number = segment.tcp.ack - 1 - <uint32_t>isn_hash(&conn, port, key)
    for _i in range(COOKIE_PERIODS):
        if number >> COOKIE_PERIOD_BITS == <uint32_t>(period & 0xff):
            index = (number - cookie_mac(&conn, port, segment.tcp.seq - 1, period, options, key)) & COOKIE_NOISE
            mss[0] = cookie_mss(index & (COOKIE_MSS_VALUES - 1))
            return index < COOKIE_MSS_VALUES
        period -= 1
    return False


cdef inline uint32_t cookie_open(
    TcpTable *table, const Segment *segment, const Local *local, const SipKey *key, uint32_t mtu,
    uint32_t window, uint32_t peer_mss, uint64_t now_ns,
) noexcept nogil:
    """A record in SYN_RCVD for an ACK with a sound cookie, which will complete it at once; NIL when the
    table is full."""
    cdef uint32_t number = table_insert(table, segment)
    cdef TcpConn *conn
    if number == NIL:
        return NIL
    conn = &table.conns[number]
    syn_start(conn, segment, local.port, key)
    cookie_take_options(conn, segment)
    conn.mss = segment_bytes_most(conn, <uint16_t>peer_mss, mtu)
    syn_number(conn, segment.tcp.ack - 1, segment.tcp.seq - 1, window)
    table.half_open += 1
    conn.last_ack_sent = conn.rcv_nxt
    conn.active_at = tick_of(now_ns)
    challenge_start(conn, now_ns)
    congestion_start(conn)
    rto_arm(conn, now_ns)
    return number


cdef inline void cookie_take_options(TcpConn *conn, const Segment *segment) noexcept nogil:
    """What the SYN offered, out of the echo of our timestamp."""
    cdef uint32_t stamp = segment.tcp.ts_echo & STAMP_MASK
    if segment.version == 6:
        conn.flags |= CONN_IPV6
    if not segment.tcp.has_timestamps:
        return
    conn.flags |= CONN_TIMESTAMPS
    conn.ts_recent = segment.tcp.ts_value
    if stamp & STAMP_SCALE != STAMP_SCALE:
        conn.flags |= CONN_WINDOW_SCALE
        conn.snd_scale = <uint8_t>(stamp & STAMP_SCALE)
    if stamp & STAMP_SACK:
        conn.flags |= CONN_SACK
    if stamp & STAMP_ECN:
        conn.flags |= CONN_ECN
