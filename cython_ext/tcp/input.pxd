"""A segment meets its connection: the checks of RFC 9293 3.10.7.4, in that order.

Returns what happened as bits; changes the record; sends nothing. The caller takes the new
octets, says how many it could hold (tcp_take), and answers.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cython_ext.base.counters cimport (
    C_BAD_ACK, C_CHALLENGE_ACK, C_NOT_TAKEN, C_OUT_OF_ORDER, C_OUT_OF_WINDOW, C_PAWS_REJECTED,
    C_RESET_BY_PEER, C_RST_IGNORED, Counters, count,
)
from cython_ext.net.input cimport Segment
from cython_ext.tcp.ack cimport take_ack
from cython_ext.tcp.challenge cimport challenge_ack, challenge_allows
from cython_ext.tcp.conn cimport (
    CONN_ACK_NOW, CONN_ECN, CONN_ECN_ECHO, CONN_FIN_QUEUED, CONN_FIN_RECEIVED, CONN_SACK, CONN_TIMESTAMPS,
    TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT_1, TCP_FIN_WAIT_2, TCP_LAST_ACK, TCP_SYN_RCVD,
    TCP_TIME_WAIT, TcpConn, conn_set_tag, conn_takes_data, tick_of,
)
from cython_ext.tcp.event cimport (
    EVENT_CLOSED, EVENT_DATA, EVENT_DUPLICATE, EVENT_ESTABLISHED, EVENT_NONE, EVENT_OUT_OF_ORDER, EVENT_RESET,
    EVENT_SYN_AGAIN, EVENT_TIME_WAIT, TcpEvents,
)
from cython_ext.tcp.flight cimport Flight
from cython_ext.tcp.loss cimport RTO_AFTER_SYN_LOSS_US, rto_disarm, rtt_acked
from cython_ext.tcp.reset cimport segment_length
from cython_ext.wire.ipv4 cimport ECN_CE
from cython_ext.wire.seqnum cimport seq_in, seq_le, seq_lt, seq_max, seq_min
from cython_ext.wire.tcp cimport TCP_ACK, TCP_CWR, TCP_FIN, TCP_RST, TCP_SYN


cdef inline uint32_t tcp_input(
    TcpConn *conn, Flight *flight, const Segment *segment, uint64_t now_ns, TcpEvents *events,
    Counters *counters,
) noexcept nogil:
    """One segment; returns TcpEvent bits. `flight` is the connection's block, or NULL."""
    cdef uint32_t happened
    events.data_bytes = 0
    events.fin = 0
    events.acked = 0
    if not timestamp_is_sound(conn, segment, now_ns, counters):
        return EVENT_NONE
    if syn_is_repeated(conn, segment):
        return EVENT_SYN_AGAIN if challenge_allows(conn, now_ns, counters) else EVENT_NONE
    if not sequence_is_acceptable(conn, segment):
        return refuse_sequence(conn, segment, now_ns, counters) | repeated_octets(conn, segment, events)
    if segment.tcp.flags & TCP_RST:
        return take_reset(conn, segment, now_ns, counters)
    if segment.tcp.flags & TCP_SYN:                     # RFC 5961 4: never trust it
        challenge_counted(conn, now_ns, counters)
        return EVENT_NONE
    if not segment.tcp.flags & TCP_ACK:
        count(counters, C_NOT_TAKEN)
        return EVENT_NONE
    if conn.state == TCP_SYN_RCVD:
        if not (seq_lt(conn.snd_una, segment.tcp.ack) and seq_le(segment.tcp.ack, conn.snd_nxt)):
            return EVENT_RESET
        happened = complete_handshake(conn, segment, now_ns)
    else:
        if not ack_is_acceptable(conn, segment):
            count(counters, C_BAD_ACK)
            challenge_ack(conn, now_ns, counters)       # RFC 5961 5.2
            return EVENT_NONE
        happened = EVENT_NONE
    remember_timestamp(conn, segment)
    follow_link(conn, segment)
    follow_congestion(conn, segment)
    happened |= take_ack(conn, flight, segment, now_ns, events, counters)
    if happened & EVENT_CLOSED:
        return happened
    return happened | offer_data(conn, segment, events, counters)


cdef inline void challenge_counted(TcpConn *conn, uint64_t now_ns, Counters *counters) noexcept nogil:
    """RFC 5961 3.2, 4.2: the peer itself would know; somebody else learns nothing."""
    if challenge_allows(conn, now_ns, counters):
        count(counters, C_CHALLENGE_ACK)
        conn.flags |= CONN_ACK_NOW


cdef inline void answer_old(
    TcpConn *conn, const Segment *segment, uint64_t now_ns, Counters *counters
) noexcept nogil:
    """RFC 9293 3.10.7.4: an unacceptable segment is answered. One with octets or a FIN at once, for its
    ACK may have been lost, and our answer has none; others no faster than tcp/challenge."""
    if segment_length(segment) and not segment.tcp.flags & TCP_SYN:
        conn.flags |= CONN_ACK_NOW
    else:
        challenge_ack(conn, now_ns, counters)


