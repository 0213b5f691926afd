"""Finding out what was lost: SACK blocks, RACK and the tail loss probe (RFC 8985, RFC 2018, RFC 2883)."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from cython_ext.tcp.conn cimport TcpConn
from cython_ext.tcp.flight cimport (
    RTT_NONE, RUN_AGAIN, RUN_LOST, RUN_SACKED, Flight, FlightRun, flight_count, join_sacked, remove_run,
    split_run,
)
from cython_ext.wire.bytes cimport load_be32
from cython_ext.wire.seqnum cimport seq_le, seq_lt, seq_max, seq_min

cdef enum:
    DUP_THRESHOLD = 3               # segments
    WINDOW_FACTOR_MOST = 20
    WINDOW_PERSIST = 16             # recoveries (RFC 8985 6.2 step 4)
    PROBE_LEAST_US = 2000           # shorter than a tick or two would only repeat what is under way


cdef inline bint later_us(uint32_t a, uint32_t b) noexcept nogil:
    """Time a is after time b, both low halves of microseconds."""
    return <int32_t>(a - b) > 0


cdef inline void rack_delivered(Flight *flight, const FlightRun *run, uint32_t now_us) noexcept nogil:
    """RFC 8985 6.2 steps 1 to 3: a run, or a part of one, has arrived."""
    cdef uint32_t rtt_us = now_us - run.sent_us
    flight.delivered += run.end - run.start
    if run.state & RUN_AGAIN:
        if flight.least_rtt_us and rtt_us < flight.least_rtt_us:
            return                      # more likely the answer to the first sending
    else:
        if seq_lt(run.end, flight.rack_fack):
            flight.reordering = True
        if flight.least_rtt_us == 0 or rtt_us < flight.least_rtt_us:
            flight.least_rtt_us = max(rtt_us, <uint32_t>1)
        flight.round_rtt_us = min(flight.round_rtt_us, rtt_us)
        flight.round_samples += 1
    flight.rack_fack = seq_max(flight.rack_fack, run.end)
    rack_newest(flight, run.sent_us, run.end, rtt_us)


cdef inline void rack_newest(Flight *flight, uint32_t sent_us, uint32_t end, uint32_t rtt_us) noexcept nogil:
    """RFC 8985 6.2 step 2: the delivered octets that left last."""
    if (
        not flight.rack_valid or later_us(sent_us, flight.rack_sent_us)
        or (sent_us == flight.rack_sent_us and seq_lt(flight.rack_end, end))
    ):
        flight.rack_valid = True
        flight.rack_sent_us = sent_us
        flight.rack_end = end
        flight.rack_rtt_us = rtt_us


cdef inline void flight_acked(Flight *flight, uint32_t ack, uint32_t now_us) noexcept nogil:
    """Everything before `ack` has arrived."""
    cdef FlightRun part
    while flight.count and seq_le(flight.runs[0].end, ack):
        if not flight.runs[0].state & RUN_SACKED:
            rack_delivered(flight, &flight.runs[0], now_us)
        remove_run(flight, 0)
    if flight.count and seq_lt(flight.runs[0].start, ack):
        part = flight.runs[0]
        part.end = ack
        if not part.state & RUN_SACKED:
            rack_delivered(flight, &part, now_us)
        flight.runs[0].start = ack


cdef inline void flight_sack(
    Flight *flight, const uint8_t *blocks, uint32_t count, uint32_t una, uint32_t most, uint32_t now_us
) noexcept nogil:
    """The blocks of a SACK option, 8 octets each. What does not lie in (una, most] is no claim of ours
    to believe; a first block below una, or inside the second, is a DSACK (RFC 2883 4)."""
    cdef uint32_t i, start, end
    flight.dsack_seen = False
    for i in range(count):
        start = load_be32(blocks + 8 * i)
        end = load_be32(blocks + 8 * i + 4)
        if i == 0 and is_dsack(blocks, count, una):
            flight.dsack_seen = True
            flight.dsack_start = start
            flight.dsack_end = end
            continue
        if seq_lt(start, end) and seq_lt(una, end) and seq_le(una, start) and seq_le(end, most):
            sack_block(flight, start, end, now_us)
    join_sacked(flight)


cdef inline bint is_dsack(const uint8_t *blocks, uint32_t count, uint32_t una) noexcept nogil:
    cdef uint32_t start = load_be32(blocks)
    cdef uint32_t end = load_be32(blocks + 4)
    if not seq_lt(start, end):
        return False
    if seq_le(end, una):
        return True
    return (
        count > 1 and seq_le(load_be32(blocks + 8), start) and seq_le(end, load_be32(blocks + 12))
    )


cdef inline void sack_block(Flight *flight, uint32_t start, uint32_t end, uint32_t now_us) noexcept nogil:
    """Marks what of [start, end) is not marked yet. Where the list has no room to split a run it stays
    unmarked, but RACK learns that something sent then has arrived: else the holes before it would wait."""
    cdef uint32_t i = 0
    cdef FlightRun *run
    while i < flight.count and seq_lt(flight.runs[i].start, end):
        run = &flight.runs[i]
        if run.state & RUN_SACKED or seq_le(run.end, start):
            i += 1
            continue
        if seq_lt(run.start, start):
            if not split_run(flight, i, start):
                rack_newest(flight, run.sent_us, seq_min(end, run.end), now_us - run.sent_us)
                return
            i += 1
            continue
        if seq_lt(end, run.end) and not split_run(flight, i, end):
            rack_newest(flight, run.sent_us, end, now_us - run.sent_us)
            return
        rack_delivered(flight, &flight.runs[i], now_us)
        flight.runs[i].state = RUN_SACKED
        i += 1


cdef inline uint32_t reordering_window_us(const TcpConn *conn, const Flight *flight, bint recovering) noexcept nogil:
    """RFC 8985 6.2 step 4: how much later than RACK's segment another may still arrive."""
    if not flight.reordering:
        if recovering or flight.sacked >= DUP_THRESHOLD * <uint32_t>conn.mss:
            return 0
    return min(flight.window_factor * (flight.least_rtt_us // 4), conn.srtt_us)


cdef inline void rack_adapt(const TcpConn *conn, Flight *flight) noexcept nogil:
    """A DSACK says that something was sent again in vain: be more patient, once a round trip."""
    if flight.dsack_seen and seq_le(flight.dsack_round, conn.snd_una):
        flight.window_factor = min(flight.window_factor + 1, <uint32_t>WINDOW_FACTOR_MOST)
        flight.window_persist = WINDOW_PERSIST
        flight.dsack_round = conn.snd_max
    elif seq_le(flight.dsack_round, conn.snd_una):
        flight.dsack_round = conn.snd_una       # kept near: numbers compare over half their range


cdef inline bint sent_before(const Flight *flight, const FlightRun *run) noexcept nogil:
    """The run left before the octets that RACK knows to have arrived. Of one moment, which is one turn
    of the worker, the lower sequence numbers left first; but what was sent again may have left last."""
    if run.sent_us == flight.rack_sent_us:
        return not run.state & RUN_AGAIN and seq_lt(run.start, flight.rack_end)
    return later_us(flight.rack_sent_us, run.sent_us)


cdef inline uint32_t rack_detect(
    const TcpConn *conn, Flight *flight, bint recovering, uint32_t now_us
) noexcept nogil:
    """RFC 8985 6.2 step 5: marks as lost what was sent well before something that arrived. Returns in
    how many microseconds to look again; 0: no need."""
    cdef uint32_t i, limit_us, waited_us
    cdef uint32_t again_us = 0
    cdef FlightRun *run
    if not flight.rack_valid:
        return 0
    limit_us = flight.rack_rtt_us + reordering_window_us(conn, flight, recovering)
    for i in range(flight.count):
        run = &flight.runs[i]
        if run.state & (RUN_SACKED | RUN_LOST):
            continue
        if not sent_before(flight, run):
            continue
        waited_us = now_us - run.sent_us
        if waited_us >= limit_us:
            run.state |= RUN_LOST
        else:
            again_us = max(again_us, limit_us - waited_us)
    flight_count(flight)
    return again_us


cdef inline uint32_t probe_timeout_us(const TcpConn *conn, const Flight *flight) noexcept nogil:
    """RFC 8985 7.2: two round trips, and for a single segment what a peer may delay its ACK."""
    cdef uint32_t timeout_us = 2 * conn.srtt_us if conn.srtt_us else 1000000
    if flight.pipe <= conn.mss:
        timeout_us += 200000
    return max(timeout_us, <uint32_t>PROBE_LEAST_US)


cdef inline bint probe_is_wanted(const TcpConn *conn, const Flight *flight) noexcept nogil:
    """RFC 8985 7.2: nothing lost, nothing SACKed, no probe out."""
    return flight.count != 0 and flight.lost == 0 and flight.sacked == 0 and not flight.probe_out
