"""Congestion control: CUBIC (RFC 9438) with HyStart++ (RFC 9406), or NewReno (RFC 5681, RFC 6582).

The sender asks only for conn.cwnd; the functions named congestion_* are the whole interface. Windows
are octets. A connection without a flight block (NULL) never has more than a few segments out.
"""

from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cython_ext.tcp.conn cimport CONN_CWR_DUE, CONN_ECN, CONN_NEWRENO, TcpConn, conn_flight, tick_of
from cython_ext.tcp.flight cimport RTT_NONE, Flight
from cython_ext.wire.seqnum cimport seq_le

cdef enum:
    INITIAL_SEGMENTS = 10           # RFC 6928 2, and the octets that large segments count as ten
    INITIAL_OCTETS = 14600
    DUP_ACKS_FOR_LOSS = 3           # RFC 5681 3.2
    CWND_MOST = 0x3fffffff
    HYSTART_SAMPLES = 8             # RFC 9406 4.3
    HYSTART_LEAST_US = 4000
    HYSTART_MOST_US = 16000
    CSS_DIVISOR = 4
    CSS_ROUNDS = 5


cdef extern from *:
    """
    #define CUBE_ROOT_BIAS (715094163ull << 32)
    """
    const uint64_t CUBE_ROOT_BIAS       # two thirds of the exponent's bias, and a little less


cdef inline uint32_t initial_window(const TcpConn *conn) noexcept nogil:
    cdef uint32_t mss = conn.mss
    return min(INITIAL_SEGMENTS * mss, max(2 * mss, <uint32_t>INITIAL_OCTETS))


cdef inline void congestion_start(TcpConn *conn) noexcept nogil:
    conn.cwnd = initial_window(conn)
    conn.ssthresh = CWND_MOST


cdef inline uint32_t octets_out(const TcpConn *conn, const Flight *flight) noexcept nogil:
    """Octets in the network."""
    return conn_flight(conn) if flight == NULL else flight.pipe


cdef inline void congestion_acked(
    TcpConn *conn, Flight *flight, uint32_t octets, uint64_t now_ns
) noexcept nogil:
    """`octets` newly delivered outside recovery. A window that was not used does not grow (RFC 9438 5.8)."""
    if 2 * <uint64_t>(octets_out(conn, flight) + octets) < conn.cwnd:
        return
    if conn.cwnd < conn.ssthresh:
        slow_start(conn, flight, octets)
    elif conn.flags & CONN_NEWRENO:
        conn.cwnd += reno_step(conn, octets, 1.0)
    else:
        cubic_step(conn, octets, now_ns)
    conn.cwnd = min(conn.cwnd, <uint32_t>CWND_MOST)


cdef inline uint32_t portion(const TcpConn *conn, uint32_t octets, double rate) noexcept nogil:
    """`rate` for each octet that arrived, of one window at most. Less than a whole octet is kept by the sequence
    number, not rounded up for each ACK: else a peer who divides ACKs would have the window grow as in slow start
    (RFC 5681 3.1: MUST NOT by more than a segment a round trip)."""
    cdef uint64_t end = (<uint64_t>1 << 32) + conn.snd_una
    return <uint32_t>(<uint64_t>(end * rate) - <uint64_t>((end - min(octets, conn.cwnd)) * rate))


cdef inline uint32_t reno_step(const TcpConn *conn, uint32_t octets, double alpha) noexcept nogil:
    """RFC 5681 3.1 with byte counting (RFC 3465 2.1), RFC 9438 4.3: every octet counts, however few ACKs the peer
    sends; alpha segments a window at most."""
    return portion(conn, octets, alpha * conn.mss / conn.cwnd)


cdef inline void slow_start(TcpConn *conn, Flight *flight, uint32_t octets) noexcept nogil:
    """RFC 5681 3.1, RFC 9406 4.2: in conservative slow start a quarter of the growth."""
    cdef uint32_t step = min(octets, 8 * <uint32_t>conn.mss)
    if flight == NULL or conn.flags & CONN_NEWRENO:
        conn.cwnd += min(step, 2 * <uint32_t>conn.mss)
        return
    conn.cwnd += step // CSS_DIVISOR if flight.css_rounds else step
    hystart(conn, flight)