cdef inline bint timestamp_is_sound(
    TcpConn *conn, const Segment *segment, uint64_t now_ns, Counters *counters
) noexcept nogil:
    """PAWS (RFC 7323 5.3 R1) and the rule that timestamps, once agreed, are always there (3.2)."""
    if not conn.flags & CONN_TIMESTAMPS or segment.tcp.flags & TCP_RST:
        return True
    if not segment.tcp.has_timestamps:
        count(counters, C_PAWS_REJECTED)
        if segment.tcp.flags & TCP_SYN:
            challenge_ack(conn, now_ns, counters)       # RFC 5961 4.2; so the peer may learn it
        return False
    if seq_lt(segment.tcp.ts_value, conn.ts_recent):
        count(counters, C_PAWS_REJECTED)
        answer_old(conn, segment, now_ns, counters)
        return False
    return True


cdef inline void remember_timestamp(TcpConn *conn, const Segment *segment) noexcept nogil:
    """RFC 7323 4.3 (2): only a segment that spans what we last acknowledged moves TS.Recent."""
    if conn.flags & CONN_TIMESTAMPS and seq_le(segment.tcp.seq, conn.last_ack_sent):
        conn.ts_recent = segment.tcp.ts_value


cdef inline void follow_link(TcpConn *conn, const Segment *segment) noexcept nogil:
    """Answers go back the way the newest segment came: its queue, MAC address and tag."""
    conn.driver = segment.driver
    memcpy(conn.peer_mac, segment.peer_mac, 6)
    conn_set_tag(conn, segment.eth.tag_type, segment.eth.tag)


cdef inline void follow_congestion(TcpConn *conn, const Segment *segment) noexcept nogil:
    """RFC 3168 6.1.3: a mark is echoed until the peer says that it has reduced its window."""
    if not conn.flags & CONN_ECN:
        return
    if segment.tcp.flags & TCP_CWR:
        conn.flags &= ~<uint32_t>CONN_ECN_ECHO
    if segment.ecn == ECN_CE and segment.payload_bytes:
        conn.flags |= CONN_ECN_ECHO | CONN_ACK_NOW


cdef inline bint syn_is_repeated(const TcpConn *conn, const Segment *segment) noexcept nogil:
    """The SYN that opened the connection, with data or without: our SYN-ACK was lost or late."""
    return (
        conn.state == TCP_SYN_RCVD and segment.tcp.flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN) == TCP_SYN
        and segment.tcp.seq + 1 == conn.rcv_nxt
    )


cdef inline bint sequence_is_acceptable(const TcpConn *conn, const Segment *segment) noexcept nogil:
    """The four cases of RFC 9293 table 6. The window is what we ever advertised. A RST may bear octets that
    say why (3.5.3); they are no part of the stream, so a closed window does not keep it out (MUST-66)."""
    cdef uint32_t window = conn.rcv_edge - conn.rcv_nxt
    cdef uint32_t length = 0 if segment.tcp.flags & TCP_RST else segment_length(segment)
    cdef uint32_t seq = segment.tcp.seq
    if length == 0:         # its edge too: there stand the ACKs of a peer who has filled the window
        return seq - conn.rcv_nxt <= window
    if window == 0:
        return False
    return seq_in(seq, conn.rcv_nxt, window) or seq_in(seq + length - 1, conn.rcv_nxt, window)


cdef inline uint32_t refuse_sequence(
    TcpConn *conn, const Segment *segment, uint64_t now_ns, Counters *counters
) noexcept nogil:
    count(counters, C_OUT_OF_WINDOW)
    if segment.tcp.flags & TCP_RST:
        count(counters, C_RST_IGNORED)
        return EVENT_NONE
    answer_old(conn, segment, now_ns, counters)
    if conn.state == TCP_TIME_WAIT and segment.tcp.flags & TCP_FIN:
        return EVENT_TIME_WAIT                          # RFC 9293 3.10.7.4, eighth: restart 2 MSL
    return EVENT_NONE


cdef inline uint32_t take_reset(
    TcpConn *conn, const Segment *segment, uint64_t now_ns, Counters *counters
) noexcept nogil:
    """RFC 5961 3.2: only exactly at RCV.NXT; elsewhere in the window a challenge ACK."""
    if segment.tcp.seq == conn.rcv_nxt:
        count(counters, C_RESET_BY_PEER)
        return EVENT_CLOSED
    count(counters, C_RST_IGNORED)
    challenge_counted(conn, now_ns, counters)
    return EVENT_NONE


cdef inline bint ack_is_acceptable(const TcpConn *conn, const Segment *segment) noexcept nogil:
    """RFC 5961 5.2: SND.UNA - MAX.SND.WND <= SEG.ACK <= the highest octet sent."""
    cdef uint32_t ack = segment.tcp.ack
    return seq_le(ack, conn.snd_max) and seq_le(conn.snd_una - conn.snd_wnd_max, ack)