cdef inline void hystart(TcpConn *conn, Flight *flight) noexcept nogil:
    """RFC 9406 4.3: the delay grows before packets are lost; then slow start slows, and ends."""
    cdef uint32_t threshold_us
    if flight.round_samples >= HYSTART_SAMPLES and flight.round_rtt_us != RTT_NONE:
        if flight.css_rounds == 0 and flight.last_round_rtt_us != RTT_NONE:
            threshold_us = min(
                max(flight.last_round_rtt_us // 8, <uint32_t>HYSTART_LEAST_US), <uint32_t>HYSTART_MOST_US
            )
            if flight.round_rtt_us >= flight.last_round_rtt_us + threshold_us:
                flight.css_baseline_us = flight.round_rtt_us
                flight.css_rounds = 1
        elif flight.css_rounds and flight.round_rtt_us < flight.css_baseline_us:
            flight.css_rounds = 0           # it was not congestion after all
    if not seq_le(flight.round_end, conn.snd_una):
        return
    if flight.css_rounds:
        flight.css_rounds += 1
        if flight.css_rounds > CSS_ROUNDS:
            conn.ssthresh = conn.cwnd
    flight.round_end = conn.snd_max
    flight.last_round_rtt_us = flight.round_rtt_us
    flight.round_rtt_us = RTT_NONE
    flight.round_samples = 0


cdef inline double cube_root(double x) noexcept nogil:
    """Of x >= 0, by Newton from a guess that divides the exponent by three: the same bits on every machine, which
    no library promises."""
    cdef uint64_t bits
    cdef double y
    cdef int _step
    if x < 1e-9:
        return 0
    memcpy(&bits, &x, sizeof(bits))
    bits = bits // 3 + CUBE_ROOT_BIAS
    memcpy(&y, &bits, sizeof(y))
    for _step in range(4):
        y = (2 * y + x / (y * y)) / 3
    return y


cdef inline void cubic_step(TcpConn *conn, uint32_t octets, uint64_t now_ns) noexcept nogil:
    """RFC 9438 4.2 to 4.5: C = 0.4, beta = 0.7, in segments and seconds."""
    cdef double mss = conn.mss
    cdef double k, t, target
    if conn.epoch_at == 0:
        conn.epoch_at = max(tick_of(now_ns), <uint32_t>1)
        conn.phase.epoch.cwnd = conn.cwnd
        conn.phase.epoch.w_est = conn.cwnd
        conn.w_max = max(conn.w_max, conn.cwnd)
    k = cube_root((conn.w_max - conn.phase.epoch.cwnd) / mss / 0.4)
    t = <int32_t>(tick_of(now_ns) - conn.epoch_at) * 1.048576e-3 + conn.srtt_us * 1e-6
    target = conn.w_max + 0.4 * mss * (t - k) * (t - k) * (t - k)
    conn.phase.epoch.w_est += reno_step(conn, octets, 1.0 if conn.phase.epoch.w_est >= conn.w_max else 9.0 / 17.0)
    if target > 1.5 * conn.cwnd:
        target = 1.5 * conn.cwnd
    if target > conn.cwnd:
        conn.cwnd += portion(conn, octets, (target - conn.cwnd) / conn.cwnd)
    conn.cwnd = max(conn.cwnd, conn.phase.epoch.w_est)


cdef inline void congestion_reduce(TcpConn *conn, Flight *flight) noexcept nogil:
    """Congestion was met, by loss or by mark: the new threshold (RFC 9438 4.6, 4.7; RFC 5681 (4))."""
    cdef uint32_t out = conn.cwnd
    cdef double factor = 0.5 if conn.flags & CONN_NEWRENO else 0.7
    if flight == NULL or conn.flags & CONN_NEWRENO:
        out = min(conn.cwnd, max(conn_flight(conn), <uint32_t>conn.mss))
    conn.w_max = <uint32_t>(conn.cwnd * 0.85) if conn.cwnd < conn.w_max else conn.cwnd
    conn.epoch_at = 0
    conn.ssthresh = max(<uint32_t>(out * factor), 2 * <uint32_t>conn.mss)
    if conn.flags & CONN_ECN:
        conn.flags |= CONN_CWR_DUE      # RFC 3168 6.1.2: for whatever reason
    if flight != NULL:
        flight.css_rounds = 0


cdef inline void congestion_loss(TcpConn *conn, Flight *flight) noexcept nogil:
    """Fast recovery begins. Without a block: RFC 5681 3.2 steps 2 and 3."""
    congestion_reduce(conn, flight)
    if flight == NULL:
        conn.cwnd = conn.ssthresh + DUP_ACKS_FOR_LOSS * <uint32_t>conn.mss


cdef inline void congestion_timeout(TcpConn *conn, Flight *flight) noexcept nogil:
    """Retransmission timeout (RFC 5681 3.1, RFC 9438 4.8): one segment."""
    if conn.backoff == 0:
        congestion_reduce(conn, flight)
    conn.cwnd = conn.mss


cdef inline void congestion_idle(TcpConn *conn, uint32_t idle_ticks, uint32_t rto_ticks) noexcept nogil:
    """Nothing was out for longer than a timeout: what is known of the path is old (RFC 5681 4.1). Slow start
    goes on to three quarters of what the window was (RFC 2861 3.1)."""
    if idle_ticks > rto_ticks and conn.cwnd > initial_window(conn):
        conn.ssthresh = max(conn.ssthresh, conn.cwnd - conn.cwnd // 4)
        conn.cwnd = min(conn.cwnd, initial_window(conn))
        conn.epoch_at = 0


# ---- proportional rate reduction, with a flight block (RFC 9937) ----

cdef inline void prr_begin(const TcpConn *conn, Flight *flight) noexcept nogil:
    flight.recovery_flight = max(conn.snd_max - conn.snd_una, <uint32_t>1)
    flight.recovery_delivered = 0
    flight.recovery_sent = 0


cdef inline void prr_acked(TcpConn *conn, Flight *flight, bint progress) noexcept nogil:
    """RFC 9937 6: the window follows what arrives down to ssthresh, then holds it."""
    cdef uint32_t mss = conn.mss
    cdef uint64_t wanted
    cdef uint32_t send = 0
    flight.recovery_delivered += flight.delivered
    if flight.pipe > conn.ssthresh:
        wanted = (
            <uint64_t>flight.recovery_delivered * conn.ssthresh + flight.recovery_flight - 1
        ) // flight.recovery_flight
        if wanted > flight.recovery_sent:
            send = <uint32_t>(wanted - flight.recovery_sent)
    else:
        if flight.recovery_delivered > flight.recovery_sent:
            send = flight.recovery_delivered - flight.recovery_sent
        send = max(send, flight.delivered)
        if progress:
            send += mss
        send = min(send, conn.ssthresh - flight.pipe)
    if flight.recovery_sent == 0:
        send = max(send, mss)               # the fast retransmit itself
    conn.cwnd = max(flight.pipe + send, mss)