cdef inline uint32_t complete_handshake(TcpConn *conn, const Segment *segment, uint64_t now_ns) noexcept nogil:
    conn.state = TCP_ESTABLISHED
    rtt_acked(conn, segment.tcp.ack, now_ns)
    if conn.backoff:
        conn.rto_us = RTO_AFTER_SYN_LOSS_US             # RFC 6298 5.7
    if conn.backoff > 1:
        conn.cwnd = conn.mss                            # RFC 6928 2
    rto_disarm(conn)
    conn.snd_una = segment.tcp.ack
    conn.snd_nxt = segment.tcp.ack
    conn.snd_max = segment.tcp.ack
    conn.snd_wl1 = segment.tcp.seq - 1                  # so that this segment sets the window
    conn.snd_wl2 = segment.tcp.ack
    conn.active_at = tick_of(now_ns)
    return EVENT_ESTABLISHED


cdef inline uint32_t offer_data(
    TcpConn *conn, const Segment *segment, TcpEvents *events, Counters *counters
) noexcept nogil:
    """RFC 9293 3.10.7.4, seventh and eighth check. Urgent data is ordinary data (3.8.5 not offered)."""
    cdef uint32_t seen = conn.rcv_nxt - segment.tcp.seq     # octets at its front that we have already
    cdef uint32_t window = conn.rcv_edge - conn.rcv_nxt
    cdef uint32_t repeated = EVENT_NONE
    if segment_length(segment) == 0:
        return EVENT_NONE
    conn.flags |= CONN_ACK_NOW
    if not conn_takes_data(conn):
        count(counters, C_NOT_TAKEN)
        return EVENT_NONE
    if conn.reassembly or seq_lt(conn.rcv_nxt, segment.tcp.seq):
        if seq_lt(conn.rcv_nxt, segment.tcp.seq):
            count(counters, C_OUT_OF_ORDER)                 # RFC 5681 4.2: acknowledged at once
        return EVENT_OUT_OF_ORDER | repeated_octets(conn, segment, events)
    if seen > segment.payload_bytes:
        return repeated_octets(conn, segment, events)
    events.data = segment.payload + seen
    events.data_bytes = segment.payload_bytes - seen
    events.fin = 1 if segment.tcp.flags & TCP_FIN else 0
    if events.data_bytes > window:
        events.data_bytes = window
        events.fin = 0
    if seen:
        repeated = repeated_octets(conn, segment, events)
    return repeated | (EVENT_DATA if events.data_bytes or events.fin else EVENT_NONE)


cdef inline uint32_t repeated_octets(
    const TcpConn *conn, const Segment *segment, TcpEvents *events
) noexcept nogil:
    """What of the segment was received and acknowledged before: a peer with SACK is told (RFC 2883 4)."""
    cdef uint32_t end = seq_min(segment.tcp.seq + segment_length(segment), conn.rcv_nxt)
    if not conn.flags & CONN_SACK or conn.state < TCP_ESTABLISHED or conn.state == TCP_TIME_WAIT:
        return EVENT_NONE
    if not seq_lt(segment.tcp.seq, end) or segment.tcp.flags & (TCP_SYN | TCP_RST):
        return EVENT_NONE
    events.duplicate_start = segment.tcp.seq
    events.duplicate_end = end
    return EVENT_DUPLICATE


cdef inline uint32_t tcp_take(
    TcpConn *conn, uint32_t taken, const TcpEvents *events
) noexcept nogil:
    """The caller holds the first `taken` of the offered octets: only they are acknowledged."""
    conn.rcv_nxt += taken
    if not events.fin or taken != events.data_bytes:
        return EVENT_NONE
    conn.rcv_nxt += 1
    conn.rcv_edge = seq_max(conn.rcv_edge, conn.rcv_nxt)
    conn.flags |= CONN_FIN_RECEIVED | CONN_ACK_NOW
    if conn.state == TCP_ESTABLISHED:
        conn.state = TCP_CLOSE_WAIT
    elif conn.state == TCP_FIN_WAIT_1:
        conn.state = TCP_CLOSING
    elif conn.state == TCP_FIN_WAIT_2:
        conn.state = TCP_TIME_WAIT
        return EVENT_TIME_WAIT
    return EVENT_NONE


cdef inline void tcp_window_grew(TcpConn *conn, uint32_t window) noexcept nogil:
    """The caller can take `window` octets again: the peer is told when that is a segment more than it
    knows of (RFC 9293 3.8.6.2.2), since nothing else may be on its way to it."""
    if window >= conn.rcv_edge - conn.rcv_nxt + conn.mss:
        conn.flags |= CONN_ACK_NOW


cdef inline void tcp_queue(TcpConn *conn, uint64_t octets) noexcept nogil:
    """The caller adds octets to the stream."""
    conn.send_queue += octets


cdef inline void tcp_close(TcpConn *conn) noexcept nogil:
    """Our FIN follows the queued octets (RFC 9293 3.10.4)."""
    if conn.state == TCP_ESTABLISHED:
        conn.state = TCP_FIN_WAIT_1
        conn.flags |= CONN_FIN_QUEUED
    elif conn.state == TCP_CLOSE_WAIT:
        conn.state = TCP_LAST_ACK
        conn.flags |= CONN_FIN_QUEUED
